%% @doc The host where there is no other: messages are maps with binary keys.
-module(wasmbeam_host_embedded).

-behaviour(wasmbeam_host).

-export([get/4, set/3, replace/3, resolve/3, load/2, private_get/3, private_set/3, cache_write/2,
         cache_read/2, option/3, is_device/3]).

-define(PRIVATE, <<"priv">>).

%% @doc See {@link wasmbeam_host:get/4}.
-spec get(wasmbeam_host:path(), wasmbeam_host:base(), term(), wasmbeam_host:opts()) -> term().
get(Key, {as, <<"message@1.0">>, Message} = Base, Default, Opts) when is_map(Message) ->
    case wasmbeam_path:is_plain(Key) andalso wasmbeam_message:find(Key, Message) of
        {ok, Value} -> Value;
        error -> Default;
        false -> resolved(Key, Base, Default, Opts)
    end;
get(Path, Base, Default, Opts) ->
    resolved(Path, Base, Default, Opts).

resolved(Path, Base, Default, Opts) ->
    case wasmbeam_resolver:resolve(Base, Path, Opts) of
        {ok, Value} -> Value;
        _ -> Default
    end.

%% @doc See {@link wasmbeam_host:set/3}.
-spec set(wasmbeam_host:message(), wasmbeam_host:updates(), wasmbeam_host:opts()) ->
    wasmbeam_host:message().
set(Message, Updates, _Opts) ->
    maps:fold(fun(Path, Value, Updated) -> set_path(wasmbeam_path:keys(Path), Value, Updated) end,
              Message, Updates).

set_path([Key | _] = Keys, Value, Message) ->
    case wasmbeam_path:is_private(Key) of
        false -> wasmbeam_message:set(Message, Keys, Value);
        true -> error({private_key, Key})
    end.

%% @doc See {@link wasmbeam_host:replace/3}.
-spec replace(wasmbeam_host:message(), wasmbeam_host:updates(), wasmbeam_host:opts()) ->
    wasmbeam_host:message().
replace(Message, Updates, _Opts) ->
    maps:fold(fun replace_path/3, Message, Updates).

replace_path(Path, Value, Message) ->
    case wasmbeam_path:is_plain(Path) of
        true when is_map_key(Path, Message), Value =/= unset ->
            Message#{Path := Value};
        true ->
            wasmbeam_message:replace(Message, [Path], Value);
        false ->
            [Key | _] = Keys = wasmbeam_path:keys(Path),
            case wasmbeam_path:is_private(Key) of
                false -> wasmbeam_message:replace(Message, Keys, Value);
                true -> error({private_key, Key})
            end
    end.

%% @doc See {@link wasmbeam_host:resolve/3}.
-spec resolve(wasmbeam_host:base(), wasmbeam_host:request(), wasmbeam_host:opts()) ->
    wasmbeam_host:outcome().
resolve(Base, Request, Opts) ->
    wasmbeam_resolver:resolve(Base, Request, Opts).

%% @doc Nothing is loaded later: the value as it is.
-spec load(term(), wasmbeam_host:opts()) -> term().
load(Value, _Opts) ->
    Value.

%% @doc See {@link wasmbeam_host:private_get/3}.
-spec private_get(wasmbeam_host:path(), wasmbeam_host:message(), wasmbeam_host:opts()) -> term().
private_get(Path, #{?PRIVATE := Part}, _Opts) ->
    private_at(Path, Part);
private_get(Path, _Message, _Opts) ->
    private_at(Path, #{}).

%% Mostly there, and written like this.
private_at([<<>>, Key], Part) when is_map_key(Key, Part) ->
    map_get(Key, Part);
private_at([Prefix, Key] = Path, Part) ->
    case Part of
        #{Prefix := #{Key := Value}} -> Value;
        #{} -> private_value(wasmbeam_path:keys(Path), Part)
    end;
private_at(Path, Part) ->
    private_value(wasmbeam_path:keys(Path), Part).

private_value([], Value) ->
    Value;
private_value([Key | Keys], Part) when is_map(Part) ->
    case wasmbeam_message:find(Key, Part) of
        {ok, Value} -> private_value(Keys, Value);
        error -> not_found
    end;
private_value(_Keys, _Value) ->
    not_found.

%% @doc See {@link wasmbeam_host:private_set/3}.
-spec private_set(wasmbeam_host:message(), wasmbeam_host:updates(), wasmbeam_host:opts()) ->
    wasmbeam_host:message().
private_set(Message, Updates, _Opts) ->
    Private = maps:fold(fun(Path, Value, Part) ->
                            wasmbeam_message:set(Part, wasmbeam_path:keys(Path), Value)
                        end, maps:get(?PRIVATE, Message, #{}), Updates),
    Message#{?PRIVATE => Private}.

%% @doc See {@link wasmbeam_host:cache_write/2}.
-spec cache_write(wasmbeam_host:message() | binary(), wasmbeam_host:opts()) ->
    {ok, wasmbeam_host:id()} | {error, term()}.
cache_write(Message, Opts) ->
    wasmbeam_cache:write(Message, Opts).

%% @doc See {@link wasmbeam_host:cache_read/2}.
-spec cache_read(wasmbeam_host:id(), wasmbeam_host:opts()) ->
    {ok, wasmbeam_host:message() | binary()} | not_found | {error, term()}.
cache_read(Id, Opts) ->
    wasmbeam_cache:read(Id, Opts).

%% @doc See {@link wasmbeam_host:option/3}; the node's are the application's environment.
-spec option(atom(), term(), wasmbeam_host:opts()) -> term().
option(Key, Default, Opts) ->
    case Opts of
        #{Key := Value} -> Value;
        #{} -> application:get_env(wasmbeam, Key, Default)
    end.

%% @doc See {@link wasmbeam_host:is_device/3}.
-spec is_device(binary(), module(), wasmbeam_host:opts()) -> boolean().
is_device(Name, Module, Opts) ->
    wasmbeam_devices:find(Name, Opts) =:= {ok, Module}.
