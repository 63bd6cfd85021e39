%% @doc What a program that runs behind a port prints, and how it ends.
-module(test_port).

-export([collect/1]).

%% @doc The exit status and the whole output of the program.
-spec collect(port()) -> {Status :: non_neg_integer(), Output :: binary()}.
collect(Port) ->
    collect(Port, []).

collect(Port, Acc) ->
    receive
        {Port, {data, Data}} -> collect(Port, [Acc, Data]);
        {Port, {exit_status, Status}} -> {Status, iolist_to_binary(Acc)}
    end.
