-module(wasmbeam_observe_tests).

-include_lib("eunit/include/eunit.hrl").

-export([handle/3, log/2]).

-define(SOURCE, <<"(module $observed
    (import \"e\" \"f\" (func $f))
    (memory 1) (table 3 funcref)
    (func (export \"pass\"))
    (func (export \"import\") (call $f) (call $f))
    (func (export \"trap\") unreachable)
    (func (export \"forever\") (loop $l (br $l))))">>).

start(Import) ->
    wasmbeam_fixture:start(?SOURCE, #{imports => #{<<"e">> => #{<<"f">> => Import}}}).

%% Each test has a node of its own, where nothing else happens.
on_node(Test) ->
    on_node(#{}, Test).

on_node(Environment, Test) ->
    {timeout, 60, fun() -> wasmbeam_peer:run(Environment, Test) end}.

instances_are_listed_while_they_live_test_() ->
    on_node(fun() ->
        ?assertEqual([], wasmbeam:instances()),
        A = start(fun([]) -> [] end),
        B = start(fun([]) -> [] end),
        ok = wasmbeam:give_away(B, none),
        Self = self(),
        ?assertMatch([#{owner := Self, state := idle, module := <<"observed">>,
                        memory_bytes := 65536, table_elements := 3, queue_length := 0,
                        module_id := _, started_at := _},
                      #{owner := none}], wasmbeam:instances()),
        [#{id := IdA} = ListedA, #{id := IdB}] = wasmbeam:instances(),
        ?assert(IdA < IdB),
        ?assertEqual(ListedA, maps:with(maps:keys(ListedA), wasmbeam:info(A))),
        {ok, Fork} = wasmbeam:fork(A),
        ?assertMatch([_, _, #{owner := Self}], wasmbeam:instances()),
        ok = wasmbeam:stop(A),
        ok = wasmbeam:stop(Fork),
        ?assertMatch([#{id := IdB}], wasmbeam:instances()),
        ok = wasmbeam:stop(B),
        ?assertEqual([], wasmbeam:instances())
    end).

a_busy_instance_is_listed_as_running_and_can_be_ended_by_its_owner_test_() ->
    on_node(fun() ->
        Owner = spawn(fun() ->
            wasmbeam:call(start(fun([]) -> [] end), <<"forever">>, [])
        end),
        wasmbeam_fixture:await(fun() ->
            [running] =:= [State || #{state := State} <- wasmbeam:instances()]
        end),
        [#{owner := Owner}] = wasmbeam:instances(),
        exit(Owner, kill),
        wasmbeam_fixture:await(fun() -> wasmbeam:instances() =:= [] end)
    end).

counters_count_what_all_instances_did_test_() ->
    on_node(fun() ->
        None = wasmbeam:counters(),
        ?assertMatch(#{calls := 0, imports := 0, traps := 0, yields := 0, run_time_ns := 0,
                       started := 0, stopped := 0, compilations := 0, compile_time_ns := 0,
                       cache_hits := 0, memory_bytes := 0, table_elements := 0,
                       instances := 0}, None),
        A = start(fun([]) -> [] end),
        B = start(fun([]) -> [] end),
        [{ok, []} = wasmbeam:call(I, <<"import">>, []) || I <- [A, B, A]],
        {error, {trap, _}} = wasmbeam:call(B, <<"trap">>, []),
        {error, {timeout, _}} = wasmbeam:call(B, <<"forever">>, [], #{timeout => 10}),
        Some = wasmbeam:counters(),
        ?assertMatch(#{calls := 5, imports := 6, traps := 1, started := 2, stopped := 0,
                       compilations := 1, cache_hits := 1, memory_bytes := 131072,
                       table_elements := 6, instances := 2}, Some),
        #{yields := Yields, run_time_ns := Ns, compile_time_ns := CompileNs} = Some,
        ?assert(Yields > 0),
        ?assert(Ns > 0),
        ?assert(CompileNs > 0),
        %% What those did that are gone is not forgotten.
        ok = wasmbeam:stop(B),
        ok = wasmbeam_nif:await_freed(),
        ?assertMatch(#{calls := 5, imports := 6, traps := 1, yields := Yields, run_time_ns := Ns,
                       started := 2, stopped := 1, instances := 1, memory_bytes := 65536},
                     wasmbeam:counters()),
        ?assertMatch(#{calls := 2}, wasmbeam:info(A))
    end).

counters_keep_the_sums_of_instances_that_are_collected_test_() ->
    on_node(fun() ->
        Rounds = 20,
        [begin
             {Pid, Monitor} = spawn_monitor(fun() ->
                 {ok, []} = wasmbeam:call(start(fun([]) -> [] end), <<"pass">>, [])
             end),
             receive {'DOWN', Monitor, process, Pid, normal} -> ok end
         end || _ <- lists:seq(1, Rounds)],
        wasmbeam_fixture:await(fun() ->
            #{stopped := Stopped} = wasmbeam:counters(), Stopped =:= Rounds
        end),
        ?assertMatch(#{calls := Rounds, started := Rounds}, wasmbeam:counters())
    end).

equal_calls_use_equal_fuel_test() ->
    {ok, Spin} = file:read_file(example("spin.wat")),
    Used = [begin
        I = wasmbeam_fixture:start(Spin, #{fuel => 1000000}),
        {ok, [Count]} = wasmbeam:call(I, <<"count">>, [Count]),
        #{fuel := Left} = wasmbeam:info(I),
        1000000 - Left
    end || Count <- [1000, 1000, 2000, 1000]],
    %% The same on every machine.
    ?assertEqual([8002, 8002, 16002, 8002], Used).

example(Name) ->
    filename:join([root(), "examples", "modules", Name]).

root() ->
    filename:dirname(filename:dirname(filename:dirname(
        proplists:get_value(source, ?MODULE:module_info(compile))))).

%% Events

collect() ->
    Self = self(),
    fun(Name, Measurements, Metadata) -> Self ! {event, Name, Measurements, Metadata} end.

events() ->
    receive {event, Name, Measurements, Metadata} -> [{Name, Measurements, Metadata} | events()]
    after 0 -> []
    end.

handlers_are_told_of_what_they_are_attached_to_test_() ->
    on_node(fun() ->
        ok = wasmbeam:attach(test, wasmbeam:event_names(), collect()),
        I = start(fun([]) -> error(oops) end),
        [{[wasmbeam, compile, done], #{duration := _, bytes := Size}, #{result := ok}},
         {[wasmbeam, start, done], #{duration := _}, #{how := start, result := ok, instance := I}}]
            = events(),
        ?assertEqual(byte_size(?SOURCE), Size),
        {ok, []} = wasmbeam:call(I, <<"pass">>, []),
        ?assertMatch([{[wasmbeam, call, done], #{duration := D},
                       #{function := <<"pass">>, result := ok, instance := I}}] when D > 0, events()),
        {error, Reason} = wasmbeam:call(I, <<"import">>, [], #{timeout => 60000}),
        ?assertMatch([{[wasmbeam, call, failed], #{count := 1}, #{instance := I, error := Reason}},
                      {[wasmbeam, call, done], #{duration := _},
                       #{function := <<"import">>, result := error, error := Reason}}], events()),
        {ok, Fork} = wasmbeam:fork(I),
        ?assertMatch([{[wasmbeam, start, done], _, #{how := fork, instance := Fork}}], events()),
        #{id := Id} = wasmbeam:info(Fork),
        ok = wasmbeam:stop(Fork),
        Stopped = receive {event, [wasmbeam, instance, stopped], M, Metadata} -> {M, Metadata} end,
        Self = self(),
        ?assertMatch({#{calls := 0, imports := 0, traps := 0, yields := 0, run_time_ns := _,
                        memory_bytes := 65536},
                      #{id := Id, reason := stop, owner := Self, state := idle,
                        module := <<"observed">>, module_id := _, started_at := _}}, Stopped),
        {error, StartReason} = wasmbeam:start(<<"nothing">>),
        ?assertMatch([{[wasmbeam, compile, done], _, #{result := error, error := StartReason}},
                      {[wasmbeam, start, done], _, #{result := error, error := StartReason}}],
                     events()),
        ok = wasmbeam:detach(test),
        {ok, []} = wasmbeam:call(I, <<"pass">>, []),
        ?assertEqual([], events()),
        ?assertEqual({error, not_attached}, wasmbeam:detach(test))
    end).

calls_are_told_to_those_who_ask_for_calls_test_() ->
    on_node(fun() ->
        ok = wasmbeam:attach(starts, [[wasmbeam, start, done]], collect()),
        I = start(fun([]) -> [] end),
        {ok, []} = wasmbeam:call(I, <<"pass">>, []),
        ?assertMatch([{[wasmbeam, start, done], _, _}], events()),
        %% Instances that were there before are told of, too.
        ok = wasmbeam:attach(calls, [[wasmbeam, call, done]], collect()),
        {ok, []} = wasmbeam:call(I, <<"import">>, []),
        ?assertMatch([{[wasmbeam, call, done], _, _}], events())
    end).

a_death_of_the_owner_is_told_test_() ->
    on_node(fun() ->
        ok = wasmbeam:attach(test, [[wasmbeam, instance, stopped]], collect()),
        {Pid, Monitor} = spawn_monitor(fun() -> exit({mine, start(fun([]) -> [] end)}) end),
        I = receive {'DOWN', Monitor, process, Pid, {mine, Mine}} -> Mine end,
        receive
            {event, [wasmbeam, instance, stopped], _, Metadata} ->
                ?assertMatch(#{reason := owner_died, owner := Pid, state := idle}, Metadata)
        end,
        ?assertMatch(#{state := stopped}, wasmbeam:info(I))
    end).

a_handler_that_fails_is_detached_and_harms_nobody_test_() ->
    on_node(fun() ->
        ok = logged(),
        ok = wasmbeam:attach(bad, [[wasmbeam, call, done]], fun(_, _, _) -> error(oops) end),
        ok = wasmbeam:attach(good, [[wasmbeam, call, done]], collect()),
        I = start(fun([]) -> [] end),
        ?assertEqual({ok, []}, wasmbeam:call(I, <<"pass">>, [])),
        ?assertMatch([_], events()),
        ?assertMatch({error, #{event := handler_detached, id := bad, class := error, reason := oops,
                               event_name := [wasmbeam, call, done]}}, next_report()),
        wasmbeam_fixture:await(fun() ->
            [good] =:= [Id || #{id := Id} <- wasmbeam_events:handlers()]
        end),
        {ok, []} = wasmbeam:call(I, <<"pass">>, []),
        ?assertEqual(0, reports())
    end).

handlers_can_be_functions_of_modules_test_() ->
    on_node(#{event_handlers => [{configured, [[wasmbeam, start, done]], {?MODULE, handle}},
                                 {wrong, [[wasmbeam, none]], {?MODULE, handle}}]}, fun() ->
        ok = logged(),
        register(?MODULE, self()),
        I = start(fun([]) -> [] end),
        ?assertMatch([{[wasmbeam, start, done], _, #{instance := I}}], events()),
        ?assertMatch({error, #{event := bad_event_handler}}, next_report()),
        ?assertEqual({error, already_attached},
                     wasmbeam:attach(configured, wasmbeam:event_names(), {?MODULE, handle})),
        [?assertMatch({error, {bad_argument, _}}, wasmbeam:attach(other, Names, Handler))
         || {Names, Handler} <- [{[[wasmbeam, none]], {?MODULE, handle}},
                                 {all, {?MODULE, handle}},
                                 {wasmbeam:event_names(), fun(_) -> ok end}]]
    end).

-spec handle([atom()], map(), map()) -> term().
handle(Name, Measurements, Metadata) ->
    ?MODULE ! {event, Name, Measurements, Metadata}.

handlers_outlive_the_process_that_keeps_them_test_() ->
    on_node(fun() ->
        ok = wasmbeam:attach(test, [[wasmbeam, call, done], [wasmbeam, instance, stopped]], collect()),
        exit(whereis(wasmbeam_events), kill),
        wasmbeam_fixture:await(fun() -> whereis(wasmbeam_events) =:= undefined end),
        I = start(fun([]) -> [] end),
        {ok, []} = wasmbeam:call(I, <<"pass">>, []),
        ?assertMatch([{[wasmbeam, call, done], _, _}], events()),
        ok = wasmbeam:stop(I),
        receive {event, [wasmbeam, instance, stopped], _, _} -> ok end
    end).

%% Reports

logged() ->
    ok = logger:set_primary_config(level, all),
    _ = logger:remove_handler(default),
    logger:add_handler(?MODULE, ?MODULE, #{config => #{test => self()}}).

-spec log(logger:log_event(), logger:handler_config()) -> term().
log(#{level := Level, msg := {report, Report}, meta := #{domain := [wasmbeam]} = Meta},
    #{config := #{test := Test}}) ->
    Test ! {report, Level, Report, Meta};
log(_Event, _Config) ->
    ok.

next_report() ->
    receive {report, Level, Report, Meta} ->
        #{report_cb := Format} = Meta,
        {Text, Args} = Format(Report),
        ?assert(is_list(lists:flatten(io_lib:format(Text, Args)))),
        {Level, Report}
    end.

reports() ->
    receive {report, _, _, _} -> 1 + reports() after 0 -> 0 end.

the_death_of_a_busy_instances_owner_is_logged_test_() ->
    on_node(fun() ->
        ok = logged(),
        Test = self(),
        Owner = spawn(fun() ->
            Test ! {instance, start(fun([]) -> [] end)},
            receive never -> ok end
        end),
        I = receive {instance, Started} -> Started end,
        #{id := Id} = wasmbeam:info(I),
        Call = wasmbeam_fixture:spawn_call(I, <<"forever">>, []),
        wasmbeam_fixture:await(fun() -> #{state := S} = wasmbeam:info(I), S =:= running end),
        exit(Owner, kill),
        ?assertMatch({error, {stopped, _}}, wasmbeam_fixture:result(Call)),
        ?assertMatch({notice, #{event := owner_died, id := Id, owner := Owner, state := running,
                                module := <<"observed">>}}, next_report()),
        %% That of an idle one is not.
        {Pid, Monitor} = spawn_monitor(fun() -> exit({mine, start(fun([]) -> [] end)}) end),
        Idle = receive {'DOWN', Monitor, process, Pid, {mine, Mine}} -> Mine end,
        wasmbeam_fixture:await(fun() -> #{state := S} = wasmbeam:info(Idle), S =:= stopped end),
        _ = sys:get_state(wasmbeam_events),
        ?assertEqual(0, reports())
    end).

faults_of_the_library_are_logged_test_() ->
    on_node(fun() ->
        ok = logged(),
        Error = {error, {internal, #{message => <<"impossible">>}}},
        ?assertEqual(Error, wasmbeam_error:normalize(Error)),
        ?assertMatch({error, #{event := internal_error, message := <<"impossible">>}}, next_report())
    end).

-define(PRINTING(Text), <<"(module
    (import \"wasi_snapshot_preview1\" \"fd_write\"
      (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export \"memory\") 1)
    (data (i32.const 100) \"" Text "\")
    (func (export \"print\") (param $fd i32) (param $from i32) (param $size i32)
      (i32.store (i32.const 0) (i32.add (i32.const 100) (local.get $from)))
      (i32.store (i32.const 4) (local.get $size))
      (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))))">>).

output_is_logged_line_by_line_test_() ->
    on_node(fun() ->
        ok = logged(),
        I = wasmbeam_fixture:start(?PRINTING("one\\ntwo\\nthree"),
                                   #{wasi => #{stdout => logger,
                                               stderr => {logger, warning, #{job => 7}}}}),
        Print = fun(Fd, From, Size) ->
            {ok, []} = wasmbeam:call(I, <<"print">>, [Fd, From, Size])
        end,
        Print(1, 0, 2),
        ?assertEqual(0, reports()),
        Print(1, 2, 9),
        ?assertEqual({info, #{event => output, stream => stdout, line => <<"one">>}}, next_report()),
        ?assertEqual({info, #{event => output, stream => stdout, line => <<"two">>}}, next_report()),
        ?assertEqual(0, reports()),
        Print(2, 0, 4),
        receive {report, warning, #{stream := stderr, line := <<"one">>}, #{job := 7}} -> ok end,
        %% The last line has no end.
        Print(1, 11, 2),
        ?assertEqual(0, reports()),
        ok = wasmbeam:stop(I),
        ?assertEqual({info, #{event => output, stream => stdout, line => <<"three">>}},
                     next_report())
    end).

the_last_line_of_an_instance_that_is_gone_is_logged_test_() ->
    on_node(fun() ->
        ok = logged(),
        {Pid, Monitor} = spawn_monitor(fun() ->
            I = wasmbeam_fixture:start(?PRINTING("the end"),
                                       #{wasi => #{stdout => {logger, debug}}}),
            {ok, []} = wasmbeam:call(I, <<"print">>, [1, 0, 7])
        end),
        receive {'DOWN', Monitor, process, Pid, normal} -> ok end,
        ?assertEqual({debug, #{event => output, stream => stdout, line => <<"the end">>}},
                     next_report())
    end).

a_line_without_end_is_cut_test() ->
    {ok, Lines} = wasmbeam_nif:lines_new(about),
    Long = binary:copy(<<"x">>, 65536),
    ?assertEqual([], add(Lines, binary:part(Long, 0, 65535))),
    ?assertEqual([Long], add(Lines, <<"xy">>)),
    ?assertEqual([<<"y">>, Long, Long, <<>>],
                 add(Lines, <<"\n", Long/binary, Long/binary, "\n\n">>)),
    ?assertEqual([Long], add(Lines, <<Long/binary, "y">>)),
    ?assertEqual({ok, <<"y">>}, wasmbeam_nif:lines_take(Lines)),
    ?assertEqual({ok, <<>>}, wasmbeam_nif:lines_take(Lines)).

add(Lines, Bytes) ->
    {ok, {Complete, Taken}} = wasmbeam_nif:lines_add(Lines, Bytes),
    ?assertEqual(byte_size(Bytes), Taken),
    Complete.

many_lines_are_taken_some_at_a_time_test() ->
    {ok, Lines} = wasmbeam_nif:lines_new(about),
    Bytes = binary:copy(<<"a\n">>, 100000),
    {ok, {Complete, Taken}} = wasmbeam_nif:lines_add(Lines, Bytes),
    ?assertEqual(2 * length(Complete), Taken),
    ?assert(length(Complete) < 1000),
    ?assertEqual([<<"a">>], lists:usort(Complete)).

many_lines_are_all_logged_in_order_test_() ->
    on_node(fun() ->
        ok = logged(),
        Text = <<<<(integer_to_binary(N))/binary, "\n">> || N <- lists:seq(1000, 3000)>>,
        I = wasmbeam_fixture:start(?PRINTING(""), #{wasi => #{stdout => {logger, debug}}}),
        ok = wasmbeam:memory_write(I, 100, Text),
        {ok, []} = wasmbeam:call(I, <<"print">>, [1, 0, byte_size(Text)]),
        [?assertMatch({debug, #{line := Line}} when Line =:= Expected, next_report())
         || N <- lists:seq(1000, 3000), Expected <- [integer_to_binary(N)]]
    end).

levels_are_checked_test() ->
    [?assertMatch({error, {bad_argument, #{key := stdout}}},
                  wasmbeam:start(<<"(module)">>, #{wasi => #{stdout => Bad}}))
     || Bad <- [{logger, loud}, {logger, info, []}]].

what_is_wrong_with_an_entry_of_the_cache_folder_is_logged_test_() ->
    {setup, fun wasmbeam_fixture:temporary_folder/0, fun(Folder) -> ok = file:del_dir_r(Folder) end,
     fun(Folder) ->
         on_node(#{cache_dir => Folder, cache_bytes => 0, aot_key => binary:copy(<<5>>, 32)}, fun() ->
             ok = logged(),
             {ok, _} = wasmbeam:compile(<<"(module $entry)">>),
             {ok, [Name]} = file:list_dir(Folder),
             File = filename:join(Folder, Name),
             {ok, Whole} = file:read_file(File),
             Size = byte_size(Whole) - 1,
             <<Start:Size/binary, Last>> = Whole,
             [begin
                  ok = file:write_file(File, Damaged),
                  {ok, _} = wasmbeam:compile(<<"(module $entry)">>),
                  Expected = #{event => cache_entry_rejected, file => list_to_binary(File),
                               reason => Reason},
                  ?assertEqual({warning, Expected}, next_report()),
                  ?assertEqual({ok, Whole}, file:read_file(File))
              end || {Damaged, Reason} <-
                     [{<<"junk">>, <<"not a precompiled image">>},
                      {<<Start/binary, (Last bxor 1)>>,
                       <<"the seal does not match: the image was altered, or sealed with another key">>}]],
             %% One that is whole is nothing to tell.
             {ok, _} = wasmbeam:compile(<<"(module $entry)">>),
             ?assertMatch(#{disk_hits := 1, disk_rejected := 2}, wasmbeam:cache_info()),
             _ = sys:get_state(wasmbeam_events),
             ?assertEqual(0, reports())
         end)
     end}.

%% Backtraces

backtraces_name_source_files_and_lines_test() ->
    {ok, Source} = file:read_file(filename:join([root(), "test", "api", "fixtures",
                                                 "average.wasm"])),
    I = wasmbeam_fixture:start(Source),
    ?assertEqual({ok, [5]}, wasmbeam:call(I, <<"average">>, [4, 6, 2])),
    {error, {trap, #{backtrace := Backtrace}}} = Error =
        wasmbeam:call(I, <<"average">>, [4, 6, 0]),
    %% The division is in a function that was inlined.
    ?assertMatch([#{function := <<"quotient">>, file := <<"./average.c">>, line := 3}], Backtrace),
    ?assertMatch({_, _}, binary:match(wasmbeam:format_error(Error), <<"average.c:3">>)),
    {error, {trap, #{backtrace := Deep}}} = wasmbeam:call(I, <<"fall">>, [2]),
    ?assertMatch([#{function := <<"deep">>, line := 12}, #{function := <<"deep">>, line := 14},
                  #{function := <<"deep">>, line := 14}, #{function := <<"fall">>, line := 19}],
                 Deep).

the_environment_does_not_change_backtraces_test_() ->
    {timeout, 60, fun() ->
        true = os:putenv("RUST_BACKTRACE", "1"),
        try
            wasmbeam_peer:run(fun() ->
                "1" = os:getenv("RUST_BACKTRACE"),
                I = start(fun([]) -> [] end),
                {error, {trap, Info}} = wasmbeam:call(I, <<"trap">>, []),
                ?assertMatch(#{code := unreachable, backtrace := [#{function_index := 3}]}, Info),
                ?assertEqual(<<"wasm `unreachable` instruction executed">>, map_get(message, Info))
            end)
        after
            os:unsetenv("RUST_BACKTRACE")
        end
    end}.

handlers_outlive_the_application_that_was_first_to_start_an_instance_test() ->
    ok = wasmbeam_events:ensure_started(),
    ?assertEqual({group_leader, whereis(user)},
                 process_info(whereis(wasmbeam_events), group_leader)).
