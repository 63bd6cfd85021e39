-module(wasmbeam_server_tests).

-include_lib("eunit/include/eunit.hrl").

-behaviour(supervisor).
-export([init/1]).

-define(COUNTER, <<"(module (global $n (mut i32) (i32.const 0))
    (func (export \"next\") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1))) global.get $n)
    (func (export \"spin\") (loop br 0))
    (func (export \"trap\") unreachable))">>).

init(Children) ->
    {ok, {#{strategy => one_for_one, intensity => 10, period => 1}, Children}}.

a_server_is_called_by_its_name_test() ->
    {ok, Pid} = wasmbeam_server:start_link(#{source => ?COUNTER, name => counter}),
    ?assertEqual(Pid, whereis(counter)),
    ?assertEqual({ok, [1]}, wasmbeam_server:call(counter, <<"next">>, [])),
    ?assertEqual({ok, [2]}, wasmbeam_server:call(Pid, <<"next">>, [], #{timeout => infinity})),
    ?assertEqual(ok, wasmbeam_server:stop(counter)),
    ?assertEqual(undefined, whereis(counter)).

every_kind_of_name_is_accepted_test() ->
    [begin
         {ok, Pid} = wasmbeam_server:start_link(Name, #{source => ?COUNTER}),
         ?assertEqual({ok, [1]}, wasmbeam_server:call(Server, <<"next">>, [])),
         ?assertEqual({error, {already_started, Pid}},
                      wasmbeam_server:start_link(Name, #{source => ?COUNTER})),
         ok = wasmbeam_server:stop(Server)
     end || {Name, Server} <- [{named, named}, {{local, named}, named}, {{global, named}, {global, named}},
                               {{via, global, other}, {via, global, other}}]].

options_are_those_of_the_start_test() ->
    Options = #{imports => #{<<"env">> => #{<<"f">> => fun([N]) -> [N + 1] end}}, fuel => 1000},
    {ok, Server} = wasmbeam_server:start_link(#{
        source => <<"(module (import \"env\" \"f\" (func $f (param i32) (result i32)))
                       (func (export \"g\") (param i32) (result i32) (call $f (local.get 0))))">>,
        options => Options}),
    ?assertEqual({ok, [6]}, wasmbeam_server:call(Server, <<"g">>, [5])),
    {ok, Instance} = wasmbeam_server:instance(Server),
    ?assertMatch(#{owner := Server, fuel := Fuel} when Fuel < 1000, wasmbeam:info(Instance)),
    ok = wasmbeam_server:stop(Server).

calls_run_in_the_calling_process_test() ->
    Test = self(),
    {ok, Server} = wasmbeam_server:start_link(#{
        source => wasmbeam_fixture:spinning(),
        options => #{imports => #{<<"env">> => #{<<"entered">> => fun([]) -> Test ! self(), [] end}}}}),
    {ok, []} = wasmbeam_server:call(Server, <<"pass">>, []),
    receive Caller -> ?assertEqual(Test, Caller) end,
    ok = wasmbeam_server:stop(Server).

the_server_answers_while_its_instance_is_busy_test() ->
    {ok, Server} = wasmbeam_server:start_link(#{
        source => wasmbeam_fixture:spinning(),
        options => #{imports => #{<<"env">> => #{<<"entered">> => wasmbeam_fixture:gate()}}}}),
    {ok, Instance} = wasmbeam_server:instance(Server),
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(Instance, <<"pass">>, []),
    receive {at_gate, Pid, []} -> ok end,
    ?assertEqual({ok, Instance}, wasmbeam_server:instance(Server)),
    ?assertMatch({error, {timeout, _}},
                 wasmbeam_server:call(Server, <<"answer">>, [], #{timeout => 0})),
    wasmbeam_fixture:open(Pid),
    ?assertEqual({ok, []}, wasmbeam_fixture:result(Call)),
    ok = wasmbeam_server:stop(Server).

an_error_of_a_call_leaves_the_server_test() ->
    {ok, Server} = wasmbeam_server:start_link(#{source => ?COUNTER}),
    ?assertMatch({error, {trap, _}}, wasmbeam_server:call(Server, <<"trap">>, [])),
    ?assertMatch({error, {unknown_export, _}}, wasmbeam_server:call(Server, <<"nobody">>, [])),
    ?assertMatch({error, {bad_argument, _}}, wasmbeam_server:call(Server, <<"next">>, [1])),
    ?assertMatch({error, {bad_argument, _}}, wasmbeam_server:call(Server, <<"next">>, [], #{x => 1})),
    ?assertEqual({ok, [1]}, wasmbeam_server:call(Server, <<"next">>, [])),
    ok = wasmbeam_server:stop(Server).

the_instance_ends_with_the_server_test() ->
    {ok, Server} = wasmbeam_server:start_link(#{source => ?COUNTER}),
    {ok, Instance} = wasmbeam_server:instance(Server),
    ok = wasmbeam_server:stop(Server),
    ?assertMatch(#{state := stopped}, wasmbeam:info(Instance)),
    ?assertMatch({error, {stopped, #{reason := _}}}, wasmbeam_server:call(Server, <<"next">>, [])),
    ?assertMatch({error, {stopped, _}}, wasmbeam_server:instance(Server)),
    ?assertMatch({error, {stopped, _}}, wasmbeam_server:stop(Server)).

what_cannot_start_says_why_test() ->
    [?assertMatch({error, {Class, #{message := _}}}, start_elsewhere(Args))
     || {Class, Args} <- [
         {invalid_module, #{source => <<"garbage">>}}, {bad_argument, #{source => 5}},
         {trap, #{source => <<"(module (func $f unreachable) (start $f))">>}},
         {bad_argument, #{source => ?COUNTER, options => x}},
         {bad_argument, #{source => ?COUNTER, options => #{colour => blue}}},
         {bad_argument, #{source => ?COUNTER, colour => blue}}, {bad_argument, #{}},
         {bad_argument, []}, {bad_argument, ?COUNTER},
         {bad_argument, #{source => ?COUNTER, name => 5}},
         {bad_argument, #{source => ?COUNTER, name => undefined}},
         {bad_argument, #{source => ?COUNTER, name => {local, 5}}}]],
    ?assertMatch({error, {bad_argument, _}}, wasmbeam_server:start_link(name, nothing)).

%% A server that cannot start takes along who is linked to it.
start_elsewhere(Args) ->
    wasmbeam_fixture:result(spawn_monitor(fun() ->
        process_flag(trap_exit, true),
        exit({result, wasmbeam_server:start_link(Args)})
    end)).

what_is_no_server_is_a_bad_argument_test() ->
    [begin
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam_server:instance(Term))),
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam_server:call(Term, <<"f">>, []))),
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam_server:stop(Term)))
     end || Term <- [5, "counter", <<"counter">>, [], {}, {local, counter}, make_ref(), undefined]],
    ?assert(wasmbeam_fixture:answers(stopped, wasmbeam_server:call(nobody_here, <<"f">>, []))),
    ?assert(wasmbeam_fixture:answers(stopped, wasmbeam_server:call({global, nobody}, <<"f">>, []))).

strange_messages_are_ignored_test() ->
    {ok, Server} = wasmbeam_server:start_link(#{source => ?COUNTER}),
    Server ! hello,
    Server ! {'$wasmbeam', 0, stopped},
    gen_server:cast(Server, hello),
    ?assertEqual({ok, [1]}, wasmbeam_server:call(Server, <<"next">>, [])),
    ok = wasmbeam_server:stop(Server).

a_child_has_its_name_as_id_test() ->
    ?assertMatch(#{id := counter, restart := permanent,
                   start := {wasmbeam_server, start_link, [#{name := counter}]}},
                 wasmbeam_server:child_spec(#{source => ?COUNTER, name => counter})),
    ?assertMatch(#{id := wasmbeam_server}, wasmbeam_server:child_spec(#{source => ?COUNTER})),
    ?assertEqual(ok, supervisor:check_childspecs(
        [wasmbeam_server:child_spec(#{source => ?COUNTER, name => counter})])).

supervised_test_() ->
    {foreach,
     fun() ->
         %% What these tests do to servers is not worth reporting.
         #{level := Level} = logger:get_primary_config(),
         ok = logger:set_primary_config(level, none),
         {ok, Supervisor} = supervisor:start_link(?MODULE, [
             wasmbeam_server:child_spec(#{source => ?COUNTER, name => counter})]),
         unlink(Supervisor),
         {ok, [1]} = wasmbeam_server:call(counter, <<"next">>, []),
         {Supervisor, Level}
     end,
     fun({Supervisor, Level}) ->
         Monitor = monitor(process, Supervisor),
         exit(Supervisor, shutdown),
         receive {'DOWN', Monitor, process, Supervisor, _} -> ok end,
         ok = logger:set_primary_config(level, Level)
     end,
     [{with, [fun(_) -> gives_a_fresh_instance(End) end]} || End <- [
         fun stop_the_instance/1, fun cancel_a_call/1, fun time_out/1, fun kill_a_caller/1,
         fun kill_the_server/1
     ]] ++ [{with, [fun a_supervisor_ends_the_instance/1]}]}.

%% However the instance comes to its end, its successor has a state of its own.
gives_a_fresh_instance(End) ->
    Server = whereis(counter),
    {ok, Instance} = wasmbeam_server:instance(counter),
    Monitor = monitor(process, Server),
    Expected = End(Instance),
    receive {'DOWN', Monitor, process, Server, Reason} -> ?assertEqual(Expected, Reason) end,
    wasmbeam_fixture:await(fun() -> is_pid(whereis(counter)) andalso whereis(counter) =/= Server end),
    {ok, Next} = wasmbeam_server:instance(counter),
    ?assertNotEqual(Instance, Next),
    ?assertEqual({ok, [1]}, wasmbeam_server:call(counter, <<"next">>, [])),
    ?assertMatch({error, {stopped, _}}, wasmbeam:call(Instance, <<"next">>, [])).

stop_the_instance(Instance) ->
    ok = wasmbeam:stop(Instance),
    {instance, stopped}.

cancel_a_call(Instance) ->
    Call = wasmbeam_fixture:spawn_call(Instance, <<"spin">>, []),
    wasmbeam_fixture:await(fun() -> #{yields := Y} = wasmbeam:info(Instance), Y > 0 end),
    ok = wasmbeam:cancel(Instance),
    {error, {interrupted, _}} = wasmbeam_fixture:result(Call),
    {instance, interrupted}.

time_out(_Instance) ->
    {error, {timeout, _}} = wasmbeam_server:call(counter, <<"spin">>, [], #{timeout => 1}),
    {instance, interrupted}.

kill_a_caller(Instance) ->
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(Instance, <<"spin">>, []),
    wasmbeam_fixture:await(fun() -> #{yields := Y} = wasmbeam:info(Instance), Y > 0 end),
    exit(Pid, kill),
    {died, killed} = wasmbeam_fixture:result(Call),
    {instance, interrupted}.

kill_the_server(_Instance) ->
    exit(whereis(counter), kill),
    killed.

a_supervisor_ends_the_instance({Supervisor, _}) ->
    {ok, Instance} = wasmbeam_server:instance(counter),
    ok = supervisor:terminate_child(Supervisor, counter),
    wasmbeam_fixture:await(fun() -> #{state := S} = wasmbeam:info(Instance), S =:= stopped end),
    ?assertMatch({error, {stopped, _}}, wasmbeam_server:call(counter, <<"next">>, [])),
    {ok, _} = supervisor:restart_child(Supervisor, counter),
    ?assertEqual({ok, [1]}, wasmbeam_server:call(counter, <<"next">>, [])).
