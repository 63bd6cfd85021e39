%% Test scripts of WebAssembly through the Erlang API: the official suite, and ours.
-module(spec_SUITE).

-export([all/0, end_per_suite/1, init_per_suite/1, suite/0]).
-export([official_scripts/1, own_scripts/1]).

suite() -> [{timetrap, {minutes, 30}}].

all() -> [own_scripts, official_scripts].

init_per_suite(Config) ->
    {ok, _} = application:ensure_all_started(wasmbeam),
    case wasmbeam:compile(<<"\0asm", 1:32/little>>) of
        {ok, _} -> Config;
        {error, {native_unavailable, _}} -> {skip, "built without the native library"}
    end.

end_per_suite(_Config) -> ok.

own_scripts(_Config) ->
    run(filename:join([wasmbeam_spec:root(), "test", "spec", "scripts"])).

official_scripts(_Config) ->
    Beside = filename:join(filename:dirname(wasmbeam_spec:root()), "shared"),
    Folder = filename:join(os:getenv("WASMBEAM_SHARED", Beside), "spec-testsuite"),
    case filelib:is_dir(Folder) of
        true -> run(Folder);
        false -> {skip, "no folder " ++ Folder}
    end.

run(Folder) ->
    Results = wasmbeam_spec:run_folder(Folder, #{on_file => fun wasmbeam_spec:print/1}),
    io:put_chars(user, wasmbeam_spec:summary(Results)),
    true = Results =/= [],
    true = wasmbeam_spec:passed(Results).
