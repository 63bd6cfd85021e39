-module(wasmbeam_snapshot_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_snapshot_fixture, [source/0, options/0, start/0, call/3, calls/2, outcomes/2,
                                    evolve/1]).

evolved() ->
    Instance = start(),
    evolve(Instance),
    Instance.

snapshot(Instance) ->
    {ok, Snapshot} = wasmbeam:serialize(Instance),
    Snapshot.

restored(Snapshot) ->
    {ok, Instance} = wasmbeam:restore(source(), Snapshot, options()),
    Instance.

%% State

a_counter_that_is_not_exported_reads_the_same_after_a_restore_test() ->
    Instance = start(),
    [call(Instance, <<"increment">>, []) || _ <- [1, 2, 3]],
    Restored = restored(snapshot(Instance)),
    ?assertEqual(3, call(Restored, <<"count">>, [])).

every_kind_of_state_is_restored_test() ->
    Restored = restored(snapshot(evolved())),
    ?assertEqual(3, call(Restored, <<"count">>, [])),
    ?assertEqual(<<8:64/little, 16:64/little>>, call(Restored, <<"vector">>, [])),
    ?assertEqual(9, call(Restored, <<"peek">>, [70])),
    ?assertEqual(8, call(Restored, <<"peek">>, [200000])),
    ?assertEqual($h, call(Restored, <<"peek">>, [300])),
    ?assertEqual(5, call(Restored, <<"peek_wide">>, [1599999])),
    ?assertEqual(0, call(Restored, <<"peek_wide">>, [1600000])),
    ?assertEqual(4, call(Restored, <<"grow">>, [0])),
    ?assertEqual(42, call(Restored, <<"grow_wide">>, [0])),
    ?assertEqual(7, call(Restored, <<"via">>, [0])),
    ?assertEqual(indirect_call_to_null, call(Restored, <<"via">>, [1])),
    ?assertEqual(20, call(Restored, <<"via">>, [3])),
    ?assertEqual(10, call(Restored, <<"via">>, [8])),
    ?assertEqual(table_out_of_bounds, call(Restored, <<"via">>, [9])),
    ?assertEqual(memory_out_of_bounds, call(Restored, <<"init_data">>, [0])),
    ?assertEqual(table_out_of_bounds, call(Restored, <<"init_element">>, [0])).

equal_states_give_equal_bytes_test() ->
    [?assertEqual(snapshot(evolved()), snapshot(evolved())),
     ?assertEqual(snapshot(evolved()), snapshot(restored(snapshot(evolved()))))].

a_start_function_does_not_run_again_test() ->
    Source = <<"(module (import \"host\" \"started\" (func $started))
                  (start $started))">>,
    Self = self(),
    Options = #{imports => #{<<"host">> => #{<<"started">> => fun([]) -> Self ! started, [] end}}},
    {ok, Instance} = wasmbeam:start(Source, Options),
    receive started -> ok after 0 -> error(not_started) end,
    {ok, Snapshot} = wasmbeam:serialize(Instance),
    {ok, _} = wasmbeam:restore(Source, Snapshot, Options),
    {ok, _} = wasmbeam:fork(Instance),
    ok = wasmbeam:reset(Instance),
    receive started -> error(started_again) after 0 -> ok end.

files_of_the_guest_are_part_of_the_state_test() ->
    Source = <<"(module (memory (export \"memory\") 1))">>,
    {ok, Instance} = wasmbeam:start(Source, #{wasi => #{fs => #{<<"a">> => <<"1">>}}}),
    ok = wasmbeam:fs_write(Instance, <<"b">>, <<"2">>),
    {ok, Fork} = wasmbeam:fork(Instance),
    {ok, Snapshot} = wasmbeam:serialize(Instance),
    {ok, Restored} = wasmbeam:restore(Source, Snapshot, #{}),
    ok = wasmbeam:fs_write(Instance, <<"b">>, <<"3">>),
    [begin
         ?assertEqual({ok, <<"1">>}, wasmbeam:fs_read(Copy, <<"a">>)),
         ?assertEqual({ok, <<"2">>}, wasmbeam:fs_read(Copy, <<"b">>))
     end || Copy <- [Fork, Restored]],
    ok = wasmbeam:reset(Instance),
    ?assertEqual({ok, <<"1">>}, wasmbeam:fs_read(Instance, <<"a">>)),
    ?assertMatch({error, _}, wasmbeam:fs_read(Instance, <<"b">>)).

%% The same afterwards

copies_behave_like_the_original_test_() ->
    {timeout, 60, [fun() -> copies_behave_like_the_original(Seed) end || Seed <- lists:seq(1, 40)]}.

copies_behave_like_the_original(Seed) ->
    Instance = start(),
    _ = outcomes(Instance, calls(Seed, 20)),
    First = snapshot(Instance),
    _ = outcomes(Instance, calls(Seed + 1000, 20)),
    {ok, Second} = wasmbeam:serialize(Instance, #{base => First, compression => lz4}),
    _ = outcomes(Instance, calls(Seed + 2000, 10)),
    {ok, Third} = wasmbeam:serialize(Instance, #{base => Second}),
    {ok, Packed} = wasmbeam:serialize(Instance, #{compression => zstd}),
    {ok, Fork} = wasmbeam:fork(Instance),
    Live = start(),
    ok = wasmbeam:deserialize(Live, Packed),
    Calls = calls(-Seed, 100),
    Expected = outcomes(Instance, Calls),
    After = snapshot(Instance),
    [begin
         ?assertEqual(Expected, outcomes(Copy, Calls)),
         ?assertEqual(After, snapshot(Copy))
     end || Copy <- [restored(Packed), restored([First, Second, Third]), Fork, Live]],
    ok = wasmbeam:reset(Instance),
    New = start(),
    ?assertEqual(outcomes(New, Calls), outcomes(Instance, Calls)),
    ?assertEqual(snapshot(New), snapshot(Instance)).

a_chain_restores_what_its_last_link_is_of_test() ->
    Instance = start(),
    Links = lists:foldl(
        fun(Seed, Chain) ->
            _ = outcomes(Instance, calls(Seed, 3)),
            Options = case Chain of
                [] -> #{};
                [Last | _] -> #{base => Last, compression => lists:nth(Seed rem 3 + 1,
                                                                       [none, lz4, zstd])}
            end,
            {ok, Link} = wasmbeam:serialize(Instance, Options),
            [Link | Chain]
        end, [], lists:seq(1, 21)),
    Copy = restored(lists:reverse(Links)),
    Calls = calls(99, 100),
    ?assertEqual(outcomes(Instance, Calls), outcomes(Copy, Calls)),
    ?assertEqual(snapshot(Instance), snapshot(Copy)).

a_base_that_the_instance_does_not_know_is_read_test() ->
    Instance = evolved(),
    Full = snapshot(Instance),
    call(Instance, <<"increment">>, []),
    {ok, Link} = wasmbeam:serialize(Instance, #{base => Full}),
    Other = restored([Full, Link]),
    call(Other, <<"increment">>, []),
    {ok, FromChain} = wasmbeam:serialize(start(), #{base => [Full, Link]}),
    ?assertEqual(0, call(restored([Full, Link, FromChain]), <<"count">>, [])),
    ?assertMatch({error, {bad_snapshot, _}}, wasmbeam:serialize(start(), #{base => Link})).

%% Snapshots that are known from before

instances_of_one_snapshot_share_nothing_that_they_change_test() ->
    Snapshot = snapshot(evolved()),
    [One, Other] = [restored(Snapshot) || _ <- [1, 2]],
    4 = call(One, <<"increment">>, []),
    call(One, <<"poke">>, [70, 1]),
    ?assertEqual(3, call(Other, <<"count">>, [])),
    ?assertEqual(9, call(Other, <<"peek">>, [70])),
    ok = wasmbeam:deserialize(One, Snapshot),
    ?assertEqual(Snapshot, snapshot(One)),
    ?assertEqual(Snapshot, snapshot(restored(Snapshot))).

a_known_snapshot_is_not_taken_by_another_module_or_beyond_limits_test() ->
    Snapshot = snapshot(evolved()),
    _ = restored(Snapshot),
    ?assertMatch({error, {bad_snapshot, _}},
                 wasmbeam:restore(<<"(module (memory 1))">>, Snapshot, #{})),
    ?assertMatch({error, {limit, _}},
                 wasmbeam:restore(source(), Snapshot,
                                  (options())#{limits => #{memory => 1000000}})),
    ?assertEqual(3, call(restored(Snapshot), <<"count">>, [])).

a_snapshot_is_right_however_many_were_restored_since_test() ->
    Instance = start(),
    Snapshots = [begin
        N = call(Instance, <<"increment">>, []),
        {N, snapshot(Instance)}
    end || _ <- lists:seq(1, 30)],
    [[?assertEqual(N, call(restored(Snapshot), <<"count">>, [])) || {N, Snapshot} <- Snapshots]
     || _ <- [1, 2]].

a_changed_copy_of_a_known_snapshot_is_damaged_test() ->
    Snapshot = snapshot(evolved()),
    _ = restored(Snapshot),
    <<Head:200/binary, Byte, Tail/binary>> = Snapshot,
    Changed = <<Head/binary, (Byte bxor 1), Tail/binary>>,
    ?assertMatch({error, {bad_snapshot, _}}, wasmbeam:restore(source(), Changed, options())),
    %% A part of the same bytes.
    Part = binary:part(Snapshot, 0, byte_size(Snapshot) - 1),
    ?assertMatch({error, {bad_snapshot, _}}, wasmbeam:restore(source(), Part, options())).

%% Interrupted instances

cancelled() ->
    Instance = evolved(),
    Caller = self(),
    Pid = spawn(fun() -> Caller ! {self(), wasmbeam:call(Instance, <<"loop">>, [])} end),
    await_running(Instance),
    ok = wasmbeam:cancel(Instance),
    receive {Pid, Answer} -> ?assertMatch({error, {interrupted, _}}, Answer) end,
    Instance.

await_running(Instance) ->
    case wasmbeam:info(Instance) of
        #{state := running} -> ok;
        #{} -> erlang:yield(), await_running(Instance)
    end.

an_interrupted_instance_works_again_after_deserialize_test() ->
    Snapshot = snapshot(evolved()),
    Instance = cancelled(),
    ?assertMatch({error, {interrupted, _}}, wasmbeam:call(Instance, <<"count">>, [])),
    ?assertMatch({error, {interrupted, _}}, wasmbeam:serialize(Instance)),
    ?assertMatch({error, {interrupted, _}}, wasmbeam:fork(Instance)),
    ok = wasmbeam:deserialize(Instance, Snapshot),
    ?assertEqual(3, call(Instance, <<"count">>, [])).

an_interrupted_instance_works_again_after_reset_test() ->
    Instance = cancelled(),
    ok = wasmbeam:reset(Instance),
    ?assertEqual(0, call(Instance, <<"count">>, [])).

%% Errors

a_bad_snapshot_leaves_the_instance_as_it_was_test() ->
    Instance = evolved(),
    Before = snapshot(Instance),
    {ok, Other} = wasmbeam:start(<<"(module (memory 1))">>),
    <<Head:100/binary, Byte, Tail/binary>> = Before,
    [?assertMatch({error, {bad_snapshot, #{message := _}}}, wasmbeam:deserialize(Instance, Bad))
     || Bad <- [<<>>, <<"junk">>, snapshot(Other), <<Head/binary, (Byte bxor 1), Tail/binary>>,
                binary:part(Before, 0, byte_size(Before) - 1), <<Before/binary, 0>>, []]],
    ?assertMatch({error, {bad_argument, _}}, wasmbeam:deserialize(Instance, junk)),
    ?assertEqual(Before, snapshot(Instance)),
    ?assertEqual(3, call(Instance, <<"count">>, [])).

what_is_no_list_of_snapshots_is_told_test() ->
    Instance = start(),
    {ok, Snapshot} = wasmbeam:serialize(Instance),
    [begin
         ?assertMatch({error, {bad_argument, _}}, wasmbeam:deserialize(Instance, Odd)),
         ?assertMatch({error, {bad_argument, _}}, wasmbeam:restore(source(), Odd, options())),
         ?assertMatch({error, {bad_argument, _}}, wasmbeam:serialize(Instance, #{base => Odd}))
     end || Odd <- [[Snapshot | Snapshot], [Snapshot | foo], [Snapshot, foo], foo]].

a_missing_or_damaged_link_is_named_test() ->
    Instance = start(),
    Full = snapshot(Instance),
    call(Instance, <<"increment">>, []),
    {ok, Second} = wasmbeam:serialize(Instance, #{base => Full}),
    call(Instance, <<"increment">>, []),
    {ok, Third} = wasmbeam:serialize(Instance, #{base => Second}),
    Message = fun(Chain) ->
        {error, {bad_snapshot, #{message := Text}}} = wasmbeam:deserialize(Instance, Chain),
        Text
    end,
    Names = fun(Part, Text) -> ?assertNotEqual(nomatch, binary:match(Text, Part)) end,
    Names(<<"snapshot 2 of 2: it is based on snapshot">>, Message([Full, Third])),
    Names(<<"missing">>, Message(Third)),
    Size = byte_size(Second) - 30,
    <<Head:Size/binary, Byte, Tail/binary>> = Second,
    Damaged = <<Head/binary, (Byte bxor 4), Tail/binary>>,
    Names(<<"snapshot 2 of 3: its checksum is wrong">>, Message([Full, Damaged, Third])).

what_cannot_be_captured_is_named_test() ->
    {ok, Instance} = wasmbeam:start(<<"(module (table (export \"t\") 4 externref))">>),
    ok = wasmbeam:table_set(Instance, <<"t">>, 2, {a, term}),
    ?assertMatch({error, {not_capturable, #{what := <<"element 2 of table 0, a live externref">>}}},
                 wasmbeam:serialize(Instance)),
    ?assertMatch({error, {not_capturable, _}}, wasmbeam:fork(Instance)),
    ok = wasmbeam:table_set(Instance, <<"t">>, 2, null),
    ?assertMatch({ok, _}, wasmbeam:serialize(Instance)).

an_instance_cannot_be_captured_from_within_its_call_test() ->
    Self = self(),
    Snapshot = snapshot(start()),
    Seven = fun([], #{instance := Instance}) ->
        Self ! {answers, [wasmbeam:serialize(Instance), wasmbeam:fork(Instance),
                          wasmbeam:reset(Instance), wasmbeam:deserialize(Instance, Snapshot)]},
        [7]
    end,
    Options = #{imports => #{<<"host">> => #{<<"seven">> => Seven}}},
    {ok, Instance} = wasmbeam:start(source(), Options),
    call(Instance, <<"set_seven">>, [0]),
    ?assertEqual(7, call(Instance, <<"via">>, [0])),
    receive
        {answers, Answers} ->
            [?assertMatch({error, {not_capturable, _}}, Answer) || Answer <- Answers]
    end,
    ?assertMatch({ok, _}, wasmbeam:serialize(Instance)).

a_stopped_instance_answers_stopped_test() ->
    Instance = evolved(),
    Snapshot = snapshot(Instance),
    ok = wasmbeam:stop(Instance),
    [?assertMatch({error, {stopped, _}}, Answer)
     || Answer <- [wasmbeam:serialize(Instance), wasmbeam:deserialize(Instance, Snapshot),
                   wasmbeam:fork(Instance), wasmbeam:reset(Instance)]].

limits_hold_for_restored_instances_test() ->
    Snapshot = snapshot(evolved()),
    Options = (options())#{limits => #{memory => 1000000}},
    ?assertMatch({error, {limit, _}}, wasmbeam:restore(source(), Snapshot, Options)).

options_are_checked_test() ->
    Instance = start(),
    [?assertMatch({error, {bad_argument, _}}, wasmbeam:serialize(Instance, Options))
     || Options <- [#{compression => gzip}, #{compress => lz4}, #{base => 7}, []]],
    [?assertMatch({error, {bad_argument, _}}, Call(not_an_instance))
     || Call <- [fun wasmbeam:serialize/1, fun wasmbeam:fork/1, fun wasmbeam:reset/1]].

%% Life

a_fork_belongs_to_the_process_that_made_it_test() ->
    Instance = evolved(),
    Self = self(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        {ok, Fork} = wasmbeam:fork(Instance),
        Self ! {fork, Fork}
    end),
    receive {'DOWN', Monitor, process, Pid, normal} -> ok end,
    receive {fork, Fork} -> ?assertMatch({error, {stopped, _}}, wasmbeam:fork(Fork)) end,
    ?assertEqual(3, call(Instance, <<"count">>, [])).

a_fork_outlives_the_original_test() ->
    Instance = evolved(),
    {ok, Fork} = wasmbeam:fork(Instance),
    ok = wasmbeam:stop(Instance),
    ?assertEqual(5, call(Fork, <<"peek_wide">>, [1500000])).

memory_bytes_are_those_of_the_restored_instance_test() ->
    Instance = evolved(),
    Start = start(),
    #{memory_bytes := Grown} = wasmbeam:info(Instance),
    #{memory_bytes := Fresh} = wasmbeam:info(Start),
    ok = wasmbeam:deserialize(Start, snapshot(Instance)),
    ok = wasmbeam:reset(Instance),
    ?assertMatch(#{memory_bytes := Grown}, wasmbeam:info(Start)),
    ?assertMatch(#{memory_bytes := Fresh}, wasmbeam:info(Instance)).

%% Damage

damaged_snapshots_are_errors_test_() ->
    {timeout, 60, fun() ->
        Instance = start(),
        call(Instance, <<"increment">>, []),
        {ok, Snapshot} = wasmbeam:serialize(Instance, #{compression => lz4}),
        lists:foldl(fun(_, Random) -> damaged(Instance, Snapshot, Random) end,
                    rand:seed_s(exsss, 7), lists:seq(1, 5000)),
        ?assertEqual(1, call(Instance, <<"count">>, []))
    end}.

damaged(Instance, Snapshot, R0) ->
    {At, R1} = rand:uniform_s(byte_size(Snapshot), R0),
    {Bit, R2} = rand:uniform_s(8, R1),
    <<Head:(At - 1)/binary, Byte, Tail/binary>> = Snapshot,
    Damaged = case At rem 3 of
        0 -> Head;
        _ -> <<Head/binary, (Byte bxor (1 bsl (Bit - 1))), Tail/binary>>
    end,
    ?assertMatch({error, {bad_snapshot, _}}, wasmbeam:deserialize(Instance, Damaged)),
    R2.

large_tables_are_made_anew_where_it_keeps_nobody_waiting_test() ->
    {ok, Instance} = wasmbeam:start(<<"(module (table (export \"t\") 0 funcref))">>),
    {ok, 0} = wasmbeam:table_grow(Instance, <<"t">>, 20000, null),
    {ok, Snapshot} = wasmbeam:serialize(Instance),
    {ok, Ref} = wasmbeam_call:reference(Instance),
    %% Once it has been read, nothing but its tables takes long.
    ok = wasmbeam:deserialize(Instance, Snapshot),
    ?assertEqual(later, wasmbeam_nif:instance_deserialize(Ref, Snapshot)),
    ?assertEqual(later, wasmbeam_nif:instance_fork(Ref, self())),
    {ok, Fork} = wasmbeam:fork(Instance),
    ?assertEqual({ok, 20000}, wasmbeam:table_size(Fork, <<"t">>)),
    ?assertEqual(later, wasmbeam_nif:instance_reset(Ref)),
    ok = wasmbeam:reset(Instance),
    ?assertEqual({ok, 0}, wasmbeam:table_size(Instance, <<"t">>)).
