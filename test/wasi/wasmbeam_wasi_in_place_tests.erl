%% Guests that read and write a file of the machine without end, on dirty schedulers.
-module(wasmbeam_wasi_in_place_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_wasi_folder, [with/2]).

%% Each test has a process, and so a mailbox, of its own.
in_place_test_() ->
    [{spawn, {Name, fun() -> with(#{"file" => <<"text">>}, Test) end}} || {Name, Test} <- [
        {"what_is_written_is_seen_at_once", fun what_is_written_is_seen_at_once/1},
        {"a_call_ends_by_the_timeout", fun a_call_ends_by_the_timeout/1},
        {"a_call_is_cancelled", fun a_call_is_cancelled/1},
        {"a_call_ends_with_its_caller", fun a_call_ends_with_its_caller/1},
        {"a_call_ends_with_the_instance", fun a_call_ends_with_the_instance/1},
        {"a_run_ends_by_the_timeout", fun a_run_ends_by_the_timeout/1},
        {"busy_guests_block_no_scheduler", fun busy_guests_block_no_scheduler/1},
        {"no_message_is_left_over", fun no_message_is_left_over/1}
    ]].

%% `open' opens `file'; `write' writes what is at 64 to its beginning, and `busy' does so for ever.
source() ->
    <<"(module
        (import \"wasi_snapshot_preview1\" \"path_open\" (func $path_open
          (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import \"wasi_snapshot_preview1\" \"fd_pwrite\" (func $fd_pwrite
          (param i32 i32 i32 i64 i32) (result i32)))
        (memory (export \"memory\") 1)
        (data (i32.const 0) \"\\40\\00\\00\\00\\04\\00\\00\\00\")
        (data (i32.const 64) \"file\")
        (func $open (export \"open\") (result i32)
          (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 0)
            (i64.const 0x1fffffff) (i64.const 0) (i32.const 0) (i32.const 16)))
        (func $write (export \"write\") (result i32)
          (call $fd_pwrite (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i64.const 0)
            (i32.const 24)))
        (func $busy (export \"busy\") (loop $l (br_if $l (i32.eqz (call $write)))))
        (func (export \"_start\") (drop (call $open)) (call $busy)))">>.

wasi(Folder) ->
    #{host => true, preopens => [{<<"/">>, Folder, rw}]}.

start(Folder, Options) ->
    {ok, I} = wasmbeam:start(source(), Options#{wasi => wasi(Folder)}),
    {ok, [0]} = wasmbeam:call(I, <<"open">>, []),
    I.

%% Makes the call in a process of its own, and returns when the guest has written.
busy(Folder, I) ->
    ok = wasmbeam_wasi_folder:write(Folder, "file", <<"text">>),
    Call = spawn_monitor(fun() -> exit(wasmbeam:call(I, <<"busy">>, [])) end),
    await(Folder, {ok, <<"file">>}),
    Call.

await(Folder, Content) ->
    case wasmbeam_wasi_folder:read(Folder, "file") of
        Content -> ok;
        _ -> erlang:yield(), await(Folder, Content)
    end.

ended({Pid, Ref}) ->
    receive {'DOWN', Ref, process, Pid, Result} -> Result end.

what_is_written_is_seen_at_once(Folder) ->
    I = start(Folder, #{}),
    [begin
         ok = wasmbeam:memory_write(I, 64, Text),
         ?assertEqual({ok, [0]}, wasmbeam:call(I, <<"write">>, [])),
         ?assertEqual({ok, Text}, wasmbeam_wasi_folder:read(Folder, "file"))
     end || Text <- [<<"one ">>, <<"more">>]].

a_call_ends_by_the_timeout(Folder) ->
    I = start(Folder, #{}),
    ?assertMatch({error, {timeout, _}}, wasmbeam:call(I, <<"busy">>, [], #{timeout => 20})),
    ?assertMatch({error, {interrupted, _}}, wasmbeam:call(I, <<"write">>, [])).

a_call_is_cancelled(Folder) ->
    I = start(Folder, #{}),
    Call = busy(Folder, I),
    ok = wasmbeam:cancel(I),
    ?assertMatch({error, {interrupted, #{reason := cancelled}}}, ended(Call)).

a_call_ends_with_its_caller(Folder) ->
    I = start(Folder, #{on_interrupt => keep}),
    {Pid, _} = Call = busy(Folder, I),
    exit(Pid, kill),
    ?assertEqual(killed, ended(Call)),
    %% The next call waits until the other is unwound.
    ?assertEqual({ok, [0]}, wasmbeam:call(I, <<"write">>, [])).

a_call_ends_with_the_instance(Folder) ->
    I = start(Folder, #{}),
    Call = busy(Folder, I),
    ok = wasmbeam:stop(I),
    ?assertMatch({error, {stopped, _}}, ended(Call)).

a_run_ends_by_the_timeout(Folder) ->
    ?assertMatch({error, {timeout, _}},
                 wasmbeam:run(source(), #{wasi => wasi(Folder), timeout => 20})).

busy_guests_block_no_scheduler(Folder) ->
    Count = 2 * erlang:system_info(dirty_io_schedulers),
    Folders = [filename:join(Folder, integer_to_list(N)) || N <- lists:seq(1, Count)],
    [ok = wasmbeam_wasi_folder:write(Own, "file", <<>>) || Own <- Folders],
    Instances = [start(Own, #{}) || Own <- Folders],
    Calls = [busy(Own, I) || {Own, I} <- lists:zip(Folders, Instances)],
    %% Each scheduler runs what it is given.
    [begin
         {Pid, Ref} = spawn_opt(fun() -> exit(ran) end, [monitor, {scheduler, Id}]),
         ?assertEqual(ran, ended({Pid, Ref}))
     end || Id <- lists:seq(1, erlang:system_info(schedulers))],
    [ok = wasmbeam:cancel(I) || I <- Instances],
    [?assertMatch({error, {interrupted, _}}, ended(Call)) || Call <- Calls].

no_message_is_left_over(Folder) ->
    I = start(Folder, #{on_interrupt => keep}),
    [?assertMatch({error, {timeout, _}}, wasmbeam:call(I, <<"busy">>, [], #{timeout => 1}))
     || _ <- lists:seq(1, 10)],
    ?assertEqual({ok, [0]}, wasmbeam:call(I, <<"write">>, [])),
    ?assertEqual({messages, []}, process_info(self(), messages)).
