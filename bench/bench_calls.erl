%% @doc Crossing the boundary: calls, imports, memory.
-module(bench_calls).

-export([rows/1]).

-define(SIZES, [{"16 B", 16}, {"64 KiB", 65536}, {"1 MiB", 1048576}]).

-spec rows(bench_files:files()) -> [bench:row()].
rows(Files) ->
    Echo = bench_files:instance(Files, fun([Value]) -> [Value] end),
    Nesting = bench_files:instance(Files, fun nest/2),
    [#{name => "empty native function",
       run => fun(Count) -> empty(Echo, Count) end},
     #{name => "call of a trivial export",
       run => fun(Count) -> call(Echo, <<"identity">>, Count) end,
       native => "call_async",
       aim => "both + 200 ns"},
     #{name => "  of one with a loop",
       run => fun(Count) -> call(Echo, <<"identity_looping">>, Count) end,
       native => "call_async"},
     #{name => "  wasmtime's Func::call, no fiber", native => "call", count => 100000},
     #{name => "  wasmtime's TypedFunc::call, no fiber", native => "typed_call", count => 100000},
     #{name => "import answered by a fun",
       run => fun(Count) -> relay(Echo, Count) end,
       native => "suspending_import",
       aim => "1 us"},
     #{name => "  wasmtime, host function, no fiber", native => "import", count => 100000},
     #{name => "import whose fun calls an export",
       run => fun(Count) -> relay(Nesting, Count) end,
       native => "nested_call"}]
    ++ [#{name => "memory_read " ++ Text,
          run => fun(Count) -> read(Echo, Size, Count) end,
          native => "read " ++ integer_to_list(Size)} || {Text, Size} <- ?SIZES]
    ++ [#{name => "memory_write " ++ Text,
          run => fun(Count) -> write(Echo, Bytes, Count) end,
          native => "write " ++ integer_to_list(Size)}
        || {Text, Size} <- ?SIZES, Bytes <- [binary:copy(<<1>>, Size)]].

nest([Value], #{instance := Instance}) ->
    {ok, Results} = wasmbeam:call(Instance, <<"identity">>, [Value]),
    Results.

empty(_Instance, 0) ->
    ok;
empty(Instance, Count) ->
    ok = wasmbeam_nif:noop(Instance, <<"identity">>, [1], infinity),
    empty(Instance, Count - 1).

call(_Instance, _Function, 0) ->
    ok;
call(Instance, Function, Count) ->
    {ok, [1]} = wasmbeam:call(Instance, Function, [1]),
    call(Instance, Function, Count - 1).

%% The guest calls the import that many times.
relay(Instance, Count) ->
    {ok, [0]} = wasmbeam:call(Instance, <<"relay">>, [Count]).

read(_Instance, _Size, 0) ->
    ok;
read(Instance, Size, Count) ->
    {ok, _} = wasmbeam:memory_read(Instance, 0, Size),
    read(Instance, Size, Count - 1).

write(_Instance, _Bytes, 0) ->
    ok;
write(Instance, Bytes, Count) ->
    ok = wasmbeam:memory_write(Instance, 0, Bytes),
    write(Instance, Bytes, Count - 1).
