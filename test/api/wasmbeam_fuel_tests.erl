-module(wasmbeam_fuel_tests).

-include_lib("eunit/include/eunit.hrl").

-define(SOURCE, "(module (import \"env\" \"f\" (func $f))
    (func (export \"one\") (result i32) i32.const 1)
    (func (export \"forever\") (loop br 0))
    (func (export \"import\") call $f)
    (func (export \"count\") (param i32)
      (loop $again
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br_if $again (local.get 0)))))").

without_fuel_none_is_counted_test() ->
    I = start(#{}),
    ?assertMatch(#{fuel := infinity}, wasmbeam:info(I)),
    J = start(#{fuel => infinity}),
    ?assertMatch(#{fuel := infinity}, wasmbeam:info(J)).

the_same_work_takes_the_same_fuel_test() ->
    Used = [begin
                I = start(#{fuel => 1000000}),
                {ok, []} = wasmbeam:call(I, <<"count">>, [1000]),
                1000000 - fuel(I)
            end || _ <- lists:seq(1, 5)],
    ?assertMatch([Same, Same, Same, Same, Same] when Same > 1000, Used).

work_and_fuel_grow_alike_test() ->
    [F0, F10, F20] = [begin
                          I = start(#{fuel => 1000000}),
                          {ok, []} = wasmbeam:call(I, <<"count">>, [N]),
                          1000000 - fuel(I)
                      end || N <- [1, 11, 21]],
    ?assertEqual(F10 - F0, F20 - F10).

fuel_does_not_depend_on_slices_test() ->
    %% Long enough to be given more than one slice of time.
    [A, B] = [begin
                  I = start(#{fuel => 1 bsl 60}),
                  {ok, []} = wasmbeam:call(I, <<"count">>, [10000000]),
                  (1 bsl 60) - fuel(I)
              end || _ <- [1, 2]],
    ?assertEqual(A, B).

the_last_unit_can_be_used_test() ->
    I = start(#{fuel => 1000}),
    {ok, [1]} = wasmbeam:call(I, <<"one">>, []),
    Cost = 1000 - fuel(I),
    ?assertMatch({ok, [1]}, wasmbeam:call(start(#{fuel => Cost}), <<"one">>, [])),
    ?assertEqual(0, begin J = start(#{fuel => Cost}), wasmbeam:call(J, <<"one">>, []), fuel(J) end),
    ?assertMatch({error, {out_of_fuel, _}}, wasmbeam:call(start(#{fuel => Cost - 1}), <<"one">>, [])).

a_call_without_fuel_ends_test() ->
    I = start(#{fuel => 10000}),
    Answer = wasmbeam:call(I, <<"forever">>, []),
    ?assert(wasmbeam_fixture:answers(out_of_fuel, Answer)),
    ?assertEqual(0, fuel(I)),
    ?assertMatch({error, {out_of_fuel, _}}, wasmbeam:call(I, <<"one">>, [])),
    ?assertMatch(#{state := idle}, wasmbeam:info(I)).

a_call_can_have_less_than_there_is_test() ->
    I = start(#{fuel => 10000}),
    ?assertMatch({error, {out_of_fuel, _}}, wasmbeam:call(I, <<"forever">>, [], #{fuel => 100})),
    ?assertEqual(9900, fuel(I)),
    ?assertMatch({ok, [1]}, wasmbeam:call(I, <<"one">>, [], #{fuel => 100})),
    ?assert(fuel(I) > 9800),
    ?assertMatch({ok, [1]}, wasmbeam:call(I, <<"one">>, [], #{fuel => infinity})).

a_call_cannot_have_more_than_there_is_test() ->
    I = start(#{fuel => 500}),
    ?assertMatch({error, {out_of_fuel, _}}, wasmbeam:call(I, <<"forever">>, [], #{fuel => 1000000})),
    ?assertEqual(0, fuel(I)).

a_call_with_no_fuel_does_nothing_test() ->
    I = start(#{fuel => 500}),
    ?assertMatch({error, {out_of_fuel, _}}, wasmbeam:call(I, <<"one">>, [], #{fuel => 0})),
    ?assertEqual(500, fuel(I)).

fuel_is_told_while_an_import_runs_test() ->
    Test = self(),
    I = start(#{fuel => 1000, imports => #{<<"env">> => #{<<"f">> => fun([], #{instance := I}) ->
        Test ! {fuel, fuel(I)}, [] end}}}),
    {ok, []} = wasmbeam:call(I, <<"import">>, []),
    After = fuel(I),
    receive {fuel, During} -> ?assert(During < 1000 andalso During >= After) end.

a_nested_call_uses_what_the_outer_has_test() ->
    I = start(#{fuel => 10000, imports => #{<<"env">> => #{<<"f">> => fun([], #{instance := I}) ->
        {error, {out_of_fuel, _}} = wasmbeam:call(I, <<"forever">>, [], #{fuel => 50}),
        [] end}}}),
    ?assertMatch({ok, []}, wasmbeam:call(I, <<"import">>, [], #{fuel => 1000})),
    ?assert(fuel(I) =< 9950 andalso fuel(I) > 9000).

a_reset_brings_the_fuel_back_test() ->
    I = start(#{fuel => 500}),
    {error, {out_of_fuel, _}} = wasmbeam:call(I, <<"forever">>, []),
    {ok, Fork} = wasmbeam:fork(I),
    ?assertEqual(0, fuel(Fork)),
    [begin
         ?assertEqual(ok, wasmbeam:reset(Instance)),
         ?assertEqual(500, fuel(Instance)),
         ?assertEqual({ok, [1]}, wasmbeam:call(Instance, <<"one">>, []))
     end || Instance <- [I, Fork, I]].

a_snapshot_does_not_bring_fuel_test() ->
    I = start(#{fuel => 500}),
    {ok, Snapshot} = wasmbeam:serialize(I),
    {error, {out_of_fuel, _}} = wasmbeam:call(I, <<"forever">>, []),
    ok = wasmbeam:deserialize(I, Snapshot),
    ?assertEqual(0, fuel(I)),
    {ok, Restored} = wasmbeam:restore(iolist_to_binary(?SOURCE), Snapshot, #{fuel => 70}),
    {error, {out_of_fuel, _}} = wasmbeam:call(Restored, <<"forever">>, []),
    ok = wasmbeam:reset(Restored),
    ?assertEqual(70, fuel(Restored)).

a_number_of_units_that_cannot_be_is_a_bad_argument_test() ->
    [begin
         ?assertMatch({error, {bad_argument, #{key := fuel, value := Fuel}}},
                      wasmbeam:start(iolist_to_binary(?SOURCE), #{fuel => Fuel})),
         ?assertMatch({error, {bad_argument, #{key := fuel, value := Fuel}}},
                      wasmbeam:call(start(#{fuel => 5}), <<"one">>, [], #{fuel => Fuel}))
     end || Fuel <- [-1, 1 bsl 64, 1.5, many, <<"5">>]].

start(Options) ->
    wasmbeam_fixture:start(?SOURCE, Options).

fuel(I) ->
    #{fuel := Fuel} = wasmbeam:info(I),
    Fuel.
