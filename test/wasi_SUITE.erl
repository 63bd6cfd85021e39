%% The official WASI test suite through the Erlang API.
-module(wasi_SUITE).

-export([all/0, end_per_suite/1, init_per_suite/1, suite/0]).
-export([official_tests/1, the_runner_names_what_differs/1]).

suite() -> [{timetrap, {minutes, 10}}].

all() -> [official_tests, the_runner_names_what_differs].

init_per_suite(Config) ->
    {ok, _} = application:ensure_all_started(wasmbeam),
    case wasmbeam:compile(<<"\0asm", 1:32/little>>) of
        {ok, _} -> Config;
        {error, {native_unavailable, _}} -> {skip, "built without the native library"}
    end.

end_per_suite(_Config) -> ok.

official_tests(_Config) ->
    Beside = filename:join(filename:dirname(wasmbeam_wasi_suite:root()), "shared"),
    Folder = filename:join(os:getenv("WASMBEAM_SHARED", Beside), "wasi-testsuite"),
    case filelib:is_dir(Folder) of
        true ->
            Results = wasmbeam_wasi_suite:run_folder(
                        Folder, #{on_test => fun wasmbeam_wasi_suite:print/1}),
            io:put_chars(user, wasmbeam_wasi_suite:summary(Results)),
            true = Results =/= [],
            true = wasmbeam_wasi_suite:passed(Results);
        false ->
            {skip, "no folder " ++ Folder}
    end.

the_runner_names_what_differs(Config) ->
    Folder = filename:join(proplists:get_value(priv_dir, Config), "tests"),
    Exits = <<"(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"
              "(memory (export \"memory\") 1)"
              "(func (export \"_start\") (call $exit (i32.const 3))))">>,
    Write = fun(Name, Bytes) ->
        Path = filename:join(Folder, Name),
        ok = filelib:ensure_dir(Path),
        ok = file:write_file(Path, Bytes)
    end,
    [Write(Name ++ ".wasm", Exits) || Name <- ["good", "known", "untrue", "wrong"]],
    [Write(Name ++ ".json", <<"{\"exit_code\": 3}">>) || Name <- ["good", "untrue"]],
    Known = [{"known", Mode, <<"why">>} || Mode <- [virtual, host]]
        ++ [{"untrue", host, <<"no more">>}],
    [{"good", virtual, passed},
     {"good", host, passed},
     {"known", virtual, {skipped, <<"why">>}},
     {"known", host, {skipped, <<"why">>}},
     {"untrue", virtual, passed},
     {"untrue", host, {failed, {does_not_fail, <<"no more">>}}},
     {"wrong", virtual, {failed, {expected, [{exit, 0}], got, #{exit := 3}}}},
     {"wrong", host, {failed, {expected, [{exit, 0}], got, #{exit := 3}}}}] = Results =
        wasmbeam_wasi_suite:run_folder(Folder, #{known_failures => Known}),
    false = wasmbeam_wasi_suite:passed(Results).
