%% A device that guests' imports are served by, and one that raises.
-module(test_device).

-export([mul/3, fail/3]).

mul(Message, Request, Opts) ->
    [A, B] = wasmbeam_host:get(<<"args">>, Request, Opts),
    State = wasmbeam_host:get(<<"state">>, {as, <<"message@1.0">>, Message}, Opts),
    {ok, #{<<"state">> => State, <<"results">> => [A * B]}}.

fail(_Message, _Request, _Opts) ->
    error(on_purpose).
