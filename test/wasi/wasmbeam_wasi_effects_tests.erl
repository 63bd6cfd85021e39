%% What each of the 46 functions does, as a guest sees it, in both widths of pointers.
-module(wasmbeam_wasi_effects_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_wasi_guest, [start/2, errno/3, ok/3, at/3, put/3, put_buffers/3, get/3,
                              get_size/2, open/3, read/3, write/3]).

-define(BADF, 8).
-define(NOTSOCK, 57).
-define(NOTCAPABLE, 76).

-define(NOW, 1700000000000000000).

%% Rights, by the bits of the standard.
-define(FD_READ, 16#2).
-define(FD_SEEK, 16#4).
-define(FD_WRITE, 16#40).

effects_test_() ->
    [{lists:flatten(io_lib:format("~ts, ~b bits", [Name, Width])), {spawn, fun() -> Test(Width) end}}
     || {Name, Test} <- effects(), Width <- wasmbeam_wasi_guest:widths()].

every_function_is_here_test() ->
    ?assertEqual(lists:sort([Name || {Name, _} <- wasmbeam_wasi_guest:functions()]),
                 lists:sort([Name || {Name, _} <- effects()])).

effects() ->
    [{"args_get", fun args_get/1}, {"args_sizes_get", fun args_sizes_get/1},
     {"environ_get", fun environ_get/1}, {"environ_sizes_get", fun environ_sizes_get/1},
     {"clock_res_get", fun clock_res_get/1}, {"clock_time_get", fun clock_time_get/1},
     {"fd_advise", fun fd_advise/1}, {"fd_allocate", fun fd_allocate/1},
     {"fd_close", fun fd_close/1}, {"fd_datasync", fun(W) -> synced(W, "fd_datasync") end},
     {"fd_fdstat_get", fun fd_fdstat_get/1}, {"fd_fdstat_set_flags", fun fd_fdstat_set_flags/1},
     {"fd_fdstat_set_rights", fun fd_fdstat_set_rights/1},
     {"fd_filestat_get", fun fd_filestat_get/1},
     {"fd_filestat_set_size", fun fd_filestat_set_size/1},
     {"fd_filestat_set_times", fun fd_filestat_set_times/1}, {"fd_pread", fun fd_pread/1},
     {"fd_prestat_get", fun fd_prestat_get/1},
     {"fd_prestat_dir_name", fun fd_prestat_dir_name/1}, {"fd_pwrite", fun fd_pwrite/1},
     {"fd_read", fun fd_read/1}, {"fd_readdir", fun fd_readdir/1},
     {"fd_renumber", fun fd_renumber/1}, {"fd_seek", fun fd_seek/1},
     {"fd_sync", fun(W) -> synced(W, "fd_sync") end}, {"fd_tell", fun fd_tell/1},
     {"fd_write", fun fd_write/1}, {"path_create_directory", fun path_create_directory/1},
     {"path_filestat_get", fun path_filestat_get/1},
     {"path_filestat_set_times", fun path_filestat_set_times/1},
     {"path_link", fun path_link/1}, {"path_open", fun path_open/1},
     {"path_readlink", fun path_readlink/1},
     {"path_remove_directory", fun path_remove_directory/1}, {"path_rename", fun path_rename/1},
     {"path_symlink", fun path_symlink/1}, {"path_unlink_file", fun path_unlink_file/1},
     {"poll_oneoff", fun poll_oneoff/1}, {"proc_exit", fun proc_exit/1},
     {"proc_raise", fun proc_raise/1}, {"sched_yield", fun sched_yield/1},
     {"random_get", fun random_get/1}, {"sock_accept", fun(W) -> no_socket(W, "sock_accept") end},
     {"sock_recv", fun(W) -> no_socket(W, "sock_recv") end},
     {"sock_send", fun(W) -> no_socket(W, "sock_send") end},
     {"sock_shutdown", fun(W) -> no_socket(W, "sock_shutdown") end}].

%% A guest with the file `f', which holds `text', and the directory `d'.
guest(Width) ->
    start(Width, #{fs => tree(), clock => {fixed, ?NOW}, random => {seed, 1}}).

tree() ->
    #{<<"f">> => <<"text">>, <<"d">> => #{<<"g">> => <<>>}}.

files(#{instance := Instance}) ->
    {ok, Tree} = wasmbeam:fs_get(Instance),
    Tree.

%% Descriptor 4 is the file.
guest_with_file(Width) ->
    Guest = guest(Width),
    ?assertEqual({ok, 4}, open(Guest, <<"f">>, 0)),
    Guest.

offset(Guest, Fd) ->
    ok(Guest, "fd_tell", [Fd, 0]),
    <<Offset:64/little>> = get(Guest, 0, 8),
    Offset.

%% Bytes of canaries around what a function may write.
guarded(Guest, Address, Size, Call) ->
    put(Guest, Address - 8, binary:copy(<<16#aa>>, Size + 16)),
    Call(),
    <<Before:8/binary, Written:Size/binary, After:8/binary>> = get(Guest, Address - 8, Size + 16),
    Canary = binary:copy(<<16#aa>>, 8),
    ?assertEqual({Canary, Canary}, {Before, After}),
    Written.

strings_guest(Width) ->
    start(Width, #{args => [<<"prog">>, <<"-x">>], env => [{<<"A">>, <<"1">>}]}).

args_get(Width) ->
    Guest = strings_guest(Width),
    Size = Width div 8,
    Pointers = guarded(Guest, 1024, 2 * Size, fun() -> ok(Guest, "args_get", [1024, 2048]) end),
    ?assertEqual(<<2048:Width/little, 2053:Width/little>>, Pointers),
    ?assertEqual(<<"prog", 0, "-x", 0>>, get(Guest, 2048, 8)).

args_sizes_get(Width) ->
    Guest = strings_guest(Width),
    Count = guarded(Guest, 1024, Width div 8, fun() -> ok(Guest, "args_sizes_get", [1024, 2048]) end),
    ?assertEqual({<<2:Width/little>>, 8}, {Count, get_size(Guest, 2048)}).

environ_get(Width) ->
    Guest = strings_guest(Width),
    Pointers = guarded(Guest, 1024, Width div 8,
                       fun() -> ok(Guest, "environ_get", [1024, 2048]) end),
    ?assertEqual({<<2048:Width/little>>, <<"A=1", 0>>}, {Pointers, get(Guest, 2048, 4)}).

environ_sizes_get(Width) ->
    Guest = strings_guest(Width),
    Size = guarded(Guest, 2048, Width div 8,
                   fun() -> ok(Guest, "environ_sizes_get", [1024, 2048]) end),
    ?assertEqual({1, <<4:Width/little>>}, {get_size(Guest, 1024), Size}).

clock_res_get(Width) ->
    Guest = guest(Width),
    [?assertMatch(<<N:64/little>> when N > 0,
                  guarded(Guest, 1024, 8, fun() -> ok(Guest, "clock_res_get", [Id, 1024]) end))
     || Id <- [0, 1, 2, 3]],
    ?assertEqual(28, errno(Guest, "clock_res_get", [4, 1024])).

clock_time_get(Width) ->
    Guest = guest(Width),
    [?assertEqual(<<?NOW:64/little>>,
                  guarded(Guest, 1024, 8, fun() -> ok(Guest, "clock_time_get", [Id, 0, 1024]) end))
     || Id <- [0, 1]],
    ?assertEqual(28, errno(Guest, "clock_time_get", [9, 0, 1024])).

fd_advise(Width) ->
    Guest = guest_with_file(Width),
    [ok(Guest, "fd_advise", [4, 0, 100, Advice]) || Advice <- lists:seq(0, 5)],
    ?assertEqual(28, errno(Guest, "fd_advise", [4, 0, 100, 6])),
    ?assertEqual(tree(), files(Guest)).

fd_allocate(Width) ->
    Guest = guest_with_file(Width),
    ok(Guest, "fd_allocate", [4, 2, 4]),
    ?assertMatch(#{<<"f">> := <<"text", 0, 0>>}, files(Guest)),
    ok(Guest, "fd_allocate", [4, 0, 1]),
    ?assertMatch(#{<<"f">> := <<"text", 0, 0>>}, files(Guest)),
    ?assertEqual(28, errno(Guest, "fd_allocate", [4, 0, 0])).

fd_close(Width) ->
    Guest = guest_with_file(Width),
    ok(Guest, "fd_close", [4]),
    ?assertEqual(?BADF, errno(Guest, "fd_close", [4])),
    ?assertEqual({ok, 4}, open(Guest, <<"f">>, 0)).

synced(Width, Name) ->
    Guest = guest_with_file(Width),
    {ok, 3} = write(Guest, 4, <<"new">>),
    ok(Guest, Name, [4]),
    ?assertMatch(#{<<"f">> := <<"newt">>}, files(Guest)),
    ?assertEqual(?BADF, errno(Guest, Name, [5])).

fd_fdstat_get(Width) ->
    Guest = guest_with_file(Width),
    ok(Guest, "fd_fdstat_set_flags", [4, 1]),
    Stat = guarded(Guest, 1024, 24, fun() -> ok(Guest, "fd_fdstat_get", [4, 1024]) end),
    <<Type, _, Flags:16/little, _:32, Base:64/little, _Inheriting:64/little>> = Stat,
    ?assertEqual({4, 1, ?FD_READ bor ?FD_WRITE},
                 {Type, Flags, Base band (?FD_READ bor ?FD_WRITE)}),
    ok(Guest, "fd_fdstat_get", [3, 1024]),
    ?assertEqual(<<3>>, get(Guest, 1024, 1)).

fd_fdstat_set_flags(Width) ->
    Guest = guest_with_file(Width),
    ok(Guest, "fd_fdstat_set_flags", [4, 1]),
    {ok, 3} = write(Guest, 4, <<"end">>),
    ?assertMatch(#{<<"f">> := <<"textend">>}, files(Guest)),
    ok(Guest, "fd_fdstat_set_flags", [4, 0]),
    ok(Guest, "fd_pwrite", [4, 64, 1, 0, 16]),
    ?assertMatch(#{<<"f">> := <<"endtend">>}, files(Guest)),
    ?assertEqual(28, errno(Guest, "fd_fdstat_set_flags", [4, 32])).

fd_fdstat_set_rights(Width) ->
    Guest = guest_with_file(Width),
    ok(Guest, "fd_fdstat_set_rights", [4, ?FD_READ bor ?FD_SEEK, 0]),
    ?assertEqual({errno, ?BADF}, write(Guest, 4, <<"x">>)),
    ?assertEqual({ok, <<"text">>}, read(Guest, 4, 10)),
    ?assertEqual(?NOTCAPABLE, errno(Guest, "fd_fdstat_set_rights", [4, ?FD_WRITE, 0])).

stat(<<Device:64/little, Inode:64/little, Type, _:56, Links:64/little, Size:64/little,
       Accessed:64/little, Modified:64/little, Changed:64/little>>) ->
    #{id => {Device, Inode}, type => Type, links => Links, size => Size,
      times => {Accessed, Modified, Changed}}.

fd_filestat_get(Width) ->
    Guest = guest_with_file(Width),
    Stat = stat(guarded(Guest, 1024, 64, fun() -> ok(Guest, "fd_filestat_get", [4, 1024]) end)),
    ?assertMatch(#{type := 4, links := 1, size := 4, times := {?NOW, ?NOW, ?NOW}}, Stat).

fd_filestat_set_size(Width) ->
    Guest = guest_with_file(Width),
    ok(Guest, "fd_filestat_set_size", [4, 2]),
    ?assertMatch(#{<<"f">> := <<"te">>}, files(Guest)),
    ok(Guest, "fd_filestat_set_size", [4, 3]),
    ?assertMatch(#{<<"f">> := <<"te", 0>>}, files(Guest)).

fd_filestat_set_times(Width) ->
    Guest = guest_with_file(Width),
    ok(Guest, "fd_filestat_set_times", [4, 5, 6, 1 bor 4]),
    Times = fun() -> ok(Guest, "fd_filestat_get", [4, 1024]), map_get(times, stat(get(Guest, 1024, 64))) end,
    ?assertMatch({5, 6, ?NOW}, Times()),
    ok(Guest, "fd_filestat_set_times", [4, 0, 0, 8]),
    ?assertMatch({5, ?NOW, ?NOW}, Times()),
    [?assertEqual(28, errno(Guest, "fd_filestat_set_times", [4, 0, 0, Both])) || Both <- [3, 12, 16]].

fd_pread(Width) ->
    Guest = guest_with_file(Width),
    put_buffers(Guest, 64, [{4096, 1}, {5000, 10}]),
    ok(Guest, "fd_pread", [4, 64, 2, 1, 16]),
    ?assertEqual({3, <<"e">>, <<"xt">>, 0},
                 {get_size(Guest, 16), get(Guest, 4096, 1), get(Guest, 5000, 2), offset(Guest, 4)}).

fd_prestat_get(Width) ->
    Guest = guest(Width),
    Size = Width div 8,
    Prestat = guarded(Guest, 1024, 2 * Size, fun() -> ok(Guest, "fd_prestat_get", [3, 1024]) end),
    <<Tag, _:(Width - 8), Length:Width/little>> = Prestat,
    ?assertEqual({0, 1}, {Tag, Length}),
    ?assertEqual(?BADF, errno(Guest, "fd_prestat_get", [4, 1024])),
    ?assertEqual(?BADF, errno(Guest, "fd_prestat_get", [0, 1024])).

fd_prestat_dir_name(Width) ->
    Guest = guest(Width),
    ?assertEqual(<<"/">>, guarded(Guest, 1024, 1,
                                  fun() -> ok(Guest, "fd_prestat_dir_name", [3, 1024, 1]) end)),
    ok(Guest, "fd_prestat_dir_name", [3, 1024, 100]),
    ?assertEqual(37, errno(Guest, "fd_prestat_dir_name", [3, 1024, 0])).

fd_pwrite(Width) ->
    Guest = guest_with_file(Width),
    put(Guest, 4096, <<"abcd">>),
    put_buffers(Guest, 64, [{4096, 1}, {4098, 2}]),
    ok(Guest, "fd_pwrite", [4, 64, 2, 3, 16]),
    ?assertEqual({3, 0}, {get_size(Guest, 16), offset(Guest, 4)}),
    ?assertMatch(#{<<"f">> := <<"texacd">>}, files(Guest)).

fd_read(Width) ->
    Guest = guest_with_file(Width),
    ?assertEqual({ok, <<"te">>}, read(Guest, 4, 2)),
    ?assertEqual({ok, <<"xt">>}, read(Guest, 4, 100)),
    ?assertEqual({ok, <<>>}, read(Guest, 4, 100)),
    ?assertEqual(4, offset(Guest, 4)).

fd_readdir(Width) ->
    Guest = guest(Width),
    ok(Guest, "fd_readdir", [3, 4096, 1000, 0, 16]),
    Entries = entries(get(Guest, 4096, get_size(Guest, 16))),
    ?assertEqual([{<<".">>, 3}, {<<"..">>, 3}, {<<"d">>, 3}, {<<"f">>, 4}],
                 [{Name, Type} || {_, Name, Type} <- Entries]),
    {Second, _, _} = lists:nth(2, Entries),
    ok(Guest, "fd_readdir", [3, 4096, 30, Second, 16]),
    ?assertEqual(30, get_size(Guest, 16)),
    ?assertMatch([{_, <<"d">>, 3}], entries(get(Guest, 4096, 25))).

entries(<<Next:64/little, _Inode:64/little, Size:32/little, Type, _:24, Name:Size/binary,
          Rest/binary>>) ->
    [{Next, Name, Type} | entries(Rest)];
entries(<<>>) ->
    [].

fd_renumber(Width) ->
    Guest = guest_with_file(Width),
    {ok, 5} = open(Guest, <<"d/g">>, 0),
    {ok, <<"t">>} = read(Guest, 4, 1),
    ok(Guest, "fd_renumber", [4, 5]),
    ?assertEqual({ok, <<"ext">>}, read(Guest, 5, 9)),
    ?assertEqual({errno, ?BADF}, read(Guest, 4, 9)),
    ?assertEqual(?BADF, errno(Guest, "fd_renumber", [5, 9])).

fd_seek(Width) ->
    Guest = guest_with_file(Width),
    Seek = fun(Delta, Whence) ->
        <<Offset:64/little>> =
            guarded(Guest, 1024, 8, fun() -> ok(Guest, "fd_seek", [4, Delta, Whence, 1024]) end),
        Offset
    end,
    ?assertEqual([3, 1, 5, 1 bsl 40], [Seek(3, 0), Seek(-2, 1), Seek(1, 2), Seek(1 bsl 40, 0)]),
    ?assertEqual(28, errno(Guest, "fd_seek", [4, -1, 0, 1024])),
    ?assertEqual(28, errno(Guest, "fd_seek", [4, 0, 3, 1024])),
    ?assertEqual(70, errno(Guest, "fd_seek", [1, 0, 0, 1024])).

fd_tell(Width) ->
    Guest = guest_with_file(Width),
    {ok, <<"tex">>} = read(Guest, 4, 3),
    ?assertEqual(<<3:64/little>>,
                 guarded(Guest, 1024, 8, fun() -> ok(Guest, "fd_tell", [4, 1024]) end)).

fd_write(Width) ->
    Guest = #{instance := Instance} = guest_with_file(Width),
    ?assertEqual({ok, 2}, write(Guest, 4, <<"ne">>)),
    ?assertEqual({ok, 4}, write(Guest, 4, <<"wish">>)),
    ?assertMatch(#{<<"f">> := <<"newish">>}, files(Guest)),
    [?assertEqual({ok, 2}, write(Guest, Fd, <<"to">>)) || Fd <- [1, 2]],
    ?assertEqual([{ok, <<"to">>}, {ok, <<"to">>}],
                 [wasmbeam:output(Instance, Stream) || Stream <- [stdout, stderr]]),
    ?assertEqual({errno, ?BADF}, write(Guest, 0, <<"x">>)).

path_create_directory(Width) ->
    Guest = guest(Width),
    ?assertEqual(0, at(Guest, "path_create_directory", [3, <<"d/new">>])),
    ?assertMatch(#{<<"d">> := #{<<"new">> := #{}}}, files(Guest)).

path_filestat_get(Width) ->
    Guest = #{instance := Instance} = guest(Width),
    ok = wasmbeam:fs_write(Instance, "s", {symlink, <<"f">>}),
    Stat = fun(Lookup) ->
        put(Guest, 2048, <<"s">>),
        stat(guarded(Guest, 1024, 64,
                     fun() -> ok(Guest, "path_filestat_get", [3, Lookup, 2048, 1, 1024]) end))
    end,
    #{type := 7, size := 1, id := Link} = Stat(0),
    #{type := 4, size := 4, id := File} = Stat(1),
    ?assertNotEqual(Link, File).

path_filestat_set_times(Width) ->
    Guest = #{instance := Instance} = guest(Width),
    ?assertEqual(0, at(Guest, "path_filestat_set_times", [3, 0, <<"f">>, 7, 8, 5])),
    ?assertMatch({ok, #{accessed := 7, modified := 8, changed := ?NOW}},
                 wasmbeam:fs_stat(Instance, "f")).

path_link(Width) ->
    Guest = #{instance := Instance} = guest(Width),
    ?assertEqual(0, at(Guest, "path_link", [3, 0, <<"f">>, 3, <<"d/h">>])),
    ok = wasmbeam:fs_write(Instance, "f", <<"both">>),
    ?assertEqual({ok, <<"both">>}, wasmbeam:fs_read(Instance, "d/h")),
    ?assertMatch({ok, #{links := 2}}, wasmbeam:fs_stat(Instance, "d/h")).

path_open(Width) ->
    Guest = guest(Width),
    put(Guest, 2048, <<"new">>),
    Open = fun(Flags, Fdflags, Rights) ->
        ok(Guest, "path_open", [3, 0, 2048, 3, Flags, Rights, 0, Fdflags, 1024])
    end,
    Fd = guarded(Guest, 1024, 4, fun() -> Open(1 bor 4, 1, ?FD_WRITE) end),
    ?assertEqual(<<4:32/little>>, Fd),
    {ok, 3} = write(Guest, 4, <<"one">>),
    ?assertEqual({errno, ?BADF}, read(Guest, 4, 1)),
    ?assertEqual(20, errno(Guest, "path_open", [3, 0, 2048, 3, 5, ?FD_WRITE, 0, 0, 1024])),
    ?assertEqual(54, errno(Guest, "path_open", [3, 0, 2048, 3, 2, 0, 0, 0, 1024])),
    Open(8, 0, ?FD_WRITE),
    ?assertMatch(#{<<"new">> := <<>>}, files(Guest)).

path_readlink(Width) ->
    Guest = #{instance := Instance} = guest(Width),
    ok = wasmbeam:fs_write(Instance, "s", {symlink, <<"d/g">>}),
    Link = guarded(Guest, 1024, 3,
                   fun() -> ?assertEqual(0, at(Guest, "path_readlink", [3, <<"s">>, 1024, 3, 16])) end),
    ?assertEqual({<<"d/g">>, 3}, {Link, get_size(Guest, 16)}),
    ?assertEqual(0, at(Guest, "path_readlink", [3, <<"s">>, 1024, 2, 16])),
    ?assertEqual(2, get_size(Guest, 16)),
    ?assertEqual(28, at(Guest, "path_readlink", [3, <<"f">>, 1024, 3, 16])).

path_remove_directory(Width) ->
    Guest = guest(Width),
    ?assertEqual(55, at(Guest, "path_remove_directory", [3, <<"d">>])),
    ?assertEqual(0, at(Guest, "path_unlink_file", [3, <<"d/g">>])),
    ?assertEqual(0, at(Guest, "path_remove_directory", [3, <<"d/">>])),
    ?assertEqual(#{<<"f">> => <<"text">>}, files(Guest)),
    ?assertEqual(54, at(Guest, "path_remove_directory", [3, <<"f">>])).

path_rename(Width) ->
    Guest = guest(Width),
    ?assertEqual(0, at(Guest, "path_rename", [3, <<"f">>, 3, <<"d/g">>])),
    ?assertEqual(#{<<"d">> => #{<<"g">> => <<"text">>}}, files(Guest)),
    ?assertEqual(28, at(Guest, "path_rename", [3, <<"d">>, 3, <<"d/in">>])).

path_symlink(Width) ->
    Guest = guest(Width),
    ?assertEqual(0, at(Guest, "path_symlink", [<<"../f">>, 3, <<"d/s">>])),
    ?assertMatch(#{<<"d">> := #{<<"s">> := {symlink, <<"../f">>}}}, files(Guest)),
    {ok, Fd} = open(Guest, <<"d/s">>, 0),
    ?assertEqual({ok, <<"text">>}, read(Guest, Fd, 10)),
    ?assertEqual(63, at(Guest, "path_symlink", [<<"/f">>, 3, <<"d/t">>])).

path_unlink_file(Width) ->
    Guest = guest_with_file(Width),
    ?assertEqual(0, at(Guest, "path_unlink_file", [3, <<"f">>])),
    ?assertEqual({ok, <<"text">>}, read(Guest, 4, 10)),
    ?assertEqual(#{<<"d">> => #{<<"g">> => <<>>}}, files(Guest)),
    ?assertEqual(31, at(Guest, "path_unlink_file", [3, <<"d">>])).

%% Subscriptions have 48 bytes, and events 32, in both widths.
poll_oneoff(Width) ->
    Guest = guest_with_file(Width),
    Clock = <<1:64/little, 0, 0:56, 0:32/little, 0:32, 1000:64/little, 0:64, 0:16, 0:48>>,
    Read = <<2:64/little, 1, 0:56, 4:32/little, 0:224>>,
    Write = <<3:64/little, 2, 0:56, 1:32/little, 0:224>>,
    Bad = <<4:64/little, 1, 0:56, 9:32/little, 0:224>>,
    put(Guest, 1024, <<Clock/binary, Read/binary, Write/binary, Bad/binary>>),
    ok(Guest, "poll_oneoff", [1024, 4096, 4, 16]),
    Events = fun() ->
        [{User, Errno, Type, Bytes} ||
            <<User:64/little, Errno:16/little, Type, _:40, Bytes:64/little, _:64>>
                <= get(Guest, 4096, 32 * get_size(Guest, 16))]
    end,
    ?assertEqual([{2, 0, 1, 4}, {3, 0, 2, 0}, {4, ?BADF, 1, 0}], Events()),
    %% By a fixed clock a sleep is over at once.
    ok(Guest, "poll_oneoff", [1024, 4096, 1, 16]),
    ?assertEqual([{1, 0, 0, 0}], Events()),
    ok(Guest, "clock_time_get", [1, 0, 0]),
    ?assertEqual(<<(?NOW + 1000):64/little>>, get(Guest, 0, 8)),
    ?assertEqual(28, errno(Guest, "poll_oneoff", [1024, 4096, 0, 16])).

proc_exit(Width) ->
    #{instance := Instance} = guest(Width),
    ?assertMatch({error, {exit, #{status := 42}}}, wasmbeam:call(Instance, <<"proc_exit">>, [42])).

proc_raise(Width) ->
    Guest = #{instance := Instance} = guest(Width),
    ok(Guest, "proc_raise", [0]),
    ?assertEqual(28, errno(Guest, "proc_raise", [31])),
    {error, {trap, #{message := Message}}} = wasmbeam:call(Instance, <<"proc_raise">>, [6]),
    ?assertNotEqual(nomatch, string:find(Message, "signal")).

sched_yield(Width) ->
    Guest = guest(Width),
    ok(Guest, "sched_yield", []).

random_get(Width) ->
    Guest = guest(Width),
    Bytes = guarded(Guest, 1024, 100, fun() -> ok(Guest, "random_get", [1024, 100]) end),
    ?assert(length(lists:usort(binary_to_list(Bytes))) > 20),
    ok(Guest, "random_get", [1024, 100]),
    ?assertNotEqual(Bytes, get(Guest, 1024, 100)).

%% There are no sockets: what is open is none.
no_socket(Width, Name) ->
    Guest = guest_with_file(Width),
    {Name, Params} = lists:keyfind(Name, 1, wasmbeam_wasi_guest:functions()),
    Rest = [0 || _ <- tl(Params)],
    ?assertEqual([?NOTSOCK, ?NOTSOCK, ?BADF], [errno(Guest, Name, [Fd | Rest]) || Fd <- [1, 4, 9]]).
