#!/usr/bin/env escript
%% Prints, as C, the table of native functions that a module declares with -nifs.

main([File]) ->
    {ok, Forms} = epp:parse_file(File, []),
    [_ | _] = Nifs = lists:append([Nifs || {attribute, _, nifs, Nifs} <- Forms]),
    [io:format("NIF(\"~ts\", ~b)~n", [Name, Arity]) || {Name, Arity} <- Nifs].
