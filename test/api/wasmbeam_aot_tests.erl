%% Precompiled images.
-module(wasmbeam_aot_tests).

-include_lib("eunit/include/eunit.hrl").

-export([an_image_is_started/0, every_function_that_starts_takes_an_image/0,
         an_image_keeps_its_configuration/0, what_an_image_was_not_compiled_with/0,
         a_compiled_module_is_exported/0, without_permission_nothing_is_loaded/0,
         another_key_is_refused/0, an_altered_image_is_refused_wherever_it_is/0,
         what_is_no_image_is_refused/0, an_image_is_no_module/0, snapshots_go_both_ways/0,
         bad_keys_are_refused/0, a_key_file_is_made/0, wrong_options_are_bad_arguments/0,
         images_and_modules_of_hb_beamr/0]).

-define(SOURCE, <<"(module (memory (export \"memory\") 1)
                     (global $count (mut i32) (i32.const 0))
                     (func (export \"up\") (result i32)
                       (global.set $count (i32.add (global.get $count) (i32.const 1)))
                       (global.get $count)))">>).
-define(AOT, #{mode => aot}).

%% Each test has the environment for itself.
aot_test_() ->
    Setup = fun() -> environment(#{wasm_allow_aot => true, aot_key => key(1)}) end,
    [{atom_to_list(Test), {setup, Setup, fun restore/1, fun ?MODULE:Test/0}}
     || Test <- [an_image_is_started, every_function_that_starts_takes_an_image,
                 an_image_keeps_its_configuration, what_an_image_was_not_compiled_with,
                 a_compiled_module_is_exported, without_permission_nothing_is_loaded,
                 another_key_is_refused, an_altered_image_is_refused_wherever_it_is,
                 what_is_no_image_is_refused, an_image_is_no_module,
                 snapshots_go_both_ways, bad_keys_are_refused,
                 a_key_file_is_made, wrong_options_are_bad_arguments,
                 images_and_modules_of_hb_beamr]].

key(N) -> binary:copy(<<N>>, 32).

environment(Settings) ->
    maps:map(fun(Name, Value) ->
        Before = application:get_env(wasmbeam, Name),
        ok = set(Name, {ok, Value}),
        Before
    end, Settings).

restore(Before) ->
    maps:foreach(fun set/2, Before).

set(Name, {ok, Value}) -> application:set_env(wasmbeam, Name, Value);
set(Name, undefined) -> application:unset_env(wasmbeam, Name).

with(Settings, Test) ->
    Before = environment(Settings),
    try Test() after restore(Before) end.

image() ->
    {ok, Image} = wasmbeam:precompile(?SOURCE),
    Image.

up(Instance) ->
    {ok, [Count]} = wasmbeam:call(Instance, <<"up">>, []),
    Count.

refused(Class, Image) ->
    ?assert(wasmbeam_fixture:answers(Class, wasmbeam:compile(Image, ?AOT))),
    ?assert(wasmbeam_fixture:answers(Class, wasmbeam:start(Image, ?AOT))),
    ?assertMatch({error, {Class, _}}, hb_beamr:start(Image, aot)).

an_image_is_started() ->
    Image = image(),
    {ok, Module} = wasmbeam:compile(Image, ?AOT),
    {ok, One} = wasmbeam:start(Module),
    {ok, Two} = wasmbeam:start(Image, ?AOT),
    ?assertEqual([1, 2, 1], [up(One), up(One), up(Two)]),
    {ok, Plain} = wasmbeam:compile(?SOURCE),
    ?assertEqual(wasmbeam:exports(Plain), wasmbeam:exports(Module)),
    ?assertEqual(wasmbeam:imports(Plain), wasmbeam:imports(Module)).

every_function_that_starts_takes_an_image() ->
    {ok, Snapshot} = wasmbeam:serialize(wasmbeam_fixture:start(?SOURCE)),
    {ok, Restored} = wasmbeam:restore(image(), Snapshot, ?AOT),
    ?assertEqual(1, up(Restored)),
    {ok, Hello} = wasmbeam:precompile(<<"(module
        (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
        (memory (export \"memory\") 1)
        (func (export \"_start\") (call $exit (i32.const 3))))">>),
    ?assertMatch({ok, #{exit := 3}}, wasmbeam:run(Hello, ?AOT)).

an_image_keeps_its_configuration() ->
    {ok, Image} = wasmbeam:precompile(?SOURCE, #{fuel => true, deterministic => true,
                                                 compiler => #{opt => none}}),
    [?assertMatch({Options, {ok, _}}, {Options, wasmbeam:start(Image, Options#{mode => aot})})
     || Options <- [#{}, #{fuel => 1000}, #{deterministic => true}, #{compiler => #{opt => none}}]],
    {ok, Counting} = wasmbeam:start(Image, #{mode => aot, fuel => 1000}),
    ?assertEqual(1, up(Counting)),
    ?assertMatch(#{fuel := Left} when Left < 1000, wasmbeam:info(Counting)).

what_an_image_was_not_compiled_with() ->
    Image = image(),
    [?assertMatch({error, {bad_image, #{option := Name}}},
                  wasmbeam:start(Image, #{mode => aot, Name => Value}))
     || {Name, Value} <- [{fuel, 1000}, {deterministic, true}, {compiler, #{opt => none}}]],
    ?assertMatch({error, {bad_image, #{option := fuel, value := true}}},
                 wasmbeam:compile(Image, #{mode => aot, fuel => true})),
    ?assertMatch({ok, _}, wasmbeam:compile(Image, #{mode => aot, fuel => false})).

a_compiled_module_is_exported() ->
    {ok, Module} = wasmbeam:compile(?SOURCE),
    ?assertEqual({ok, image()}, wasmbeam:precompile(Module)),
    {ok, Loaded} = wasmbeam:compile(image(), ?AOT),
    ?assertEqual({ok, image()}, wasmbeam:precompile(Loaded)),
    ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:precompile(Module, #{fuel => true}))).

without_permission_nothing_is_loaded() ->
    Image = image(),
    {ok, _} = wasmbeam:compile(Image, ?AOT),
    [with(#{wasm_allow_aot => Value}, fun() -> refused(not_permitted, Image) end)
     || Value <- [false, yes, "true", 1]],
    with(#{wasm_allow_aot => false}, fun() ->
        %% Making one runs nothing.
        ?assertEqual({ok, Image}, wasmbeam:precompile(?SOURCE)),
        refused(not_permitted, <<"no image">>)
    end),
    ?assertMatch({ok, _}, wasmbeam:start(Image, ?AOT)).

another_key_is_refused() ->
    Image = image(),
    {ok, _} = wasmbeam:compile(Image, ?AOT),
    with(#{aot_key => key(2)}, fun() -> refused(bad_image, Image) end),
    with(#{aot_key => <<(key(1))/binary, 1>>}, fun() -> refused(bad_image, Image) end),
    ?assertMatch({ok, _}, wasmbeam:compile(Image, ?AOT)).

%% The core's tests alter each byte.
an_altered_image_is_refused_wherever_it_is() ->
    Image = image(),
    Size = byte_size(Image),
    Places = lists:seq(0, 79) ++ lists:seq(80, Size - 33, Size div 40)
        ++ lists:seq(Size - 32, Size - 1),
    [begin
         <<Before:Place/binary, Byte, After/binary>> = Image,
         Altered = <<Before/binary, (Byte bxor 16#40), After/binary>>,
         ?assert(wasmbeam_fixture:answers(bad_image, wasmbeam:compile(Altered, ?AOT)))
     end || Place <- Places],
    [?assert(wasmbeam_fixture:answers(bad_image, wasmbeam:compile(Part, ?AOT)))
     || Part <- [binary:part(Image, 0, Length)
                 || Length <- [0, 1, 8, 71, 72, 104, Size div 2, Size - 1]]],
    refused(bad_image, <<Image/binary, 0>>),
    refused(bad_image, <<Image/binary, Image/binary>>).

what_is_no_image_is_refused() ->
    [refused(bad_image, Bytes)
     || Bytes <- [<<>>, ?SOURCE, <<0, "asm", 1, 0, 0, 0>>, <<127, "ELF">>,
                  binary:copy(<<0>>, 100000)]],
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:compile(Term, ?AOT)))
     || Term <- [undefined, "image", 5, self()]].

an_image_is_no_module() ->
    ?assert(wasmbeam_fixture:answers(invalid_module, wasmbeam:compile(image()))).

snapshots_go_both_ways() ->
    Image = image(),
    Plain = wasmbeam_fixture:start(?SOURCE),
    {ok, Loaded} = wasmbeam:start(Image, ?AOT),
    [1, 2, 3] = [up(Plain), up(Plain), up(Plain)],
    1 = up(Loaded),
    {ok, Three} = wasmbeam:serialize(Plain),
    {ok, One} = wasmbeam:serialize(Loaded),
    {ok, FromPlain} = wasmbeam:restore(Image, Three, ?AOT),
    {ok, FromLoaded} = wasmbeam:restore(?SOURCE, One, #{}),
    ?assertEqual([4, 2], [up(FromPlain), up(FromLoaded)]),
    ok = wasmbeam:deserialize(Loaded, Three),
    ok = wasmbeam:deserialize(Plain, One),
    ?assertEqual([4, 2], [up(Loaded), up(Plain)]),
    {ok, Fork} = wasmbeam:fork(Loaded),
    ok = wasmbeam:reset(Loaded),
    ?assertEqual([5, 1], [up(Fork), up(Loaded)]),
    %% An increment of one on the other.
    {ok, Increment} = wasmbeam:serialize(FromPlain, #{base => Three}),
    {ok, Chained} = wasmbeam:restore(?SOURCE, [Three, Increment], #{}),
    ?assertEqual(5, up(Chained)).

bad_keys_are_refused() ->
    Image = image(),
    with(#{aot_key => <<"short">>}, fun() ->
        ?assert(wasmbeam_fixture:answers(not_permitted, wasmbeam:precompile(?SOURCE))),
        refused(not_permitted, Image)
    end),
    [with(#{aot_key => Key}, fun() ->
        {error, {bad_argument, Info}} = wasmbeam:precompile(?SOURCE),
        ?assertEqual('...', map_get(value, Info)),
        refused(bad_argument, Image)
     end) || Key <- ["a string that is long enough to be a key", 5, secret]].

a_key_file_is_made() ->
    Folder = wasmbeam_fixture:temporary_folder(),
    File = filename:join([Folder, "new", "aot.key"]),
    application:unset_env(wasmbeam, aot_key),
    with(#{aot_key_file => File}, fun() ->
        {ok, Image} = wasmbeam:precompile(?SOURCE),
        ?assertMatch({ok, _}, wasmbeam:start(Image, ?AOT)),
        {ok, Info} = file:read_file_info(File),
        ?assertEqual({32, 8#600}, {element(2, Info), element(8, Info) band 8#777}),
        %% The next one has the same key.
        ?assertEqual({ok, Image}, wasmbeam:precompile(?SOURCE)),
        ok = file:change_mode(File, 8#644),
        ?assert(wasmbeam_fixture:answers(not_permitted, wasmbeam:precompile(?SOURCE)))
    end),
    [with(#{aot_key_file => Name}, fun() ->
        ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:precompile(?SOURCE)))
     end) || Name <- [5, "", <<>>, {}, self()]],
    ok = file:del_dir_r(Folder).

wrong_options_are_bad_arguments() ->
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:precompile(?SOURCE, Options)))
     || Options <- [?AOT, #{colour => red}, [], #{compiler => speed}]],
    [?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:precompile(Source)))
     || Source <- [undefined, 5, self(), make_ref(), "(module)"]].

images_and_modules_of_hb_beamr() ->
    {ok, Handle, [], Exports} = hb_beamr:start(image(), aot),
    {ok, Other, [], Exports} = hb_beamr:start(?SOURCE, wasm),
    ?assertEqual({ok, [1]}, hb_beamr:call(Handle, "up", [])),
    ?assertEqual({ok, [2]}, hb_beamr:call(Handle, "up", [])),
    {ok, State} = hb_beamr:serialize(Handle),
    ?assertEqual(ok, hb_beamr:deserialize(Other, State)),
    [ok = hb_beamr:stop(Each) || Each <- [Handle, Other]].
