%% @doc HyperBEAM as the host: `hb_ao' (`hb_converge' in older releases), `hb_private', `hb_cache'
%% and, if there is one, `hb_opts', as they are in the code path.
-module(wasmbeam_host_hyperbeam).

-behaviour(wasmbeam_host).

-export([find/0]).
-export([get/4, set/3, replace/3, resolve/3, load/2, private_get/3, private_set/3, cache_write/2,
         cache_read/2, option/3, is_device/3]).

-define(RESOLVER, {wasmbeam, hyperbeam_resolver}).
%% In options whose devices are in the list already.
-define(KNOWN, wasmbeam_devices_known).
%% By way of variables: at compile time there is no HyperBEAM.
-define(PRIVATE, (module(hb_private))).
-define(CACHE, (module(hb_cache))).
-define(OPTIONS, (module(hb_opts))).

module(Name) -> Name.

%% @doc Whether HyperBEAM is there; remembers which of its resolvers is.
-spec find() -> boolean().
find() ->
    Resolvers = [Resolver || Resolver <- [hb_ao, hb_converge], is_there(Resolver)],
    case Resolvers of
        [Resolver | _] ->
            persistent_term:put(?RESOLVER, Resolver),
            _ = is_there(?OPTIONS),
            lists:all(fun is_there/1, [hb_private, hb_cache]);
        [] ->
            false
    end.

is_there(Module) ->
    {module, Module} =:= code:ensure_loaded(Module).

resolver() ->
    case persistent_term:get(?RESOLVER, undefined) of
        undefined ->
            true = find(),
            persistent_term:get(?RESOLVER);
        Resolver ->
            Resolver
    end.

%% @doc See {@link wasmbeam_host:get/4}.
-spec get(wasmbeam_host:path(), wasmbeam_host:base(), term(), wasmbeam_host:opts()) -> term().
get(Path, Base, Default, Opts) ->
    (resolver()):get(path(Path), Base, Default, opts(Opts)).

%% @doc See {@link wasmbeam_host:set/3}.
-spec set(wasmbeam_host:message(), wasmbeam_host:updates(), wasmbeam_host:opts()) ->
    wasmbeam_host:message().
set(Message, Updates, Opts) ->
    (resolver()):set(Message, updates(Updates), opts(Opts)).

%% @doc See {@link wasmbeam_host:replace/3}. Anything else than a message takes the place of what is
%% there by itself.
-spec replace(wasmbeam_host:message(), wasmbeam_host:updates(), wasmbeam_host:opts()) ->
    wasmbeam_host:message().
replace(Message, Updates, Opts) ->
    Merged = maps:filter(fun(_Path, Value) -> is_map(Value) end, Updates),
    Cleared = case map_size(Merged) of
        0 -> Message;
        _ -> set(Message, maps:map(fun(_Path, _Value) -> unset end, Merged), Opts)
    end,
    set(Cleared, Updates, Opts).

%% @doc See {@link wasmbeam_host:resolve/3}.
-spec resolve(wasmbeam_host:base(), wasmbeam_host:request(), wasmbeam_host:opts()) ->
    wasmbeam_host:outcome().
resolve(Base, Request, Opts) ->
    (resolver()):resolve(Base, Request, opts(Opts)).

%% @doc See {@link wasmbeam_host:load/2}. Older releases load everything at once.
-spec load(term(), wasmbeam_host:opts()) -> term().
load(Value, Opts) ->
    case erlang:function_exported(?CACHE, ensure_all_loaded, 2) of
        true -> ?CACHE:ensure_all_loaded(Value, opts(Opts));
        false -> Value
    end.

%% @doc See {@link wasmbeam_host:private_get/3}.
-spec private_get(wasmbeam_host:path(), wasmbeam_host:message(), wasmbeam_host:opts()) -> term().
private_get(Path, Message, Opts) ->
    ?PRIVATE:get(path(Path), Message, opts(Opts)).

%% @doc See {@link wasmbeam_host:private_set/3}.
-spec private_set(wasmbeam_host:message(), wasmbeam_host:updates(), wasmbeam_host:opts()) ->
    wasmbeam_host:message().
private_set(Message, Updates, Opts) ->
    ?PRIVATE:set(Message, updates(Updates), opts(Opts)).

%% @doc See {@link wasmbeam_host:cache_write/2}.
-spec cache_write(wasmbeam_host:message() | binary(), wasmbeam_host:opts()) ->
    {ok, wasmbeam_host:id()} | {error, term()}.
cache_write(Message, Opts) ->
    ?CACHE:write(Message, opts(Opts)).

%% @doc See {@link wasmbeam_host:cache_read/2}.
-spec cache_read(wasmbeam_host:id(), wasmbeam_host:opts()) ->
    {ok, wasmbeam_host:message() | binary()} | not_found | {error, term()}.
cache_read(Id, Opts) ->
    case ?CACHE:read(Id, opts(Opts)) of
        {error, not_found} -> not_found;
        Answer -> Answer
    end.

%% @doc See {@link wasmbeam_host:option/3}.
-spec option(atom(), term(), wasmbeam_host:opts()) -> term().
option(Key, Default, Opts) ->
    node_option(Key, Default, opts(Opts)).

%% Without `hb_opts' there are the options of the call, and wasmbeam's own.
node_option(Key, Default, Opts) ->
    case {erlang:function_exported(?OPTIONS, get, 3), Opts} of
        {true, _} -> ?OPTIONS:get(Key, Default, Opts);
        {false, #{Key := Value}} -> Value;
        {false, #{}} -> application:get_env(wasmbeam, Key, Default)
    end.

%% @doc See {@link wasmbeam_host:is_device/3}.
-spec is_device(binary(), module(), wasmbeam_host:opts()) -> boolean().
is_device(Name, Module, Opts) ->
    Lowercase = wasmbeam_path:lowercase(Name),
    case [Found || #{<<"name">> := Each, <<"module">> := Found}
                       <- node_option(preloaded_devices, [], opts(Opts)),
                   wasmbeam_path:lowercase(Each) =:= Lowercase] of
        [First | _] -> First =:= Module;
        %% Nobody has said otherwise.
        [] -> true
    end.

%% A path as text, without empty parts: devices put them together of prefixes that may be empty.
path(Path) when is_list(Path) ->
    wasmbeam_path:to_binary(wasmbeam_path:keys(Path));
path(Path) when is_binary(Path), Path =/= <<"/">> ->
    wasmbeam_path:to_binary(wasmbeam_path:keys(Path));
path(Path) ->
    Path.

updates(Updates) ->
    maps:from_list([{path(Path), Value} || {Path, Value} <- maps:to_list(Updates)]).

%% HyperBEAM looks for devices in a list; the first of a name counts. Once in it, they stay.
opts(#{devices := Devices} = Opts) when not is_map_key(?KNOWN, Opts) ->
    Extra = [#{<<"name">> => wasmbeam_name:binary(Name), <<"module">> => Module}
             || {Name, Module} <- maps:to_list(Devices)],
    Opts#{preloaded_devices => Extra ++ node_option(preloaded_devices, [], Opts), ?KNOWN => true};
opts(Opts) ->
    Opts.
