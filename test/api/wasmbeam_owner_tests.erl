-module(wasmbeam_owner_tests).

-include_lib("eunit/include/eunit.hrl").

-define(SOURCE, "(module (func (export \"one\") (result i32) i32.const 1))").

an_instance_ends_with_the_process_that_started_it_test() ->
    {I, Owner} = started_elsewhere(#{}),
    ?assertMatch(#{owner := Owner}, wasmbeam:info(I)),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"one">>, [])),
    ends(Owner),
    stopped(I).

another_process_can_be_the_owner_from_the_start_test() ->
    Owner = waiting(),
    {I, Starter} = started_elsewhere(#{owner => Owner}),
    ends(Starter),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"one">>, [])),
    ends(Owner),
    stopped(I).

an_instance_without_an_owner_outlives_who_started_it_test() ->
    {I, Starter} = started_elsewhere(#{owner => none}),
    ?assertMatch(#{owner := none}, wasmbeam:info(I)),
    ends(Starter),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"one">>, [])),
    ok = wasmbeam:stop(I).

an_instance_can_be_given_away_test() ->
    {I, First} = started_elsewhere(#{}),
    Second = waiting(),
    ok = wasmbeam:give_away(I, Second),
    ?assertMatch(#{owner := Second}, wasmbeam:info(I)),
    ends(First),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"one">>, [])),
    ends(Second),
    stopped(I).

an_instance_can_be_given_to_nobody_test() ->
    {I, Owner} = started_elsewhere(#{}),
    ok = wasmbeam:give_away(I, none),
    ok = wasmbeam:give_away(I, none),
    ?assertMatch(#{owner := none}, wasmbeam:info(I)),
    ends(Owner),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"one">>, [])).

an_instance_can_be_given_to_its_owner_test() ->
    {I, Owner} = started_elsewhere(#{}),
    ok = wasmbeam:give_away(I, Owner),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"one">>, [])),
    ends(Owner),
    stopped(I).

what_is_no_live_process_cannot_own_test() ->
    I = wasmbeam_fixture:start(?SOURCE),
    Dead = waiting(),
    ends(Dead),
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:give_away(I, Term)))
     || Term <- [Dead, undefined, make_ref(), "pid", 0, [], {}, <<>>]],
    ?assert(wasmbeam_fixture:answers(bad_argument,
                                     wasmbeam:start(iolist_to_binary(?SOURCE), #{owner => Dead}))),
    Owner = self(),
    ?assertMatch(#{owner := Owner}, wasmbeam:info(I)),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"one">>, [])).

what_is_no_instance_cannot_be_given_away_test() ->
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:give_away(Term, self())))
     || Term <- wasmbeam_fixture:not_instances()].

the_death_of_the_owner_ends_a_call_of_another_process_test() ->
    Owner = waiting(),
    I = wasmbeam_fixture:start(wasmbeam_fixture:spinning(), #{owner => Owner,
        imports => #{<<"env">> => #{<<"entered">> => wasmbeam_fixture:gate()}}}),
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"spin">>, []),
    receive {at_gate, Pid, []} -> wasmbeam_fixture:open(Pid) end,
    ends(Owner),
    ?assertMatch({error, {stopped, _}}, wasmbeam_fixture:result(Call)).

the_death_of_a_former_owner_in_mid_call_is_still_noticed_test() ->
    Test = self(),
    Owner = {Pid, _} = spawn_monitor(fun() ->
        I = wasmbeam_fixture:start(wasmbeam_fixture:spinning(), #{on_interrupt => keep,
            imports => #{<<"env">> => #{<<"entered">> => fun([], #{instance := I}) ->
                ok = wasmbeam:give_away(I, Test),
                Test ! {given, I},
                receive never -> [] end
            end}}}),
        wasmbeam:call(I, <<"pass">>, [])
    end),
    I = receive {given, Given} -> Given end,
    exit(Pid, kill),
    ?assertEqual({died, killed}, wasmbeam_fixture:result(Owner)),
    ?assertEqual({ok, [42]}, wasmbeam:call(I, <<"answer">>, [])).

a_thousand_instances_end_with_their_owner_test() ->
    Test = self(),
    Owner = spawn(fun() ->
        Test ! {instances, [wasmbeam_fixture:start(?SOURCE) || _ <- lists:seq(1, 1000)]},
        receive stop -> ok end
    end),
    Instances = receive {instances, Started} -> Started end,
    ends(Owner),
    [stopped(I) || I <- Instances].

started_elsewhere(Options) ->
    Test = self(),
    Pid = spawn(fun() ->
        Test ! {self(), wasmbeam_fixture:start(?SOURCE, Options)},
        receive stop -> ok end
    end),
    receive {Pid, I} -> {I, Pid} end.

waiting() ->
    spawn(fun() -> receive stop -> ok end end).

ends(Pid) ->
    Monitor = monitor(process, Pid),
    Pid ! stop,
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

%% The library hears of the death at about the time that we do.
stopped(I) ->
    wasmbeam_fixture:await(fun() -> #{state := S} = wasmbeam:info(I), S =:= stopped end),
    ?assertMatch({error, {stopped, #{message := _}}}, wasmbeam:call(I, <<"one">>, [])).
