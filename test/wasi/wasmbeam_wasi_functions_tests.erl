%% The functions of WASI as guests call them, in both widths of pointers.
-module(wasmbeam_wasi_functions_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_wasi_guest, [source/1, start/1, start/2, start/3, errno/3, ok/3, at/3, put/3,
                              put_size/3, put_buffers/3, get/3, get_size/2, open/3, read/3, write/3,
                              seek/3]).

-define(BADF, 8).
-define(EXIST, 20).
-define(FAULT, 21).
-define(INVAL, 28).
-define(LOOP, 32).
-define(MFILE, 33).
-define(NAMETOOLONG, 37).
-define(NOENT, 44).
-define(NOSPC, 51).
-define(NOTEMPTY, 55).
-define(PERM, 63).
-define(NOTCAPABLE, 76).

widths_test_() ->
    [{lists:flatten(io_lib:format("~ts, ~b bits", [Name, Width])), {timeout, 60, fun() -> Test(Width) end}}
     || Width <- wasmbeam_wasi_guest:widths(),
        {Name, Test} <- [
            {"a file is written and read at its offset", fun offsets/1},
            {"many buffers are one transfer", fun buffers/1},
            {"a file's status is laid out alike in both widths", fun filestat/1},
            {"a directory is read in pieces", fun readdir/1},
            {"paths are made, moved, linked and removed", fun paths/1},
            {"both modules have every function", fun both_modules/1},
            {"no pointer out of bounds does harm, and all functions name it", fun out_of_bounds/1},
            {"descriptors that are not open are EBADF", fun bad_descriptors/1},
            {"too many buffers are EINVAL", fun too_many_buffers/1},
            {"names and paths that cannot be are refused", fun bad_paths/1},
            {"quotas are ENOSPC and EMFILE", fun quotas/1},
            {"random operations agree with a model", fun random_operations/1}
        ]].

offsets(Width) ->
    Guest = start(Width),
    {ok, Fd} = open(Guest, <<"file">>, 1),
    ?assertEqual({ok, 5}, write(Guest, Fd, <<"hello">>)),
    ?assertEqual({ok, 1}, seek(Guest, Fd, 1)),
    ?assertEqual({ok, <<"ell">>}, read(Guest, Fd, 3)),
    ok(Guest, "fd_tell", [Fd, 0]),
    ?assertEqual(<<4:64/little>>, get(Guest, 0, 8)),
    put_buffers(Guest, 64, [{4096, 2}]),
    ok(Guest, "fd_pread", [Fd, 64, 1, 3, 0]),
    ?assertEqual({2, <<"lo">>}, {get_size(Guest, 0), get(Guest, 4096, 2)}),
    ok(Guest, "fd_pwrite", [Fd, 64, 1, 1 bsl 20, 0]),
    ok(Guest, "fd_filestat_set_size", [Fd, 7]),
    ?assertEqual({ok, <<"hello", 0, 0>>}, wasmbeam:fs_read(map_get(instance, Guest), "file")),
    ok(Guest, "fd_close", [Fd]),
    ?assertEqual({errno, ?BADF}, read(Guest, Fd, 1)).

buffers(Width) ->
    Guest = start(Width),
    put(Guest, 4096, <<"abcdef">>),
    put_buffers(Guest, 64, [{4096, 3}, {0, 0}, {4099, 1}, {4100, 2}]),
    ok(Guest, "fd_write", [1, 64, 4, 16]),
    ?assertEqual(6, get_size(Guest, 16)),
    ?assertEqual({ok, <<"abcdef">>}, wasmbeam:output(map_get(instance, Guest), stdout)).

filestat(Width) ->
    Guest = start(Width, #{fs => #{<<"f">> => <<"1234">>}, clock => {fixed, 99}}),
    put(Guest, 1024, <<"f">>),
    ok(Guest, "path_filestat_get", [3, 0, 1024, 1, 2048]),
    <<_Device:64/little, _Inode:64/little, Type, _:56, Links:64/little, Size:64/little,
      Accessed:64/little, Modified:64/little, Changed:64/little>> = get(Guest, 2048, 64),
    ?assertEqual({4, 1, 4, 99, 99, 99}, {Type, Links, Size, Accessed, Modified, Changed}).

readdir(Width) ->
    Names = [<<"n", (integer_to_binary(N))/binary>> || N <- lists:seq(1, 50)],
    Guest = start(Width, #{fs => maps:from_list([{Name, <<>>} || Name <- Names])}),
    ?assertEqual(lists:sort([<<".">>, <<"..">> | Names]), lists:sort(entries(Guest, 3, 0, []))).

%% Reads a directory through a buffer that holds a few entries.
entries(Guest, Fd, Cookie, Found) ->
    ok(Guest, "fd_readdir", [Fd, 4096, 128, Cookie, 0]),
    Used = get_size(Guest, 0),
    case complete(get(Guest, 4096, Used), []) of
        [] -> lists:append(lists:reverse(Found));
        Entries ->
            {Next, _} = lists:last(Entries),
            entries(Guest, Fd, Next, [[Name || {_, Name} <- Entries] | Found])
    end.

complete(<<Next:64/little, _Inode:64/little, Size:32/little, _Type, _:24, Name:Size/binary,
           Rest/binary>>, Found) ->
    complete(Rest, [{Next, Name} | Found]);
complete(_Cut, Found) ->
    lists:reverse(Found).

paths(Width) ->
    Guest = start(Width),
    Call = fun(Name, Args) -> at(Guest, Name, Args) end,
    ?assertEqual(0, Call("path_create_directory", [3, <<"d">>])),
    ?assertEqual(?EXIST, Call("path_create_directory", [3, <<"d">>])),
    {ok, Fd} = open(Guest, <<"d/f">>, 1),
    {ok, 1} = write(Guest, Fd, <<"x">>),
    ?assertEqual(0, Call("path_symlink", [<<"d/f">>, 3, <<"s">>])),
    ?assertEqual(0, Call("path_link", [3, 0, <<"d/f">>, 3, <<"h">>])),
    ?assertEqual(0, Call("path_rename", [3, <<"h">>, 3, <<"moved">>])),
    ?assertEqual(0, Call("path_readlink", [3, <<"s">>, 4096, 10, 0])),
    ?assertEqual(<<"d/f">>, get(Guest, 4096, get_size(Guest, 0))),
    ?assertEqual({ok, #{<<"d">> => #{<<"f">> => <<"x">>}, <<"moved">> => <<"x">>,
                        <<"s">> => {symlink, <<"d/f">>}}},
                 wasmbeam:fs_get(map_get(instance, Guest))),
    ?assertEqual(?NOTEMPTY, Call("path_remove_directory", [3, <<"d">>])),
    [?assertEqual(0, Call("path_unlink_file", [3, Path])) || Path <- [<<"d/f">>, <<"s">>, <<"moved">>]],
    ?assertEqual(0, Call("path_remove_directory", [3, <<"d">>])),
    ?assertEqual({ok, #{}}, wasmbeam:fs_get(map_get(instance, Guest))).

both_modules(Width) ->
    [begin
         Guest = #{instance := Instance} = start(Width, #{}, Namespace),
         Imports = wasmbeam:imports(Instance),
         ?assertEqual(46, length(Imports)),
         {ok, Fd} = open(Guest, <<"f">>, 1),
         ?assertEqual({ok, 1}, write(Guest, Fd, <<"a">>)),
         ok(Guest, "sched_yield", []),
         ?assertMatch({error, {exit, #{status := 9}}},
                      wasmbeam:call(Instance, <<"proc_exit">>, [9])),
         ?assertMatch({error, {trap, _}}, wasmbeam:call(Instance, <<"proc_raise">>, [6]))
     end || Namespace <- ["wasi_snapshot_preview1", "wasi_unstable"]].

%% Every function with each of its pointers and sizes at the end of memory, and far beyond: it may
%% refuse, and must not do more than that.
out_of_bounds(Width) ->
    Guest = #{instance := Instance} =
        start(Width, #{args => [<<"a">>], env => [{<<"b">>, <<>>}],
                       fs => #{<<"aaaaaaaa">> => <<"text">>}}),
    {ok, 4} = open(Guest, <<"aaaaaaaa">>, 0),
    put(Guest, 8, <<"aaaaaaaa">>),
    Far = [4 * 65536 - 1, 4 * 65536, (1 bsl 32) - 1] ++ [N || Width =:= 64, N <- [1 bsl 32, (1 bsl 64) - 1]],
    Functions = [F || {Name, _} = F <- wasmbeam_wasi_guest:functions(),
                      Name =/= "proc_exit", Name =/= "proc_raise"],
    Errnos = [{Name, Arg, errno(Guest, Name, replace(Arg, Value, defaults(Name, Params)))}
              || {Name, Params} <- Functions, {Arg, $p} <- numbered(Params), Value <- Far],
    ?assertEqual([], [Odd || {_, _, Errno} = Odd <- Errnos, Errno > 76]),
    Faults = lists:usort([Name || {Name, _, ?FAULT} <- Errnos]),
    %% Those that take a pointer at all, but for sockets, of which there are none.
    Pointers = [Name || {Name, Params} <- Functions, lists:member($p, Params),
                        not lists:prefix("sock_", Name)],
    ?assertEqual([], Pointers -- Faults),
    ?assertEqual({ok, 1}, write(Guest, 1, <<"x">>)),
    ?assertMatch(#{state := idle}, wasmbeam:info(Instance)).

%% Arguments with which nothing is wrong but what is put in their place: descriptor 4 is a file, and
%% at address 8 there is its name.
defaults("fd_prestat" ++ _, Params) -> [3 | tl(defaults("", Params))];
defaults("fd_readdir", Params) -> [3 | tl(defaults("", Params))];
defaults("fd_" ++ _, Params) -> [4 | tl(defaults("", Params))];
defaults("path_link", _) -> [3, 0, 8, 8, 3, 8, 8];
defaults("path_rename", _) -> [3, 8, 8, 3, 8, 8];
defaults("path_symlink", _) -> [8, 8, 3, 8, 8];
defaults("path_" ++ _, Params) -> [3 | tl(defaults("", Params))];
defaults(_, Params) -> [case Param of $i -> 0; $j -> 0; $p -> 8 end || Param <- Params].

numbered(Params) ->
    lists:zip(lists:seq(1, length(Params)), Params).

replace(Index, Value, Args) ->
    {Before, [_ | After]} = lists:split(Index - 1, Args),
    Before ++ [Value | After].

bad_descriptors(Width) ->
    Guest = start(Width),
    [?assertEqual({Name, Fd, ?BADF}, {Name, Fd, errno(Guest, Name, [Fd | tl(defaults(Name, Params))])})
     || {"fd_" ++ _ = Name, Params} <- wasmbeam_wasi_guest:functions(),
        Name =/= "fd_renumber", Fd <- [4, 99, (1 bsl 32) - 1]],
    ?assertEqual(?BADF, errno(Guest, "fd_renumber", [99, 3])).

too_many_buffers(Width) ->
    Guest = start(Width),
    ?assertEqual(?INVAL, errno(Guest, "fd_write", [1, 1024, 2000, 0])),
    ?assertEqual(?FAULT, errno(Guest, "fd_write", [1, 1024, 1000000, 0])),
    ?assertEqual(?FAULT, errno(Guest, "fd_read", [0, 1024, (1 bsl 32) - 1, 0])),
    put_size(Guest, 1024, 4096),
    put_size(Guest, 1024 + Width div 8, (1 bsl 32) - 1),
    ?assertEqual(?FAULT, errno(Guest, "fd_write", [1, 1024, 1, 0])).

bad_paths(Width) ->
    Guest = start(Width, #{fs => #{<<"loop">> => {symlink, <<"loop">>}, <<"up">> => {symlink, <<"..">>}}}),
    Open = fun(Path) -> at(Guest, "path_open", [3, 1, Path, 0, 0, 0, 0, 0]) end,
    ?assertEqual(?NAMETOOLONG, Open(binary:copy(<<"n">>, 100000))),
    ?assertEqual(?NAMETOOLONG, Open(binary:copy(<<"n">>, 300))),
    ?assertEqual(?LOOP, Open(<<"loop/x">>)),
    ?assertEqual(?NOENT, Open(<<>>)),
    ?assertEqual(?NOENT, Open(<<"none">>)),
    [?assert(lists:member(Open(Path), [?INVAL, 25])) || Path <- [<<"a", 0, "b">>, <<255, 254>>]],
    [?assert(lists:member(Open(Path), [?PERM, ?NOTCAPABLE]))
     || Path <- [<<"..">>, <<"/etc">>, <<"up/x">>]].

quotas(Width) ->
    Guest = #{instance := Instance} =
        start(Width, #{quotas => #{bytes => 10, files => 2, descriptors => 6}}),
    {ok, Fd} = open(Guest, <<"a">>, 1),
    ?assertEqual({ok, 10}, write(Guest, Fd, <<"0123456789ab">>)),
    ?assertEqual({errno, ?NOSPC}, write(Guest, Fd, <<"c">>)),
    ?assertEqual(?NOSPC, errno(Guest, "fd_allocate", [Fd, 0, 1 bsl 40])),
    ?assertEqual({errno, ?NOSPC}, open_until(Guest, 1)),
    {ok, _} = open(Guest, <<"a">>, 0),
    ?assertEqual({errno, ?MFILE}, open(Guest, <<"a">>, 0)),
    ?assertMatch({ok, #{<<"a">> := <<"0123456789">>}}, wasmbeam:fs_get(Instance)).

open_until(Guest, N) ->
    case open(Guest, <<"f", (integer_to_binary(N))/binary>>, 1) of
        {ok, Fd} -> ok(Guest, "fd_close", [Fd]), open_until(Guest, N + 1);
        Refused -> Refused
    end.

%% The same operations on a guest and on a map of binaries.
random_operations(Width) ->
    Guest = #{instance := Instance} = start(Width),
    Seed = rand:seed_s(exsss, {1, 2, 3}),
    {Model, _} = lists:foldl(fun(_, {Model, Random}) ->
        {N, Next} = rand:uniform_s(1 bsl 30, Random),
        {operation(N rem 6, N div 6, Guest, Model), Next}
    end, {#{}, Seed}, lists:seq(1, 1000)),
    ?assertEqual({ok, Model}, wasmbeam:fs_get(Instance)).

operation(Kind, N, Guest, Model) ->
    Name = <<"f", ($0 + N rem 7)>>,
    case {Kind, Model} of
        {0, #{Name := _}} ->
            ?assertEqual(0, at(Guest, "path_unlink_file", [3, Name])),
            maps:remove(Name, Model);
        {1, #{Name := Bytes}} ->
            To = <<"f", ($0 + N rem 5)>>,
            ?assertEqual(0, at(Guest, "path_rename", [3, Name, 3, To])),
            (maps:remove(Name, Model))#{To => Bytes};
        {2, #{Name := Bytes}} ->
            Size = N rem 5000,
            with_file(Guest, Name, fun(Fd) -> ok(Guest, "fd_filestat_set_size", [Fd, Size]) end),
            Model#{Name := resized(Bytes, Size)};
        {3, #{Name := Bytes}} ->
            Offset = N rem 6000,
            with_file(Guest, Name, fun(Fd) ->
                {ok, Offset} = seek(Guest, Fd, Offset),
                ?assertEqual({ok, part(Bytes, Offset, 700)}, read(Guest, Fd, 700))
            end),
            Model;
        {_, _} when Kind < 4 ->
            ?assertEqual(?NOENT, at(Guest, "path_unlink_file", [3, Name])),
            Model;
        {_, _} ->
            {Offset, Text} = {N rem 3000, binary:copy(<<N:32>>, 1 + N rem 200)},
            with_file(Guest, Name, fun(Fd) ->
                {ok, Offset} = seek(Guest, Fd, Offset),
                ?assertEqual({ok, byte_size(Text)}, write(Guest, Fd, Text))
            end),
            Model#{Name => overwritten(maps:get(Name, Model, <<>>), Offset, Text)}
    end.

with_file(Guest, Name, Fun) ->
    {ok, Fd} = open(Guest, Name, 1),
    _ = Fun(Fd),
    ok(Guest, "fd_close", [Fd]).

part(Bytes, Offset, Size) ->
    case Bytes of
        <<_:Offset/binary, Part:Size/binary, _/binary>> -> Part;
        <<_:Offset/binary, Part/binary>> -> Part;
        _ -> <<>>
    end.

resized(Bytes, Size) when byte_size(Bytes) >= Size -> binary:part(Bytes, 0, Size);
resized(Bytes, Size) -> <<Bytes/binary, 0:(8 * (Size - byte_size(Bytes)))>>.

overwritten(Bytes, Offset, Text) ->
    End = Offset + byte_size(Text),
    <<(resized(Bytes, Offset))/binary, Text/binary, (part(Bytes, End, byte_size(Bytes)))/binary>>.

a_64_bit_integer_may_come_in_two_halves_test() ->
    {ok, I} = wasmbeam:start(source("legalized"), #{wasi => #{fs => #{<<"f">> => <<"0123456789">>}}}),
    Guest = #{instance => I, width => 32},
    put(Guest, 1024, <<"f">>),
    Rights = [1 + 2 + 4 + 64 + (1 bsl 22), 0],
    ok(Guest, "path_open", [3, 0, 1024, 1, 0] ++ Rights ++ [0, 0] ++ [0, 16]),
    <<Fd:32/little>> = get(Guest, 16, 4),
    Seek = fun(Offset) ->
        <<High:32, Low:32>> = <<Offset:64>>,
        ok(Guest, "fd_seek", [Fd, Low, High, 0, 32]),
        <<Position:64/little>> = get(Guest, 32, 8),
        Position
    end,
    [?assertEqual(Offset, Seek(Offset)) || Offset <- [4, 1 bsl 32, 16#123456789ab]],
    put_buffers(Guest, 64, [{4096, 3}]),
    ok(Guest, "fd_pread", [Fd, 64, 1, 5, 0, 0]),
    ?assertEqual(<<"567">>, get(Guest, 4096, 3)),
    ok(Guest, "fd_pread", [Fd, 64, 1, 5, 1, 0]),
    ?assertEqual(0, get_size(Guest, 0)),
    ok(Guest, "ftruncate64", [Fd, 2, 0]),
    ?assertEqual({ok, <<"01">>}, wasmbeam:fs_read(I, "f")).
