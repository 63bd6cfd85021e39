-module(dev_json_iface_tests).

-include_lib("eunit/include/eunit.hrl").

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

all_hosts_test_() ->
    device_hosts:on_both([
        {atom_to_list(Name), Test}
        || {Name, Test} <- [
            {what_a_process_gets, fun what_a_process_gets/0},
            {answers, fun answers/0},
            {answers_that_are_none, fun bad_answers/0},
            {requests_without_a_message, fun bad_requests/0},
            {messages_that_are_no_json, fun no_json/0},
            {genesis_passes_errors_on, fun genesis_errors/0},
            {genesis_as_functions, fun genesis_as_functions/0},
            {genesis_starts_by_itself, fun genesis/0}
        ]]).

process() ->
    #{<<"device">> => <<"stack@1.0">>,
      <<"device-stack">> => [<<"WASI@1.0">>, <<"JSON-Iface@1.0">>, <<"WASM-64@1.0">>,
                             <<"Multipass@1.0">>],
      <<"input-prefix">> => <<"process">>, <<"output-prefix">> => <<"wasm">>, <<"passes">> => 2,
      <<"stack-keys">> => [<<"init">>, <<"compute">>, <<"snapshot">>, <<"normalize">>],
      <<"process">> => #{<<"image">> => device_hosts:read_module("echo_process.wat"),
                         <<"owner">> => <<"OWNER">>, <<"authority">> => <<"A">>}}.

ready() ->
    {ok, Ready} = resolve(process(), <<"init">>),
    Ready.

resolve(Message, Request) ->
    wasmbeam_host:resolve(Message, Request, #{}).

compute(Message, Body) ->
    resolve(Message, #{<<"path">> => <<"compute">>, <<"block-height">> => 7, <<"body">> => Body}).

get(Path, Message) ->
    wasmbeam_host:get(Path, ?PLAIN(Message), #{}).

what_a_process_gets() ->
    {ok, Computed} = compute(ready(), #{<<"id">> => <<"ID">>, <<"action">> => <<"Eval">>,
                                        <<"x-count">> => 3, <<"CamelCase">> => true,
                                        <<"data">> => <<"return">>, <<"target">> => <<"T">>,
                                        <<"from">> => <<"F">>, <<"nested">> => #{<<"a">> => 1}}),
    Handle = device_hosts:private(<<"wasm/instance">>, Computed),
    {ok, <<Message:32/little, Environment:32/little>>} = hb_beamr_io:read(Handle, 0, 8),
    Json = fun(Address) ->
        {ok, Text} = hb_beamr_io:read_string(Handle, Address),
        {ok, Value} = wasmbeam_json:decode(Text),
        Value
    end,
    ?assertMatch(#{<<"Id">> := <<"ID">>, <<"From">> := <<"F">>, <<"Target">> := <<"T">>,
                   <<"Data">> := <<"return">>, <<"Owner">> := <<>>, <<"Block-Height">> := <<"7">>,
                   <<"Tags">> := [#{<<"name">> := <<"CamelCase">>, <<"value">> := <<"true">>},
                                  #{<<"name">> := <<"Action">>, <<"value">> := <<"Eval">>},
                                  #{<<"name">> := <<"X-Count">>, <<"value">> := <<"3">>}]},
                 Json(Message)),
    ?assertMatch(#{<<"Process">> := #{<<"Owner">> := <<"OWNER">>, <<"Id">> := <<_:43/binary>>,
                                      <<"Tags">> := [#{<<"name">> := <<"Authority">>}]}},
                 Json(Environment)).

answers() ->
    {ok, Computed} = compute(ready(), #{}),
    ?assertEqual(<<"heard">>, get(<<"results/data">>, Computed)),
    ?assertEqual(#{}, get(<<"results/outbox">>, Computed)),
    Answered = fun(Answer) ->
        {ok, Message} = answered(Answer),
        {get(<<"results/data">>, Message), get(<<"results/outbox">>, Message)}
    end,
    ?assertEqual({<<"wrong">>, #{}},
                 Answered(<<"{\"ok\":true,\"response\":{\"Error\":\"wrong\",\"Messages\":[]}}">>)),
    ?assertEqual({<<"wrong">>, #{}}, Answered(<<"{\"ok\":false,\"response\":\"wrong\"}">>)),
    ?assertEqual({<<"text">>, #{}}, Answered(<<"{\"ok\":true,\"response\":{\"Output\":\"text\"}}">>)),
    ?assertEqual({<<>>, #{<<"1">> => #{<<"target">> => <<"T">>, <<"action">> => <<"Act">>}}},
                 Answered(<<"{\"ok\":true,\"response\":{\"Messages\":[{\"Target\":\"T\",\"Anchor\":\"1\",",
                            "\"Tags\":[{\"name\":\"Action\",\"value\":\"Act\"},",
                            "{\"name\":\"Priv\",\"value\":\"p\"}]}]}}">>)),
    ?assertEqual({<<>>, #{<<"1">> => #{<<"target">> => <<"second">>},
                          <<"2">> => #{<<"target">> => <<"tenth">>}}},
                 Answered(<<"{\"ok\":true,\"response\":{\"Messages\":{",
                            "\"10\":{\"Target\":\"tenth\"},\"2\":{\"Target\":\"second\"}}}}">>)).

%% The outcome of a message that the process answers with this text.
answered(Text) ->
    Ready = ready(),
    (device_hosts:private(<<"wasm/write">>, Ready))(64, <<Text/binary, 0>>),
    compute(Ready, #{}).

bad_answers() ->
    [?assertMatch({error, #{<<"class">> := <<"bad_json">>, <<"message">> := _}}, answered(Text))
     || Text <- [<<>>, <<"no">>, <<"{}">>, <<"[1]">>, binary:copy(<<"[">>, 10000)]].

bad_requests() ->
    ?assertMatch({error, #{<<"class">> := <<"bad_request">>, <<"device-key">> := <<"2">>}},
                 resolve(ready(), <<"compute">>)),
    ?assertMatch({error, #{<<"class">> := <<"bad_request">>}}, compute(ready(), <<"text">>)),
    ?assertMatch({error, #{<<"class">> := <<"bad_request">>}}, compute(process(), #{})).

%% What is no text is no tag, and no data.
no_json() ->
    ?assertMatch({ok, _}, compute(ready(), #{<<"data">> => <<255>>, <<"tag">> => <<255>>})),
    Deep = lists:foldl(fun(_, Inner) -> #{<<"a">> => Inner} end, #{}, lists:seq(1, 10000)),
    ?assertMatch({ok, _}, compute(ready(), #{<<"id">> => <<"ID">>, <<"a">> => Deep})),
    ?assertMatch({error, #{<<"class">> := <<"bad_json">>}}, dev_json_iface:json_to_message(<<"{">>, #{})),
    ?assertMatch({error, #{<<"class">> := <<"bad_json">>}}, dev_json_iface:json_to_message(<<"1">>, #{})).

genesis_errors() ->
    Message = #{<<"device">> => <<"genesis-wasm@1.0">>, <<"process">> => #{<<"image">> => <<"no">>}},
    ?assertMatch({error, #{<<"class">> := <<"invalid_module">>}}, compute(Message, #{})).

%% As other modules of a node call it, without a path.
genesis_as_functions() ->
    Message = (maps:with([<<"process">>], process()))#{<<"device">> => <<"genesis-wasm@1.0">>},
    [?assertNotMatch({error, #{<<"message">> := <<"a request without a path">>}},
                     dev_genesis_wasm:Function(Message, #{}, #{}))
     || Function <- [compute, normalize, snapshot]].

genesis() ->
    Message = (maps:with([<<"process">>], process()))#{<<"device">> => <<"genesis-wasm@1.0">>},
    {ok, Computed} = compute(Message, #{}),
    ?assertEqual(<<"heard">>, get(<<"results/data">>, Computed)),
    {ok, Snapshot} = resolve(Computed, <<"snapshot">>),
    ?assertMatch(#{<<"3">> := #{<<"body">> := _}}, Snapshot),
    {ok, Normalized} = resolve(Message#{<<"snapshot">> => Snapshot}, <<"normalize">>),
    ?assert(is_pid(device_hosts:private(<<"wasm/instance">>, Normalized))),
    ?assertEqual(not_found, get(<<"snapshot">>, Normalized)).
