-module(wasmbeam_values_tests).

-include_lib("eunit/include/eunit.hrl").

%% Each test gets an instance of values.wat.
values_test_() ->
    {foreach,
     fun() -> wasmbeam_fixture:start(wasmbeam_fixture:source("values")) end,
     fun wasmbeam:stop/1,
     [{with, [Test]} || Test <- [
         fun integers_come_back_signed/1,
         fun integers_out_of_range_are_bad_arguments/1,
         fun what_is_no_integer_is_a_bad_argument/1,
         fun floats_come_back_bit_by_bit/1,
         fun what_erlang_cannot_hold_has_a_name/1,
         fun nans_keep_their_payload/1,
         fun the_canonical_nan_has_two_spellings/1,
         fun bits_that_are_no_nan_are_bad_arguments/1,
         fun every_pattern_of_bits_survives/1,
         fun integers_are_floats_too/1,
         fun integers_of_any_size_are_rounded_to_the_nearest_float/1,
         fun numbers_too_large_for_the_type_are_bad_arguments/1,
         fun floats_are_rounded_to_single_precision/1,
         fun what_is_no_float_is_a_bad_argument/1,
         fun vectors_are_16_bytes_little_endian/1,
         fun what_is_no_vector_is_a_bad_argument/1,
         fun any_term_is_an_externref/1,
         fun null_is_the_null_reference/1,
         fun a_kept_term_survives/1,
         fun a_kept_term_does_not_depend_on_the_process_that_gave_it/1,
         fun functions_come_back_and_can_be_called/1,
         fun a_function_of_another_store_is_refused/1,
         fun a_typed_function_parameter_takes_functions_of_its_type_only/1,
         fun what_is_no_function_is_a_bad_argument/1,
         fun i31_has_31_bits/1,
         fun structures_keep_their_identity/1,
         fun arrays_come_back/1,
         fun exceptions_are_values/1,
         fun an_object_of_another_type_is_refused/1,
         fun an_object_of_another_store_is_refused/1,
         fun references_outlive_the_collection_of_garbage/1,
         fun terms_go_through_the_any_hierarchy/1,
         fun the_type_none_holds_null_only/1,
         fun all_types_in_one_call/1,
         fun random_values_come_back/1
     ]]}.

integers_come_back_signed(I) ->
    [?assertEqual({Type, Given, Expected}, {Type, Given, echo(I, Type, Given)})
     || {Type, Given, Expected} <- [
         {<<"i32">>, 0, 0}, {<<"i32">>, -1, -1}, {<<"i32">>, 16#ffffffff, -1},
         {<<"i32">>, 16#7fffffff, 16#7fffffff}, {<<"i32">>, 16#80000000, -16#80000000},
         {<<"i32">>, -16#80000000, -16#80000000},
         {<<"i64">>, 0, 0}, {<<"i64">>, -1, -1}, {<<"i64">>, 16#ffffffffffffffff, -1},
         {<<"i64">>, 16#7fffffffffffffff, 16#7fffffffffffffff},
         {<<"i64">>, 16#8000000000000000, -16#8000000000000000},
         {<<"i64">>, -16#8000000000000000, -16#8000000000000000},
         {<<"i64">>, 16#ffffffff, 16#ffffffff}]].

integers_out_of_range_are_bad_arguments(I) ->
    refused(I, <<"i32">>, [16#100000000, -16#80000001, 1 bsl 63, 1 bsl 64, -(1 bsl 64), 1 bsl 100,
                           1 bsl 5000]),
    refused(I, <<"i64">>, [1 bsl 64, -16#8000000000000001, 1 bsl 100, -(1 bsl 100), 1 bsl 5000]).

what_is_no_integer_is_a_bad_argument(I) ->
    Terms = [1.0, infinity, nan, null, true, <<"1">>, "1", [], {}, #{}, self(), make_ref()],
    refused(I, <<"i32">>, Terms),
    refused(I, <<"i64">>, Terms).

floats_come_back_bit_by_bit(I) ->
    F64 = [0.0, -0.0, 1.0, -1.5, 0.1, 5.0e-324, -5.0e-324, 2.2250738585072014e-308,
           2.225073858507201e-308, 1.7976931348623157e308, -1.7976931348623157e308],
    [?assertEqual(<<F/float>>, <<(echo(I, <<"f64">>, F))/float>>) || F <- F64],
    F32 = [0.0, -0.0, 1.0, -1.5, 1.401298464324817e-45, -1.401298464324817e-45,
           1.1754943508222875e-38, 1.1754942106924411e-38, 3.4028234663852886e38,
           -3.4028234663852886e38],
    [?assertEqual(<<F/float>>, <<(echo(I, <<"f32">>, F))/float>>) || F <- F32].

what_erlang_cannot_hold_has_a_name(I) ->
    [begin
         ?assertEqual(Name, echo(I, Type, Name)),
         ?assertEqual({ok, [Bits]}, wasmbeam:call(I, <<Type/binary, "_bits">>, [Name]))
     end || {Type, Name, Bits} <- [
         {<<"f32">>, infinity, 16#7f800000}, {<<"f32">>, neg_infinity, signed(32, 16#ff800000)},
         {<<"f32">>, nan, 16#7fc00000},
         {<<"f64">>, infinity, 16#7ff0000000000000},
         {<<"f64">>, neg_infinity, signed(64, 16#fff0000000000000)},
         {<<"f64">>, nan, 16#7ff8000000000000}]].

nans_keep_their_payload(I) ->
    [begin
         ?assertEqual({nan, Bits}, echo(I, <<"f32">>, {nan, Bits})),
         ?assertEqual({ok, [signed(32, Bits)]}, wasmbeam:call(I, <<"f32_bits">>, [{nan, Bits}]))
     end || Bits <- [16#7f800001, 16#7fbfffff, 16#7fc00001, 16#7fffffff, 16#ff800001, 16#ffc00000,
                     16#ffffffff]],
    [begin
         ?assertEqual({nan, Bits}, echo(I, <<"f64">>, {nan, Bits})),
         ?assertEqual({ok, [signed(64, Bits)]}, wasmbeam:call(I, <<"f64_bits">>, [{nan, Bits}]))
     end || Bits <- [16#7ff0000000000001, 16#7ff7ffffffffffff, 16#7ff8000000000001,
                     16#7fffffffffffffff, 16#fff0000000000001, 16#fff8000000000000,
                     16#ffffffffffffffff]].

the_canonical_nan_has_two_spellings(I) ->
    ?assertEqual(nan, echo(I, <<"f32">>, {nan, 16#7fc00000})),
    ?assertEqual(nan, echo(I, <<"f64">>, {nan, 16#7ff8000000000000})).

bits_that_are_no_nan_are_bad_arguments(I) ->
    refused(I, <<"f32">>, [{nan, Bits} || Bits <- [0, 16#3f800000, 16#7f800000, 16#ff800000, -1,
                                                   16#17fc00000, 16#7ff8000000000000, x, 1.0]]),
    refused(I, <<"f64">>, [{nan, Bits} || Bits <- [0, 16#7fc00000, 16#7ff0000000000000,
                                                   16#fff0000000000000, -1, 1 bsl 64, x, 1.0]]).

every_pattern_of_bits_survives(I) ->
    random(fun(Random) ->
        {Bits32, R1} = word(32, Random),
        {ok, [Single]} = wasmbeam:call(I, <<"f32_of_bits">>, [Bits32]),
        ?assertEqual({ok, [signed(32, Bits32)]}, wasmbeam:call(I, <<"f32_bits">>, [Single])),
        {Bits64, R2} = word(64, R1),
        {ok, [Double]} = wasmbeam:call(I, <<"f64_of_bits">>, [Bits64]),
        ?assertEqual({ok, [signed(64, Bits64)]}, wasmbeam:call(I, <<"f64_bits">>, [Double])),
        R2
    end, 2000).

integers_are_floats_too(I) ->
    [?assertEqual(float(N), echo(I, Type, N)) || Type <- [<<"f32">>, <<"f64">>],
                                                 N <- [0, 1, -1, 42, 16777216, -16777216]],
    ?assertEqual(float(1 bsl 53), echo(I, <<"f64">>, 1 bsl 53)).

integers_of_any_size_are_rounded_to_the_nearest_float(I) ->
    ?assertEqual(16777216.0, echo(I, <<"f32">>, 16777217)),
    ?assertEqual(16777220.0, echo(I, <<"f32">>, 16777219)),
    ?assertEqual(9007199254740992.0, echo(I, <<"f64">>, (1 bsl 53) + 1)),
    %% Rounding to double precision first would lose the last bit and with it the tie.
    ?assertEqual(float((1 bsl 60) + (1 bsl 37)), echo(I, <<"f32">>, (1 bsl 60) + (1 bsl 36) + 1)),
    [?assertEqual(math:pow(2, N), echo(I, <<"f64">>, 1 bsl N)) || N <- [63, 64, 127, 128, 500, 1023]],
    [?assertEqual(-math:pow(2, N), echo(I, <<"f32">>, -(1 bsl N))) || N <- [63, 64, 100, 127]].

numbers_too_large_for_the_type_are_bad_arguments(I) ->
    refused(I, <<"f32">>, [3.5e38, -3.5e38, 1.0e300, 1 bsl 128, -(1 bsl 128), 1 bsl 5000]),
    refused(I, <<"f64">>, [1 bsl 1024, -(1 bsl 1024), 1 bsl 5000]).

floats_are_rounded_to_single_precision(I) ->
    <<Tenth:32/float>> = <<0.1:32/float>>,
    ?assertEqual(Tenth, echo(I, <<"f32">>, 0.1)),
    ?assertEqual(<<0.0/float>>, <<(echo(I, <<"f32">>, 1.0e-300))/float>>),
    ?assertEqual(<<-0.0/float>>, <<(echo(I, <<"f32">>, -1.0e-300))/float>>).

what_is_no_float_is_a_bad_argument(I) ->
    Terms = [null, true, inf, undefined, <<"1.0">>, "1.0", {}, {nan}, {nan, 1, 2}, {infinity, 1},
             [], #{}, self()],
    refused(I, <<"f32">>, Terms),
    refused(I, <<"f64">>, Terms).

vectors_are_16_bytes_little_endian(I) ->
    Bytes = <<1, 0, 0, 0, 5:32, 6:32, 7:32>>,
    ?assertEqual(Bytes, echo(I, <<"v128">>, Bytes)),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"i32x4_lane0">>, [Bytes])),
    Ones = <<-1:128>>,
    ?assertEqual(Ones, echo(I, <<"v128">>, Ones)),
    <<_:5/binary, Slice:16/binary, _/binary>> = list_to_binary(lists:seq(1, 50)),
    ?assertEqual(Slice, echo(I, <<"v128">>, Slice)).

what_is_no_vector_is_a_bad_argument(I) ->
    refused(I, <<"v128">>, [<<>>, <<0:120>>, <<0:136>>, <<0:127>>, <<0:129>>, 0, 1.0, null,
                            lists:seq(1, 16)]).

any_term_is_an_externref(I) ->
    [?assertEqual(Term, echo(I, <<"extern">>, Term)) || Term <- terms()],
    Fun = fun(X) -> X + 1 end,
    ?assertEqual(3, (echo(I, <<"extern">>, Fun))(2)).

null_is_the_null_reference(I) ->
    ?assertEqual(null, echo(I, <<"extern">>, null)),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"is_null">>, [null])),
    ?assertEqual({ok, [0]}, wasmbeam:call(I, <<"is_null">>, [undefined])),
    ?assert(bad_argument(wasmbeam:call(I, <<"extern_non_null">>, [null]))),
    ?assertEqual({ok, [7]}, wasmbeam:call(I, <<"extern_non_null">>, [7])).

a_kept_term_survives(I) ->
    [begin
         {ok, []} = wasmbeam:call(I, <<"keep">>, [1, Term]),
         erlang:garbage_collect(),
         {ok, []} = wasmbeam:call(I, <<"litter">>, [200]),
         ?assertEqual({ok, [Term]}, wasmbeam:call(I, <<"kept_at">>, [1])),
         ?assertEqual({ok, Term}, wasmbeam:table_get(I, <<"kept">>, 1)),
         ?assertEqual({ok, Term}, wasmbeam:global_get(I, <<"last">>))
     end || Term <- terms()].

a_kept_term_does_not_depend_on_the_process_that_gave_it(I) ->
    Made = fun() -> {self(), lists:seq(1, 1000), binary:copy(<<"x">>, 100000), #{[a] => {b, "c"}}} end,
    {Giver, Monitor} = spawn_monitor(fun() ->
        {ok, []} = wasmbeam:call(I, <<"keep">>, [2, Made()])
    end),
    receive {'DOWN', Monitor, process, Giver, normal} -> ok end,
    [erlang:garbage_collect(P) || P <- processes()],
    ?assertEqual({ok, [setelement(1, Made(), Giver)]}, wasmbeam:call(I, <<"kept_at">>, [2])).

functions_come_back_and_can_be_called(I) ->
    {ok, [Add]} = wasmbeam:call(I, <<"ref_add">>, []),
    ?assertMatch({funcref, Reference} when is_reference(Reference), Add),
    ?assertEqual({ok, [5]}, wasmbeam:call(I, Add, [2, 3])),
    Again = echo(I, <<"func">>, Add),
    ?assertEqual({ok, [9]}, wasmbeam:call(I, Again, [4, 5])),
    ?assertEqual({ok, [30]}, wasmbeam:call(I, <<"apply">>, [Add, 10, 20])),
    ok = wasmbeam:table_set(I, <<"functions">>, 3, Add),
    {ok, Stored} = wasmbeam:table_get(I, <<"functions">>, 3),
    ?assertEqual({ok, [7]}, wasmbeam:call(I, Stored, [3, 4])),
    ?assertEqual(null, echo(I, <<"func">>, null)).

a_function_of_another_store_is_refused(I) ->
    Other = wasmbeam_fixture:start(wasmbeam_fixture:source("values")),
    {ok, [Foreign]} = wasmbeam:call(Other, <<"ref_add">>, []),
    ?assert(bad_argument(wasmbeam:call(I, Foreign, [1, 2]))),
    ?assert(bad_argument(wasmbeam:call(I, <<"func">>, [Foreign]))),
    ?assert(bad_argument(wasmbeam:table_set(I, <<"functions">>, 0, Foreign))),
    ?assertEqual({ok, [3]}, wasmbeam:call(Other, Foreign, [1, 2])).

a_typed_function_parameter_takes_functions_of_its_type_only(I) ->
    ok = wasmbeam:table_set(I, <<"functions">>, 0, null),
    {ok, [Add]} = wasmbeam:call(I, <<"ref_add">>, []),
    ?assertEqual({ok, [3]}, wasmbeam:call(I, <<"apply">>, [Add, 1, 2])),
    ?assertMatch({error, {trap, #{code := null_reference}}},
                 wasmbeam:call(I, <<"apply">>, [null, 1, 2])),
    Other = wasmbeam_fixture:start("(module (func $f (export \"f\") (result f64) f64.const 1)
                                     (elem declare func $f)
                                     (func (export \"ref\") (result funcref) ref.func $f))",
                                   #{store => I}),
    {ok, [F]} = wasmbeam:call(Other, <<"ref">>, []),
    ?assert(bad_argument(wasmbeam:call(I, <<"apply">>, [F, 1, 2]))),
    ?assertEqual({ok, [1.0]}, wasmbeam:call(I, F, [])).

what_is_no_function_is_a_bad_argument(I) ->
    refused(I, <<"func">>, [0, undefined, {funcref, 0}, {funcref, make_ref()}, make_ref(),
                            fun() -> ok end, {ref, func, make_ref()}, <<"add">>]).

i31_has_31_bits(I) ->
    [?assertEqual({i31, N}, echo(I, Function, {i31, N}))
     || Function <- [<<"i31">>, <<"any">>], N <- [0, 1, -1, 16#3fffffff, -16#40000000]],
    ?assertEqual({ok, [-5]}, wasmbeam:call(I, <<"i31_get">>, [{i31, -5}])),
    refused(I, <<"i31">>, [{i31, 16#40000000}, {i31, -16#40000001}, {i31, 1 bsl 40}, {i31, 1.0}, 5]),
    refused(I, <<"any">>, [{i31, 16#40000000}, {i31, -16#40000001}, {i31, 1 bsl 40},
                           {i31, 1 bsl 100}]).

structures_keep_their_identity(I) ->
    {ok, [Pair]} = wasmbeam:call(I, <<"pair">>, [1, 2]),
    ?assertMatch({ref, struct, Reference} when is_reference(Reference), Pair),
    {ok, []} = wasmbeam:call(I, <<"set_first">>, [Pair, 99]),
    Again = echo(I, <<"any">>, Pair),
    ?assertEqual({ok, [99]}, wasmbeam:call(I, <<"first">>, [Again])),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"same">>, [Pair, Again])),
    {ok, [Equal]} = wasmbeam:call(I, <<"pair">>, [99, 2]),
    ?assertEqual({ok, [0]}, wasmbeam:call(I, <<"same">>, [Pair, Equal])).

arrays_come_back(I) ->
    {ok, [Bytes]} = wasmbeam:call(I, <<"bytes">>, [17]),
    ?assertMatch({ref, array, _}, Bytes),
    ?assertEqual({ok, [17]}, wasmbeam:call(I, <<"length">>, [Bytes])),
    ?assertMatch({ref, array, _}, echo(I, <<"any">>, Bytes)).

exceptions_are_values(I) ->
    {ok, [Exception]} = wasmbeam:call(I, <<"caught">>, [13]),
    ?assertMatch({ref, exn, _}, Exception),
    ?assertMatch({ref, exn, _}, echo(I, <<"exn">>, Exception)),
    ?assertEqual(null, echo(I, <<"exn">>, null)),
    ?assertMatch({error, {exception, #{values := [13]}}},
                 wasmbeam:call(I, <<"rethrow">>, [Exception])),
    refused(I, <<"exn">>, [0, oops, {ref, exn, make_ref()}]).

an_object_of_another_type_is_refused(I) ->
    {ok, [Pair]} = wasmbeam:call(I, <<"pair">>, [1, 2]),
    {ok, [Bytes]} = wasmbeam:call(I, <<"bytes">>, [1]),
    {ok, [Exception]} = wasmbeam:call(I, <<"caught">>, [1]),
    [?assert(bad_argument(wasmbeam:call(I, Function, [Value])))
     || {Function, Value} <- [{<<"first">>, Bytes}, {<<"length">>, Pair}, {<<"exn">>, Pair},
                              {<<"any">>, Exception}, {<<"first">>, {i31, 1}},
                              {<<"first">>, a_term}, {<<"func">>, Pair}]].

an_object_of_another_store_is_refused(I) ->
    Other = wasmbeam_fixture:start(wasmbeam_fixture:source("values")),
    {ok, [Pair]} = wasmbeam:call(Other, <<"pair">>, [1, 2]),
    {ok, [Exception]} = wasmbeam:call(Other, <<"caught">>, [1]),
    ?assert(bad_argument(wasmbeam:call(I, <<"any">>, [Pair]))),
    ?assert(bad_argument(wasmbeam:call(I, <<"extern">>, [Pair]))),
    ?assert(bad_argument(wasmbeam:call(I, <<"exn">>, [Exception]))).

references_outlive_the_collection_of_garbage(I) ->
    Pairs = [begin {ok, [Pair]} = wasmbeam:call(I, <<"pair">>, [N, 0]), {N, Pair} end
             || N <- lists:seq(1, 100)],
    {ok, []} = wasmbeam:call(I, <<"litter">>, [3000]),
    [?assertEqual({ok, [N]}, wasmbeam:call(I, <<"first">>, [Pair])) || {N, Pair} <- Pairs].

terms_go_through_the_any_hierarchy(I) ->
    {ok, [Internal]} = wasmbeam:call(I, <<"internalize">>, [{some, term}]),
    ?assertEqual({some, term}, Internal),
    {ok, [Pair]} = wasmbeam:call(I, <<"pair">>, [5, 6]),
    {ok, [External]} = wasmbeam:call(I, <<"externalize">>, [Pair]),
    ?assertMatch({ref, struct, _}, External),
    {ok, [Back]} = wasmbeam:call(I, <<"internalize">>, [External]),
    ?assertEqual({ok, [5]}, wasmbeam:call(I, <<"first">>, [Back])),
    ?assertEqual({ok, [{i31, 3}]}, wasmbeam:call(I, <<"externalize">>, [{i31, 3}])).

the_type_none_holds_null_only(I) ->
    ?assertEqual(null, echo(I, <<"none">>, null)),
    ?assert(bad_argument(wasmbeam:call(I, <<"none">>, [{i31, 1}]))).

all_types_in_one_call(I) ->
    Values = [-1, 1 bsl 40, 0.5, infinity, <<1:128>>, {self(), #{}}, null],
    ?assertEqual({ok, Values}, wasmbeam:call(I, <<"all">>, Values)),
    {error, {bad_argument, Info}} =
        wasmbeam:call(I, <<"all">>, [1, 2, 3, 4, <<>>, six, null]),
    ?assertMatch(#{position := 5, expected := <<"v128">>, value := <<>>}, Info).

random_values_come_back(I) ->
    random(fun(Random) ->
        {Given, Expected, Next} = values([i32, i64, f32, f64, v128, externref], Random, [], []),
        {ok, Answer} = wasmbeam:call(I, <<"all">>, Given ++ [null]),
        ?assertEqual({Given, [exact(V) || V <- Expected]},
                     {Given, [exact(V) || V <- lists:droplast(Answer)]}),
        Next
    end, 1000).

%% 0.0 and -0.0 match each other before OTP 27.
exact(Value) when is_float(Value) -> <<Value/float>>;
exact(Value) -> Value.

values([Type | Types], Random, Given, Expected) ->
    {Give, Expect, Next} = value(Type, Random),
    values(Types, Next, [Give | Given], [Expect | Expected]);
values([], Random, Given, Expected) ->
    {lists:reverse(Given), lists:reverse(Expected), Random}.

%% An argument and the result that it is to be.
value(i32, Random) -> integer(32, Random);
value(i64, Random) -> integer(64, Random);
value(f32, Random) -> float(32, Random);
value(f64, Random) -> float(64, Random);
value(v128, Random) ->
    {Bytes, Next} = rand:bytes_s(16, Random),
    {Bytes, Bytes, Next};
value(externref, Random) ->
    {Term, Next} = term(4, Random),
    {Term, Term, Next}.

integer(Size, Random) ->
    {Word, R1} = word(Size, Random),
    {Coin, R2} = rand:uniform_s(2, R1),
    case Coin of
        1 -> {Word, signed(Size, Word), R2};
        2 -> {signed(Size, Word), signed(Size, Word), R2}
    end.

float(Size, Random) ->
    {Word, Next} = word(Size, Random),
    Value = case {Size, <<Word:Size>>} of
        {_, <<Float:Size/float>>} -> Float;
        {32, <<0:1, 255, 0:23>>} -> infinity;
        {32, <<1:1, 255, 0:23>>} -> neg_infinity;
        {32, <<16#7fc00000:32>>} -> nan;
        {64, <<0:1, 2047:11, 0:52>>} -> infinity;
        {64, <<1:1, 2047:11, 0:52>>} -> neg_infinity;
        {64, <<16#7ff8000000000000:64>>} -> nan;
        _ -> {nan, Word}
    end,
    {Value, Value, Next}.

%% Words at the edges as often as any others.
word(Size, Random) ->
    {Choice, R1} = rand:uniform_s(12, Random),
    Mantissa = case Size of 32 -> 23; 64 -> 52 end,
    Infinity = ((1 bsl (Size - 1 - Mantissa)) - 1) bsl Mantissa,
    Edges = {0, 1, (1 bsl Size) - 1, 1 bsl (Size - 1), (1 bsl (Size - 1)) - 1, Infinity,
             Infinity + 1, Infinity bor (1 bsl (Mantissa - 1)), Infinity bor (1 bsl (Size - 1))},
    case Choice =< tuple_size(Edges) of
        true ->
            {element(Choice, Edges), R1};
        false ->
            {Bytes, R2} = rand:bytes_s(Size div 8, R1),
            {binary:decode_unsigned(Bytes), R2}
    end.

term(0, Random) ->
    {Choice, R1} = rand:uniform_s(7, Random),
    {N, R2} = rand:uniform_s(1 bsl 70, R1),
    {element(Choice, {N, -N, self(), atom, <<N:100>>, binary:copy(<<N:80>>, 20), []}), R2};
term(Depth, Random) ->
    {Size, R1} = rand:uniform_s(4, Random),
    {Terms, R2} = lists:mapfoldl(fun(_, R) -> term(Depth - 1, R) end, R1, lists:seq(1, Size)),
    {Choice, R3} = rand:uniform_s(3, R2),
    {case Choice of
         1 -> Terms;
         2 -> list_to_tuple([node | Terms]);
         3 -> maps:from_list(lists:zip(lists:seq(1, Size), Terms))
     end, R3}.

random(Step, Times) ->
    lists:foldl(fun(_, Random) -> Step(Random) end, rand:seed_s(exsss, {7, 11, 13}),
                lists:seq(1, Times)).

terms() ->
    [atom, undefined, 0, -1, 1 bsl 200, 1.5, <<>>, <<1:3>>, binary:copy(<<"big">>, 50000), "string",
     [a | b], {}, {i32, 5}, {nan, 7}, infinity, self(), make_ref(), hd(erlang:ports()),
     fun erlang:self/0, fun(X) -> {X, self()} end, lists:seq(1, 10000), list_to_tuple(lists:seq(1, 300)),
     #{#{#{} => []} => #{a => #{b => #{c => <<"d">>}}}}, maps:from_list([{N, N} || N <- lists:seq(1, 100)])].

echo(I, Function, Value) ->
    {ok, [Answer]} = wasmbeam:call(I, Function, [Value]),
    Answer.

refused(I, Function, Values) ->
    [begin
         Answer = wasmbeam:call(I, Function, [Value]),
         ?assertEqual({Function, Value, true}, {Function, Value, bad_argument(Answer)})
     end || Value <- Values],
    ok.

bad_argument(Answer) ->
    wasmbeam_fixture:answers(bad_argument, Answer).

signed(Size, Word) ->
    <<Signed:Size/signed>> = <<Word:Size>>,
    Signed.
