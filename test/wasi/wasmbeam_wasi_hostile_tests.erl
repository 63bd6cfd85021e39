%% Guests that mean harm, or are wrong: the error number that the standard names, and nothing else.
-module(wasmbeam_wasi_hostile_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_wasi_guest, [start/2, errno/3, ok/3, at/3, put/3, put_buffers/3, get/3,
                              get_size/2, open/3, read/3, write/3]).

-define(FAULT, 21).
-define(ILSEQ, 25).
-define(INVAL, 28).
-define(LOOP, 32).
-define(MFILE, 33).
-define(NAMETOOLONG, 37).
-define(NOENT, 44).
-define(NOSPC, 51).
-define(PERM, 63).

-define(MEMORY, 4 * 65536).

widths_test_() ->
    [{lists:flatten(io_lib:format("~ts, ~b bits", [Name, Width])),
      {timeout, 120, {spawn, fun() -> Test(Width) end}}}
     || Width <- wasmbeam_wasi_guest:widths(),
        {Name, Test} <- [
            {"good arguments are good", fun good_arguments/1},
            {"pointers out of bounds are EFAULT", fun bad_pointers/1},
            {"sizes out of bounds are EFAULT", fun bad_sizes/1},
            {"buffers out of bounds are EFAULT", fun bad_buffers/1},
            {"a million buffers are EINVAL", fun million_buffers/1},
            {"paths with a zero byte are EINVAL", fun zero_bytes/1},
            {"names and paths that are too long are ENAMETOOLONG", fun long_paths/1},
            {"symbolic links in a circle are ELOOP", fun circles/1},
            {"paths that lead out are EPERM", fun escapes/1},
            {"all descriptors in use are EMFILE", fun descriptors/1},
            {"all files in use are ENOSPC", fun quota_of_files/1},
            {"all bytes in use are ENOSPC", fun quota_of_bytes/1},
            {"offsets and sizes at the ends of their types", fun extreme_numbers/1},
            {"a long transfer lets others run", fun long_transfer/1},
            {"a long listing lets others run", fun long_listing/1},
            {"a long run of random bytes lets others run", fun long_random/1},
            {"a long transfer can be cancelled, and its process killed", fun cancelled_transfer/1}
        ]].

%% Good arguments of every function that has a pointer or a size, with the places (from 1) of those
%% that are addresses and of those that are sizes. Descriptor 4 is a file; at address 8192 there is
%% its name, at 8200 that of a symbolic link, at 8208 one that is free; at 64 there is a buffer, and
%% at 512 a subscription.
arguments() ->
    #{"args_get" => {[1024, 2048], [1, 2], []},
      "args_sizes_get" => {[1024, 2048], [1, 2], []},
      "environ_get" => {[1024, 2048], [1, 2], []},
      "environ_sizes_get" => {[1024, 2048], [1, 2], []},
      "clock_res_get" => {[0, 1024], [2], []},
      "clock_time_get" => {[0, 0, 1024], [3], []},
      "fd_fdstat_get" => {[4, 1024], [2], []},
      "fd_filestat_get" => {[4, 1024], [2], []},
      "fd_pread" => {[4, 64, 1, 0, 1024], [2, 5], [3]},
      "fd_prestat_get" => {[3, 1024], [2], []},
      "fd_prestat_dir_name" => {[3, 1024, 5], [2], [3]},
      "fd_pwrite" => {[4, 64, 1, 0, 1024], [2, 5], [3]},
      "fd_read" => {[4, 64, 1, 1024], [2, 4], [3]},
      "fd_readdir" => {[3, 1024, 300, 0, 16], [2, 5], [3]},
      "fd_seek" => {[4, 0, 0, 1024], [4], []},
      "fd_tell" => {[4, 1024], [2], []},
      "fd_write" => {[1, 64, 1, 1024], [2, 4], [3]},
      "path_create_directory" => {[3, 8208, 4], [2], [3]},
      "path_filestat_get" => {[3, 0, 8192, 4, 1024], [3, 5], [4]},
      "path_filestat_set_times" => {[3, 0, 8192, 4, 0, 0, 0], [3], [4]},
      "path_link" => {[3, 0, 8192, 4, 3, 8208, 4], [3, 6], [4, 7]},
      "path_open" => {[3, 0, 8192, 4, 0, 2, 0, 0, 1024], [3, 9], [4]},
      "path_readlink" => {[3, 8200, 4, 1024, 10, 16], [2, 4, 6], [3, 5]},
      "path_remove_directory" => {[3, 8216, 4], [2], [3]},
      "path_rename" => {[3, 8192, 4, 3, 8208, 4], [2, 5], [3, 6]},
      "path_symlink" => {[8192, 4, 3, 8208, 4], [1, 4], [2, 5]},
      "path_unlink_file" => {[3, 8192, 4], [2], [3]},
      "poll_oneoff" => {[512, 1024, 1, 16], [1, 2, 4], [3]},
      "random_get" => {[1024, 100], [1], [2]}}.

%% Nothing to point at: these take none, or fail before they look, for there are no sockets.
without_pointers() ->
    ["fd_advise", "fd_allocate", "fd_close", "fd_datasync", "fd_fdstat_set_flags",
     "fd_fdstat_set_rights", "fd_filestat_set_size", "fd_filestat_set_times", "fd_renumber",
     "fd_sync", "proc_exit", "proc_raise", "sched_yield", "sock_accept", "sock_recv", "sock_send",
     "sock_shutdown"].

every_function_is_here_test() ->
    ?assertEqual(lists:sort([Name || {Name, _} <- wasmbeam_wasi_guest:functions()]),
                 lists:sort(maps:keys(arguments()) ++ without_pointers())).

tree() ->
    #{<<"file">> => <<"text">>, <<"link">> => {symlink, <<"file">>}, <<"none">> => #{}}.

prepared(Width) ->
    Guest = start(Width, #{args => [<<"a">>], env => [{<<"b">>, <<>>}], fs => tree(),
                           preopens => [{<<"first">>, <<"/">>}], clock => {fixed, 1}}),
    {ok, 4} = open(Guest, <<"file">>, 0),
    put(Guest, 8192, <<"file", 0:32, "link", 0:32, "free", 0:32, "none">>),
    put_buffers(Guest, 64, [{16384, 4}]),
    put(Guest, 512, <<7:64/little, 0, 0:312>>),
    Guest.

good_arguments(Width) ->
    [begin
         Guest = prepared(Width),
         ?assertEqual({Name, 0}, {Name, errno(Guest, Name, Good)})
     end || {Name, {Good, _, _}} <- maps:to_list(arguments())].

bad_pointers(Width) ->
    Far = [?MEMORY, ?MEMORY - 1, (1 bsl 32) - 1, (1 bsl 31)]
        ++ [N || Width =:= 64, N <- [1 bsl 32, 1 bsl 63, (1 bsl 64) - 1, (1 bsl 64) - 8]],
    all_fault(Width, fun({Good, Pointers, _}) ->
        [replace(Place, Value, Good) || Place <- Pointers, Value <- Far]
    end).

bad_sizes(Width) ->
    Huge = [(1 bsl 32) - 1, 1 bsl 31, ?MEMORY]
        ++ [N || Width =:= 64, N <- [1 bsl 32, 1 bsl 60, (1 bsl 64) - 1]],
    all_fault(Width, fun({Good, _, Sizes}) ->
        [replace(Place, Value, Good) || Place <- Sizes, Value <- Huge]
    end).

%% All of these calls are EFAULT, and neither memory nor files nor descriptors change.
all_fault(Width, Variants) ->
    Guest = #{instance := Instance} = prepared(Width),
    Before = get(Guest, 0, ?MEMORY),
    Odd = [{Name, Args, Errno}
           || {Name, Arguments} <- maps:to_list(arguments()), Args <- Variants(Arguments),
              Errno <- [errno(Guest, Name, Args)], Errno =/= ?FAULT],
    ?assertEqual([], Odd),
    ?assert(Before =:= get(Guest, 0, ?MEMORY)),
    ?assertEqual({ok, tree()}, wasmbeam:fs_get(Instance)),
    ?assertEqual({ok, <<>>}, wasmbeam:output(Instance, stdout)),
    ?assertEqual({ok, 5}, open(Guest, <<"file">>, 0)).

replace(Place, Value, Args) ->
    {Before, [_ | After]} = lists:split(Place - 1, Args),
    Before ++ [Value | After].

bad_buffers(Width) ->
    Guest = #{instance := Instance} = prepared(Width),
    Most = (1 bsl Width) - 1,
    Bad = [{?MEMORY, 1}, {0, ?MEMORY + 1}, {Most, 1}, {1, Most}, {Most, Most}, {?MEMORY - 1, 2}],
    [begin
         put_buffers(Guest, 64, [{16384, 4}, Buffer, {16384, 4}]),
         [?assertEqual({Name, Fd, Buffer, ?FAULT}, {Name, Fd, Buffer, errno(Guest, Name, [Fd | Args])})
          || {Name, Fd, Args} <- [{"fd_write", 4, [64, 3, 16]}, {"fd_write", 1, [64, 3, 16]},
                                  {"fd_pwrite", 4, [64, 3, 0, 16]}, {"fd_read", 4, [64, 3, 16]},
                                  {"fd_read", 0, [64, 3, 16]}, {"fd_pread", 4, [64, 3, 0, 16]}]]
     end || Buffer <- Bad],
    ?assertEqual({ok, tree()}, wasmbeam:fs_get(Instance)),
    ?assertEqual({ok, <<>>}, wasmbeam:output(Instance, stdout)).

million_buffers(Width) ->
    Guest = #{instance := Instance} = prepared(Width),
    {ok, _} = wasmbeam:memory_grow(Instance, 300),
    Calls = [{"fd_read", 0, []}, {"fd_read", 4, []}, {"fd_write", 1, []}, {"fd_write", 4, []},
             {"fd_pread", 4, [0]}, {"fd_pwrite", 4, [0]}],
    [?assertEqual({Name, Count, Errno}, {Name, Count, errno(Guest, Name, [Fd, ?MEMORY, Count] ++ More ++ [16])})
     || {Name, Fd, More} <- Calls, {Count, Errno} <- [{1024, 0}, {1025, ?INVAL}, {1000000, ?INVAL}]].

%% A call of every function for each path that it takes; `Path' is put in its place.
with_path(Path) ->
    [{"path_create_directory", [3, Path]},
     {"path_filestat_get", [3, 1, Path, 1024]},
     {"path_filestat_set_times", [3, 1, Path, 0, 0, 0]},
     {"path_link", [3, 1, Path, 3, <<"free">>]},
     {"path_link", [3, 0, <<"file">>, 3, Path]},
     {"path_open", [3, 1, Path, 0, 2, 0, 0, 1024]},
     {"path_readlink", [3, Path, 1024, 10, 16]},
     {"path_remove_directory", [3, Path]},
     {"path_rename", [3, Path, 3, <<"free">>]},
     {"path_rename", [3, <<"file">>, 3, Path]},
     {"path_symlink", [<<"file">>, 3, Path]},
     {"path_unlink_file", [3, Path]}].

refused(Guest = #{instance := Instance}, Errno, Path) ->
    Before = wasmbeam:fs_get(Instance),
    [?assertEqual({Name, Args, Errno}, {Name, Args, at(Guest, Name, Args)})
     || {Name, Args} <- with_path(Path)],
    ?assertEqual(Before, wasmbeam:fs_get(Instance)).

zero_bytes(Width) ->
    Guest = prepared(Width),
    [refused(Guest, ?INVAL, Path) || Path <- [<<"fi", 0, "le">>, <<0>>, <<"file", 0>>, <<"none/", 0>>]],
    refused(Guest, ?ILSEQ, <<"a", 255, 254>>),
    refused(Guest, ?NOENT, <<>>),
    [?assertEqual(Errno, at(Guest, "path_symlink", [Target, 3, <<"free">>]))
     || {Target, Errno} <- [{<<"a", 0>>, ?INVAL}, {<<255>>, ?ILSEQ}, {<<>>, ?NOENT}]].

long_paths(Width) ->
    Guest = prepared(Width),
    [refused(Guest, ?NAMETOOLONG, Path)
     || Path <- [binary:copy(<<"n">>, 100000), binary:copy(<<"n">>, 256), binary:copy(<<"./">>, 2048),
                 <<"none/", (binary:copy(<<"n">>, 256))/binary>>]],
    ?assertEqual(?NAMETOOLONG, at(Guest, "path_symlink", [binary:copy(<<"n">>, 100000), 3, <<"free">>])),
    %% The longest that can be.
    Longest = binary:copy(<<"n">>, 255),
    ?assertEqual(0, at(Guest, "path_create_directory", [3, Longest])),
    ?assertEqual(0, at(Guest, "path_remove_directory",
                       [3, <<(binary:copy(<<"./">>, (4095 - 255) div 2))/binary, Longest/binary>>])).

circles(Width) ->
    Guest = #{instance := Instance} = prepared(Width),
    ok = wasmbeam:fs_write(Instance, "self", {symlink, <<"self">>}),
    ok = wasmbeam:fs_write(Instance, "ping", {symlink, <<"pong/x">>}),
    ok = wasmbeam:fs_write(Instance, "pong", {symlink, <<"./ping/../none">>}),
    [refused(Guest, ?LOOP, Path) || Path <- [<<"self/x">>, <<"ping/x">>, <<"none/../pong/x/y">>]],
    [?assertEqual({Flag, ?LOOP}, {Flag, at(Guest, "path_open", [3, Flag, <<"self">>, 0, 2, 0, 0, 1024])})
     || Flag <- [0, 1]],
    %% As many links as are followed, and one more.
    Chain = fun(N) -> <<"c", (integer_to_binary(N))/binary>> end,
    ok = wasmbeam:fs_write(Instance, Chain(0), <<"end">>),
    [ok = wasmbeam:fs_write(Instance, Chain(N), {symlink, Chain(N - 1)}) || N <- lists:seq(1, 41)],
    ?assertMatch({ok, _}, open(Guest, Chain(40), 0)),
    ?assertEqual({errno, ?LOOP}, open(Guest, Chain(41), 0)).

escapes(Width) ->
    Guest = #{instance := Instance} = prepared(Width),
    [ok = wasmbeam:fs_write(Instance, Name, {symlink, Target})
     || {Name, Target} <- [{"up", <<"..">>}, {"far", <<"none/../../none">>}, {"root", <<"/file">>}]],
    [refused(Guest, ?PERM, Path)
     || Path <- [<<"../file">>, <<"/file">>, <<"none/../../file">>, <<"up/file">>, <<"far/x">>, <<"root/x">>]],
    ?assertEqual({errno, ?PERM}, open(Guest, <<"root">>, 0)),
    ?assertEqual(?PERM, at(Guest, "path_open", [3, 0, <<"..">>, 2, 0, 0, 0, 1024])).

descriptors(Width) ->
    Guest = start(Width, #{fs => tree(), quotas => #{descriptors => 100}}),
    Fds = [begin {ok, Fd} = open(Guest, <<"file">>, 0), Fd end || _ <- lists:seq(5, 100)],
    ?assertEqual(lists:seq(4, 99), Fds),
    ?assertEqual({errno, ?MFILE}, open(Guest, <<"file">>, 0)),
    %% What cannot be opened is not made, and not cut.
    ?assertEqual({errno, ?MFILE}, open(Guest, <<"new">>, 1)),
    ?assertEqual({errno, ?MFILE}, open(Guest, <<"file">>, 8)),
    ?assertEqual({ok, tree()}, wasmbeam:fs_get(map_get(instance, Guest))),
    ok(Guest, "fd_close", [50]),
    ?assertEqual({ok, 50}, open(Guest, <<"file">>, 0)),
    ?assertEqual({ok, <<"text">>}, read(Guest, 50, 10)).

quota_of_files(Width) ->
    %% The root counts.
    Guest = #{instance := Instance} = start(Width, #{quotas => #{files => 10}}),
    Made = [at(Guest, "path_create_directory", [3, <<"d", ($0 + N)>>]) || N <- lists:seq(0, 9)],
    ?assertEqual(lists:duplicate(9, 0) ++ [?NOSPC], Made),
    ?assertEqual({errno, ?NOSPC}, open(Guest, <<"file">>, 1)),
    ?assertEqual(?NOSPC, at(Guest, "path_symlink", [<<"x">>, 3, <<"link">>])),
    ?assertEqual(0, at(Guest, "path_remove_directory", [3, <<"d0">>])),
    {ok, Fd} = open(Guest, <<"file">>, 1),
    %% A file without a name is one as long as it is open.
    ?assertEqual(0, at(Guest, "path_unlink_file", [3, <<"file">>])),
    ?assertEqual(?NOSPC, at(Guest, "path_create_directory", [3, <<"again">>])),
    ok(Guest, "fd_close", [Fd]),
    ?assertEqual(0, at(Guest, "path_create_directory", [3, <<"again">>])),
    {ok, Names} = wasmbeam:fs_list(Instance, "/"),
    ?assertEqual(9, length(Names)).

quota_of_bytes(Width) ->
    Guest = #{instance := Instance} = start(Width, #{quotas => #{bytes => 10}}),
    {ok, Fd} = open(Guest, <<"a">>, 1),
    ?assertEqual({ok, 10}, write(Guest, Fd, <<"0123456789ab">>)),
    ?assertEqual({errno, ?NOSPC}, write(Guest, Fd, <<"c">>)),
    put_buffers(Guest, 64, [{4096, 1}]),
    ?assertEqual(?NOSPC, errno(Guest, "fd_pwrite", [Fd, 64, 1, 10, 16])),
    ?assertEqual(?NOSPC, errno(Guest, "fd_allocate", [Fd, 10, 1])),
    ?assertEqual(?NOSPC, errno(Guest, "fd_filestat_set_size", [Fd, 1 bsl 62])),
    ?assertEqual(?NOSPC, at(Guest, "path_symlink", [<<"x">>, 3, <<"link">>])),
    ?assertEqual({ok, <<"0123456789">>}, wasmbeam:fs_read(Instance, "a")),
    %% Within the file there is room, and what is given back can be had again.
    ok(Guest, "fd_pwrite", [Fd, 64, 1, 9, 16]),
    ok(Guest, "fd_filestat_set_size", [Fd, 4]),
    ?assertEqual(0, at(Guest, "path_symlink", [<<"123456">>, 3, <<"link">>])),
    ?assertEqual(0, at(Guest, "path_unlink_file", [3, <<"link">>])),
    ok(Guest, "fd_filestat_set_size", [Fd, 10]).

extreme_numbers(Width) ->
    Guest = prepared(Width),
    Most = (1 bsl 63) - 1,
    put_buffers(Guest, 64, [{16384, 4}]),
    [?assertEqual({Name, Args, Errno}, {Name, Args, errno(Guest, Name, Args)})
     || {Name, Args, Errno} <- [
            {"fd_allocate", [4, Most, 1], 22}, {"fd_allocate", [4, -1, 1], 22},
            {"fd_allocate", [4, 0, -1], 22}, {"fd_filestat_set_size", [4, -1], 22},
            {"fd_pwrite", [4, 64, 1, Most, 16], 22}, {"fd_pwrite", [4, 64, 1, -1, 16], 22},
            {"fd_pread", [4, 64, 1, Most, 16], 0}, {"fd_pread", [4, 64, 1, -1, 16], 0},
            {"fd_advise", [4, -1, 1, 0], ?INVAL}, {"fd_seek", [4, -(1 bsl 63), 0, 16], ?INVAL},
            {"fd_seek", [4, Most, 0, 16], 0}, {"fd_seek", [4, Most, 1, 16], 61},
            {"fd_write", [4, 64, 1, 16], 22}, {"fd_read", [4, 64, 1, 16], 0},
            {"fd_readdir", [3, 1024, 300, -1, 16], 0}, {"fd_readdir", [3, 1024, 300, Most, 16], 0},
            {"fd_close", [(1 bsl 32) - 1], 8}, {"fd_close", [1 bsl 31], 8},
            {"fd_renumber", [4, (1 bsl 31) - 1], 8}]],
    ?assertEqual(0, get_size(Guest, 16)),
    %% A sleep until the end of time, and one that has been over for long.
    put(Guest, 512, <<7:64/little, 0, 0:56, 1:32/little, 0:32, 0:64, 0:64, 1:16/little, 0:48>>),
    ok(Guest, "poll_oneoff", [512, 1024, 1, 16]),
    ?assertEqual(1, get_size(Guest, 16)).

%% How often another process got to run while the only scheduler ran `Call'.
turns(Call) ->
    Online = erlang:system_flag(schedulers_online, 1),
    Turns = counters:new(1, []),
    Other = spawn_link(fun() -> turn(Turns) end),
    try
        _ = [erlang:yield() || _ <- lists:seq(1, 10)],
        Before = counters:get(Turns, 1),
        Call(),
        counters:get(Turns, 1) - Before
    after
        unlink(Other),
        exit(Other, kill),
        erlang:system_flag(schedulers_online, Online)
    end.

turn(Turns) ->
    counters:add(Turns, 1, 1),
    erlang:yield(),
    turn(Turns).

long_transfer(Width) ->
    Guest = #{instance := Instance} = prepared(Width),
    {ok, _} = wasmbeam:memory_grow(Instance, 250),
    Size = 250 * 65536,
    put_buffers(Guest, 64, [{0, Size}, {0, Size}, {0, Size}, {0, Size}]),
    Calls = [{"fd_write", [4, 64, 4, 128]}, {"fd_pread", [4, 64, 1, 0, 128]}, {"fd_write", [1, 64, 4, 128]}],
    [begin
         Turns = turns(fun() -> ok(Guest, Name, Args) end),
         ?assert({Name, Turns} > {Name, 50})
     end || {Name, Args} <- Calls],
    ?assertMatch({ok, #{size := S}} when S =:= 4 * Size, wasmbeam:fs_stat(Instance, "file")).

long_listing(Width) ->
    Files = maps:from_list([{integer_to_binary(N), <<>>} || N <- lists:seq(1, 60000)]),
    Guest = #{instance := Instance} = start(Width, #{fs => Files}),
    {ok, _} = wasmbeam:memory_grow(Instance, 64),
    Turns = turns(fun() -> ok(Guest, "fd_readdir", [3, ?MEMORY, 64 * 65536, 0, 16]) end),
    ?assert(Turns > 50),
    Names = names(get(Guest, ?MEMORY, get_size(Guest, 16)), []),
    ?assertEqual(lists:sort([<<".">>, <<"..">> | maps:keys(Files)]), lists:sort(Names)).

names(<<_:128, Size:32/little, _:32, Name:Size/binary, Rest/binary>>, Names) ->
    names(Rest, [Name | Names]);
names(<<>>, Names) ->
    Names.

long_random(Width) ->
    Guest = #{instance := Instance} = prepared(Width),
    {ok, _} = wasmbeam:memory_grow(Instance, 500),
    ?assert(turns(fun() -> ok(Guest, "random_get", [0, 500 * 65536]) end) > 50).

cancelled_transfer(Width) ->
    Guest = #{instance := Instance} = start(Width, #{stdout => {capture, 0}}),
    Size = 250 * 65536,
    Prepare = fun() ->
        {ok, _} = wasmbeam:memory_grow(Instance, 250),
        put_buffers(Guest, 64, lists:duplicate(128, {0, Size}))
    end,
    Write = fun(Options) -> wasmbeam:call(Instance, <<"fd_write">>, [1, 64, 128, 16], Options) end,
    Prepare(),
    %% Nearly two gigabytes, in thousands of pieces: it ends at the next of them.
    ?assertMatch({error, {timeout, _}}, Write(#{timeout => 0})),
    ok = wasmbeam:reset(Instance),
    Prepare(),
    {Pid, Killed} = spawn_monitor(fun Again() -> {ok, [0]} = Write(#{}), Again() end),
    ok = until_running(Instance),
    exit(Pid, kill),
    receive {'DOWN', Killed, _, _, killed} -> ok end,
    ?assertMatch({error, {_, _}}, wasmbeam:call(Instance, <<"sched_yield">>, [], #{timeout => 5000})),
    ok = wasmbeam:reset(Instance),
    ?assertEqual({ok, [0]}, wasmbeam:call(Instance, <<"sched_yield">>, [])).

until_running(Instance) ->
    case wasmbeam:info(Instance) of
        #{state := running} -> ok;
        #{} -> erlang:yield(), until_running(Instance)
    end.
