%% @doc The smallest application with a guest: prints what 40 + 2 is, and stops the VM.
-module(adder).
-behaviour(application).

-export([start/2, stop/1, add/2]).

start(_Type, _Args) ->
    io:format("adder: ~w~n", [add(40, 2)]),
    ok = init:stop(),
    {ok, spawn_link(fun() -> receive stop -> ok end end)}.

stop(_State) ->
    ok.

add(A, B) ->
    Module =
        <<"(module (func (export \"add\") (param i32 i32) (result i32)"
          "  local.get 0 local.get 1 i32.add))">>,
    case wasmbeam:start(Module) of
        {ok, Instance} -> wasmbeam:call(Instance, <<"add">>, [A, B]);
        {error, _} = Error -> Error
    end.
