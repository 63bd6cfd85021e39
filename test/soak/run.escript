#!/usr/bin/env escript
%% The soak test: see wasmbeam_soak.
%%   ERL_LIBS=_build/default/lib escript test/soak/run.escript [SCALE]

-mode(compile).

main(Arguments) ->
    Folder = filename:dirname(filename:absname(escript:script_name())),
    Sources = [filename:join(Folder, "wasmbeam_soak.erl"),
               filename:join([filename:dirname(Folder), "wasi", "wasmbeam_wasi_guest.erl"])],
    [begin
         {ok, Module, Code} = compile:file(Source, [binary, report]),
         {module, Module} = code:load_binary(Module, Source, Code)
     end || Source <- Sources],
    wasmbeam_soak:main(Arguments).
