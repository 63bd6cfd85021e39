-module(wasmbeam_call_tests).

-include_lib("eunit/include/eunit.hrl").

call_test_() ->
    {foreach,
     fun() -> wasmbeam_fixture:start(wasmbeam_fixture:source("calls"), #{imports => imports()}) end,
     fun wasmbeam:stop/1,
     [{with, [Test]} || Test <- [
         fun results_come_in_their_order/1,
         fun a_function_is_called_by_its_index_in_the_first_table/1,
         fun an_index_that_has_no_function_traps_as_an_indirect_call_does/1,
         fun an_unknown_function_is_named/1,
         fun an_export_of_another_kind_is_no_function/1,
         fun what_names_no_function_is_a_bad_argument/1,
         fun the_wrong_count_names_the_expected_one/1,
         fun a_wrong_argument_is_named_by_position_type_and_value/1,
         fun what_is_no_list_is_a_bad_argument/1,
         fun each_trap_has_its_code/1,
         fun a_trap_tells_where_it_happened/1,
         fun an_uncaught_exception_carries_its_values/1,
         fun an_import_can_call_back_three_deep/1,
         fun a_trap_in_a_nested_call_is_told_to_the_handler_alone/1,
         fun an_exception_in_a_nested_call_is_told_to_the_handler_alone/1,
         fun calls_nested_too_deeply_reach_a_limit/1,
         fun memory_can_be_used_while_the_guest_waits/1,
         fun imports_of_a_call_replace_those_of_the_start/1,
         fun the_import_handler_of_a_call_goes_before_that_of_the_start/1,
         fun wrong_options_are_bad_arguments/1,
         fun every_option_is_accepted/1,
         fun what_is_no_instance_is_a_bad_argument/1
     ]]}.

imports() ->
    #{<<"env">> => #{<<"down">> => fun down/2, <<"ask">> => fun([N]) -> [N * 2] end}}.

%% Calls the guest back as long as N is not 0.
down([0], _) -> [100];
down([N], #{instance := Instance}) ->
    {ok, [Result]} = wasmbeam:call(Instance, <<"down">>, [N - 1]),
    [Result + 1].

results_come_in_their_order(I) ->
    ?assertEqual({ok, []}, wasmbeam:call(I, <<"nothing">>, [])),
    ?assertEqual({ok, [1, 2, 3.5, -4]}, wasmbeam:call(I, <<"four">>, [])),
    ?assertEqual({ok, [2, 1]}, wasmbeam:call(I, <<"swap">>, [1, 2])).

a_function_is_called_by_its_index_in_the_first_table(I) ->
    ?assertEqual({ok, [2, 1]}, wasmbeam:call(I, {table_index, 1}, [1, 2])),
    ?assertEqual({ok, []}, wasmbeam:call(I, {table_index, 0}, [])).

an_index_that_has_no_function_traps_as_an_indirect_call_does(I) ->
    ?assertMatch({error, {trap, #{code := indirect_call_to_null}}},
                 wasmbeam:call(I, {table_index, 2}, [])),
    [?assertMatch({error, {trap, #{code := table_out_of_bounds}}},
                  wasmbeam:call(I, {table_index, N}, [])) || N <- [5, 1 bsl 32, (1 bsl 64) - 1]],
    usable(I).

an_unknown_function_is_named(I) ->
    [?assertMatch({error, {unknown_export, #{name := Name, kind := func}}},
                  wasmbeam:call(I, Name, [])) || Name <- [<<"nobody">>, <<>>, <<"Swap">>]],
    ?assertMatch({error, {unknown_export, _}}, wasmbeam:call(I, <<255, 254>>, [])),
    usable(I).

an_export_of_another_kind_is_no_function(I) ->
    [?assertMatch({error, {unknown_export, #{name := Name, kind := func}}},
                  wasmbeam:call(I, Name, [])) || Name <- [<<"memory">>, <<"table">>, <<"global">>,
                                                          <<"tag">>]].

what_names_no_function_is_a_bad_argument(I) ->
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:call(I, Function, [])))
     || Function <- [{swap}, [swap], 1, -1, 1.0, {table_index, -1}, {table_index, 1 bsl 64},
                     {table_index, one}, {table_index}, {funcref, 1}, {funcref, make_ref()}, <<1:7>>,
                     null, [], #{}, self(), make_ref()]],
    usable(I).

the_wrong_count_names_the_expected_one(I) ->
    {error, {bad_argument, Few}} = wasmbeam:call(I, <<"swap">>, [1]),
    ?assertMatch(#{expected := <<"a list of 2 arguments">>, value := [1]}, Few),
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:call(I, <<"swap">>, Args)))
     || Args <- [[], [1], [1, 2, 3], lists:seq(1, 100000)]],
    ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:call(I, <<"nothing">>, [1]))),
    usable(I).

a_wrong_argument_is_named_by_position_type_and_value(I) ->
    {error, {bad_argument, Info}} = wasmbeam:call(I, <<"swap">>, [1, <<"two">>]),
    ?assertMatch(#{position := 2, expected := <<"i32">>, value := <<"two">>}, Info),
    ?assertMatch({error, {bad_argument, #{position := 1, value := 16#100000000}}},
                 wasmbeam:call(I, <<"swap">>, [16#100000000, x])),
    usable(I).

what_is_no_list_is_a_bad_argument(I) ->
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:call(I, <<"swap">>, Args)))
     || Args <- [[1 | 2], [1, 2 | 3], {1, 2}, #{}, undefined, <<1, 2>>, 2]],
    usable(I).

each_trap_has_its_code(I) ->
    [begin
         {error, {trap, Info}} = wasmbeam:call(I, <<"trap">>, [N]),
         ?assertMatch({Code, #{code := Code, message := _, backtrace := [_ | _]}}, {Code, Info}),
         usable(I)
     end || {N, Code} <- [{0, unreachable}, {1, integer_divide_by_zero}, {2, integer_overflow},
                          {3, bad_conversion_to_integer}, {4, memory_out_of_bounds},
                          {5, table_out_of_bounds}, {6, indirect_call_to_null}, {7, bad_signature},
                          {8, null_reference}, {9, cast_failure}, {10, array_out_of_bounds},
                          {11, stack_overflow}]].

a_trap_tells_where_it_happened(I) ->
    {error, {trap, #{backtrace := [Innermost, Outer]}}} = wasmbeam:call(I, <<"deep">>, []),
    ?assertMatch(#{function := <<"inner">>, function_index := _, module := <<"calls">>,
                   module_offset := _, function_offset := _}, Innermost),
    ?assertMatch(#{function := <<"outer">>}, Outer).

an_uncaught_exception_carries_its_values(I) ->
    ?assertMatch({error, {exception, #{values := [7, 2.5, {a, term}], backtrace := [_ | _],
                                       message := _}}},
                 wasmbeam:call(I, <<"throw">>, [7, 2.5, {a, term}])),
    usable(I).

an_import_can_call_back_three_deep(I) ->
    ?assertEqual({ok, [103]}, wasmbeam:call(I, <<"down">>, [3])),
    Info = wasmbeam:info(I),
    ?assertMatch(#{calls := 4, imports := 4, state := idle}, Info).

a_trap_in_a_nested_call_is_told_to_the_handler_alone(I) ->
    Handler = fun([0], #{instance := Nested}) ->
        {error, {trap, #{code := Code}}} = wasmbeam:call(Nested, <<"trap">>, [1]),
        ?assertEqual(integer_divide_by_zero, Code),
        [77]
    end,
    ?assertEqual({ok, [77]}, wasmbeam:call(I, <<"down">>, [0], overriding(<<"down">>, Handler))),
    usable(I).

an_exception_in_a_nested_call_is_told_to_the_handler_alone(I) ->
    Handler = fun([0], #{instance := Nested}) ->
        {error, {exception, #{values := [1, _, null]}}} =
            wasmbeam:call(Nested, <<"throw">>, [1, 1, null]),
        [78]
    end,
    ?assertEqual({ok, [78]}, wasmbeam:call(I, <<"down">>, [0], overriding(<<"down">>, Handler))).

calls_nested_too_deeply_reach_a_limit(I) ->
    {error, {import_failed, #{reason := {badmatch, Innermost}}}} = wasmbeam:call(I, <<"down">>, [1000]),
    ?assertMatch({import_failed, _}, element(2, Innermost)),
    ?assertMatch({limit, #{what := _, limit := Limit, requested := More}} when More =:= Limit + 1,
                 innermost(Innermost)),
    usable(I).

innermost({error, {import_failed, #{reason := {badmatch, Cause}}}}) -> innermost(Cause);
innermost({error, Reason}) -> Reason.

memory_can_be_used_while_the_guest_waits(I) ->
    Handler = fun([0], #{instance := Instance}) ->
        ok = wasmbeam:memory_write(Instance, 10, <<"hello">>),
        {ok, <<"hello">>} = wasmbeam:memory_read(Instance, 10, 5),
        {ok, 1} = wasmbeam:memory_grow(Instance, 1),
        {ok, 131072} = wasmbeam:memory_size(Instance),
        ok = wasmbeam:memory_write(Instance, 131067, <<"world">>),
        {ok, 7} = wasmbeam:global_get(Instance, <<"global">>),
        [1]
    end,
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"down">>, [0], overriding(<<"down">>, Handler))),
    ?assertEqual({ok, <<"world">>}, wasmbeam:memory_read(I, 131067, 5)).

imports_of_a_call_replace_those_of_the_start(I) ->
    ?assertEqual({ok, [10]}, wasmbeam:call(I, <<"ask">>, [5])),
    Tripling = overriding(<<"ask">>, fun([N]) -> [N * 3] end),
    ?assertEqual({ok, [15]}, wasmbeam:call(I, <<"ask">>, [5], Tripling)),
    ?assertEqual({ok, [10]}, wasmbeam:call(I, <<"ask">>, [5])),
    Elsewhere = #{imports => #{<<"other">> => #{<<"ask">> => fun([_]) -> [0] end}}},
    ?assertEqual({ok, [10]}, wasmbeam:call(I, <<"ask">>, [5], Elsewhere)).

the_import_handler_of_a_call_goes_before_that_of_the_start(_) ->
    Source = <<"(module (import \"env\" \"f\" (func $f (result i32)))
                        (func (export \"f\") (result i32) call $f))">>,
    I = wasmbeam_fixture:start(Source, #{import_handler => fun(_) -> [1] end}),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"f">>, [])),
    ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"f">>, [], #{import_handler => fun(_) -> [2] end})).

wrong_options_are_bad_arguments(I) ->
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:call(I, <<"nothing">>, [], Options)))
     || Options <- [undefined, [], [{timeout, 1}], 5, self(),
                    #{colour => blue}, #{<<"timeout">> => 5}, #{owner => none},
                    #{timeout => -1}, #{timeout => 1.0}, #{timeout => soon}, #{timeout => 1 bsl 32},
                    #{timeout => 1 bsl 100},
                    #{fuel => 100}, #{fuel => -1}, #{fuel => 1 bsl 64}, #{fuel => lots}, #{fuel => 1.0},
                    #{imports => []}, #{imports => fun() -> ok end}, #{imports => #{<<"env">> => f}},
                    #{imports => #{<<"env">> => #{<<"ask">> => 7}}},
                    #{imports => #{<<"env">> => #{<<"ask">> => fun() -> [] end}}},
                    #{imports => #{<<"env">> => #{<<"ask">> => fun(_, _, _) -> [] end}}},
                    #{imports => #{<<"env">> => I}},
                    #{import_handler => x}, #{import_handler => fun() -> [] end},
                    #{import_handler => fun(_, _) -> [] end}]],
    usable(I).

every_option_is_accepted(I) ->
    [?assertEqual({ok, []}, wasmbeam:call(I, <<"nothing">>, [], Options))
     || Options <- [#{}, #{timeout => infinity}, #{timeout => 16#ffffffff}, #{fuel => infinity},
                    #{imports => #{}}, #{imports => #{<<"x">> => #{}}},
                    #{import_handler => fun(_) -> default end}]].

what_is_no_instance_is_a_bad_argument(_) ->
    [begin
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:call(Term, <<"f">>, []))),
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:call(Term, <<"f">>, [], #{}))),
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:cancel(Term)))
     end || Term <- wasmbeam_fixture:not_instances()].

%% What runs cannot be interrupted by the one process that it runs in.

a_call_can_be_cancelled_test() ->
    I = spinning(#{}),
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"spin">>, []),
    receive {at_gate, Pid, []} -> wasmbeam_fixture:open(Pid) end,
    ok = wasmbeam:cancel(I),
    ?assertMatch({error, {interrupted, #{reason := cancelled, message := _}}},
                 wasmbeam_fixture:result(Call)),
    ?assertMatch(#{state := interrupted}, wasmbeam:info(I)),
    ?assertMatch({error, {interrupted, #{reason := cancelled}}}, wasmbeam:call(I, <<"answer">>, [])),
    ?assertMatch({error, {interrupted, #{reason := cancelled}}}, wasmbeam:fork(I)),
    ?assertEqual({ok, <<0, 0>>}, wasmbeam:memory_read(I, 0, 2)).

a_call_that_waits_in_an_import_is_cancelled_when_the_import_returns_test() ->
    I = spinning(#{on_interrupt => keep}),
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"pass">>, []),
    receive {at_gate, Pid, []} -> ok end,
    ok = wasmbeam:cancel(I),
    wasmbeam_fixture:open(Pid),
    ?assertMatch({error, {interrupted, #{reason := cancelled}}}, wasmbeam_fixture:result(Call)).

cancelling_where_nothing_runs_does_nothing_test() ->
    I = spinning(#{}),
    ok = wasmbeam:cancel(I),
    ok = wasmbeam:cancel(I),
    ?assertEqual({ok, [42]}, wasmbeam:call(I, <<"answer">>, [])).

a_call_ends_with_its_timeout_test() ->
    I = spinning(#{}),
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"spin">>, [], #{timeout => 5}),
    receive {at_gate, Pid, []} -> wasmbeam_fixture:open(Pid) end,
    ?assertMatch({error, {timeout, #{message := _}}}, wasmbeam_fixture:result(Call)),
    ?assertMatch({error, {interrupted, _}}, wasmbeam:call(I, <<"answer">>, [])).

an_import_is_not_interrupted_by_the_timeout_but_ends_the_call_test() ->
    I = wasmbeam_fixture:start(wasmbeam_fixture:spinning(), #{imports => #{<<"env">> => #{
        <<"entered">> => fun([]) -> receive never -> ok after 10 -> [] end end}}}),
    ?assertMatch({error, {timeout, _}}, wasmbeam:call(I, <<"pass">>, [], #{timeout => 5})).

an_instance_can_be_kept_after_an_interruption_test() ->
    I = spinning(#{on_interrupt => keep}),
    [begin
         Call = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"spin">>, [], Options),
         receive {at_gate, Pid, []} -> wasmbeam_fixture:open(Pid) end,
         Options =:= #{} andalso wasmbeam:cancel(I),
         ?assertMatch({error, {Class, _}}, wasmbeam_fixture:result(Call)),
         ?assertMatch(#{state := idle}, wasmbeam:info(I)),
         ?assertEqual({ok, [42]}, wasmbeam:call(I, <<"answer">>, []))
     end || {Class, Options} <- [{interrupted, #{}}, {timeout, #{timeout => 1}}]].

calls_after_one_that_was_cut_short_say_why_and_what_to_do_test() ->
    I = spinning(#{}),
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"spin">>, [], #{timeout => 1}),
    receive {at_gate, Pid, []} -> wasmbeam_fixture:open(Pid) end,
    {error, {timeout, _}} = wasmbeam_fixture:result(Call),
    {error, {interrupted, Info}} = wasmbeam:call(I, <<"answer">>, []),
    ?assertEqual(#{reason => timeout,
                   message => <<"an earlier call was cut short (timed out): the instance needs a "
                                "reset or a snapshot first">>}, Info),
    ok = wasmbeam:reset(I),
    ?assertEqual({ok, [42]}, wasmbeam:call(I, <<"answer">>, [])).

the_death_of_the_caller_interrupts_the_instance_test() ->
    I = spinning(#{}),
    {Pid, Monitor} = wasmbeam_fixture:spawn_call(I, <<"spin">>, []),
    receive {at_gate, Pid, []} -> wasmbeam_fixture:open(Pid) end,
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, killed} -> ok end,
    ?assertMatch({error, {interrupted, #{reason := caller_died}}},
                 wasmbeam:call(I, <<"answer">>, [])).

the_death_of_a_caller_in_an_import_interrupts_the_instance_test() ->
    I = spinning(#{on_interrupt => keep}),
    {Pid, Monitor} = wasmbeam_fixture:spawn_call(I, <<"pass">>, []),
    receive {at_gate, Pid, []} -> ok end,
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, killed} -> ok end,
    ?assertEqual({ok, [42]}, wasmbeam:call(I, <<"answer">>, [])).

spinning(Options) ->
    Entered = #{<<"env">> => #{<<"entered">> => wasmbeam_fixture:gate()}},
    wasmbeam_fixture:start(wasmbeam_fixture:spinning(), Options#{imports => Entered}).

overriding(Name, Function) ->
    #{imports => #{<<"env">> => #{Name => Function}}}.

usable(I) ->
    ?assertEqual({ok, [2, 1]}, wasmbeam:call(I, <<"swap">>, [1, 2])).
