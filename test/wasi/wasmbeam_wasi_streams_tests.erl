%% What the embedder supplies: standard streams, clocks, random bytes, and the time that passes.
-module(wasmbeam_wasi_streams_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_wasi_guest, [source/1, start/2, ok/3, put/3, get/3, get_size/2, read/3,
                              write/3]).

-define(AGAIN, 6).

%% Each test has a process, and so a mailbox, of its own.
streams_test_() ->
    [{spawn, {Name, Test}} || {Name, Test} <- [
        {"standard_input_as_bytes", fun standard_input_as_bytes/0},
        {"standard_input_from_a_fun", fun standard_input_from_a_fun/0},
        {"a_fun_may_have_nothing_yet", fun a_fun_may_have_nothing_yet/0},
        {"a_fun_that_fails_fails_the_call", fun a_fun_that_fails_fails_the_call/0},
        {"standard_input_from_a_process", fun standard_input_from_a_process/0},
        {"a_process_that_is_gone_is_the_end_of_input", fun a_process_that_is_gone_is_the_end_of_input/0},
        {"waiting_for_a_process_ends_by_the_timeout", fun waiting_for_a_process_ends_by_the_timeout/0},
        {"waiting_for_a_process_can_be_cancelled", fun waiting_for_a_process_can_be_cancelled/0},
        {"output_is_streamed_to_a_fun", fun output_is_streamed_to_a_fun/0},
        {"output_is_streamed_to_a_process", fun output_is_streamed_to_a_process/0},
        {"what_is_beyond_the_limit_is_counted", fun what_is_beyond_the_limit_is_counted/0},
        {"captured_output_can_be_read_and_taken", fun captured_output_can_be_read_and_taken/0},
        {"each_instance_of_a_store_has_its_own_streams", fun each_instance_of_a_store_has_its_own_streams/0},
        {"clocks_can_be_a_fun", fun clocks_can_be_a_fun/0},
        {"random_bytes_can_be_a_fun", fun random_bytes_can_be_a_fun/0},
        {"a_fun_can_use_the_instance", fun a_fun_can_use_the_instance/0},
        {"a_sleep_takes_its_time", fun a_sleep_takes_its_time/0},
        {"a_sleep_by_a_fixed_clock_takes_no_time", fun a_sleep_by_a_fixed_clock_takes_no_time/0},
        {"sleeping_guests_block_no_scheduler", fun sleeping_guests_block_no_scheduler/0},
        {"a_sleep_ends_by_the_timeout", fun a_sleep_ends_by_the_timeout/0},
        {"a_sleeping_caller_can_be_killed", fun a_sleeping_caller_can_be_killed/0},
        {"a_sleeping_instance_can_be_stopped", fun a_sleeping_instance_can_be_stopped/0},
        {"files_can_be_used_while_the_guest_sleeps", fun files_can_be_used_while_the_guest_sleeps/0},
        {"input_ends_a_wait", fun input_ends_a_wait/0},
        {"a_wait_for_input_ends_with_its_time", fun a_wait_for_input_ends_with_its_time/0},
        {"a_fun_is_asked_only_when_the_guest_reads", fun a_fun_is_asked_only_when_the_guest_reads/0},
        {"a_fun_gets_output_of_any_length", fun a_fun_gets_output_of_any_length/0}
    ]].

echo(Wasi) ->
    wasmbeam:run(source("echo"), #{wasi => Wasi}).

standard_input_as_bytes() ->
    Text = binary:copy(<<"0123456789">>, 10),
    ?assertMatch({ok, #{exit := 0, stdout := Text}}, echo(#{stdin => Text})),
    ?assertMatch({ok, #{exit := 0, stdout := <<>>}}, echo(#{})).

standard_input_from_a_fun() ->
    Test = self(),
    Pieces = fun(Max) ->
        Test ! {asked, Max},
        case get(pieces) of
            [] -> eof;
            [Piece | Rest] -> put(pieces, Rest), {ok, Piece}
        end
    end,
    %% The fun runs in the calling process; what is more than was asked for is read later.
    put(pieces, [<<"one ">>, <<"and much more than sixteen bytes">>]),
    ?assertMatch({ok, #{exit := 0, stdout := <<"one and much more than sixteen bytes">>}},
                 echo(#{stdin => Pieces})),
    receive {asked, Max} -> ?assertEqual(16, Max) end.

a_fun_may_have_nothing_yet() ->
    ?assertMatch({ok, #{exit := ?AGAIN}}, echo(#{stdin => fun(_) -> again end})).

a_fun_that_fails_fails_the_call() ->
    ?assertMatch({error, {import_failed, #{key := stdin, class := error, reason := oops}}},
                 echo(#{stdin => fun(_) -> error(oops) end})),
    ?assertMatch({error, {import_failed, #{key := stdin, reason := {bad_result, "text"}}}},
                 echo(#{stdin => fun(_) -> "text" end})),
    ?assertMatch({error, {import_failed, #{key := stdout, class := throw, reason := oops,
                                           stacktrace := [_ | _]}}},
                 echo(#{stdin => <<"a">>, stdout => fun(_) -> throw(oops) end})),
    Clock = start(32, #{clock => fun(_) -> -1 end, random => fun(_) -> <<>> end}),
    Instance = map_get(instance, Clock),
    ?assertMatch({error, {import_failed, #{key := clock, reason := {bad_result, -1}}}},
                 wasmbeam:call(Instance, <<"clock_time_get">>, [0, 0, 0])),
    ?assertMatch({error, {import_failed, #{key := random, reason := {bad_result, <<>>}}}},
                 wasmbeam:call(Instance, <<"random_get">>, [0, 4])),
    ?assertMatch({ok, [0]}, wasmbeam:call(Instance, <<"sched_yield">>, [])).

%% A process that answers one request after the other, and tells who was asked for how much.
source_of(Answers) ->
    Test = self(),
    spawn_link(fun Serve() ->
        receive
            {wasmbeam_input, From, Max} ->
                Test ! {asked, self(), Max},
                case get(answers) of
                    undefined -> put(answers, Answers);
                    _ -> ok
                end,
                case get(answers) of
                    [] -> ok;
                    [Answer | Rest] -> From ! {From, Answer}, put(answers, Rest)
                end,
                Serve()
        end
    end).

%% What a call has left in the mailbox.
own_messages() ->
    {messages, Messages} = process_info(self(), messages),
    [Message || Message <- Messages, element(1, Message) =:= '$wasmbeam'].

standard_input_from_a_process() ->
    Pid = source_of([{ok, <<"first">>}, {ok, <<"second">>}, eof]),
    ?assertMatch({ok, #{exit := 0, stdout := <<"firstsecond">>}}, echo(#{stdin => Pid})).

a_process_that_is_gone_is_the_end_of_input() ->
    {Pid, Monitor} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    ?assertMatch({ok, #{exit := 0, stdout := <<>>}}, echo(#{stdin => Pid})).

waiting_for_a_process_ends_by_the_timeout() ->
    Pid = source_of([]),
    ?assertMatch({error, {timeout, _}},
                 wasmbeam:run(source("echo"), #{wasi => #{stdin => Pid}, timeout => 20})),
    receive {asked, Pid, 16} -> ok end,
    ?assertEqual([], own_messages()).

waiting_for_a_process_can_be_cancelled() ->
    Pid = source_of([]),
    {ok, Instance} = wasmbeam:start(source("echo"), #{wasi => #{stdin => Pid}}),
    Call = wasmbeam_fixture:spawn_call(Instance, <<"_start">>, []),
    receive {asked, Pid, 16} -> ok end,
    wasmbeam:cancel(Instance),
    ?assertMatch({error, {interrupted, _}}, wasmbeam_fixture:result(Call)).

output_is_streamed_to_a_fun() ->
    Test = self(),
    {ok, Result} = wasmbeam:run(source("hello"), #{wasi => #{stdout => fun(B) -> Test ! B end}}),
    ?assertMatch(#{stdout := <<>>, stderr := <<"Oops\n">>}, Result),
    receive Bytes -> ?assertEqual(<<"Hello, world\n">>, Bytes) end.

output_is_streamed_to_a_process() ->
    {ok, _} = wasmbeam:run(source("hello"), #{wasi => #{stdout => self(),
                                                        stderr => {self(), {my, tag}}}}),
    receive {wasmbeam_output, stdout, Out} -> ?assertEqual(<<"Hello, world\n">>, Out) end,
    receive {{my, tag}, stderr, Err} -> ?assertEqual(<<"Oops\n">>, Err) end.

what_is_beyond_the_limit_is_counted() ->
    {ok, Result} = wasmbeam:run(source("hello"), #{wasi => #{stdout => {capture, 5},
                                                             stderr => {capture, 5}}}),
    ?assertMatch(#{stdout := <<"Hello">>, stderr := <<"Oops\n">>, discarded := #{stdout := 8}},
                 Result),
    ?assertEqual([stdout], maps:keys(map_get(discarded, Result))).

captured_output_can_be_read_and_taken() ->
    {ok, I} = wasmbeam:start(source("hello"), #{wasi => #{stdout => {capture, 20}}}),
    ?assertEqual({ok, <<>>}, wasmbeam:output(I, stdout)),
    {ok, []} = wasmbeam:call(I, <<"_start">>, []),
    {ok, []} = wasmbeam:call(I, <<"_start">>, []),
    ?assertEqual({ok, <<"Hello, world\nHello, ">>}, wasmbeam:output(I, stdout)),
    ?assertEqual({ok, 6}, wasmbeam:output_discarded(I, stdout)),
    ?assertEqual({ok, <<"Hello, world\nHello, ">>}, wasmbeam:output(I, stdout, #{take => true})),
    ?assertEqual({ok, <<>>}, wasmbeam:output(I, stdout)),
    ?assertEqual({ok, 0}, wasmbeam:output_discarded(I, stdout)),
    ?assertEqual({ok, <<"Oops\nOops\n">>}, wasmbeam:output(I, stderr)),
    [?assertMatch({error, {bad_argument, _}}, Answer)
     || Answer <- [wasmbeam:output(I, stdin), wasmbeam:output(I, stdout, #{take => yes}),
                   wasmbeam:output(I, stdout, [take]), wasmbeam:output(I, stdout, #{all => true}),
                   wasmbeam:output(self(), stdout), wasmbeam:output_discarded(I, 1)]].

each_instance_of_a_store_has_its_own_streams() ->
    Tagged = fun(Tag) -> #{stdout => {self(), Tag}} end,
    {ok, Speaker} = wasmbeam:start(source("speaker"), #{wasi => Tagged(speaker)}),
    User = <<"(module (import \"lib\" \"speak\" (func $speak (result i32)))
               (func (export \"ask\") (result i32) call $speak))">>,
    {ok, Asker} = wasmbeam:start(User, #{imports => #{<<"lib">> => Speaker},
                                         wasi => Tagged(asker)}),
    ?assertEqual({ok, [0]}, wasmbeam:call(Asker, <<"ask">>, [])),
    receive {Tag, stdout, <<"lib">>} -> ?assertEqual(speaker, Tag) end.

clocks_can_be_a_fun() ->
    Test = self(),
    Guest = start(64, #{clock => fun(Id) -> Test ! Id, 12345 end}),
    Time = fun(Id) -> ok(Guest, "clock_time_get", [Id, 0, 0]), get(Guest, 0, 8) end,
    [begin
         ?assertEqual(<<12345:64/little>>, Time(Id)),
         receive Asked -> ?assertEqual(Name, Asked) end
     end || {Id, Name} <- [{0, realtime}, {1, monotonic}, {2, process_cputime_id},
                           {3, thread_cputime_id}]].

random_bytes_can_be_a_fun() ->
    Guest = start(64, #{random => fun(Size) -> binary:copy(<<7>>, Size) end}),
    ok(Guest, "random_get", [16, 100]),
    ?assertEqual(binary:copy(<<7>>, 100), get(Guest, 16, 100)).

a_fun_can_use_the_instance() ->
    Test = self(),
    Fun = fun(Size) ->
        Instance = receive Given -> Given end,
        Test ! {size, wasmbeam:memory_size(Instance)},
        Test ! wasmbeam:fs_write(Instance, <<"asked">>, integer_to_binary(Size)),
        Test ! wasmbeam:call(Instance, <<"sched_yield">>, []),
        binary:copy(<<1>>, Size)
    end,
    Guest = #{instance := Instance} = start(32, #{random => Fun}),
    self() ! Instance,
    ok(Guest, "random_get", [0, 4]),
    receive {size, Size} -> ?assertEqual({ok, 4 * 65536}, Size) end,
    receive ok -> ok end,
    receive Nested -> ?assertEqual({ok, [0]}, Nested) end,
    ?assertEqual({ok, <<"4">>}, wasmbeam:fs_read(Instance, "asked")).

%% A subscription of `poll_oneoff' to a clock, and one to a descriptor's input.
-define(SLEEP(Ns), <<1:64/little, 0, 0:56, 1:32/little, 0:32, Ns:64/little, 0:64, 0:64>>).
-define(INPUT(Fd), <<2:64/little, 1, 0:56, Fd:32/little, 0:32, 0:192>>).

poll(Guest, Subscriptions) ->
    put(Guest, 1024, list_to_binary(Subscriptions)),
    ok(Guest, "poll_oneoff", [1024, 4096, length(Subscriptions), 0]),
    Events = get(Guest, 4096, 32 * get_size(Guest, 0)),
    [{Id, Errno, Type} || <<Id:64/little, Errno:16/little, Type, _:21/binary>> <= Events].

a_sleep_takes_its_time() ->
    [begin
         Guest = start(Width, #{}),
         Before = erlang:monotonic_time(millisecond),
         ?assertEqual([{1, 0, 0}], poll(Guest, [?SLEEP(30000000)])),
         ?assert(erlang:monotonic_time(millisecond) - Before >= 30)
     end || Width <- wasmbeam_wasi_guest:widths()].

a_sleep_by_a_fixed_clock_takes_no_time() ->
    Guest = start(32, #{clock => {fixed, 0}}),
    ?assertEqual([{1, 0, 0}], poll(Guest, [?SLEEP(1000000000000000)])),
    ok(Guest, "clock_time_get", [0, 0, 0]),
    ?assertEqual(<<1000000000000000:64/little>>, get(Guest, 0, 8)).

sleeper() ->
    Guest = #{instance := Instance} = start(32, #{}),
    put(Guest, 1024, ?SLEEP(3600000000000)),
    {Instance, fun(Options) ->
        wasmbeam_fixture:spawn_call(Instance, <<"poll_oneoff">>, [1024, 4096, 1, 0], Options)
    end}.

is_asleep(Instance) ->
    wasmbeam_fixture:await(fun() ->
        #{state := State} = wasmbeam:info(Instance),
        State =:= suspended
    end).

sleeping_guests_block_no_scheduler() ->
    Sleepers = [sleeper() || _ <- lists:seq(1, 10 * erlang:system_info(schedulers))],
    Calls = [{Instance, Sleep(#{})} || {Instance, Sleep} <- Sleepers],
    [is_asleep(Instance) || {Instance, _} <- Calls],
    %% This runs although there are more of them than schedulers, and so does another guest.
    ?assertMatch({ok, #{exit := 0}}, wasmbeam:run(source("hello"))),
    [wasmbeam:cancel(Instance) || {Instance, _} <- Calls],
    [?assertMatch({error, {interrupted, #{reason := cancelled}}}, wasmbeam_fixture:result(Call))
     || {_, Call} <- Calls].

a_sleep_ends_by_the_timeout() ->
    {_, Sleep} = sleeper(),
    ?assertMatch({error, {timeout, _}}, wasmbeam_fixture:result(Sleep(#{timeout => 10}))).

a_sleeping_caller_can_be_killed() ->
    {Instance, Sleep} = sleeper(),
    {Pid, _} = Call = Sleep(#{}),
    is_asleep(Instance),
    exit(Pid, kill),
    ?assertEqual({died, killed}, wasmbeam_fixture:result(Call)),
    ?assertMatch({error, {interrupted, #{reason := caller_died}}},
                 wasmbeam:call(Instance, <<"sched_yield">>, [])).

a_sleeping_instance_can_be_stopped() ->
    {Instance, Sleep} = sleeper(),
    Call = Sleep(#{}),
    is_asleep(Instance),
    ok = wasmbeam:stop(Instance),
    ?assertMatch({error, {stopped, _}}, wasmbeam_fixture:result(Call)).

files_can_be_used_while_the_guest_sleeps() ->
    {Instance, Sleep} = sleeper(),
    Call = Sleep(#{}),
    is_asleep(Instance),
    ok = wasmbeam:fs_write(Instance, "a", <<"b">>),
    ?assertEqual({ok, <<"b">>}, wasmbeam:fs_read(Instance, "a")),
    ok = wasmbeam:cancel(Instance),
    ?assertMatch({error, {interrupted, _}}, wasmbeam_fixture:result(Call)).

input_ends_a_wait() ->
    Pid = source_of([{ok, <<>>}, {ok, <<"text">>}, eof, eof]),
    Guest = start(32, #{stdin => Pid}),
    %% Asked for nothing, the process tells that there is something, and keeps it.
    ?assertEqual([{2, 0, 1}], poll(Guest, [?SLEEP(3600000000000), ?INPUT(0)])),
    receive {asked, Pid, 0} -> ok end,
    ?assertEqual({ok, <<"text">>}, read(Guest, 0, 10)),
    ?assertEqual([{2, 0, 1}], poll(Guest, [?INPUT(0)])),
    ?assertEqual({ok, <<>>}, read(Guest, 0, 10)).

a_wait_for_input_ends_with_its_time() ->
    Pid = source_of([]),
    Guest = start(32, #{stdin => Pid}),
    ?assertEqual([{1, 0, 0}], poll(Guest, [?SLEEP(5000000), ?INPUT(0)])),
    receive {asked, Pid, 0} -> ok end.

a_fun_is_asked_only_when_the_guest_reads() ->
    Guest = start(64, #{stdin => fun(Max) when Max > 0 -> {ok, <<"x">>} end}),
    ?assertEqual([{2, 0, 1}], poll(Guest, [?SLEEP(3600000000000), ?INPUT(0)])),
    ?assertEqual({ok, <<"x">>}, read(Guest, 0, 10)).

a_fun_gets_output_of_any_length() ->
    Count = counters:new(1, []),
    Guest = start(32, #{stdout => fun(Bytes) -> counters:add(Count, 1, byte_size(Bytes)) end}),
    ?assertEqual({ok, 100000}, write(Guest, 1, binary:copy(<<"x">>, 100000))),
    ?assertEqual(100000, counters:get(Count, 1)).
