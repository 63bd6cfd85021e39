%% @doc Processes that do not behave as one expects of callers and owners: they ignore exits, are
%% suspended, or die in the middle of what takes long.
-module(faults_processes_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([
    a_caller_that_traps_exits_sees_them_after_its_call/1,
    an_owner_that_traps_exits_frees_its_instance_when_it_is_killed/1,
    a_suspended_caller_keeps_its_turn/1,
    a_suspended_caller_can_be_killed/1,
    a_suspended_owner_that_dies_frees_its_instance/1,
    an_owner_that_dies_while_its_instance_starts_frees_it/1,
    an_owner_that_dies_while_its_instance_is_compiled_frees_it/1,
    owners_that_die_while_a_snapshot_is_made_free_their_instances/1,
    processes_that_die_while_they_restore_and_fork_leave_nothing_behind/1,
    a_handler_cannot_replace_the_state_that_it_was_called_from/1,
    others_use_the_memory_while_a_handler_runs_and_call_after_it/1,
    a_stack_overflow_around_imports_is_a_trap/1
]).

all() ->
    [F || {F, 1} <- ?MODULE:module_info(exports), F =/= module_info].

a_caller_that_traps_exits_sees_them_after_its_call(Config) ->
    child_vm:run(Config, fun() ->
        Self = self(),
        I = faults_guest:waiting_instance(#{}),
        Caller = spawn(fun() ->
            _ = process_flag(trap_exit, true),
            Answers = [wasmbeam:call(I, F, [1]) || F <- [<<"wait">>, <<"add_one">>]],
            Self ! {self(), Answers, receive {'EXIT', _, Reason} -> Reason end}
        end),
        faults_guest:wait_for(suspended, I),
        exit(Caller, shutdown),
        faults_guest:release(),
        receive {Caller, Answers, Reason} ->
            ?assertEqual({[{ok, [2]}, {ok, [2]}], shutdown}, {Answers, Reason})
        end
    end).

an_owner_that_traps_exits_frees_its_instance_when_it_is_killed(Config) ->
    child_vm:run(Config, fun() ->
        Owner = spawn(fun() ->
            _ = process_flag(trap_exit, true),
            receive never -> ok end
        end),
        {ok, I} = wasmbeam:start(faults_guest:busy(), #{owner => Owner}),
        exit(Owner, shutdown),
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1])),
        exit(Owner, kill),
        faults_guest:wait_for(stopped, I)
    end).

a_suspended_caller_keeps_its_turn(Config) ->
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(faults_guest:busy(), #{on_interrupt => keep}),
        Caller = faults_guest:caller(I, <<"loop">>, []),
        faults_guest:wait_for(running, I),
        true = erlang:suspend_process(Caller),
        ?assertMatch({error, {timeout, _}},
                     wasmbeam:call(I, <<"add_one">>, [1], #{timeout => 10})),
        Next = faults_guest:caller(I, <<"add_one">>, [1]),
        faults_guest:wait_for_line(1, I),
        ok = wasmbeam:cancel(I),
        true = erlang:resume_process(Caller),
        ?assertMatch({error, {interrupted, _}}, faults_guest:answer(Caller)),
        ?assertEqual({ok, [2]}, faults_guest:answer(Next))
    end).

a_suspended_caller_can_be_killed(Config) ->
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(faults_guest:busy(), #{on_interrupt => keep}),
        [begin
            Caller = faults_guest:caller(I, <<"loop">>, []),
            faults_guest:wait_for(running, I),
            true = erlang:suspend_process(Caller),
            exit(Caller, kill),
            ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1]))
         end || _ <- lists:seq(1, 20)]
    end).

a_suspended_owner_that_dies_frees_its_instance(Config) ->
    child_vm:run(Config, fun() ->
        Self = self(),
        [begin
            Owner = spawn(fun() ->
                {ok, I} = wasmbeam:start(faults_guest:busy()),
                Self ! {instance, I},
                wasmbeam:call(I, <<"loop">>, [])
            end),
            I = receive {instance, Started} -> Started end,
            faults_guest:wait_for(running, I),
            true = erlang:suspend_process(Owner),
            exit(Owner, kill),
            faults_guest:wait_for(stopped, I)
         end || _ <- lists:seq(1, 20)]
    end).

an_owner_that_dies_while_its_instance_starts_frees_it(Config) ->
    child_vm:run(Config, fun() ->
        {ok, Module} = wasmbeam:compile(<<"(module (import \"env\" \"started\" (func $started))
            (memory 16)
            (func $start (call $started) (loop $again (br $again)))
            (start $start))">>),
        Self = self(),
        Started = fun([], #{instance := I}) -> Self ! {instance, I}, [] end,
        Options = #{imports => #{<<"env">> => #{<<"started">> => Started}}},
        Owner = spawn(fun() -> receive never -> ok end end),
        Starter = spawn(fun() ->
            Self ! {self(), wasmbeam:start(Module, Options#{owner => Owner})}
        end),
        I = receive {instance, Given} -> Given end,
        exit(Owner, kill),
        ?assertMatch({error, {stopped, _}}, faults_guest:answer(Starter)),
        faults_guest:wait_for(stopped, I),
        %% The usual case: who starts it owns it.
        Both = spawn(fun() -> wasmbeam:start(Module, Options) end),
        Other = receive {instance, Again} -> Again end,
        exit(Both, kill),
        faults_guest:wait_for(stopped, Other)
    end).

an_owner_that_dies_while_its_instance_is_compiled_frees_it(Config) ->
    child_vm:run(Config, fun() ->
        Function = ["(func (param i32) (result i32) (local.get 0)",
                    lists:duplicate(2000, "(i32.const 3) i32.mul (local.get 0) i32.add"), ")"],
        Image = iolist_to_binary(["(module ", lists:duplicate(10, Function), ")"]),
        Owner = spawn(fun() -> wasmbeam:start(Image) end),
        child_vm:wait_until(fun() -> maps:get(misses, wasmbeam:cache_info()) =:= 1 end),
        exit(Owner, kill),
        Dead = spawn(fun() -> ok end),
        child_vm:wait_until(fun() -> not is_process_alive(Dead) end),
        ?assertMatch({error, {bad_argument, _}}, wasmbeam:start(Image, #{owner => Dead})),
        ?assertMatch({ok, _}, wasmbeam:start(Image))
    end).

%% Enough memory that looking at it takes a while.
full_instance(Options) ->
    {ok, I} = wasmbeam:start(faults_guest:busy(), Options),
    {ok, _} = wasmbeam:memory_grow(I, 240),
    ok = wasmbeam:memory_write(I, 0, binary:copy(<<"full">>, 4 bsl 20)),
    I.

owners_that_die_while_a_snapshot_is_made_free_their_instances(Config) ->
    child_vm:run(Config, fun() ->
        [begin
            Owner = spawn(fun() -> receive never -> ok end end),
            I = full_instance(#{owner => Owner}),
            Self = self(),
            Pid = spawn(fun() ->
                Self ! {self(), wasmbeam:serialize(I, #{compression => zstd})}
            end),
            %% It may be over before anybody looks.
            child_vm:wait_until(fun() ->
                not is_process_alive(Pid) orelse maps:get(state, wasmbeam:info(I)) =/= idle
            end),
            exit(Owner, kill),
            faults_guest:wait_for(stopped, I),
            %% It was complete in the meantime, or it is not made.
            case faults_guest:answer(Pid) of
                {ok, Snapshot} -> ?assert(is_binary(Snapshot));
                {error, {Class, _}} -> ?assertEqual(stopped, Class)
            end
         end || _ <- lists:seq(1, 5)]
    end).

processes_that_die_while_they_restore_and_fork_leave_nothing_behind(Config) ->
    child_vm:run(Config, fun() ->
        I = full_instance(#{on_interrupt => keep}),
        {ok, Snapshot} = wasmbeam:serialize(I),
        Busy = faults_guest:busy(),
        Work = [
            fun() -> wasmbeam:serialize(I) end,
            fun() -> wasmbeam:deserialize(I, Snapshot) end,
            fun() -> wasmbeam:restore(Busy, Snapshot, #{owner => none}) end,
            fun() -> wasmbeam:memory_write(I, 0, <<"changed">>), wasmbeam:fork(I) end,
            fun() -> wasmbeam:reset(I) end
        ],
        [begin
            Pids = [spawn(fun() -> Do(), Do() end) || Do <- Work],
            erlang:yield(),
            Round rem 2 =:= 0 andalso timer:sleep(Round rem 7),
            [exit(Pid, kill) || Pid <- Pids]
         end || Round <- lists:seq(1, 30)],
        ok = wasmbeam:deserialize(I, Snapshot),
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1])),
        ?assertEqual({ok, <<"full">>}, wasmbeam:memory_read(I, 0, 4)),
        child_vm:wait_until(fun() ->
            #{state := State, queue_length := Length} = wasmbeam:info(I),
            {State, Length} =:= {idle, 0}
        end)
    end).

a_handler_cannot_replace_the_state_that_it_was_called_from(Config) ->
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(faults_guest:busy()),
        {ok, Snapshot} = wasmbeam:serialize(I),
        Refused = [
            fun wasmbeam:serialize/1,
            fun(Own) -> wasmbeam:deserialize(Own, Snapshot) end,
            fun wasmbeam:reset/1,
            fun wasmbeam:fork/1
        ],
        [begin
            Handler = fun([N], #{instance := Own}) ->
                ?assertMatch({error, {not_capturable, _}}, Replace(Own)),
                [N]
            end,
            ?assertEqual({ok, [2]},
                         wasmbeam:call(I, <<"wait">>, [1], faults_guest:handled_by(Handler)))
         end || Replace <- Refused],
        ?assertEqual({ok, Snapshot}, wasmbeam:serialize(I))
    end).

others_use_the_memory_while_a_handler_runs_and_call_after_it(Config) ->
    child_vm:run(Config, fun() ->
        Self = self(),
        Busy = fun([N], #{instance := I}) ->
            Others = [spawn(fun() ->
                ok = wasmbeam:memory_write(I, 8 * K, <<K>>),
                {ok, <<K>>} = wasmbeam:memory_read(I, 8 * K, 1),
                {ok, _} = wasmbeam:memory_grow(I, 1),
                Self ! {read, self()},
                Self ! {self(), wasmbeam:call(I, <<"add_one">>, [K])}
            end) || K <- lists:seq(1, 50)],
            child_vm:wait_until(fun() -> maps:get(queue_length, wasmbeam:info(I)) =:= 50 end),
            Self ! {others, Others},
            [N]
        end,
        {ok, I} = wasmbeam:start(faults_guest:busy(), faults_guest:handled_by(Busy)),
        ?assertEqual({ok, [8]}, wasmbeam:call(I, <<"wait">>, [7])),
        Others = receive {others, Pids} -> Pids end,
        [receive {read, Pid} -> ok end || Pid <- Others],
        [?assertEqual({ok, [K + 1]}, faults_guest:answer(Pid))
         || {K, Pid} <- lists:zip(lists:seq(1, 50), Others)],
        ?assertEqual({ok, (16 + 50) bsl 16}, wasmbeam:memory_size(I))
    end).

a_stack_overflow_around_imports_is_a_trap(Config) ->
    child_vm:run(Config, fun() ->
        Guest = <<"(module
          (import \"env\" \"deeper\" (func $deeper (param i32) (result i32)))
          (func $f (export \"f\") (param i32) (result i32)
            (i32.add (i32.const 1) (call $f (call $deeper (local.get 0))))))">>,
        {ok, I} = wasmbeam:start(Guest, #{imports => #{<<"env">> => #{
            <<"deeper">> => fun([N]) -> [N + 1] end}}}),
        [?assertMatch({error, {trap, #{code := stack_overflow}}}, wasmbeam:call(I, <<"f">>, [0]))
         || _ <- lists:seq(1, 10)]
    end).
