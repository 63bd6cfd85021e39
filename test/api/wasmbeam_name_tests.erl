-module(wasmbeam_name_tests).

-include_lib("eunit/include/eunit.hrl").

-define(SOURCE, <<"(module
    (memory (export \"first\") 1)
    (memory (export \"other\") 2)
    (table (export \"table\") 3 externref)
    (global (export \"global\") (mut i32) (i32.const 7))
    (func (export \"add\") (param i32 i32) (result i32)
      (i32.add (local.get 0) (local.get 1)))
    (func (export \"gr\\c3\\bc\\c3\\9fe\") (result i32) (i32.const 1)))">>).

a_string_or_an_atom_names_an_export_as_a_binary_does_test() ->
    I = wasmbeam_fixture:start(?SOURCE),
    [begin
         ?assertEqual({ok, [3]}, wasmbeam:call(I, As(<<"add">>), [1, 2])),
         ?assertEqual({ok, [3]}, wasmbeam:call(I, As(<<"add">>), [1, 2], #{timeout => 1000})),
         ?assertEqual({ok, [1]}, wasmbeam:call(I, As(<<"grüße"/utf8>>), [])),
         ?assertEqual({ok, 7}, wasmbeam:global_get(I, As(<<"global">>))),
         ?assertEqual(ok, wasmbeam:global_set(I, As(<<"global">>), 7)),
         ?assertEqual({ok, 131072}, wasmbeam:memory_size(I, #{memory => As(<<"other">>)})),
         ?assertEqual({ok, 3}, wasmbeam:table_size(I, As(<<"table">>))),
         ?assertEqual(ok, wasmbeam:table_set(I, As(<<"table">>), 0, here)),
         ?assertEqual({ok, here}, wasmbeam:table_get(I, As(<<"table">>), 0)),
         ?assertEqual({ok, 3}, wasmbeam:table_grow(I, As(<<"table">>), 0, null)),
         ?assertMatch({error, {unknown_export, #{name := <<"none">>}}},
                      wasmbeam:call(I, As(<<"none">>), []))
     end || As <- ways()].

a_string_or_an_atom_names_what_is_imported_from_another_instance_test() ->
    Exporter = wasmbeam_fixture:start(?SOURCE),
    Source = <<"(module (import \"math\" \"plus\" (func $plus (param i32 i32) (result i32)))
        (func (export \"three\") (result i32) (call $plus (i32.const 1) (i32.const 2))))">>,
    [begin
         Imports = #{As(<<"math">>) => #{As(<<"plus">>) => {export, Exporter, As(<<"add">>)}}},
         I = wasmbeam_fixture:start(Source, #{imports => Imports}),
         ?assertEqual({ok, [3]}, wasmbeam:call(I, <<"three">>, []))
     end || As <- ways()].

what_is_no_text_is_left_as_it_is_test() ->
    [?assertEqual(Term, wasmbeam_name:binary(Term))
     || Term <- [null, [], [a], [-1], [16#110000], ["a" | b], 1, 1.0, {a}, #{}, self()]].

names_that_are_binaries_are_not_copied_test() ->
    Imports = #{<<"env">> => #{<<"f">> => fun([]) -> [] end}, <<"lib">> => instance},
    ?assert(erts_debug:same(Imports, wasmbeam_imports:named(Imports))).

ways() ->
    [fun(Name) -> Name end, fun unicode:characters_to_list/1, fun(Name) -> binary_to_atom(Name) end].
