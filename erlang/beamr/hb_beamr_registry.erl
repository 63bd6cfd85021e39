%% @doc Finds the instance that a handle stands for, without asking the handle's process.
%%
%% A table from pids to instances, and one of the other processes that use a handle than the one that
%% started it. They belong to a process of its own that the first handle starts,
%% so no application has to run; it takes out the handles that were killed. When that process itself
%% is killed, every handle starts it anew and enters itself again.
-module(hb_beamr_registry).
-behaviour(gen_server).

-export([insert/2, delete/0, forget/1, with/2, is_live/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(TABLE, ?MODULE).
-define(USERS, hb_beamr_users).

%% @doc Enters the calling process as the handle of an instance that `Starter' uses, and gives a
%% monitor: when it fires, the entry is lost.
-spec insert(wasmbeam:instance(), Starter :: pid()) -> reference().
insert(Instance, Starter) ->
    Owner = owner(),
    Monitor = monitor(process, Owner),
    try
        ok = gen_server:call(Owner, {watch, self()}, infinity),
        true = ets:insert(?TABLE, {self(), Instance, Starter})
    catch
        %% The owner has just been killed: the monitor tells.
        exit:{_, {gen_server, call, _}} -> ok;
        error:badarg -> ok
    end,
    Monitor.

%% @doc Takes the calling process out.
-spec delete() -> ok.
delete() ->
    try
        true = ets:delete(?TABLE, self()),
        true = ets:match_delete(?USERS, {{self(), '_'}}),
        ok
    catch
        error:badarg -> ok
    end.

%% @doc A process uses the calling handle no more.
-spec forget(pid()) -> ok.
forget(User) ->
    try ets:delete(?USERS, {self(), User}) of
        true -> ok
    catch
        error:badarg -> ok
    end.

%% @doc Does something with the instance that a handle stands for.
-spec with(hb_beamr:handle() | term(), fun((wasmbeam:instance()) -> Answer)) ->
    Answer | {error, wasmbeam:error_reason()}.
with(Handle, Fun) when is_pid(Handle) ->
    case lookup(Handle) of
        [{_, Instance, Starter}] when Starter =:= self() ->
            Fun(Instance);
        [{_, Instance, _Starter}] ->
            use(Handle),
            Fun(Instance);
        [] ->
            {error, wasmbeam_error:reason(stopped, "the handle has ended, or never was one",
                                          #{handle => Handle})}
    end;
with(Handle, _Fun) ->
    {error, wasmbeam_error:reason(bad_argument, "expected a handle: a pid",
                                  #{expected => <<"a handle">>, value => Handle})}.

%% @doc Whether a handle stands for an instance.
-spec is_live(hb_beamr:handle() | term()) -> boolean().
is_live(Handle) ->
    lookup(Handle) =/= [].

%% The handle is told once.
use(Handle) ->
    try ets:insert_new(?USERS, {{Handle, self()}}) of
        true -> hb_beamr_handle:use(Handle);
        false -> ok
    catch
        %% The owner has just been killed. There will be another use.
        error:badarg -> ok
    end.

%% There is no table before the first handle.
lookup(Handle) ->
    try
        ets:lookup(?TABLE, Handle)
    catch
        error:badarg -> []
    end.

owner() ->
    case whereis(?MODULE) of
        undefined ->
            case gen_server:start({local, ?MODULE}, ?MODULE, [], []) of
                {ok, Owner} -> Owner;
                {error, {already_started, Owner}} -> Owner
            end;
        Owner ->
            Owner
    end.

%% @private
-spec init([]) -> {ok, none}.
init([]) ->
    %% The application of the process that happens to be first would take this one along when it
    %% stops: it ends all processes of its group.
    true = group_leader(whereis(init), self()),
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    %% Ordered, so that those of one handle are found without looking at all.
    ?USERS = ets:new(?USERS, [named_table, public, ordered_set, {read_concurrency, true}]),
    {ok, none}.

%% @private
-spec handle_call({watch, pid()}, gen_server:from(), none) -> {reply, ok, none}.
handle_call({watch, Handle}, _From, State) ->
    _ = monitor(process, Handle),
    {reply, ok, State}.

%% @private
-spec handle_cast(term(), none) -> {noreply, none}.
handle_cast(_, State) ->
    {noreply, State}.

%% @private
-spec handle_info(term(), none) -> {noreply, none}.
handle_info({'DOWN', _, process, Handle, _}, State) ->
    true = ets:delete(?TABLE, Handle),
    true = ets:match_delete(?USERS, {{Handle, '_'}}),
    {noreply, State};
handle_info(_, State) ->
    {noreply, State}.
