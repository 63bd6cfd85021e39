-module(wasmbeam_queue_tests).

-include_lib("eunit/include/eunit.hrl").

processes_are_served_in_the_order_in_which_they_came_test() ->
    I = start(#{}),
    First = {Pid, _} = at_gate(I),
    Waiting = [enqueue(I, <<"pass">>, [], #{}, Place) || Place <- lists:seq(1, 10)],
    wasmbeam_fixture:open(Pid),
    ?assertEqual({ok, []}, wasmbeam_fixture:result(First)),
    [begin
         %% The one whose turn it is, is the only one that can be at the gate.
         receive {at_gate, Served, []} -> ?assertEqual(Next, Served) end,
         wasmbeam_fixture:open(Next),
         ?assertEqual({ok, []}, wasmbeam_fixture:result(Call))
     end || Call = {Next, _} <- Waiting].

a_place_in_the_line_is_given_up_at_the_timeout_test() ->
    I = start(#{}),
    First = {Pid, _} = at_gate(I),
    Hurried = enqueue(I, <<"answer">>, [], #{timeout => 5}, 1),
    Patient = enqueue(I, <<"answer">>, [], #{}, any),
    ?assertMatch({error, {timeout, #{message := _}}}, wasmbeam_fixture:result(Hurried)),
    wasmbeam_fixture:open(Pid),
    ?assertEqual({ok, []}, wasmbeam_fixture:result(First)),
    ?assertEqual({ok, [42]}, wasmbeam_fixture:result(Patient)),
    ?assertMatch(#{state := idle, queue_length := 0}, wasmbeam:info(I)).

a_timeout_of_zero_does_not_wait_test() ->
    I = start(#{}),
    First = {Pid, _} = at_gate(I),
    ?assertMatch({error, {timeout, _}}, wasmbeam:call(I, <<"answer">>, [], #{timeout => 0})),
    wasmbeam_fixture:open(Pid),
    ?assertEqual({ok, []}, wasmbeam_fixture:result(First)),
    ?assertEqual(none, receive Message -> Message after 0 -> none end).

a_process_that_dies_in_the_line_makes_room_test() ->
    I = start(#{}),
    First = {Pid, _} = at_gate(I),
    Killed = {Victim, _} = enqueue(I, <<"answer">>, [], #{}, 1),
    Next = enqueue(I, <<"answer">>, [], #{}, 2),
    exit(Victim, kill),
    ?assertEqual({died, killed}, wasmbeam_fixture:result(Killed)),
    wasmbeam_fixture:open(Pid),
    ?assertEqual({ok, []}, wasmbeam_fixture:result(First)),
    ?assertEqual({ok, [42]}, wasmbeam_fixture:result(Next)).

the_line_goes_on_when_the_caller_dies_test() ->
    I = start(#{on_interrupt => keep}),
    First = {Pid, _} = at_gate(I),
    Waiting = [enqueue(I, <<"answer">>, [], #{}, Place) || Place <- [1, 2]],
    exit(Pid, kill),
    ?assertEqual({died, killed}, wasmbeam_fixture:result(First)),
    [?assertEqual({ok, [42]}, wasmbeam_fixture:result(Call)) || Call <- Waiting].

everyone_in_the_line_of_an_interrupted_instance_is_told_test() ->
    I = start(#{}),
    First = {Pid, _} = at_gate(I),
    Waiting = [enqueue(I, <<"answer">>, [], #{}, Place) || Place <- lists:seq(1, 5)],
    ok = wasmbeam:cancel(I),
    wasmbeam_fixture:open(Pid),
    [?assertMatch({error, {interrupted, #{reason := cancelled}}}, wasmbeam_fixture:result(Call))
     || Call <- [First | Waiting]].

everyone_in_the_line_is_told_though_those_before_live_on_test() ->
    I = start(#{}),
    First = {Pid, _} = at_gate(I),
    Living = [living(I, Place, fun() -> wasmbeam:call(I, <<"answer">>, []) end)
              || Place <- [1, 2, 3]],
    ok = wasmbeam:cancel(I),
    wasmbeam_fixture:open(Pid),
    ?assertMatch({error, {interrupted, _}}, wasmbeam_fixture:result(First)),
    [?assertMatch({error, {interrupted, _}}, told(P)) || P <- Living],
    [P ! stop || P <- Living].

everyone_in_the_line_of_a_stopped_instance_is_told_test() ->
    I = start(#{}),
    First = {Pid, _} = at_gate(I),
    Waiting = [enqueue(I, <<"answer">>, [], #{}, Place) || Place <- lists:seq(1, 5)],
    ok = wasmbeam:stop(I),
    wasmbeam_fixture:open(Pid),
    [?assertMatch({error, {stopped, _}}, wasmbeam_fixture:result(Call)) || Call <- [First | Waiting]].

thousands_in_the_line_of_a_stopped_instance_are_told_test() ->
    I = start(#{}),
    First = {Pid, _} = at_gate(I),
    Waiting = [spawn_monitor(fun() -> exit({result, wasmbeam:call(I, <<"answer">>, [])}) end)
               || _ <- lists:seq(1, 3000)],
    in_line(I, 3000),
    ok = wasmbeam:stop(I),
    wasmbeam_fixture:open(Pid),
    [?assertMatch({error, {stopped, _}}, wasmbeam_fixture:result(Call)) || Call <- [First | Waiting]].

whoever_leaves_the_line_the_others_keep_their_order_test() ->
    I = start(#{}),
    First = {Pid, _} = at_gate(I),
    Waiting = [enqueue(I, <<"pass">>, [], #{}, Place) || Place <- lists:seq(1, 9)],
    Left = [Call || {Call, Place} <- lists:zip(Waiting, lists:seq(1, 9)), Place rem 3 =:= 0],
    [exit(P, kill) || {P, _} <- Left],
    [?assertEqual({died, killed}, wasmbeam_fixture:result(Call)) || Call <- Left],
    wasmbeam_fixture:open(Pid),
    ?assertEqual({ok, []}, wasmbeam_fixture:result(First)),
    [begin
         receive {at_gate, Served, []} -> ?assertEqual(Next, Served) end,
         wasmbeam_fixture:open(Next),
         ?assertEqual({ok, []}, wasmbeam_fixture:result(Call))
     end || Call = {Next, _} <- Waiting -- Left].

those_who_wait_for_a_stopped_instance_of_a_shared_store_are_told_test() ->
    stopped_while_waiting(<<"(module (func (export \"two\") (result i32) i32.const 2))">>,
                          fun(J) -> wasmbeam:call(J, <<"two">>, []) end).

those_who_wait_to_reset_a_stopped_instance_of_a_shared_store_make_room_test() ->
    stopped_while_waiting(<<"(module)">>, fun wasmbeam:reset/1).

those_whose_exporter_stops_while_they_wait_to_start_make_room_test() ->
    Importer = <<"(module (import \"j\" \"two\" (func)))">>,
    stopped_while_waiting(<<"(module (func (export \"two\")))">>,
                          fun(J) -> wasmbeam:start(Importer, #{imports => #{<<"j">> => J}}) end).

%% A process waits to use an instance of a shared store, which is stopped meanwhile: it is told, and the
%% next in line has its turn.
stopped_while_waiting(Text, Use) ->
    I = start(#{}),
    {ok, J} = wasmbeam:start(Text, #{store => I}),
    First = {Pid, _} = at_gate(I),
    Doomed = living(I, 1, fun() -> Use(J) end),
    Other = enqueue(I, <<"answer">>, [], #{}, 2),
    ok = wasmbeam:stop(J),
    wasmbeam_fixture:open(Pid),
    ?assertEqual({ok, []}, wasmbeam_fixture:result(First)),
    ?assertMatch({error, {stopped, _}}, told(Doomed)),
    ?assertEqual({ok, [42]}, wasmbeam_fixture:result(Other)).

those_who_cannot_have_the_state_of_an_interrupted_instance_make_room_test() ->
    I = start(#{}),
    First = {Pid, _} = at_gate(I),
    Waiting = [living(I, Place, fun() -> Take(I) end)
               || {Place, Take} <- [{1, fun wasmbeam:serialize/1}, {2, fun wasmbeam:fork/1}]],
    Reset = living(I, 3, fun() -> wasmbeam:reset(I) end),
    ok = wasmbeam:cancel(I),
    wasmbeam_fixture:open(Pid),
    ?assertMatch({error, {interrupted, _}}, wasmbeam_fixture:result(First)),
    [?assertMatch({error, {interrupted, _}}, told(P)) || P <- Waiting],
    ?assertEqual(ok, told(Reset)),
    ?assertEqual({ok, [42]}, wasmbeam:call(I, <<"answer">>, [])).

calls_by_table_index_do_not_keep_each_other_waiting_test() ->
    I = start(#{}),
    First = {Pid, _} = at_gate(I),
    Waiting = [enqueue(I, {table_index, 0}, [], #{}, Place) || Place <- lists:seq(1, 20)],
    wasmbeam_fixture:open(Pid),
    [?assertMatch({ok, _}, wasmbeam_fixture:result(Call)) || Call <- [First | Waiting]].

a_wrong_call_by_table_index_makes_room_for_the_next_test() ->
    I = start(#{on_interrupt => keep}),
    First = spinning(I),
    Wrong = [living(I, Place, fun() -> wasmbeam:call(I, {table_index, Index}, Args) end)
             || {Place, Index, Args} <- [{1, 0, [too, many]}, {2, 7, []}]],
    Right = enqueue(I, {table_index, 0}, [], #{}, 3),
    ok = wasmbeam:cancel(I),
    ?assertMatch({error, {interrupted, _}}, wasmbeam_fixture:result(First)),
    [?assertMatch({Class, {error, {Class, _}}}, {Class, told(P)})
     || {P, Class} <- lists:zip(Wrong, [bad_argument, trap])],
    ?assertEqual({ok, [42]}, wasmbeam_fixture:result(Right)).

writes_that_wait_are_done_test() ->
    I = start(#{}),
    Call = spinning(I),
    Writers = [begin
                   W = spawn_monitor(fun() -> exit({result, Write()}) end),
                   in_line(I, Place),
                   W
               end || {Place, Write} <- [
                   {1, fun() -> wasmbeam:global_set(I, <<"g">>, 5) end},
                   {2, fun() -> wasmbeam:table_set(I, 0, 1, null) end},
                   {3, fun() -> wasmbeam:global_set(I, <<"g">>, x) end},
                   {4, fun() -> wasmbeam:memory_write(I, 0, <<1>>) end}]],
    ok = wasmbeam:cancel(I),
    ?assertMatch({error, {interrupted, _}}, wasmbeam_fixture:result(Call)),
    ?assertMatch([ok, ok, {error, {bad_argument, _}}, ok],
                 [wasmbeam_fixture:result(W) || W <- Writers]),
    ?assertEqual({ok, 5}, wasmbeam:global_get(I, <<"g">>)).

two_thousand_processes_get_their_turn_test() ->
    I = start(#{}),
    First = {Pid, _} = at_gate(I),
    Waiting = [wasmbeam_fixture:spawn_call(I, <<"answer">>, []) || _ <- lists:seq(1, 2000)],
    wasmbeam_fixture:await(fun() -> #{queue_length := L} = wasmbeam:info(I), L =:= 2000 end),
    wasmbeam_fixture:open(Pid),
    ?assertEqual({ok, []}, wasmbeam_fixture:result(First)),
    [?assertEqual({ok, [42]}, wasmbeam_fixture:result(Call)) || Call <- Waiting].

%% A call that waits in the import.
at_gate(I) ->
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"pass">>, []),
    receive {at_gate, Pid, []} -> Call end.

%% A call that never ends by itself.
spinning(I) ->
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"spin">>, []),
    receive {at_gate, Pid, []} -> wasmbeam_fixture:open(Pid) end,
    wasmbeam_fixture:await(fun() -> #{yields := Yields} = wasmbeam:info(I), Yields > 0 end),
    Call.

enqueue(I, Function, Args, Options, Place) ->
    Call = wasmbeam_fixture:spawn_call(I, Function, Args, Options),
    Place =:= any orelse in_line(I, Place),
    Call.

in_line(I, Length) ->
    wasmbeam_fixture:await(fun() -> #{queue_length := L} = wasmbeam:info(I), L =:= Length end).

%% A process that waits in line, and lives on when it has been told its answer.
living(I, Place, Ask) ->
    Test = self(),
    Pid = spawn_link(fun() ->
        Test ! {told, self(), Ask()},
        receive stop -> ok end
    end),
    in_line(I, Place),
    Pid.

told(Pid) ->
    receive {told, Pid, Answer} -> Answer end.

start(Options) ->
    wasmbeam_fixture:start(
        "(module (import \"env\" \"entered\" (func $entered)) (memory 1)
           (global (export \"g\") (mut i32) (i32.const 0))
           (table 2 funcref) (elem (i32.const 0) $answer)
           (func (export \"pass\") call $entered)
           (func (export \"spin\") call $entered (loop br 0))
           (func $answer (export \"answer\") (result i32) i32.const 42))",
        Options#{imports => #{<<"env">> => #{<<"entered">> => wasmbeam_fixture:gate()}}}).
