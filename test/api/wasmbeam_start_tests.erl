-module(wasmbeam_start_tests).

-include_lib("eunit/include/eunit.hrl").

-define(ADD, <<"(module (func (export \"add\") (param i32 i32) (result i32)
                  (i32.add (local.get 0) (local.get 1))))">>).
-define(COUNTER, <<"(module (global $n (mut i32) (i32.const 0))
                      (func (export \"next\") (result i32)
                        (global.set $n (i32.add (global.get $n) (i32.const 1))) global.get $n))">>).

text_bytes_and_modules_start_test() ->
    {ok, Module} = wasmbeam:compile(?ADD),
    [begin
         {ok, I} = wasmbeam:start(Source),
         ?assertEqual({ok, [3]}, wasmbeam:call(I, <<"add">>, [1, 2]))
     end || Source <- [?ADD, Module]],
    ?assertMatch({ok, _}, wasmbeam:start(<<0, "asm", 1, 0, 0, 0>>)).

instances_of_a_module_share_nothing_test() ->
    {ok, Module} = wasmbeam:compile(?COUNTER),
    {ok, A} = wasmbeam:start(Module),
    {ok, B} = wasmbeam:start(Module),
    ?assertEqual({ok, [1]}, wasmbeam:call(A, <<"next">>, [])),
    ?assertEqual({ok, [2]}, wasmbeam:call(A, <<"next">>, [])),
    ?assertEqual({ok, [1]}, wasmbeam:call(B, <<"next">>, [])).

the_start_function_runs_test() ->
    {ok, I} = wasmbeam:start(<<"(module (global $g (export \"g\") (mut i32) (i32.const 1))
                                 (func $go (global.set $g (i32.const 2))) (start $go))">>),
    ?assertEqual({ok, 2}, wasmbeam:global_get(I, <<"g">>)).

the_start_function_can_use_imports_that_use_the_instance_test() ->
    Import = fun([], #{instance := I}) ->
        {ok, <<"data">>} = wasmbeam:memory_read(I, 8, 4),
        ok = wasmbeam:memory_write(I, 100, <<"seen">>),
        {ok, [9]} = wasmbeam:call(I, <<"nine">>, []),
        []
    end,
    {ok, I} = wasmbeam:start(
        <<"(module (import \"env\" \"f\" (func $f)) (memory (export \"m\") 1)
             (data (i32.const 8) \"data\") (func (export \"nine\") (result i32) i32.const 9)
             (start $f2) (func $f2 call $f))">>,
        #{imports => #{<<"env">> => #{<<"f">> => Import}}}),
    ?assertEqual({ok, <<"seen">>}, wasmbeam:memory_read(I, 100, 4)).

a_trap_of_the_start_function_is_the_error_test() ->
    ?assertMatch({error, {trap, #{code := unreachable, message := _}}},
                 wasmbeam:start(<<"(module (func $f unreachable) (start $f))">>)).

segments_that_do_not_fit_trap_test() ->
    ?assertMatch({error, {trap, #{code := memory_out_of_bounds}}},
                 wasmbeam:start(<<"(module (memory 1) (data (i32.const 65536) \"x\"))">>)),
    ?assertMatch({error, {trap, #{code := table_out_of_bounds}}},
                 wasmbeam:start(<<"(module (table 1 funcref) (func $f) (elem (i32.const 1) $f))">>)).

an_import_that_fails_fails_the_start_test() ->
    ?assertMatch({error, {import_failed, #{class := error, reason := oops}}},
                 wasmbeam:start(starting_with_import(), #{imports => #{<<"env">> => #{
                     <<"f">> => fun([]) -> error(oops) end}}})),
    ?assertMatch({error, {unknown_import, #{module := <<"env">>, name := <<"f">>}}},
                 wasmbeam:start(starting_with_import())).

a_start_function_that_never_ends_ends_with_the_timeout_test() ->
    ?assertMatch({error, {timeout, #{message := _}}},
                 wasmbeam:start(<<"(module (func $f (loop br 0)) (start $f))">>, #{timeout => 5})).

a_start_function_that_never_ends_ends_without_fuel_test() ->
    ?assertMatch({error, {out_of_fuel, _}},
                 wasmbeam:start(<<"(module (func $f (loop br 0)) (start $f))">>, #{fuel => 1000})).

a_start_function_that_never_ends_ends_with_its_process_test() ->
    Test = self(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        wasmbeam:start(<<"(module (import \"env\" \"f\" (func $f)) (func $g call $f (loop br 0))
                           (start $g))">>,
                       #{imports => #{<<"env">> => #{<<"f">> => fun([]) -> Test ! in, [] end}}})
    end),
    receive in -> ok end,
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, Reason} -> ?assertEqual(killed, Reason) end.

what_is_no_source_is_a_bad_argument_test() ->
    {ok, I} = wasmbeam:start(?ADD),
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:start(Source)))
     || Source <- [I, undefined, "(module)", [?ADD], make_ref(), self(), 5, 1.5, {}, #{}, <<1:9>>]],
    ?assert(wasmbeam_fixture:answers(invalid_module, wasmbeam:start(<<"garbage">>))).

wrong_options_are_bad_arguments_test() ->
    [?assertEqual({Options, true},
                  {Options, wasmbeam_fixture:answers(bad_argument, wasmbeam:start(?ADD, Options))})
     || Options <- [undefined, [], [{fuel, 5}], 7, #{colour => blue}, #{"fuel" => 5}, #{[] => 1},
                    #{timeout => -1}, #{timeout => soon}, #{timeout => 1 bsl 32}, #{timeout => 0.5},
                    #{imports => []}, #{imports => x}, #{import_handler => x},
                    #{import_handler => fun() -> [] end}, #{unknown_imports => ignore},
                    #{unknown_imports => "trap"}, #{store => x}, #{store => make_ref()},
                    #{limits => 5}, #{limits => []}, #{limits => #{memory => -1}},
                    #{limits => #{memory => lots}}, #{limits => #{colours => 5}},
                    #{limits => #{table_elements => 1.0}}, #{limits => #{memories => 1 bsl 64}},
                    #{limits => #{tables => x}}, #{limits => #{instances => <<>>}},
                    #{fuel => -1}, #{fuel => 1.0}, #{fuel => 1 bsl 64}, #{fuel => lots},
                    #{deterministic => 1}, #{compiler => #{opt => fast}}, #{owner => x},
                    #{owner => make_ref()},
                    #{on_interrupt => ignore}, #{on_interrupt => []}]].

a_wrong_option_is_named_test() ->
    I = wasmbeam_fixture:start(?ADD),
    Names = fun(Key, Answer) ->
        {error, {bad_argument, Info}} = Answer,
        ?assertMatch(#{key := Key}, Info),
        ?assertMatch({_, _}, binary:match(map_get(message, Info), atom_to_binary(Key)))
    end,
    [Names(Key, wasmbeam:start(?ADD, #{Key => bad}))
     || Key <- [imports, import_handler, unknown_imports, store, limits, fuel, owner, on_interrupt,
                wasi, timeout, deterministic, compiler, mode, compile_limits, progress]],
    [Names(Key, wasmbeam:start(?ADD, #{limits => #{Key => bad}}))
     || Key <- [memory, memories, tables, table_elements, instances, stack]],
    Names(compression, wasmbeam:serialize(I, #{compression => gzip})),
    Names(take, wasmbeam:output(I, stdout, #{take => all})).

every_option_is_accepted_test() ->
    [?assertMatch({Options, {ok, _}}, {Options, wasmbeam:start(?ADD, Options)})
     || Options <- [#{}, #{timeout => 16#ffffffff}, #{timeout => infinity}, #{imports => #{}},
                    #{import_handler => fun(_) -> [] end}, #{unknown_imports => trap},
                    #{unknown_imports => error}, #{limits => #{}},
                    #{limits => #{memory => infinity, memories => 0, tables => 0,
                                  table_elements => 0, instances => 1}},
                    #{fuel => 1}, #{fuel => infinity}, #{deterministic => true},
                    #{deterministic => false}, #{compiler => #{opt => none}},
                    #{compiler => #{opt => speed}}, #{compiler => #{opt => speed_and_size}}, #{owner => self()}, #{owner => none},
                    #{on_interrupt => keep}, #{on_interrupt => fail}]].

a_compiled_module_keeps_to_what_it_was_compiled_with_test() ->
    {ok, Plain} = wasmbeam:compile(?ADD),
    [?assertMatch({error, {bad_argument, #{value := Plain}}}, wasmbeam:start(Plain, Options))
     || Options <- [#{fuel => 5}, #{deterministic => true}, #{compiler => #{opt => none}}]],
    {ok, Special} = wasmbeam:compile(?ADD, #{fuel => true, deterministic => true,
                                             compiler => #{opt => none}}),
    [?assertMatch({ok, _}, wasmbeam:start(Special, Options))
     || Options <- [#{}, #{fuel => 5}, #{fuel => infinity}, #{deterministic => true},
                    #{compiler => #{opt => none}}]],
    ?assertMatch({error, {bad_argument, _}}, wasmbeam:start(Special, #{deterministic => false})).

a_deterministic_guest_makes_canonical_nans_only_test() ->
    Source = <<"(module (func (export \"f\") (param f64) (result f64)
                  (f64.div (local.get 0) (f64.const 0)))
                 (func (export \"g\") (param f32 f32) (result f32)
                  (f32.add (local.get 0) (local.get 1))))">>,
    I = wasmbeam_fixture:start(Source, #{deterministic => true}),
    ?assertEqual({ok, [nan]}, wasmbeam:call(I, <<"f">>, [0.0])),
    ?assertEqual({ok, [nan]}, wasmbeam:call(I, <<"f">>, [{nan, 16#fff8000000000123}])),
    ?assertEqual({ok, [nan]}, wasmbeam:call(I, <<"g">>, [infinity, neg_infinity])),
    ?assertEqual({ok, [nan]}, wasmbeam:call(I, <<"g">>, [{nan, 16#ffc12345}, 1.0])).

a_stopped_instance_answers_stopped_to_everything_test() ->
    I = wasmbeam_fixture:start(wasmbeam_fixture:source("calls"), #{}),
    ok = wasmbeam:stop(I),
    [?assertEqual({Answer, true}, {Answer, wasmbeam_fixture:answers(stopped, Answer)})
     || Answer <- [wasmbeam:stop(I), wasmbeam:cancel(I), wasmbeam:give_away(I, self()),
                   wasmbeam:give_away(I, none), wasmbeam:call(I, <<"swap">>, [1, 2]),
                   wasmbeam:call(I, {table_index, 0}, []), wasmbeam:memory_size(I),
                   wasmbeam:memory_read(I, 0, 1), wasmbeam:memory_read(I, 0, 1 bsl 46),
                   wasmbeam:memory_read_string(I, 0), wasmbeam:memory_write(I, 0, <<1>>),
                   wasmbeam:memory_grow(I, 1), wasmbeam:global_get(I, <<"global">>),
                   wasmbeam:global_set(I, <<"global">>, 1), wasmbeam:table_size(I, <<"table">>),
                   wasmbeam:table_get(I, <<"table">>, 0), wasmbeam:table_set(I, <<"table">>, 0, null),
                   wasmbeam:table_grow(I, <<"table">>, 1, null),
                   wasmbeam:start(?ADD, #{store => I})]],
    ?assertMatch(#{state := stopped, memory_bytes := 0}, wasmbeam:info(I)).

a_call_in_progress_ends_when_the_instance_is_stopped_test() ->
    I = wasmbeam_fixture:start(wasmbeam_fixture:spinning(), #{imports => #{<<"env">> => #{
        <<"entered">> => wasmbeam_fixture:gate()}}}),
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"spin">>, []),
    receive {at_gate, Pid, []} -> wasmbeam_fixture:open(Pid) end,
    Waiting = wasmbeam_fixture:spawn_call(I, <<"answer">>, []),
    wasmbeam_fixture:await(fun() ->
        #{queue_length := Length} = wasmbeam:info(I), Length =:= 1
    end),
    ok = wasmbeam:stop(I),
    ?assertMatch({error, {stopped, _}}, wasmbeam_fixture:result(Call)),
    ?assertMatch({error, {stopped, _}}, wasmbeam_fixture:result(Waiting)).

an_import_can_stop_its_instance_test() ->
    I = wasmbeam_fixture:start(wasmbeam_fixture:spinning(), #{imports => #{<<"env">> => #{
        <<"entered">> => fun([], #{instance := I}) -> ok = wasmbeam:stop(I), [] end}}}),
    ?assertMatch({error, {stopped, _}}, wasmbeam:call(I, <<"spin">>, [])).

what_is_no_instance_cannot_be_stopped_test() ->
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:stop(Term)))
     || Term <- wasmbeam_fixture:not_instances()].

starting_with_import() ->
    <<"(module (import \"env\" \"f\" (func $f)) (start $f))">>.
