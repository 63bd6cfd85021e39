-module(wasmbeam_compile_tests).

-include_lib("eunit/include/eunit.hrl").

%% (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
-define(HEADER, 0, "asm", 1, 0, 0, 0).
-define(TYPES, 1, 7, 1, 16#60, 2, 16#7f, 16#7f, 1, 16#7f).
-define(FUNCTIONS, 3, 2, 1, 0).
-define(EXPORTS, 7, 7, 1, 3, "add", 0, 0).
-define(CODE, 10, 9, 1, 7, 0, 16#20, 0, 16#20, 1, 16#6a, 16#0b).
-define(ADD, <<?HEADER, ?TYPES, ?FUNCTIONS, ?EXPORTS, ?CODE>>).

a_binary_module_compiles_test() ->
    {ok, Module} = wasmbeam:compile(?ADD),
    {ok, Instance} = wasmbeam:start(Module),
    ?assertEqual({ok, [5]}, wasmbeam:call(Instance, <<"add">>, [2, 3])).

a_text_module_compiles_test() ->
    ?assertMatch({ok, _}, wasmbeam:compile(<<"(module (func (export \"f\")))">>)).

a_slice_of_a_larger_binary_compiles_test() ->
    Bytes = ?ADD,
    <<_:3/binary, Slice:(byte_size(Bytes))/binary, _/binary>> = <<"abc", Bytes/binary, "def">>,
    ?assertMatch({ok, _}, wasmbeam:compile(Slice)).

imports_are_described_in_their_order_test() ->
    Source = wasmbeam_fixture:source("every_kind"),
    Described = [
        #{module => <<"host">>, name => <<"f">>, kind => func,
          type => #{params => [i32, i64], results => [f32, f64]}},
        #{module => <<"host">>, name => <<"g">>, kind => global,
          type => #{value => i64, mutable => true}},
        #{module => <<"host">>, name => <<"m">>, kind => memory,
          type => #{min => 1, max => 4, index_type => i32, page_size => 65536, shared => false}},
        #{module => <<"host">>, name => <<"t">>, kind => table,
          type => #{element => funcref, min => 2, max => infinity, index_type => i32}},
        #{module => <<"host">>, name => <<"e">>, kind => tag, type => #{params => [i32]}}
    ],
    ?assertEqual(Described, wasmbeam:imports(Source)),
    {ok, Module} = wasmbeam:compile(Source),
    ?assertEqual(Described, wasmbeam:imports(Module)).

exports_are_described_in_their_order_test() ->
    Source = wasmbeam_fixture:source("every_kind"),
    Described = [
        #{name => <<"func">>, kind => func,
          type => #{params => [v128, externref], results => [funcref]}},
        #{name => <<"global">>, kind => global, type => #{value => i32, mutable => false}},
        #{name => <<"memory">>, kind => memory,
          type => #{min => 1, max => infinity, index_type => i64, page_size => 65536,
                    shared => false}},
        #{name => <<"table">>, kind => table,
          type => #{element => externref, min => 3, max => 5, index_type => i32}},
        #{name => <<"tag">>, kind => tag, type => #{params => [f64]}}
    ],
    ?assertEqual(Described, wasmbeam:exports(Source)),
    {ok, Module} = wasmbeam:compile(Source),
    ?assertEqual(Described, wasmbeam:exports(Module)).

an_instance_describes_its_module_test() ->
    Source = <<"(module (import \"a\" \"b\" (func)) (func (export \"c\")))">>,
    {ok, Instance} = wasmbeam:start(Source),
    ?assertEqual(wasmbeam:imports(Source), wasmbeam:imports(Instance)),
    ?assertEqual(wasmbeam:exports(Source), wasmbeam:exports(Instance)).

what_cannot_be_described_is_a_bad_argument_test() ->
    [?assert(wasmbeam_fixture:answers(bad_argument, Describe(Term)))
     || Describe <- [fun wasmbeam:imports/1, fun wasmbeam:exports/1],
        Term <- [undefined, self(), make_ref(), "text", 7, {}, {'$wasmbeam', make_ref(), #{}}]],
    ?assert(wasmbeam_fixture:answers(invalid_module, wasmbeam:imports(<<"nonsense">>))).

garbage_is_an_invalid_module_test() ->
    [?assert(wasmbeam_fixture:answers(invalid_module, wasmbeam:compile(Bytes)))
     || Bytes <- [<<>>, <<0>>, <<0, "asm">>, <<0, "asm", 2, 0, 0, 0>>, <<255, 254, 253>>,
                  <<"MZ", 0, 0>>, <<127, "ELF">>, binary:copy(<<0>>, 1000),
                  binary:copy(<<255>>, 100000), <<"\xff(module)">>]].

random_garbage_is_an_invalid_module_test() ->
    Random = rand:seed_s(exsss, {1, 2, 3}),
    lists:foldl(
        fun(Size, State) ->
            {Bytes, Next} = rand:bytes_s(Size, State),
            ?assert(wasmbeam_fixture:answers(invalid_module,
                                             wasmbeam:compile(<<?HEADER, 99, Bytes/binary>>))),
            Next
        end, Random, lists:seq(1, 100)).

a_truncated_module_is_invalid_wherever_it_ends_test() ->
    Bytes = ?ADD,
    %% What ends behind the header or the types is a whole, if useless, module.
    Whole = [byte_size(<<?HEADER>>), byte_size(<<?HEADER, ?TYPES>>)],
    [begin
         Answer = wasmbeam:compile(binary:part(Bytes, 0, Size)),
         case lists:member(Size, Whole) of
             true -> ?assertMatch({ok, _}, Answer);
             false -> ?assert(wasmbeam_fixture:answers(invalid_module, Answer))
         end
     end || Size <- lists:seq(0, byte_size(Bytes) - 1)].

a_module_that_does_not_validate_is_invalid_and_tells_where_test() ->
    %% i64.add in place of i32.add
    Bytes = binary:replace(?ADD, <<16#6a>>, <<16#7c>>),
    {error, {invalid_module, Info}} = wasmbeam:compile(Bytes),
    ?assertMatch(#{message := _, offset := Offset} when Offset > 30, Info),
    ?assert(map_get(offset, Info) =< byte_size(Bytes)).

a_flipped_bit_never_does_harm_test() ->
    Bytes = ?ADD,
    [begin
         <<Before:Bit, Flip:1, After/bitstring>> = Bytes,
         case wasmbeam:compile(<<Before:Bit, (1 - Flip):1, After/bitstring>>) of
             {ok, _} -> ok;
             Error -> ?assert(wasmbeam_fixture:answers(invalid_module, Error))
         end
     end || Bit <- lists:seq(0, bit_size(Bytes) - 1)].

a_component_is_no_module_test() ->
    {error, {invalid_module, #{message := Binary}}} =
        wasmbeam:compile(<<0, "asm", 13, 0, 1, 0>>),
    ?assertNotEqual(nomatch, string:find(Binary, "component")),
    ?assertMatch({error, {invalid_module, _}}, wasmbeam:compile(<<"(component)">>)).

an_error_in_the_text_tells_the_line_test() ->
    {error, {invalid_module, #{message := Message}}} =
        wasmbeam:compile(<<"(module\n  (func (export \"f\")\n    i32.nonsense))">>),
    ?assertNotEqual(nomatch, string:find(Message, ":3:")).

text_that_is_no_module_is_invalid_test() ->
    [?assert(wasmbeam_fixture:answers(invalid_module, wasmbeam:compile(Text)))
     || Text <- [<<"(">>, <<")">>, <<"(module">>, <<"(module))">>, <<"(modul)">>, <<"hello">>,
                 <<"(module (func (result i32)))">>, <<"(module (func call $nobody))">>,
                 <<"(module (func (export \"f\")) (func (export \"f\")))">>]].

what_is_not_bytes_is_a_bad_argument_test() ->
    {ok, Module} = wasmbeam:compile(<<"(module)">>),
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:compile(Term)))
     || Term <- [Module, undefined, "(module)", [<<"(module)">>], <<1:7>>, 42, 1.5, self(), {}, #{}]].

unknown_options_and_wrong_values_are_bad_arguments_test() ->
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:compile(<<"(module)">>, Options)))
     || Options <- [#{colour => blue}, #{<<"fuel">> => true}, #{1 => 2}, #{fuel => 100},
                    #{fuel => yes}, #{deterministic => 1}, #{compiler => #{opt => fast}}, #{compiler => #{opt => 2}},
                    #{compiler => speed}, #{compiler => #{speed => high}}, #{optimize => none},
                    #{mode => jit}, #{timeout => -1}, #{progress => yes},
                    #{progress => fun() -> ok end}, #{compile_limits => 5},
                    #{compile_limits => #{bytes => -1}}, #{compile_limits => #{lines => 1}},
                    [], [{fuel, true}], undefined, 7]].

every_option_is_accepted_test() ->
    [?assertMatch({ok, _}, wasmbeam:compile(<<"(module)">>, #{fuel => Fuel,
                                                              deterministic => Deterministic,
                                                              compiler => #{opt => Opt}}))
     || Fuel <- [true, false], Deterministic <- [true, false],
        Opt <- [none, speed, speed_and_size]].

an_image_is_compiled_once_for_each_set_of_options_test() ->
    Source = new_image(),
    #{misses := Before} = wasmbeam:cache_info(),
    {ok, _} = wasmbeam:compile(Source),
    ?assertMatch(#{misses := After} when After =:= Before + 1, wasmbeam:cache_info()),
    #{hits := Hits} = wasmbeam:cache_info(),
    {ok, _} = wasmbeam:compile(Source),
    {ok, _} = wasmbeam:start(Source),
    ?assertMatch(#{misses := Misses, hits := Now} when Misses =:= Before + 1 andalso Now =:= Hits + 2,
                 wasmbeam:cache_info()),
    {ok, _} = wasmbeam:compile(Source, #{fuel => true}),
    ?assertMatch(#{misses := Misses} when Misses =:= Before + 2, wasmbeam:cache_info()).

a_hundred_processes_that_start_a_new_image_compile_it_once_test() ->
    Source = new_image(),
    #{misses := Before, modules := Modules} = wasmbeam:cache_info(),
    Starters = [spawn_monitor(fun() ->
                    {ok, Instance} = wasmbeam:start(Source),
                    exit({result, wasmbeam:call(Instance, <<"f">>, [])})
                end) || _ <- lists:seq(1, 100)],
    [?assertEqual({ok, [7]}, wasmbeam_fixture:result(Starter)) || Starter <- Starters],
    ?assertMatch(#{misses := After, modules := Now} when After =:= Before + 1 andalso Now =:= Modules + 1,
                 wasmbeam:cache_info()).

a_failure_is_not_cached_test() ->
    Source = <<(new_image())/binary, "(">>,
    #{modules := Before} = wasmbeam:cache_info(),
    ?assertMatch({error, {invalid_module, _}}, wasmbeam:compile(Source)),
    ?assertMatch({error, {invalid_module, _}}, wasmbeam:compile(Source)),
    ?assertMatch(#{modules := Before}, wasmbeam:cache_info()).

%% A module that this VM has not seen.
new_image() ->
    Name = integer_to_binary(erlang:unique_integer([positive])),
    <<"(module $image", Name/binary, " (func (export \"f\") (result i32) i32.const 7))">>.
