%% @doc `message@1.0': a message whose keys are what is in its map.
%%
%% Keys are found whatever their case. Those of the private part are not there. Reserved are:
%% `id' (what the message is stored under), `keys', `get' (the key in `target'), `set' (merges the
%% request's keys into the message), `remove' (the key in `item' or the keys in `items').
-module(dev_message).

-export([info/0, id/3, keys/1, get/3, set/3, remove/2]).
-export([get/4, is_reserved/1]).

%% @doc What resolves keys that are no functions.
-spec info() -> map().
info() ->
    #{exports => [id, keys, get, set, remove], default => fun get/4}.

%% @doc Whether a key is resolved by a function.
-spec is_reserved(binary()) -> boolean().
is_reserved(Key) when byte_size(Key) > 6 -> false;
is_reserved(Key) ->
    case wasmbeam_path:lowercase(Key) of
        <<"id">> -> true;
        <<"keys">> -> true;
        <<"get">> -> true;
        <<"set">> -> true;
        <<"remove">> -> true;
        _ -> false
    end.

%% @doc The id that the message has in the cache.
-spec id(wasmbeam_host:message(), wasmbeam_host:message(), wasmbeam_host:opts()) ->
    wasmbeam_host:outcome().
id(Message, _Request, _Opts) ->
    wasmbeam_cache:id(Message).

%% @doc The names of all public keys.
-spec keys(wasmbeam_host:message()) -> {ok, [binary()]}.
keys(Message) ->
    {ok, wasmbeam_message:public_keys(Message)}.

%% @doc The key that the request has in `target'.
-spec get(wasmbeam_host:message(), wasmbeam_host:message(), wasmbeam_host:opts()) ->
    wasmbeam_host:outcome().
get(Message, Request, Opts) ->
    case wasmbeam_message:find(<<"target">>, Request) of
        {ok, Key} when is_binary(Key) -> get(Key, Message, Request, Opts);
        _ -> wasmbeam_fault:new(bad_request, "get needs the name of a key in target", [])
    end.

%% @doc A key as it is in the map.
-spec get(binary(), wasmbeam_host:message(), wasmbeam_host:message(), wasmbeam_host:opts()) ->
    {ok, term()} | {error, not_found}.
get(Key, Message, _Request, _Opts) ->
    case not wasmbeam_path:is_private(Key) andalso wasmbeam_message:find(Key, Message) of
        {ok, Value} -> {ok, Value};
        _ -> {error, not_found}
    end.

%% @doc Merges what the request says into the message.
-spec set(wasmbeam_host:message(), wasmbeam_host:message(), wasmbeam_host:opts()) ->
    {ok, wasmbeam_host:message()}.
set(Message, Request, _Opts) ->
    Updates = maps:without([<<"path">>], Request),
    {ok, wasmbeam_message:merge(Message, wasmbeam_message:public(Updates))}.

%% @doc Removes the key in `item', or the keys in `items'.
-spec remove(wasmbeam_host:message(), wasmbeam_host:message()) -> wasmbeam_host:outcome().
remove(Message, #{<<"item">> := Key}) when is_binary(Key) ->
    {ok, unset(Key, Message)};
remove(Message, #{<<"items">> := Keys}) when is_list(Keys) ->
    {ok, lists:foldl(fun unset/2, Message, [Key || Key <- Keys, is_binary(Key)])};
remove(_Message, _Request) ->
    wasmbeam_fault:new(bad_request, "remove needs a key in item, or keys in items", []).

unset(Key, Message) ->
    case wasmbeam_path:is_private(Key) of
        true -> Message;
        false -> wasmbeam_message:set(Message, [Key], unset)
    end.
