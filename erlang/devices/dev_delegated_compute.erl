%% @doc `delegated-compute@1.0': has a process computed by the WebAssembly stack of this node.
%%
%% The stack's devices are the node's option `delegated_compute_stack', `[WASI@1.0, JSON-Iface@1.0,
%% WASM-64@1.0, Multipass@1.0]' where it is not set. The message stays what it is but for its results
%% and its files; where it has neither an instance nor a snapshot, `compute' begins with `init'.
-module(dev_delegated_compute).

-export([info/1, init/3, compute/3, normalize/3, snapshot/3]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).
-define(STACK, [<<"WASI@1.0">>, <<"JSON-Iface@1.0">>, <<"WASM-64@1.0">>, <<"Multipass@1.0">>]).
%% What the stack needs to know, unless the message says otherwise.
-define(SETTINGS, #{<<"passes">> => 2, <<"input-prefix">> => <<"process">>,
                    <<"output-prefix">> => <<"wasm">>,
                    <<"stack-keys">> => [<<"init">>, <<"compute">>, <<"snapshot">>,
                                         <<"normalize">>]}).

-type message() :: wasmbeam_host:message().
-type opts() :: wasmbeam_host:opts().

%% @doc The keys of the device.
-spec info(message()) -> map().
info(_Message) ->
    #{exports => [init, compute, normalize, snapshot]}.

%% @doc The instance is started when it is needed.
-spec init(message(), message(), opts()) -> {ok, message()}.
init(Message, _Request, _Opts) -> {ok, Message}.

%% @doc Computes the request.
-spec compute(message(), message(), opts()) -> wasmbeam_host:outcome().
compute(Message, Request, Opts) ->
    case ready(Message, Request, Opts) of
        {ok, Ready} -> on_stack(<<"compute">>, Ready, Request, Opts);
        {error, _} = Error -> Error
    end.

ready(Message, Request, Opts) ->
    Prefix = wasmbeam_host:get(<<"output-prefix">>, ?PLAIN(Message), <<"wasm">>, Opts),
    Instance = wasmbeam_host:private_get(<<Prefix/binary, "/instance">>, Message, Opts),
    case {Instance, wasmbeam_host:get(<<"snapshot">>, ?PLAIN(Message), Opts)} of
        {not_found, not_found} -> on_stack(<<"init">>, Message, Request, Opts);
        {not_found, _Snapshot} -> on_stack(<<"normalize">>, Message, Request, Opts);
        {_Instance, _} -> {ok, Message}
    end.

%% @doc Makes an instance of a snapshot.
-spec normalize(message(), message(), opts()) -> wasmbeam_host:outcome().
normalize(Message, Request, Opts) ->
    case wasmbeam_host:get(<<"snapshot">>, ?PLAIN(Message), Opts) of
        not_found -> {ok, Message};
        _Snapshot -> on_stack(<<"normalize">>, Message, Request, Opts)
    end.

%% @doc The snapshots of the stack's devices.
-spec snapshot(message(), message(), opts()) -> wasmbeam_host:outcome().
snapshot(Message, Request, Opts) ->
    case ready(Message, Request, Opts) of
        {ok, Ready} ->
            on_stack(<<"snapshot">>, Ready, Request#{<<"mode">> => <<"Map">>}, Opts);
        {error, _} = Error ->
            Error
    end.

on_stack(Key, Message, Request, Opts) ->
    Stack = wasmbeam_host:option(delegated_compute_stack, ?STACK, Opts),
    Settings = maps:merge(?SETTINGS, #{<<"device">> => <<"stack@1.0">>,
                                       <<"device-stack">> => Stack}),
    Present = maps:map(fun(Name, _) -> wasmbeam_host:get(Name, ?PLAIN(Message), unset, Opts) end,
                       Settings),
    Own = Present#{<<"device">> := wasmbeam_host:device(Message, Opts)},
    Given = maps:filter(fun(Name, Value) -> is_map_key(Name, ?SETTINGS) andalso Value =/= unset end,
                        Own),
    Prepared = wasmbeam_host:replace(Message, maps:merge(Settings, Given), Opts),
    case wasmbeam_host:resolve(Prepared, Request#{<<"path">> => Key}, Opts) of
        {ok, Result} when Key =/= <<"snapshot">> -> {ok, wasmbeam_host:replace(Result, Own, Opts)};
        Outcome -> Outcome
    end.
