-module(wasmbeam_spec_tests).

-include_lib("eunit/include/eunit.hrl").

-define(F32_NAN, 16#7fc00000).
-define(F64_NAN, 16#7ff8000000000000).

matches(Pattern, Value) ->
    wasmbeam_spec_value:matches(Pattern, Value).

arguments_that_erlang_cannot_hold_become_atoms_or_bits_test() ->
    Argument = fun wasmbeam_spec_value:from_argument/1,
    ?assertEqual(infinity, Argument({f32, 16#7f800000})),
    ?assertEqual(neg_infinity, Argument({f32, 16#ff800000})),
    ?assertEqual(nan, Argument({f32, ?F32_NAN})),
    ?assertEqual({nan, 16#ffc00000}, Argument({f32, 16#ffc00000})),
    ?assertEqual({nan, 16#7fa00000}, Argument({f32, 16#7fa00000})),
    ?assertEqual(infinity, Argument({f64, 16#7ff0000000000000})),
    ?assertEqual(neg_infinity, Argument({f64, 16#fff0000000000000})),
    ?assertEqual(nan, Argument({f64, ?F64_NAN})),
    ?assertEqual({nan, 16#7ff0000000000001}, Argument({f64, 16#7ff0000000000001})).

arguments_keep_their_bits_test() ->
    Argument = fun wasmbeam_spec_value:from_argument/1,
    ?assertEqual(<<-0.0/float>>, <<(Argument({f32, 16#80000000}))/float>>),
    ?assertEqual(1.401298464324817e-45, Argument({f32, 1})),
    ?assertEqual(5.0e-324, Argument({f64, 1})),
    ?assertEqual(-1, Argument({i32, -1})),
    ?assertEqual({extern, 3}, Argument({ref_extern, 3})),
    ?assertEqual(null, Argument(ref_null)).

integers_are_signed_test() ->
    ?assert(matches({i32, -1}, -1)),
    ?assertNot(matches({i32, -1}, 16#ffffffff)),
    ?assertNot(matches({i64, 1}, 1.0)).

floats_are_compared_bit_by_bit_test() ->
    ?assert(matches({f32, 16#80000000}, -0.0)),
    ?assertNot(matches({f32, 16#80000000}, 0.0)),
    ?assertNot(matches({f64, 0}, -0.0)),
    ?assert(matches({f64, 16#3ff0000000000000}, 1.0)),
    ?assertNot(matches({f64, 16#3ff0000000000000}, 1)),
    ?assert(matches({f32, 16#7f800000}, infinity)),
    ?assertNot(matches({f32, 16#7f800000}, neg_infinity)).

an_f32_result_that_is_no_f32_matches_nothing_test() ->
    ?assertNot(matches({f32, 16#3dcccccd}, 0.1)),
    ?assertNot(matches({f32, 16#7f7fffff}, 1.0e300)).

nan_patterns_test_() ->
    Cases = [
        {
            {f32, nan_canonical},
            [nan, {nan, 16#ffc00000}],
            [{nan, 16#7fc00001}, {nan, 16#7fa00000}, 0.0, infinity]
        },
        {
            {f32, nan_arithmetic},
            [nan, {nan, 16#ffc00000}, {nan, 16#7fc00001}],
            [{nan, 16#7fa00000}, 0.0, infinity]
        },
        {
            {f64, nan_canonical},
            [nan, {nan, 16#fff8000000000000}],
            [{nan, 16#7ff8000000000001}, neg_infinity]
        },
        {
            {f64, nan_arithmetic},
            [nan, {nan, 16#7ff8000000000001}],
            [{nan, 16#7ff4000000000000}, 1.0]
        },
        {{f32, 16#7fa00000}, [{nan, 16#7fa00000}], [nan, {nan, 16#ffa00000}]}
    ],
    [
        [
            [?_assert(matches(Pattern, Value)) || Value <- Matching],
            [?_assertNot(matches(Pattern, Value)) || Value <- Others]
        ]
     || {Pattern, Matching, Others} <- Cases
    ].

a_nan_result_in_the_wrong_form_matches_nothing_test_() ->
    Pattern = {f32, nan_arithmetic},
    [
        {"the canonical NaN has its own atom", ?_assertNot(matches(Pattern, {nan, ?F32_NAN}))},
        {"not a NaN", ?_assertNot(matches({f32, 16#3f800000}, {nan, 16#3f800000}))},
        {"infinity is no NaN", ?_assertNot(matches({f32, 16#7f800000}, {nan, 16#7f800000}))},
        {"too wide", ?_assertNot(matches(Pattern, {nan, ?F64_NAN + 1}))}
    ].

vectors_match_as_a_whole_or_lane_by_lane_test() ->
    One = <<1.0:64/float-little>>,
    ?assert(matches({v128, <<7:128>>}, <<7:128>>)),
    ?assertNot(matches({v128, <<7:128>>}, <<8:128>>)),
    Lanes = {v128, [{f64, nan_canonical}, {f64, 16#3ff0000000000000}]},
    ?assert(matches(Lanes, <<?F64_NAN:64/little, One/binary>>)),
    ?assertNot(matches(Lanes, <<One/binary, ?F64_NAN:64/little>>)),
    Four = {v128, [{f32, nan_arithmetic} || _ <- [1, 2, 3, 4]]},
    ?assert(matches(Four, binary:copy(<<16#ffc00001:32/little>>, 4))),
    ?assertNot(matches(Four, binary:copy(<<16#ff800001:32/little>>, 4))),
    ?assertNot(matches(Four, binary:copy(<<16#ffc00001:32/little>>, 3))).

references_match_by_kind_test_() ->
    Values = [
        null,
        {i31, 7},
        {ref, struct, make_ref()},
        {ref, array, make_ref()},
        {extern, 4},
        {funcref, make_ref()}
    ],
    Cases = [
        {ref_null, [null]},
        {ref_i31, [{i31, 7}]},
        {ref_struct, [lists:nth(3, Values)]},
        {ref_array, [lists:nth(4, Values)]},
        {ref_eq, lists:sublist(Values, 2, 3)},
        {ref_any, lists:sublist(Values, 2, 4)},
        {ref_func, [lists:last(Values)]},
        {{ref_host, 4}, [{extern, 4}]},
        {{ref_extern, 4}, [{extern, 4}]},
        {ref_extern, tl(Values)}
    ],
    [
        ?_assertEqual(Matching, [Value || Value <- Values, matches(Pattern, Value)])
     || {Pattern, Matching} <- Cases
    ].

an_externref_is_the_term_that_went_in_test() ->
    ?assert(matches({ref_extern, 2}, {extern, 2})),
    ?assertNot(matches({ref_extern, 2}, {extern, 3})),
    ?assertNot(matches({ref_extern, 2}, null)),
    ?assert(matches(ref_extern, {extern, 3})),
    ?assertNot(matches(ref_extern, null)).

either_takes_any_of_its_patterns_test() ->
    Pattern = {either, [{i32, 1}, {i32, 2}]},
    ?assert(matches(Pattern, 2)),
    ?assertNot(matches(Pattern, 3)).

trap_texts_mean_codes_test() ->
    ?assertEqual([integer_divide_by_zero], wasmbeam_spec_trap:codes(<<"integer divide by zero">>)),
    ?assertEqual([table_out_of_bounds], wasmbeam_spec_trap:codes(<<"undefined element">>)),
    ?assertEqual([indirect_call_to_null], wasmbeam_spec_trap:codes(<<"uninitialized element 2">>)),
    ?assertEqual([], wasmbeam_spec_trap:codes(<<"something else">>)).

a_known_failure_is_skipped_with_its_reason_test() ->
    List = [{"a.wast", 3, <<"why">>}, {"b.wast", 4, <<"else">>}],
    Known = wasmbeam_spec_known:for_file("a.wast", List),
    Other = {4, assert_return, {failed, wrong}},
    ?assertEqual(
        [{3, assert_return, {skipped, {known_failure, <<"why">>}}}, Other],
        wasmbeam_spec_known:apply([{3, assert_return, {failed, wrong}}, Other], Known)
    ).

a_known_failure_that_passes_fails_test() ->
    Results = [{3, assert_return, passed}],
    ?assertEqual(
        Results ++ [{3, known_failure, {failed, {does_not_fail, <<"why">>}}}],
        wasmbeam_spec_known:apply(Results, #{3 => <<"why">>})
    ),
    ?assertMatch(
        [{9, known_failure, {failed, _}}],
        wasmbeam_spec_known:apply([], #{9 => <<"gone">>})
    ).

totals_count_what_failed_and_what_was_skipped_test() ->
    Results = [
        {"a.wast", [{1, module, passed}, {2, assert_return, {failed, wrong}}]},
        {"b.wast", [{1, thread, {skipped, threads}}]}
    ],
    ?assertEqual(
        "2 files: 1 passed, 1 failed, 1 skipped\n",
        lists:flatten(wasmbeam_spec:summary(Results))
    ),
    ?assertNot(wasmbeam_spec:passed(Results)),
    ?assert(wasmbeam_spec:passed([lists:last(Results)])).
