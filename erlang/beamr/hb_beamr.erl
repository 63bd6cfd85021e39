%% @doc The interface of HyperBEAM's `hb_beamr', over {@link wasmbeam}.
%%
%% A handle is a pid: of a small process that an instance belongs to. It ends by {@link stop/1}, or
%% some time after all processes that used it have ended, and the instance with it. Nothing else goes
%% through that process: calls and memory accesses run in the process that asks for them, whichever it is, and
%% one after the other.
%%
%% ```
%% {ok, Handle, Imports, Exports} = hb_beamr:start(Image),
%% {ok, [120.0]} = hb_beamr:call(Handle, "fac", [5.0]),
%% ok = hb_beamr:stop(Handle).
%% '''
%%
%% Errors are those of {@link wasmbeam}: `{error, {Class, Info}}'. A handle that has ended, like a
%% pid that never was one, gives the class `stopped'.
-module(hb_beamr).

-export([start/1, start/2, start/3, stop/1]).
-export([call/3, call/4, call/5, call/6, stub/3]).
-export([serialize/1, deserialize/2, wasm_send/2]).

-export_type([handle/0, mode/0, function_ref/0, import_fun/0, import_request/0, import_answer/0]).

-define(LINGER, 30000).
-define(MAX_LINGER, 16#ffffffff).

-type handle() :: pid().
-type mode() :: wasm | aot.
-type function_ref() :: string() | binary() | atom() | non_neg_integer().
%% The name of an export, or an index into the first table.
-type import_request() ::
    #{instance := handle(), module := string(), func := string(), args := [wasmbeam:value()],
      func_sig := hb_beamr_signature:signature()}.
-type import_answer() ::
    {ok, Results :: [wasmbeam:value()], NewState :: term()} | {default, NewState :: term()}.
%% The results, or what wasmbeam itself provides under that name, and else what `stub/3' answers.
-type import_fun() ::
    fun((State :: term(), import_request(), Opts :: term()) -> import_answer()).

%% @equiv start(Image, wasm)
-spec start(binary()) ->
    {ok, handle(), [hb_beamr_signature:import()], [hb_beamr_signature:export()]}
    | {error, wasmbeam:error_reason()}.
start(Image) ->
    start(Image, wasm).

%% @doc Makes an instance of a module.
%%
%% Functions that the module imports are asked for when they are called, so starting needs none of
%% them. Memories and tables that it imports are new ones.
%%
%% The handle may be given to another process; it lives for half a minute without any that has used
%% it.
%%
%% With `aot' the image is one that {@link wasmbeam:precompile/2} gave, on a node that allows it.
-spec start(binary(), mode()) ->
    {ok, handle(), [hb_beamr_signature:import()], [hb_beamr_signature:export()]}
    | {error, wasmbeam:error_reason()}.
start(Image, Mode) ->
    start(Image, Mode, ?LINGER).

%% @doc As {@link start/2}, with the milliseconds that the handle lives without any process that has
%% used it: with 0 it ends with the last one.
-spec start(binary(), mode(), Linger :: timeout()) ->
    {ok, handle(), [hb_beamr_signature:import()], [hb_beamr_signature:export()]}
    | {error, wasmbeam:error_reason()}.
start(_Image, Mode, _Linger) when Mode =/= wasm, Mode =/= aot ->
    {error, wasmbeam_error:reason(bad_argument, "expected a mode: wasm or aot",
                                  #{expected => <<"wasm or aot">>, value => Mode})};
start(Image, Mode, Linger)
        when Linger =:= infinity; is_integer(Linger), Linger >= 0, Linger =< ?MAX_LINGER ->
    case wasmbeam:compile(Image, #{mode => Mode}) of
        {ok, Module} -> start_module(Module, Linger);
        {error, _} = Error -> Error
    end;
start(_Image, _Mode, Linger) ->
    wasmbeam_error:bad_argument("infinity, or milliseconds from 0 to 2^32 - 1", Linger).

start_module(Module, Linger) ->
    Imports = wasmbeam:imports(Module),
    Exports = wasmbeam:exports(Module),
    Handle = hb_beamr_handle:start(Linger),
    Options = #{owner => Handle,
                imports => hb_beamr_imports:bindings(Imports),
                import_handler => fun hb_beamr_imports:provided/1},
    case wasmbeam:start(Module, Options) of
        {ok, Instance} ->
            ok = hb_beamr_handle:adopt(Handle, Instance),
            {ok, Handle, hb_beamr_signature:imports(Imports), hb_beamr_signature:exports(Exports)};
        {error, _} = Error ->
            hb_beamr_handle:stop(Handle),
            Error
    end.

%% @doc Ends an instance. Calls in progress end with `stopped'.
-spec stop(handle()) -> ok | {error, wasmbeam:error_reason()}.
stop(Handle) ->
    hb_beamr_registry:with(Handle, fun(_Instance) -> hb_beamr_handle:stop(Handle) end).

%% @doc Calls a function and gives its results.
%%
%% What it imports is what wasmbeam itself provides under that name, and else {@link stub/3}.
-spec call(handle(), function_ref(), [wasmbeam:value()]) ->
    {ok, [wasmbeam:value()]} | {error, wasmbeam:error_reason()}.
call(Handle, FuncRef, Args) ->
    call_instance(Handle, FuncRef, Args, #{}).

%% @equiv call(Handle, FuncRef, Args, ImportFun, #{}, #{})
-spec call(handle(), function_ref(), [wasmbeam:value()], import_fun() | undefined) ->
    hb_beamr_imports:outcome().
call(Handle, FuncRef, Args, ImportFun) ->
    call(Handle, FuncRef, Args, ImportFun, #{}, #{}).

%% @equiv call(Handle, FuncRef, Args, ImportFun, State, #{})
-spec call(handle(), function_ref(), [wasmbeam:value()], import_fun() | undefined,
           State :: term()) ->
    hb_beamr_imports:outcome().
call(Handle, FuncRef, Args, ImportFun, State) ->
    call(Handle, FuncRef, Args, ImportFun, State, #{}).

%% @doc Calls a function whose imports `ImportFun' answers, with a state that goes from one to the
%% next and comes back with the results.
%%
%% Results that are more than the import has are cut, so that one answer serves functions with and
%% without a result. An import that only the engine can implement, because it unwinds the guest's
%% stack or catches what does (`invoke_*', `_emscripten_throw_longjmp', ...), is not asked for where
%% wasmbeam provides it. `Opts' is for `ImportFun' alone.
%%
%% `ImportFun' may use the instance, and call it, whose imports in turn are those of that call. When
%% it raises, the call ends with the class, reason and stack of the exception; the state in an
%% error is the last one it answered.
%%
%% With `undefined' for `ImportFun' imports are served as in {@link call/3}.
-spec call(handle(), function_ref(), [wasmbeam:value()], import_fun() | undefined,
           State :: term(), Opts :: term()) ->
    hb_beamr_imports:outcome().
call(Handle, FuncRef, Args, undefined, State, _Opts) ->
    case call(Handle, FuncRef, Args) of
        {ok, Results} -> {ok, Results, State};
        {error, Reason} -> {error, Reason, State}
    end;
call(Handle, FuncRef, Args, ImportFun, State, Opts) when is_function(ImportFun, 3) ->
    hb_beamr_imports:serve(Handle, ImportFun, State, Opts, fun(Handler) ->
        call_instance(Handle, FuncRef, Args, #{import_handler => Handler})
    end);
call(_Handle, _FuncRef, _Args, ImportFun, State, _Opts) ->
    {error, wasmbeam_error:reason(bad_argument, "expected an import fun of arity 3",
                                  #{expected => <<"a fun of arity 3">>, value => ImportFun}),
     State}.

call_instance(Handle, FuncRef, Args, Options) ->
    hb_beamr_registry:with(Handle, fun(Instance) ->
        case function(FuncRef) of
            {ok, Function} -> wasmbeam:call(Instance, Function, Args, Options);
            error -> bad_function(FuncRef)
        end
    end).

function(Index) when is_integer(Index), Index >= 0 ->
    {ok, {table_index, Index}};
function(FuncRef) ->
    case wasmbeam_name:binary(FuncRef) of
        Name when is_binary(Name) -> {ok, Name};
        _ -> error
    end.

bad_function(FuncRef) ->
    Expected = <<"the name of a function, or an index into the first table">>,
    {error, wasmbeam_error:reason(bad_argument, ["expected ", Expected],
                                  #{expected => Expected, value => FuncRef})}.

%% @doc An import fun that answers `[0]' to everything and keeps the state.
-spec stub(State, import_request() | map(), Opts :: term()) -> {ok, [0], State}.
stub(State, _Request, _Opts) ->
    {ok, [0], State}.

%% @doc The whole state of an instance in which nothing runs, as {@link wasmbeam:serialize/1} gives
%% it: more than the memory, and fewer bytes.
-spec serialize(handle()) -> {ok, binary()} | {error, wasmbeam:error_reason()}.
serialize(Handle) ->
    hb_beamr_registry:with(Handle, fun wasmbeam:serialize/1).

%% @doc Gives an instance the state that {@link serialize/1} gave, or the memory that HyperBEAM's own
%% did. An instance that was `interrupted' can be called again. If there is an error it is what it
%% was.
%%
%% Such an image of the first memory has whole pages. The memory grows where it is too small, and is
%% zero behind the image; nothing else of the instance changes.
%%
%% Errors: those of {@link wasmbeam:deserialize/2}, `limit'; `bad_snapshot' if it is neither.
-spec deserialize(handle(), wasmbeam:snapshot()) -> ok | {error, wasmbeam:error_reason()}.
deserialize(Handle, State) ->
    hb_beamr_registry:with(Handle, fun(Instance) ->
        case hb_beamr_image:is_image(State) of
            true -> hb_beamr_image:load(Instance, State);
            false -> wasmbeam:deserialize(Instance, State)
        end
    end).

%% @doc Has a command run, whose answer the calling process gets as a message, a handle's having
%% ended included.
%%
%% `{command, term_to_binary(Command)}', with these commands and answers:
%% <ul>
%% <li>`{size}': `{execution_result, Bytes}'</li>
%% <li>`{read, Offset, Size}': `{execution_result, Binary}'</li>
%% <li>`{write, Offset, Binary}': `ok'</li>
%% <li>`{call, Name, Args}', `{indirect_call, Index, Args}': `{execution_result, Results}', imports
%%   being served as in {@link call/3}</li>
%% </ul>
%% or `{error, Reason}'. The command is done when the function returns.
-spec wasm_send(handle(), {command, binary()} | term()) -> ok.
wasm_send(Handle, Message) ->
    self() ! hb_beamr_command:run(Handle, Message),
    ok.
