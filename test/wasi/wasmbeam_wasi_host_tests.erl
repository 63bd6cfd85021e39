%% Guests with folders of the machine.
-module(wasmbeam_wasi_host_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_wasi_folder, [with/2]).
-import(wasmbeam_wasi_guest, [source/1, errno/3, ok/3, put/3, get/3, get_size/2, open/3, read/3,
                              seek/3]).

-define(BADF, 8).
-define(FAULT, 21).
-define(ILSEQ, 25).
-define(INVAL, 28).
-define(LOOP, 32).
-define(MFILE, 33).
-define(NAMETOOLONG, 37).
-define(NOENT, 44).
-define(NOTDIR, 54).
-define(PERM, 63).

-define(STDIN, 0).
-define(STDOUT, 1).
-define(FOLDER, 3).

-define(CREATE, 1).
-define(PATH, 1024).
-define(PATH2, 2048).
-define(OUT, 4096).

guest(Wasi) ->
    wasmbeam_wasi_guest:start(32, Wasi#{host => true}).

guest(Folder, Access) ->
    guest(#{preopens => [{<<"/">>, Folder, Access}]}).

files_of_a_folder_are_read_and_written_test() ->
    with(#{"a.txt" => <<"from outside">>}, fun(Folder) ->
        Guest = guest(Folder, rw),
        {ok, Old} = open(Guest, <<"a.txt">>, 0),
        ?assertEqual({ok, <<"from outside">>}, read(Guest, Old, 100)),
        {ok, New} = open(Guest, <<"b.txt">>, ?CREATE),
        ?assertEqual({ok, 11}, wasmbeam_wasi_guest:write(Guest, New, <<"from inside">>)),
        ?assertEqual({ok, <<"from inside">>}, wasmbeam_wasi_folder:read(Folder, "b.txt")),
        ?assertEqual({ok, 5}, seek(Guest, New, 5)),
        ?assertEqual({ok, <<"inside">>}, read(Guest, New, 100))
    end).

several_buffers_are_one_read_and_one_write_test() ->
    with(#{}, fun(Folder) ->
        Guest = guest(Folder, rw),
        {ok, Fd} = open(Guest, <<"f">>, ?CREATE),
        put(Guest, 60000, <<"abcdefgh">>),
        Buffers = [{60000, 3}, {60010, 0}, {60003, 5}],
        wasmbeam_wasi_guest:put_buffers(Guest, 100, Buffers),
        ok(Guest, "fd_write", [Fd, 100, 3, ?OUT]),
        ?assertEqual(8, get_size(Guest, ?OUT)),
        ?assertEqual({ok, <<"abcdefgh">>}, wasmbeam_wasi_folder:read(Folder, "f")),
        wasmbeam_wasi_guest:put_buffers(Guest, 100, [{50000, 2}, {50100, 100}]),
        ok(Guest, "fd_pread", [Fd, 100, 2, 1, ?OUT]),
        ?assertEqual(7, get_size(Guest, ?OUT)),
        ?assertEqual({<<"bc">>, <<"defgh">>}, {get(Guest, 50000, 2), get(Guest, 50100, 5)})
    end).

folders_have_names_test() ->
    with(#{"one/a" => <<"1">>, "two/b" => <<"2">>}, fun(Folder) ->
        In = fun(Name) -> filename:join(Folder, Name) end,
        Forms = [[{<<"first">>, In("one"), ro}, {<<"second">>, list_to_binary(In("two")), ro}],
                 [{"first", In("one"), ro}, {"second", In("two"), ro}],
                 #{<<"first">> => {dir, In("one"), ro}, <<"second">> => {dir, In("two"), ro}}],
        [begin
             Guest = guest(#{preopens => Preopens}),
             ok(Guest, "fd_prestat_dir_name", [?FOLDER, ?OUT, 5]),
             ?assertEqual(<<"first">>, get(Guest, ?OUT, 5)),
             ok(Guest, "fd_prestat_dir_name", [?FOLDER + 1, ?OUT, 6]),
             ?assertEqual(<<"second">>, get(Guest, ?OUT, 6)),
             ?assertMatch({ok, _}, open_to_read(Guest, <<"a">>)),
             ?assertEqual(?BADF, errno(Guest, "fd_prestat_get", [?FOLDER + 2, ?OUT]))
         end || Preopens <- Forms]
    end).

nothing_of_the_machine_is_there_unless_it_is_named_test() ->
    Guest = guest(#{}),
    ok(Guest, "args_sizes_get", [?OUT, ?OUT + 4]),
    ?assertEqual(<<0:64>>, get(Guest, ?OUT, 8)),
    ok(Guest, "environ_sizes_get", [?OUT, ?OUT + 4]),
    ?assertEqual(<<0:64>>, get(Guest, ?OUT, 8)),
    ?assertEqual({ok, <<>>}, read(Guest, ?STDIN, 10)),
    ?assertEqual(?BADF, errno(Guest, "fd_prestat_get", [?FOLDER, ?OUT])),
    ?assertMatch({errno, _}, open(Guest, <<"etc/passwd">>, 0)).

the_environment_is_inherited_by_name_test() ->
    true = os:putenv("WASMBEAM_TEST", "inherited"),
    Guest = guest(#{env => inherit}),
    ok(Guest, "environ_sizes_get", [?OUT, ?OUT + 4]),
    Size = get_size(Guest, ?OUT + 4),
    ok(Guest, "environ_get", [8192, 65536]),
    ?assertMatch({_, _}, binary:match(get(Guest, 65536, Size), <<"WASMBEAM_TEST=inherited", 0>>)).

what_is_read_only_stays_as_it_is_test() ->
    with(#{"a.txt" => <<"as it was">>, "d/x" => <<>>}, fun(Folder) ->
        Before = wasmbeam_wasi_folder:read(Folder, "a.txt"),
        Guest = guest(Folder, ro),
        put(Guest, ?PATH, <<"a.txt">>),
        put(Guest, ?PATH2, <<"new">>),
        Read = 1 bsl 1,
        ok(Guest, "path_open", [?FOLDER, 0, ?PATH, 5, 0, Read, 0, 0, ?OUT]),
        <<Fd:32/little>> = get(Guest, ?OUT, 4),
        ?assertEqual({ok, <<"as it was">>}, read(Guest, Fd, 100)),
        Refused = [
            {"path_open", [?FOLDER, 0, ?PATH2, 3, ?CREATE, Read, 0, 0, ?OUT]},
            {"path_open", [?FOLDER, 0, ?PATH, 5, 8, Read, 0, 0, ?OUT]},
            {"path_open", [?FOLDER, 0, ?PATH, 5, 0, 1 bsl 6, 0, 0, ?OUT]},
            {"path_create_directory", [?FOLDER, ?PATH2, 3]},
            {"path_unlink_file", [?FOLDER, ?PATH, 5]},
            {"path_remove_directory", [?FOLDER, ?PATH2, 3]},
            {"path_rename", [?FOLDER, ?PATH, 5, ?FOLDER, ?PATH2, 3]},
            {"path_link", [?FOLDER, 0, ?PATH, 5, ?FOLDER, ?PATH2, 3]},
            {"path_symlink", [?PATH, 5, ?FOLDER, ?PATH2, 3]},
            {"path_filestat_set_times", [?FOLDER, 0, ?PATH, 5, 0, 0, 1]},
            {"fd_filestat_set_times", [Fd, 0, 0, 1]},
            {"fd_filestat_set_size", [Fd, 0]}
        ],
        [?assertEqual({Name, ?PERM}, {Name, errno(Guest, Name, Args)}) || {Name, Args} <- Refused],
        ?assertNotEqual(0, errno(Guest, "fd_allocate", [Fd, 0, 100])),
        ?assertMatch({errno, _}, wasmbeam_wasi_guest:write(Guest, Fd, <<"x">>)),
        ?assertEqual(Before, wasmbeam_wasi_folder:read(Folder, "a.txt")),
        ?assertEqual({ok, ["a.txt", "d"]}, sorted(file:list_dir(Folder)))
    end).

sorted({ok, Names}) -> {ok, lists:sort(Names)}.

%% Every function with a path, on every way out that there is.
nobody_gets_out_of_a_folder_test() ->
    with(#{"secret" => <<"secret">>, "in/sub/file" => <<"inside">>}, fun(Folder) ->
        In = filename:join(Folder, "in"),
        Secret = filename:join(Folder, "secret"),
        wasmbeam_wasi_folder:link(In, "absolute", Secret),
        wasmbeam_wasi_folder:link(In, "relative", "../secret"),
        wasmbeam_wasi_folder:link(In, "deep", "sub/../../secret"),
        wasmbeam_wasi_folder:link(In, "up", ".."),
        wasmbeam_wasi_folder:link(In, "root", "/"),
        wasmbeam_wasi_folder:link(In, "chain3", "up"),
        wasmbeam_wasi_folder:link(In, "chain2", "chain3"),
        wasmbeam_wasi_folder:link(In, "chain1", "chain2/secret"),
        wasmbeam_wasi_folder:link(In, "proc", "/proc/self/root"),
        Outside = list_to_binary(Secret),
        Ways = [<<"../secret">>, Outside, <<"sub/../../secret">>, <<"./../secret">>,
                <<"sub/./../../secret">>, <<"up/secret">>, <<"chain2/secret">>,
                <<"root", Outside/binary>>, <<"proc", Outside/binary>>, <<"../in/../secret">>],
        Links = [<<"absolute">>, <<"relative">>, <<"deep">>, <<"chain1">>],
        Guest = guest(In, rw),
        Path = fun(Way) -> put(Guest, ?PATH, Way), byte_size(Way) end,
        put(Guest, ?PATH2, <<"new">>),
        [begin
             Size = Path(Way),
             Tried = [
                 {"path_open", [?FOLDER, 1, ?PATH, Size, Flags, 1 bsl 1, 0, 0, ?OUT]}
                 || Flags <- [0, ?CREATE, 2, 8]
             ] ++ [
                 {"path_filestat_get", [?FOLDER, 1, ?PATH, Size, ?OUT]},
                 {"path_filestat_set_times", [?FOLDER, 1, ?PATH, Size, 0, 0, 1]}
             ],
             [?assertNotEqual({Way, Name, 0}, {Way, Name, errno(Guest, Name, Args)})
              || {Name, Args} <- Tried]
         end || Way <- Ways ++ Links],
        [begin
             Size = Path(Way),
             Tried = [
                 {"path_create_directory", [?FOLDER, ?PATH, Size]},
                 {"path_link", [?FOLDER, 0, ?PATH, Size, ?FOLDER, ?PATH2, 3]},
                 {"path_readlink", [?FOLDER, ?PATH, Size, ?OUT, 100, ?OUT + 200]},
                 {"path_remove_directory", [?FOLDER, ?PATH, Size]},
                 {"path_rename", [?FOLDER, ?PATH, Size, ?FOLDER, ?PATH2, 3]},
                 {"path_rename", [?FOLDER, ?PATH2, 3, ?FOLDER, ?PATH, Size]},
                 {"path_symlink", [?PATH2, 3, ?FOLDER, ?PATH, Size]},
                 {"path_unlink_file", [?FOLDER, ?PATH, Size]}
             ],
             [?assertNotEqual({Way, Name, 0}, {Way, Name, errno(Guest, Name, Args)})
              || {Name, Args} <- Tried]
         end || Way <- Ways],
        %% A link that the guest makes leads no further than those that it finds.
        Size = Path(<<"../secret">>),
        case errno(Guest, "path_symlink", [?PATH, Size, ?FOLDER, ?PATH2, 3]) of
            0 -> ?assertMatch({errno, _}, open(Guest, <<"new">>, 0));
            _ -> ok
        end,
        AbsoluteSize = Path(Outside),
        ?assertNotEqual(0, errno(Guest, "path_symlink",
                                 [?PATH, AbsoluteSize, ?FOLDER, ?PATH2 + 1, 2])),
        ?assertEqual({ok, <<"secret">>}, wasmbeam_wasi_folder:read(Folder, "secret")),
        ?assertEqual({ok, ["in", "secret"]}, sorted(file:list_dir(Folder)))
    end).

%% What a folder is now, not what its name leads to, is what the guest has.
a_folder_that_is_moved_stays_the_guests_test() ->
    with(#{"here/a" => <<"a">>, "other/b" => <<"b">>}, fun(Folder) ->
        Here = filename:join(Folder, "here"),
        Guest = guest(Here, ro),
        ok = file:rename(Here, filename:join(Folder, "there")),
        ok = file:make_symlink("other", Here),
        ?assertMatch({ok, _}, open_to_read(Guest, <<"a">>)),
        ?assertMatch({errno, _}, open_to_read(Guest, <<"b">>))
    end).

open_to_read(Guest, Path) ->
    put(Guest, ?PATH, Path),
    case errno(Guest, "path_open",
               [?FOLDER, 0, ?PATH, byte_size(Path), 0, 1 bsl 1, 0, 0, ?OUT]) of
        0 -> {ok, get_size(Guest, ?OUT)};
        Errno -> {errno, Errno}
    end.

pointers_out_of_bounds_are_a_fault_test() ->
    with(#{"f" => <<"abc">>}, fun(Folder) ->
        Guest = guest(Folder, rw),
        {ok, Fd} = open(Guest, <<"f">>, 0),
        Out = 16#fffffff0,
        Bad = [
            {"fd_fdstat_get", [Fd, Out]}, {"fd_filestat_get", [Fd, Out]},
            {"fd_prestat_get", [?FOLDER, Out]}, {"fd_prestat_dir_name", [?FOLDER, Out, 1]},
            {"fd_read", [Fd, Out, 1, ?OUT]}, {"fd_read", [Fd, ?PATH, 0, Out]},
            {"fd_read", [Fd, ?PATH, 16#ffffffff, ?OUT]},
            {"fd_write", [Fd, Out, 1, ?OUT]}, {"fd_write", [Fd, ?PATH, 0, Out]},
            {"fd_pread", [Fd, Out, 1, 0, ?OUT]}, {"fd_pwrite", [Fd, ?PATH, 0, 0, Out]},
            {"fd_readdir", [?FOLDER, Out, 100, 0, ?OUT]}, {"fd_readdir", [?FOLDER, ?OUT, 100, 0, Out]},
            {"fd_seek", [Fd, 0, 0, Out]}, {"fd_tell", [Fd, Out]},
            {"path_create_directory", [?FOLDER, Out, 1]},
            {"path_filestat_get", [?FOLDER, 0, Out, 1, ?OUT]},
            {"path_filestat_get", [?FOLDER, 0, ?PATH, 1, Out]},
            {"path_filestat_set_times", [?FOLDER, 0, Out, 1, 0, 0, 0]},
            {"path_link", [?FOLDER, 0, Out, 1, ?FOLDER, ?PATH, 1]},
            {"path_link", [?FOLDER, 0, ?PATH, 1, ?FOLDER, Out, 1]},
            {"path_open", [?FOLDER, 0, Out, 1, 0, 2, 0, 0, ?OUT]},
            {"path_open", [?FOLDER, 0, ?PATH, 1, ?CREATE, 2, 0, 0, Out]},
            {"path_readlink", [?FOLDER, Out, 1, ?OUT, 1, ?OUT]},
            {"path_readlink", [?FOLDER, ?PATH, 1, Out, 1, ?OUT]},
            {"path_readlink", [?FOLDER, ?PATH, 1, ?OUT, 1, Out]},
            {"path_remove_directory", [?FOLDER, Out, 1]},
            {"path_rename", [?FOLDER, Out, 1, ?FOLDER, ?PATH, 1]},
            {"path_rename", [?FOLDER, ?PATH, 1, ?FOLDER, Out, 1]},
            {"path_symlink", [Out, 1, ?FOLDER, ?PATH, 1]},
            {"path_symlink", [?PATH, 1, ?FOLDER, Out, 1]},
            {"path_unlink_file", [?FOLDER, Out, 1]},
            {"poll_oneoff", [Out, ?OUT, 1, ?OUT]}, {"poll_oneoff", [?OUT, Out, 1, ?OUT]},
            {"poll_oneoff", [?OUT, ?OUT, 1, Out]}
        ],
        put(Guest, ?PATH, <<"g">>),
        [?assertEqual({Name, Args, ?FAULT}, {Name, Args, errno(Guest, Name, Args)})
         || {Name, Args} <- Bad],
        wasmbeam_wasi_guest:put_buffers(Guest, 100, [{?OUT, 16#ffffffff}]),
        ?assertEqual(?FAULT, errno(Guest, "fd_read", [Fd, 100, 1, ?OUT])),
        %% Nothing has been done on the way.
        ?assertEqual({ok, ["f"]}, file:list_dir(Folder))
    end).

odd_paths_are_refused_test() ->
    with(#{}, fun(Folder) ->
        Guest = guest(Folder, rw),
        Create = fun(Path) ->
            put(Guest, 65536, Path),
            errno(Guest, "path_open",
                  [?FOLDER, 0, 65536, byte_size(Path), ?CREATE, 2, 0, 0, ?OUT])
        end,
        ?assertEqual(?NAMETOOLONG, Create(binary:copy(<<"a">>, 100000))),
        ?assertEqual(?NAMETOOLONG, Create(binary:copy(<<"a">>, 300))),
        ?assertEqual(?INVAL, Create(<<"a", 0, "b">>)),
        ?assertEqual(?ILSEQ, Create(<<255, 254>>)),
        ?assertEqual(?NOENT, Create(<<>>)),
        ?assertEqual({ok, []}, file:list_dir(Folder))
    end).

symbolic_links_in_a_circle_are_a_loop_test() ->
    with(#{}, fun(Folder) ->
        Guest = guest(Folder, rw),
        [?assertEqual(0, wasmbeam_wasi_guest:at(Guest, "path_symlink", [To, ?FOLDER, From]))
         || {From, To} <- [{<<"self">>, <<"self">>}, {<<"ping">>, <<"pong">>}, {<<"pong">>, <<"./ping">>}]],
        [?assertEqual({Path, ?LOOP},
                      {Path, wasmbeam_wasi_guest:at(Guest, "path_open",
                                                    [?FOLDER, 1, Path, 0, 2, 0, 0, ?OUT])})
         || Path <- [<<"self">>, <<"ping">>, <<"self/x">>, <<"pong/x">>]]
    end).

a_million_buffers_are_refused_test() ->
    with(#{"f" => <<"abc">>}, fun(Folder) ->
        Guest = #{instance := Instance} = guest(Folder, rw),
        {ok, Fd} = open(Guest, <<"f">>, 0),
        {ok, _} = wasmbeam:memory_grow(Instance, 300),
        [?assertEqual({Name, Count, Errno}, {Name, Count, errno(Guest, Name, [Fd, 4 * 65536, Count | Rest])})
         || {Name, Rest} <- [{"fd_read", [?OUT]}, {"fd_write", [?OUT]}, {"fd_pread", [0, ?OUT]},
                             {"fd_pwrite", [0, ?OUT]}],
            {Count, Errno} <- [{1024, 0}, {1025, ?INVAL}, {1000000, ?INVAL}]],
        ?assertEqual({ok, <<"abc">>}, wasmbeam_wasi_folder:read(Folder, "f"))
    end).

descriptors_have_a_quota_test() ->
    with(#{"f" => <<>>}, fun(Folder) ->
        Guest = guest(#{preopens => [{<<"/">>, Folder, ro}], quotas => #{descriptors => 6}}),
        {ok, A} = open_to_read(Guest, <<"f">>),
        {ok, B} = open_to_read(Guest, <<"f">>),
        ?assertEqual({errno, ?MFILE}, open_to_read(Guest, <<"f">>)),
        ok(Guest, "fd_close", [A]),
        {ok, C} = open_to_read(Guest, <<"f">>),
        ok(Guest, "fd_renumber", [B, C]),
        ?assertMatch({ok, _}, open_to_read(Guest, <<"f">>)),
        ?assertEqual({errno, ?MFILE}, open_to_read(Guest, <<"f">>)),
        ok(Guest, "fd_close", [?STDIN]),
        ?assertMatch({ok, _}, open_to_read(Guest, <<"f">>))
    end).

streams_follow_their_descriptors_test() ->
    with(#{"f" => <<"file">>}, fun(Folder) ->
        Guest = #{instance := I} = guest(#{preopens => [{<<"/">>, Folder, rw}], stdin => <<"input">>}),
        {ok, Fd} = open(Guest, <<"f">>, 0),
        %% Standard output gets the number of the file.
        ok(Guest, "fd_renumber", [?STDOUT, Fd]),
        ?assertEqual({errno, ?BADF}, wasmbeam_wasi_guest:write(Guest, ?STDOUT, <<"nowhere">>)),
        ?assertEqual({ok, 4}, wasmbeam_wasi_guest:write(Guest, Fd, <<"text">>)),
        ?assertEqual({ok, <<"text">>}, wasmbeam:output(I, stdout)),
        ?assertEqual({ok, <<"file">>}, wasmbeam_wasi_folder:read(Folder, "f")),
        %% A file gets the number of standard input.
        {ok, Again} = open(Guest, <<"f">>, 0),
        ok(Guest, "fd_renumber", [Again, ?STDIN]),
        ?assertEqual({ok, <<"file">>}, read(Guest, ?STDIN, 100)),
        ok(Guest, "fd_close", [?STDIN]),
        ?assertEqual({errno, ?BADF}, read(Guest, ?STDIN, 100)),
        ?assertEqual(?BADF, errno(Guest, "fd_close", [?STDIN])),
        ok(Guest, "fd_close", [Fd]),
        ?assertEqual({errno, ?BADF}, wasmbeam_wasi_guest:write(Guest, Fd, <<"gone">>)),
        %% What a stream is not.
        put(Guest, ?PATH, <<"f">>),
        ?assertEqual(?NOTDIR, errno(Guest, "path_unlink_file", [2, ?PATH, 1]))
    end).

poll_sees_files_streams_and_clocks_test() ->
    with(#{"f" => <<"12345">>}, fun(Folder) ->
        Guest = guest(#{preopens => [{<<"/">>, Folder, rw}], stdin => <<"abc">>}),
        {ok, Fd} = open(Guest, <<"f">>, 0),
        {ok, 2} = seek(Guest, Fd, 2),
        Hour = 3600_000_000_000,
        Read = fun(Data, Of) -> <<Data:64/little, 1, 0:56, Of:32/little, 0:224>> end,
        Write = fun(Data, Of) -> <<Data:64/little, 2, 0:56, Of:32/little, 0:224>> end,
        Clock = fun(Data, Ns) -> <<Data:64/little, 0, 0:56, 1:32/little, 0:32, Ns:64/little, 0:128>> end,
        Poll = fun(Subscriptions) ->
            put(Guest, 65536, iolist_to_binary(Subscriptions)),
            ok(Guest, "poll_oneoff", [65536, 131072, length(Subscriptions), ?OUT]),
            Events = get(Guest, 131072, 32 * get_size(Guest, ?OUT)),
            lists:sort([{Data, Errno, Type, Bytes}
                        || <<Data:64/little, Errno:16/little, Type, _:40, Bytes:64/little, _:64>>
                               <= Events])
        end,
        ?assertEqual([{1, 0, 1, 3}, {2, 0, 2, 0}, {3, 0, 1, 3}, {4, ?BADF, 1, 0}, {5, ?BADF, 1, 0}],
                     Poll([Read(1, Fd), Write(2, Fd), Read(3, ?STDIN), Read(4, 77), Clock(9, Hour),
                           Read(5, ?FOLDER)])),
        ?assertEqual([{7, 0, 0, 0}], Poll([Clock(7, 1000), Clock(8, Hour)])),
        ?assertEqual([{6, 0, 2, 0}], Poll([Clock(8, Hour), Write(6, ?STDOUT)])),
        ?assertEqual(?INVAL, errno(Guest, "poll_oneoff", [65536, 131072, 0, ?OUT]))
    end).

the_older_interface_has_its_own_layouts_test() ->
    with(#{"f" => <<"12345">>}, fun(Folder) ->
        Guest = wasmbeam_wasi_guest:start(
                  32, #{host => true, preopens => [{<<"/">>, Folder, rw}]}, "wasi_unstable"),
        {ok, Fd} = open(Guest, <<"f">>, 0),
        %% There, 1 counts from the end.
        ok(Guest, "fd_seek", [Fd, -2, 1, ?OUT]),
        ?assertEqual(<<3:64/little>>, get(Guest, ?OUT, 8)),
        put(Guest, ?OUT, <<0:448, 16#ff:64>>),
        ok(Guest, "fd_filestat_get", [Fd, ?OUT]),
        ?assertMatch(<<1:64/little, Inode:64/little, 4, 0:24, 1:32/little, 5:64/little,
                       _:192, 16#ff:64>> when Inode =/= 0, get(Guest, ?OUT, 64)),
        ByDescriptor = get(Guest, ?OUT, 56),
        put(Guest, ?PATH, <<"f">>),
        ok(Guest, "path_filestat_get", [?FOLDER, 0, ?PATH, 1, ?OUT]),
        ?assertEqual(ByDescriptor, get(Guest, ?OUT, 56))
    end).

an_exit_has_its_status_test() ->
    Exit = fun(Status) ->
        iolist_to_binary(io_lib:format(
            "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
               (memory (export \"memory\") 1)
               (func (export \"_start\") (call $exit (i32.const ~b))))", [Status]))
    end,
    with(#{}, fun(Folder) ->
        Wasi = #{host => true, preopens => [{<<"/">>, Folder, ro}]},
        [begin
             ?assertEqual({ok, #{exit => Status, stdout => <<>>, stderr => <<>>}},
                          wasmbeam:run(Exit(Status), #{wasi => Wasi})),
             {ok, I} = wasmbeam:start(Exit(Status), #{wasi => Wasi}),
             ?assertMatch({error, {exit, #{status := Status}}}, wasmbeam:call(I, <<"_start">>, []))
         end || Status <- [0, 1, 125, 126, 255, 1000]]
    end).

streams_are_those_of_any_guest_test() ->
    with(#{}, fun(Folder) ->
        Wasi = #{host => true, preopens => [{<<"/">>, Folder, ro}]},
        Run = fun(Guest, More) -> wasmbeam:run(source(Guest), #{wasi => maps:merge(Wasi, More)}) end,
        ?assertEqual({ok, #{exit => 0, stdout => <<"Hel">>, stderr => <<"Oops\n">>,
                            discarded => #{stdout => 10}}},
                     Run("hello", #{stdout => {capture, 3}})),
        ?assertMatch({ok, #{stdout := <<"some text">>}}, Run("echo", #{stdin => <<"some text">>})),
        {ok, _} = Run("hello", #{stdout => {self(), ?FUNCTION_NAME}}),
        receive {?FUNCTION_NAME, stdout, Text} -> ?assertMatch(<<"Hello", _/binary>>, Text) end,
        Source = spawn_link(fun() ->
            receive {wasmbeam_input, From, _} -> From ! {From, {ok, <<"from a process">>}} end
        end),
        ?assertMatch({ok, #{stdout := <<"from a process">>}}, Run("echo", #{stdin => Source}))
    end).

files_of_the_machine_are_not_reached_from_outside_test() ->
    with(#{"f" => <<>>}, fun(Folder) ->
        #{instance := I} = guest(Folder, rw),
        [?assertMatch({error, {bad_argument, #{message := <<_/binary>>}}}, Use())
         || Use <- [fun() -> wasmbeam:fs_read(I, "f") end,
                    fun() -> wasmbeam:fs_write(I, "f", <<"x">>) end,
                    fun() -> wasmbeam:fs_list(I, "/") end,
                    fun() -> wasmbeam:fs_stat(I, "f") end,
                    fun() -> wasmbeam:fs_remove(I, "f") end,
                    fun() -> wasmbeam:fs_get(I) end,
                    fun() -> wasmbeam:fs_put(I, #{}) end]]
    end).

a_state_with_folders_cannot_be_taken_test() ->
    with(#{"f" => <<>>}, fun(Folder) ->
        #{instance := I} = Guest = guest(Folder, rw),
        Path = list_to_binary(Folder),
        [begin
             {error, {not_capturable, #{message := Message}}} = Take(),
             ?assertMatch({_, _}, binary:match(Message, Path))
         end || Take <- [fun() -> wasmbeam:serialize(I) end, fun() -> wasmbeam:fork(I) end,
                         fun() -> wasmbeam:reset(I) end]],
        ?assertMatch({ok, _}, open(Guest, <<"f">>, 0))
    end).

a_state_without_folders_is_taken_test() ->
    #{instance := I} = Guest = guest(#{stdin => <<"abcdef">>}),
    ?assertEqual({ok, <<"abc">>}, read(Guest, ?STDIN, 3)),
    {ok, Fork} = wasmbeam:fork(I),
    {ok, Snapshot} = wasmbeam:serialize(I),
    ?assertEqual({ok, <<"def">>}, read(Guest#{instance := Fork}, ?STDIN, 10)),
    ?assertEqual({ok, <<"def">>}, read(Guest, ?STDIN, 10)),
    ok = wasmbeam:deserialize(I, Snapshot),
    ?assertEqual({ok, <<"def">>}, read(Guest, ?STDIN, 10)),
    ok = wasmbeam:reset(I),
    ?assertEqual({ok, <<"abcdef">>}, read(Guest, ?STDIN, 10)).

what_has_no_world_of_the_machine_is_told_test() ->
    with(#{}, fun(Folder) ->
        Wasi = #{host => true, preopens => [{<<"/">>, Folder, ro}]},
        Start = fun(Module) -> wasmbeam:start(Module, #{wasi => Wasi}) end,
        ?assertMatch({error, {bad_argument, #{message := <<_/binary>>}}}, Start(source("hello64"))),
        Syscall = <<"(module (import \"env\" \"__syscall_unlinkat\" (func (param i32 i32 i32) (result i32)))
                      (memory (export \"memory\") 1))">>,
        {error, {bad_argument, #{message := Message}}} = Start(Syscall),
        ?assertMatch({_, _}, binary:match(Message, <<"__syscall_unlinkat">>))
    end).

odd_options_are_told_test() ->
    Start = fun(Wasi) -> wasmbeam:start(source("hello"), #{wasi => Wasi}) end,
    Missing = <<"/nothing/is/here">>,
    {error, {bad_argument, #{key := preopens, message := Message}}} =
        Start(#{host => true, preopens => [{<<"/">>, Missing, ro}]}),
    ?assertMatch({_, _}, binary:match(Message, Missing)),
    Odd = [{host, #{host => yes}}, {fs, #{host => true, fs => #{}}},
           {quotas, #{host => true, quotas => #{bytes => 1}}},
           {quotas, #{host => true, quotas => #{bytes => 1, descriptors => 10}}}]
        ++ [{preopens, #{host => true, preopens => Preopens}}
            || Preopens <- [<<"/">>, [<<"/">>], [{<<"/">>, <<"/tmp">>}], [{<<"/">>, <<"/tmp">>, rwx}],
                            [{<<255>>, <<"/tmp">>, ro}], [{[root], <<"/tmp">>, ro}], [{<<"/">>, tmp, ro}],
                            [{<<"/">>, <<"/tmp">>, ro} | more], #{<<"/">> => <<"/tmp">>},
                            #{<<"/">> => {dir, <<"/tmp">>, all}}, [{<<"/">>, <<"/tmp", 0>>, ro}],
                            [{<<"/">>, <<"/etc/passwd">>, ro}]]],
    [?assertMatch({Wasi, {error, {bad_argument, #{key := Key}}}}, {Wasi, Start(Wasi)})
     || {Key, Wasi} <- Odd].
