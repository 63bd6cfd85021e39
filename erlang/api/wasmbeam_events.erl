%% @doc Events, for those who attach a handler.
%%
%% Handlers run in the process that the event happens in, but for an instance's end, which is told by
%% a process of this module. Like all of wasmbeam that process needs no application to run: the first
%% instance starts it.
-module(wasmbeam_events).
-behaviour(gen_server).

-export([attach/3, detach/1, handlers/0, names/0]).
-export([started/2, compiled/2, call/3, failed/2]).
-export([ensure_started/0, process/0, start/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-export_type([id/0, name/0, handler/0]).

-type id() :: term().
-type name() :: [atom(), ...].
-type handler() ::
    fun((name(), Measurements :: map(), Metadata :: map()) -> term()) | {module(), atom()}.

-define(HANDLERS, ?MODULE).
-define(CALL_DONE, [wasmbeam, call, done]).
-define(CALL_FAILED, [wasmbeam, call, failed]).
-define(COMPILE_DONE, [wasmbeam, compile, done]).
-define(START_DONE, [wasmbeam, start, done]).
-define(STOPPED, [wasmbeam, instance, stopped]).

%% @doc All events that there are.
-spec names() -> [name(), ...].
names() ->
    [?COMPILE_DONE, ?START_DONE, ?CALL_DONE, ?CALL_FAILED, ?STOPPED].

%% @doc Has a handler be called at events of these names.
-spec attach(id(), [name()], handler()) ->
    ok | {error, already_attached | wasmbeam:error_reason()}.
attach(Id, Names, Handler) ->
    case {is_list(Names) andalso Names -- names(), function(Handler)} of
        {[], {ok, Function}} ->
            change({attach, #{id => Id, names => Names, function => Function}});
        {[], error} ->
            wasmbeam_error:bad_argument("a fun of arity 3, or {Module, Function}", Handler);
        {_, _} ->
            wasmbeam_error:bad_argument("a list of names that wasmbeam:event_names/0 has", Names)
    end.

function(Handler) when is_function(Handler, 3) -> {ok, Handler};
function({Module, Function}) when is_atom(Module), is_atom(Function) ->
    {ok, fun Module:Function/3};
function(_) -> error.

%% @doc Has it not be called any more.
-spec detach(id()) -> ok | {error, not_attached}.
detach(Id) ->
    change({detach, Id}).

%% @doc The handlers that are attached.
-spec handlers() -> [#{id := id(), names := [name()], function := fun()}].
handlers() ->
    persistent_term:get(?HANDLERS, []).

change(Change) ->
    ok = ensure_started(),
    gen_server:call(?MODULE, Change, infinity).

%% @doc Starts an instance, and tells of it.
-spec started(start | restore | fork, fun(() -> Answer)) -> Answer
    when Answer :: {ok, wasmbeam:instance()} | {error, wasmbeam:error_reason()}.
started(How, Start) ->
    ok = ensure_started(),
    case wants(?START_DONE) of
        false ->
            Start();
        true ->
            Begun = erlang:monotonic_time(),
            Answer = Start(),
            emit(?START_DONE, since(Begun), (outcome(Answer))#{how => How}),
            Answer
    end.

%% @doc Compiles, and tells of it if there was something to compile.
-spec compiled(non_neg_integer(), fun(() -> Answer)) -> Answer
    when Answer :: {ok, wasmbeam:module_ref()} | {error, wasmbeam:error_reason()}.
compiled(Size, Compile) ->
    case wants(?COMPILE_DONE) of
        false ->
            Compile();
        true ->
            Begun = erlang:monotonic_time(),
            Answer = Compile(),
            emit(?COMPILE_DONE, (since(Begun))#{bytes => Size}, maps:remove(instance, outcome(Answer))),
            Answer
    end.

%% @doc Makes a call, and tells of it.
-spec call(wasmbeam:instance(), wasmbeam:func(), fun(() -> Answer)) -> Answer
    when Answer :: {ok, [wasmbeam:value()]} | {error, wasmbeam:error_reason()}.
call(Instance, Function, Call) ->
    Begun = erlang:monotonic_time(),
    Answer = Call(),
    emit(?CALL_DONE, since(Begun),
         (outcome(Answer))#{instance => Instance, function => Function}),
    Answer.

%% @doc Tells of a call that failed.
-spec failed(wasmbeam:instance(), wasmbeam:error_reason()) -> ok.
failed(Instance, Reason) ->
    case wants(?CALL_FAILED) of
        false -> ok;
        true -> emit(?CALL_FAILED, #{count => 1}, #{instance => Instance, error => Reason})
    end.

since(Begun) ->
    #{duration => erlang:monotonic_time() - Begun}.

outcome({ok, Instance}) -> #{result => ok, instance => Instance};
outcome({error, Reason}) -> #{result => error, error => Reason}.

wants(Name) ->
    wants(Name, handlers()).

wants(Name, Handlers) ->
    lists:any(fun(#{names := Names}) -> lists:member(Name, Names) end, Handlers).

emit(Name, Measurements, Metadata) ->
    lists:foreach(fun
        (#{id := Id, names := Names, function := Function}) ->
            lists:member(Name, Names)
                andalso handle(Id, Function, Name, Measurements, Metadata)
    end, handlers()).

%% A handler that fails must not harm whoever the event happened to.
handle(Id, Function, Name, Measurements, Metadata) ->
    try
        Function(Name, Measurements, Metadata)
    catch
        Class:Reason:Stack ->
            gen_server:cast(?MODULE, {detach, Id}),
            wasmbeam_log:report(error, handler_detached,
                                #{id => Id, event_name => Name, class => Class, reason => Reason,
                                  stacktrace => Stack})
    end.

%% @doc Starts the process that handlers are attached by, if it does not run.
-spec ensure_started() -> ok.
ensure_started() ->
    case whereis(?MODULE) of
        undefined -> start();
        _ -> ok
    end.

%% @doc The process that tells what happens where no Erlang code runs.
-spec process() -> {ok, pid()} | none.
process() ->
    ok = ensure_started(),
    case whereis(?MODULE) of
        undefined -> none;
        Pid -> {ok, Pid}
    end.

%% @private
-spec start() -> ok.
start() ->
    case gen_server:start({local, ?MODULE}, ?MODULE, [], []) of
        {ok, _} -> ok;
        {error, {already_started, _}} -> ok
    end.

%% @private
-spec init([]) -> {ok, []}.
init([]) ->
    true = group_leader(leader(), self()),
    Configured = application:get_env(wasmbeam, event_handlers, []),
    Attached = lists:foldl(fun configured/2, handlers(), Configured),
    ok = publish(Attached),
    {ok, []}.

%% Not that of the process that happens to be first: the application of that one would take this one
%% along when it stops, and what a handler prints would have no place when its shell ends.
leader() ->
    case whereis(user) of
        undefined -> whereis(init);
        User -> User
    end.

configured({Id, Names, Handler}, Attached) ->
    case {is_list(Names) andalso Names -- names(), function(Handler), find(Id, Attached)} of
        {[], {ok, Function}, false} ->
            Attached ++ [#{id => Id, names => Names, function => Function}];
        {[], {ok, _}, true} ->
            Attached;
        {_, _, _} ->
            bad_handler({Id, Names, Handler}),
            Attached
    end;
configured(Other, Attached) ->
    bad_handler(Other),
    Attached.

bad_handler(Given) ->
    wasmbeam_log:report(error, bad_event_handler, #{event_handlers => Given}).

find(Id, Handlers) ->
    lists:any(fun(#{id := Known}) -> Known =:= Id end, Handlers).

publish(Handlers) ->
    ok = persistent_term:put(?HANDLERS, Handlers),
    case wasmbeam_error:normalize(wasmbeam_nif:events_want(wants(?CALL_DONE, Handlers),
                                                           wants(?STOPPED, Handlers))) of
        ok -> ok;
        %% Then nothing happens that could be told.
        {error, {native_unavailable, _}} -> ok
    end.

%% @private
-spec handle_call({attach, map()} | {detach, id()}, gen_server:from(), []) ->
    {reply, ok | {error, already_attached | not_attached}, []}.
handle_call({attach, #{id := Id} = Handler}, _From, []) ->
    Handlers = handlers(),
    case find(Id, Handlers) of
        true -> {reply, {error, already_attached}, []};
        false -> {reply, publish(Handlers ++ [Handler]), []}
    end;
handle_call({detach, Id}, _From, []) ->
    {reply, remove(Id), []}.

%% @private
-spec handle_cast({detach, id()}, []) -> {noreply, []}.
handle_cast({detach, Id}, []) ->
    _ = remove(Id),
    {noreply, []}.

remove(Id) ->
    Handlers = handlers(),
    case find(Id, Handlers) of
        true -> publish([Handler || #{id := Known} = Handler <- Handlers, Known =/= Id]);
        false -> {error, not_attached}
    end.

%% @private
-spec handle_info(term(), []) -> {noreply, []}.
handle_info({wasmbeam_event, stopped, #{reason := Reason, state := State} = Details}, []) ->
    Busy = State =:= running orelse State =:= suspended,
    case Reason of
        owner_died when Busy ->
            wasmbeam_log:report(notice, owner_died, maps:with([id, owner, state, module], Details));
        _ ->
            ok
    end,
    Measured = [calls, imports, traps, yields, run_time_ns, memory_bytes],
    emit(?STOPPED, maps:with(Measured, Details),
         maps:with([id, reason, owner, state, module, module_id, started_at], Details)),
    {noreply, []};
handle_info({wasmbeam_event, last_line, {{Stream, Level, Metadata}, Line}}, []) ->
    wasmbeam_log:output(Level, Stream, Line, Metadata),
    {noreply, []};
handle_info({wasmbeam_event, cache_entry_rejected, Details}, []) ->
    wasmbeam_log:report(warning, cache_entry_rejected, Details),
    {noreply, []};
handle_info(_Message, []) ->
    {noreply, []}.
