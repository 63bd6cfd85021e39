%% @doc Runs tests of the form of the official WASI test suite through the `wasmbeam' API, each on the
%% virtual filesystem and on a folder of the machine.
%%
%% A test is a command (`NAME.wasm'), and beside it, if it needs anything or expects anything but a
%% successful exit, `NAME.json': `args', `env', `root' (a folder that the guest gets as `/') or
%% `dirs' (folders that it gets under their own names), `exit_code', `stdout', `stderr'.
-module(wasmbeam_wasi_suite).

-export([main/1, passed/1, print/1, root/0, run_folder/2, summary/1]).

-export_type([mode/0, result/0, options/0]).

-type mode() :: virtual | host.
-type result() ::
    {Test :: string(), mode(), passed | {failed, term()} | {skipped, Reason :: binary()}}.
-type options() ::
    #{known_failures => [{Test :: string(), mode(), Reason :: binary()}],
      modes => [mode()],
      on_test => fun((result()) -> term()),
      timeout => timeout()}.
%% `on_test' gets each result as soon as there is one; `timeout' is that of one test.

%% @doc For a command line: runs folders, prints a line for each test and mode, and halts with status 1 if
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
    Timeout = maps:get(timeout, Options, 60_000),
    Run = fun(File, Mode) ->
        Test = filename:rootname(File),
        Outcome = run(filename:join(Folder, Test), Mode, Timeout),
        Result = {Test, Mode, known(Outcome, [Why || {T, M, Why} <- Known, T =:= Test, M =:= Mode])},
        Report(Result),
        Result
    end,
    [Run(File, Mode) || File <- lists:sort(filelib:wildcard("**/*.wasm", Folder)),
                        Mode <- maps:get(modes, Options, [virtual, host])].

known_failures() ->
    {ok, Known} = file:consult(filename:join([root(), "test", "wasi", "known_failures.eterm"])),
    Known.

%% What is listed must fail, so that the list stays true.
known({failed, _}, [Reason]) -> {skipped, Reason};
known(passed, [Reason]) -> {failed, {does_not_fail, Reason}};
known(Outcome, []) -> Outcome.

run(Path, Mode, Timeout) ->
    try
        Wanted = expectation(Path ++ ".json"),
        {ok, Module} = file:read_file(Path ++ ".wasm"),
        Run = fun(World) -> wasmbeam:run(Module, #{wasi => World, timeout => Timeout}) end,
        check(in_world(Mode, Path, Wanted, Run), Wanted)
    catch
        Class:Reason:Stack -> {failed, {Class, Reason, Stack}}
    end.

expectation(Path) ->
    case file:read_file(Path) of
        {ok, Text} -> wasmbeam_wasi_json:decode(Text);
        {error, enoent} -> #{}
    end.

in_world(Mode, Path, Wanted, Run) ->
    Name = unicode:characters_to_binary(filename:basename(Path) ++ ".wasm"),
    World = #{
        args => [Name | maps:get(<<"args">>, Wanted, [])],
        env => maps:get(<<"env">>, Wanted, #{})
    },
    Folders = folders(filename:dirname(Path), Wanted),
    case Mode of
        virtual -> Run(maps:merge(World, virtual(Folders)));
        host -> in_copies(Folders, fun(Preopens) ->
                    Run(World#{host => true, preopens => Preopens})
                end)
    end.

%% The folders that a test gets, and their names in the guest.
folders(Folder, #{<<"root">> := Root}) ->
    [{<<"/">>, filename:join(Folder, Root)}];
folders(Folder, #{<<"dirs">> := Names}) ->
    [{Name, filename:join(Folder, Name)} || Name <- Names];
folders(_Folder, _Wanted) ->
    [].

virtual([{<<"/">>, Root}]) ->
    #{fs => load(Root), preopens => [<<"/">>]};
virtual(Folders) ->
    #{fs => maps:from_list([{Name, load(Folder)} || {Name, Folder} <- Folders]),
      preopens => [Name || {Name, _} <- Folders]}.

%% Tests write: what they were given stays as it is.
in_copies(Folders, Run) ->
    Unique = io_lib:format("wasmbeam-wasi-~ts-~b", [os:getpid(), erlang:unique_integer([positive])]),
    Place = filename:join(os:getenv("TMPDIR", "/tmp"), lists:flatten(Unique)),
    ok = file:make_dir(Place),
    try
        Run([begin
                 Copy = filename:join(Place, integer_to_list(Number)),
                 store(load(Folder), Copy),
                 {Name, Copy, rw}
             end || {Number, {Name, Folder}} <- lists:enumerate(Folders)])
    after
        ok = file:del_dir_r(Place)
    end.

store({symlink, Target}, Path) ->
    ok = file:make_symlink(Target, Path);
store(Bytes, Path) when is_binary(Bytes) ->
    ok = file:write_file(Path, Bytes);
store(Tree, Path) ->
    ok = file:make_dir(Path),
    maps:foreach(fun(Name, Node) -> store(Node, filename:join(Path, Name)) end, Tree).

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

%% @doc Prints the line of a test in a mode.
-spec print(result()) -> ok.
print({Test, Mode, passed}) ->
    io:format(user, "passed  ~ts (~s)~n", [Test, Mode]);
print({Test, Mode, {skipped, Reason}}) ->
    io:format(user, "skipped ~ts (~s): ~ts~n", [Test, Mode, Reason]);
print({Test, Mode, {failed, Reason}}) when is_binary(Reason) ->
    io:format(user, "FAILED  ~ts (~s): ~ts~n", [Test, Mode, Reason]);
print({Test, Mode, {failed, Reason}}) ->
    io:format(user, "FAILED  ~ts (~s): ~0tP~n", [Test, Mode, Reason, 60]).

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
    length([Outcome || {_, _, Outcome} <- Results,
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
