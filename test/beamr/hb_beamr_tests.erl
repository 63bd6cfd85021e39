-module(hb_beamr_tests).

-include_lib("eunit/include/eunit.hrl").

-import(hb_beamr_fixture, [start/1, source/1, with/2, instance/1, ended/1, is_error/2]).

%% Starting

start_gives_a_pid_and_lists_imports_and_exports_as_strings_test() ->
    {ok, Handle, Imports, Exports} = hb_beamr:start(source("kinds")),
    ?assert(is_pid(Handle)),
    ?assertEqual([{func, "env", "all", "(iIfFvecr)iF"},
                  {memory, "env", "memory", ""},
                  {table, "env", "table", ""}], Imports),
    ?assertEqual([{memory, "memory", ""}, {table, "table", ""}, {global, "global", ""},
                  {tag, "tag", ""}, {func, "nothing", "()"}, {func, "vector", "()v"},
                  {func, "table_size", "()i"}], Exports),
    ok = hb_beamr:stop(Handle).

imported_memories_and_tables_are_new_ones_test() ->
    with("kinds", fun(Handle) ->
        ?assertEqual({ok, 2 * 65536}, hb_beamr_io:size(Handle)),
        ?assertEqual({ok, [3]}, hb_beamr:call(Handle, "table_size", []))
    end).

an_imported_global_has_no_value_test() ->
    Source = <<"(module (import \"env\" \"base\" (global i32)))">>,
    ?assert(is_error(unknown_import, hb_beamr:start(Source))).

a_start_function_may_import_test() ->
    with("start", fun(Handle) -> ?assertEqual({ok, [0]}, hb_beamr:call(Handle, "got", [])) end).

a_start_function_that_traps_leaves_no_handle_test() ->
    Before = handle_processes(),
    Source = <<"(module (func $f unreachable) (start $f))">>,
    ?assert(is_error(trap, hb_beamr:start(Source))),
    ?assertEqual([], handle_processes() -- Before).

%% Not by `monitored_by', which also tells of instances: OTP 25 takes a reference to one that is
%% being freed, and crashes when it is given back.
handle_processes() ->
    [Pid || Pid <- processes(), proc_lib:translate_initial_call(Pid) =:= {hb_beamr_handle, init, 1}].

what_is_no_module_is_an_error_test() ->
    ?assert(is_error(invalid_module, hb_beamr:start(<<"not a module">>))),
    ?assert(is_error(invalid_module, hb_beamr:start(<<"\0asm", 1:32/little, 99>>))),
    ?assert(is_error(bad_argument, hb_beamr:start(not_found))),
    ?assert(is_error(bad_argument, hb_beamr:start(not_found, wasm))).

the_mode_is_wasm_test() ->
    {ok, Handle, _, _} = hb_beamr:start(source("calls"), wasm),
    ok = hb_beamr:stop(Handle),
    ?assert(is_error(not_permitted, hb_beamr:start(source("calls"), aot))),
    ?assert(is_error(bad_argument, hb_beamr:start(source("calls"), fast))),
    [?assert(is_error(bad_argument, hb_beamr:start(source("calls"), wasm, Linger)))
     || Linger <- [-1, 1.5, soon, 1 bsl 100]].

%% Calling

functions_are_named_by_strings_and_binaries_test() ->
    with("calls", fun(Handle) ->
        ?assertEqual({ok, [2.5]}, hb_beamr:call(Handle, "half", [5.0])),
        ?assertEqual({ok, [2.5]}, hb_beamr:call(Handle, <<"half">>, [5])),
        ?assertEqual({ok, [7]}, hb_beamr:call(Handle, "grüße", [])),
        ?assertEqual({ok, [7]}, hb_beamr:call(Handle, <<"grüße"/utf8>>, []))
    end).

integers_are_indices_into_the_first_table_test() ->
    with("calls", fun(Handle) ->
        ?assertEqual({ok, [42]}, hb_beamr:call(Handle, 1, [21])),
        ?assertEqual({ok, [22], told}, hb_beamr:call(Handle, 2, [21], fun succ/3, state)),
        ?assertMatch({error, _}, hb_beamr:call(Handle, 0, [])),
        ?assertMatch({error, _}, hb_beamr:call(Handle, 1000, []))
    end).

wrong_functions_and_arguments_are_errors_test() ->
    with("calls", fun(Handle) ->
        [?assert(is_error(bad_argument, hb_beamr:call(Handle, Function, [])))
         || Function <- [half, -1, 1.5, [half], [16#d800], {table_index, 1}]],
        ?assert(is_error(unknown_export, hb_beamr:call(Handle, "missing", []))),
        ?assert(is_error(unknown_export, hb_beamr:call(Handle, "memory", []))),
        [?assert(is_error(bad_argument, hb_beamr:call(Handle, "half", Args)))
         || Args <- [[], [1.0, 2.0], [one], 5.0, [1.0 | 2.0], not_found]],
        ?assertMatch({error, {bad_argument, _}, state},
                     hb_beamr:call(Handle, "half", [], fun succ/3, state)),
        [?assertMatch({error, {bad_argument, _}, state},
                      hb_beamr:call(Handle, "half", [1.0], ImportFun, state, #{}))
         || ImportFun <- [not_found, fun(_, _) -> ok end]],
        ?assertEqual({ok, [2.5]}, hb_beamr:call(Handle, "half", [5.0]))
    end).

a_trap_leaves_the_instance_usable_test() ->
    with("calls", fun(Handle) ->
        ?assertMatch({error, {trap, #{code := unreachable}}}, hb_beamr:call(Handle, "trap", [])),
        ?assertMatch({error, {trap, #{code := unreachable}}, state},
                     hb_beamr:call(Handle, "trap", [], fun hb_beamr:stub/3, state)),
        ?assertEqual({ok, [2.5]}, hb_beamr:call(Handle, "half", [5.0]))
    end).

%% Imports

imports_that_nobody_implements_are_stubs_test() ->
    with("calls", fun(Handle) ->
        ?assertEqual({ok, [0]}, hb_beamr:call(Handle, "next_of", [5])),
        ?assertEqual({ok, []}, hb_beamr:call(Handle, "tell", [5])),
        ?assertEqual({ok, [0], state},
                     hb_beamr:call(Handle, "next_of", [5], undefined, state, #{})),
        ?assertEqual({ok, [0], #{}}, hb_beamr:call(Handle, "next_of", [5], undefined)),
        ?assertMatch({error, {trap, _}, #{}}, hb_beamr:call(Handle, "trap", [], undefined))
    end).

the_stub_answers_zero_and_keeps_the_state_test() ->
    ?assertEqual({ok, [0], state}, hb_beamr:stub(state, #{func => "f"}, #{})),
    with("calls", fun(Handle) ->
        Stub = fun hb_beamr:stub/3,
        ?assertEqual({ok, [0], state}, hb_beamr:call(Handle, "next_of", [5], Stub, state)),
        ?assertEqual({ok, [], state}, hb_beamr:call(Handle, "tell", [5], Stub, state))
    end).

what_wasmbeam_provides_serves_calls_without_an_import_fun_test() ->
    with("wasi", fun(Handle) ->
        ?assertEqual({ok, <<-1:64>>}, hb_beamr_io:read(Handle, 0, 8)),
        ?assertEqual({ok, [0]}, hb_beamr:call(Handle, "sizes", [])),
        ?assertEqual({ok, <<0:64>>}, hb_beamr_io:read(Handle, 0, 8))
    end).

an_import_fun_comes_before_what_wasmbeam_provides_test() ->
    with("wasi", fun(Handle) ->
        Refuse = fun(State, #{func := "args_sizes_get"}, _Opts) -> {ok, [52], State} end,
        ?assertEqual({ok, [52], state}, hb_beamr:call(Handle, "sizes", [], Refuse, state)),
        ?assertEqual({ok, <<-1:64>>}, hb_beamr_io:read(Handle, 0, 8))
    end).

an_import_fun_may_answer_what_wasmbeam_provides_test() ->
    Default = fun(N, _Request, _Opts) -> {default, N + 1} end,
    with("wasi", fun(Handle) ->
        ?assertEqual({ok, [0], 1}, hb_beamr:call(Handle, "sizes", [], Default, 0)),
        ?assertEqual({ok, <<0:64>>}, hb_beamr_io:read(Handle, 0, 8))
    end),
    with("calls", fun(Handle) ->
        ?assertEqual({ok, [0], 3}, hb_beamr:call(Handle, "three_times", [1], Default, 0)),
        ?assertEqual({ok, [], 1}, hb_beamr:call(Handle, "tell", [1], Default, 0))
    end).

only_imports_that_unwind_the_stack_are_left_to_the_engine_test() ->
    Imports = wasmbeam:imports(source("engine")),
    ?assertEqual(#{<<"env">> => #{<<"plain">> => host}, <<"other">> => #{<<"invoke_x">> => host}},
                 hb_beamr_imports:bindings(Imports)).

an_import_fun_gets_state_request_and_options_test() ->
    with("calls", fun(Handle) ->
        Keep = fun(State, Request, Opts) -> {ok, [8], [{Request, Opts} | State]} end,
        ?assertEqual({ok, [8], [{#{instance => Handle, module => "host", func => "next",
                                   args => [5], func_sig => "(i)i"}, options}]},
                     hb_beamr:call(Handle, "next_of", [5], Keep, [], options)),
        ?assertEqual({ok, [], [{#{instance => Handle, module => "host", func => "tell",
                                  args => [-1], func_sig => "(I)"}, #{}}]},
                     hb_beamr:call(Handle, "tell", [-1], Keep, []))
    end).

the_state_is_an_empty_map_unless_given_test() ->
    with("calls", fun(Handle) ->
        Show = fun(State, _Request, Opts) -> {ok, [1], {State, Opts}} end,
        ?assertEqual({ok, [1], {#{}, #{}}}, hb_beamr:call(Handle, "next_of", [5], Show)),
        ?assertEqual({ok, [1.0], #{}}, hb_beamr:call(Handle, "half", [2.0], Show))
    end).

the_state_goes_from_import_to_import_test() ->
    with("calls", fun(Handle) ->
        Count = fun(N, #{args := [X]}, _Opts) -> {ok, [X * 2], N + 1} end,
        ?assertEqual({ok, [40], 3}, hb_beamr:call(Handle, "three_times", [5], Count, 0)),
        ?assertEqual({ok, [40], 13}, hb_beamr:call(Handle, "three_times", [5], Count, 10))
    end).

results_that_are_too_many_are_cut_test() ->
    with("calls", fun(Handle) ->
        Many = fun(State, _Request, _Opts) -> {ok, [1, 2.5, 3], State} end,
        ?assertEqual({ok, [1], s}, hb_beamr:call(Handle, "next_of", [5], Many, s)),
        ?assertEqual({ok, [], s}, hb_beamr:call(Handle, "tell", [5], Many, s)),
        ?assertEqual({ok, [1, 2.5], s}, hb_beamr:call(Handle, "pair", [], Many, s))
    end).

answers_of_another_shape_fail_the_call_test_() ->
    Answers = [ok, undefined, [1], {ok, [1]}, {ok, 1, new}, {ok, [1 | 2], new}, {ok, [one], new},
               {ok, [1.5], new}, {ok, [1 bsl 40], new}, {ok, [], new}, {error, reason, new},
               {ok, #{}, new}, {default, [1], new}],
    [{lists:flatten(io_lib:format("~0tp", [Answer])), fun() ->
        with("calls", fun(Handle) ->
            Garbage = fun(_State, _Request, _Opts) -> Answer end,
            {error, Reason, State} = hb_beamr:call(Handle, "next_of", [5], Garbage, old),
            ?assert(is_error(import_failed, {error, Reason})),
            ?assertEqual(case Answer of {ok, _, new} -> new; _ -> old end, State),
            ?assertEqual({ok, [6], told}, hb_beamr:call(Handle, "next_of", [5], fun succ/3, s))
        end)
    end} || Answer <- Answers].

an_answer_of_another_shape_is_named_test() ->
    with("calls", fun(Handle) ->
        Garbage = fun(_State, _Request, _Opts) -> rubbish end,
        ?assertMatch({error, {import_failed, #{module := <<"host">>, name := <<"next">>,
                                               reason := {bad_answer, rubbish}}}, state},
                     hb_beamr:call(Handle, "next_of", [5], Garbage, state))
    end).

an_exception_of_the_import_fun_comes_back_with_its_stack_test_() ->
    [{atom_to_list(Class), fun() ->
        with("calls", fun(Handle) ->
            Raise = fun(State, _Request, _Opts) -> raise(Class, {reason, State}) end,
            {error, Class, {reason, state}, Stack, state} =
                hb_beamr:call(Handle, "next_of", [5], Raise, state),
            ?assertMatch([{?MODULE, raise, 2, _} | _], Stack),
            ?assertEqual({ok, [6], told}, hb_beamr:call(Handle, "next_of", [5], fun succ/3, s))
        end)
    end} || Class <- [error, exit, throw]].

the_state_in_an_error_is_the_last_one_test() ->
    with("calls", fun(Handle) ->
        Third = fun(2, _Request, _Opts) -> throw(enough);
                   (N, _Request, _Opts) -> {ok, [N], N + 1} end,
        ?assertMatch({error, throw, enough, _, 2},
                     hb_beamr:call(Handle, "three_times", [5], Third, 0)),
        Silent = fun(2, _Request, _Opts) -> enough;
                    (N, _Request, _Opts) -> {ok, [N], N + 1} end,
        ?assertMatch({error, {import_failed, _}, 2},
                     hb_beamr:call(Handle, "three_times", [5], Silent, 0))
    end).

a_call_leaves_nothing_in_the_process_dictionary_test() ->
    with("calls", fun(Handle) ->
        Before = lists:sort(get()),
        {ok, _, _} = hb_beamr:call(Handle, "next_of", [5], fun succ/3, state),
        {error, error, _, _, _} =
            hb_beamr:call(Handle, "next_of", [5], fun(_, _, _) -> error(no) end, state),
        ?assertEqual(Before, lists:sort(get()))
    end).

%% Nested calls

calls_nest_three_deep_and_pass_the_state_on_test() ->
    with("calls", fun(Handle) ->
        ?assertEqual({ok, [1111], [{depth, 3}, {depth, 2}, {depth, 1}]},
                     hb_beamr:call(Handle, "next_of", [1], fun deeper/3, [], 1))
    end).

%% Calls the instance again until it is three deep: each level adds a power of ten.
deeper(State, #{args := [X]}, 4) ->
    {ok, [X], State};
deeper(State, #{instance := Handle, args := [X]}, Depth) ->
    {ok, [Result], NewState} =
        hb_beamr:call(Handle, "next_of", [X * 10], fun deeper/3, [{depth, Depth} | State],
                      Depth + 1),
    {ok, [Result + X], NewState}.

a_nested_call_has_a_state_of_its_own_test() ->
    with("calls", fun(Handle) ->
        Inner = fun(inner, #{args := [X]}, _) -> {ok, [X + 1], changed} end,
        Outer = fun(N, #{args := [X]}, _) ->
            {ok, [Y], changed} = hb_beamr:call(Handle, "next_of", [X], Inner, inner),
            {ok, [Y], N + 1}
        end,
        ?assertEqual({ok, [8], 3}, hb_beamr:call(Handle, "three_times", [5], Outer, 0))
    end).

a_nested_call_that_fails_is_the_import_funs_to_handle_test() ->
    with("calls", fun(Handle) ->
        Outer = fun(State, _Request, _Opts) ->
            {error, throw, no, _, inner} =
                hb_beamr:call(Handle, "next_of", [1], fun(_, _, _) -> throw(no) end, inner),
            {error, {trap, _}} = hb_beamr:call(Handle, "trap", []),
            {ok, [3], State}
        end,
        ?assertEqual({ok, [3], outer}, hb_beamr:call(Handle, "next_of", [5], Outer, outer))
    end).

%% Handles

a_stopped_handle_is_an_error_everywhere_test() ->
    Handle = start("calls"),
    Instance = instance(Handle),
    ?assertEqual(ok, hb_beamr:stop(Handle)),
    ?assertNot(is_process_alive(Handle)),
    ?assert(is_error(stopped, wasmbeam:call(Instance, <<"half">>, [1.0]))),
    assert_no_handle(stopped, Handle).

a_pid_that_is_no_handle_is_an_error_everywhere_test() ->
    Dead = spawn(fun() -> ok end),
    ended(Dead),
    [assert_no_handle(stopped, Pid) || Pid <- [self(), whereis(init), Dead]],
    %% Neither was harmed.
    ?assert(is_process_alive(whereis(init))).

what_is_no_pid_is_an_error_everywhere_test() ->
    [assert_no_handle(bad_argument, Term)
     || Term <- [undefined, not_found, 0, make_ref(), <<"handle">>, hd(erlang:ports())]].

assert_no_handle(Class, Handle) ->
    [?assert(is_error(Class, Answer))
     || Answer <- [hb_beamr:call(Handle, "half", [5.0]), hb_beamr:stop(Handle),
                   hb_beamr:serialize(Handle), hb_beamr:deserialize(Handle, <<>>),
                   hb_beamr_io:size(Handle), hb_beamr_io:read(Handle, 0, 1),
                   hb_beamr_io:write(Handle, 0, <<1>>), hb_beamr_io:read_string(Handle, 0),
                   hb_beamr_io:write_string(Handle, <<"text">>), hb_beamr_io:malloc(Handle, 1),
                   hb_beamr_io:free(Handle, 1)]],
    ?assertMatch({error, {Class, _}, #{}},
                 hb_beamr:call(Handle, "half", [5.0], fun hb_beamr:stub/3)),
    ?assertMatch({error, {Class, _}, state},
                 hb_beamr:call(Handle, "half", [5.0], undefined, state)),
    ok = hb_beamr:wasm_send(Handle, {command, term_to_binary({size})}),
    ?assertMatch({Class, _}, receive {error, Reason} -> Reason end).

the_message_stop_ends_a_handle_test() ->
    Handle = start("calls"),
    Handle ! stop,
    ended(Handle),
    assert_no_handle(stopped, Handle).

other_messages_do_not_disturb_a_handle_test() ->
    with("calls", fun(Handle) ->
        Handle ! hello,
        Handle ! {'DOWN', make_ref(), process, self(), gone},
        gen_server:cast(Handle, hello),
        ?assertEqual({ok, [2.5]}, hb_beamr:call(Handle, "half", [5.0])),
        _ = sys:get_state(Handle),
        ?assert(is_process_alive(Handle))
    end).

stopping_ends_a_call_in_progress_test() ->
    Handle = start("calls"),
    {Caller, _} = spin(Handle),
    ok = hb_beamr:stop(Handle),
    ?assertMatch({error, {stopped, _}, state}, outcome(Caller)).

an_import_fun_may_stop_the_instance_test() ->
    Handle = start("calls"),
    Stop = fun(State, #{instance := Instance}, _Opts) ->
        ok = hb_beamr:stop(Instance),
        {ok, [1], State}
    end,
    ?assertMatch({error, {stopped, _}, state},
                 hb_beamr:call(Handle, "next_of", [5], Stop, state)),
    ?assertNot(is_process_alive(Handle)).

a_handle_ends_with_the_process_that_started_it_test() ->
    Test = self(),
    Starter = spawn(fun() ->
        Handle = start("calls"),
        Test ! {started, Handle, instance(Handle), hb_beamr:call(Handle, "half", [5.0])},
        receive never -> ok end
    end),
    {Handle, Instance} = receive {started, Pid, Started, {ok, [2.5]}} -> {Pid, Started} end,
    exit(Starter, kill),
    ended(Handle),
    assert_freed(Instance),
    assert_no_handle(stopped, Handle).

a_handle_can_be_given_to_another_process_test() ->
    {ok, Handle, _, _} = outcome(in_process(fun() -> hb_beamr:start(source("calls")) end)),
    ?assertEqual({ok, [2.5]}, hb_beamr:call(Handle, "half", [5.0])),
    ?assertEqual({ok, 65536}, outcome(in_process(fun() -> hb_beamr_io:size(Handle) end))),
    ?assertEqual(ok, hb_beamr:stop(Handle)).

a_handle_ends_with_the_last_process_that_used_it_test() ->
    Test = self(),
    Starter = spawn(fun() -> Test ! {started, start("calls")}, receive never -> ok end end),
    Handle = receive {started, Started} -> Started end,
    User = spawn(fun() -> use(Handle, Test) end),
    ?assertEqual({ok, 65536}, outcome(User)),
    exit(Starter, kill),
    ended(Starter),
    User ! again,
    ?assertEqual({ok, 65536}, outcome(User)),
    exit(User, kill),
    ended(Handle).

use(Handle, Test) ->
    Test ! {outcome, self(), hb_beamr_io:size(Handle)},
    receive again -> use(Handle, Test) end.

a_handle_that_nobody_uses_lingers_test() ->
    Start = fun(Linger) ->
        {ok, Handle, _, _} = outcome(in_process(fun() ->
            hb_beamr:start(source("calls"), wasm, Linger)
        end)),
        Handle
    end,
    Kept = Start(infinity),
    ended(Start(1)),
    ?assertEqual({ok, [2.5]}, hb_beamr:call(Kept, "half", [5.0])),
    ?assertEqual(ok, hb_beamr:stop(Kept)).

a_process_killed_while_it_calls_frees_what_it_started_test() ->
    Test = self(),
    Starter = spawn(fun() ->
        Handle = start("calls"),
        Told = fun(State, _Request, _Opts) ->
            Test ! {spinning, Handle},
            {ok, [], State}
        end,
        hb_beamr:call(Handle, "spin", [], Told)
    end),
    Handle = receive {spinning, Spinning} -> Spinning end,
    Instance = instance(Handle),
    exit(Starter, kill),
    ended(Handle),
    assert_freed(Instance).

a_killed_handle_frees_the_instance_test() ->
    Handle = start("calls"),
    Instance = instance(Handle),
    exit(Handle, kill),
    ended(Handle),
    assert_freed(Instance),
    await(fun() -> not lists:member(Handle, handles()) end),
    assert_no_handle(stopped, Handle).

a_handle_does_not_take_its_starter_along_test() ->
    Handle = start("calls"),
    exit(Handle, kill),
    ended(Handle),
    ?assert(is_process_alive(self())).

any_process_may_use_a_handle_test() ->
    with("calls", fun(Handle) ->
        ok = hb_beamr_io:write(Handle, 0, <<"mine">>),
        Result = in_process(fun() ->
            {ok, <<"mine">>} = hb_beamr_io:read(Handle, 0, 4),
            hb_beamr:call(Handle, "three_times", [5], fun succ/3, state)
        end),
        ?assertEqual({ok, [8], told}, outcome(Result)),
        ?assertEqual({ok, [2.5]}, hb_beamr:call(Handle, "half", [5.0]))
    end).

two_processes_at_once_take_turns_test() ->
    with("calls", fun(Handle) ->
        Test = self(),
        Wait = fun(State, #{args := [X]}, _Opts) ->
            Test ! {inside, self()},
            receive go_on -> {ok, [X + 1], [X | State]} end
        end,
        First = in_process(fun() -> hb_beamr:call(Handle, "three_times", [10], Wait, []) end),
        receive {inside, First} -> ok end,
        Second = in_process(fun() -> hb_beamr:call(Handle, "three_times", [20], Wait, []) end),
        await(fun() -> #{queue_length := N} = wasmbeam:info(instance(Handle)), N =:= 1 end),
        First ! go_on,
        [receive {inside, First} -> First ! go_on end || _ <- [2, 3]],
        ?assertEqual({ok, [13], [12, 11, 10]}, outcome(First)),
        [receive {inside, Second} -> Second ! go_on end || _ <- [1, 2, 3]],
        ?assertEqual({ok, [23], [22, 21, 20]}, outcome(Second))
    end).

calls_do_not_go_through_the_handles_process_test() ->
    with("calls", fun(Handle) ->
        ok = sys:suspend(Handle),
        ?assertEqual({ok, [2.5]}, hb_beamr:call(Handle, "half", [5.0])),
        ?assertEqual({ok, 65536}, hb_beamr_io:size(Handle)),
        ok = sys:resume(Handle)
    end).

handles_survive_the_end_of_their_table_test() ->
    with("calls", fun(Handle) ->
        end_table(),
        await(fun() -> lists:member(Handle, handles()) end),
        ?assertEqual({ok, [2.5]}, hb_beamr:call(Handle, "half", [5.0])),
        with("calls", fun(Other) -> ?assertNotEqual(Handle, Other) end)
    end).

the_table_outlives_the_process_that_needed_it_first_test() ->
    end_table(),
    Starter = in_process(fun() -> start("calls") end),
    Handle = outcome(Starter),
    ended(Handle),
    ?assert(is_process_alive(whereis(hb_beamr_registry))),
    ?assertEqual({group_leader, whereis(init)},
                 process_info(whereis(hb_beamr_registry), group_leader)).

%% States

serialize_gives_what_wasmbeam_gives_test() ->
    with("calls", fun(Handle) ->
        ok = hb_beamr_io:write(Handle, 100, <<"here">>),
        {ok, State} = hb_beamr:serialize(Handle),
        ?assertEqual({ok, State}, wasmbeam:serialize(instance(Handle))),
        ?assert(byte_size(State) < 6000)
    end).

deserialize_brings_everything_back_test() ->
    with("state", fun(Handle) ->
        [{ok, [_]} = hb_beamr:call(Handle, "count", []) || _ <- [1, 2, 3]],
        ok = hb_beamr_io:write(Handle, 100, <<"here">>),
        {ok, []} = hb_beamr:call(Handle, "choose_host", []),
        {ok, [1]} = hb_beamr:call(Handle, "grow", []),
        {ok, State} = hb_beamr:serialize(Handle),
        {ok, [4]} = hb_beamr:call(Handle, "count", []),
        ok = hb_beamr_io:write(Handle, 100, <<"gone">>),
        Other = hb_beamr_fixture:start("state"),
        [begin
             ?assertEqual(ok, hb_beamr:deserialize(Target, State)),
             ?assertEqual({ok, State}, hb_beamr:serialize(Target)),
             ?assertEqual({ok, [4]}, hb_beamr:call(Target, "count", [])),
             ?assertEqual({ok, <<"here">>}, hb_beamr_io:read(Target, 100, 4)),
             ?assertEqual({ok, 2 * 65536}, hb_beamr_io:size(Target)),
             %% The element is the import, which is served as before.
             Import = fun(Asked, #{module := "host", func := "next"}, _Opts) ->
                 {ok, [Asked + 5], Asked + 1}
             end,
             ?assertEqual({ok, [12], 8}, hb_beamr:call(Target, "chosen", [], Import, 7)),
             ?assertEqual({ok, [0]}, hb_beamr:call(Target, "chosen", []))
         end || Target <- [Handle, Other]],
        ok = hb_beamr:stop(Other)
    end).

a_chain_of_states_is_taken_test() ->
    with("state", fun(Handle) ->
        {ok, Full} = hb_beamr:serialize(Handle),
        {ok, [1]} = hb_beamr:call(Handle, "count", []),
        {ok, Next} = wasmbeam:serialize(instance(Handle), #{base => Full}),
        {ok, [2]} = hb_beamr:call(Handle, "count", []),
        ?assertEqual(ok, hb_beamr:deserialize(Handle, [Full, Next])),
        ?assertEqual({ok, [2]}, hb_beamr:call(Handle, "count", [])),
        ?assert(is_error(bad_snapshot, hb_beamr:deserialize(Handle, Next)))
    end).

the_guest_goes_on_with_its_wasi_world_test() ->
    with("wasi", fun(Handle) ->
        Instance = instance(Handle),
        ok = wasmbeam:fs_write(Instance, <<"f">>, <<"1">>),
        {ok, State} = hb_beamr:serialize(Handle),
        ok = wasmbeam:fs_write(Instance, <<"f">>, <<"2">>),
        ?assertEqual(ok, hb_beamr:deserialize(Handle, State)),
        ?assertEqual({ok, <<"1">>}, wasmbeam:fs_read(Instance, <<"f">>)),
        ?assertEqual({ok, [0]}, hb_beamr:call(Handle, "sizes", []))
    end).

a_damaged_or_foreign_state_leaves_the_instance_as_it_was_test() ->
    with("state", fun(Handle) ->
        {ok, [1]} = hb_beamr:call(Handle, "count", []),
        {ok, State} = hb_beamr:serialize(Handle),
        {ok, Foreign} = with("calls", fun hb_beamr:serialize/1),
        Damaged = [flip(State, At) || At <- lists:seq(0, byte_size(State) - 1, 5)]
            ++ [flip(State, At) || At <- lists:seq(0, 7)]
            ++ [binary:part(State, 0, Size) || Size <- lists:seq(8, byte_size(State) - 1, 7)],
        [?assert(is_error(bad_snapshot, hb_beamr:deserialize(Handle, Bad)))
         || Bad <- [Foreign, <<State/binary, 0>>, <<>>, <<"garbage">>, <<0:(65535 * 8)>> | Damaged]],
        %% One that has as many bytes as an image.
        Padded = <<(flip(State, 1))/binary, 0:((65536 - byte_size(State) rem 65536) * 8)>>,
        ?assert(is_error(bad_snapshot, hb_beamr:deserialize(Handle, Padded))),
        [?assert(is_error(bad_argument, hb_beamr:deserialize(Handle, Bad)))
         || Bad <- [not_found, undefined, "abc", <<1:3>>, #{}]],
        ?assertEqual({ok, State}, hb_beamr:serialize(Handle))
    end).

flip(Bytes, At) ->
    <<Head:At/binary, Byte, Tail/binary>> = Bytes,
    <<Head/binary, (Byte bxor 16#10), Tail/binary>>.

a_state_cannot_be_had_from_within_a_call_test() ->
    with("calls", fun(Handle) ->
        {ok, State} = hb_beamr:serialize(Handle),
        Try = fun(none, _Request, _Opts) ->
            {ok, [1], [hb_beamr:serialize(Handle), hb_beamr:deserialize(Handle, State)]}
        end,
        {ok, [1], Answers} = hb_beamr:call(Handle, "next_of", [5], Try, none),
        [?assert(is_error(not_capturable, Answer)) || Answer <- Answers]
    end).

%% Images of the memory

an_image_replaces_the_memory_test() ->
    with("state", fun(Handle) ->
        {ok, [1]} = hb_beamr:call(Handle, "count", []),
        Image = <<0:800, "here", 0:((65536 - 104) * 8)>>,
        ?assertEqual(ok, hb_beamr:deserialize(Handle, Image)),
        ?assertEqual({ok, Image}, hb_beamr_io:read(Handle, 0, 65536)),
        %% It holds nothing else.
        ?assertEqual({ok, [2]}, hb_beamr:call(Handle, "count", []))
    end).

an_image_grows_the_memory_test() ->
    with("calls", fun(Handle) ->
        Image = <<0:(65536 * 8), "second page", 0:((65536 - 11) * 8)>>,
        ?assertEqual(ok, hb_beamr:deserialize(Handle, Image)),
        ?assertEqual({ok, 2 * 65536}, hb_beamr_io:size(Handle)),
        ?assertEqual({ok, <<"second page">>}, hb_beamr_io:read(Handle, 65536, 11))
    end).

behind_a_shorter_image_the_memory_is_zero_test() ->
    with("calls", fun(Handle) ->
        {ok, [1]} = hb_beamr:call(Handle, "grow", []),
        ok = hb_beamr_io:write(Handle, 65536, <<"abcdef">>),
        ?assertEqual(ok, hb_beamr:deserialize(Handle, binary:copy(<<"x">>, 65536))),
        ?assertEqual({ok, <<"x", 0:48>>}, hb_beamr_io:read(Handle, 65535, 7))
    end).

an_image_that_does_not_fit_leaves_the_memory_as_it_was_test() ->
    with("calls", fun(Handle) ->
        ok = hb_beamr_io:write(Handle, 0, <<"abc">>),
        ?assert(is_error(limit, hb_beamr:deserialize(Handle, <<1:(4 * 65536 * 8)>>))),
        ?assertEqual({ok, 65536}, hb_beamr_io:size(Handle)),
        ?assertEqual({ok, <<"abc">>}, hb_beamr_io:read(Handle, 0, 3))
    end).

the_image_of_no_memory_is_empty_test() ->
    {ok, Handle, [], []} = hb_beamr:start(<<"(module)">>),
    ?assertEqual({ok, 0}, hb_beamr_io:size(Handle)),
    ?assertEqual(ok, hb_beamr:deserialize(Handle, <<>>)),
    ?assert(is_error(unknown_export, hb_beamr:deserialize(Handle, <<0:(65536 * 8)>>))),
    {ok, State} = hb_beamr:serialize(Handle),
    ?assertEqual(ok, hb_beamr:deserialize(Handle, State)),
    ok = hb_beamr:stop(Handle).

an_import_fun_may_bring_an_image_test() ->
    with("calls", fun(Handle) ->
        Image = binary:copy(<<"image678">>, 2 * 65536 div 8),
        Bring = fun(none, _Request, _Opts) ->
            ok = hb_beamr:deserialize(Handle, Image),
            {ok, [1], done}
        end,
        ?assertEqual({ok, [1], done}, hb_beamr:call(Handle, "next_of", [5], Bring, none)),
        ?assertEqual({ok, Image}, hb_beamr_io:read(Handle, 0, 2 * 65536))
    end).

an_interrupted_instance_can_be_called_again_after_deserialize_test() ->
    with("calls", fun(Handle) ->
        {ok, State} = hb_beamr:serialize(Handle),
        [begin
             {Caller, _} = spin(Handle),
             exit(Caller, kill),
             ?assert(is_error(interrupted, hb_beamr:call(Handle, "half", [5.0]))),
             ?assert(is_error(interrupted, hb_beamr:serialize(Handle))),
             ?assertEqual(ok, hb_beamr:deserialize(Handle, StateOrImage)),
             ?assertEqual({ok, [2.5]}, hb_beamr:call(Handle, "half", [5.0]))
         end || StateOrImage <- [State, <<0:(65536 * 8)>>]]
    end).

%% Commands

commands_are_answered_by_messages_test() ->
    with("calls", fun(Handle) ->
        ?assertEqual({execution_result, 65536}, command(Handle, {size})),
        ?assertEqual(ok, command(Handle, {write, 8, <<"written">>})),
        ?assertEqual({execution_result, <<"written">>}, command(Handle, {read, 8, 7})),
        ?assertMatch({error, {out_of_bounds, _}}, command(Handle, {read, 65530, 7})),
        ?assertMatch({error, {out_of_bounds, _}}, command(Handle, {write, 65536, <<1>>})),
        ?assertEqual({execution_result, [2.5]}, command(Handle, {call, "half", [5.0]})),
        ?assertEqual({execution_result, [0]}, command(Handle, {call, "next_of", [5]})),
        ?assertEqual({execution_result, [42]}, command(Handle, {indirect_call, 1, [21]})),
        ?assertMatch({error, {trap, _}}, command(Handle, {call, "trap", []}))
    end).

what_is_no_command_is_answered_by_an_error_test() ->
    with("calls", fun(Handle) ->
        [begin
            ok = hb_beamr:wasm_send(Handle, Message),
            ?assertMatch({bad_argument, _}, receive {error, Reason} -> Reason end)
        end || Message <- [hello, {command, hello}, {command, <<"hello">>},
                           {command, term_to_binary(hello)}, {command, term_to_binary({init, 1})}]],
        ?assertEqual({ok, [2.5]}, hb_beamr:call(Handle, "half", [5.0]))
    end).

command(Handle, Command) ->
    ok = hb_beamr:wasm_send(Handle, {command, term_to_binary(Command)}),
    receive
        {execution_result, _} = Answer -> Answer;
        {error, _} = Answer -> Answer;
        ok -> ok
    end.

%% Helpers

succ(_State, #{func := "next", args := [X]}, _Opts) ->
    {ok, [X + 1], told}.

raise(error, Reason) -> error(Reason);
raise(exit, Reason) -> exit(Reason);
raise(throw, Reason) -> throw(Reason).

%% The handles that can be found now.
handles() ->
    case ets:whereis(hb_beamr_registry) of
        undefined -> [];
        Table -> lists:sort([Handle || {Handle, _, _} <- ets:tab2list(Table)])
    end.

end_table() ->
    case whereis(hb_beamr_registry) of
        undefined ->
            ok;
        Owner ->
            exit(Owner, kill),
            ended(Owner)
    end.

assert_freed(Instance) ->
    await(fun() -> is_error(stopped, wasmbeam:memory_size(Instance)) end).

%% Waits for what comes true without the test doing anything further.
await(Condition) ->
    case Condition() of
        true -> ok;
        false -> erlang:yield(), await(Condition)
    end.

%% A process that is in an endless loop of the guest, or about to be.
spin(Handle) ->
    Test = self(),
    Told = fun(State, _Request, _Opts) ->
        Test ! {spinning, self()},
        {ok, [], State}
    end,
    Caller = in_process(fun() -> hb_beamr:call(Handle, "spin", [], Told, state) end),
    receive {spinning, Caller} -> {Caller, Handle} end.

in_process(Fun) ->
    Test = self(),
    spawn(fun() -> Test ! {outcome, self(), Fun()} end).

outcome(Pid) ->
    receive {outcome, Pid, Outcome} -> Outcome end.
