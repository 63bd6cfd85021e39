%% @doc Measures in a VM of its own: memory that was freed before is taken again without being seen.
-module(bench_fresh).

-export([apply/4]).

-define(TIMEOUT_MS, 300000).

%% @doc What a function answers in a VM that has done nothing yet.
-spec apply(bench_files:files(), module(), atom(), [term()]) -> term().
apply(#{root := Root}, Module, Function, Arguments) ->
    Code = filename:dirname(code:which(wasmbeam)),
    {ok, Vm, _} = peer:start_link(#{connection => standard_io, args => ["-pa", Code]}),
    try
        lists:foreach(fun(Source) -> load(Vm, Source) end,
                      filelib:wildcard(filename:join([Root, "bench", "*.erl"]))),
        peer:call(Vm, Module, Function, Arguments, ?TIMEOUT_MS)
    after
        peer:stop(Vm)
    end.

load(Vm, Source) ->
    {ok, Module, Code} = compile:file(Source, [binary, report]),
    {module, Module} = peer:call(Vm, code, load_binary, [Module, Source, Code]).
