%% Precompiled images in messages, with the mode AOT.
-module(dev_wasm_aot_tests).

-include_lib("eunit/include/eunit.hrl").

-define(OPTS, #{devices => #{<<"test-device@1.0">> => test_device}, wasm_allow_aot => true}).
-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).
-define(AOS, "aos-2-pure-xs.wasm").

all_hosts_test_() ->
    Tests = [{"an image computes wherever it is", fun wherever_it_is/0},
             {"the mode has a prefix as the image has", fun prefix/0},
             {"imports of an image are served", fun imports/0},
             {"snapshots go both ways", fun snapshots/0},
             {"the node's option is needed", fun option_of_the_host/0},
             {"the application's permission is needed", fun permission_of_the_application/0},
             {"an altered image is refused", fun altered/0},
             {"an image sealed with another key is refused", fun another_key/0},
             {"a module is no image", fun module_as_image/0},
             {"an image is no module", fun image_as_module/0}],
    device_hosts:on_both([{Name, {setup, fun permit/0, fun unset/1, Test}}
                          || {Name, Test} <- Tests]).

permit() ->
    application:set_env(wasmbeam, wasm_allow_aot, true),
    application:set_env(wasmbeam, aot_key, key(1)).

unset(_) ->
    [application:unset_env(wasmbeam, Name) || Name <- [wasm_allow_aot, aot_key]].

key(N) -> binary:copy(<<N>>, 32).

precompiled(File) ->
    {ok, Image} = wasmbeam:precompile(device_hosts:read_module(File)),
    Image.

message(Image) ->
    #{<<"device">> => <<"WASM-64@1.0">>, <<"image">> => Image, <<"Mode">> => <<"AOT">>}.

init(Message) ->
    {ok, Ready} = wasmbeam_host:resolve(Message, <<"init">>, ?OPTS),
    Ready.

run(Message, Function, Parameters) ->
    wasmbeam_host:resolve(Message#{<<"function">> => Function, <<"parameters">> => Parameters},
                          <<"compute/results/output">>, ?OPTS).

refused(Status, Class, Message) ->
    refused(Status, Class, Message, ?OPTS).

refused(Status, Class, Message, Opts) ->
    {error, Fault} = wasmbeam_host:resolve(Message, <<"init">>, Opts),
    ?assertMatch(#{<<"status">> := Status, <<"class">> := Class, <<"message">> := _}, Fault),
    map_get(<<"message">>, Fault).

wherever_it_is() ->
    Image = precompiled("fac.wat"),
    {ok, Id} = wasmbeam_host:cache_write(#{<<"body">> => Image}, ?OPTS),
    InBody = maps:remove(<<"image">>, message(Image)),
    [?assertEqual({ok, [120.0]}, run(init(Message), <<"fac">>, [5.0]))
     || Message <- [message(Image), message(Id), message(#{<<"body">> => Image}),
                    InBody#{<<"body">> => Image},
                    (message(Image))#{<<"Mode">> => <<"aot">>}]].

prefix() ->
    Process = maps:remove(<<"device">>, message(precompiled("fac.wat"))),
    Ready = init(#{<<"device">> => <<"WASM-64@1.0">>, <<"input-prefix">> => <<"process">>,
                   <<"process">> => Process}),
    ?assertEqual({ok, [6.0]}, run(Ready, <<"fac">>, [3])).

imports() ->
    Library = #{<<"my_lib">> => #{<<"device">> => <<"test-device@1.0">>}},
    Message = (message(precompiled("pow.wat")))#{<<"stdlib">> => Library},
    ?assertEqual({ok, [32]}, run(init(Message), <<"pow">>, [2, 5])).

%% `pow' keeps nothing; this one counts in a global that is not exported.
snapshots() ->
    Source = <<"(module (memory 1) (global $n (mut i32) (i32.const 0))
                  (func (export \"up\") (result i32)
                    (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))">>,
    {ok, Image} = wasmbeam:precompile(Source),
    Ways = [message(Image), (message(Source))#{<<"Mode">> => <<"WASM">>}],
    [begin
         Ready = init(From),
         {ok, [1]} = run(Ready, <<"up">>, []),
         {ok, Snapshot} = wasmbeam_host:resolve(Ready, <<"snapshot">>, ?OPTS),
         ?assertEqual({ok, [2]}, run(To#{<<"snapshot">> => Snapshot}, <<"up">>, []))
     end || From <- Ways, To <- Ways].

option_of_the_host() ->
    Message = message(precompiled("fac.wat")),
    [begin
         Text = refused(403, <<"not_permitted">>, Message, Opts),
         ?assertMatch({match, _}, re:run(Text, "wasm_allow_aot"))
     end || Value <- [false, <<"true">>, 1, undefined],
            Opts <- [maps:put(wasm_allow_aot, Value, ?OPTS)]].

permission_of_the_application() ->
    Message = message(precompiled("fac.wat")),
    _ = init(Message),
    application:set_env(wasmbeam, wasm_allow_aot, false),
    Text = refused(403, <<"not_permitted">>, Message),
    ?assertMatch({match, _}, re:run(Text, "wasm_allow_aot")),
    %% With nothing said anywhere it is not allowed either.
    application:unset_env(wasmbeam, wasm_allow_aot),
    _ = refused(403, <<"not_permitted">>, Message, maps:remove(wasm_allow_aot, ?OPTS)).

altered() ->
    Image = precompiled("fac.wat"),
    _ = init(message(Image)),
    Size = byte_size(Image),
    [begin
         <<Before:Place/binary, Byte, After/binary>> = Image,
         Altered = <<Before/binary, (Byte bxor 1), After/binary>>,
         refused(400, <<"bad_image">>, message(#{<<"body">> => Altered}))
     end || Place <- [0, 9, 80, Size div 2, Size - 33, Size - 1]],
    [refused(400, <<"bad_image">>, message(#{<<"body">> => Bytes}))
     || Bytes <- [<<>>, binary:part(Image, 0, Size - 1), <<Image/binary, 0>>]].

another_key() ->
    Image = precompiled("fac.wat"),
    application:set_env(wasmbeam, aot_key, key(2)),
    refused(400, <<"bad_image">>, message(Image)).

module_as_image() ->
    [refused(400, <<"bad_image">>, message(#{<<"body">> => Bytes}))
     || Bytes <- [device_hosts:read_module("fac.wat"), <<0, "asm", 1, 0, 0, 0>>]].

image_as_module() ->
    Message = message(precompiled("fac.wat")),
    refused(400, <<"invalid_module">>, Message#{<<"Mode">> => <<"WASM">>}).

%% A whole Lua system, through the stack.
aos_test_() ->
    device_hosts:with_shared(?AOS, fun(Source) ->
        {setup, fun permit/0, fun unset/1,
         {timeout, 300, device_hosts:on_both([{timeout, 100, fun() -> aos(Source) end}])}}
    end).

aos(Source) ->
    {ok, Image} = wasmbeam:precompile(Source),
    {ok, Id} = wasmbeam_host:cache_write(#{<<"body">> => Image}, ?OPTS),
    Process = #{<<"image">> => Id, <<"Mode">> => <<"AOT">>, <<"owner">> => <<"OWNER">>,
                <<"name">> => <<"Process">>, <<"authority">> => <<"OWNER">>,
                <<"scheduler">> => <<"OWNER">>},
    Message = #{<<"device">> => <<"stack@1.0">>,
                <<"device-stack">> => [<<"WASI@1.0">>, <<"JSON-Iface@1.0">>, <<"WASM-64@1.0">>,
                                       <<"Multipass@1.0">>],
                <<"input-prefix">> => <<"process">>, <<"output-prefix">> => <<"wasm">>,
                <<"passes">> => 2, <<"stack-keys">> => [<<"init">>, <<"compute">>],
                <<"process">> => Process},
    Assigned = eval(init(Message), <<"x = 41">>),
    Answered = eval(Assigned, <<"return x + 1">>),
    ?assertEqual(<<"42">>, wasmbeam_host:get(<<"results/data">>, ?PLAIN(Answered), ?OPTS)).

eval(Message, Code) ->
    Target = wasmbeam_host:get(<<"process/id">>, ?PLAIN(Message), ?OPTS),
    {ok, Computed} = wasmbeam_host:resolve(Message, #{
        <<"path">> => <<"compute">>, <<"block-height">> => 1,
        <<"body">> => #{<<"action">> => <<"Eval">>, <<"data">> => Code, <<"target">> => Target,
                        <<"owner">> => <<"OWNER">>, <<"from">> => <<"OWNER">>}}, ?OPTS),
    Computed.
