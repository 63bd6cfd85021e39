%% @doc Runs the scripts of the WebAssembly test suite (`.wast') through the
%% `wasmbeam' API.
-module(wasmbeam_spec).

-export([main/1, passed/1, print/1, root/0, run_file/2, run_folder/2, summary/1]).

-export_type([file_result/0, opts/0]).

%% `known_failures': the path of the list; `on_file': called with each file's
%% result as soon as there is one; `timeout': milliseconds for one file.
-type opts() :: #{
    known_failures => file:filename_all(),
    on_file => fun((file_result()) -> term()),
    timeout => timeout()
}.
-type file_result() :: {File :: string(), [wasmbeam_spec_script:result()]}.

%% @doc For a command line: runs folders and files, prints a line for each file
%% and the failures below it, and halts with status 1 if anything failed.
-spec main([string()]) -> no_return().
main([]) ->
    io:format(standard_error, "usage: wasmbeam_spec:main([FolderOrFile, ...])~n", []),
    halt(2);
main(Paths) ->
    {ok, _} = application:ensure_all_started(wasmbeam),
    Opts = #{on_file => fun print/1},
    Results = lists:flatmap(fun(Path) -> run_path(Path, Opts) end, Paths),
    io:put_chars(summary(Results)),
    %% A path without scripts is a mistake, not a success.
    case Results =/= [] andalso passed(Results) of
        true -> halt(0);
        false -> halt(1)
    end.

run_path(Path, Opts) ->
    case filelib:is_dir(Path) of
        true ->
            run_folder(Path, Opts);
        false ->
            Result = run_file(Path, Opts),
            report(Result, Opts),
            [Result]
    end.

%% @doc Runs every script (`.wast') of a folder and of the folders in it.
-spec run_folder(file:filename_all(), opts()) -> [file_result()].
run_folder(Folder, Opts) ->
    Files = lists:sort(filelib:wildcard("**/*.wast", Folder)),
    Run = fun(File) ->
        Result = run(File, filename:join(Folder, File), Opts),
        report(Result, Opts),
        Result
    end,
    lists:map(Run, Files).

%% @doc Runs one script.
-spec run_file(file:filename_all(), opts()) -> file_result().
run_file(Path, Opts) ->
    run(filename:basename(Path), Path, Opts).

%% Each script has a process of its own, which owns its instances.
run(File, Path, Opts) ->
    Root = root(),
    Folder = filename:join([Root, "test", "spec"]),
    KnownPath = maps:get(known_failures, Opts, filename:join(Folder, "known_failures.eterm")),
    Known = wasmbeam_spec_known:for_file(File, wasmbeam_spec_known:read(KnownPath)),
    {Pid, Monitor} = spawn_monitor(fun() -> exit({results, run_script(Path, Root, Folder)}) end),
    receive
        {'DOWN', Monitor, process, Pid, {results, Results}} ->
            {File, wasmbeam_spec_known:apply(Results, Known)};
        {'DOWN', Monitor, process, Pid, Reason} ->
            {File, [{1, script, {failed, Reason}}]}
    after maps:get(timeout, Opts, 300_000) ->
        demonitor(Monitor, [flush]),
        exit(Pid, kill),
        {File, [{1, script, {failed, timeout}}]}
    end.

run_script(Path, Root, Folder) ->
    maybe_run(wasmbeam_spec_wast:tool(Root), filename:absname(Path), Folder).

maybe_run({ok, Tool}, Path, Folder) ->
    case wasmbeam_spec_wast:read(Tool, Path) of
        {ok, Directives} -> wasmbeam_spec_script:run(Directives, Folder);
        {error, Reason} -> [{1, script, {failed, Reason}}]
    end;
maybe_run({error, Reason}, _Path, _Folder) ->
    [{1, script, {failed, Reason}}].

report(Result, Opts) ->
    (maps:get(on_file, Opts, fun(_) -> ok end))(Result).

%% @doc Prints a file's line, and a line for each failure in it.
-spec print(file_result()) -> ok.
print(Result) ->
    io:put_chars(user, format(Result)).

format({File, Results}) ->
    {Passed, Failed, Skipped} = count(Results),
    [
        io_lib:format("~-48ts ~6b passed ~5b failed ~5b skipped~n", [File, Passed, Failed, Skipped])
        | [
            io_lib:format("  ~ts:~b ~ts ~ts: ~ts~n", [File, Line, Kind, Word, shortened(Reason)])
         || {Line, Kind, {Word, Reason}} <- Results
        ]
    ].

shortened(Reason) ->
    io_lib:format("~0tP", [Reason, 60]).

%% @doc A line with the totals.
-spec summary([file_result()]) -> iolist().
summary(FileResults) ->
    {Passed, Failed, Skipped} = count(lists:flatmap(fun({_, Results}) -> Results end, FileResults)),
    io_lib:format(
        "~b files: ~b passed, ~b failed, ~b skipped~n",
        [length(FileResults), Passed, Failed, Skipped]
    ).

%% @doc Whether nothing failed.
-spec passed([file_result()]) -> boolean().
passed(FileResults) ->
    lists:all(fun({_, Results}) -> element(2, count(Results)) =:= 0 end, FileResults).

count(Results) ->
    Outcomes = [Outcome || {_, _, Outcome} <- Results],
    {
        length([passed || passed <- Outcomes]),
        length([failed || {failed, _} <- Outcomes]),
        length([skipped || {skipped, _} <- Outcomes])
    }.

%% @doc The project's root, looked for upwards from this module's object code,
%% which rebar3 keeps inside of it, and from the current folder.
-spec root() -> file:filename_all().
root() ->
    {ok, Cwd} = file:get_cwd(),
    Starts = [filename:dirname(filename:absname(code:which(?MODULE))), Cwd],
    [Root | _] = lists:flatmap(fun upwards/1, Starts),
    Root.

upwards(Folder) ->
    %% rebar3 copies test folders, but not this.
    Found = filelib:is_regular(filename:join(Folder, "Cargo.toml")),
    case {Found, filename:dirname(Folder)} of
        {true, _} -> [Folder];
        {false, Folder} -> [];
        {false, Parent} -> upwards(Parent)
    end.
