#!/usr/bin/env escript
%% Compares wasmbeam with what it stands on: an empty native function, and wasmtime alone.
%%   ERL_LIBS=_build/default/lib escript bench/bench.escript [quick]

-mode(compile).

main(Args) ->
    Folder = filename:dirname(filename:absname(escript:script_name())),
    lists:foreach(fun load/1, filelib:wildcard(filename:join(Folder, "*.erl"))),
    {ok, _} = application:ensure_all_started(wasmbeam),
    bench:main(Folder, Args).

load(Source) ->
    {ok, Module, Code} = compile:file(Source, [binary, report]),
    {module, Module} = code:load_binary(Module, Source, Code).
