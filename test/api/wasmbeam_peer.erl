%% @doc Runs tests in a node of their own: for what concerns the whole node.
-module(wasmbeam_peer).

-export([run/1, run/2]).

%% @doc Runs a function of a test module in a new node.
-spec run(fun(() -> Result)) -> Result.
run(Test) ->
    run(#{}, Test).

%% @doc As `run/1', with an environment of the application.
-spec run(map(), fun(() -> Result)) -> Result.
run(Environment, Test) ->
    Paths = lists:usort([filename:absname(filename:dirname(code:which(Module)))
                         || Module <- [wasmbeam, ?MODULE]]),
    {ok, Peer, _} = peer:start_link(#{connection => standard_io, args => ["-pa" | Paths]}),
    try
        [ok = peer:call(Peer, application, set_env, [wasmbeam, Key, Value])
         || {Key, Value} <- maps:to_list(Environment)],
        peer:call(Peer, erlang, apply, [Test, []], 60000)
    after
        peer:stop(Peer)
    end.
