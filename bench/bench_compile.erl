%% @doc What it takes until the first instance of an image can be started.
-module(bench_compile).

-export([rows/1]).

-define(ROUNDS, 5).
-define(SETTINGS, [cache_bytes, cache_dir, aot_key, wasm_allow_aot]).

-spec rows(bench_files:files()) -> [bench_table:single()].
rows(#{aos := absent}) ->
    [{"compile AOS", "skipped: no shared/modules/aos-2-pure-xs.wasm"}];
rows(#{aos := Image}) ->
    {ok, Source} = file:read_file(Image),
    Before = [{Name, application:get_env(wasmbeam, Name)} || Name <- ?SETTINGS],
    try
        set(aot_key, binary:copy(<<1>>, 32)),
        set(wasm_allow_aot, true),
        measure(Source)
    after
        [case Value of
             {ok, Was} -> set(Name, Was);
             undefined -> application:unset_env(wasmbeam, Name)
         end || {Name, Value} <- Before]
    end.

set(Name, Value) ->
    application:set_env(wasmbeam, Name, Value).

measure(Source) ->
    Levels = [none, speed, speed_and_size],
    First = [{"compile AOS, opt " ++ atom_to_list(Opt), least(fun() -> first(Source, Opt) end)}
             || Opt <- Levels],
    {ok, _} = wasmbeam:compile(Source),
    Memory = {"start AOS from the cache in memory", least(fun() -> start(Source, #{}) end)},
    %% From here on nothing stays in memory.
    set(cache_bytes, 0),
    {ok, Code} = wasmbeam:precompile(Source),
    Loaded = {bench_table:text("load a precompiled AOS, ~b KiB", [byte_size(Code) div 1024]),
              least(fun() -> start(Code, #{mode => aot}) end)},
    First ++ [Memory, disk(Source), Loaded].

%% Bytes behind the module make it another one.
first(Source, Opt) ->
    Unique = integer_to_binary(erlang:unique_integer([positive])),
    Custom = <<1, $u, Unique/binary>>,
    Image = <<Source/binary, 0, (byte_size(Custom)), Custom/binary>>,
    {ok, _} = wasmbeam:compile(Image, #{compiler => #{opt => Opt}}).

start(Image, Options) ->
    {ok, Instance} = wasmbeam:start(Image, Options),
    ok = wasmbeam:stop(Instance).

disk(Source) ->
    Folder = filename:join(os:getenv("TMPDIR", "/tmp"), "wasmbeam-bench-" ++ os:getpid()),
    set(cache_dir, Folder),
    {ok, _} = wasmbeam:compile(Source),
    #{disk_hits := Before} = wasmbeam:cache_info(),
    Least = least(fun() -> start(Source, #{}) end),
    #{disk_hits := After} = wasmbeam:cache_info(),
    ?ROUNDS = After - Before,
    application:unset_env(wasmbeam, cache_dir),
    ok = file:del_dir_r(Folder),
    {"start AOS from the cache folder", Least}.

least(Run) ->
    Times = [timed(Run) || _ <- lists:seq(1, ?ROUNDS)],
    bench_table:text("~.2f ms at least, ~.2f ms at most", [lists:min(Times), lists:max(Times)]).

timed(Run) ->
    Start = erlang:monotonic_time(nanosecond),
    Run(),
    (erlang:monotonic_time(nanosecond) - Start) / 1.0e6.
