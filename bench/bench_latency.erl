%% @doc How late the timer of an idle process is beside busy ones.
-module(bench_latency).

-export([rows/1]).

-define(BUSY, 64).
-define(SLEEPS, 500).
-define(SLEEP_MS, 5).

-spec rows(bench_files:files()) -> [bench_table:single()].
rows(Files) ->
    Quiet = lateness(),
    Erlang = beside(fun() -> spin() end),
    Guests = beside(fun() ->
        Instance = bench_files:instance(Files, fun([Value]) -> [Value] end),
        wasmbeam:call(Instance, <<"spin">>, [])
    end),
    [{"sleep(5) is late, nothing else runs", Quiet},
     {"  beside 64 busy Erlang processes", Erlang},
     {"  beside 64 guests in endless loops", Guests}].

spin() -> spin().

beside(Work) ->
    Workers = [spawn_monitor(Work) || _ <- lists:seq(1, ?BUSY)],
    timer:sleep(500),
    Lateness = lateness(),
    [exit(Pid, kill) || {Pid, _} <- Workers],
    [receive {'DOWN', Monitor, process, _, killed} -> ok end || {_, Monitor} <- Workers],
    Lateness.

lateness() ->
    Sorted = lists:sort([late() || _ <- lists:seq(1, ?SLEEPS)]),
    At = fun(Part) -> lists:nth(max(1, round(Part * ?SLEEPS)), Sorted) / 1000 end,
    lists:flatten(io_lib:format("median ~.2f, 99 % ~.2f, worst ~.2f ms",
                                [At(0.5), At(0.99), At(1.0)])).

late() ->
    Start = erlang:monotonic_time(microsecond),
    timer:sleep(?SLEEP_MS),
    erlang:monotonic_time(microsecond) - Start - ?SLEEP_MS * 1000.
