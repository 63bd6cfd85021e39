-module(wasmbeam_imports_tests).

-include_lib("eunit/include/eunit.hrl").

a_function_gets_the_arguments_and_gives_the_results_test() ->
    ?assertEqual({ok, [1, 2.5]}, call_g(fun([A, B]) -> [B, A + 0.5] end, [2, 1])).

a_function_of_two_gets_a_context_test() ->
    Test = self(),
    I = g(fun([_, _], Context) -> Test ! Context, [0, 0] end),
    {ok, _} = wasmbeam:call(I, <<"g">>, [1, 2]),
    receive Context ->
        ?assertEqual(#{instance => I, module => <<"env">>, name => <<"f">>}, Context)
    end.

a_function_runs_in_the_calling_process_test() ->
    Test = self(),
    I = g(fun([_, _]) -> ?assertEqual(Test, self()), [0, 0] end),
    ?assertEqual({ok, [0, 0.0]}, wasmbeam:call(I, <<"g">>, [1, 2])).

names_may_be_strings_and_atoms_test() ->
    Module = <<"(module (import \"env\" \"f\" (func $f (result i32)))
                        (func (export \"g\") (result i32) (call $f)))">>,
    F = fun(Result) -> fun([]) -> [Result] end end,
    [begin
         {ok, I} = wasmbeam:start(Module, #{imports => #{Env => #{Name => F(1)}}}),
         ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"g">>, [])),
         ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"g">>, [], #{imports => #{Env => #{Name => F(2)}}}))
     end || Env <- ["env", env, <<"env">>], Name <- ["f", f, <<"f">>]],
    {ok, I} = wasmbeam:start(Module, #{imports => #{[$e, -1] => #{{f} => F(1)}}}),
    ?assertMatch({error, {unknown_import, _}}, wasmbeam:call(I, <<"g">>, [])).

names_that_the_module_does_not_import_are_ignored_test() ->
    ?assertMatch({ok, _}, wasmbeam:start(<<"(module)">>, #{imports => #{<<"a">> => #{<<"b">> => x},
                                                                        c => d}})).

a_function_that_raises_fails_the_call_test() ->
    [begin
         I = g(Function),
         {error, {import_failed, Info}} = wasmbeam:call(I, <<"g">>, [1, 2]),
         ?assertMatch(#{class := Class, reason := Reason, module := <<"env">>, name := <<"f">>,
                        message := _, stacktrace := [_ | _]}, Info),
         usable(I)
     end || {Class, Reason, Function} <- [
         {error, oops, fun(_) -> error(oops) end},
         {exit, {shutdown, now}, fun(_) -> exit({shutdown, now}) end},
         {throw, [1, 0.0], fun(_) -> throw([1, 0.0]) end},
         {error, function_clause, fun([x]) -> [] end},
         {error, undef, fun(_) -> wasmbeam_nothing:here() end},
         {exit, normal, fun(_) -> exit(normal) end}]].

the_message_has_the_exception_and_of_one_of_elixir_its_own_test() ->
    Message = fun(Raise) ->
        {error, {import_failed, #{message := Text}}} = call_g(fun(_) -> Raise() end, [1, 2]),
        Text
    end,
    Elixirs = #{'__exception__' => true, '__struct__' => 'Elixir.RuntimeError'},
    ?assertEqual(<<"the function of import env.f failed: throw:{a,1}">>,
                 Message(fun() -> throw({a, 1}) end)),
    ?assertEqual(<<"the function of import env.f failed: RuntimeError: größer"/utf8>>,
                 Message(fun() -> error(Elixirs#{message => <<"größer"/utf8>>}) end)),
    [?assert(is_binary(Message(fun() -> error(Elixirs#{message => Odd}) end)))
     || Odd <- [<<255>>, <<1:3>>, undefined]].

rubbish_in_place_of_results_fails_the_call_test() ->
    [begin
         I = g(fun(_) -> Rubbish end),
         Answer = wasmbeam:call(I, <<"g">>, [1, 2]),
         ?assert(wasmbeam_fixture:answers(import_failed, Answer)),
         ?assertMatch({error, {_, #{class := error, reason := {bad_results, {bad_argument, _}},
                                    module := <<"env">>, name := <<"f">>}}}, Answer),
         usable(I)
     end || Rubbish <- [[], [1], [1, 2.0, 3], [1 | 2.0], [1, 2.0 | 3], [1.0, 2.0], [1, x], {1, 2.0},
                        ok, {ok, [1, 2.0]}, undefined, <<1, 2>>, #{}, self(), fun() -> [1, 2] end,
                        [1 bsl 32, 2.0], [1, 1.0e39], [1, {nan, 0}], [[1, 2.0]], "abc", 7,
                        lists:seq(1, 100000)]].

a_wrong_result_is_named_by_its_position_test() ->
    {error, {import_failed, #{reason := {bad_results, {bad_argument, Info}}}}} =
        call_g(fun(_) -> [1, x] end, [1, 2]),
    ?assertMatch(#{position := 2, expected := <<"f32">>, value := x,
                   message := <<"result 2: expected f32">>}, Info).

the_message_about_wrong_results_tells_what_is_wrong_test() ->
    Message = fun(Results) ->
        {error, {import_failed, #{message := Text}}} = call_g(fun(_) -> Results end, [1, 2]),
        Text
    end,
    ?assertEqual(<<"the function of import env.f gave wrong results: result 2: expected f32">>,
                 Message([1, x])),
    ?assertEqual(<<"the function of import env.f gave wrong results: expected a list of 2 results">>,
                 Message(7)).

a_reference_of_the_wrong_type_fails_the_call_test() ->
    Values = wasmbeam_fixture:start(wasmbeam_fixture:source("values")),
    {ok, [Foreign]} = wasmbeam:call(Values, <<"ref_add">>, []),
    I = wasmbeam_fixture:start(
        "(module (type $t (func (result i32))) (import \"env\" \"f\" (func $f (result (ref $t))))
           (import \"env\" \"h\" (func $h (result i31ref)))
           (func $other (export \"other\")) (elem declare func $other)
           (func (export \"ref\") (result funcref) ref.func $other)
           (func (export \"g\") (drop (call $f))) (func (export \"i\") (drop (call $h)))
           (func (export \"usable\")))",
        #{import_handler => fun(_) -> [null] end}),
    {ok, [Other]} = wasmbeam:call(I, <<"ref">>, []),
    [begin
         {error, {import_failed, Info}} =
             wasmbeam:call(I, Function, [], #{import_handler => fun(_) -> [Result] end}),
         ?assertMatch(#{class := error, reason := {bad_results, _}, module := <<"env">>, name := _,
                        message := _, stacktrace := _}, Info),
         ?assertEqual({ok, []}, wasmbeam:call(I, <<"usable">>, []))
     end || {Function, Result} <- [{<<"g">>, Foreign}, {<<"g">>, Other}, {<<"g">>, null},
                                   {<<"i">>, {i31, 1 bsl 30}}, {<<"i">>, some_term}]].

the_stack_of_the_process_unwinds_test() ->
    %% A failure is an error of the call, whatever the caller's own state.
    I = g(fun(_) -> throw(away) end),
    ?assertMatch({caught, {error, {import_failed, _}}},
                 try {caught, wasmbeam:call(I, <<"g">>, [1, 2])} catch throw:away -> escaped end).

messages_of_the_process_are_left_alone_test() ->
    self() ! before,
    I = g(fun([_, _]) -> self() ! during, [1, 1] end),
    {ok, _} = wasmbeam:call(I, <<"g">>, [1, 2]),
    ?assertEqual([before, during], flush()).

the_handler_answers_for_what_the_map_lacks_test() ->
    Test = self(),
    Handler = fun(Call) -> Test ! Call, [7] end,
    I = wasmbeam_fixture:start(two_imports(), #{
        imports => #{<<"env">> => #{<<"a">> => fun([]) -> [1] end}}, import_handler => Handler}),
    ?assertEqual({ok, [1, 7]}, wasmbeam:call(I, <<"both">>, [])),
    receive Call ->
        ?assertEqual(#{module => <<"env">>, name => <<"b">>, args => [5], instance => I,
                       type => #{params => [i64], results => [i32]}}, Call)
    end,
    ?assertEqual([], flush()).

a_handler_that_raises_or_answers_rubbish_fails_the_call_test() ->
    [begin
         I = wasmbeam_fixture:start(two_imports(), #{import_handler => Handler}),
         ?assert(wasmbeam_fixture:answers(import_failed, wasmbeam:call(I, <<"both">>, []))),
         ?assertEqual({ok, [3]}, wasmbeam:call(I, <<"three">>, []))
     end || Handler <- [fun(_) -> error(oops) end, fun(_) -> throw(x) end, fun(_) -> exit(x) end,
                        fun(_) -> rubbish end, fun(_) -> [] end]].

a_handler_can_leave_an_import_to_the_default_test() ->
    I = wasmbeam_fixture:start(two_imports(), #{import_handler => fun(_) -> default end}),
    ?assertMatch({error, {unknown_import, #{module := <<"env">>, name := <<"a">>, kind := func}}},
                 wasmbeam:call(I, <<"both">>, [])).

an_unknown_import_fails_when_it_is_called_test() ->
    I = wasmbeam_fixture:start(two_imports()),
    ?assertEqual({ok, [3]}, wasmbeam:call(I, <<"three">>, [])),
    Answer = wasmbeam:call(I, <<"both">>, []),
    ?assert(wasmbeam_fixture:answers(unknown_import, Answer)),
    ?assertMatch({error, {_, #{module := <<"env">>, name := <<"a">>, kind := func}}}, Answer),
    ?assertEqual({ok, [3]}, wasmbeam:call(I, <<"three">>, [])).

unknown_imports_can_be_refused_at_the_start_test() ->
    Answer = wasmbeam:start(two_imports(), #{unknown_imports => error,
                                             imports => #{<<"env">> => #{<<"a">> => fun(_) -> [1] end}}}),
    ?assertMatch({error, {unknown_import, #{module := <<"env">>, name := <<"b">>, kind := func,
                                            message := _}}}, Answer).

only_functions_can_be_unknown_test() ->
    [begin
         Source = iolist_to_binary(["(module (import \"env\" \"x\" (", Type, ")))"]),
         ?assertMatch({error, {unknown_import, #{module := <<"env">>, name := <<"x">>,
                                                 kind := Kind}}}, wasmbeam:start(Source))
     end || {Kind, Type} <- [{global, "global i32"}, {memory, "memory 1"}, {table, "table 1 funcref"},
                             {tag, "tag"}]].

imports_of_the_wrong_type_are_refused_test() ->
    Exporter = wasmbeam_fixture:start(wasmbeam_fixture:source("exporter")),
    [begin
         Source = iolist_to_binary(["(module (import \"env\" \"x\" (", Type, ")))"]),
         Answer = wasmbeam:start(Source, #{imports => #{<<"env">> => #{<<"x">> => Item}}}),
         ?assertEqual({Type, Item, true},
                      {Type, Item, wasmbeam_fixture:answers(incompatible_import, Answer)}),
         ?assertMatch({error, {_, #{module := <<"env">>, name := <<"x">>}}}, Answer)
     end || {Type, Item} <- [
         {"func", 5}, {"func", null}, {"func", fun() -> [] end}, {"func", fun(_, _, _) -> [] end},
         {"func", new}, {"func", <<"name">>},
         {"func", {export, x, <<"memory">>}}, {"func", {export, make_ref(), <<"memory">>}},
         {"func", {export, Exporter, <<"memory">>}}, {"func", {export, Exporter, <<"global">>}},
         {"func", {export, Exporter, <<"table">>}}, {"func", {export, Exporter, <<"tag">>}},
         {"func", {export, Exporter, <<"func">>}},
         {"global i32", {export, Exporter, <<"func">>}}, {"global i64", {export, Exporter, <<"global">>}},
         {"global i32", {export, Exporter, <<"global">>}}, {"global i32", x}, {"global i32", new},
         {"global i32", 1.5}, {"global i32", 1 bsl 32}, {"global i32", fun(_) -> [] end},
         {"global (ref extern)", null}, {"global funcref", x},
         {"memory 1", fun(_) -> [] end}, {"memory 1", 1}, {"memory 1", null},
         {"memory 3", {export, Exporter, <<"memory">>}}, {"memory 1 1", {export, Exporter, <<"memory">>}},
         {"memory i64 1", {export, Exporter, <<"memory">>}}, {"memory 1", {export, Exporter, <<"table">>}},
         {"table 1 funcref", 1}, {"table 1 externref", {export, Exporter, <<"table">>}},
         {"table 100 funcref", {export, Exporter, <<"table">>}},
         {"table 1 funcref", {export, Exporter, <<"func">>}},
         {"tag", new}, {"tag", fun(_) -> [] end}, {"tag", {export, Exporter, <<"tag">>}},
         {"tag (param i32)", {export, Exporter, <<"func">>}}]].

an_export_that_does_not_exist_is_an_unknown_import_test() ->
    Exporter = wasmbeam_fixture:start(wasmbeam_fixture:source("exporter")),
    Source = <<"(module (import \"env\" \"x\" (func)))">>,
    [?assertMatch({error, {unknown_import, #{module := <<"env">>, name := <<"x">>, kind := func}}},
                  wasmbeam:start(Source, #{imports => #{<<"env">> => Items}}))
     || Items <- [#{<<"x">> => {export, Exporter, <<"nobody">>}}, Exporter]].

a_module_name_that_is_bound_to_rubbish_is_refused_test() ->
    [?assertMatch({error, {incompatible_import, #{module := <<"env">>, name := <<"x">>}}},
                  wasmbeam:start(<<"(module (import \"env\" \"x\" (func)))">>,
                                 #{imports => #{<<"env">> => Rubbish}}))
     || Rubbish <- [x, 5, [], {}, self(), make_ref(), fun(_) -> [] end, <<"x">>]].

globals_get_values_test() ->
    Source = <<"(module (import \"env\" \"n\" (global $n i64)) (import \"env\" \"f\" (global $f f32))
                 (import \"env\" \"x\" (global $x (mut externref)))
                 (func (export \"all\") (result i64 f32 externref)
                   (global.get $n) (global.get $f) (global.get $x)))">>,
    [begin
         I = wasmbeam_fixture:start(Source, #{imports => #{<<"env">> =>
             #{<<"n">> => N, <<"f">> => F, <<"x">> => X}}}),
         ?assertEqual({ok, [N, F, X]}, wasmbeam:call(I, <<"all">>, []))
     end || {N, F, X} <- [{1 bsl 40, infinity, {a, [term]}}, {-1, 1.5, null},
                          {0, {nan, 16#ffc00001}, fun erlang:self/0}]].

memories_and_tables_can_be_new_test() ->
    I = wasmbeam_fixture:start(
        "(module (import \"env\" \"m\" (memory 2 3)) (import \"env\" \"t\" (table 4 funcref)))",
        #{imports => #{<<"env">> => #{<<"m">> => new, <<"t">> => new}}}),
    ?assertEqual({ok, 131072}, wasmbeam:memory_size(I)),
    ?assertEqual({ok, 4}, wasmbeam:table_size(I, 0)).

one_name_can_be_imported_twice_with_different_types_test() ->
    I = wasmbeam_fixture:start(
        "(module (import \"env\" \"f\" (func $f (result i32)))
           (import \"env\" \"f\" (func $g (param i32) (result i32)))
           (func (export \"both\") (result i32 i32) (call $f) (call $g (i32.const 5))))",
        #{imports => #{<<"env">> => #{<<"f">> => fun([]) -> [1]; ([N]) -> [N + 1] end}}}),
    ?assertEqual({ok, [1, 6]}, wasmbeam:call(I, <<"both">>, [])).

names_need_not_be_words_test() ->
    I = wasmbeam_fixture:start(
        unicode:characters_to_binary("(module (import \"\" \"grüße\" (func $f (result i32)))
                                        (func (export \"∑\") (result i32) call $f))"),
        #{imports => #{<<>> => #{<<"grüße"/utf8>> => fun([]) -> [1] end}}}),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"∑"/utf8>>, [])).

call_g(Function, Args) ->
    wasmbeam:call(g(Function), <<"g">>, Args).

g(Function) ->
    wasmbeam_fixture:start(
        "(module (import \"env\" \"f\" (func $f (param i32 i64) (result i32 f32)))
           (func (export \"g\") (param i32 i64) (result i32 f32)
             (call $f (local.get 0) (local.get 1)))
           (func (export \"three\") (result i32) i32.const 3))",
        #{imports => #{<<"env">> => #{<<"f">> => Function}}}).

usable(I) ->
    ?assertEqual({ok, [3]}, wasmbeam:call(I, <<"three">>, [])).

two_imports() ->
    <<"(module (import \"env\" \"a\" (func $a (result i32)))
         (import \"env\" \"b\" (func $b (param i64) (result i32)))
         (func (export \"both\") (result i32 i32) (call $a) (call $b (i64.const 5)))
         (func (export \"three\") (result i32) i32.const 3))">>.

flush() ->
    receive Message -> [Message | flush()] after 0 -> [] end.
