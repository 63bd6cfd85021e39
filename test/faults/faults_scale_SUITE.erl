%% @doc Many instances, few resources, long use.
-module(faults_scale_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([
    ten_thousand_idle_instances_fit_in_one_vm/1,
    a_thousand_busy_instances_leave_the_vm_responsive/1,
    without_address_space_starting_fails_and_the_vm_goes_on/1,
    what_the_machine_refused_is_tried_again/1,
    starting_calling_and_stopping_leaves_nothing_behind/1,
    interrupted_calls_leave_nothing_behind/1,
    instances_that_are_forgotten_are_freed/1
]).

all() ->
    [F || {F, 1} <- ?MODULE:module_info(exports), F =/= module_info].

%% An instance with what takes the most mappings: data that is mapped copy-on-write, an exception
%% (which lives in a garbage-collected heap), and a call.
-define(GUEST, <<"(module
  (import \"env\" \"echo\" (func $echo (param i32) (result i32)))
  (memory (export \"memory\") 1)
  (data (i32.const 0) \"some data\")
  (tag $tag (param i32))
  (func (export \"loop\") (loop $again (br $again)))
  (func (export \"echo\") (param i32) (result i32)
    (block $caught (result i32)
      (try_table (catch $tag $caught) (throw $tag (call $echo (local.get 0))))
      (unreachable))))">>).

start() ->
    start(#{}).

start(Options) ->
    Echo = fun(Args) -> Args end,
    wasmbeam:start(?GUEST, Options#{imports => #{<<"env">> => #{<<"echo">> => Echo}}}).

ten_thousand_idle_instances_fit_in_one_vm(Config) ->
    child_vm:run(Config, fun() ->
        {ok, _} = start(),
        N = 10000,
        {Resident, Mappings} = used(),
        Instances = [begin {ok, I} = start(), I end || _ <- lists:seq(1, N)],
        {ResidentIdle, MappingsIdle} = used(),
        [?assertEqual({ok, [7]}, wasmbeam:call(I, <<"echo">>, [7])) || I <- Instances],
        {ResidentCalled, MappingsCalled} = used(),
        io:format("an idle instance: ~b bytes and ~.2f mappings before the first call, "
                  "~b bytes and ~.2f mappings after it~n",
                  [(ResidentIdle - Resident) div N, (MappingsIdle - Mappings) / N,
                   (ResidentCalled - Resident) div N, (MappingsCalled - Mappings) / N]),
        [?assertEqual({ok, [8]}, wasmbeam:call(I, <<"echo">>, [8])) || I <- Instances],
        [ok = wasmbeam:stop(I) || I <- Instances],
        child_vm:wait_until(fun() -> element(2, used()) < Mappings + 100 end)
    end).

used() ->
    {child_vm:resident_bytes(), mappings()}.

mappings() ->
    {ok, File} = file:open("/proc/self/maps", [read, raw, binary]),
    Count = count_lines(File, 0),
    ok = file:close(File),
    Count.

count_lines(File, Count) ->
    case file:read(File, 1 bsl 16) of
        {ok, Bytes} -> count_lines(File, Count + length(binary:matches(Bytes, <<"\n">>)));
        eof -> Count
    end.

a_thousand_busy_instances_leave_the_vm_responsive(Config) ->
    child_vm:run(Config, fun() ->
        {ok, Other} = start(),
        Callers = [spawn(fun() -> {ok, I} = start(), wasmbeam:call(I, <<"loop">>, []) end)
                   || _ <- lists:seq(1, 1000)],
        [?assertEqual({ok, [7]}, wasmbeam:call(Other, <<"echo">>, [7])) || _ <- lists:seq(1, 20)],
        Monitors = [begin exit(Pid, kill), monitor(process, Pid) end || Pid <- Callers],
        [receive {'DOWN', Monitor, process, _, _} -> ok end || Monitor <- Monitors],
        ?assertEqual({ok, [7]}, wasmbeam:call(Other, <<"echo">>, [7]))
    end).

without_address_space_starting_fails_and_the_vm_goes_on(Config) ->
    child_vm:run(Config, fun() ->
        {ok, I} = start(),
        {Started, Failures} = lists:partition(fun is_ok/1, [start() || _ <- lists:seq(1, 100)]),
        io:format("~b started; failed: ~0tp~n", [length(Started), hd(Failures)]),
        [?assertMatch({error, {Class, #{message := _}}} when is_atom(Class), Failure)
         || Failure <- Failures],
        ?assertEqual({ok, [7]}, wasmbeam:call(I, <<"echo">>, [7])),
        [ok = wasmbeam:stop(S) || {ok, S} <- Started],
        child_vm:wait_until(fun() -> is_ok(start()) end)
    end, #{before => "ulimit -v 40000000"}).

is_ok(Answer) ->
    element(1, Answer) =:= ok.

what_the_machine_refused_is_tried_again(Config) ->
    child_vm:run(Config, fun() ->
        {module, _} = code:ensure_loaded(wasmbeam_nif),
        %% Not enough for the stacks of the compiler's threads.
        limit_address_space(integer_to_list(child_vm:virtual_bytes() + (16 bsl 20))),
        ?assertMatch({error, {internal, #{message := _}}}, start()),
        ?assertMatch({error, {internal, #{message := _}}}, start()),
        limit_address_space("unlimited"),
        {ok, I} = start(),
        ?assertEqual({ok, [7]}, wasmbeam:call(I, <<"echo">>, [7])),
        %% Enough for everything but a memory.
        limit_address_space(integer_to_list(child_vm:virtual_bytes() + (256 bsl 20))),
        ?assertMatch({error, {internal, #{message := _}}}, start()),
        Caller = spawn(fun() -> wasmbeam:call(I, <<"loop">>, []) end),
        exit(Caller, kill),
        limit_address_space("unlimited"),
        child_vm:wait_until(fun() -> is_ok(start()) end)
    end).

%% Of this VM, from now on.
limit_address_space(Limit) ->
    [] = os:cmd("prlimit --pid " ++ os:getpid() ++ " --as=" ++ Limit ++ ":").

starting_calling_and_stopping_leaves_nothing_behind(Config) ->
    child_vm:run(Config, fun() ->
        Round = fun() ->
            {ok, I} = start(),
            ?assertEqual({ok, [7]}, wasmbeam:call(I, <<"echo">>, [7])),
            ok = wasmbeam:stop(I)
        end,
        stays_flat(Round, 5000)
    end).

interrupted_calls_leave_nothing_behind(Config) ->
    child_vm:run(Config, fun() ->
        Round = fun() ->
            {ok, I} = start(),
            ?assertMatch({error, {timeout, _}}, wasmbeam:call(I, <<"loop">>, [], #{timeout => 0})),
            {Pid, Monitor} = spawn_monitor(fun() -> wasmbeam:call(I, <<"loop">>, []) end),
            exit(Pid, kill),
            receive {'DOWN', Monitor, process, _, _} -> ok end,
            ok = wasmbeam:stop(I)
        end,
        stays_flat(Round, 500)
    end).

instances_that_are_forgotten_are_freed(Config) ->
    child_vm:run(Config, fun() ->
        Round = fun() ->
            {_, Monitor} = spawn_monitor(fun() ->
                {ok, I} = start(#{owner => none}),
                ?assertEqual({ok, [7]}, wasmbeam:call(I, <<"echo">>, [7]))
            end),
            receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual(normal, Reason) end
        end,
        stays_flat(Round, 3000)
    end).

%% The same number of rounds before and after the first look: what grows by use has its size.
stays_flat(Round, Count) ->
    [Round() || _ <- lists:seq(1, Count)],
    Threads = child_vm:threads(),
    {Resident, Mappings} = used(),
    [Round() || _ <- lists:seq(1, Count)],
    garbage_collect(),
    %% What was stopped is freed in the background.
    child_vm:wait_until(fun() -> mappings() < Mappings + 100 end),
    io:format("~b more rounds: ~b bytes more, ~b mappings more~n",
              [Count, child_vm:resident_bytes() - Resident, mappings() - Mappings]),
    ?assert(child_vm:threads() =< Threads),
    child_vm:wait_until(fun() -> child_vm:resident_bytes() < Resident + (8 bsl 20) end).
