-module(wasmbeam_global_tests).

-include_lib("eunit/include/eunit.hrl").

-define(SOURCE, "(module
    (global $i (export \"i32\") (mut i32) (i32.const 1))
    (global (export \"i64\") (mut i64) (i64.const 2))
    (global (export \"f32\") (mut f32) (f32.const 3))
    (global (export \"f64\") (mut f64) (f64.const nan:0x123))
    (global (export \"v128\") (mut v128) (v128.const i64x2 1 2))
    (global (export \"extern\") (mut externref) (ref.null extern))
    (global (export \"func\") (mut funcref) (ref.func $get))
    (global (export \"constant\") i32 (i32.const 7))
    (global $hidden (mut i32) (i32.const 0))
    (memory (export \"memory\") 1)
    (func $get (export \"get\") (result i32) global.get $i))").

global_test_() ->
    {foreach, fun() -> wasmbeam_fixture:start(?SOURCE) end, fun wasmbeam:stop/1,
     [{with, [Test]} || Test <- [
         fun the_first_value_is_that_of_the_module/1,
         fun what_is_set_is_got/1,
         fun the_guest_sees_what_is_set/1,
         fun a_function_is_a_value/1,
         fun a_constant_cannot_be_set/1,
         fun a_value_of_another_type_is_a_bad_argument/1,
         fun what_is_no_exported_global_is_unknown/1,
         fun what_is_no_name_is_a_bad_argument/1
     ]]}.

the_first_value_is_that_of_the_module(I) ->
    [?assertEqual({ok, Value}, wasmbeam:global_get(I, Name))
     || {Name, Value} <- [{<<"i32">>, 1}, {<<"i64">>, 2}, {<<"f32">>, 3.0},
                          {<<"f64">>, {nan, 16#7ff0000000000123}},
                          {<<"v128">>, <<1:64/little, 2:64/little>>}, {<<"extern">>, null},
                          {<<"constant">>, 7}]].

what_is_set_is_got(I) ->
    [begin
         ok = wasmbeam:global_set(I, Name, Value),
         ?assertEqual({ok, Value}, wasmbeam:global_get(I, Name))
     end || {Name, Value} <- [{<<"i32">>, -5}, {<<"i64">>, 1 bsl 40}, {<<"f32">>, neg_infinity},
                              {<<"f64">>, 1.5}, {<<"v128">>, <<9:128>>},
                              {<<"extern">>, {any, #{term => self()}}}]],
    ok = wasmbeam:global_set(I, <<"i32">>, 16#ffffffff),
    ?assertEqual({ok, -1}, wasmbeam:global_get(I, <<"i32">>)).

the_guest_sees_what_is_set(I) ->
    ok = wasmbeam:global_set(I, <<"i32">>, 99),
    ?assertEqual({ok, [99]}, wasmbeam:call(I, <<"get">>, [])).

a_function_is_a_value(I) ->
    {ok, Get} = wasmbeam:global_get(I, <<"func">>),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, Get, [])),
    ok = wasmbeam:global_set(I, <<"func">>, null),
    ?assertEqual({ok, null}, wasmbeam:global_get(I, <<"func">>)),
    ok = wasmbeam:global_set(I, <<"func">>, Get).

a_constant_cannot_be_set(I) ->
    ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:global_set(I, <<"constant">>, 8))),
    ?assertEqual({ok, 7}, wasmbeam:global_get(I, <<"constant">>)).

a_value_of_another_type_is_a_bad_argument(I) ->
    {error, {bad_argument, Info}} = wasmbeam:global_set(I, <<"i32">>, x),
    ?assertMatch(#{expected := <<"a value of type i32">>, value := x, message := _}, Info),
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:global_set(I, Name, Value)))
     || {Name, Value} <- [{<<"i32">>, 1 bsl 32}, {<<"i64">>, 1.0}, {<<"f32">>, 1.0e39},
                          {<<"f64">>, x}, {<<"v128">>, <<1>>}, {<<"func">>, 5}]],
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"get">>, [])).

what_is_no_exported_global_is_unknown(I) ->
    [begin
         ?assertMatch({error, {unknown_export, #{name := Name, kind := global, message := _}}},
                      wasmbeam:global_get(I, Name)),
         ?assertMatch({error, {unknown_export, _}}, wasmbeam:global_set(I, Name, 1))
     end || Name <- [<<"nobody">>, <<"hidden">>, <<"memory">>, <<"get">>, <<>>]].

what_is_no_name_is_a_bad_argument(I) ->
    [begin
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:global_get(I, Name))),
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:global_set(I, Name, 1)))
     end || Name <- [{i32}, [i32], 0, [], <<1:7>>, <<255>>, self()]].

what_is_no_instance_is_a_bad_argument_test() ->
    [?assert(wasmbeam_fixture:answers(bad_argument, Answer))
     || Term <- wasmbeam_fixture:not_instances(),
        Answer <- [wasmbeam:global_get(Term, <<"g">>), wasmbeam:global_set(Term, <<"g">>, 1)]].
