%% Commands and reactors.
-module(wasmbeam_wasi_run_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_wasi_guest, [source/1]).

a_command_runs_to_its_end_test() ->
    Expected = {ok, #{exit => 0, stdout => <<"Hello, world\n">>, stderr => <<"Oops\n">>,
                      fs => #{}}},
    [?assertEqual(Expected, wasmbeam:run(source(Name))) || Name <- ["hello", "hello64"]].

any_status_is_a_result_test() ->
    Run = fun(Args) -> wasmbeam:run(source("exit"), #{wasi => #{args => Args}}) end,
    ?assertMatch({ok, #{exit := 0}}, Run([])),
    ?assertMatch({ok, #{exit := 3}}, Run([<<"a">>, <<>>, <<"c">>])).

the_options_of_wasi_may_stand_beside_the_others_test() ->
    Args = [<<"a">>, <<>>, <<"c">>],
    [?assertMatch({ok, #{exit := 3}}, wasmbeam:run(source("exit"), Options))
     || Options <- [#{args => Args}, #{args => Args, wasi => #{env => #{}}},
                    #{args => Args, timeout => 60000, wasi => #{args => []}}]],
    [?assertMatch({error, {bad_argument, #{key := Key}}}, wasmbeam:run(source("exit"), Options))
     || {Key, Options} <- [{args, #{args => a}}, {args, #{wasi => #{args => a}}}]],
    [?assertMatch({error, {bad_argument, _}}, wasmbeam:run(source("exit"), Options))
     || Options <- [#{args => Args, wasi => none}, [{args, Args}]]].

a_compiled_module_runs_any_number_of_times_test() ->
    {ok, Module} = wasmbeam:compile(source("hello")),
    [?assertMatch({ok, #{stdout := <<"Hello, world\n">>}}, wasmbeam:run(Module, #{}))
     || _ <- lists:seq(1, 3)].

an_exit_while_starting_is_a_result_too_test() ->
    Module = <<"(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
                 (func $main (call $exit (i32.const 7))) (start $main)
                 (func (export \"_start\")))">>,
    ?assertMatch({ok, #{exit := 7}}, wasmbeam:run(Module)).

what_is_no_command_is_refused_test() ->
    [?assertMatch({error, {unknown_export, #{name := <<"_start">>}}}, wasmbeam:run(Module))
     || Module <- [source("reactor"), <<"(module)">>,
                   <<"(module (func (export \"_start\") (param i32)))">>]].

a_failure_tells_what_was_printed_before_test() ->
    Trap = <<"(module
        (import \"wasi_snapshot_preview1\" \"fd_write\"
          (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export \"memory\") 1)
        (data (i32.const 0) \"\\10\\00\\00\\00\\04\\00\\00\\00\")
        (data (i32.const 16) \"half\")
        (func (export \"_start\")
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
          unreachable))">>,
    ?assertMatch({error, {trap, #{code := unreachable, stdout := <<"half">>, stderr := <<>>}}},
                 wasmbeam:run(Trap)).

options_of_start_and_call_go_together_test() ->
    Loop = <<"(module (memory (export \"memory\") 1)
               (func (export \"_start\") (loop $again (br $again))))">>,
    ?assertMatch({error, {timeout, _}}, wasmbeam:run(Loop, #{timeout => 10})),
    ?assertMatch({error, {out_of_fuel, _}}, wasmbeam:run(Loop, #{fuel => 10000})),
    ?assertMatch({error, {limit, _}}, wasmbeam:run(Loop, #{limits => #{memory => 1000}})),
    ?assertMatch({error, {bad_argument, _}}, wasmbeam:run(Loop, #{imports => []})),
    ?assertMatch({error, {bad_argument, _}}, wasmbeam:run(Loop, #{timeout => soon})),
    ?assertMatch({error, {bad_argument, _}}, wasmbeam:run(Loop, [])),
    ?assertMatch({error, {invalid_module, _}}, wasmbeam:run(<<"no module">>)).

a_run_leaves_no_instance_test() ->
    Test = self(),
    Module = <<"(module (import \"env\" \"tell\" (func $tell)) (func (export \"_start\") call $tell))">>,
    Tell = fun([], #{instance := Instance}) -> Test ! Instance, [] end,
    {ok, _} = wasmbeam:run(Module, #{imports => #{<<"env">> => #{<<"tell">> => Tell}}}),
    receive Instance -> ?assertMatch(#{state := stopped}, wasmbeam:info(Instance)) end.

a_reactor_is_initialized_once_test() ->
    {ok, Instance} = wasmbeam:start(source("reactor")),
    ?assertEqual({ok, [1]}, wasmbeam:call(Instance, <<"initialized">>, [])).

a_command_is_not_initialized_test() ->
    Both = <<"(module (func (export \"_initialize\") unreachable) (func (export \"_start\")))">>,
    ?assertMatch({ok, _}, wasmbeam:start(Both)).

a_function_of_another_type_does_not_initialize_test() ->
    Other = <<"(module (func (export \"_initialize\") (param i32) unreachable))">>,
    ?assertMatch({ok, _}, wasmbeam:start(Other)).

a_reactor_that_fails_does_not_start_test() ->
    Start = fun(Body, Options) ->
        wasmbeam:start(<<"(module (func (export \"_initialize\") ", Body/binary, "))">>, Options)
    end,
    ?assertMatch({error, {trap, _}}, Start(<<"unreachable">>, #{})),
    ?assertMatch({error, {timeout, _}}, Start(<<"(loop $again (br $again))">>, #{timeout => 10})).
