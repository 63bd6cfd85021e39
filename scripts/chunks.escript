#!/usr/bin/env escript
%% Writes the documentation of an application's modules to where h/1 and h/2 of a shell look for it:
%%   escript scripts/chunks.escript FOLDER
main([Folder]) ->
    Sources = filelib:wildcard(filename:join(Folder, "erlang/{api,beamr,host,devices,cli}/*.erl")),
    ok = edoc:files(Sources, [{dir, filename:join(Folder, "doc")}, {preprocess, true},
                              {doclet, edoc_doclet_chunks}, {layout, edoc_layout_chunks}]).
