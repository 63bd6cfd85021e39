%% @doc Calls per second from many processes, each with an instance of its own.
-module(bench_throughput).

-export([rows/0]).

-define(PROCESSES, [1, 2, 8, 64]).
-define(CALLS, 400000).
-define(IDENTITY,
        <<"(module (func (export \"identity\") (param i32) (result i32) local.get 0))">>).

-spec rows() -> [bench_table:single()].
rows() ->
    {ok, Module} = wasmbeam:compile(?IDENTITY),
    [{lists:flatten(io_lib:format("calls a second from ~b processes", [Processes])),
      lists:flatten(io_lib:format("~.2f million", [median([rate(Module, Processes)
                                                           || _ <- lists:seq(1, 5)]) / 1.0e6]))}
     || Processes <- ?PROCESSES].

median(Numbers) ->
    lists:nth((length(Numbers) + 1) div 2, lists:sort(Numbers)).

rate(Module, Processes) ->
    Each = ?CALLS div Processes,
    Callers = [spawn_monitor(fun() -> caller(Module, Each) end)
               || _ <- lists:seq(1, Processes)],
    Start = erlang:monotonic_time(nanosecond),
    [Pid ! go || {Pid, _} <- Callers],
    [receive {'DOWN', Monitor, process, _, normal} -> ok end || {_, Monitor} <- Callers],
    Processes * Each * 1.0e9 / (erlang:monotonic_time(nanosecond) - Start).

caller(Module, Count) ->
    {ok, Instance} = wasmbeam:start(Module),
    receive go -> calls(Instance, Count) end,
    ok = wasmbeam:stop(Instance).

calls(_Instance, 0) ->
    ok;
calls(Instance, Count) ->
    {ok, [1]} = wasmbeam:call(Instance, <<"identity">>, [1]),
    calls(Instance, Count - 1).
