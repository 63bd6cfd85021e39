-module(wasmbeam_table_tests).

-include_lib("eunit/include/eunit.hrl").

-define(SOURCE, "(module
    (table $f (export \"functions\") 3 10 funcref)
    (table (export \"terms\") 2 externref)
    (table 5 funcref)
    (elem (table $f) (i32.const 0) func $one)
    (memory (export \"memory\") 1)
    (func $one (export \"one\") (result i32) i32.const 1)
    (func (export \"size\") (result i32) table.size $f)
    (func (export \"call\") (param i32) (result i32)
      (call_indirect $f (result i32) (local.get 0))))").

table_test_() ->
    {foreach, fun() -> wasmbeam_fixture:start(?SOURCE) end, fun wasmbeam:stop/1,
     [{with, [Test]} || Test <- [
         fun tables_have_a_size/1,
         fun what_is_set_is_got/1,
         fun the_guest_calls_what_is_set/1,
         fun tables_grow/1,
         fun growing_too_much_is_a_limit/1,
         fun an_index_beyond_the_end_is_out_of_bounds/1,
         fun what_is_no_index_is_a_bad_argument/1,
         fun a_value_of_another_type_is_a_bad_argument/1,
         fun what_is_no_table_is_unknown/1,
         fun what_names_no_table_is_a_bad_argument/1
     ]]}.

tables_have_a_size(I) ->
    [?assertEqual({ok, Size}, wasmbeam:table_size(I, Table))
     || {Table, Size} <- [{<<"functions">>, 3}, {<<"terms">>, 2}, {0, 3}, {1, 2}, {2, 5}]].

what_is_set_is_got(I) ->
    ?assertEqual({ok, null}, wasmbeam:table_get(I, <<"terms">>, 1)),
    ok = wasmbeam:table_set(I, <<"terms">>, 1, {any, term}),
    ?assertEqual({ok, {any, term}}, wasmbeam:table_get(I, <<"terms">>, 1)),
    ?assertEqual({ok, {any, term}}, wasmbeam:table_get(I, 1, 1)),
    ?assertEqual({ok, null}, wasmbeam:table_get(I, <<"terms">>, 0)).

the_guest_calls_what_is_set(I) ->
    {ok, One} = wasmbeam:table_get(I, <<"functions">>, 0),
    ok = wasmbeam:table_set(I, <<"functions">>, 2, One),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"call">>, [2])),
    ok = wasmbeam:table_set(I, <<"functions">>, 2, null),
    ?assertMatch({error, {trap, #{code := indirect_call_to_null}}}, wasmbeam:call(I, <<"call">>, [2])).

tables_grow(I) ->
    {ok, One} = wasmbeam:table_get(I, <<"functions">>, 0),
    ?assertEqual({ok, 3}, wasmbeam:table_grow(I, <<"functions">>, 2, One)),
    ?assertEqual({ok, 5}, wasmbeam:table_size(I, <<"functions">>)),
    ?assertEqual({ok, [5]}, wasmbeam:call(I, <<"size">>, [])),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"call">>, [4])),
    ?assertEqual({ok, 5}, wasmbeam:table_grow(I, <<"functions">>, 0, null)),
    ?assertEqual({ok, 2}, wasmbeam:table_grow(I, <<"terms">>, 1, [term])),
    ?assertEqual({ok, [term]}, wasmbeam:table_get(I, <<"terms">>, 2)).

growing_too_much_is_a_limit(I) ->
    ?assertMatch({error, {limit, #{limit := 10, requested := 11, what := _, message := _}}},
                 wasmbeam:table_grow(I, <<"functions">>, 8, null)),
    [?assert(wasmbeam_fixture:answers(limit, wasmbeam:table_grow(I, Table, Delta, null)))
     || Table <- [<<"functions">>, <<"terms">>],
        Delta <- [1 bsl 30, 1 bsl 32, 1 bsl 46, (1 bsl 64) - 1, 1 bsl 64, 1 bsl 100]],
    [begin
         Requested = 3 + Delta,
         ?assertMatch({error, {limit, #{requested := Requested}}},
                      wasmbeam:table_grow(I, <<"functions">>, Delta, null))
     end || Delta <- [8, 1 bsl 63, (1 bsl 64) - 1, 1 bsl 64, 1 bsl 100]],
    ?assertEqual({ok, 3}, wasmbeam:table_size(I, <<"functions">>)).

an_index_beyond_the_end_is_out_of_bounds(I) ->
    ?assertMatch({error, {out_of_bounds, #{offset := 3, size := 1, bound := 3, message := _}}},
                 wasmbeam:table_get(I, <<"functions">>, 3)),
    [begin
         ?assert(wasmbeam_fixture:answers(out_of_bounds, wasmbeam:table_get(I, 0, Index))),
         ?assert(wasmbeam_fixture:answers(out_of_bounds, wasmbeam:table_set(I, 0, Index, null)))
     end || Index <- [3, 1 bsl 32, 1 bsl 46, 1 bsl 63, (1 bsl 64) - 1, 1 bsl 64, 1 bsl 100, -1,
                      -(1 bsl 64)]].

what_is_no_index_is_a_bad_argument(I) ->
    [begin
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:table_get(I, 0, Index))),
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:table_set(I, 0, Index, null))),
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:table_grow(I, 0, Index, null)))
     end || Index <- [1.0, one, <<>>, [], self()]],
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:table_grow(I, 0, Negative, null)))
     || Negative <- [-1, -(1 bsl 64)]],
    ?assertEqual({ok, 3}, wasmbeam:table_size(I, 0)).

a_value_of_another_type_is_a_bad_argument(I) ->
    [begin
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:table_set(I, 0, 0, Value))),
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:table_grow(I, 0, 1, Value)))
     end || Value <- [5, one, <<"one">>, fun() -> ok end, {funcref, make_ref()}, make_ref()]],
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"call">>, [0])).

what_is_no_table_is_unknown(I) ->
    [begin
         {error, {unknown_export, Info}} = wasmbeam:table_size(I, Table),
         ?assertMatch(#{kind := table, message := _}, Info),
         Key = case is_integer(Table) of true -> index; false -> name end,
         ?assertEqual(Table, map_get(Key, Info)),
         ?assertMatch({error, {unknown_export, _}}, wasmbeam:table_get(I, Table, 0)),
         ?assertMatch({error, {unknown_export, _}}, wasmbeam:table_set(I, Table, 0, null)),
         ?assertMatch({error, {unknown_export, _}}, wasmbeam:table_grow(I, Table, 0, null))
     end || Table <- [<<"nobody">>, <<"memory">>, <<"one">>, 3, 16#ffffffff]].

what_names_no_table_is_a_bad_argument(I) ->
    [begin
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:table_size(I, Table))),
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:table_get(I, Table, 0))),
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:table_set(I, Table, 0, null))),
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:table_grow(I, Table, 0, null)))
     end || Table <- [{functions}, [functions], -1, 1.0, 1 bsl 40, [], self()]].

what_is_no_instance_is_a_bad_argument_test() ->
    [?assert(wasmbeam_fixture:answers(bad_argument, Answer))
     || Term <- wasmbeam_fixture:not_instances(),
        Answer <- [wasmbeam:table_size(Term, 0), wasmbeam:table_get(Term, 0, 0),
                   wasmbeam:table_set(Term, 0, 0, null), wasmbeam:table_grow(Term, 0, 1, null)]].
