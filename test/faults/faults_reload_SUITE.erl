%% @doc Loading, deleting and purging the module of the native functions while they are in use.
%%
%% Loading a new version over the running one is refused. Deleting and purging it is an operator's
%% decision: what is in progress fails, handles from before are refused, new instances work.
-module(faults_reload_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, init_per_suite/1, end_per_suite/1]).
-export([
    loading_the_native_module_again_is_refused_and_disturbs_nothing/1,
    a_purged_native_module_can_be_loaded_again/1,
    the_native_module_is_purged_during_a_compilation/1,
    the_modules_of_the_interface_are_reloaded_during_calls/1
]).

all() ->
    [F || {F, 1} <- ?MODULE:module_info(exports), F =/= init_per_suite, F =/= end_per_suite,
          F =/= module_info].

init_per_suite(Config) ->
    {ok, Busy} = file:read_file(filename:join(child_vm:fixtures(?MODULE), "busy.wat")),
    [{busy, Busy} | Config].

end_per_suite(_Config) ->
    ok.

loading_the_native_module_again_is_refused_and_disturbs_nothing(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {Idle, Calls} = instances_in_every_state(Busy),
        [begin
            ?assertEqual({error, on_load_failure}, code:load_file(wasmbeam_nif)),
            ?assertNot(code:purge(wasmbeam_nif))
         end || _ <- lists:seq(1, 5)],
        ?assertEqual({ok, [2]}, wasmbeam:call(Idle, <<"add_one">>, [1])),
        ?assertEqual(running, state(running, Calls)),
        ?assertEqual(suspended, state(suspended, Calls)),
        [exit(Pid, kill) || {_, _, Pid} <- Calls],
        [child_vm:wait_until(fun() -> state(State, Calls) =:= interrupted end)
         || {State, _, _} <- Calls]
    end).

a_purged_native_module_can_be_loaded_again(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        [begin
            {Idle, Calls} = instances_in_every_state(Busy),
            {Running, Unowned} = owned_by_another(Busy),
            Monitors = [monitor(process, Pid) || {_, _, Pid} <- Calls],
            true = code:delete(wasmbeam_nif),
            _ = code:purge(wasmbeam_nif),
            {module, wasmbeam_nif} = code:ensure_loaded(wasmbeam_nif),
            ?assertMatch({error, {bad_argument, _}}, wasmbeam:call(Idle, <<"add_one">>, [1])),
            ?assertMatch({error, {bad_argument, _}}, wasmbeam:info(Unowned)),
            {ok, New} = wasmbeam:start(Busy),
            ?assertEqual({ok, [2]}, wasmbeam:call(New, <<"add_one">>, [1])),
            [exit(Pid, kill) || {_, _, Pid} <- Calls],
            [receive {'DOWN', Monitor, process, _, _} -> ok end || Monitor <- Monitors],
            exit(Running, kill)
         end || _ <- lists:seq(1, 5)],
        [garbage_collect(Pid) || Pid <- processes()],
        {ok, Again} = wasmbeam:start(Busy),
        ?assertEqual({ok, [2]}, wasmbeam:call(Again, <<"add_one">>, [1]))
    end).

%% An idle instance, one that is running and one that is suspended in an import.
instances_in_every_state(Busy) ->
    {ok, Idle} = wasmbeam:start(Busy),
    Wait = fun(Args) -> receive never -> Args end end,
    Calls = [begin
        {ok, I} = wasmbeam:start(Busy, #{imports => #{<<"env">> => #{<<"wait">> => Wait}}}),
        Pid = spawn(fun() -> wasmbeam:call(I, Function, Args) end),
        child_vm:wait_until(fun() -> state(State, [{State, I, Pid}]) =:= State end),
        {State, I, Pid}
    end || {State, Function, Args} <- [{running, <<"loop">>, []}, {suspended, <<"wait">>, [1]}]],
    {Idle, Calls}.

state(Wanted, Calls) ->
    {Wanted, I, _} = lists:keyfind(Wanted, 1, Calls),
    #{state := State} = wasmbeam:info(I),
    State.

owned_by_another(Busy) ->
    Owner = spawn(fun() -> receive never -> ok end end),
    {ok, I} = wasmbeam:start(Busy, #{owner => Owner}),
    {Owner, I}.

the_native_module_is_purged_during_a_compilation(Config) ->
    child_vm:run(Config, fun() ->
        _ = wasmbeam:cache_info(),
        Function = ["(func (param i32) (result i32) (local.get 0)",
                    lists:duplicate(2000, "(i32.const 3) i32.mul (local.get 0) i32.add"), ")"],
        Image = iolist_to_binary(["(module ", lists:duplicate(10, Function), ")"]),
        Self = self(),
        Compiler = spawn(fun() -> Self ! {self(), wasmbeam:compile(Image)} end),
        child_vm:wait_until(fun() -> maps:get(misses, wasmbeam:cache_info()) =:= 1 end),
        true = code:delete(wasmbeam_nif),
        _ = code:purge(wasmbeam_nif),
        ?assertMatch({ok, _}, receive {Compiler, Answer} -> Answer end),
        %% It is in the cache all the same.
        {ok, Module} = wasmbeam:compile(Image),
        ?assertMatch({ok, _}, wasmbeam:start(Module))
    end).

the_modules_of_the_interface_are_reloaded_during_calls(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        Modules = [wasmbeam, wasmbeam_call, wasmbeam_imports, wasmbeam_error],
        [begin
            {_Idle, Calls} = instances_in_every_state(Busy),
            Monitors = [monitor(process, Pid) || {_, _, Pid} <- Calls],
            %% The second time ends the processes that still run the code of before.
            [begin _ = code:purge(M), {module, M} = code:load_file(M) end
             || _ <- [1, 2], M <- Modules],
            [receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual(killed, Reason) end
             || Monitor <- Monitors],
            {ok, New} = wasmbeam:start(Busy),
            ?assertEqual({ok, [2]}, wasmbeam:call(New, <<"add_one">>, [1]))
         end || _ <- lists:seq(1, 5)]
    end).
