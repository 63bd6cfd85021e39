-module(dev_patch_tests).

-include_lib("eunit/include/eunit.hrl").

all_hosts_test_() ->
    device_hosts:on_both([
        {atom_to_list(Name), Test}
        || {Name, Test} <- [
            {patches_go_to_the_message, fun to_message/0},
            {patches_go_to_a_part_of_it, fun to_part/0},
            {all_moves_everything, fun all_mode/0},
            {patches_can_come_from_the_request, fun from_request/0},
            {the_later_patch_counts, fun later/0},
            {nothing_to_move_is_fine, fun nothing/0},
            {what_is_no_message_is_an_error, fun no_message/0}
        ]]).

resolve(Message, Request) ->
    wasmbeam_host:resolve(Message, Request, #{}).

get(Path, Message) ->
    wasmbeam_host:get(Path, {as, <<"message@1.0">>, Message}, #{}).

prices(Apple) ->
    #{<<"method">> => <<"PATCH">>, <<"prices">> => #{<<"apple">> => Apple}}.

message() ->
    #{<<"device">> => <<"patch@1.0">>, <<"prices">> => #{<<"apple">> => 1, <<"pear">> => 2},
      <<"results">> => #{<<"outbox">> => #{<<"1">> => prices(100),
                                           <<"2">> => #{<<"target">> => <<"T">>}}}}.

to_message() ->
    {ok, Patched} = resolve(message(), <<"compute">>),
    ?assertEqual(100, get(<<"prices/apple">>, Patched)),
    ?assertEqual(2, get(<<"prices/pear">>, Patched)),
    ?assertEqual(not_found, get(<<"results/outbox/1">>, Patched)),
    ?assertEqual(<<"T">>, get(<<"results/outbox/2/target">>, Patched)),
    ?assertEqual(not_found, get(<<"method">>, Patched)).

to_part() ->
    {ok, Patched} = resolve((message())#{<<"patch-to">> => <<"/state">>,
                                         <<"patch-from">> => <<"/results/outbox">>}, <<"patches">>),
    ?assertEqual(100, get(<<"state/prices/apple">>, Patched)),
    ?assertEqual(1, get(<<"prices/apple">>, Patched)).

all_mode() ->
    Message = #{<<"device">> => <<"patch@1.0">>, <<"input">> => #{<<"a">> => 1, <<"b">> => 2}},
    {ok, Moved} = resolve(Message, #{<<"path">> => <<"all">>, <<"patch-from">> => <<"/input">>,
                                     <<"patch-to">> => <<"/state">>}),
    ?assertEqual({1, 2}, {get(<<"state/a">>, Moved), get(<<"state/b">>, Moved)}),
    ?assertEqual(not_found, get(<<"input">>, Moved)).

from_request() ->
    {ok, Patched} = resolve(#{<<"device">> => <<"patch@1.0">>},
                            #{<<"path">> => <<"patches">>, <<"from">> => <<"req:/list">>,
                              <<"to">> => <<"base:/state">>, <<"list">> => #{<<"1">> => prices(7)}}),
    ?assertEqual(7, get(<<"state/prices/apple">>, Patched)).

later() ->
    Outbox = maps:from_list([{integer_to_binary(N), prices(N)} || N <- lists:seq(1, 11)]),
    {ok, Patched} = resolve(wasmbeam_host:set(message(), #{<<"results/outbox">> => Outbox}, #{}),
                            <<"compute">>),
    ?assertEqual(11, get(<<"prices/apple">>, Patched)).

nothing() ->
    Message = #{<<"device">> => <<"patch@1.0">>},
    ?assertEqual({ok, Message}, resolve(Message, <<"compute">>)).

no_message() ->
    ?assertMatch({error, #{<<"class">> := <<"bad_argument">>}},
                 resolve(#{<<"device">> => <<"patch@1.0">>, <<"from">> => <<"a">>, <<"a">> => 1},
                         <<"compute">>)).
