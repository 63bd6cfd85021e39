-module(dev_stack_tests).

-include_lib("eunit/include/eunit.hrl").

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

all_hosts_test_() ->
    device_hosts:on_both([
        {atom_to_list(Name), Test}
        || {Name, Test} <- [
            {fold_goes_through_all_devices, fun fold/0},
            {the_devices_come_in_the_order_of_their_numbers, fun order/0},
            {a_list_is_a_stack_too, fun list/0},
            {skip_ends_the_stack, fun skip/0},
            {pass_starts_again, fun pass/0},
            {multipass_counts_passes, fun multipass/0},
            {multipass_can_be_refused, fun no_multipass/0},
            {a_device_without_the_key_is_left_out, fun left_out/0},
            {an_answer_that_is_no_message_is_the_answer, fun raw_answer/0},
            {an_error_ends_the_stack_and_says_where, fun failure/0},
            {map_answers_each_devices_answer, fun map_mode/0},
            {prefixes_are_those_of_the_place, fun prefixes/0},
            {all_is_as_before_afterwards, fun restored/0},
            {other_keys_than_stack_keys_are_the_messages, fun stack_keys/0},
            {transform_asks_one_device, fun transform/0}
        ]]).

resolve(Message, Request) ->
    wasmbeam_host:resolve(Message, Request, #{}).

get(Path, Message) ->
    wasmbeam_host:get(Path, ?PLAIN(Message), #{}).

%% A device whose key `append' adds a letter and the request's `bin' to `text'.
appending(Letter) ->
    appending(Letter, ok).

appending(Letter, Status) ->
    #{append => fun(Message, Request, Opts) ->
        Text = wasmbeam_host:get(<<"text">>, ?PLAIN(Message), <<>>, Opts),
        Bin = wasmbeam_host:get(<<"bin">>, ?PLAIN(Request), <<>>, Opts),
        Next = wasmbeam_host:set(Message, #{<<"text">> => <<Text/binary, Letter/binary, Bin/binary>>},
                                 Opts),
        {Status, Next}
    end}.

stack(Devices) ->
    #{<<"device">> => <<"stack@1.0">>, <<"text">> => <<"_">>, <<"device-stack">> => Devices}.

append(Message) ->
    resolve(Message, #{<<"path">> => <<"append">>, <<"bin">> => <<"1">>}).

fold() ->
    {ok, Message} = append(stack(#{<<"1">> => appending(<<"A">>), <<"2">> => appending(<<"B">>)})),
    ?assertEqual(<<"_A1B1">>, get(<<"text">>, Message)).

order() ->
    Devices = maps:from_list([{integer_to_binary(N), appending(<<($A + N)>>)}
                              || N <- lists:seq(1, 12)]),
    {ok, Message} = resolve(stack(Devices), <<"append">>),
    ?assertEqual(<<"_BCDEFGHIJKLM">>, get(<<"text">>, Message)).

list() ->
    {ok, Message} = append(stack([appending(<<"A">>), appending(<<"B">>)])),
    ?assertEqual(<<"_A1B1">>, get(<<"text">>, Message)).

skip() ->
    {ok, Message} = append(stack([appending(<<"A">>, skip), appending(<<"B">>)])),
    ?assertEqual(<<"_A1">>, get(<<"text">>, Message)).

pass() ->
    Until = #{append => fun(Message, _Request, Opts) ->
        case wasmbeam_host:get(<<"pass">>, ?PLAIN(Message), Opts) of
            3 -> {ok, Message};
            _ -> {pass, Message}
        end
    end},
    {ok, Message} = append(stack([appending(<<"A">>), Until])),
    ?assertEqual(<<"_A1A1A1">>, get(<<"text">>, Message)),
    ?assertEqual(not_found, get(<<"pass">>, Message)).

multipass() ->
    Stack = (stack([appending(<<"A">>), <<"Multipass@1.0">>]))#{<<"passes">> => 3},
    {ok, Message} = append(Stack),
    ?assertEqual(<<"_A1A1A1">>, get(<<"text">>, Message)).

no_multipass() ->
    Stack = (stack([appending(<<"A">>), <<"Multipass@1.0">>]))#{<<"passes">> => 3,
                                                               <<"allow-multipass">> => false},
    {pass, Message} = append(Stack),
    ?assertEqual(<<"_A1">>, get(<<"text">>, Message)).

left_out() ->
    {ok, Message} = append(stack([appending(<<"A">>), #{}, appending(<<"B">>)])),
    ?assertEqual(<<"_A1B1">>, get(<<"text">>, Message)).

raw_answer() ->
    Raw = #{append => fun(_) -> {ok, <<"raw">>} end},
    ?assertEqual({ok, <<"raw">>}, append(stack([Raw, appending(<<"B">>)]))).

failure() ->
    Failing = #{append => fun(_) -> wasmbeam_fault:new(bad_request, "not ~s", ["today"]) end},
    ?assertMatch({error, #{<<"message">> := <<"not today">>, <<"device-key">> := <<"2">>}},
                 append(stack([appending(<<"A">>), Failing, appending(<<"B">>)]))).

map_mode() ->
    Value = fun(Value) -> #{value => fun(_) -> {ok, Value} end} end,
    Stack = stack([Value(<<"a">>), #{}, Value(<<"c">>)]),
    ?assertEqual({ok, #{<<"1">> => <<"a">>, <<"3">> => <<"c">>}},
                 resolve(Stack, #{<<"path">> => <<"value">>, <<"mode">> => <<"Map">>})),
    ?assertEqual({ok, #{<<"1">> => <<"a">>, <<"3">> => <<"c">>}},
                 resolve(Stack#{<<"mode">> => <<"Map">>}, <<"value">>)),
    ?assertEqual({ok, <<"a">>}, resolve(Stack#{<<"mode">> => <<"Map">>},
                                        #{<<"path">> => <<"value">>, <<"mode">> => <<"Fold">>})).

prefixes() ->
    Noting = #{note => fun(Message, Request, Opts) ->
        Prefixes = {dev_stack:input_prefix(Message, Request, Opts),
                    dev_stack:prefix(Message, Request, Opts)},
        Place = wasmbeam_host:get(<<"device-key">>, ?PLAIN(Message), Opts),
        {ok, wasmbeam_host:set(Message, #{<<"note-", Place/binary>> => Prefixes}, Opts)}
    end},
    Stack = (stack([Noting, Noting]))#{<<"input-prefixes">> => [<<"in1">>, <<"in2">>],
                                       <<"output-prefixes">> => #{<<"2">> => <<"out2">>},
                                       <<"output-prefix">> => <<"out">>},
    {ok, Message} = resolve(Stack, <<"note">>),
    ?assertEqual({<<"in1">>, <<"out">>}, get(<<"note-1">>, Message)),
    ?assertEqual({<<"in2">>, <<"out2">>}, get(<<"note-2">>, Message)).

restored() ->
    Stack = (stack([appending(<<"A">>)]))#{<<"pass">> => 7, <<"input-prefix">> => <<"in">>,
                                           <<"output-prefixes">> => [<<"out">>]},
    {ok, Message} = append(Stack),
    ?assertEqual(Stack#{<<"text">> => <<"_A1">>}, Message).

stack_keys() ->
    Stack = (stack([appending(<<"A">>)]))#{<<"stack-keys">> => [<<"append">>],
                                           <<"value">> => <<"own">>},
    {ok, Message} = append(Stack),
    ?assertEqual(<<"_A1">>, get(<<"text">>, Message)),
    ?assertEqual({ok, <<"own">>}, resolve(Stack, <<"value">>)),
    ?assertEqual({error, not_found}, resolve(Stack#{<<"stack-keys">> => [<<"init">>]}, <<"append">>)).

transform() ->
    Stack = stack(#{<<"1">> => appending(<<"A">>), <<"2">> => appending(<<"B">>)}),
    {ok, Message} = resolve(Stack, #{<<"path">> => <<"transform/2/append">>, <<"bin">> => <<"1">>}),
    ?assertEqual(<<"_B1">>, get(<<"text">>, Message)),
    ?assertMatch({error, _}, resolve(Stack, <<"transform/3/append">>)).

a_stack_within_itself_ends_with_an_error_test_() ->
    device_hosts:on_embedded(
        ?_assertMatch({error, #{<<"class">> := <<"too_deep">>}},
                      resolve(stack([<<"stack@1.0">>]), <<"compute">>))).

a_stack_without_devices_is_an_error_test_() ->
    device_hosts:on_both(
        [?_assertMatch({error, #{<<"class">> := <<"bad_request">>}},
                       resolve(#{<<"device">> => <<"stack@1.0">>}, <<"compute">>)),
         ?_assertMatch({error, #{<<"class">> := <<"bad_argument">>}},
                       resolve(stack(7), <<"compute">>))]).
