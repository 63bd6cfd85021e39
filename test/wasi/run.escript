#!/usr/bin/env escript
%% Runs the WASI tests of folders, without a test build:
%%   ERL_LIBS=_build/default/lib escript test/wasi/run.escript Folder ...

-mode(compile).

main(Folders) ->
    Here = filename:dirname(filename:absname(escript:script_name())),
    [load(filename:join(Here, Name)) || Name <- ["wasmbeam_wasi_json.erl", "wasmbeam_wasi_suite.erl"]],
    wasmbeam_wasi_suite:main(Folders).

load(Source) ->
    {ok, Module, Code} = compile:file(Source, [binary, report]),
    {module, Module} = code:load_binary(Module, Source, Code).
