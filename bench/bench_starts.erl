%% @doc Starting and stopping instances of a module that is in the cache.
-module(bench_starts).

-export([rows/1]).

-spec rows(bench_files:files()) -> [bench:row()].
rows(#{idle := Idle} = Files) ->
    rows("a small module", Idle, #{native => "start_idle"}) ++ aos(Files).

aos(#{aos := absent}) ->
    [#{name => "start and stop AOS", skip => "no shared/modules/aos-2-pure-xs.wasm"}];
aos(#{aos := Image}) ->
    rows("AOS", Image, #{native => "start_aos", aim => "100 us"}).

rows(What, File, Row) ->
    {ok, Source} = file:read_file(File),
    {ok, Module} = wasmbeam:compile(Source),
    [Row#{name => "start and stop " ++ What ++ ", compiled",
          run => fun(Count) -> start(Module, Count) end},
     Row#{name => "start and stop " ++ What ++ ", by its bytes",
          run => fun(Count) -> start(Source, Count) end}].

start(_Source, 0) ->
    ok;
start(Source, Count) ->
    {ok, Instance} = wasmbeam:start(Source),
    ok = wasmbeam:stop(Instance),
    start(Source, Count - 1).
