%% @doc What the environment of the application `wasmbeam' says about compiling.
-module(wasmbeam_environment).

-export([key/0, caches/0, compile_limits/1]).

-type key() :: binary() | {file, binary()} | none.
-type result(T) :: {ok, T} | {error, wasmbeam:error_reason()}.

-define(KEY_FILE, "aot.key").

%% @doc Where the key is that compiled code is sealed with: `aot_key', or else `aot_key_file', or else
%% a file in the user's configuration.
-spec key() -> result(key()).
key() ->
    case {setting(aot_key), setting(aot_key_file)} of
        {undefined, undefined} -> {ok, default_key()};
        {undefined, File} -> file(aot_key_file, File, fun(Name) -> {file, Name} end);
        {Key, _} when is_binary(Key) -> {ok, Key};
        {_, _} -> bad(aot_key, "a binary")
    end.

default_key() ->
    case os:getenv("HOME") of
        false -> none;
        _ -> {file, name(filename:join(filename:basedir(user_config, "wasmbeam"), ?KEY_FILE))}
    end.

%% @doc The caches, as the native library takes them.
-spec caches() -> result(map()).
caches() ->
    collect([
        fun() -> bytes(cache_bytes) end,
        fun() -> bytes(cache_dir_bytes) end,
        fun cache_dir/0
    ], #{}).

collect([Get | Rest], Caches) ->
    case Get() of
        {ok, Found} -> collect(Rest, maps:merge(Caches, Found));
        {error, _} = Error -> Error
    end;
collect([], Caches) ->
    {ok, Caches}.

bytes(Name) ->
    case setting(Name) of
        undefined -> {ok, #{}};
        Bytes when is_integer(Bytes), Bytes >= 0, Bytes < 1 bsl 64 -> {ok, #{Name => Bytes}};
        _ -> bad(Name, "a number of bytes")
    end.

cache_dir() ->
    case setting(cache_dir) of
        undefined ->
            {ok, #{}};
        Folder ->
            case key() of
                {ok, Key} ->
                    file(cache_dir, Folder, fun(Name) -> #{cache_dir => Name, key => Key} end);
                {error, _} = Error ->
                    Error
            end
    end.

%% @doc The limits of the node where they are tighter than those given.
-spec compile_limits(wasmbeam_compile:limits()) -> result(wasmbeam_compile:limits()).
compile_limits(Given) ->
    case setting(compile_limits) of
        undefined ->
            {ok, Given};
        Node ->
            case wasmbeam_options:check(#{compile_limits => Node}, [compile_limits]) of
                ok -> {ok, tightest(Node, Given)};
                {error, _} -> bad(compile_limits, "a map of limits")
            end
    end.

%% `infinity' is greater than any number.
tightest(Node, Given) ->
    maps:map(fun(Name, Limit) -> min(Limit, maps:get(Name, Node, Limit)) end,
             maps:merge(Node, Given)).

setting(Name) ->
    application:get_env(wasmbeam, Name, undefined).

file(Setting, Name, Then) when is_binary(Name), Name =/= <<>>; is_list(Name), Name =/= [] ->
    case name(Name) of
        Bytes when is_binary(Bytes) -> {ok, Then(Bytes)};
        _ -> bad(Setting, "the name of a file")
    end;
file(Setting, _Name, _Then) ->
    bad(Setting, "the name of a file").

%% Absolute, because the working directory can change.
name(Name) ->
    try filename:absname(Name) of
        Absolute when is_binary(Absolute) -> Absolute;
        Absolute -> unicode:characters_to_binary(Absolute, unicode, file:native_name_encoding())
    catch
        error:_ -> error
    end.

bad(Setting, Expected) ->
    wasmbeam_error:bad_argument(["the setting ", atom_to_list(Setting), " to be ", Expected],
                                shown(Setting)).

%% A key is not for error messages.
shown(aot_key) -> '...';
shown(Setting) -> setting(Setting).
