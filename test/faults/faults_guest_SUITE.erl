%% @doc What a guest does, or is given, cannot take the VM down.
-module(faults_guest_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, init_per_suite/1, end_per_suite/1]).
-export([
    nan_and_infinity_go_in_and_out/1,
    nan_and_infinity_pass_through_an_import/1,
    huge_reads_and_writes_are_out_of_bounds/1,
    every_trap_has_its_code_and_leaves_the_instance_usable/1,
    traps_work_in_a_process_of_every_scheduler/1,
    traps_work_on_dirty_schedulers/1,
    a_loop_that_began_on_a_dirty_scheduler_ends_in_every_way/1,
    a_stack_overflow_is_a_trap/1,
    a_stack_overflow_in_a_call_from_an_import_is_a_trap/1,
    endless_recursion_through_imports_ends_at_a_limit/1,
    errors_show_no_rust_backtrace/1,
    a_handle_that_was_serialized_and_read_back_still_works_here/1,
    a_handle_from_another_vm_is_refused/1,
    terms_that_are_no_handles_are_refused/1,
    memory_beyond_the_limit_is_refused/1,
    a_growth_that_the_machine_cannot_serve_is_refused/1
]).

all() ->
    [F || {F, 1} <- ?MODULE:module_info(exports), F =/= init_per_suite, F =/= end_per_suite,
          F =/= module_info].

init_per_suite(Config) ->
    {ok, Guest} = file:read_file(filename:join(child_vm:fixtures(?MODULE), "guest.wat")),
    [{guest, Guest} | Config].

end_per_suite(_Config) ->
    ok.

nan_and_infinity_go_in_and_out(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(Guest),
        F64 = [nan, infinity, neg_infinity, {nan, 16#7FF8000000000001}, {nan, 16#FFF0000000000001}],
        F32 = [nan, infinity, neg_infinity, {nan, 16#7FC00001}, {nan, 16#FF800001}],
        [?assertEqual({ok, [V]}, wasmbeam:call(I, <<"f64">>, [V])) || V <- F64],
        [?assertEqual({ok, [V]}, wasmbeam:call(I, <<"f32">>, [V])) || V <- F32],
        ?assertEqual({ok, [infinity]}, wasmbeam:call(I, <<"f64_div">>, [1, 0])),
        ?assertMatch({ok, [_]}, wasmbeam:call(I, <<"f64_div">>, [0, 0]))
    end).

nan_and_infinity_pass_through_an_import(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(Guest, #{imports => #{<<"env">> => #{<<"f64">> => fun(A) -> A end}}}),
        [?assertEqual({ok, [V]}, wasmbeam:call(I, <<"f64_import">>, [V]))
         || V <- [nan, infinity, neg_infinity, {nan, 16#7FF8000000000001}, 1.5]]
    end).

huge_reads_and_writes_are_out_of_bounds(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(Guest),
        Huge = [1 bsl 46, 1 bsl 32, 1 bsl 63, (1 bsl 64) - 1, 1 bsl 64, 1 bsl 200, 65537],
        [?assertMatch({error, {out_of_bounds, _}}, wasmbeam:memory_read(I, 0, N)) || N <- Huge],
        [?assertMatch({error, {out_of_bounds, _}}, wasmbeam:memory_read(I, N, 1)) || N <- Huge],
        [?assertMatch({error, {out_of_bounds, _}}, wasmbeam:memory_write(I, N, <<1>>)) || N <- Huge],
        [?assertMatch({error, {out_of_bounds, _}}, wasmbeam:memory_read_string(I, N)) || N <- Huge],
        Odd = [1.0, foo, <<>>],
        [?assertMatch({error, {bad_argument, _}}, wasmbeam:memory_read(I, 0, N)) || N <- [-1 | Odd]],
        [?assertMatch({error, {bad_argument, _}}, wasmbeam:memory_read(I, N, 1)) || N <- Odd],
        ?assertMatch({error, {out_of_bounds, _}}, wasmbeam:memory_read(I, -1, 1)),
        [?assertMatch({error, {_, _}}, wasmbeam:memory_grow(I, N)) || N <- Huge ++ [-1 | Odd]],
        [?assertMatch({error, {_, _}}, wasmbeam:table_grow(I, 0, N, null)) || N <- [-1 | Odd]],
        ?assertEqual({ok, <<0>>}, wasmbeam:memory_read(I, 65535, 1))
    end).

every_trap_has_its_code_and_leaves_the_instance_usable(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(Guest),
        check_traps(I),
        ?assertMatch(#{state := idle}, wasmbeam:info(I))
    end).

traps_work_in_a_process_of_every_scheduler(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        Self = self(),
        Pids = [spawn_link(fun() ->
            {ok, I} = wasmbeam:start(Guest),
            [check_traps(I) || _ <- lists:seq(1, 20)],
            Self ! {self(), erlang:system_info(scheduler_id)}
        end) || _ <- lists:seq(1, 20)],
        Seen = [receive {Pid, Scheduler} -> Scheduler end || Pid <- Pids],
        io:format("on schedulers ~p~n", [lists:usort(Seen)])
    end).

%% A module with so many imports is started on a dirty scheduler, and its start function with it.
dirty_start(Code) ->
    iolist_to_binary(["(module (type $none (func)) ",
        [io_lib:format("(import \"env\" \"i~b\" (func))", [N]) || N <- lists:seq(1, 300)],
        "(memory 1) (table 2 funcref) (elem (i32.const 1) func $number)"
        "(func $number (result i32) (i32.const 1))"
        "(func $deeper (call $deeper) (drop (i32.const 0)))"
        "(func $start ", Code, ") (start $start))"]).

traps_work_on_dirty_schedulers(Config) ->
    child_vm:run(Config, fun() ->
        Traps = [
            {unreachable, "(unreachable)"},
            {memory_out_of_bounds, "(drop (i32.load (i32.const 65536)))"},
            {integer_divide_by_zero, "(drop (i32.div_s (i32.const 1) (i32.const 0)))"},
            {integer_overflow, "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))"},
            {bad_conversion_to_integer, "(drop (i32.trunc_f64_s (f64.const nan)))"},
            {table_out_of_bounds, "(drop (table.get 0 (i32.const 2)))"},
            {indirect_call_to_null, "(call_indirect (type $none) (i32.const 0))"},
            {bad_signature, "(call_indirect (type $none) (i32.const 1))"},
            {stack_overflow, "(call $deeper)"}
        ],
        [begin
            {error, {trap, #{code := Got}}} = wasmbeam:start(dirty_start(Body)),
            ?assertEqual(Code, Got)
         end || _ <- lists:seq(1, 10), {Code, Body} <- Traps],
        ?assertMatch({ok, _}, wasmbeam:start(dirty_start("(nop)")))
    end).

a_loop_that_began_on_a_dirty_scheduler_ends_in_every_way(Config) ->
    child_vm:run(Config, fun() ->
        {ok, Module} = wasmbeam:compile(dirty_start("(loop $again (br $again))")),
        ?assertMatch({error, {timeout, _}}, wasmbeam:start(Module, #{timeout => 20})),
        Threads = child_vm:threads(),
        Pids = [spawn(fun() -> wasmbeam:start(Module) end) || _ <- lists:seq(1, 16)],
        timer:sleep(20),
        [exit(Pid, kill) || Pid <- Pids],
        ?assertMatch({error, {timeout, _}}, wasmbeam:start(Module, #{timeout => 20})),
        child_vm:wait_until(fun() -> child_vm:threads() =< Threads end)
    end).

traps() ->
    [{<<"unreachable">>, unreachable},
     {<<"load">>, memory_out_of_bounds},
     {<<"div">>, integer_divide_by_zero},
     {<<"div_overflow">>, integer_overflow},
     {<<"convert">>, bad_conversion_to_integer},
     {<<"table">>, table_out_of_bounds},
     {<<"null_call">>, indirect_call_to_null},
     {<<"bad_signature">>, bad_signature},
     {<<"null_reference">>, null_reference},
     {<<"cast">>, cast_failure},
     {<<"array">>, array_out_of_bounds},
     {<<"atomic">>, heap_misaligned},
     {<<"overflow">>, stack_overflow}].

check_traps(I) ->
    lists:foreach(
        fun({Name, Code}) ->
            {error, {trap, #{code := Got}}} = wasmbeam:call(I, Name, []),
            ?assertEqual({Name, Code}, {Name, Got}),
            ?assertEqual({ok, [7]}, wasmbeam:call(I, <<"seven">>, []))
        end,
        traps()).

a_stack_overflow_is_a_trap(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(Guest),
        [?assertMatch({error, {trap, #{code := stack_overflow}}}, wasmbeam:call(I, <<"overflow">>, []))
         || _ <- lists:seq(1, 100)],
        ?assertEqual({ok, [7]}, wasmbeam:call(I, <<"seven">>, []))
    end).

a_stack_overflow_in_a_call_from_an_import_is_a_trap(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        Nested = fun([_], #{instance := I}) ->
            {error, {trap, #{code := stack_overflow}}} = wasmbeam:call(I, <<"overflow">>, []),
            [42.0]
        end,
        {ok, I} = wasmbeam:start(Guest, #{imports => #{<<"env">> => #{<<"f64">> => Nested}}}),
        [?assertEqual({ok, [42.0]}, wasmbeam:call(I, <<"f64_import">>, [0])) || _ <- lists:seq(1, 20)]
    end).

endless_recursion_through_imports_ends_at_a_limit(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        Again = fun(Args, #{instance := I}) ->
            case wasmbeam:call(I, <<"f64_import">>, Args) of
                {ok, Results} -> Results;
                {error, {limit, _}} -> [1.0]
            end
        end,
        {ok, I} = wasmbeam:start(Guest, #{imports => #{<<"env">> => #{<<"f64">> => Again}}}),
        ?assertEqual({ok, [1.0]}, wasmbeam:call(I, <<"f64_import">>, [0]))
    end).

errors_show_no_rust_backtrace(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(Guest, #{imports => #{<<"env">> => #{<<"f64">> => fun(_) -> error(no) end}}}),
        Errors = [
            wasmbeam:call(I, <<"unreachable">>, []),
            wasmbeam:call(I, <<"overflow">>, []),
            wasmbeam:call(I, <<"f64_import">>, [0]),
            wasmbeam:call(I, <<"nothing">>, []),
            wasmbeam:compile(<<"(module (func (result i32)))">>),
            wasmbeam:compile(<<0, "asm", 1, 0, 0, 0, 1, 1>>),
            wasmbeam:start(<<"(module (memory 10))">>, #{limits => #{memory => 65536}}),
            wasmbeam:start(<<"(module (memory 1) (data (i32.const 65536) \"a\"))">>),
            wasmbeam:start(<<"(module (import \"a\" \"b\" (memory 1)))">>,
                           #{imports => #{<<"a">> => I}})
        ],
        [begin
            {error, {_, Info}} = Error,
            Text = iolist_to_binary(io_lib:format("~tp~ts", [Info, wasmbeam:format_error(Error)])),
            ?assertEqual({Text, nomatch},
                         {Text, re:run(Text, "stack backtrace|rustc|\\.rs:|core::|std::|wasmtime::")})
         end || Error <- Errors]
    end, #{env => [{"RUST_BACKTRACE", "1"}]}).

a_handle_that_was_serialized_and_read_back_still_works_here(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(Guest),
        Copy = binary_to_term(term_to_binary(I)),
        ?assertEqual({ok, [7]}, wasmbeam:call(Copy, <<"seven">>, []))
    end).

a_handle_from_another_vm_is_refused(Config) ->
    Guest = ?config(guest, Config),
    {Instance, Module} = child_vm:run(Config, fun() ->
        {ok, Module} = wasmbeam:compile(Guest),
        {ok, Instance} = wasmbeam:start(Module),
        {Instance, Module}
    end),
    child_vm:run(Config, fun() -> refuses(Instance, Module) end),
    {'$wasmbeam', _, Imports} = Instance,
    child_vm:run(Config, fun() -> refuses({'$wasmbeam', make_ref(), Imports}, make_ref()) end).

refuses(Instance, Module) ->
    Bad = [
        wasmbeam:call(Instance, <<"seven">>, []),
        wasmbeam:info(Instance),
        wasmbeam:memory_read(Instance, 0, 1),
        wasmbeam:memory_write(Instance, 0, <<0>>),
        wasmbeam:memory_read(Instance, 0, 1 bsl 22),
        wasmbeam:memory_grow(Instance, 1),
        wasmbeam:global_get(Instance, <<"g">>),
        wasmbeam:table_size(Instance, 0),
        wasmbeam:stop(Instance),
        wasmbeam:cancel(Instance),
        wasmbeam:give_away(Instance, none),
        wasmbeam:give_away(Instance, self()),
        wasmbeam:exports(Instance),
        wasmbeam:imports(Instance),
        wasmbeam:start(<<"(module)">>, #{store => Instance}),
        wasmbeam:start(Module),
        wasmbeam:exports(Module),
        wasmbeam:imports(Module)
    ],
    [?assertMatch({error, {bad_argument, #{message := _}}}, Answer) || Answer <- Bad].

terms_that_are_no_handles_are_refused(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        {ok, Module} = wasmbeam:compile(Guest),
        {ok, {Tag, Ref, Imports}} = wasmbeam:start(Module),
        [refuses({Tag, Bad, Imports}, Bad) || Bad <- [make_ref(), self(), foo, 1, [], {Ref}]],
        [refuses(Bad, foo) || Bad <- [Ref, {Tag, Module, Imports}, {Tag, Ref}, #{}]]
    end).

memory_beyond_the_limit_is_refused(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        Limits = #{memory => 1 bsl 20},
        {ok, I} = wasmbeam:start(Guest, #{limits => Limits}),
        ?assertMatch({error, {limit, _}}, wasmbeam:memory_grow(I, 16)),
        ?assertEqual({ok, [-1]}, wasmbeam:call(I, <<"grow">>, [15])),
        ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"grow">>, [14])),
        ?assertMatch({error, {limit, _}},
                     wasmbeam:start(<<"(module (memory 17))">>, #{limits => Limits})),
        ?assertMatch({error, {limit, _}},
                     wasmbeam:start(<<"(module (table 1001 funcref))">>,
                                    #{limits => #{table_elements => 1000}}))
    end).

a_growth_that_the_machine_cannot_serve_is_refused(Config) ->
    Guest = ?config(guest, Config),
    child_vm:run(Config, fun() ->
        {ok, I} = wasmbeam:start(Guest, #{limits => #{memory => 1 bsl 60,
                                                      table_elements => 1 bsl 40}}),
        ?assertEqual({ok, [-1]}, wasmbeam:call(I, <<"grow_64">>, [1 bsl 40])),
        ?assertMatch({error, {_, _}},
                     wasmbeam:memory_grow(I, 1 bsl 40, #{memory => <<"memory64">>})),
        ?assertMatch({error, {_, _}}, wasmbeam:table_grow(I, 0, 1 bsl 39, null)),
        ?assertEqual({ok, [7]}, wasmbeam:call(I, <<"seven">>, []))
    end).
