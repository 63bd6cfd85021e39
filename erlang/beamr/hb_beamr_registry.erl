%% @doc Finds the instance that a handle stands for, without asking the handle's process.
%%
%% A table from pids to instances. It belongs to a process of its own that the first handle starts,
%% so no application has to run; it takes out the handles that were killed. When that process itself
%% is killed, every handle starts it anew and enters itself again.
-module(hb_beamr_registry).
-behaviour(gen_server).

-export([insert/1, delete/0, with/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(TABLE, ?MODULE).

%% @doc Enters the calling process as the handle of an instance, and gives a monitor: when it fires,
%% the entry is lost.
-spec insert(wasmbeam:instance()) -> reference().
insert(Instance) ->
    Owner = owner(),
    Monitor = monitor(process, Owner),
    try
        ok = gen_server:call(Owner, {watch, self()}, infinity),
        true = ets:insert(?TABLE, {self(), Instance})
    catch
        %% The owner has just been killed: the monitor tells.
        exit:{_, {gen_server, call, _}} -> ok;
        error:badarg -> ok
    end,
    Monitor.

%% @doc Takes the calling process out.
-spec delete() -> ok.
delete() ->
    try ets:delete(?TABLE, self()) of
        true -> ok
    catch
        error:badarg -> ok
    end.

%% @doc Does something with the instance that a handle stands for.
-spec with(hb_beamr:handle() | term(), fun((wasmbeam:instance()) -> Answer)) ->
    Answer | {error, wasmbeam:error_reason()}.
with(Handle, Fun) when is_pid(Handle) ->
    case lookup(Handle) of
        [{_, Instance}] ->
            Fun(Instance);
        [] ->
            {error, wasmbeam_error:reason(stopped, "the handle has ended, or never was one",
                                          #{handle => Handle})}
    end;
with(Handle, _Fun) ->
    {error, wasmbeam_error:reason(bad_argument, "expected a handle: a pid",
                                  #{expected => <<"a handle">>, value => Handle})}.

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
init([]) ->
    %% The application of the process that happens to be first would take this one along when it
    %% stops: it ends all processes of its group.
    true = group_leader(whereis(init), self()),
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    {ok, none}.

%% @private
handle_call({watch, Handle}, _From, State) ->
    _ = monitor(process, Handle),
    {reply, ok, State}.

%% @private
handle_cast(_, State) ->
    {noreply, State}.

%% @private
handle_info({'DOWN', _, process, Handle, _}, State) ->
    true = ets:delete(?TABLE, Handle),
    {noreply, State};
handle_info(_, State) ->
    {noreply, State}.
