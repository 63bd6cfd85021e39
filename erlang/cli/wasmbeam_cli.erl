%% @doc The command `wasmbeam': chooses a subcommand, and gives the status that it ends with.
%%
%% The status is 0 if all went well, that of the guest for `run', 1 for an error, which is told on
%% standard error, and 2 for a command line that makes no sense.
-module(wasmbeam_cli).

-export([main/1, run/1]).
-export_type([outcome/0, command/0]).

-type outcome() ::
    ok | {status, 0..255} | {error, wasmbeam:error_reason()} | {usage, unicode:chardata()}.
%% How a subcommand ends: `usage' is what is wrong with its arguments.
-type command() ::
    #{summary := string(),
      synopsis := string(),
      options := [wasmbeam_cli_options:option()],
      notes := string()}.
%% What the help says of a subcommand.

-callback describe() -> command().
-callback run(wasmbeam_cli_options:options(), [string()]) -> outcome().

-define(ERROR, 1).
-define(USAGE, 2).

%% @doc Runs the command line of the operating system's process, and ends it.
-spec main([string()]) -> no_return().
main(Args) ->
    Status = case code:ensure_loaded(wasmbeam_nif) of
        {module, _} ->
            run(Args);
        {error, _} ->
            complain("wasmbeam_nif.so is neither beside the command nor in ../lib/wasmbeam, or was "
                     "built for another system"),
            ?ERROR
    end,
    erlang:halt(Status).

%% @doc Runs a command line, and gives the status.
-spec run([string()]) -> 0..255.
run(["--version"]) ->
    say(version()),
    0;
run([Help]) when Help =:= "--help"; Help =:= "-h"; Help =:= "help" ->
    say(help()),
    0;
run(["help", Name]) ->
    run([Name, "--help"]);
run(["snapshot", "info" | Args]) ->
    subcommand("snapshot info", wasmbeam_cli_snapshot_info, Args);
run(["snapshot", Help]) when Help =:= "--help"; Help =:= "-h" ->
    run(["snapshot", "info", "--help"]);
run(["snapshot" | _]) ->
    usage("snapshot needs: info FILE", "help snapshot");
run([Name | Args]) ->
    case lists:keyfind(Name, 1, subcommands()) of
        {_, Module} -> subcommand(Name, Module, Args);
        false -> usage(["there is no subcommand ", Name], "--help")
    end;
run([]) ->
    usage("a subcommand is missing", "--help").

subcommands() ->
    [{"run", wasmbeam_cli_run},
     {"call", wasmbeam_cli_call},
     {"inspect", wasmbeam_cli_inspect},
     {"compile", wasmbeam_cli_compile},
     {"snapshot info", wasmbeam_cli_snapshot_info}].

subcommand(Name, Module, Args) ->
    #{options := Known} = Command = Module:describe(),
    case wasmbeam_cli_options:parse(Known, Args) of
        help ->
            say(help(Name, Command)),
            0;
        {ok, Options, Positional} ->
            {ok, _} = application:ensure_all_started(wasmbeam),
            status(Name, Module:run(Options, Positional));
        {error, What} ->
            usage(What, [Name, " --help"])
    end.

status(_Name, ok) ->
    0;
status(_Name, {status, Status}) ->
    Status;
status(_Name, {error, Reason}) ->
    complain(wasmbeam:format_error(Reason)),
    ?ERROR;
status(Name, {usage, What}) ->
    usage(What, [Name, " --help"]).

usage(What, Help) ->
    complain([What, "; see wasmbeam ", Help]),
    ?USAGE.

help() ->
    ["Runs and examines WebAssembly modules.\n\n",
     "usage: wasmbeam SUBCOMMAND ...\n\n",
     wasmbeam_cli_options:table([{Name, maps:get(summary, Module:describe())}
                                 || {Name, Module} <- subcommands()]),
     "\nwasmbeam SUBCOMMAND --help tells more; wasmbeam --version gives the versions.\n\n",
     "Status: 0, or the guest's own with run; 1 after an error; 2 if the command line makes no "
     "sense."].

help(Name, #{summary := Summary, synopsis := Synopsis, options := Options, notes := Notes}) ->
    [Summary, "\n\nusage: wasmbeam ", Name, " ", Synopsis, "\n\n",
     wasmbeam_cli_options:table(wasmbeam_cli_options:describe(Options)),
     ["\n" || Notes =/= ""], string:trim(Notes, trailing)].

version() ->
    ok = loaded(application:load(wasmbeam)),
    {ok, Version} = application:get_key(wasmbeam, vsn),
    Native = case wasmbeam_error:normalize(wasmbeam_nif:version()) of
        {ok, Built} -> ["native library ", Built];
        {error, _} -> "no native library"
    end,
    ["wasmbeam ", Version, " (", Native, ", Erlang/OTP ", erlang:system_info(otp_release), ")"].

loaded(ok) -> ok;
loaded({error, {already_loaded, wasmbeam}}) -> ok.

say(Text) ->
    io:format("~ts~n", [Text]).

complain(Text) ->
    io:format(standard_error, "wasmbeam: ~ts~n", [Text]).
