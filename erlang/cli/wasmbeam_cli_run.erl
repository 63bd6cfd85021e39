%% @doc `wasmbeam run': a WASI command as a command of the operating system.
-module(wasmbeam_cli_run).
-behaviour(wasmbeam_cli).

-export([describe/0, run/2]).

%% The greatest status that a process can have.
-define(MAX_STATUS, 255).

%% @doc What the help says.
-spec describe() -> wasmbeam_cli:command().
describe() ->
    #{summary => "Runs a WASI command: a module that exports _start.",
      synopsis => "[OPTION]... FILE [-- ARGUMENT...]",
      options => wasmbeam_cli_guest:options(),
      notes => "Arguments after -- are the guest's. Its standard streams are those of this process. "
               "The status\nis the guest's (255 if it is greater), 1 if it does not come to an end "
               "of its own: after a trap,\na timeout, or when a limit is hit."}.

%% @doc Runs it.
-spec run(wasmbeam_cli_options:options(), [string()]) -> wasmbeam_cli:outcome().
run(Options, [File]) ->
    run(Options, File, []);
run(Options, [File, "--" | Args]) when File =/= "--" ->
    run(Options, File, Args);
run(_Options, []) ->
    {usage, "a FILE is missing"};
run(_Options, ["--" | _]) ->
    {usage, "a FILE is missing before --"};
run(_Options, [_File, Argument | _]) ->
    {usage, ["what is ", Argument, "? Arguments of the guest come after --"]}.

run(Options, File, Args) ->
    Given = [wasmbeam_cli_file:name(Arg) || Arg <- [filename:basename(File) | Args]],
    case wasmbeam_cli_file:compile(File, wasmbeam_cli_guest:compile_options(Options)) of
        {ok, Module} ->
            case wasmbeam_cli_guest:start_options(Options, Given) of
                {ok, Start} -> ended(wasmbeam:run(Module, Start));
                {error, _} = Error -> Error
            end;
        {error, _} = Error ->
            Error
    end.

ended({ok, #{exit := Status}}) ->
    {status, min(Status, ?MAX_STATUS)};
ended({error, {Class, Info}}) ->
    %% They have gone where they belong.
    {error, {Class, maps:without([stdout, stderr], Info)}}.
