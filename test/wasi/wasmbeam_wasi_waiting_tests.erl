%% Guests that wait for the machine. What they wait for is a pipe that nobody writes to.
-module(wasmbeam_wasi_waiting_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_wasi_folder, [with/2, fifo/2]).

-define(PATH, 1024).
-define(OUT, 4096).
-define(READ, 2).

%% Each test has a process, and so a mailbox, of its own.
waiting_test_() ->
    [{spawn, {Name, fun() -> in_folder(Test) end}} || {Name, Test} <- [
        {"a_guest_goes_on_when_the_machine_does", fun a_guest_goes_on_when_the_machine_does/2},
        {"a_wait_ends_by_the_timeout", fun a_wait_ends_by_the_timeout/2},
        {"a_wait_is_cancelled", fun a_wait_is_cancelled/2},
        {"a_wait_ends_with_its_caller", fun a_wait_ends_with_its_caller/2},
        {"a_wait_ends_with_the_instance", fun a_wait_ends_with_the_instance/2},
        {"a_wait_ends_with_the_owner", fun a_wait_ends_with_the_owner/2},
        {"a_run_ends_by_the_timeout", fun a_run_ends_by_the_timeout/2},
        {"an_instance_that_is_kept_goes_on", fun an_instance_that_is_kept_goes_on/2},
        {"others_stand_in_line", fun others_stand_in_line/2},
        {"waiting_guests_block_no_scheduler", fun waiting_guests_block_no_scheduler/2},
        {"the_fun_of_an_import_may_have_its_guest_wait", fun the_fun_of_an_import_may_have_its_guest_wait/2},
        {"a_start_function_may_wait", fun a_start_function_may_wait/2},
        {"no_message_is_left_over", fun no_message_is_left_over/2},
        {"a_sleep_of_an_hour_ends_early", fun a_sleep_of_an_hour_ends_early/2},
        {"a_read_of_input_that_never_comes_ends_early",
         fun a_read_of_input_that_never_comes_ends_early/2}
    ]].

in_folder(Test) ->
    with(#{"file" => <<"text">>}, fun(Folder) ->
        Write = fifo(Folder, "pipe"),
        try
            Test(Folder, Write)
        after
            %% Whatever thread still waits is let go: opening for both never waits itself.
            "" = os:cmd("true <> " ++ filename:join(Folder, "pipe"))
        end
    end).

wasi(Folder) ->
    #{host => true, preopens => [{<<"/">>, Folder, ro}]}.

%% `open' opens `pipe' to read and `open_file' opens `file'; both return an error number.
source(Start) ->
    ["(module
       (import \"wasi_snapshot_preview1\" \"path_open\" (func $path_open
         (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
       (import \"test\" \"fun\" (func $fun (result i32)))
       (memory (export \"memory\") 1)
       (data (i32.const 1024) \"pipe\") (data (i32.const 1040) \"file\")
       (func $open_at (param i32) (result i32)
         (call $path_open (i32.const 3) (i32.const 0) (local.get 0) (i32.const 4) (i32.const 0)
           (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 4096)))
       (func $open (export \"open\") (result i32) (call $open_at (i32.const 1024)))
       (func (export \"open_file\") (result i32) (call $open_at (i32.const 1040)))
       (func (export \"ask\") (result i32) (call $fun))
       (func $start (export \"_start\") (drop (call $open)))", Start, ")"].

start(Folder) ->
    start(Folder, #{}).

start(Folder, Options) ->
    {ok, I} = wasmbeam:start(iolist_to_binary(source("")), Options#{wasi => wasi(Folder)}),
    I.

open(I) -> wasmbeam:call(I, <<"open">>, []).

%% Makes the call in a process of its own, and returns when the guest waits.
waiting(I) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit(open(I)) end),
    await_waiting(Pid),
    {Pid, Ref}.

await_waiting(Pid) ->
    case process_info(Pid, [status, current_function]) of
        [{status, waiting}, {current_function, {wasmbeam_call, loop, 2}}] ->
            ok;
        [_, _] ->
            erlang:yield(),
            await_waiting(Pid)
    end.

ended({Pid, Ref}) ->
    receive {'DOWN', Ref, process, Pid, Result} -> Result end.

a_guest_goes_on_when_the_machine_does(Folder, Write) ->
    I = start(Folder),
    Call = waiting(I),
    ok = Write(),
    ?assertEqual({ok, [0]}, ended(Call)),
    ?assertEqual({ok, [0]}, wasmbeam:call(I, <<"open_file">>, [])).

a_wait_ends_by_the_timeout(Folder, _Write) ->
    I = start(Folder),
    ?assertMatch({error, {timeout, _}}, wasmbeam:call(I, <<"open">>, [], #{timeout => 20})),
    ?assertMatch({error, {interrupted, _}}, wasmbeam:call(I, <<"open_file">>, [])).

a_wait_is_cancelled(Folder, _Write) ->
    I = start(Folder),
    Call = waiting(I),
    ok = wasmbeam:cancel(I),
    ?assertMatch({error, {interrupted, #{reason := cancelled}}}, ended(Call)).

a_wait_ends_with_its_caller(Folder, _Write) ->
    I = start(Folder, #{on_interrupt => keep}),
    {Pid, _} = Call = waiting(I),
    exit(Pid, kill),
    ?assertEqual(killed, ended(Call)),
    %% The next call waits until the other is unwound.
    ?assertEqual({ok, [0]}, wasmbeam:call(I, <<"open_file">>, [])).

a_wait_ends_with_the_instance(Folder, _Write) ->
    I = start(Folder),
    Call = waiting(I),
    ok = wasmbeam:stop(I),
    ?assertMatch({error, {stopped, _}}, ended(Call)).

a_wait_ends_with_the_owner(Folder, _Write) ->
    Test = self(),
    {Owner, Ref} = spawn_monitor(fun() -> Test ! start(Folder), receive go -> ok end end),
    I = receive Started -> Started end,
    Call = waiting(I),
    exit(Owner, kill),
    ?assertEqual(killed, ended({Owner, Ref})),
    ?assertMatch({error, {stopped, _}}, ended(Call)).

a_run_ends_by_the_timeout(Folder, _Write) ->
    ?assertMatch({error, {timeout, #{stdout := <<>>}}},
                 wasmbeam:run(iolist_to_binary(source("")),
                              #{wasi => wasi(Folder), timeout => 20})).

an_instance_that_is_kept_goes_on(Folder, Write) ->
    I = start(Folder, #{on_interrupt => keep}),
    [begin
         ?assertMatch({error, {timeout, _}}, wasmbeam:call(I, <<"open">>, [], #{timeout => 1})),
         ?assertEqual({ok, [0]}, wasmbeam:call(I, <<"open_file">>, []))
     end || _ <- lists:seq(1, 20)],
    Call = waiting(I),
    ok = Write(),
    ?assertEqual({ok, [0]}, ended(Call)).

others_stand_in_line(Folder, Write) ->
    I = start(Folder),
    Call = waiting(I),
    {Pid, Ref} = spawn_monitor(fun() -> exit(wasmbeam:memory_read(I, 1024, 4)) end),
    await_queue(I, 1),
    ok = Write(),
    ?assertEqual({ok, [0]}, ended(Call)),
    ?assertEqual({ok, <<"pipe">>}, ended({Pid, Ref})).

await_queue(I, Length) ->
    case wasmbeam:info(I) of
        #{queue_length := Length} -> ok;
        #{} -> erlang:yield(), await_queue(I, Length)
    end.

waiting_guests_block_no_scheduler(Folder, Write) ->
    Count = 4 * erlang:system_info(schedulers),
    Calls = [waiting(start(Folder, #{owner => none})) || _ <- lists:seq(1, Count)],
    %% Each scheduler runs what it is given.
    [begin
         {Pid, Ref} = spawn_opt(fun() -> exit(ran) end, [monitor, {scheduler, Id}]),
         ?assertEqual(ran, ended({Pid, Ref}))
     end || Id <- lists:seq(1, erlang:system_info(schedulers))],
    ok = Write(),
    [?assertEqual({ok, [0]}, ended(Call)) || Call <- Calls].

the_fun_of_an_import_may_have_its_guest_wait(Folder, Write) ->
    Fun = fun([], #{instance := I}) ->
        {ok, [Errno]} = wasmbeam:call(I, <<"open">>, [], #{timeout => get(inner)}),
        [Errno + 1000]
    end,
    Ask = fun(I, Inner) ->
        spawn_monitor(fun() ->
            put(inner, Inner),
            exit(wasmbeam:call(I, <<"ask">>, []))
        end)
    end,
    I = start(Folder, #{imports => #{<<"test">> => #{<<"fun">> => Fun}}}),
    {Pid, _} = Call = Ask(I, infinity),
    await_waiting(Pid),
    ok = Write(),
    ?assertEqual({ok, [1000]}, ended(Call)),
    ?assertMatch({error, {timeout, _}}, ended(Ask(I, 20))).

a_start_function_may_wait(Folder, Write) ->
    Source = iolist_to_binary(source("(start $start)")),
    Options = #{wasi => wasi(Folder), owner => none},
    {Pid, _} = Call = spawn_monitor(fun() -> exit(wasmbeam:start(Source, Options)) end),
    await_waiting(Pid),
    ok = Write(),
    {ok, I} = ended(Call),
    ?assertEqual({ok, [0]}, wasmbeam:call(I, <<"open_file">>, [])),
    ?assertMatch({error, {timeout, _}}, wasmbeam:start(Source, Options#{timeout => 20})).

no_message_is_left_over(Folder, Write) ->
    I = start(Folder, #{on_interrupt => keep}),
    [{error, {timeout, _}} = wasmbeam:call(I, <<"open">>, [], #{timeout => 1}) || _ <- lists:seq(1, 20)],
    [{ok, [0]} = wasmbeam:call(I, <<"open_file">>, []) || _ <- lists:seq(1, 200)],
    ok = Write(),
    ?assertEqual({messages, []}, process_info(self(), messages)).

a_sleep_of_an_hour_ends_early(Folder, _Write) ->
    ends_early(Folder, #{}, <<"poll_oneoff">>, [65536, 70000, 1, ?OUT], fun(Guest) ->
        Hour = 3600_000_000_000,
        wasmbeam_wasi_guest:put(Guest, 65536, <<0:64, 0, 0:56, 1:32/little, 0:32, Hour:64/little, 0:128>>)
    end).

a_read_of_input_that_never_comes_ends_early(Folder, _Write) ->
    Silent = spawn_link(fun() -> receive over -> ok end end),
    ends_early(Folder, #{stdin => Silent}, <<"fd_read">>, [0, 65536, 1, ?OUT], fun(Guest) ->
        wasmbeam_wasi_guest:put_buffers(Guest, 65536, [{70000, 100}])
    end),
    Silent ! over.

%% By a timeout, by being cancelled, with the caller, and with the instance.
ends_early(Folder, More, Function, Args, Prepare) ->
    Source = wasmbeam_wasi_guest:module("wasi_snapshot_preview1", 32),
    {ok, I} = wasmbeam:start(Source, #{wasi => maps:merge(wasi(Folder), More), on_interrupt => keep}),
    Prepare(#{instance => I, width => 32}),
    Call = fun() -> spawn_monitor(fun() -> exit(wasmbeam:call(I, Function, Args)) end) end,
    ?assertMatch({error, {timeout, _}}, wasmbeam:call(I, Function, Args, #{timeout => 20})),
    Cancelled = Call(),
    await_suspended(I),
    ok = wasmbeam:cancel(I),
    ?assertMatch({error, {interrupted, _}}, ended(Cancelled)),
    {Pid, _} = Killed = Call(),
    await_suspended(I),
    exit(Pid, kill),
    ?assertEqual(killed, ended(Killed)),
    ?assertEqual({ok, [0]}, wasmbeam:call(I, <<"sched_yield">>, [])),
    Stopped = Call(),
    await_suspended(I),
    ok = wasmbeam:stop(I),
    ?assertMatch({error, {stopped, _}}, ended(Stopped)).

await_suspended(I) ->
    case wasmbeam:info(I) of
        #{state := suspended} -> ok;
        #{} -> erlang:yield(), await_suspended(I)
    end.

a_world_waits_as_often_as_its_instance_is_busy_test() ->
    {ok, I} = wasmbeam:start(<<"(module (memory (export \"memory\") 1)
                                  (func (export \"spin\") (loop br 0)))">>,
                             #{on_interrupt => keep}),
    {ok, {World, _}} = wasmbeam_world:new(#{}, <<>>, [], {[], [], system}),
    {ok, Ref} = wasmbeam_call:reference(I),
    %% A subscription to the monotonic clock, for one nanosecond.
    ok = wasmbeam:memory_write(I, 0, <<7:64/little, 0:64, 1:64/little, 1:64/little, 0:128>>),
    {wait, _, Waiting} = wasmbeam_nif:world_call(Ref, World, <<"poll_oneoff">>, [0, 64, 1, 128]),
    {Pid, Monitor} = spawn_monitor(fun() -> wasmbeam:call(I, <<"spin">>, []) end),
    wasmbeam_fixture:await(fun() -> #{yields := Yields} = wasmbeam:info(I), Yields > 0 end),
    Ticket = in_line(fun() -> wasmbeam_nif:world_resume(Ref, Waiting) end),
    ok = wasmbeam:cancel(I),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    receive {'$wasmbeam', Ticket, turn} -> ok end,
    ?assertMatch({ok, 0, _, _}, wasmbeam_nif:world_resume(Ref, Waiting)).

in_line(Ask) ->
    case Ask() of
        {queued, Ticket} -> Ticket;
        again -> erlang:yield(), in_line(Ask)
    end.
