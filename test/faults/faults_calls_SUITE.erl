%% @doc Calls that do not end, callers that die, handlers that misbehave: the VM goes on, and
%% whoever waits gets an answer.
-module(faults_calls_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, groups/0, init_per_suite/1, end_per_suite/1]).
-export([
    as_many_endless_loops_as_schedulers_leave_the_vm_responsive/1,
    sixty_four_endless_loops_leave_the_vm_responsive_and_are_freed_with_their_callers/1,
    an_endless_loop_ends_by_timeout_and_by_cancel/1,
    a_start_function_that_loops_times_out/1,
    a_start_function_that_loops_dies_with_its_process/1
]).
-export([
    two_thousand_queued_calls_are_all_answered/1,
    a_thousand_waiters_of_an_instance_that_is_stopped_get_an_answer/1,
    a_thousand_waiters_of_an_instance_whose_owner_dies_get_an_answer/1,
    a_thousand_waiters_of_a_caller_that_dies_get_an_answer/1,
    waiters_that_die_are_passed_over/1,
    waiters_that_die_in_a_long_read_are_passed_over/1
]).
-export([
    owner_death_frees_an_idle_instance/1,
    owner_death_frees_a_running_instance/1,
    owner_death_frees_an_instance_suspended_in_an_import/1,
    owner_death_while_it_waits_in_line_ends_the_running_call/1,
    callers_killed_at_any_moment_leave_nothing_behind/1,
    a_caller_killed_in_an_import_frees_the_line/1,
    a_caller_killed_in_nested_calls_frees_the_line/1
]).
-export([
    a_handler_calls_back_grows_memory_and_uses_its_context_later/1,
    handlers_that_raise_fail_the_call_alone/1,
    handlers_that_answer_rubbish_fail_the_call_alone/1,
    a_handler_that_never_returns_can_be_killed/1,
    a_handler_stops_its_own_instance/1,
    a_handler_cancels_its_own_call/1,
    a_handler_starts_instances_and_calls_them/1,
    a_handler_gives_its_instance_away_to_a_process_that_dies/1
]).
-export([
    the_vm_ends_in_order_with_calls_in_flight/1,
    the_vm_halts_with_calls_in_flight/1
]).

all() ->
    [{group, loops}, {group, line}, {group, death}, {group, handlers}, {group, shutdown}].

groups() ->
    [{loops, [], [
        as_many_endless_loops_as_schedulers_leave_the_vm_responsive,
        sixty_four_endless_loops_leave_the_vm_responsive_and_are_freed_with_their_callers,
        an_endless_loop_ends_by_timeout_and_by_cancel,
        a_start_function_that_loops_times_out,
        a_start_function_that_loops_dies_with_its_process
     ]},
     {line, [], [
        two_thousand_queued_calls_are_all_answered,
        a_thousand_waiters_of_an_instance_that_is_stopped_get_an_answer,
        a_thousand_waiters_of_an_instance_whose_owner_dies_get_an_answer,
        a_thousand_waiters_of_a_caller_that_dies_get_an_answer,
        waiters_that_die_are_passed_over,
        waiters_that_die_in_a_long_read_are_passed_over
     ]},
     {death, [], [
        owner_death_frees_an_idle_instance,
        owner_death_frees_a_running_instance,
        owner_death_frees_an_instance_suspended_in_an_import,
        owner_death_while_it_waits_in_line_ends_the_running_call,
        callers_killed_at_any_moment_leave_nothing_behind,
        a_caller_killed_in_an_import_frees_the_line,
        a_caller_killed_in_nested_calls_frees_the_line
     ]},
     {handlers, [], [
        a_handler_calls_back_grows_memory_and_uses_its_context_later,
        handlers_that_raise_fail_the_call_alone,
        handlers_that_answer_rubbish_fail_the_call_alone,
        a_handler_that_never_returns_can_be_killed,
        a_handler_stops_its_own_instance,
        a_handler_cancels_its_own_call,
        a_handler_starts_instances_and_calls_them,
        a_handler_gives_its_instance_away_to_a_process_that_dies
     ]},
     {shutdown, [], [
        the_vm_ends_in_order_with_calls_in_flight,
        the_vm_halts_with_calls_in_flight
     ]}].

init_per_suite(Config) ->
    [{File, read(File)} || File <- [busy, start_loop]] ++ Config.

read(Name) ->
    File = filename:join(child_vm:fixtures(?MODULE), atom_to_list(Name) ++ ".wat"),
    {ok, Text} = file:read_file(File),
    Text.

end_per_suite(_Config) ->
    ok.

%% Loops

as_many_endless_loops_as_schedulers_leave_the_vm_responsive(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() -> stays_responsive(Busy, erlang:system_info(schedulers)) end).

sixty_four_endless_loops_leave_the_vm_responsive_and_are_freed_with_their_callers(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() -> stays_responsive(Busy, 64) end).

stays_responsive(Busy, Count) ->
    %% Threads and pools exist after one round of everything.
    loops(Busy, 2),
    Threads = child_vm:threads(),
    Resident = child_vm:resident_bytes(),
    Spinners = [spawn(fun Spin() -> Spin() end) || _ <- lists:seq(1, Count)],
    BesideErlang = lateness(),
    [exit(Pid, kill) || Pid <- Spinners],
    BesideGuests = loops(Busy, Count),
    io:format("timer late beside ~b busy: Erlang processes ~p us, guests ~p us (median, p99, max)~n",
              [Count, BesideErlang, BesideGuests]),
    child_vm:wait_until(fun() -> child_vm:threads() =< Threads end),
    child_vm:wait_until(fun() -> child_vm:resident_bytes() < Resident + (16 bsl 20) end).

%% Runs so many loops with 1 MiB each, kills their callers and sees them freed.
loops(Busy, Count) ->
    Instances = [begin
        {ok, I} = wasmbeam:start(Busy),
        ok = wasmbeam:memory_write(I, 0, binary:copy(<<1>>, 1 bsl 20)),
        I
    end || _ <- lists:seq(1, Count)],
    {Kept, Owned} = lists:split(Count div 2, Instances),
    Callers = [caller(I, <<"loop">>, []) || I <- Kept]
        ++ [begin
                Pid = caller(I, <<"loop">>, []),
                ok = wasmbeam:give_away(I, Pid),
                Pid
            end || I <- Owned],
    [wait_for(running, I) || I <- Instances],
    {ok, Other} = wasmbeam:start(Busy),
    ?assertEqual({ok, [42]}, wasmbeam:call(Other, <<"add_one">>, [41])),
    Late = lateness(),
    [exit(Pid, kill) || Pid <- Callers],
    [wait_for(interrupted, I) || I <- Kept],
    [wait_for(stopped, I) || I <- Owned],
    [?assertMatch(#{memory_bytes := 0}, wasmbeam:info(I)) || I <- Owned],
    [?assertMatch({error, {interrupted, _}}, wasmbeam:call(I, <<"add_one">>, [1])) || I <- Kept],
    [?assertMatch({error, {stopped, _}}, wasmbeam:call(I, <<"add_one">>, [1])) || I <- Owned],
    [ok = wasmbeam:stop(I) || I <- [Other | Kept]],
    Late.

%% By how much an idle process's timer is late: median, 99th percentile, maximum; microseconds.
lateness() ->
    Self = self(),
    Pid = spawn_link(fun() ->
        Self ! {self(), lists:sort([late_by(5) || _ <- lists:seq(1, 100)])}
    end),
    receive
        {Pid, Sorted} -> {lists:nth(50, Sorted), lists:nth(99, Sorted), lists:last(Sorted)}
    end.

late_by(Milliseconds) ->
    Before = erlang:monotonic_time(microsecond),
    timer:sleep(Milliseconds),
    erlang:monotonic_time(microsecond) - Before - 1000 * Milliseconds.

caller(I, Function, Args) ->
    caller(I, Function, Args, #{}).

caller(I, Function, Args, Options) ->
    Self = self(),
    spawn(fun() -> Self ! {self(), wasmbeam:call(I, Function, Args, Options)} end).

answer(Pid) ->
    receive {Pid, Answer} -> Answer end.

wait_for(State, I) ->
    child_vm:wait_until(fun() -> #{state := S} = wasmbeam:info(I), S =:= State end).

wait_for_line(Length, I) ->
    child_vm:wait_until(fun() ->
        #{queue_length := L} = wasmbeam:info(I),
        L >= Length
    end).

an_endless_loop_ends_by_timeout_and_by_cancel(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(Busy, #{on_interrupt => keep}),
        ?assertMatch({error, {timeout, _}}, wasmbeam:call(I, <<"loop">>, [], #{timeout => 20})),
        ?assertMatch({error, {timeout, _}}, wasmbeam:call(I, <<"loop">>, [], #{timeout => 0})),
        Pid = caller(I, <<"loop">>, []),
        wait_for(running, I),
        ok = wasmbeam:cancel(I),
        ?assertMatch({error, {interrupted, _}}, answer(Pid)),
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1]))
    end).

a_start_function_that_loops_times_out(Config) ->
    StartLoop = ?config(start_loop, Config),
    child_vm:run(Config, fun() ->
        ?assertMatch({error, {timeout, _}}, wasmbeam:start(StartLoop, #{timeout => 20}))
    end).

a_start_function_that_loops_dies_with_its_process(Config) ->
    StartLoop = ?config(start_loop, Config),
    child_vm:run(Config, fun() ->
        {ok, _} = wasmbeam:compile(StartLoop),
        Threads = child_vm:threads(),
        Pids = [spawn(fun() -> wasmbeam:start(StartLoop, #{owner => none}) end)
                || _ <- lists:seq(1, 16)],
        timer:sleep(20),
        [exit(Pid, kill) || Pid <- Pids],
        ?assertMatch({error, {timeout, _}}, wasmbeam:start(StartLoop, #{timeout => 20})),
        %% Reaper and ticker at most.
        child_vm:wait_until(fun() -> child_vm:threads() =< Threads + 2 end)
    end).

%% The line

two_thousand_queued_calls_are_all_answered(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = waiting_instance(Busy),
        First = caller(I, <<"wait">>, [1]),
        wait_for(suspended, I),
        Callers = [{N, caller(I, <<"add_one">>, [N])} || N <- lists:seq(1, 2000)],
        wait_for_line(2000, I),
        release(),
        ?assertEqual({ok, [2]}, answer(First)),
        [?assertEqual({ok, [N + 1]}, answer(Pid)) || {N, Pid} <- Callers],
        ?assertMatch(#{state := idle, queue_length := 0}, wasmbeam:info(I))
    end).

%% An instance whose `wait' import waits until `release/0'.
waiting_instance(Busy) ->
    waiting_instance(Busy, #{}).

waiting_instance(Busy, Options) ->
    Self = self(),
    Wait = fun([N]) ->
        Self ! {waiting, self()},
        receive go -> [N] end
    end,
    wasmbeam:start(Busy, Options#{imports => #{<<"env">> => #{<<"wait">> => Wait}}}).

release() ->
    receive {waiting, Pid} -> Pid ! go end.

a_thousand_waiters_of_an_instance_that_is_stopped_get_an_answer(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        [begin
            {ok, I} = waiting_instance(Busy),
            First = caller(I, Function, Args),
            wait_for(State, I),
            Callers = waiters(I),
            ok = wasmbeam:stop(I),
            [?assertMatch({error, {stopped, _}}, answer(Pid)) || Pid <- Callers],
            State =:= suspended andalso release(),
            ?assertMatch({error, {stopped, _}}, answer(First))
         end || {State, Function, Args} <- [{suspended, <<"wait">>, [1]}, {running, <<"loop">>, []}]]
    end).

%% A thousand processes in line, one half for a call, the other for the memory.
waiters(I) ->
    Self = self(),
    Callers = [caller(I, <<"add_one">>, [1]) || _ <- lists:seq(1, 500)],
    #{state := State} = wasmbeam:info(I),
    Readers = [spawn(fun() -> Self ! {self(), wasmbeam:memory_read(I, 0, 1)} end)
               || State =:= running, _ <- lists:seq(1, 500)],
    wait_for_line(length(Callers) + length(Readers), I),
    Callers ++ Readers.

a_thousand_waiters_of_an_instance_whose_owner_dies_get_an_answer(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        Owner = spawn(fun() -> receive never -> ok end end),
        {ok, I} = wasmbeam:start(Busy, #{owner => Owner}),
        First = caller(I, <<"loop">>, []),
        wait_for(running, I),
        Callers = waiters(I),
        exit(Owner, kill),
        [?assertMatch({error, {stopped, _}}, answer(Pid)) || Pid <- [First | Callers]],
        wait_for(stopped, I)
    end).

a_thousand_waiters_of_a_caller_that_dies_get_an_answer(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        [begin
            {ok, I} = wasmbeam:start(Busy, #{on_interrupt => Interrupt}),
            First = caller(I, <<"loop">>, []),
            wait_for(running, I),
            Callers = waiters(I),
            exit(First, kill),
            Answers = lists:usort([element(1, answer(Pid)) || Pid <- Callers]),
            ?assertEqual({Interrupt, Expected}, {Interrupt, Answers})
         end || {Interrupt, Expected} <- [{fail, [error, ok]}, {keep, [ok]}]]
    end).

waiters_that_die_are_passed_over(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = waiting_instance(Busy),
        First = caller(I, <<"wait">>, [1]),
        wait_for(suspended, I),
        Callers = [caller(I, <<"add_one">>, [1]) || _ <- lists:seq(1, 1000)],
        wait_for_line(1000, I),
        {Dying, Living} = lists:partition(fun(Pid) -> erlang:phash2(Pid, 3) > 0 end, Callers),
        [exit(Pid, kill) || Pid <- Dying],
        release(),
        ?assertEqual({ok, [2]}, answer(First)),
        [?assertEqual({ok, [2]}, answer(Pid)) || Pid <- Living],
        child_vm:wait_until(fun() ->
            #{state := State, queue_length := Length} = wasmbeam:info(I),
            {State, Length} =:= {idle, 0}
        end)
    end).

waiters_that_die_in_a_long_read_are_passed_over(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(Busy, #{on_interrupt => keep}),
        {ok, _} = wasmbeam:memory_grow(I, 512),
        Caller = spawn(fun Loop() ->
            {ok, [100000]} = wasmbeam:call(I, <<"count">>, [100000]),
            Loop()
        end),
        [begin
            Readers = [spawn(fun Read() -> {ok, _} = wasmbeam:memory_read(I, 0, 1 bsl 24), Read() end)
                       || _ <- lists:seq(1, 8)],
            timer:sleep(1),
            [exit(Pid, kill) || Pid <- Readers]
         end || _ <- lists:seq(1, 100)],
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1])),
        exit(Caller, kill),
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1]))
    end).

%% Death

owner_death_frees_an_idle_instance(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        Self = self(),
        Owner = spawn(fun() ->
            {ok, I} = wasmbeam:start(Busy),
            Self ! {instance, I},
            receive never -> ok end
        end),
        I = receive {instance, Started} -> Started end,
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1])),
        exit(Owner, kill),
        wait_for(stopped, I),
        ?assertMatch(#{memory_bytes := 0}, wasmbeam:info(I))
    end).

owner_death_frees_a_running_instance(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        Owner = spawn(fun() -> receive never -> ok end end),
        {ok, I} = wasmbeam:start(Busy, #{owner => Owner}),
        Caller = caller(I, <<"loop">>, []),
        wait_for(running, I),
        exit(Owner, kill),
        ?assertMatch({error, {stopped, _}}, answer(Caller)),
        wait_for(stopped, I)
    end).

owner_death_frees_an_instance_suspended_in_an_import(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        Owner = spawn(fun() -> receive never -> ok end end),
        {ok, I} = waiting_instance(Busy, #{owner => Owner}),
        Caller = caller(I, <<"wait">>, [1]),
        wait_for(suspended, I),
        exit(Owner, kill),
        wait_for(stopped, I),
        release(),
        ?assertMatch({error, {stopped, _}}, answer(Caller))
    end).

owner_death_while_it_waits_in_line_ends_the_running_call(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = waiting_instance(Busy, #{owner => none}),
        Caller = caller(I, <<"wait">>, [1]),
        wait_for(suspended, I),
        Owner = caller(I, <<"add_one">>, [1]),
        wait_for_line(1, I),
        ok = wasmbeam:give_away(I, Owner),
        exit(Owner, kill),
        wait_for(stopped, I),
        release(),
        ?assertMatch({error, {stopped, _}}, answer(Caller))
    end).

callers_killed_at_any_moment_leave_nothing_behind(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        Wait = fun([N], #{instance := I}) ->
            {ok, [M]} = wasmbeam:call(I, <<"count">>, [20000]),
            [N + M]
        end,
        {ok, I} = wasmbeam:start(Busy, #{on_interrupt => keep,
                                         imports => #{<<"env">> => #{<<"wait">> => Wait}}}),
        [begin
            Functions = [<<"loop">>, <<"wait_in_loop">>, <<"wait">>, <<"count">>],
            Callers = [caller(I, F, [100000 || F =/= <<"loop">>]) || F <- Functions],
            %% The moment is what differs between the rounds.
            spin(Round * 37 rem 3000),
            [exit(Pid, kill) || Pid <- Callers]
         end || Round <- lists:seq(1, 300)],
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1])),
        child_vm:wait_until(fun() ->
            #{state := State, queue_length := Length} = wasmbeam:info(I),
            {State, Length} =:= {idle, 0}
        end)
    end).

spin(0) -> ok;
spin(N) -> spin(N - 1).

a_caller_killed_in_an_import_frees_the_line(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = waiting_instance(Busy, #{on_interrupt => keep}),
        Caller = caller(I, <<"wait">>, [1]),
        wait_for(suspended, I),
        Next = caller(I, <<"add_one">>, [1]),
        wait_for_line(1, I),
        exit(Caller, kill),
        ?assertEqual({ok, [2]}, answer(Next))
    end).

a_caller_killed_in_nested_calls_frees_the_line(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        Self = self(),
        Deeper = fun
            ([0], _) -> Self ! deep, receive never -> [0] end;
            ([N], #{instance := I}) -> {ok, R} = wasmbeam:call(I, <<"wait">>, [N - 1]), R
        end,
        {ok, I} = wasmbeam:start(Busy, #{on_interrupt => keep,
                                         imports => #{<<"env">> => #{<<"wait">> => Deeper}}}),
        Caller = caller(I, <<"wait">>, [100]),
        receive deep -> ok end,
        Next = caller(I, <<"add_one">>, [1]),
        wait_for_line(1, I),
        exit(Caller, kill),
        ?assertEqual({ok, [2]}, answer(Next))
    end).

%% Handlers

a_handler_calls_back_grows_memory_and_uses_its_context_later(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        Self = self(),
        Handler = fun([N], #{instance := I} = Context) ->
            {ok, Before} = wasmbeam:memory_grow(I, 16),
            {ok, Size} = wasmbeam:memory_size(I),
            ?assertEqual((Before + 16) bsl 16, Size),
            ok = wasmbeam:memory_write(I, Size - 1, <<7>>),
            {ok, <<7>>} = wasmbeam:memory_read(I, Size - 1, 1),
            {ok, [M]} = wasmbeam:call(I, <<"add_one">>, [N]),
            Self ! {context, Context},
            [M]
        end,
        {ok, I} = wasmbeam:start(Busy, #{imports => #{<<"env">> => #{<<"wait">> => Handler}}}),
        [?assertEqual({ok, [3]}, wasmbeam:call(I, <<"wait">>, [1])) || _ <- lists:seq(1, 10)],
        #{instance := Later} = receive {context, Context} -> Context end,
        ?assertEqual({ok, [2]}, wasmbeam:call(Later, <<"add_one">>, [1])),
        {ok, Size} = wasmbeam:memory_size(Later),
        ?assertEqual({ok, <<7>>}, wasmbeam:memory_read(Later, Size - 1, 1))
    end).

handlers_that_raise_fail_the_call_alone(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = handled_instance(Busy),
        Raising = [
            {error, oops, fun(_) -> error(oops) end},
            {exit, oops, fun(_) -> exit(oops) end},
            {throw, oops, fun(_) -> throw(oops) end},
            {exit, kill, fun(_) -> exit(kill) end}
        ],
        [begin
            {error, {import_failed, #{class := C, reason := R}}} =
                wasmbeam:call(I, <<"wait">>, [1], handled_by(Handler)),
            ?assertEqual({Class, Reason}, {C, R}),
            ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1]))
         end || {Class, Reason, Handler} <- Raising]
    end).

handled_instance(Busy) ->
    wasmbeam:start(Busy, #{imports => #{<<"env">> => #{<<"wait">> => fun(Args) -> Args end}}}).

handled_by(Handler) ->
    #{imports => #{<<"env">> => #{<<"wait">> => Handler}}}.

handlers_that_answer_rubbish_fail_the_call_alone(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = handled_instance(Busy),
        Rubbish = [[], [1, 2], [1.5], [1 bsl 32], foo, [foo], [1 | 2], <<>>, {ok, [1]}, self()],
        [begin
            ?assertMatch({error, {import_failed, _}},
                         wasmbeam:call(I, <<"wait">>, [1], handled_by(fun(_) -> Answer end))),
            ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1]))
         end || Answer <- Rubbish]
    end).

a_handler_that_never_returns_can_be_killed(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = waiting_instance(Busy, #{on_interrupt => keep}),
        [begin
            Caller = caller(I, <<"wait">>, [1]),
            wait_for(suspended, I),
            ok = wasmbeam:cancel(I),
            exit(Caller, kill),
            ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1]))
         end || _ <- lists:seq(1, 100)]
    end).

a_handler_stops_its_own_instance(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = handled_instance(Busy),
        Stop = fun(Args, #{instance := Own}) -> ok = wasmbeam:stop(Own), Args end,
        ?assertMatch({error, {stopped, _}}, wasmbeam:call(I, <<"wait">>, [1], handled_by(Stop))),
        ?assertMatch({error, {stopped, _}}, wasmbeam:stop(I)),
        {ok, Deep} = handled_instance(Busy),
        Nested = fun(Args, #{instance := Own}) ->
            {error, {stopped, _}} = wasmbeam:call(Own, <<"wait">>, [1], handled_by(Stop)),
            Args
        end,
        ?assertMatch({error, {stopped, _}}, wasmbeam:call(Deep, <<"wait">>, [1], handled_by(Nested)))
    end).

a_handler_cancels_its_own_call(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(Busy, #{on_interrupt => keep}),
        Cancel = fun(Args, #{instance := Own}) -> ok = wasmbeam:cancel(Own), Args end,
        ?assertMatch({error, {interrupted, _}},
                     wasmbeam:call(I, <<"wait">>, [1], handled_by(Cancel))),
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1]))
    end).

a_handler_starts_instances_and_calls_them(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = handled_instance(Busy),
        Starts = fun([_] = Numbers) ->
            {ok, Other} = wasmbeam:start(Busy, #{owner => none}),
            {ok, Results} = wasmbeam:call(Other, <<"add_one">>, Numbers),
            ok = wasmbeam:stop(Other),
            {ok, Sibling} = wasmbeam:start(Busy, #{store => I}),
            {ok, Results} = wasmbeam:call(Sibling, <<"add_one">>, Numbers),
            Results
        end,
        [?assertEqual({ok, [3]}, wasmbeam:call(I, <<"wait">>, [1], handled_by(Starts)))
         || _ <- lists:seq(1, 10)]
    end).

a_handler_gives_its_instance_away_to_a_process_that_dies(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = handled_instance(Busy),
        GiveAway = fun(Args, #{instance := Own}) ->
            Heir = spawn(fun() -> receive never -> ok end end),
            ok = wasmbeam:give_away(Own, Heir),
            exit(Heir, kill),
            wait_for(stopped, Own),
            Args
        end,
        ?assertMatch({error, {stopped, _}}, wasmbeam:call(I, <<"wait">>, [1], handled_by(GiveAway)))
    end).

%% Shutdown

the_vm_ends_in_order_with_calls_in_flight(Config) ->
    Busy = ?config(busy, Config),
    child_vm:run(Config, fun() -> calls_in_flight(Busy) end, #{finish => {stop, 17}, timeout => 60000}).

the_vm_halts_with_calls_in_flight(Config) ->
    Busy = ?config(busy, Config),
    [child_vm:run(Config, fun() -> calls_in_flight(Busy) end,
                  #{finish => {halt, Status}, timeout => 60000})
     || Status <- [0, 1, 2, 42, 255]].

%% Leaves calls behind that run, are suspended in an import, wait in line; and one that compiles.
calls_in_flight(Busy) ->
    [begin
        {ok, I} = wasmbeam:start(Busy, #{owner => none}),
        Wait = fun(Given) -> receive never -> Given end end,
        _ = caller(I, Function, Args, handled_by(Wait)),
        wait_for(State, I),
        _ = [caller(I, <<"add_one">>, [1]) || _ <- lists:seq(1, 10)],
        wait_for_line(10, I)
     end || {Function, Args, State} <- [{<<"loop">>, [], running}, {<<"wait">>, [1], suspended}],
            _ <- lists:seq(1, 10)],
    _ = spawn(fun() -> wasmbeam:compile(big_module()) end),
    _ = spawn(fun Start() -> {ok, _} = wasmbeam:start(Busy), Start() end),
    ok.

%% Takes the compiler a while.
big_module() ->
    Function = [<<"(func (param i32) (result i32) (local.get 0)">>,
                lists:duplicate(2000, <<"(i32.const 3) i32.mul (local.get 0) i32.add">>), <<")">>],
    iolist_to_binary([<<"(module ">>, lists:duplicate(50, Function), <<")">>]).
