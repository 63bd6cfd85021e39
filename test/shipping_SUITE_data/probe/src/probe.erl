%% Starts, prints what the guest answered, and stops the VM.
-module(probe).
-behaviour(application).

-export([start/2, stop/1, answer/0]).

start(_Type, _Args) ->
    io:format("probe: ~w~n", [answer()]),
    ok = init:stop(),
    {ok, spawn_link(fun() -> receive stop -> ok end end)}.

stop(_State) ->
    ok.

answer() ->
    Module =
        <<"(module (func (export \"add\") (param i32 i32) (result i32)"
          "  local.get 0 local.get 1 i32.add))">>,
    case wasmbeam:start(Module) of
        {ok, Instance} -> wasmbeam:call(Instance, <<"add">>, [40, 2]);
        {error, _} = Error -> Error
    end.
