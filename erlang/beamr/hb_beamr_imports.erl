%% @doc Imports as `hb_beamr' serves them: by one fun for all of them, which passes a state on.
-module(hb_beamr_imports).

-export([bindings/1, provided/1, serve/5]).

-export_type([outcome/0]).

-type outcome() ::
    {ok, Results :: [wasmbeam:value()], NewState :: term()}
    | {error, wasmbeam:error_reason(), State :: term()}
    | {error, Class :: error | exit | throw, Reason :: term(), Stack :: list(), State :: term()}.

-type request() ::
    #{module := binary(), name := binary(), args := [wasmbeam:value()],
      type := wasmbeam:func_type(), instance := wasmbeam:instance()}.

-record(thread, {
    state :: term(),
    %% What the import fun raised.
    raised = none :: {error | exit | throw, term(), list()} | none
}).

%% @doc Binds functions so that each call is asked for them, and makes memories and tables.
-spec bindings([wasmbeam:import_type()]) -> #{binary() => #{binary() => host | new}}.
bindings(Imports) ->
    lists:foldl(fun bind/2, #{}, Imports).

bind(#{kind := func, module := Module, name := Name}, Bindings) ->
    case needs_engine(Module, Name) of
        true -> Bindings;
        false -> bind(Module, Name, host, Bindings)
    end;
bind(#{kind := Kind, module := Module, name := Name}, Bindings)
        when Kind =:= memory; Kind =:= table ->
    bind(Module, Name, new, Bindings);
bind(#{}, Bindings) ->
    Bindings.

bind(Module, Name, Item, Bindings) ->
    Bindings#{Module => maps:put(Name, Item, maps:get(Module, Bindings, #{}))}.

%% Functions that unwind the guest's stack, or stop the unwinding: nothing outside of it can.
needs_engine(<<"env">>, <<"invoke_", _/binary>>) -> true;
needs_engine(<<"env">>, <<"_emscripten_throw_longjmp">>) -> true;
needs_engine(<<"env">>, <<"emscripten_longjmp">>) -> true;
needs_engine(<<"env">>, <<"emscripten_longjmp_jmpbuf">>) -> true;
needs_engine(<<"env">>, <<"__cxa_throw">>) -> true;
needs_engine(<<"env">>, <<"__cxa_rethrow">>) -> true;
needs_engine(<<"env">>, <<"__resumeException">>) -> true;
needs_engine(_, _) -> false.

%% @doc Answers an import by what wasmbeam provides, or else as `hb_beamr:stub/3' does.
-spec provided(request()) -> {default, [wasmbeam:value()]}.
provided(#{type := Type} = Request) ->
    {ok, Results, none} = hb_beamr:stub(none, Request, #{}),
    {default, fit(Results, Type)}.

%% @doc Runs a call, `Run', with a handler of imports that asks `ImportFun'.
-spec serve(hb_beamr:handle(), hb_beamr:import_fun(), State :: term(), Opts :: term(),
            fun((wasmbeam_imports:handler()) ->
                {ok, [wasmbeam:value()]} | {error, wasmbeam:error_reason()})) ->
    outcome().
serve(Handle, ImportFun, State, Opts, Run) ->
    %% Handlers run in this very process, so its dictionary carries the state from one to the next;
    %% the key keeps calls apart that are nested.
    Key = {?MODULE, make_ref()},
    _ = put(Key, #thread{state = State}),
    try Run(fun(Request) -> import(Key, Handle, ImportFun, Opts, Request) end) of
        Outcome -> outcome(Outcome, get(Key))
    after
        erase(Key)
    end.

outcome({ok, Results}, #thread{state = State}) ->
    {ok, Results, State};
outcome({error, {import_failed, _}}, #thread{state = State, raised = {Class, Reason, Stack}}) ->
    {error, Class, Reason, Stack, State};
outcome({error, Reason}, #thread{state = State}) ->
    {error, Reason, State}.

import(Key, Handle, ImportFun, Opts, #{type := Type} = Request) ->
    #thread{state = State} = Thread = get(Key),
    case ask(Key, ImportFun, State, upstream(Handle, Request), Opts) of
        {ok, Results, NewState} ->
            _ = put(Key, Thread#thread{state = NewState}),
            fit(Results, Type);
        {default, NewState} ->
            _ = put(Key, Thread#thread{state = NewState}),
            provided(Request);
        Answer ->
            error({bad_answer, Answer})
    end.

ask(Key, ImportFun, State, Request, Opts) ->
    try
        ImportFun(State, Request, Opts)
    catch
        Class:Reason:Stack ->
            _ = put(Key, #thread{state = State, raised = {Class, Reason, Stack}}),
            erlang:raise(Class, Reason, Stack)
    end.

upstream(Handle, #{module := Module, name := Name, args := Args, type := Type}) ->
    #{instance => Handle,
      module => unicode:characters_to_list(Module),
      func => unicode:characters_to_list(Name),
      args => Args,
      func_sig => hb_beamr_signature:function(Type)}.

%% A function without results may be answered as if it had some.
fit(Results, #{results := Types}) ->
    cut(Results, length(Types)).

cut([_ | _], 0) -> [];
cut([Result | Results], Left) -> [Result | cut(Results, Left - 1)];
cut(Results, _Left) -> Results.
