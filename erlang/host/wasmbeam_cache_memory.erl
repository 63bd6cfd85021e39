%% @doc Objects in memory, until the node ends or {@link clear/0} is called.
%%
%% The table belongs to a process that does nothing else, and is started by who first needs it: it
%% must outlive all processes that write.
-module(wasmbeam_cache_memory).

-behaviour(wasmbeam_cache).

-export([put/3, get/2, clear/0]).

%% @doc Stores an object.
-spec put(memory, wasmbeam_host:id(), binary()) -> ok.
put(memory, Id, Bytes) ->
    Table = table(),
    _ = ets:member(Table, Id) orelse ets:insert(Table, {Id, own(Bytes)}),
    ok.

%% A part of a larger binary would keep all of it.
own(Bytes) ->
    case binary:referenced_byte_size(Bytes) > 2 * byte_size(Bytes) of
        true -> binary:copy(Bytes);
        false -> Bytes
    end.

%% @doc Reads an object.
-spec get(memory, wasmbeam_host:id()) -> {ok, binary()} | not_found.
get(memory, Id) ->
    case ets:lookup(table(), Id) of
        [{_, Bytes}] -> {ok, Bytes};
        [] -> not_found
    end.

%% @doc Forgets everything.
-spec clear() -> ok.
clear() ->
    true = ets:delete_all_objects(table()),
    ok.

table() ->
    case ets:whereis(?MODULE) of
        undefined -> start_owner();
        Table -> Table
    end.

start_owner() ->
    Caller = self(),
    {Owner, Monitor} = spawn_monitor(fun() -> own_table(Caller) end),
    receive
        {Owner, ready} -> true = demonitor(Monitor, [flush]);
        %% Another one was faster.
        {'DOWN', Monitor, process, Owner, _} -> ok
    end,
    ets:whereis(?MODULE).

own_table(Caller) ->
    %% The application of the process that happens to be first would take this one along when it
    %% stops: it ends all processes of its group.
    true = group_leader(whereis(init), self()),
    ?MODULE = ets:new(?MODULE, [named_table, public, {read_concurrency, true}]),
    Caller ! {self(), ready},
    wait().

wait() ->
    receive _ -> wait() end.
