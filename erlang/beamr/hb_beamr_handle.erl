%% @doc The process that is the handle of an instance: owns it, and does nothing else.
%%
%% Its life ends with the message `stop', or some time after all processes have ended that used it: the
%% one that started it may have given it to another one, which has not used it yet.
-module(hb_beamr_handle).
-behaviour(gen_server).

-export([start/1, adopt/2, use/1, stop/1]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-record(state, {
    starter :: pid(),
    users :: #{reference() => pid()},
    %% How long it lives without any, in milliseconds.
    linger :: timeout(),
    %% Set while there is none.
    timer = none :: reference() | none,
    instance = none :: wasmbeam:instance() | none,
    registry = none :: reference() | none
}).

%% @doc Starts a handle that the calling process uses, and that lives for `Linger' milliseconds when
%% nobody does.
-spec start(Linger :: timeout()) -> pid().
start(Linger) ->
    {ok, Handle} = gen_server:start(?MODULE, {self(), Linger}, []),
    Handle.

%% @doc Makes the handle stand for an instance.
-spec adopt(pid(), wasmbeam:instance()) -> ok.
adopt(Handle, Instance) ->
    gen_server:call(Handle, {adopt, Instance}, infinity).

%% @doc Makes the calling process one that uses the handle.
-spec use(pid()) -> ok.
use(Handle) ->
    Handle ! {use, self()},
    ok.

%% @doc Ends the handle, and returns when it has ended.
-spec stop(pid()) -> ok.
stop(Handle) ->
    Monitor = monitor(process, Handle),
    Handle ! stop,
    receive {'DOWN', Monitor, process, Handle, _} -> ok end.

%% @private
-spec init({Starter :: pid(), Linger :: timeout()}) -> {ok, #state{}}.
init({Starter, Linger}) ->
    Users = #{monitor(process, Starter) => Starter},
    {ok, #state{starter = Starter, users = Users, linger = Linger}}.

%% @private
-spec handle_call({adopt, wasmbeam:instance()}, gen_server:from(), #state{}) ->
    {noreply, #state{}, hibernate}.
handle_call({adopt, Instance}, From, State) ->
    %% Registered before the starter hears of it.
    Registered = registered(State#state{instance = Instance}),
    gen_server:reply(From, ok),
    {noreply, Registered, hibernate}.

%% @private
-spec handle_continue(register, #state{}) -> {noreply, #state{}, hibernate}.
handle_continue(register, State) ->
    {noreply, registered(State), hibernate}.

%% @private
-spec handle_cast(term(), #state{}) -> {noreply, #state{}, hibernate}.
handle_cast(_, State) ->
    {noreply, State, hibernate}.

%% @private
-spec handle_info(term(), #state{}) ->
    {noreply, #state{}, hibernate | {continue, register}} | {stop, normal, #state{}}.
handle_info({'DOWN', Registry, process, _, _}, #state{registry = Registry} = State) ->
    {noreply, State, {continue, register}};
handle_info({'DOWN', User, process, Pid, _}, #state{users = Users} = State)
        when is_map_key(User, Users) ->
    hb_beamr_registry:forget(Pid),
    unused(State#state{users = maps:remove(User, Users)});
handle_info({use, Pid}, #state{users = Users} = State) ->
    User = monitor(process, Pid),
    {noreply, State#state{users = Users#{User => Pid}, timer = none}, hibernate};
handle_info({timeout, Timer, unused}, #state{timer = Timer} = State) ->
    {stop, normal, State};
handle_info(stop, State) ->
    {stop, normal, State};
handle_info(_, State) ->
    %% A pid that is known to others gets messages that are not for it.
    {noreply, State, hibernate}.

%% @private
-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{instance = none}) ->
    ok;
terminate(_Reason, #state{instance = Instance}) ->
    hb_beamr_registry:delete(),
    _ = wasmbeam:stop(Instance),
    ok.

registered(#state{instance = Instance, starter = Starter} = State) ->
    State#state{registry = hb_beamr_registry:insert(Instance, Starter)}.

unused(#state{users = Users, linger = Linger} = State)
        when map_size(Users) > 0; Linger =:= infinity ->
    {noreply, State, hibernate};
unused(#state{linger = Linger, instance = Instance} = State) when Linger > 0, Instance =/= none ->
    {noreply, State#state{timer = erlang:start_timer(Linger, self(), unused)}, hibernate};
unused(State) ->
    {stop, normal, State}.
