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

find(Name, OfCall, OfNode) ->
    Lowercase = wasmbeam_path:lowercase(Name),
    Own = own(Lowercase),
    case first(Name, Lowercase, [OfCall, OfNode]) of
        error when Own =/= error -> {ok, Own};
        Found -> Found
    end.

first(Name, Lowercase, [Devices | Others]) when map_size(Devices) > 0 ->
    case Devices of
        #{Name := Device} -> {ok, Device};
        #{} ->
            case [Device || {Key, Device} <- maps:to_list(Devices),
                            wasmbeam_path:lowercase(Key) =:= Lowercase] of
                [Device | _] -> {ok, Device};
                [] -> first(Name, Lowercase, Others)
            end
    end;
first(Name, Lowercase, [_ | Others]) ->
    first(Name, Lowercase, Others);
first(_Name, _Lowercase, []) ->
    error.

own(<<"message@1.0">>) -> dev_message;
own(<<"stack@1.0">>) -> dev_stack;
own(<<"multipass@1.0">>) -> dev_multipass;
own(<<"wasm-64@1.0">>) -> dev_wasm;
own(<<"wasi@1.0">>) -> dev_wasi;
own(<<"json-iface@1.0">>) -> dev_json_iface;
own(<<"patch@1.0">>) -> dev_patch;
own(<<"delegated-compute@1.0">>) -> dev_delegated_compute;
own(<<"genesis-wasm@1.0">>) -> dev_genesis_wasm;
own(_) -> error.

%% Modules are loaded when they are first called, and what is not loaded exports nothing.
loaded(Module) ->
    case erlang:module_loaded(Module) orelse code:ensure_loaded(Module) of
        true -> {ok, Module};
        {module, Module} -> {ok, Module};
        {error, _} -> error
    end.
