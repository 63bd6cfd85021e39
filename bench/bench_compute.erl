%% @doc Work inside the guest.
-module(bench_compute).

-export([rows/1]).

-define(AIM, "110 % of wasmtime").

-spec rows(bench_files:files()) -> [bench:row()].
rows(Files) ->
    Instance = bench_files:instance(Files, fun([Value]) -> [Value] end),
    rows(Instance, "fib(32), recursive", <<"fib">>, 32)
        ++ rows(Instance, "loop of 100 million rounds", <<"mix">>, 100000000).

rows(Instance, Name, Function, Argument) ->
    Native = binary_to_list(Function),
    [#{name => Name, count => 1, aim => ?AIM, relative => true,
       run => fun(1) -> {ok, [_]} = wasmbeam:call(Instance, Function, [Argument]) end,
       native => Native ++ "_plain"},
     #{name => "  wasmtime with time slices on", native => Native, count => 1}].
