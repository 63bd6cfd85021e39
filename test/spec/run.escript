#!/usr/bin/env escript
%% Runs the .wast files of folders, without a test build:
%%   ERL_LIBS=_build/default/lib escript test/spec/run.escript FolderOrFile ...

-mode(compile).

main(Paths) ->
    Folder = filename:dirname(filename:absname(escript:script_name())),
    lists:foreach(fun load/1, filelib:wildcard(filename:join(Folder, "*.erl"))),
    wasmbeam_spec:main(Paths).

load(Source) ->
    {ok, Module, Code} = compile:file(Source, [binary, report]),
    {module, Module} = code:load_binary(Module, Source, Code).
