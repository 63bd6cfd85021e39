%% @doc The benchmark: several rounds over all rows, and one table.
%%
%% In each round every row is measured once through wasmbeam and at once after that in wasmtime
%% alone, so that what else the machine does hits both. The table has medians over the rounds.
-module(bench).

-export([main/2]).

-type row() ::
    #{name := string(),
      %% Does it that many times through wasmbeam.
      run => fun((Count :: pos_integer()) -> term()),
      %% The same in wasmtime alone, as `bench_native' knows it.
      native => string(),
      %% How often in one round; found out if not given.
      count => pos_integer(),
      %% Whether only the first round has it, because it takes minutes.
      once => boolean(),
      aim => string(),
      %% Whether what wasmbeam adds is told in percent.
      relative => true,
      %% Why it cannot be measured here.
      skip => string()}.

-export_type([row/0]).

-define(SAMPLE_NS, 20000000).

-spec main(file:filename_all(), [string()]) -> ok.
main(Folder, Args) ->
    Rounds = case Args of ["quick"] -> 3; [] -> 15 end,
    Files = bench_files:find(Folder),
    Native = bench_native:open(Files),
    Rows = lists:enumerate([calibrated(Row) || Row <- rows(Files)]),
    Samples = rounds(Rounds, Rows, Native, #{}),
    Single = bench_compile:rows(Files) ++ bench_throughput:rows() ++ bench_devices:rows(Files)
        ++ bench_latency:rows(Files) ++ bench_idle:rows(Files) ++ bench_snapshots:sizes(Files),
    bench_table:print(Rounds, Rows, Samples, Single).

rows(Files) ->
    bench_calls:rows(Files) ++ bench_starts:rows(Files) ++ bench_aos:rows(Files)
        ++ bench_snapshots:rows(Files) ++ bench_compute:rows(Files) ++ bench_wasi:rows(Files).

%% Runs several times, so that something else the machine does is not taken for the row's own cost.
calibrated(#{run := Run} = Row) when not is_map_key(count, Row) ->
    Row#{count => count(Run, 1)};
calibrated(Row) ->
    Row.

count(Run, Count) ->
    case Count * lists:min([timed(Run, Count) || _ <- [1, 2, 3]]) of
        Took when Took >= ?SAMPLE_NS / 10; Count > 10000000 ->
            max(1, round(Count * ?SAMPLE_NS / max(1, Took)));
        _ ->
            count(Run, Count * 4)
    end.

rounds(0, _Rows, _Native, Samples) ->
    Samples;
rounds(Left, Rows, Native, Samples) ->
    rounds(Left - 1, Rows, Native, lists:foldl(
        fun(Row, Acc) -> sample(Row, Native, Acc) end, Samples, Rows)).

sample({_Place, #{skip := _}}, _Native, Samples) ->
    Samples;
sample({Place, #{once := true}}, _Native, Samples) when is_map_key({ours, Place}, Samples) ->
    Samples;
sample({Place, #{count := Count} = Row}, Native, Samples) ->
    Ours = [{{ours, Place}, timed(Run, Count)} || #{run := Run} <- [Row]],
    Theirs = [{{native, Place}, Ns} || #{native := What} <- [Row],
                                       Ns <- [bench_native:measure(Native, What, Count)],
                                       Ns =/= absent],
    lists:foldl(fun({Key, Ns}, Acc) ->
        maps:update_with(Key, fun(Old) -> [Ns | Old] end, [Ns], Acc)
    end, Samples, Ours ++ Theirs).

timed(Run, Count) ->
    erlang:garbage_collect(),
    Start = erlang:monotonic_time(nanosecond),
    _ = Run(Count),
    (erlang:monotonic_time(nanosecond) - Start) / Count.
