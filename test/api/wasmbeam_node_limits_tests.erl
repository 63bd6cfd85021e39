-module(wasmbeam_node_limits_tests).

-include_lib("eunit/include/eunit.hrl").

-define(PAGE, 65536).
-define(GROWING, <<"(module (memory 1)
    (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export \"forever\") (loop $l (br $l)))
    (func $down (export \"down\") (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
        (else (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1))))))))">>).

%% Each test has a node of its own, where nothing else takes anything.
on_node(Environment, Test) ->
    {timeout, 60, fun() -> wasmbeam_peer:run(Environment, Test) end}.

instances_stop_at_the_limit_and_freeing_one_lets_the_next_start_test_() ->
    on_node(#{node_limits => #{memory => 100 * ?PAGE}}, fun() ->
        Instances = [element(2, {ok, _} = wasmbeam:start(?GROWING)) || _ <- lists:seq(1, 100)],
        Answer = wasmbeam:start(?GROWING),
        ?assertMatch({error, {limit, #{scope := node, what := <<"bytes of memory">>,
                                       limit := 6553600, requested := 6619136,
                                       message := _}}}, Answer),
        ?assertMatch({error, {limit, #{scope := node}}}, wasmbeam:memory_grow(hd(Instances), 1)),
        ?assertEqual({ok, [-1]}, wasmbeam:call(hd(Instances), <<"grow">>, [1])),
        ?assertMatch({error, {limit, #{scope := node}}}, wasmbeam:fork(hd(Instances))),
        Others = [begin
            ok = wasmbeam:stop(Instance),
            {ok, Next} = wasmbeam:start(?GROWING),
            Next
        end || Instance <- Instances],
        ?assertMatch(#{memory_bytes := 6553600, instances := 100}, wasmbeam:counters()),
        [ok = wasmbeam:stop(Other) || Other <- Others],
        ok = wasmbeam_nif:await_freed(),
        ?assertMatch(#{memory_bytes := 0, instances := 0}, wasmbeam:counters())
    end).

an_owner_that_dies_makes_room_test_() ->
    on_node(#{node_limits => #{instances => 1}}, fun() ->
        {Pid, Monitor} = spawn_monitor(fun() ->
            {ok, I} = wasmbeam:start(?GROWING),
            ?assertMatch({error, {limit, #{scope := node, what := <<"instances">>, limit := 1,
                                           requested := 2}}}, wasmbeam:start(?GROWING)),
            ?assertEqual({ok, [0]}, wasmbeam:call(I, <<"down">>, [0]))
        end),
        receive {'DOWN', Monitor, process, Pid, Reason} -> ?assertEqual(normal, Reason) end,
        wasmbeam_fixture:await(fun() -> wasmbeam:instances() =:= [] end),
        ?assertMatch({ok, _}, wasmbeam:start(?GROWING))
    end).

a_reset_needs_no_room_beside_test_() ->
    on_node(#{node_limits => #{instances => 1, memory => 2 * ?PAGE}}, fun() ->
        {ok, I} = wasmbeam:start(?GROWING),
        {ok, Snapshot} = wasmbeam:serialize(I),
        [begin
             ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"grow">>, [1])),
             ?assertEqual({ok, [-1]}, wasmbeam:call(I, <<"grow">>, [1])),
             ok = wasmbeam:reset(I),
             ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"grow">>, [1])),
             ok = wasmbeam:deserialize(I, Snapshot)
         end || _ <- lists:seq(1, 10)],
        wasmbeam_nif:await_freed(),
        ?assertMatch(#{memory_bytes := ?PAGE, instances := 1}, wasmbeam:counters())
    end).

limits_change_at_run_time_test_() ->
    on_node(#{}, fun() ->
        {ok, A} = wasmbeam:start(?GROWING),
        ok = wasmbeam:set_limits(#{instances => 1}),
        ?assertMatch({error, {limit, #{what := <<"instances">>}}}, wasmbeam:start(?GROWING)),
        ok = wasmbeam:set_limits(#{memory => ?PAGE}),
        ?assertEqual({ok, #{instances => 1, memory => ?PAGE}},
                     application:get_env(wasmbeam, node_limits)),
        ?assertEqual({ok, [-1]}, wasmbeam:call(A, <<"grow">>, [1])),
        ok = wasmbeam:set_limits(#{instances => infinity, memory => infinity}),
        ?assertEqual({ok, [1]}, wasmbeam:call(A, <<"grow">>, [1])),
        ?assertMatch({ok, _}, wasmbeam:start(?GROWING)),
        %% The environment alone counts from the next start on.
        ok = application:set_env(wasmbeam, node_limits, #{table_elements => 3}),
        ?assertMatch({error, {limit, #{scope := node, what := <<"table elements">>}}},
                     wasmbeam:start(<<"(module (table 4 funcref))">>)),
        [?assertMatch({error, {bad_argument, _}}, wasmbeam:set_limits(Bad))
         || Bad <- [#{memory => -1}, #{tables => 1}, #{instances => many}, [], none]]
    end).

limits_hold_for_starts_at_the_same_time_test_() ->
    on_node(#{node_limits => #{instances => 50}}, fun() ->
        {ok, Module} = wasmbeam:compile(?GROWING),
        Started = [spawn_monitor(fun() ->
            exit(wasmbeam:start(Module, #{owner => none}))
        end) || _ <- lists:seq(1, 80)],
        Answers = [receive {'DOWN', Monitor, process, Pid, Answer} -> Answer end
                   || {Pid, Monitor} <- Started],
        ?assertEqual(50, length([I || {ok, I} <- Answers])),
        ?assertEqual(30, length([E || {error, {limit, #{scope := node}}} = E <- Answers]))
    end).

defaults_are_those_of_the_environment_test_() ->
    on_node(#{limits => #{memory => 3 * ?PAGE}, max_limits => #{memory => 4 * ?PAGE, tables => 7}},
            fun() ->
        {ok, Default} = wasmbeam:start(?GROWING),
        ?assertMatch(#{limits := #{memory := 196608, tables := 7, stack := 524288}},
                     wasmbeam:info(Default)),
        ?assertEqual({ok, [-1]}, wasmbeam:call(Default, <<"grow">>, [3])),
        {ok, Tight} = wasmbeam:start(?GROWING, #{limits => #{memory => ?PAGE}}),
        ?assertEqual({ok, [-1]}, wasmbeam:call(Tight, <<"grow">>, [1])),
        {ok, Loose} = wasmbeam:start(?GROWING, #{limits => #{memory => 100 * ?PAGE}}),
        ?assertMatch(#{limits := #{memory := 262144}}, wasmbeam:info(Loose)),
        ?assertEqual({ok, [-1]}, wasmbeam:call(Loose, <<"grow">>, [4])),
        ?assertEqual({ok, [1]}, wasmbeam:call(Loose, <<"grow">>, [3])),
        {ok, Infinite} = wasmbeam:start(?GROWING, #{limits => #{memory => infinity}}),
        ?assertMatch(#{limits := #{memory := 262144}}, wasmbeam:info(Infinite))
    end).

calls_have_the_timeout_of_the_environment_test_() ->
    on_node(#{timeout => 200}, fun() ->
        {ok, I} = wasmbeam:start(?GROWING, #{on_interrupt => keep}),
        ?assertMatch({error, {timeout, _}}, wasmbeam:call(I, <<"forever">>, [])),
        ?assertMatch({error, {timeout, _}}, wasmbeam:call(I, <<"forever">>, [], #{})),
        {ok, Fork} = wasmbeam:fork(I),
        ?assertMatch({error, {timeout, _}}, wasmbeam:call(Fork, <<"forever">>, [])),
        ?assertMatch({error, {timeout, _}},
                     wasmbeam:start(<<"(module (func $f (loop $l (br $l))) (start $f))">>)),
        ?assertEqual({ok, [3]}, wasmbeam:call(I, <<"down">>, [3]))
    end).

stack_is_as_large_as_asked_for_test_() ->
    on_node(#{max_limits => #{stack => 4 bsl 20}}, fun() ->
        Deepest = fun(Options) ->
            {ok, I} = wasmbeam:start(?GROWING, Options),
            #{limits := #{stack := Stack}} = wasmbeam:info(I),
            {Stack, [element(1, wasmbeam:call(I, <<"down">>, [Depth]))
                     || Depth <- [1000, 10000, 50000]]}
        end,
        Overflow = fun(Stack) ->
            {ok, I} = wasmbeam:start(?GROWING, #{limits => #{stack => Stack}}),
            {error, {trap, #{code := Code}}} = wasmbeam:call(I, <<"down">>, [100000000]),
            Code
        end,
        ?assertEqual({65536, [ok, error, error]}, Deepest(#{limits => #{stack => 65536}})),
        ?assertEqual({524288, [ok, ok, error]}, Deepest(#{})),
        ?assertEqual({4 bsl 20, [ok, ok, ok]}, Deepest(#{limits => #{stack => 3 bsl 20}})),
        %% The maximum of the node.
        ?assertEqual({4 bsl 20, [ok, ok, ok]}, Deepest(#{limits => #{stack => 16 bsl 20}})),
        ?assertEqual([stack_overflow, stack_overflow], [Overflow(S) || S <- [65536, 16 bsl 20]]),
        {ok, Module} = wasmbeam:compile(?GROWING, #{stack => 65536}),
        ?assertMatch({ok, _}, wasmbeam:start(Module, #{limits => #{stack => 65536}})),
        ?assertMatch({error, {bad_argument, _}},
                     wasmbeam:start(Module, #{limits => #{stack => 131072}})),
        [?assertMatch({error, {bad_argument, _}},
                      wasmbeam:start(?GROWING, #{limits => #{stack => Bad}}))
         || Bad <- [0, 65535, (16 bsl 20) + 1, large]]
    end).

quotas_are_those_of_the_environment_test_() ->
    on_node(#{wasi_quotas => #{bytes => 10}, output_limit => 5}, fun() ->
        {ok, Hello} = file:read_file(hello()),
        ?assertMatch({ok, #{stdout := <<"Hello">>, discarded := #{stdout := 11}}},
                     wasmbeam:run(Hello)),
        ?assertMatch({ok, #{stdout := <<"Hello from WASI\n">>}},
                     wasmbeam:run(Hello, #{wasi => #{stdout => {capture, 100}}})),
        {ok, I} = wasmbeam:start(Hello, #{wasi => #{}}),
        ?assertEqual(ok, wasmbeam:fs_write(I, <<"a">>, <<"0123456789">>)),
        ?assertMatch({error, {file_error, #{code := _}}},
                     wasmbeam:fs_write(I, <<"b">>, <<"0">>))
    end).

hello() ->
    Root = filename:dirname(filename:dirname(filename:dirname(
        proplists:get_value(source, ?MODULE:module_info(compile))))),
    filename:join([Root, "examples", "modules", "hello.wat"]).

a_wrong_environment_is_said_to_be_so_test_() ->
    [on_node(#{Key => Value}, fun() ->
         ?assertMatch({error, {bad_argument, #{key := Key}}}, wasmbeam:start(?GROWING))
     end) || {Key, Value} <- [{limits, #{memory => -1}}, {limits, none}, {max_limits, #{what => 1}},
                              {node_limits, #{memory => none}}, {timeout, soon}]].

a_wrong_environment_is_not_built_upon_test_() ->
    [on_node(#{wasi_quotas => few, node_limits => none}, fun() ->
         Options = #{wasi => #{quotas => #{files => 7}}},
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:start(<<"(module)">>, Options))),
         ?assertMatch({error, {bad_argument, #{key := node_limits}}},
                      wasmbeam:set_limits(#{instances => 7}))
     end)].
