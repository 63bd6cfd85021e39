%% @doc The content-addressed cache of the embedded host.
%%
%% Binaries and messages are objects (see {@link wasmbeam_cache_object}); an object's id is the
%% SHA-256 of its bytes, in base64url. The messages within a message, and its longer binaries, are
%% objects of their own, so what many messages have in common is stored once. What is read is checked
%% against its id.
%%
%% Objects are in memory, or in a folder: `Opts#{cache => memory | {disk, Folder}}', else the
%% application's environment variable `cache', else in memory.
-module(wasmbeam_cache).

-export([write/2, read/2, id/1]).

-callback put(Store :: term(), wasmbeam_host:id(), binary()) -> ok | {error, term()}.
-callback get(Store :: term(), wasmbeam_host:id()) -> {ok, binary()} | not_found | {error, term()}.

%% Deeper messages are refused before anything is stored.
-define(MAX_DEPTH, 256).

%% @doc Stores a message without its private parts, or a binary.
-spec write(wasmbeam_host:message() | binary(), wasmbeam_host:opts()) ->
    {ok, wasmbeam_host:id()} | wasmbeam_fault:t().
write(Message, Opts) ->
    case store(Opts) of
        {ok, Module, Store} ->
            put_objects(Message, fun(Id, Bytes) -> Module:put(Store, Id, Bytes) end);
        {error, _} = Error ->
            Error
    end.

%% @doc The id under which a message or binary is stored.
-spec id(wasmbeam_host:message() | binary()) -> {ok, wasmbeam_host:id()} | wasmbeam_fault:t().
id(Message) ->
    put_objects(Message, fun(_Id, _Bytes) -> ok end).

put_objects(Message, Put) when is_map(Message); is_binary(Message) ->
    try {ok, put_object(wasmbeam_message:public(Message), [], Put)}
    catch throw:{error, _} = Error -> Error
    end;
put_objects(Other, _Put) ->
    wasmbeam_fault:new(bad_argument, "expected a message or a binary to store, not ~0tP",
                       [Other, 10]).

put_object(_Value, Path, _Put) when length(Path) > ?MAX_DEPTH ->
    throw(wasmbeam_fault:new(too_deep, "messages in messages, more than ~b levels: ~ts/...",
                             [?MAX_DEPTH, wasmbeam_path:to_binary(lists:sublist(lists:reverse(Path), 5))]));
put_object(Value, Path, Put) ->
    Inner = fun(Keys, InnerValue) -> put_object(InnerValue, Keys ++ Path, Put) end,
    Bytes = case wasmbeam_cache_object:encode(Value, Inner) of
        {ok, Encoded} ->
            Encoded;
        {error, Keys, What} ->
            Where = wasmbeam_path:to_binary(lists:reverse(Path, Keys)),
            throw(wasmbeam_fault:new(bad_argument, "what is at ~ts cannot be stored: ~0tP",
                                     [Where, What, 10], #{<<"path">> => Where}))
    end,
    Id = hash(Bytes),
    case Put(Id, Bytes) of
        ok -> Id;
        {error, Reason} ->
            throw(wasmbeam_fault:new(cache, "the cache cannot store ~ts: ~0tp", [Id, Reason]))
    end.

%% @doc Reads what was stored under an id.
-spec read(wasmbeam_host:id(), wasmbeam_host:opts()) ->
    {ok, wasmbeam_host:message() | binary()} | not_found | wasmbeam_fault:t().
read(Id, Opts) ->
    case store(Opts) of
        {ok, Module, Store} -> read(Id, Module, Store);
        {error, _} = Error -> Error
    end.

read(Id, Module, Store) ->
    try {ok, get_object(Id, Module, Store)}
    catch
        throw:{not_found, Id} -> not_found;
        throw:{not_found, Inner} ->
            wasmbeam_fault:new(not_found, "~ts, which is a part of ~ts, is not in the cache",
                               [Inner, Id], #{<<"id">> => Inner});
        throw:{error, _} = Error -> Error
    end.

get_object(Id, Module, Store) ->
    case wasmbeam_path:is_id(Id) andalso Module:get(Store, Id) of
        {ok, Bytes} ->
            hash(Bytes) =:= Id orelse throw({not_found, Id}),
            Inner = fun(InnerId) -> get_object(InnerId, Module, Store) end,
            case wasmbeam_cache_object:decode(Bytes, Inner) of
                {ok, Value} -> Value;
                error -> throw(wasmbeam_fault:new(cache, "~ts is not what the cache writes", [Id]))
            end;
        {error, Reason} ->
            throw(wasmbeam_fault:new(cache, "the cache cannot read ~ts: ~0tp", [Id, Reason]));
        _ ->
            throw({not_found, Id})
    end.

hash(Bytes) ->
    wasmbeam_cache_object:text_id(crypto:hash(sha256, Bytes)).

store(Opts) ->
    Configured = case Opts of
        #{cache := Cache} -> Cache;
        #{} -> application:get_env(wasmbeam, cache, memory)
    end,
    case Configured of
        memory -> {ok, wasmbeam_cache_memory, memory};
        {disk, Folder} -> {ok, wasmbeam_cache_disk, Folder};
        Other ->
            wasmbeam_fault:new(bad_argument, "expected memory or {disk, Folder} for cache, not ~0tP",
                               [Other, 10])
    end.
