%% A whole Lua system in wasm, driven through the stack.
-module(dev_aos_tests).

-include_lib("eunit/include/eunit.hrl").

-define(AOS, "aos-2-pure-xs.wasm").
-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

aos_test_() ->
    device_hosts:with_shared(?AOS, fun(Image) ->
        {timeout, 300, device_hosts:on_both([
            {timeout, 100, {"through WASI and WASM-64", fun() -> through_wasi(Image) end}},
            {timeout, 100, {"several messages with state", fun() -> messages(Image) end}},
            {timeout, 100, {"an error in the code", fun() -> error_in_code(Image) end}},
            {timeout, 100, {"an outbox of two messages", fun() -> outbox(Image) end}},
            {timeout, 100, {"through genesis-wasm", fun() -> genesis(Image) end}},
            {timeout, 100, {"resumed from the cache", fun() -> resumed(Image) end}}
        ])}
    end).

resolve(Message, Request) ->
    wasmbeam_host:resolve(Message, Request, #{}).

get(Path, Message) ->
    wasmbeam_host:get(Path, ?PLAIN(Message), #{}).

through_wasi(Image) ->
    {ok, Id} = wasmbeam_host:cache_write(#{<<"body">> => Image}, #{}),
    {ok, Ready} = resolve(#{<<"device">> => <<"stack@1.0">>, <<"image">> => Id,
                            <<"device-stack">> => [<<"WASI@1.0">>, <<"WASM-64@1.0">>],
                            <<"output-prefixes">> => [<<"wasm">>, <<"wasm">>],
                            <<"stack-keys">> => [<<"init">>, <<"compute">>],
                            <<"function">> => <<"handle">>}, <<"init">>),
    Instance = device_hosts:private(<<"wasm/instance">>, Ready),
    Parameters = [begin
                      {ok, Address} = hb_beamr_io:malloc(Instance, byte_size(Text)),
                      ok = hb_beamr_io:write(Instance, Address, Text),
                      Address
                  end || Text <- [message(<<"return 1 + 1">>), environment()]],
    {ok, Computed} = resolve(Ready#{<<"parameters">> => Parameters}, <<"compute">>),
    [Result] = get(<<"results/wasm/output">>, Computed),
    {ok, Answer} = hb_beamr_io:read_string(Instance, Result),
    ?assertMatch({ok, #{<<"response">> := #{<<"Output">> := #{<<"data">> := <<"2">>}}}},
                 wasmbeam_json:decode(Answer)).

message(Code) ->
    <<"{\"From\":\"OWNER\",\"Block-Height\":\"1\",\"Target\":\"AOS\",\"Owner\":\"OWNER\",\"Id\":\"1\",",
      "\"Module\":\"M\",\"Tags\":[{\"name\":\"Action\",\"value\":\"Eval\"}],\"Data\":\"",
      Code/binary, "\"}", 0>>.

environment() ->
    <<"{\"Process\":{\"Id\":\"AOS\",\"Owner\":\"OWNER\",\"Tags\":[{\"name\":\"Name\",\"value\":",
      "\"Process\"},{\"name\":\"Authority\",\"value\":\"OWNER\"}]}}", 0>>.

process(Image) ->
    {ok, Id} = wasmbeam_host:cache_write(#{<<"body">> => Image}, #{}),
    #{<<"device">> => <<"stack@1.0">>,
      <<"device-stack">> => [<<"WASI@1.0">>, <<"JSON-Iface@1.0">>, <<"WASM-64@1.0">>,
                             <<"Multipass@1.0">>],
      <<"input-prefix">> => <<"process">>, <<"output-prefix">> => <<"wasm">>, <<"passes">> => 2,
      <<"stack-keys">> => [<<"init">>, <<"compute">>, <<"snapshot">>, <<"normalize">>],
      <<"process">> => #{<<"image">> => Id, <<"owner">> => <<"OWNER">>, <<"name">> => <<"Process">>,
                         <<"authority">> => <<"OWNER">>, <<"scheduler">> => <<"OWNER">>}}.

eval(Message, Code) ->
    Target = get(<<"process/id">>, Message),
    {ok, Computed} = resolve(Message, #{
        <<"path">> => <<"compute">>, <<"block-height">> => 1,
        <<"body">> => #{<<"action">> => <<"Eval">>, <<"data">> => Code, <<"target">> => Target,
                        <<"owner">> => <<"OWNER">>, <<"from">> => <<"OWNER">>}}),
    Computed.

messages(Image) ->
    {ok, Ready} = resolve(process(Image), <<"init">>),
    One = eval(Ready, <<"x = 41">>),
    Two = eval(One, <<"return x + 1">>),
    ?assertEqual(<<"42">>, get(<<"results/data">>, Two)),
    ?assertEqual(<<"stack@1.0">>, wasmbeam_host:device(Two, #{})),
    Three = eval(Two, <<"x = x + 1; return x">>),
    ?assertEqual(<<"42">>, get(<<"results/data">>, Three)).

error_in_code(Image) ->
    {ok, Ready} = resolve(process(Image), <<"init">>),
    Failed = eval(Ready, <<"error('on purpose')">>),
    ?assertMatch({match, _}, re:run(get(<<"results/data">>, Failed), "on purpose")),
    ?assertEqual(<<"3">>, get(<<"results/data">>, eval(Failed, <<"return 1 + 2">>))).

outbox(Image) ->
    {ok, Ready} = resolve(process(Image), <<"init">>),
    Computed = eval(Ready, <<"ao.send({Target = 'ONE', Data = 'first', Action = 'Greet'}) ",
                             "ao.send({Target = 'TWO', Data = 'second'})">>),
    ?assertEqual(<<"ONE">>, get(<<"results/outbox/1/target">>, Computed)),
    ?assertEqual(<<"first">>, get(<<"results/outbox/1/data">>, Computed)),
    ?assertEqual(<<"Greet">>, get(<<"results/outbox/1/action">>, Computed)),
    ?assertEqual(<<"TWO">>, get(<<"results/outbox/2/target">>, Computed)),
    ?assertEqual(not_found, get(<<"results/outbox/3">>, Computed)),
    Silent = eval(Computed, <<"return 'nothing'">>),
    ?assertEqual(<<"nothing">>, get(<<"results/data">>, Silent)),
    ?assertEqual(not_found, get(<<"results/outbox/1">>, Silent)).

genesis(Image) ->
    Process = maps:with([<<"process">>], process(Image)),
    {ok, Ready} = resolve(Process#{<<"device">> => <<"genesis-wasm@1.0">>}, <<"init">>),
    One = eval(Ready, <<"x = 41">>),
    Two = eval(One, <<"return x + 1">>),
    ?assertEqual(<<"42">>, get(<<"results/data">>, Two)),
    ?assertEqual(<<"genesis-wasm@1.0">>, wasmbeam_host:device(Two, #{})),
    Patched = eval(Two, <<"ao.send({Target = 'P', Method = 'PATCH', Price = '100'})">>),
    ?assertEqual(<<"100">>, get(<<"price">>, Patched)),
    ?assertEqual(not_found, get(<<"results/outbox/1">>, Patched)).

%% The message as it is in the cache, and a snapshot, are enough to go on.
resumed(Image) ->
    {ok, Ready} = resolve(process(Image), <<"init">>),
    One = eval(Ready, <<"x = 41">>),
    {ok, Snapshot} = resolve(One, #{<<"path">> => <<"snapshot">>, <<"mode">> => <<"Map">>}),
    {ok, Id} = wasmbeam_host:cache_write(One#{<<"snapshot">> => Snapshot}, #{}),
    {ok, Read} = wasmbeam_host:cache_read(Id, #{}),
    ?assertEqual(not_found, device_hosts:private(<<"wasm/instance">>, Read)),
    {ok, Normalized} = resolve(Read, <<"normalize">>),
    ?assertEqual(<<"42">>, get(<<"results/data">>, eval(Normalized, <<"return x + 1">>))).
