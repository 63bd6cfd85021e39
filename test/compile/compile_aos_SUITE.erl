%% A Lua process of AOS whose code is precompiled.
-module(compile_aos_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, init_per_suite/1, end_per_suite/1]).
-export([another_vm_goes_on_from_image_and_snapshot/1, snapshots_go_both_ways/1,
         hb_beamr_goes_on_from_an_image/1, the_folder_serves_another_vm/1,
         each_level_of_optimization_evaluates/1]).

all() ->
    [another_vm_goes_on_from_image_and_snapshot, snapshots_go_both_ways,
     hb_beamr_goes_on_from_an_image, the_folder_serves_another_vm,
     each_level_of_optimization_evaluates].

init_per_suite(Config) ->
    case {filelib:is_regular(path()), wasmbeam:compile(<<"(module)">>)} of
        {true, {ok, _}} -> allow(), Config;
        {false, _} -> {skip, "no file " ++ path()};
        {_, {error, {native_unavailable, _}}} -> {skip, "built without the native library"}
    end.

end_per_suite(_Config) ->
    [application:unset_env(wasmbeam, Name) || Name <- [wasm_allow_aot, aot_key]].

allow() ->
    application:set_env(wasmbeam, wasm_allow_aot, true),
    application:set_env(wasmbeam, aot_key, binary:copy(<<5>>, 32)).

path() ->
    Beside = filename:join(filename:dirname(wasmbeam_spec:root()), "shared"),
    filename:join([os:getenv("WASMBEAM_SHARED", Beside), "modules", "aos-2-pure-xs.wasm"]).

source() ->
    {ok, Source} = file:read_file(path()),
    Source.

options() ->
    #{import_handler => fun(_) -> {default, [0]} end}.

evaluate(Instance, Code) ->
    Arguments = [string(Instance, Text) || Text <- [message(Code), environment()]],
    {ok, [Answer]} = wasmbeam:call(Instance, <<"handle">>, Arguments),
    {ok, Json} = wasmbeam:memory_read_string(Instance, Answer),
    data(Json).

data(Json) ->
    {match, [Data]} = re:run(Json, "\"data\":\"([^\"]*)\"", [{capture, all_but_first, binary}]),
    Data.

string(Instance, Text) ->
    Bytes = <<Text/binary, 0>>,
    {ok, [Pointer]} = wasmbeam:call(Instance, <<"malloc">>, [byte_size(Bytes)]),
    ok = wasmbeam:memory_write(Instance, Pointer, Bytes),
    Pointer.

message(Code) ->
    <<"{\"From\":\"FOOBAR\",\"Block-Height\":\"1\",\"Target\":\"AOS\",\"Owner\":\"FOOBAR\","
      "\"Id\":\"1\",\"Module\":\"W\",\"Tags\":[{\"name\":\"Action\",\"value\":\"Eval\"}],"
      "\"Data\":\"", Code/binary, "\"}">>.

environment() ->
    <<"{\"Process\":{\"Id\":\"AOS\",\"Owner\":\"FOOBAR\",\"Tags\":["
      "{\"name\":\"Name\",\"value\":\"Thomas\"},"
      "{\"name\":\"Authority\",\"value\":\"FOOBAR\"}]}}">>.

another_vm_goes_on_from_image_and_snapshot(Config) ->
    {ok, Image} = wasmbeam:precompile(source()),
    {ok, Instance} = wasmbeam:start(Image, (options())#{mode => aot}),
    _ = evaluate(Instance, <<"x = 41">>),
    {ok, Snapshot} = wasmbeam:serialize(Instance),
    Folder = ?config(priv_dir, Config),
    Files = [filename:join(Folder, Name) || Name <- ["aos.image", "aos.snapshot"]],
    [ok = file:write_file(File, Bytes) || {File, Bytes} <- lists:zip(Files, [Image, Snapshot])],
    Answer = child_vm:run(Config, fun() ->
        allow(),
        [{ok, Code}, {ok, State}] = [file:read_file(File) || File <- Files],
        {ok, Restored} = wasmbeam:restore(Code, State, (options())#{mode => aot}),
        evaluate(Restored, <<"return x + 1">>)
    end),
    ?assertEqual(<<"42">>, Answer).

snapshots_go_both_ways(_Config) ->
    {ok, Image} = wasmbeam:precompile(source()),
    Ways = [{source(), #{}}, {Image, #{mode => aot}}],
    [begin
         {ok, Instance} = wasmbeam:start(From, maps:merge(options(), FromMode)),
         _ = evaluate(Instance, <<"x = 41">>),
         {ok, Snapshot} = wasmbeam:serialize(Instance, #{compression => zstd}),
         {ok, Restored} = wasmbeam:restore(To, Snapshot, maps:merge(options(), ToMode)),
         ?assertEqual(<<"42">>, evaluate(Restored, <<"return x + 1">>)),
         {ok, Fork} = wasmbeam:fork(Restored),
         ?assertEqual(<<"43">>, evaluate(Fork, <<"return x + 2">>))
     end || {From, FromMode} <- Ways, {To, ToMode} <- Ways].

hb_beamr_goes_on_from_an_image(_Config) ->
    {ok, Image} = wasmbeam:precompile(source()),
    {ok, Plain, Imports, Exports} = hb_beamr:start(source()),
    {ok, Loaded, Imports, Exports} = hb_beamr:start(Image, aot),
    _ = hb_evaluate(Plain, <<"x = 41">>),
    {ok, State} = hb_beamr:serialize(Plain),
    ok = hb_beamr:deserialize(Loaded, State),
    ?assertEqual(<<"42">>, hb_evaluate(Loaded, <<"return x + 1">>)),
    [ok = hb_beamr:stop(Handle) || Handle <- [Plain, Loaded]].

hb_evaluate(Handle, Code) ->
    {ok, Message} = hb_beamr_io:write_string(Handle, message(Code)),
    {ok, Environment} = hb_beamr_io:write_string(Handle, environment()),
    {ok, [Answer]} = hb_beamr:call(Handle, "handle", [Message, Environment]),
    {ok, Json} = hb_beamr_io:read_string(Handle, Answer),
    data(Json).

the_folder_serves_another_vm(Config) ->
    Folder = filename:join(?config(priv_dir, Config), "cache"),
    Path = path(),
    Start = fun() ->
        allow(),
        application:set_env(wasmbeam, cache_dir, Folder),
        {ok, Source} = file:read_file(Path),
        {ok, Instance} = wasmbeam:start(Source, options()),
        {evaluate(Instance, <<"return 6 * 7">>),
         maps:with([disk_hits, disk_misses], wasmbeam:cache_info())}
    end,
    ?assertEqual({<<"42">>, #{disk_hits => 0, disk_misses => 1}}, child_vm:run(Config, Start)),
    ?assertEqual({<<"42">>, #{disk_hits => 1, disk_misses => 0}}, child_vm:run(Config, Start)).

each_level_of_optimization_evaluates(_Config) ->
    {ok, Instance} = wasmbeam:start(source(), options()),
    _ = evaluate(Instance, <<"x = 41">>),
    {ok, Snapshot} = wasmbeam:serialize(Instance),
    [begin
         Options = (options())#{compiler => #{opt => Opt}},
         {ok, Restored} = wasmbeam:restore(source(), Snapshot, Options),
         ?assertEqual(<<"42">>, evaluate(Restored, <<"return x + 1">>))
     end || Opt <- [none, speed_and_size]].
