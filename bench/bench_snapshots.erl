%% @doc The state of AOS after one evaluation: as bytes and back, and as other instances.
-module(bench_snapshots).

-export([rows/1, sizes/1, forks/1]).

-define(FORKS, 1000).

-spec rows(bench_files:files()) -> [bench:row()].
rows(#{aos := absent}) ->
    [#{name => "snapshots of AOS", skip => "no shared/modules/aos-2-pure-xs.wasm"}];
rows(Files) ->
    {ok, Module} = wasmbeam:compile(image(Files)),
    Instance = evaluated(Module, Files),
    Strings = bench_aos:strings(Files),
    {ok, Full} = wasmbeam:serialize(Instance),
    Touch = fun() -> bench_aos:evaluate(Instance, Strings, 1) end,
    [#{name => "an evaluation, for the rows with it", run => times(Touch)},
     row("serialize, captured before", fun() -> {ok, _} = wasmbeam:serialize(Instance) end),
     row("  with lz4", fun() -> {ok, _} = wasmbeam:serialize(Instance, #{compression => lz4}) end),
     row("  with zstd",
         fun() -> {ok, _} = wasmbeam:serialize(Instance, #{compression => zstd}) end),
     row("evaluation and serialize", fun() ->
         Touch(),
         {ok, _} = wasmbeam:serialize(Instance)
     end),
     row("evaluation and incremental serialize", fun() ->
         Touch(),
         {ok, _} = wasmbeam:serialize(Instance, #{base => Full})
     end),
     row("deserialize", fun() -> ok = wasmbeam:deserialize(Instance, Full) end),
     aim(row("restore and stop", fun() ->
         {ok, Copy} = wasmbeam:restore(Module, Full, options()),
         ok = wasmbeam:stop(Copy)
     end)),
     aim(row("fork and stop", fun() ->
         {ok, Copy} = wasmbeam:fork(Instance),
         ok = wasmbeam:stop(Copy)
     end)),
     row("evaluation, fork and stop", fun() ->
         Touch(),
         {ok, Copy} = wasmbeam:fork(Instance),
         ok = wasmbeam:stop(Copy)
     end),
     row("fork, evaluation in it, and stop", fun() ->
         {ok, Copy} = wasmbeam:fork(Instance),
         bench_aos:evaluate(Copy, Strings, 1),
         ok = wasmbeam:stop(Copy)
     end),
     aim(row("reset", fun() -> ok = wasmbeam:reset(Instance) end))].

aim(Row) -> Row#{aim => "100 us"}.

row(Name, Run) -> #{name => Name, run => times(Run)}.

times(Run) ->
    fun(Count) -> repeat(Run, Count) end.

repeat(_Run, 0) ->
    ok;
repeat(Run, Count) ->
    _ = Run(),
    repeat(Run, Count - 1).

image(#{aos := Image}) ->
    {ok, Source} = file:read_file(Image),
    Source.

options() ->
    #{import_handler => fun bench_aos:zeros/1}.

evaluated(Source, Files) ->
    {ok, Instance} = wasmbeam:start(Source, options()),
    bench_aos:evaluate(Instance, bench_aos:strings(Files), 1),
    Instance.

%% @doc How large its snapshots are, and what its forks take.
-spec sizes(bench_files:files()) -> [bench_table:single()].
sizes(#{aos := absent}) ->
    [];
sizes(Files) ->
    Instance = evaluated(image(Files), Files),
    {ok, Size} = wasmbeam:memory_size(Instance),
    {ok, Full} = wasmbeam:serialize(Instance),
    Packed = [begin
        {ok, Snapshot} = wasmbeam:serialize(Instance, #{compression => Compression}),
        {bench_table:text("  with ~s", [Compression]), kib(Snapshot)}
    end || Compression <- [lz4, zstd]],
    bench_aos:evaluate(Instance, bench_aos:strings(Files), 1),
    Incremental = [begin
        {ok, Next} = wasmbeam:serialize(Instance, #{base => Full, compression => Compression}),
        {bench_table:text("  one more evaluation, ~s", [Compression]), kib(Next)}
    end || Compression <- [none, lz4, zstd]],
    [{"AOS has", bench_table:text("~b KiB of memory", [Size div 1024])},
     {"  its snapshot", kib(Full)}] ++ Packed ++ Incremental
        ++ bench_fresh:apply(Files, ?MODULE, forks, [Files]).

%% @doc What forks take, for {@link bench_fresh}.
-spec forks(bench_files:files()) -> [bench_table:single()].
forks(Files) ->
    case os:type() of
        {unix, linux} ->
            Instance = evaluated(image(Files), Files),
            {ok, First} = wasmbeam:fork(Instance),
            Before = bench_idle:taken(),
            Forks = [begin {ok, Fork} = wasmbeam:fork(Instance), Fork end
                     || _ <- lists:seq(1, ?FORKS)],
            Taken = bench_idle:each(Before, bench_idle:taken(), ?FORKS),
            lists:foreach(fun wasmbeam:stop/1, [First | Forks]),
            [{bench_table:text("~b forks, each", [?FORKS]), Taken}];
        _ ->
            []
    end.

kib(Snapshot) -> bench_table:text("~.1f KiB", [byte_size(Snapshot) / 1024]).
