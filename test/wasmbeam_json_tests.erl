-module(wasmbeam_json_tests).

-include_lib("eunit/include/eunit.hrl").

values_come_back_as_they_went_in_test_() ->
    Values = [null, true, false, 0, -1, 1.5, -0.0, 1.0e300, <<>>, <<"text">>, [], #{}, [1, [2, [3]]],
              #{<<"a">> => #{<<"b">> => [null, <<"c">>]}},
              <<"quotes \" backslash \\ newline \n zero ", 0, " euro ", 16#20ac/utf8>>,
              18446744073709551615, -9223372036854775808],
    [?_assertEqual({ok, Value}, round_trip(Value)) || Value <- Values].

round_trip(Value) ->
    {ok, Text} = wasmbeam_json:encode(Value),
    wasmbeam_json:decode(Text).

names_are_written_in_order_test() ->
    Map = maps:from_list([{integer_to_binary(N), N} || N <- lists:seq(1, 100)]),
    {ok, Text} = wasmbeam_json:encode(Map),
    {ok, [_ | _] = Names} = wasmbeam_json:decode(
        iolist_to_binary(["[", re:replace(Text, "[{}]|:[0-9]+", "", [global]), "]"])),
    ?assertEqual(lists:sort(Names), Names).

of_a_name_that_is_there_twice_the_last_value_counts_test() ->
    ?assertEqual({ok, #{<<"a">> => 2}}, wasmbeam_json:decode(<<"{\"a\":1,\"a\":2}">>)).

escapes_are_decoded_test() ->
    ?assertEqual({ok, <<"a", 16#1F600/utf8, "/">>},
                 wasmbeam_json:decode(<<"\"\\u0061\\ud83d\\ude00\\/\"">>)).

floats_that_look_like_integers_stay_floats_test() ->
    ?assertEqual({ok, [1.0e20, 1.0, 1.0e3]}, wasmbeam_json:decode(<<"[1e20, 1.0, 1E3]">>)).

texts_that_are_no_json_test_() ->
    Texts = [<<>>, <<"{">>, <<"[1,]">>, <<"nul">>, <<"01">>, <<"\"\\ud800\"">>, <<"\"", 255, "\"">>,
             <<"1 2">>, <<"{1:2}">>, <<"\"\n\"">>],
    [?_assertMatch({error, {bad_json, #{message := _, line := _, column := _}}},
                   wasmbeam_json:decode(Text)) || Text <- Texts].

an_error_says_where_it_is_test() ->
    ?assertMatch({error, {bad_json, #{line := 2, column := 3}}}, wasmbeam_json:decode(<<"[\n1,x]">>)).

numbers_that_nothing_can_hold_are_errors_test_() ->
    Big = binary:copy(<<"9">>, 100000),
    [?_assertMatch({error, {bad_json, _}}, wasmbeam_json:decode(Text))
     || Text <- [<<"1e400">>, <<"18446744073709551616">>, <<"-9223372036854775809">>, Big]]
    ++ [?_assertMatch({error, {bad_json, #{line := 2, column := 8}}},
                      wasmbeam_json:decode(<<"{\"1e20\":\n[1e20, -99999999999999999999]}">>)),
        ?_assertMatch({error, {bad_argument, #{path := [<<"a">>, <<"2">>]}}},
                      wasmbeam_json:encode(#{<<"a">> => [1, 1 bsl 64]}))].

deep_nesting_is_an_error_test_() ->
    Open = binary:copy(<<"[">>, 10000),
    Deep = lists:foldl(fun(_, Value) -> [Value] end, [], lists:seq(1, 10000)),
    Objects = lists:foldl(fun(_, Value) -> #{<<"a">> => Value} end, #{}, lists:seq(1, 10000)),
    [?_assertMatch({error, {bad_json, _}}, wasmbeam_json:decode(Open)),
     ?_assertMatch({error, {bad_json, _}},
                   wasmbeam_json:decode(<<(binary:copy(<<" ">>, 100000))/binary, Open/binary>>)),
     ?_assertMatch({error, {bad_argument, _}}, wasmbeam_json:encode(Deep)),
     ?_assertMatch({error, {bad_argument, _}}, wasmbeam_json:encode(Objects))].

the_deepest_that_can_be_written_can_be_read_test() ->
    Deep = lists:foldl(fun(_, Value) -> [Value] end, [], lists:seq(1, 126)),
    ?assertEqual({ok, Deep}, round_trip(Deep)),
    ?assertMatch({error, {bad_argument, _}}, wasmbeam_json:encode([Deep])).

terms_that_are_no_json_test_() ->
    [?_assertMatch({error, {bad_argument, #{message := _, path := Path}}},
                   wasmbeam_json:encode(Value))
     || {Value, Path} <- [{undefined, []}, {self(), []}, {{1, 2}, []}, {[1 | 2], []},
                          {<<1:1>>, []}, {<<255>>, []}, {#{a => 1}, []},
                          {#{<<"a">> => [#{<<"b">> => make_ref()}]}, [<<"a">>, <<"1">>, <<"b">>]}]].

only_a_binary_is_decoded_test() ->
    ?assertMatch({error, {bad_argument, _}}, wasmbeam_json:decode("[]")).

big_documents_go_both_ways_test_() ->
    Big = [#{<<"key">> => N, <<"value">> => binary:copy(<<"x">>, 100)} || N <- lists:seq(1, 20000)],
    [?_assertEqual({ok, Big}, round_trip(Big)),
     ?_assertEqual({ok, [binary:copy(<<"\n">>, 1 bsl 20)]}, round_trip([binary:copy(<<"\n">>, 1 bsl 20)])),
     ?_assertMatch({error, {bad_argument, #{path := [<<"20001">>]}}},
                   wasmbeam_json:encode(Big ++ [self()]))].

an_invalid_byte_late_in_a_big_document_is_found_test() ->
    Text = <<(binary:copy(<<" ">>, 1 bsl 20))/binary, "}">>,
    ?assertMatch({error, {bad_json, #{line := 1, column := 1048577}}}, wasmbeam_json:decode(Text)).
