%% @doc The devices that the embedded host knows, by name.
%%
%% Names are looked for among the devices of the call (`Opts#{devices => #{Name => Module}}'), those
%% of the node (the application's environment variable `devices'), and those of wasmbeam.
-module(wasmbeam_devices).

-export([find/2]).

%% @doc The device of a name, whatever its case. A module is its own name, and a map of functions is
%% a device itself.
-spec find(term(), wasmbeam_host:opts()) -> {ok, module() | map()} | error.
find(Name, Opts) when is_binary(Name) ->
    case find(Name, maps:get(devices, Opts, #{}), application:get_env(wasmbeam, devices, #{})) of
        {ok, Device} when is_atom(Device) -> loaded(Device);
        {ok, Device} when is_map(Device) -> {ok, Device};
        error -> error
    end;
find(Device, _Opts) when is_atom(Device) ->
    loaded(Device);
find(Device, _Opts) when is_map(Device) ->
    {ok, Device};
find(_Name, _Opts) ->
    error.

find(Name, OfCall, OfNode) when map_size(OfCall) =:= 0, map_size(OfNode) =:= 0 ->
    own(Name);
find(Name, OfCall, OfNode) ->
    case first(Name, wasmbeam_path:lowercase(Name), [OfCall, OfNode]) of
        error -> own(Name);
        Found -> Found
    end.

first(Name, Lowercase, [Devices | Others]) when map_size(Devices) > 0 ->
    case Devices of
        #{Name := Device} -> {ok, Device};
        #{} ->
            case [Device || {Key, Device} <- maps:to_list(Devices),
                            is_named(Key, Lowercase)] of
                [Device | _] -> {ok, Device};
                [] -> first(Name, Lowercase, Others)
            end
    end;
first(Name, Lowercase, [_ | Others]) ->
    first(Name, Lowercase, Others);
first(_Name, _Lowercase, []) ->
    error.

is_named(Key, Lowercase) ->
    case wasmbeam_name:binary(Key) of
        Name when is_binary(Name) -> wasmbeam_path:lowercase(Name) =:= Lowercase;
        _ -> false
    end.

%% As they are mostly written first.
own(<<"WASM-64@1.0">>) -> {ok, dev_wasm};
own(<<"WASI@1.0">>) -> {ok, dev_wasi};
own(<<"JSON-Iface@1.0">>) -> {ok, dev_json_iface};
own(<<"Multipass@1.0">>) -> {ok, dev_multipass};
own(<<"stack@1.0">>) -> {ok, dev_stack};
own(<<"message@1.0">>) -> {ok, dev_message};
own(Name) -> own_lowercase(wasmbeam_path:lowercase(Name)).

own_lowercase(<<"message@1.0">>) -> {ok, dev_message};
own_lowercase(<<"stack@1.0">>) -> {ok, dev_stack};
own_lowercase(<<"multipass@1.0">>) -> {ok, dev_multipass};
own_lowercase(<<"wasm-64@1.0">>) -> {ok, dev_wasm};
own_lowercase(<<"wasi@1.0">>) -> {ok, dev_wasi};
own_lowercase(<<"json-iface@1.0">>) -> {ok, dev_json_iface};
own_lowercase(<<"patch@1.0">>) -> {ok, dev_patch};
own_lowercase(<<"delegated-compute@1.0">>) -> {ok, dev_delegated_compute};
own_lowercase(<<"genesis-wasm@1.0">>) -> {ok, dev_genesis_wasm};
own_lowercase(_) -> error.

%% Modules are loaded when they are first called, and what is not loaded exports nothing.
loaded(Module) ->
    case erlang:module_loaded(Module) orelse code:ensure_loaded(Module) of
        true -> {ok, Module};
        {module, Module} -> {ok, Module};
        {error, _} -> error
    end.
