-module(wasmbeam_limits_tests).

-include_lib("eunit/include/eunit.hrl").

-define(PAGE, 65536).
-define(GROWING, "(module (memory (export \"m\") 1) (table $t (export \"t\") 2 externref)
    (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export \"grow_table\") (param i32) (result i32)
      (table.grow $t (ref.null extern) (local.get 0))))").

memory_counts_at_the_start_test() ->
    Source = <<"(module (memory 2))">>,
    ?assertMatch({ok, _}, wasmbeam:start(Source, memory(2 * ?PAGE))),
    Answer = wasmbeam:start(Source, memory(2 * ?PAGE - 1)),
    ?assert(wasmbeam_fixture:answers(limit, Answer)),
    ?assertMatch({error, {limit, #{what := <<"bytes of memory">>, limit := 131071,
                                   requested := 131072}}}, Answer),
    ?assertMatch({error, {limit, _}}, wasmbeam:start(Source, memory(0))).

memories_count_together_test() ->
    Source = <<"(module (memory 2) (memory 2))">>,
    ?assertMatch({error, {limit, #{limit := 196608, requested := 262144}}},
                 wasmbeam:start(Source, memory(3 * ?PAGE))),
    ?assertMatch({ok, _}, wasmbeam:start(Source, memory(4 * ?PAGE))).

a_guest_that_asks_for_too_much_memory_gets_minus_one_test() ->
    I = wasmbeam_fixture:start(?GROWING, memory(3 * ?PAGE)),
    ?assertEqual({ok, [-1]}, wasmbeam:call(I, <<"grow">>, [3])),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"grow">>, [2])),
    ?assertEqual({ok, [-1]}, wasmbeam:call(I, <<"grow">>, [1])),
    ?assertEqual({ok, [3]}, wasmbeam:call(I, <<"grow">>, [0])),
    ?assertMatch({error, {limit, #{limit := 196608, requested := 262144}}},
                 wasmbeam:memory_grow(I, 1)),
    ?assertMatch(#{memory_bytes := 196608}, wasmbeam:info(I)).

a_growth_that_the_module_forbids_does_not_count_test() ->
    I = wasmbeam_fixture:start(
        "(module (memory (export \"m\") 1 2) (memory $n 0)
           (func (export \"f\") (result i32) (memory.grow (i32.const 5)))
           (func (export \"n\") (result i32) (memory.grow $n (i32.const 3))))", memory(4 * ?PAGE)),
    ?assertMatch({error, {limit, #{limit := 2}}}, wasmbeam:memory_grow(I, 5)),
    ?assertEqual({ok, [0]}, wasmbeam:call(I, <<"n">>, [])).

a_growth_that_cannot_be_takes_nothing_back_test() ->
    I = wasmbeam_fixture:start(
        "(module (memory $m 1) (memory $bytes 0 (pagesize 1)) (table $t i64 1 externref)
           (func (export \"memory\") (param i32) (result i32) (memory.grow $m (local.get 0)))
           (func (export \"bytes\") (param i32) (result i32) (memory.grow $bytes (local.get 0)))
           (func (export \"table\") (param i64) (result i64)
             (table.grow $t (ref.null extern) (local.get 0))))",
        #{limits => #{memory => 3 * ?PAGE, table_elements => 5}}),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"memory">>, [2])),
    ?assertEqual({ok, [-1]}, wasmbeam:call(I, <<"bytes">>, [-1])),
    ?assertEqual({ok, [-1]}, wasmbeam:call(I, <<"memory">>, [1])),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"table">>, [4])),
    ?assertEqual({ok, [-1]}, wasmbeam:call(I, <<"table">>, [-1])),
    ?assertEqual({ok, [-1]}, wasmbeam:call(I, <<"table">>, [1])),
    ?assertMatch(#{memory_bytes := 196608, table_elements := 5}, wasmbeam:info(I)).

table_elements_count_test() ->
    ?assertMatch({error, {limit, #{what := <<"table elements">>, limit := 1, requested := 2}}},
                 wasmbeam:start(iolist_to_binary(?GROWING), #{limits => #{table_elements => 1}})),
    I = wasmbeam_fixture:start(?GROWING, #{limits => #{table_elements => 5}}),
    ?assertEqual({ok, [-1]}, wasmbeam:call(I, <<"grow_table">>, [4])),
    ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"grow_table">>, [3])),
    ?assertMatch({error, {limit, #{limit := 5, requested := 6}}},
                 wasmbeam:table_grow(I, <<"t">>, 1, null)).

memories_and_tables_are_counted_test() ->
    [begin
         ?assertMatch({error, {limit, #{what := What, limit := 1, requested := 2, message := _}}},
                      wasmbeam:start(Source, #{limits => #{Name => 1}})),
         ?assertMatch({ok, _}, wasmbeam:start(Source, #{limits => #{Name => 2}}))
     end || {Name, What, Source} <- [
         {memories, <<"memories">>, <<"(module (memory 1) (memory 1))">>},
         {tables, <<"tables">>, <<"(module (table 1 funcref) (table 1 funcref))">>}]].

instances_of_a_store_are_counted_test() ->
    A = wasmbeam_fixture:start("(module)", #{limits => #{instances => 2}}),
    {ok, _} = wasmbeam:start(<<"(module)">>, #{store => A}),
    ?assertMatch({error, {limit, #{what := <<"instances">>, limit := 2, requested := 3}}},
                 wasmbeam:start(<<"(module)">>, #{store => A})),
    ?assertMatch({error, {limit, #{what := <<"instances">>, limit := 0}}},
                 wasmbeam:start(<<"(module)">>, #{limits => #{instances => 0}})).

limits_hold_for_all_instances_of_the_store_test() ->
    A = wasmbeam_fixture:start("(module (memory 1))", memory(2 * ?PAGE)),
    {ok, _} = wasmbeam:start(<<"(module (memory 1))">>, #{store => A}),
    ?assertMatch({error, {limit, _}}, wasmbeam:memory_grow(A, 1)),
    ?assertMatch({error, {limit, _}}, wasmbeam:start(<<"(module (memory 1))">>, #{store => A})).

new_imports_count_test() ->
    ?assertMatch({error, {limit, #{requested := 131072}}},
                 wasmbeam:start(<<"(module (import \"e\" \"m\" (memory 2)))">>,
                                (memory(?PAGE))#{imports => #{<<"e">> => #{<<"m">> => new}}})).

the_heap_of_objects_counts_as_memory_test() ->
    I = wasmbeam_fixture:start(
        "(module (type $a (array (mut i64))) (type $l (struct (field (ref null $l)) (field (ref $a))))
           (global $kept (mut (ref null $l)) (ref.null $l))
           (func (export \"hoard\") (loop $more
             (global.set $kept (struct.new $l (global.get $kept)
                                              (array.new_default $a (i32.const 10000))))
             (br $more)))
           (func (export \"forget\") (global.set $kept (ref.null $l)))
           (func (export \"one\") (result i32) i32.const 1))", memory(8 bsl 20)),
    Answer = wasmbeam:call(I, <<"hoard">>, []),
    ?assert(wasmbeam_fixture:answers(limit, Answer)),
    {ok, []} = wasmbeam:call(I, <<"forget">>, []),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"one">>, [])),
    #{memory_bytes := Bytes} = wasmbeam:info(I),
    ?assert(Bytes =< 8 bsl 20).

memory(Bytes) ->
    #{limits => #{memory => Bytes}}.
