%% @doc Compiled modules: making, keeping and loading them. See {@link wasmbeam} for the interface.
%%
%% What holds for the whole node is in the environment of the application `wasmbeam', and is read at
%% each use: see `docs/compiling.md'.
-module(wasmbeam_compile).

-export([options/0, compile/2, precompile/2, differs/2]).

-export_type([limits/0, progress/0]).

-type limits() ::
    #{bytes => non_neg_integer() | infinity, functions => non_neg_integer() | infinity,
      function_bytes => non_neg_integer() | infinity, time => timeout()}.
-type progress() ::
    #{phase := reading | translating | compiling | done, elapsed_ms := non_neg_integer(),
      bytes => non_neg_integer(), functions => non_neg_integer()}.

%% Looking at this many bytes takes about as long as a scheduler may be kept.
-define(MANY_BYTES, 1048576).

%% @doc The options of {@link wasmbeam:compile/2} that say what comes out of it, or how.
-spec options() -> [atom()].
options() ->
    [deterministic, compiler, mode, compile_limits, progress].

%% @doc See {@link wasmbeam:compile/2}.
-spec compile(binary(), wasmbeam:compile_options()) ->
    {ok, wasmbeam_nif:module_ref()} | {error, wasmbeam:error_reason()}.
compile(Bytes, Options) when is_binary(Bytes) ->
    case wasmbeam_options:check(Options, [fuel, timeout, stack | options()]) of
        ok -> compile_checked(Bytes, Options);
        {error, _} = Error -> Error
    end;
compile(Bytes, _Options) ->
    wasmbeam_error:bad_argument("the bytes of a module", Bytes).

compile_checked(Bytes, Options) ->
    case native(Options) of
        {ok, Native} ->
            case find(Bytes, Native, Options) of
                {ok, Module} -> as_asked(Module, Options);
                {error, _} = Error -> Error
            end;
        {error, _} = Error ->
            Error
    end.

%% The options as the native library takes them.
native(#{mode := aot}) ->
    case application:get_env(wasmbeam, wasm_allow_aot, false) of
        true ->
            case wasmbeam_environment:key() of
                {ok, Key} -> {ok, #{mode => aot, key => Key}};
                {error, _} = Error -> Error
            end;
        _ ->
            Message = "precompiled images are not allowed here: "
                      "the application's environment does not have wasm_allow_aot",
            {error, wasmbeam_error:reason(not_permitted, Message, #{option => wasm_allow_aot})}
    end;
native(Options) ->
    case wasmbeam_environment:compile_limits(maps:get(compile_limits, Options, #{})) of
        {ok, Limits} ->
            Given = maps:with([fuel, deterministic, stack], Options),
            Compiler = maps:get(compiler, Options, #{}),
            wasmbeam_limits:with_stack((maps:merge(Given, Compiler))#{compile_limits => Limits});
        {error, _} = Error ->
            Error
    end.

find(Bytes, Native, Options) ->
    case at_hand(Bytes, Native) of
        none -> request(Bytes, Native, Options);
        Answer -> wasmbeam_error:normalize(Answer)
    end.

at_hand(Bytes, Native) ->
    case wasmbeam_nif:compile_recent(Bytes, Native) of
        none -> cached(Bytes, Native);
        Answer -> Answer
    end.

cached(Bytes, Native) when byte_size(Bytes) >= ?MANY_BYTES ->
    wasmbeam_nif:compile_cached_dirty(Bytes, Native, is_whole(Bytes));
cached(Bytes, Native) ->
    wasmbeam_nif:compile_cached(Bytes, Native, is_whole(Bytes)).

%% Whoever holds on to a part of a binary holds on to all of it.
is_whole(Bytes) ->
    binary:referenced_byte_size(Bytes) =:= byte_size(Bytes).

request(Bytes, Native, Options) ->
    case wasmbeam_environment:caches() of
        {ok, Caches} ->
            Began = erlang:monotonic_time(millisecond),
            All = maps:merge(Native, (watched(Caches))#{progress => is_map_key(progress, Options)}),
            case wasmbeam_nif:compile_image(Bytes, All) of
                {pending, Ticket, Wait} ->
                    wasmbeam_events:compiled(byte_size(Bytes), fun() ->
                        wait(Ticket, Wait, Began, ends(Began, Native, Options), report(Options))
                    end);
                Answer ->
                    wasmbeam_error:normalize(Answer)
            end;
        {error, _} = Error ->
            Error
    end.

%% Whoever asked may be gone by the time that an entry of the folder turns out to be damaged.
watched(#{cache_dir := _} = Caches) ->
    case wasmbeam_events:process() of
        {ok, Pid} -> Caches#{reports_to => Pid};
        none -> Caches
    end;
watched(Caches) ->
    Caches.

report(#{progress := Fun}) -> Fun;
report(_) -> fun(_Progress) -> ok end.

%% When to stop waiting, and what that is.
ends(Began, Native, Options) ->
    #{time := Time} = maps:merge(#{time => infinity}, maps:get(compile_limits, Native, #{})),
    lists:min([{Began + Timeout, Error}
               || {Timeout, Error} <- [{maps:get(timeout, Options, infinity), timed_out()},
                                       {Time, too_long(Time)}],
                  Timeout =/= infinity] ++ [{infinity, none}]).

timed_out() ->
    {error, wasmbeam_error:reason(timeout, "timed out")}.

too_long(Time) ->
    {error, wasmbeam_error:reason(limit, io_lib:format("compiling took more than ~p ms", [Time]),
                                  #{what => <<"milliseconds of compilation">>, limit => Time,
                                    requested => Time})}.

wait(Ticket, Wait, Began, {End, Expired} = Ends, Report) ->
    receive
        {'$wasmbeam', Ticket, {progress, Progress}} ->
            guarded(Ticket, Wait, fun() -> Report(Progress) end),
            wait(Ticket, Wait, Began, Ends, Report);
        {'$wasmbeam', Ticket, {ok, _} = Answer} ->
            _ = Report(#{phase => done,
                         elapsed_ms => erlang:monotonic_time(millisecond) - Began}),
            Answer;
        {'$wasmbeam', Ticket, {error, _} = Error} ->
            Error
    after left(End) ->
        leave(Ticket, Wait),
        Expired
    end.

left(infinity) -> infinity;
left(End) -> max(0, End - erlang:monotonic_time(millisecond)).

%% No message is left behind if the fun raises.
guarded(Ticket, Wait, Report) ->
    try
        Report()
    catch
        Class:Reason:Stack ->
            leave(Ticket, Wait),
            erlang:raise(Class, Reason, Stack)
    end.

%% The compilation goes on, and fills the caches.
leave(Ticket, Wait) ->
    _ = wasmbeam_nif:compile_leave(Wait),
    flush(Ticket).

flush(Ticket) ->
    receive {'$wasmbeam', Ticket, _} -> flush(Ticket) after 0 -> ok end.

%% A precompiled image has a configuration of its own.
as_asked(Module, #{mode := aot} = Options) ->
    {ok, Config} = wasmbeam_nif:module_config(Module),
    case differs(Options, Config) of
        false ->
            {ok, Module};
        {Name, Value} ->
            Message = io_lib:format("the image was not compiled with ~s => ~0tp", [Name, Value]),
            {error, wasmbeam_error:reason(bad_image, Message, #{option => Name, value => Value})}
    end;
as_asked(Module, _Options) ->
    {ok, Module}.

%% @doc An option that asks for something else than what a module was compiled with.
-spec differs(map(), map()) -> false | {atom(), term()}.
differs(Options, Config) ->
    Given = wasmbeam_limits:round_stack(maps:with([fuel, deterministic, stack], Options)),
    Asked = maps:merge(Given,
                       maps:get(compiler, Options, #{})),
    case [Name || {Name, Value} <- lists:sort(maps:to_list(Asked)),
                  map_get(Name, Config) =/= Value] of
        [] -> false;
        [opt | _] -> {compiler, map_get(compiler, Options)};
        [Name | _] -> {Name, map_get(Name, Options)}
    end.

%% @doc See {@link wasmbeam:precompile/2}.
-spec precompile(wasmbeam:source(), wasmbeam:compile_options()) ->
    {ok, binary()} | {error, wasmbeam:error_reason()}.
precompile(Source, Options) ->
    Known = [fuel, timeout, stack | lists:delete(mode, options())],
    case wasmbeam_options:check(Options, Known) of
        ok ->
            case to_module(Source, Options) of
                {ok, Module} -> image(Module);
                {error, _} = Error -> Error
            end;
        {error, _} = Error ->
            Error
    end.

to_module(Source, Options) when is_reference(Source) ->
    case wasmbeam_error:normalize(wasmbeam_nif:module_config(Source)) of
        {ok, Config} ->
            case differs(Options, Config) of
                false ->
                    {ok, Source};
                {Name, Value} ->
                    Expected = io_lib:format("a module compiled with ~s => ~0tp", [Name, Value]),
                    wasmbeam_error:bad_argument(Expected, Source)
            end;
        {error, _} = Error ->
            Error
    end;
to_module(Source, Options) ->
    compile(Source, Options).

image(Module) ->
    case wasmbeam_environment:key() of
        {ok, Key} -> wasmbeam_nif:module_image(Module, Key);
        {error, _} = Error -> Error
    end.
