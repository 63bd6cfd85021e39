%% The official WebAssembly test suite, through the Erlang API.
-module(spec_SUITE).

-export([all/0, end_per_suite/1, init_per_suite/1, official_test_suite/1, suite/0]).

suite() -> [{timetrap, {minutes, 30}}].

all() -> [official_test_suite].

init_per_suite(Config) ->
    Root = wasmbeam_spec:root(),
    Shared = os:getenv("WASMBEAM_SHARED", filename:join(filename:dirname(Root), "shared")),
    Folder = filename:join(Shared, "spec-testsuite"),
    {ok, _} = application:ensure_all_started(wasmbeam),
    case {filelib:is_dir(Folder), wasmbeam:compile(<<"\0asm", 1:32/little>>)} of
        {false, _} -> {skip, "no folder " ++ Folder};
        {true, {ok, _}} -> [{folder, Folder} | Config];
        {true, {error, {native_unavailable, _}}} -> {skip, "built without the native library"}
    end.

end_per_suite(_Config) -> ok.

official_test_suite(Config) ->
    Folder = proplists:get_value(folder, Config),
    Results = wasmbeam_spec:run_folder(Folder, #{on_file => fun wasmbeam_spec:print/1}),
    io:put_chars(user, wasmbeam_spec:summary(Results)),
    true = Results =/= [],
    true = wasmbeam_spec:passed(Results).
