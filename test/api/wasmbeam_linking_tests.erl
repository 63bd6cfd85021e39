-module(wasmbeam_linking_tests).

-include_lib("eunit/include/eunit.hrl").

linking_test_() ->
    {foreach,
     fun() ->
         Exporter = wasmbeam_fixture:start(wasmbeam_fixture:source("exporter")),
         {Exporter, wasmbeam_fixture:start(wasmbeam_fixture:source("importer"),
                                           #{imports => #{<<"lib">> => Exporter}})}
     end,
     fun({Exporter, _}) -> wasmbeam:stop(Exporter) end,
     [{with, [Test]} || Test <- [
         fun functions_are_shared/1,
         fun memory_is_shared/1,
         fun globals_are_shared/1,
         fun tables_are_shared/1,
         fun tags_are_shared/1,
         fun single_exports_can_be_imported_under_other_names/1,
         fun imports_are_reexported/1,
         fun a_function_reference_can_be_called_through_either_instance/1,
         fun an_exporter_that_is_stopped_stays_for_its_importers/1,
         fun an_importer_that_is_stopped_leaves_the_exporter/1,
         fun what_a_stopped_instance_exports_cannot_be_imported_anew/1,
         fun the_store_is_stopped_with_its_last_instance/1,
         fun a_trap_in_the_exporter_names_its_function/1,
         fun one_call_at_a_time_runs_in_the_store/1,
         fun a_store_can_be_shared_without_importing/1,
         fun imports_of_two_stores_do_not_go_together/1,
         fun a_store_has_code_of_one_kind/1,
         fun a_start_that_fails_leaves_the_store_usable/1
     ]]}.

functions_are_shared({_, Importer}) ->
    ?assertEqual({ok, [8]}, wasmbeam:call(Importer, <<"call_func">>, [7])).

memory_is_shared({Exporter, Importer}) ->
    ?assertEqual({ok, <<"shared">>}, wasmbeam:memory_read(Importer, 0, 6)),
    ok = wasmbeam:memory_write(Importer, 100, <<"both">>),
    ?assertEqual({ok, <<"both">>}, wasmbeam:memory_read(Exporter, 100, 4)),
    {ok, 2} = wasmbeam:memory_grow(Exporter, 1),
    ?assertEqual({ok, 3 * 65536}, wasmbeam:memory_size(Importer)),
    ?assertEqual({ok, [$s]}, wasmbeam:call(Importer, <<"load">>, [0])).

globals_are_shared({Exporter, Importer}) ->
    ok = wasmbeam:global_set(Exporter, <<"global">>, 77),
    ?assertEqual({ok, [77]}, wasmbeam:call(Importer, <<"get">>, [])),
    {ok, []} = wasmbeam:call(Importer, <<"set">>, [78]),
    ?assertEqual({ok, 78}, wasmbeam:global_get(Exporter, <<"global">>)).

tables_are_shared({Exporter, Importer}) ->
    ?assertEqual({ok, [8]}, wasmbeam:call(Importer, <<"call_indirect">>, [7, 0])),
    %% The importer put a function of its own there.
    ?assertEqual({ok, [14]}, wasmbeam:call(Exporter, {table_index, 1}, [7])),
    ok = wasmbeam:table_set(Exporter, 0, 1, null),
    ?assertMatch({error, {trap, #{code := indirect_call_to_null}}},
                 wasmbeam:call(Importer, <<"call_indirect">>, [7, 1])).

tags_are_shared({Exporter, Importer}) ->
    ?assertEqual({ok, [13]}, wasmbeam:call(Importer, <<"catch">>, [13])),
    ?assertMatch({error, {exception, #{values := [5]}}}, wasmbeam:call(Exporter, <<"throw">>, [5])).

single_exports_can_be_imported_under_other_names({Exporter, _}) ->
    I = wasmbeam_fixture:start(
        "(module (import \"a\" \"x\" (func $x (param i32) (result i32)))
           (import \"b\" \"y\" (global $y i32)) (import \"b\" \"z\" (func $z (result i32)))
           (func (export \"f\") (result i32 i32 i32)
             (call $x (i32.const 1)) (global.get $y) (call $z)))",
        #{imports => #{<<"a">> => #{<<"x">> => {export, Exporter, <<"func">>}},
                       <<"b">> => #{<<"y">> => {export, Exporter, <<"constant">>},
                                    <<"z">> => fun([]) -> [3] end}}}),
    ?assertEqual({ok, [2, 11, 3]}, wasmbeam:call(I, <<"f">>, [])).

imports_are_reexported({Exporter, Importer}) ->
    {ok, I} = wasmbeam:start(<<"(module (import \"lib\" \"again\" (func $f (param i32) (result i32)))
                                 (func (export \"f\") (result i32) (call $f (i32.const 4))))">>,
                             #{imports => #{<<"lib">> => Importer}}),
    ?assertEqual({ok, [5]}, wasmbeam:call(I, <<"f">>, [])),
    ?assertEqual({ok, [5]}, wasmbeam:call(Exporter, <<"func">>, [4])).

a_function_reference_can_be_called_through_either_instance({Exporter, Importer}) ->
    {ok, F} = wasmbeam:table_get(Exporter, 0, 0),
    ?assertEqual({ok, [2]}, wasmbeam:call(Exporter, F, [1])),
    ?assertEqual({ok, [2]}, wasmbeam:call(Importer, F, [1])).

an_exporter_that_is_stopped_stays_for_its_importers({Exporter, Importer}) ->
    {ok, F} = wasmbeam:table_get(Exporter, 0, 0),
    ok = wasmbeam:stop(Exporter),
    ?assertMatch({error, {stopped, _}}, wasmbeam:call(Exporter, <<"func">>, [1])),
    ?assertMatch({error, {stopped, _}}, wasmbeam:memory_read(Exporter, 0, 1)),
    ?assertMatch(#{state := stopped}, wasmbeam:info(Exporter)),
    ?assertEqual({ok, [8]}, wasmbeam:call(Importer, <<"call_func">>, [7])),
    ?assertEqual({ok, <<"shared">>}, wasmbeam:memory_read(Importer, 0, 6)),
    ?assertEqual({ok, [2]}, wasmbeam:call(Importer, F, [1])),
    ?assertMatch(#{state := idle}, wasmbeam:info(Importer)).

an_importer_that_is_stopped_leaves_the_exporter({Exporter, Importer}) ->
    ok = wasmbeam:stop(Importer),
    ?assertEqual({ok, [2]}, wasmbeam:call(Exporter, <<"func">>, [1])),
    ?assertEqual({ok, [14]}, wasmbeam:call(Exporter, {table_index, 1}, [7])).

what_a_stopped_instance_exports_cannot_be_imported_anew({Exporter, _}) ->
    ok = wasmbeam:stop(Exporter),
    Answer = wasmbeam:start(wasmbeam_fixture:source("importer"),
                            #{imports => #{<<"lib">> => Exporter}}),
    ?assert(wasmbeam_fixture:answers(stopped, Answer)).

the_store_is_stopped_with_its_last_instance({Exporter, Importer}) ->
    ok = wasmbeam:stop(Exporter),
    ok = wasmbeam:stop(Importer),
    ?assertMatch({error, {stopped, _}}, wasmbeam:call(Importer, <<"call_func">>, [1])),
    ?assertMatch({error, {stopped, _}}, wasmbeam:stop(Importer)).

a_trap_in_the_exporter_names_its_function({_, Importer}) ->
    {error, {trap, #{backtrace := Frames}}} = wasmbeam:call(Importer, <<"crash">>, []),
    ?assertEqual([<<"exporter">>, <<"importer">>],
                 [Module || #{module := Module} <- Frames]).

one_call_at_a_time_runs_in_the_store({Exporter, _}) ->
    {ok, Waiting} = wasmbeam:start(wasmbeam_fixture:spinning(), #{store => Exporter,
        imports => #{<<"env">> => #{<<"entered">> => wasmbeam_fixture:gate()}}}),
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(Waiting, <<"pass">>, []),
    receive {at_gate, Pid, []} -> ok end,
    Other = wasmbeam_fixture:spawn_call(Exporter, <<"func">>, [1]),
    wasmbeam_fixture:await(fun() ->
        #{queue_length := Length} = wasmbeam:info(Exporter), Length =:= 1
    end),
    wasmbeam_fixture:open(Pid),
    ?assertEqual({ok, []}, wasmbeam_fixture:result(Call)),
    ?assertEqual({ok, [2]}, wasmbeam_fixture:result(Other)).

a_store_can_be_shared_without_importing({Exporter, _}) ->
    {ok, I} = wasmbeam:start(<<"(module (func (export \"f\") (param funcref) (result funcref)
                                          local.get 0))">>, #{store => Exporter}),
    {ok, F} = wasmbeam:table_get(Exporter, 0, 0),
    ?assertMatch({ok, [{funcref, _}]}, wasmbeam:call(I, <<"f">>, [F])).

imports_of_two_stores_do_not_go_together({Exporter, _}) ->
    Elsewhere = wasmbeam_fixture:start(wasmbeam_fixture:source("exporter")),
    Source = <<"(module (import \"a\" \"func\" (func (param i32) (result i32)))
                        (import \"b\" \"func\" (func (param i32) (result i32))))">>,
    Answer = wasmbeam:start(Source, #{imports => #{<<"a">> => Exporter, <<"b">> => Elsewhere}}),
    ?assert(wasmbeam_fixture:answers(incompatible_import, Answer)),
    ?assertMatch({error, {_, #{module := <<"b">>, name := <<"func">>}}}, Answer),
    ?assert(wasmbeam_fixture:answers(incompatible_import, wasmbeam:start(Source, #{
        store => Exporter, imports => #{<<"a">> => Elsewhere, <<"b">> => Elsewhere}}))).

a_store_has_code_of_one_kind({Exporter, _}) ->
    [?assert(wasmbeam_fixture:answers(bad_argument,
                                      wasmbeam:start(<<"(module)">>, Options#{store => Exporter})))
     || Options <- [#{fuel => 10}, #{deterministic => true}, #{compiler => #{opt => none}}]].

a_start_that_fails_leaves_the_store_usable({Exporter, Importer}) ->
    Failing = [{trap, <<"(module (func $f unreachable) (start $f))">>},
               {trap, <<"(module (import \"lib\" \"memory\" (memory 1))
                                 (data (i32.const 200000) \"x\"))">>},
               {unknown_import, <<"(module (import \"lib\" \"nobody\" (func)))">>},
               {incompatible_import, <<"(module (import \"lib\" \"func\" (func)))">>}],
    [?assert(wasmbeam_fixture:answers(Class, wasmbeam:start(Source,
                                                            #{imports => #{<<"lib">> => Exporter},
                                                              store => Exporter})))
     || {Class, Source} <- Failing],
    ?assertEqual({ok, [8]}, wasmbeam:call(Importer, <<"call_func">>, [7])),
    {ok, Next} = wasmbeam:start(wasmbeam_fixture:source("importer"),
                                #{imports => #{<<"lib">> => Exporter}}),
    ?assertEqual({ok, [8]}, wasmbeam:call(Next, <<"call_func">>, [7])).

functions_of_a_failed_instance_stay_in_the_table_test() ->
    Exporter = wasmbeam_fixture:start(wasmbeam_fixture:source("exporter")),
    ?assertMatch({error, {trap, _}}, wasmbeam:start(
        <<"(module (import \"lib\" \"table\" (table 4 funcref))
             (func $f (result i32) i32.const 99) (elem (i32.const 2) $f)
             (func $trap unreachable) (start $trap))">>, #{imports => #{<<"lib">> => Exporter}})),
    ?assertEqual({ok, [99]}, wasmbeam:call(Exporter, {table_index, 2}, [])).

an_erlang_import_of_the_exporter_runs_for_the_caller_of_the_importer_test() ->
    Test = self(),
    Exporter = wasmbeam_fixture:start(
        "(module (import \"env\" \"f\" (func $f (result i32))) (memory (export \"m\") 1)
           (func (export \"g\") (result i32) call $f))",
        #{imports => #{<<"env">> => #{<<"f">> => fun([], #{instance := I}) ->
            Test ! {self(), wasmbeam:memory_size(I)}, [5] end}}}),
    Importer = wasmbeam_fixture:start(
        "(module (import \"lib\" \"g\" (func $g (result i32))) (memory 2)
           (func (export \"h\") (result i32) call $g))", #{imports => #{<<"lib">> => Exporter}}),
    ?assertEqual({ok, [5]}, wasmbeam:call(Importer, <<"h">>, [])),
    %% It sees the instance that imports it.
    receive {Caller, Size} ->
        ?assertEqual(Test, Caller),
        ?assertEqual({ok, 65536}, Size)
    end.

stopping_one_instance_ends_its_call_and_leaves_the_others_test() ->
    Spinning = wasmbeam_fixture:start(wasmbeam_fixture:spinning(), #{on_interrupt => keep,
        imports => #{<<"env">> => #{<<"entered">> => wasmbeam_fixture:gate()}}}),
    Other = wasmbeam_fixture:start("(module (func (export \"one\") (result i32) i32.const 1))",
                                   #{store => Spinning}),
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(Spinning, <<"spin">>, []),
    receive {at_gate, Pid, []} -> wasmbeam_fixture:open(Pid) end,
    ok = wasmbeam:stop(Spinning),
    ?assertMatch({error, {stopped, _}}, wasmbeam_fixture:result(Call)),
    ?assertEqual({ok, [1]}, wasmbeam:call(Other, <<"one">>, [])).

what_funs_of_imports_hold_goes_with_the_store_test() ->
    %% The fun of one instance has the other one, in whose store it is itself.
    {_, Monitor} = spawn_monitor(fun() ->
        {ok, Held} = wasmbeam:start(<<"(module)">>, #{owner => none}),
        A = wasmbeam_fixture:start("(module)"),
        Fun = fun([]) -> _ = [wasmbeam:info(I) || I <- [A, Held]], [] end,
        _ = wasmbeam_fixture:start("(module (import \"m\" \"f\" (func)))",
                                   #{store => A, imports => #{<<"m">> => #{<<"f">> => Fun}}}),
        #{id := Id} = wasmbeam:info(Held),
        exit({held, Id})
    end),
    Id = receive {'DOWN', Monitor, process, _, {held, Held}} -> Held end,
    wasmbeam_fixture:await(fun() ->
        not lists:any(fun(#{id := Other}) -> Other =:= Id end, wasmbeam:instances())
    end).
