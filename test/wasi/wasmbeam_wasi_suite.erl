%% @doc Runs tests of the form of the official WASI test suite through the `wasmbeam' API.
%%
%% A test is a command (`NAME.wasm'), and beside it, if it needs anything or expects anything but a
%% successful exit, `NAME.json': `args', `env', `root' (a folder that the guest gets as `/') or
%% `dirs' (folders that it gets under their own names), `exit_code', `stdout', `stderr'.
-module(wasmbeam_wasi_suite).

-export([main/1, passed/1, print/1, root/0, run_folder/2, summary/1]).

-export_type([result/0, options/0]).

-type result() ::
    {Test :: string(), passed | {failed, term()} | {skipped, Reason :: binary()}}.
-type options() ::
    #{known_failures => [{Test :: string(), Reason :: binary()}],
      on_test => fun((result()) -> term()),
      timeout => timeout()}.
%% `on_test' gets each result as soon as there is one; `timeout' is that of one test.

%% @doc For a command line: runs folders, prints a line for each test, and halts with status 1 if
%% anything failed.
-spec main([string()]) -> no_return().
main([]) ->
    io:format(standard_error, "usage: run.escript FOLDER ...~n", []),
    halt(2);
main(Folders) ->
    {ok, _} = application:ensure_all_started(wasmbeam),
    Options = #{on_test => fun print/1},
    Results = lists:flatmap(fun(Folder) -> run_folder(Folder, Options) end, Folders),
    io:put_chars(summary(Results)),
    %% A folder without tests is a mistake, not a success.
    case Results =/= [] andalso passed(Results) of
        true -> halt(0);
        false -> halt(1)
    end.

%% @doc Runs every test of a folder and of the folders in it.
-spec run_folder(file:filename_all(), options()) -> [result()].
run_folder(Folder, Options) ->
    Known = maps:get(known_failures, Options, known_failures()),
    Report = maps:get(on_test, Options, fun(_) -> ok end),
    Run = fun(File) ->
        Test = filename:rootname(File),
        Outcome = run(filename:join(Folder, Test), maps:get(timeout, Options, 60_000)),
        Result = {Test, known(Outcome, lists:keyfind(Test, 1, Known))},
        Report(Result),
        Result
    end,
    lists:map(Run, lists:sort(filelib:wildcard("**/*.wasm", Folder))).

known_failures() ->
    {ok, Known} = file:consult(filename:join([root(), "test", "wasi", "known_failures.eterm"])),
    Known.

%% What is listed must fail, so that the list stays true.
known({failed, _}, {_, Reason}) -> {skipped, Reason};
known(passed, {_, Reason}) -> {failed, {does_not_fail, Reason}};
known(Outcome, false) -> Outcome.

run(Path, Timeout) ->
    try
        Wanted = expectation(Path ++ ".json"),
        {ok, Module} = file:read_file(Path ++ ".wasm"),
        check(wasmbeam:run(Module, #{wasi => world(Path, Wanted), timeout => Timeout}), Wanted)
    catch
        Class:Reason:Stack -> {failed, {Class, Reason, Stack}}
    end.

expectation(Path) ->
    case file:read_file(Path) of
        {ok, Text} -> wasmbeam_wasi_json:decode(Text);
        {error, enoent} -> #{}
    end.

world(Path, Wanted) ->
    Name = unicode:characters_to_binary(filename:basename(Path) ++ ".wasm"),
    Folder = filename:dirname(Path),
    maps:merge(files(Folder, Wanted), #{
        args => [Name | maps:get(<<"args">>, Wanted, [])],
        env => maps:get(<<"env">>, Wanted, #{})
    }).

files(Folder, #{<<"root">> := Root}) ->
    #{fs => load(filename:join(Folder, Root)), preopens => [<<"/">>]};
files(Folder, #{<<"dirs">> := Names}) ->
    #{fs => maps:from_list([{Name, load(filename:join(Folder, Name))} || Name <- Names]),
      preopens => Names};
files(_Folder, _Wanted) ->
    #{preopens => []}.

%% A folder as a tree of files.
load(Path) ->
    case file:read_link_all(Path) of
        {ok, Target} ->
            {symlink, unicode:characters_to_binary(Target)};
        {error, _} ->
            case file:list_dir_all(Path) of
                {ok, Names} ->
                    maps:from_list([{unicode:characters_to_binary(Name),
                                     load(filename:join(Path, Name))} || Name <- Names]);
                {error, enotdir} ->
                    {ok, Bytes} = file:read_file(Path),
                    Bytes
            end
    end.

check({error, Reason}, _Wanted) ->
    {failed, wasmbeam:format_error(Reason)};
check({ok, #{exit := Exit} = Ended}, Wanted) ->
    Expected = [{exit, maps:get(<<"exit_code">>, Wanted, 0)}]
        ++ [{Stream, Text} || {Key, Stream} <- [{<<"stdout">>, stdout}, {<<"stderr">>, stderr}],
                              {ok, Text} <- [maps:find(Key, Wanted)]],
    case [Difference || {Key, Value} = Difference <- Expected, map_get(Key, Ended) =/= Value] of
        [] -> passed;
        _ -> {failed, {expected, Expected, got, maps:without([fs], Ended#{exit := Exit})}}
    end.

%% @doc Prints a test's line.
-spec print(result()) -> ok.
print({Test, passed}) ->
    io:format(user, "passed  ~ts~n", [Test]);
print({Test, {skipped, Reason}}) ->
    io:format(user, "skipped ~ts: ~ts~n", [Test, Reason]);
print({Test, {failed, Reason}}) when is_binary(Reason) ->
    io:format(user, "FAILED  ~ts: ~ts~n", [Test, Reason]);
print({Test, {failed, Reason}}) ->
    io:format(user, "FAILED  ~ts: ~0tP~n", [Test, Reason, 60]).

%% @doc A line with the totals.
-spec summary([result()]) -> iolist().
summary(Results) ->
    io_lib:format("~b tests: ~b passed, ~b failed, ~b skipped~n",
                  [length(Results), count(passed, Results), count(failed, Results),
                   count(skipped, Results)]).

%% @doc Whether nothing failed.
-spec passed([result()]) -> boolean().
passed(Results) ->
    count(failed, Results) =:= 0.

count(Kind, Results) ->
    length([Outcome || {_, Outcome} <- Results,
                       Outcome =:= Kind orelse
                           is_tuple(Outcome) andalso element(1, Outcome) =:= Kind]).

%% @doc The project's root, looked for upwards from this module's object code, which rebar3 keeps
%% inside of it, and from the current folder.
-spec root() -> file:filename_all().
root() ->
    {ok, Cwd} = file:get_cwd(),
    Starts = [filename:dirname(filename:absname(code:which(?MODULE))), Cwd],
    [Root | _] = lists:flatmap(fun upwards/1, Starts),
    Root.

upwards(Folder) ->
    %% rebar3 copies test folders, but not this.
    case filelib:is_regular(filename:join(Folder, "Cargo.toml")) of
        true -> [Folder];
        false ->
            case filename:dirname(Folder) of
                Folder -> [];
                Above -> upwards(Above)
            end
    end.
