-module(wasmbeam_info_tests).

-include_lib("eunit/include/eunit.hrl").

a_fresh_instance_has_done_nothing_test() ->
    I = wasmbeam_fixture:start("(module (memory 3))"),
    Owner = self(),
    Info = wasmbeam:info(I),
    ?assertMatch(#{state := idle, owner := Owner, memory_bytes := 196608, table_elements := 0,
                   fuel := infinity, calls := 0, imports := 0, traps := 0, yields := _,
                   run_time_ns := _, queue_length := 0, module := undefined, id := _,
                   module_id := <<_:32/binary>>, started_at := _, limits := _}, Info),
    ?assertEqual(16, map_size(Info)).

an_instance_tells_what_it_was_made_of_test() ->
    Before = erlang:system_time(millisecond),
    Source = <<"(module $adder (table 7 funcref))">>,
    I = wasmbeam_fixture:start(Source, #{limits => #{memory => 1000000, tables => 3}}),
    Info = wasmbeam:info(I),
    ?assertMatch(#{module := <<"adder">>, table_elements := 7,
                   limits := #{memory := 1000000, tables := 3, memories := 1000,
                               table_elements := 10000000, instances := 10000,
                               stack := 524288}}, Info),
    #{module_id := Id, started_at := StartedAt} = Info,
    ?assertEqual(crypto:hash(sha256, Source), Id),
    ?assert(StartedAt >= Before),
    ?assert(StartedAt =< erlang:system_time(millisecond)).

traps_are_counted_test() ->
    I = wasmbeam_fixture:start("(module (func (export \"trap\") unreachable)
                                  (func (export \"pass\")))"),
    [{error, {trap, _}} = wasmbeam:call(I, <<"trap">>, []) || _ <- lists:seq(1, 3)],
    {ok, []} = wasmbeam:call(I, <<"pass">>, []),
    {error, {unknown_export, _}} = wasmbeam:call(I, <<"none">>, []),
    ?assertMatch(#{traps := 3}, wasmbeam:info(I)).

calls_and_imports_are_counted_test() ->
    I = start(fun([]) -> [] end),
    [{ok, []} = wasmbeam:call(I, <<"pass">>, []) || _ <- lists:seq(1, 5)],
    [{ok, [42]} = wasmbeam:call(I, <<"answer">>, []) || _ <- lists:seq(1, 2)],
    ?assertMatch(#{calls := 7, imports := 5}, wasmbeam:info(I)).

an_import_is_counted_once_though_a_default_was_looked_for_test() ->
    I = wasmbeam_fixture:start(wasmbeam_fixture:spinning()),
    Handler = fun(#{name := <<"entered">>}) -> {default, []} end,
    {ok, []} = wasmbeam:call(I, <<"pass">>, [], #{import_handler => Handler}),
    ?assertMatch(#{imports := 1}, wasmbeam:info(I)).

an_import_that_is_left_to_its_default_is_counted_test() ->
    I = wasmbeam_fixture:start(
        "(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func $yield (result i32)))
           (func (export \"f\") (result i32) call $yield))",
        #{imports => #{<<"wasi_snapshot_preview1">> => #{<<"sched_yield">> => host}},
          import_handler => fun(#{}) -> default end}),
    {ok, [0]} = wasmbeam:call(I, <<"f">>, []),
    ?assertMatch(#{imports := 1}, wasmbeam:info(I)).

time_passes_for_those_who_run_test() ->
    I = start(fun([]) -> [] end),
    #{run_time_ns := Before} = wasmbeam:info(I),
    {ok, [42]} = wasmbeam:call(I, <<"answer">>, []),
    #{run_time_ns := After} = wasmbeam:info(I),
    ?assert(After > Before).

the_state_is_that_of_the_call_test() ->
    I = start(wasmbeam_fixture:gate()),
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"spin">>, []),
    receive {at_gate, Pid, []} -> ok end,
    ?assertMatch(#{state := suspended}, wasmbeam:info(I)),
    wasmbeam_fixture:open(Pid),
    wasmbeam_fixture:await(fun() -> #{state := S} = wasmbeam:info(I), S =:= running end),
    wasmbeam_fixture:await(fun() -> #{yields := Y} = wasmbeam:info(I), Y > 0 end),
    ok = wasmbeam:cancel(I),
    {error, {interrupted, _}} = wasmbeam_fixture:result(Call),
    ?assertMatch(#{state := interrupted}, wasmbeam:info(I)),
    ok = wasmbeam:stop(I),
    ?assertMatch(#{state := stopped}, wasmbeam:info(I)).

those_who_wait_are_counted_test() ->
    I = start(wasmbeam_fixture:gate()),
    First = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"pass">>, []),
    receive {at_gate, Pid, []} -> ok end,
    Others = [wasmbeam_fixture:spawn_call(I, <<"answer">>, []) || _ <- lists:seq(1, 3)],
    wasmbeam_fixture:await(fun() -> #{queue_length := L} = wasmbeam:info(I), L =:= 3 end),
    wasmbeam_fixture:open(Pid),
    ?assertEqual({ok, []}, wasmbeam_fixture:result(First)),
    [?assertEqual({ok, [42]}, wasmbeam_fixture:result(Other)) || Other <- Others],
    ?assertMatch(#{queue_length := 0, state := idle}, wasmbeam:info(I)).

memory_grows_in_the_account_test() ->
    I = wasmbeam_fixture:start("(module (memory 1) (memory 2))"),
    {ok, 1} = wasmbeam:memory_grow(I, 4),
    ?assertMatch(#{memory_bytes := Bytes} when Bytes =:= 7 * 65536, wasmbeam:info(I)).

what_is_no_instance_is_a_bad_argument_test() ->
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:info(Term)))
     || Term <- wasmbeam_fixture:not_instances()].

start(Entered) ->
    wasmbeam_fixture:start(wasmbeam_fixture:spinning(),
                           #{imports => #{<<"env">> => #{<<"entered">> => Entered}}}).
