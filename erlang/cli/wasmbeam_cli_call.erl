%% @doc `wasmbeam call': one function of a module.
-module(wasmbeam_cli_call).
-behaviour(wasmbeam_cli).

-export([describe/0, run/2]).

%% @doc What the help says.
-spec describe() -> wasmbeam_cli:command().
describe() ->
    #{summary => "Calls a function that a module exports, and prints its results.",
      synopsis => "[OPTION]... FILE FUNCTION [ARGUMENT]...",
      options => wasmbeam_cli_guest:options(),
      notes => "Integers are decimal or hexadecimal (0xff), floats such as 0.5, 1e-3, inf, -inf, nan "
               "or\nnan:0x7fc00001, v128 is 0x and 32 digits, an externref any text, a null reference "
               "null.\nA result is printed to a line, in the same form."}.

%% @doc Calls it.
-spec run(wasmbeam_cli_options:options(), [string()]) -> wasmbeam_cli:outcome().
run(Options, [File, Function | Args]) when File =/= "--", Function =/= "--" ->
    case wasmbeam_cli_file:compile(File, wasmbeam_cli_guest:compile_options(Options)) of
        {ok, Module} ->
            call(Options, Module, File, wasmbeam_cli_file:name(Function), lists:delete("--", Args));
        {error, _} = Error ->
            Error
    end;
run(_Options, _) ->
    {usage, "a FILE or a FUNCTION is missing"}.

call(Options, Module, File, Function, Texts) ->
    Types = [Type || #{kind := func, name := Name, type := Type} <- wasmbeam:exports(Module),
                     Name =:= Function],
    case Types of
        [#{params := Params, results := Results}] ->
            case wasmbeam_cli_value:parse(Texts, Params) of
                {ok, Args} -> print(started(Options, Module, File, Function, Args), Results);
                {error, What} -> {usage, What}
            end;
        [] ->
            %% In the library's own words.
            print(started(Options, Module, File, Function, []), [])
    end.

started(Options, Module, File, Function, Args) ->
    Name = wasmbeam_cli_file:name(filename:basename(File)),
    case wasmbeam_cli_guest:start_options(Options, [Name]) of
        {ok, Start} ->
            case wasmbeam:start(Module, Start) of
                {ok, Instance} ->
                    wasmbeam:call(Instance, Function, Args, maps:with([timeout], Options));
                {error, _} = Error ->
                    Error
            end;
        {error, _} = Error ->
            Error
    end.

print({ok, Values}, Types) ->
    [io:format("~ts~n", [wasmbeam_cli_value:format(Value, Type)])
     || {Value, Type} <- lists:zip(Values, Types)],
    ok;
print({error, {exit, #{status := Status}}}, _Types) ->
    {status, min(Status, 255)};
print({error, _} = Error, _Types) ->
    Error.
