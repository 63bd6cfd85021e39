%% A Lua process of AOS whose state goes from one instance to another.
-module(snapshot_aos_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, init_per_suite/1, end_per_suite/1]).
-export([a_restored_process_knows_its_variables/1, a_fork_knows_its_variables/1,
         a_chain_of_twenty_knows_its_variables/1, another_vm_restores_a_process/1,
         a_reset_process_has_forgotten/1]).

all() ->
    [a_restored_process_knows_its_variables, a_fork_knows_its_variables,
     a_chain_of_twenty_knows_its_variables, another_vm_restores_a_process,
     a_reset_process_has_forgotten].

init_per_suite(Config) ->
    case {filelib:is_regular(path()), wasmbeam:compile(<<"(module)">>)} of
        {true, {ok, _}} -> Config;
        {false, _} -> {skip, "no file " ++ path()};
        {_, {error, {native_unavailable, _}}} -> {skip, "built without the native library"}
    end.

end_per_suite(_Config) -> ok.

path() ->
    Beside = filename:join(filename:dirname(wasmbeam_spec:root()), "shared"),
    filename:join([os:getenv("WASMBEAM_SHARED", Beside), "modules", "aos-2-pure-xs.wasm"]).

image() ->
    {ok, Image} = file:read_file(path()),
    Image.

options() ->
    #{import_handler => fun(_) -> {default, [0]} end}.

%% A process in which `Code' was evaluated.
process(Code) ->
    {ok, Instance} = wasmbeam:start(image(), options()),
    _ = evaluate(Instance, Code),
    Instance.

restored(Snapshot) ->
    {ok, Instance} = wasmbeam:restore(image(), Snapshot, options()),
    Instance.

evaluate(Instance, Code) ->
    Message = ["{\"From\":\"FOOBAR\",\"Block-Height\":\"1\",\"Target\":\"AOS\",\"Owner\":\"FOOBAR\","
               "\"Id\":\"1\",\"Module\":\"W\",\"Tags\":[{\"name\":\"Action\",\"value\":\"Eval\"}],"
               "\"Data\":\"", Code, "\"}"],
    Environment = "{\"Process\":{\"Id\":\"AOS\",\"Owner\":\"FOOBAR\",\"Tags\":["
                  "{\"name\":\"Name\",\"value\":\"Thomas\"},"
                  "{\"name\":\"Authority\",\"value\":\"FOOBAR\"}]}}",
    Arguments = [string(Instance, Message), string(Instance, Environment)],
    {ok, [Answer]} = wasmbeam:call(Instance, <<"handle">>, Arguments),
    {ok, Json} = wasmbeam:memory_read_string(Instance, Answer),
    {match, [Data]} = re:run(Json, "\"data\":\"([^\"]*)\"", [{capture, all_but_first, binary}]),
    Data.

string(Instance, Text) ->
    Bytes = iolist_to_binary([Text, 0]),
    {ok, [Pointer]} = wasmbeam:call(Instance, <<"malloc">>, [byte_size(Bytes)]),
    ok = wasmbeam:memory_write(Instance, Pointer, Bytes),
    Pointer.

a_restored_process_knows_its_variables(_Config) ->
    Instance = process("x = 41"),
    [begin
         {ok, Snapshot} = wasmbeam:serialize(Instance, #{compression => Compression}),
         ?assertEqual(<<"42">>, evaluate(restored(Snapshot), "return x + 1"))
     end || Compression <- [none, lz4, zstd]].

a_fork_knows_its_variables(_Config) ->
    Instance = process("x = 41"),
    {ok, Fork} = wasmbeam:fork(Instance),
    _ = evaluate(Instance, "x = 7"),
    ?assertEqual(<<"42">>, evaluate(Fork, "return x + 1")),
    ?assertEqual(<<"8">>, evaluate(Instance, "return x + 1")).

a_chain_of_twenty_knows_its_variables(_Config) ->
    Instance = process("x = 21"),
    {ok, Full} = wasmbeam:serialize(Instance),
    Links = lists:foldl(fun(_, [Last | _] = Chain) ->
        _ = evaluate(Instance, "x = x + 1"),
        {ok, Link} = wasmbeam:serialize(Instance, #{base => Last}),
        [Link | Chain]
    end, [Full], lists:seq(1, 20)),
    ?assertEqual(<<"42">>, evaluate(restored(lists:reverse(Links)), "return x + 1")).

another_vm_restores_a_process(Config) ->
    {ok, Snapshot} = wasmbeam:serialize(process("x = 41"), #{compression => zstd}),
    File = filename:join(?config(priv_dir, Config), "process.snapshot"),
    ok = file:write_file(File, Snapshot),
    Answer = child_vm:run(Config, fun() ->
        {ok, Read} = file:read_file(File),
        evaluate(restored(Read), "return x + 1")
    end),
    ?assertEqual(<<"42">>, Answer).

a_reset_process_has_forgotten(_Config) ->
    Instance = process("x = 41"),
    ok = wasmbeam:reset(Instance),
    ?assertEqual(<<"1">>, evaluate(Instance, "return (x or 0) + 1")).
