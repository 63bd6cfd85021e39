%% @doc The process that is the handle of an instance: owns it, and does nothing else.
%%
%% Its life ends with that of the process that started it, or with the message `stop'.
-module(hb_beamr_handle).
-behaviour(gen_server).

-export([start/0, adopt/2, stop/1]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-record(state, {
    starter :: reference(),
    instance = none :: wasmbeam:instance() | none,
    registry = none :: reference() | none
}).

%% @doc Starts a handle that lives as long as the calling process.
-spec start() -> pid().
start() ->
    {ok, Handle} = gen_server:start(?MODULE, self(), []),
    Handle.

%% @doc Makes the handle stand for an instance.
-spec adopt(pid(), wasmbeam:instance()) -> ok.
adopt(Handle, Instance) ->
    gen_server:call(Handle, {adopt, Instance}, infinity).

%% @doc Ends the handle, and returns when it has ended.
-spec stop(pid()) -> ok.
stop(Handle) ->
    Monitor = monitor(process, Handle),
    Handle ! stop,
    receive {'DOWN', Monitor, process, Handle, _} -> ok end.

%% @private
init(Starter) ->
    {ok, #state{starter = monitor(process, Starter)}}.

%% @private
handle_call({adopt, Instance}, From, State) ->
    %% Registered before the starter hears of it.
    Registered = registered(State#state{instance = Instance}),
    gen_server:reply(From, ok),
    {noreply, Registered, hibernate}.

%% @private
handle_continue(register, State) ->
    {noreply, registered(State), hibernate}.

%% @private
handle_cast(_, State) ->
    {noreply, State, hibernate}.

%% @private
handle_info({'DOWN', Starter, process, _, _}, #state{starter = Starter} = State) ->
    {stop, normal, State};
handle_info({'DOWN', Registry, process, _, _}, #state{registry = Registry} = State) ->
    {noreply, State, {continue, register}};
handle_info(stop, State) ->
    {stop, normal, State};
handle_info(_, State) ->
    %% A pid that is known to others gets messages that are not for it.
    {noreply, State, hibernate}.

%% @private
terminate(_Reason, #state{instance = none}) ->
    ok;
terminate(_Reason, #state{instance = Instance}) ->
    hb_beamr_registry:delete(),
    _ = wasmbeam:stop(Instance),
    ok.

registered(#state{instance = Instance} = State) ->
    State#state{registry = hb_beamr_registry:insert(Instance)}.
