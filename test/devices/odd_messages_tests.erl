%% Whatever is where in a message: a device answers, or tells what is wrong.
-module(odd_messages_tests).

-include_lib("eunit/include/eunit.hrl").

-define(DEPTH, 10000).

any_value_in_any_place_test_() ->
    device_hosts:on_embedded(
        [{binary_to_list(<<Device/binary, " ", Key/binary>>),
          {timeout, 60, fun() -> try_values(Device, Key) end}}
         || {Device, Keys} <- devices(), Key <- Keys]).

devices() ->
    [{<<"WASM-64@1.0">>, [<<"init">>, <<"compute">>, <<"import">>, <<"snapshot">>, <<"normalize">>,
                          <<"terminate">>]},
     {<<"WASI@1.0">>, [<<"init">>, <<"compute">>, <<"stdout">>, <<"fd_write">>, <<"path_open">>]},
     {<<"JSON-Iface@1.0">>, [<<"init">>, <<"compute">>]},
     {<<"stack@1.0">>, [<<"init">>, <<"compute">>, <<"transform/1/compute">>]},
     {<<"multipass@1.0">>, [<<"compute">>]},
     {<<"patch@1.0">>, [<<"compute">>, <<"all">>, <<"patches">>]},
     {<<"delegated-compute@1.0">>, [<<"compute">>, <<"normalize">>, <<"snapshot">>]},
     {<<"genesis-wasm@1.0">>, [<<"compute">>]},
     {<<"message@1.0">>, [<<"id">>, <<"keys">>, <<"get">>, <<"set">>, <<"remove">>]}].

places() ->
    [<<"image">>, <<"body">>, <<"mode">>, <<"input-prefix">>, <<"output-prefix">>,
     <<"input-prefixes">>, <<"output-prefixes">>, <<"device-stack">>, <<"stack-keys">>,
     <<"device-key">>, <<"function">>, <<"parameters">>, <<"pass">>, <<"passes">>, <<"process">>,
     <<"snapshot">>, <<"vfs">>, <<"file-descriptors">>, <<"arguments">>, <<"environment">>,
     <<"timestamp">>, <<"stdlib">>, <<"results">>, <<"state">>, <<"args">>, <<"module">>, <<"func">>,
     <<"from">>, <<"to">>, <<"item">>, <<"items">>, <<"target">>, <<"device">>, <<"path">>,
     <<"block-height">>, <<"allow-multipass">>, <<"priv">>].

values() ->
    [7, -1, 1.5, atom, true, <<>>, <<"text">>, <<255, 0>>, <<1:3>>, binary:copy(<<"A">>, 43), [], [1 | 2],
     ["text"], #{}, #{<<"1">> => #{}}, #{1 => 2}, {tuple}, self(), make_ref(), fun() -> ok end,
     1 bsl 200, nested(?DEPTH), listed(?DEPTH)].

nested(Depth) -> lists:foldl(fun(_, Inner) -> #{<<"a">> => Inner} end, #{}, lists:seq(1, Depth)).

listed(Depth) -> lists:foldl(fun(_, Inner) -> [Inner] end, [], lists:seq(1, Depth)).

%% In the message, and in the request.
try_values(Device, Key) ->
    Base = base(Device),
    [begin
         Named = case Place of <<"device">> -> #{}; _ -> #{Place => Value} end,
         check({in_message, Place, Value},
               fun() -> wasmbeam_host:resolve(maps:merge(Base, #{Place => Value}), Key, #{}) end),
         check({in_request, Place, Value},
               fun() -> wasmbeam_host:resolve(Base, Named#{<<"path">> => Key}, #{}) end)
     end || Place <- places(), Value <- values()],
    ok.

%% One that computes if nothing is odd about it.
base(<<"stack@1.0">> = Device) ->
    #{<<"device">> => Device, <<"device-stack">> => [<<"WASI@1.0">>, <<"WASM-64@1.0">>],
      <<"image">> => fac(), <<"function">> => <<"fac">>, <<"parameters">> => [1.0]};
base(Device) ->
    #{<<"device">> => Device, <<"image">> => fac(), <<"function">> => <<"fac">>,
      <<"parameters">> => [1.0], <<"process">> => #{<<"image">> => fac()}}.

fac() ->
    device_hosts:read_module("fac.wat").

check(Case, Resolve) ->
    try Resolve() of
        {ok, _} -> ok;
        {pass, _} -> ok;
        {error, not_found} -> ok;
        {error, #{<<"status">> := Status, <<"class">> := Class, <<"message">> := Text}}
          when is_integer(Status), is_binary(Class), byte_size(Text) > 0, byte_size(Text) < 10000 -> ok;
        Other -> error({shown(Case), Other})
    catch
        Class:Reason:Stack -> erlang:raise(Class, {shown(Case), Reason}, Stack)
    end.

shown({Where, Place, Value}) ->
    lists:flatten(io_lib:format("~p ~ts ~0tP", [Where, Place, Value, 10])).

%% Messages of JSON, and a process that is none.
any_value_in_a_process_test_() ->
    device_hosts:on_embedded({timeout, 60, fun() ->
        {ok, Ready} = wasmbeam_host:resolve(process(), <<"init">>, #{}),
        [begin
             Body = #{Place => Value},
             Request = #{<<"path">> => <<"compute">>, <<"body">> => Body},
             check({in_body, Place, Value}, fun() -> wasmbeam_host:resolve(Ready, Request, #{}) end),
             Changed = Ready#{<<"process">> => maps:merge(maps:get(<<"process">>, Ready), Body)},
             check({in_process, Place, Value},
                   fun() -> wasmbeam_host:resolve(Changed, Request#{<<"body">> => #{}}, #{}) end)
         end || Place <- [<<"id">>, <<"owner">>, <<"from">>, <<"data">>, <<"tags">>, <<"commitments">>,
                          <<"block-height">>, <<"other">>, <<"target">>],
                Value <- values()],
        ok
    end}).

process() ->
    #{<<"device">> => <<"stack@1.0">>,
      <<"device-stack">> => [<<"WASI@1.0">>, <<"JSON-Iface@1.0">>, <<"WASM-64@1.0">>,
                             <<"Multipass@1.0">>],
      <<"input-prefix">> => <<"process">>, <<"output-prefix">> => <<"wasm">>, <<"passes">> => 2,
      <<"stack-keys">> => [<<"init">>, <<"compute">>, <<"snapshot">>, <<"normalize">>],
      <<"process">> => #{<<"image">> => device_hosts:read_module("echo_process.wat")}}.
