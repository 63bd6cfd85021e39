%% @doc `genesis-wasm@1.0': computes processes of the first AO network: by `delegated-compute@1.0', and
%% then the patches that a process sent (`patch@1.0') are applied to the message.
-module(dev_genesis_wasm).

-export([info/1, init/3, compute/3, normalize/3, snapshot/3]).

-type message() :: wasmbeam_host:message().
-type opts() :: wasmbeam_host:opts().

%% @doc The keys of the device.
-spec info(message()) -> map().
info(_Message) ->
    #{exports => [init, compute, normalize, snapshot]}.

%% @doc Nothing to prepare.
-spec init(message(), message(), opts()) -> {ok, message()}.
init(Message, _Request, _Opts) -> {ok, Message}.

%% @doc Computes the request, or says why not.
-spec compute(message(), message(), opts()) -> wasmbeam_host:outcome().
compute(Message, Request, Opts) ->
    case as(<<"delegated-compute@1.0">>, Message, for(<<"compute">>, Request), Opts) of
        {ok, Computed} ->
            as(<<"patch@1.0">>, Computed, Request#{<<"path">> => <<"compute">>}, Opts);
        Outcome ->
            Outcome
    end.

%% @doc Makes an instance of a snapshot.
-spec normalize(message(), message(), opts()) -> wasmbeam_host:outcome().
normalize(Message, Request, Opts) ->
    as(<<"delegated-compute@1.0">>, Message, for(<<"normalize">>, Request), Opts).

%% @doc The state of the process.
-spec snapshot(message(), message(), opts()) -> wasmbeam_host:outcome().
snapshot(Message, Request, Opts) ->
    wasmbeam_host:resolve({as, <<"delegated-compute@1.0">>, Message}, for(<<"snapshot">>, Request),
                          Opts).

%% Who calls a device as a function may leave the path out.
for(Key, Request) when is_map(Request) -> maps:merge(#{<<"path">> => Key}, Request);
for(_Key, Request) -> Request.

%% Hosts differ in which device the result has: it is that of the message.
as(Device, Message, Request, Opts) ->
    case wasmbeam_host:resolve({as, Device, Message}, Request, Opts) of
        {ok, Result} when is_map(Result) ->
            Own = wasmbeam_host:device(Message, Opts),
            {ok, wasmbeam_host:replace(Result, #{<<"device">> => Own}, Opts)};
        Outcome ->
            Outcome
    end.
