%% @doc A machine that refuses something: threads, memory, writing to its files.
-module(faults_machine_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, init_per_testcase/2, end_per_testcase/2]).
-export([
    without_threads_starting_fails_and_is_tried_again/1,
    a_growth_that_finds_no_memory_fails_alone/1,
    an_application_on_a_read_only_file_system_works/1
]).

all() ->
    [without_threads_starting_fails_and_is_tried_again,
     a_growth_that_finds_no_memory_fails_alone,
     an_application_on_a_read_only_file_system_works].

init_per_testcase(an_application_on_a_read_only_file_system_works, Config) ->
    case os:cmd("unshare --mount true") of
        [] -> Config;
        Refused -> {skip, "no mounts of one's own: " ++ string:trim(Refused)}
    end;
init_per_testcase(_, Config) ->
    case os:find_executable("prlimit") of
        false -> {skip, "no prlimit"};
        _ -> Config
    end.

end_per_testcase(_Case, _Config) ->
    ok.

%% Of this VM, from now on: a soft limit, which can be lifted again.
limit(Resource, Limit) ->
    [] = os:cmd(lists:concat(["prlimit --pid ", os:getpid(), " --", Resource, "=", Limit, ":"])),
    ok.

%% What makes a thread is its stack: without room for one there is none, as with `ulimit -u' (which
%% does not bind root).
without_threads_starting_fails_and_is_tried_again(Config) ->
    child_vm:run(Config, fun() ->
        {module, _} = code:ensure_loaded(wasmbeam_nif),
        Busy = faults_guest:busy(),
        [begin
            limit(as, integer_to_list(child_vm:virtual_bytes() + (Room bsl 10))),
            ?assertMatch({error, {internal, #{message := _}}}, wasmbeam:start(Busy))
         end || Room <- [0, 1024, 8192]],
        limit(as, "unlimited"),
        {ok, I} = wasmbeam:start(Busy),
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1]))
    end).

a_growth_that_finds_no_memory_fails_alone(Config) ->
    child_vm:run(Config, fun() ->
        Guest = <<"(module (memory (export \"memory\") 1) (table (export \"t\") 1 funcref)
            (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export \"grow_table\") (param i32) (result i32)
              (table.grow 0 (ref.null func) (local.get 0))))">>,
        {ok, I} = wasmbeam:start(Guest),
        {ok, [1]} = wasmbeam:call(I, <<"grow">>, [1]),
        %% Memory is counted when it becomes accessible.
        limit(data, integer_to_list(32 bsl 20)),
        ?assertEqual({ok, [-1]}, wasmbeam:call(I, <<"grow">>, [32768])),
        ?assertMatch({error, {limit, _}}, wasmbeam:memory_grow(I, 32768)),
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"grow">>, [0])),
        limit(data, "unlimited"),
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"grow">>, [32768])),
        ?assertEqual({ok, 32770 bsl 16}, wasmbeam:memory_size(I))
    end).

an_application_on_a_read_only_file_system_works(Config) ->
    Root = filename:join(?config(priv_dir, Config), "release"),
    Library = filename:join([Root, "lib", "wasmbeam"]),
    ok = filelib:ensure_path(Library),
    _ = [begin
        "" = os:cmd(lists:concat(["cp -RL '", filename:join(code:lib_dir(wasmbeam), Folder), "' '",
                                  Library, "/'"]))
    end || Folder <- ["ebin", "priv"]],
    Mount = lists:concat(["exec unshare --mount sh -c 'mount --bind \"", Root, "\" \"", Root,
                          "\" && mount -o remount,bind,ro \"", Root, "\" && exec \"$@\"' sh \"$@\"; :"]),
    Busy = faults_guest:busy(),
    Where = child_vm:run(Config, fun() ->
        true = code:add_patha(filename:join(Library, "ebin")),
        [begin _ = code:purge(M), _ = code:delete(M) end || M <- [wasmbeam, wasmbeam_call]],
        {ok, I} = wasmbeam:start(Busy),
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1])),
        {ok, Snapshot} = wasmbeam:serialize(I),
        ?assertMatch({ok, _}, wasmbeam:restore(Busy, Snapshot, #{})),
        ?assertMatch({ok, _}, wasmbeam:fork(I)),
        ?assertEqual({error, erofs}, file:write_file(filename:join(Library, "file"), <<>>)),
        [code:which(M) || M <- [wasmbeam, wasmbeam_nif]]
    end, #{before => Mount}),
    [?assertEqual(filename:join(Library, "ebin"), filename:dirname(File)) || File <- Where].
