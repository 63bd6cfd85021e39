%% Folders of the machine in a virtual tree.
-module(wasmbeam_wasi_mounts_tests).

-include_lib("eunit/include/eunit.hrl").
-include_lib("kernel/include/file.hrl").

-import(wasmbeam_wasi_folder, [with/2, link/3]).
-import(wasmbeam_wasi_guest, [errno/3, ok/3, open/3, put/3, read/3, write/3]).

-define(ROFS, 69).
-define(FOLDER, 3).
-define(CREATE, 1).
-define(PATH, 1024).
-define(PATH2, 2048).
-define(OUT, 4096).

start(Fs) ->
    start(Fs, #{}).

start(Fs, Wasi) ->
    wasmbeam_wasi_guest:start(32, Wasi#{fs => Fs}).

refusal(Fs, Wasi) ->
    {error, {bad_argument, #{key := fs, message := Message}}} =
        wasmbeam:start(wasmbeam_wasi_guest:source("hello"), #{wasi => Wasi#{fs => Fs}}),
    Message.

names(Text, Message) ->
    ?assertMatch({_, _}, binary:match(Message, iolist_to_binary(Text))).

a_folder_is_read_into_the_tree_test() ->
    with(#{"a" => <<"1">>, "d/b" => <<"2">>, "d/e/c" => <<>>}, fun(Folder) ->
        Below = #{<<"a">> => <<"1">>, <<"d">> => #{<<"b">> => <<"2">>, <<"e">> => #{<<"c">> => <<>>}}},
        Whole = fun(#{instance := I}) -> {ok, Tree} = wasmbeam:fs_get(I), Tree end,
        [begin
             ?assertEqual(#{<<"x">> => <<"y">>, <<"m">> => Below},
                          Whole(start(#{<<"x">> => <<"y">>, <<"m">> => {dir, Folder, Access}}))),
             ?assertEqual(#{<<"p">> => #{<<"q">> => Below}},
                          Whole(start(#{<<"p">> => #{<<"q">> => {dir, list_to_binary(Folder), Access}}}))),
             ?assertEqual(Below, Whole(start({dir, Folder, Access})))
         end || Access <- [ro, rw]]
    end).

what_is_no_file_is_left_out_test() ->
    with(#{"file" => <<"f">>}, fun(Folder) ->
        Write = wasmbeam_wasi_folder:fifo(Folder, "pipe"),
        #{instance := I} = start({dir, Folder, ro}),
        ?assertEqual({ok, #{<<"file">> => <<"f">>}}, wasmbeam:fs_get(I)),
        _ = Write
    end).

links_lead_nowhere_but_into_the_tree_test() ->
    with(#{"secret" => <<"secret">>, "in/file" => <<"inside">>}, fun(Folder) ->
        In = filename:join(Folder, "in"),
        Secret = filename:join(Folder, "secret"),
        link(In, "absolute", Secret),
        link(In, "relative", "../secret"),
        link(In, "folder", Folder),
        link(In, "good", "file"),
        Guest = #{instance := I} = start(#{<<"m">> => {dir, In, ro}, <<"secret">> => <<"the tree's">>}),
        ?assertEqual({ok, {symlink, list_to_binary(Secret)}}, link_of(I, <<"absolute">>)),
        ?assertEqual({ok, <<"inside">>}, wasmbeam:fs_read(I, "m/good")),
        ?assertEqual({ok, <<"the tree's">>}, wasmbeam:fs_read(I, "m/relative")),
        ?assertMatch({error, {file_error, #{code := enoent}}}, wasmbeam:fs_read(I, "m/absolute")),
        ?assertMatch({error, {file_error, #{code := enoent}}}, wasmbeam:fs_read(I, "m/folder/secret")),
        {errno, _} = open(Guest, <<"m/absolute">>, 0)
    end).

link_of(I, Name) ->
    {ok, #{<<"m">> := #{Name := Node}}} = wasmbeam:fs_get(I),
    {ok, Node}.

what_cannot_be_read_is_named_test() ->
    with(#{"a/big" => <<0:8000>>, "b/c/file" => <<1>>}, fun(Folder) ->
        Missing = filename:join(Folder, "missing"),
        names(Missing, refusal(#{<<"m">> => {dir, Missing, ro}}, #{})),
        File = filename:join(Folder, "a/big"),
        names(File, refusal(#{<<"m">> => {dir, File, rw}}, #{})),
        names("big", refusal(#{<<"m">> => {dir, Folder, ro}}, #{quotas => #{bytes => 999}})),
        names(Folder, refusal(#{<<"m">> => {dir, Folder, ro}}, #{quotas => #{files => 3}})),
        ok = file:write_file(<<(list_to_binary(Folder))/binary, "/b/", 255>>, <<>>),
        names(filename:join(Folder, "b"), refusal(#{<<"m">> => {dir, Folder, ro}}, #{})),
        [?assertMatch(<<_/binary>>, refusal(#{<<"m">> => Odd}, #{}))
         || Odd <- [{dir, Folder, all}, {dir, folder, ro}, {dir, <<0>>, ro}, {dir, Folder},
                    {dir, [folder], ro}]],
        #{instance := I} = start(#{}),
        ?assertMatch({error, {bad_argument, _}}, wasmbeam:fs_put(I, #{<<"m">> => {dir, Folder, ro}}))
    end).

both_folders_count_against_one_quota_test() ->
    with(#{"a/f" => <<0:800>>, "b/f" => <<0:800>>}, fun(Folder) ->
        Fs = #{<<"a">> => {dir, filename:join(Folder, "a"), ro},
               <<"b">> => {dir, filename:join(Folder, "b"), rw}, <<"c">> => <<0:80>>},
        #{instance := _} = start(Fs, #{quotas => #{bytes => 210}}),
        ?assertMatch(<<_/binary>>, refusal(Fs, #{quotas => #{bytes => 209}}))
    end).

what_is_read_only_stays_test() ->
    with(#{"f" => <<"text">>, "d/g" => <<>>}, fun(Folder) ->
        Guest = #{instance := I} = start(#{<<"m">> => {dir, Folder, ro}, <<"own">> => <<"x">>}),
        {ok, Before} = wasmbeam:fs_get(I),
        put(Guest, ?PATH, <<"m/f">>),
        put(Guest, ?PATH2, <<"m/new">>),
        put(Guest, 3000, <<"own">>),
        put(Guest, 3100, <<"m/d">>),
        put(Guest, 3200, <<"m">>),
        put(Guest, 3300, <<"n">>),
        %% To be read, and everything that changes a file but for its bytes.
        Rights = lists:sum([1 bsl Right || Right <- [1, 2, 8, 21, 22, 23]]),
        ok(Guest, "path_open", [?FOLDER, 0, ?PATH, 3, 0, Rights, 0, 0, ?OUT]),
        <<Fd:32/little>> = wasmbeam_wasi_guest:get(Guest, ?OUT, 4),
        ?assertEqual({ok, <<"text">>}, read(Guest, Fd, 100)),
        Refused = [
            {"path_open", [?FOLDER, 0, ?PATH2, 5, ?CREATE, 2, 0, 0, ?OUT]},
            {"path_open", [?FOLDER, 0, ?PATH, 3, 8, 2, 0, 0, ?OUT]},
            {"path_open", [?FOLDER, 0, ?PATH, 3, 0, 1 bsl 6, 0, 0, ?OUT]},
            {"path_create_directory", [?FOLDER, ?PATH2, 5]},
            {"path_unlink_file", [?FOLDER, ?PATH, 3]},
            {"path_remove_directory", [?FOLDER, 3100, 3]},
            {"path_remove_directory", [?FOLDER, 3200, 1]},
            {"path_rename", [?FOLDER, ?PATH, 3, ?FOLDER, 3300, 1]},
            {"path_rename", [?FOLDER, 3000, 3, ?FOLDER, ?PATH2, 5]},
            {"path_rename", [?FOLDER, 3200, 1, ?FOLDER, 3300, 1]},
            {"path_link", [?FOLDER, 0, ?PATH, 3, ?FOLDER, 3300, 1]},
            {"path_link", [?FOLDER, 0, 3000, 3, ?FOLDER, ?PATH2, 5]},
            {"path_symlink", [?PATH, 3, ?FOLDER, ?PATH2, 5]},
            {"path_filestat_set_times", [?FOLDER, 0, ?PATH, 3, 0, 0, 1]},
            {"fd_filestat_set_times", [Fd, 0, 0, 1]},
            {"fd_filestat_set_size", [Fd, 0]},
            {"fd_allocate", [Fd, 0, 100]}
        ],
        [?assertEqual({Name, Args, ?ROFS}, {Name, Args, errno(Guest, Name, Args)})
         || {Name, Args} <- Refused],
        [?assertMatch({error, {file_error, #{code := erofs}}}, Change())
         || Change <- [fun() -> wasmbeam:fs_write(I, "m/f", <<>>) end,
                       fun() -> wasmbeam:fs_write(I, "m/new", <<>>) end,
                       fun() -> wasmbeam:fs_write(I, "m/d", #{}) end,
                       fun() -> wasmbeam:fs_remove(I, "m/f") end,
                       fun() -> wasmbeam:fs_remove(I, "m") end,
                       fun() -> wasmbeam:fs_put(I, #{}) end]],
        ?assertEqual({ok, Before}, wasmbeam:fs_get(I)),
        %% It stays so in what comes of it.
        {ok, Fork} = wasmbeam:fork(I),
        {ok, Snapshot} = wasmbeam:serialize(I),
        {ok, Restored} = wasmbeam:restore(wasmbeam_wasi_guest:module("wasi_snapshot_preview1", 32),
                                          Snapshot, #{}),
        [begin
             ?assertMatch({error, {file_error, #{code := erofs}}}, wasmbeam:fs_write(J, "m/f", <<>>)),
             ?assertEqual({ok, Before}, wasmbeam:fs_get(J))
         end || J <- [Fork, Restored]],
        ?assertEqual({ok, <<"text">>}, wasmbeam_wasi_folder:read(Folder, "f"))
    end).

a_call_writes_what_it_has_changed_test() ->
    with(#{"old" => <<"old">>, "gone" => <<>>, "d/x" => <<>>, "same" => <<"same">>}, fun(Folder) ->
        Guest = start(#{<<"m">> => {dir, Folder, rw}}),
        Untouched = written_at(Folder, "same"),
        {ok, New} = open(Guest, <<"m/new">>, ?CREATE),
        ?assertEqual({ok, <<>>}, wasmbeam_wasi_folder:read(Folder, "new")),
        {ok, 4} = write(Guest, New, <<"text">>),
        ?assertEqual({ok, <<"text">>}, wasmbeam_wasi_folder:read(Folder, "new")),
        {ok, Old} = open(Guest, <<"m/old">>, 0),
        {ok, 3} = write(Guest, Old, <<"new">>),
        ?assertEqual({ok, <<"new">>}, wasmbeam_wasi_folder:read(Folder, "old")),
        at(Guest, "path_unlink_file", <<"m/gone">>),
        at(Guest, "path_unlink_file", <<"m/d/x">>),
        at(Guest, "path_remove_directory", <<"m/d">>),
        at(Guest, "path_create_directory", <<"m/e">>),
        at(Guest, "path_create_directory", <<"m/e/f">>),
        ?assertEqual(["e", "new", "old", "same"], list(Folder)),
        ?assertEqual(["f"], list(filename:join(Folder, "e"))),
        rename(Guest, <<"m/e">>, <<"m/g">>),
        rename(Guest, <<"m/new">>, <<"m/g/new">>),
        ?assertEqual(["g", "old", "same"], list(Folder)),
        ?assertEqual({ok, <<"text">>}, wasmbeam_wasi_folder:read(Folder, "g/new")),
        ?assertEqual(Untouched, written_at(Folder, "same"))
    end).

at(Guest, Function, Path) ->
    put(Guest, ?PATH, Path),
    ok(Guest, Function, [?FOLDER, ?PATH, byte_size(Path)]).

rename(Guest, Old, New) ->
    put(Guest, ?PATH, Old),
    put(Guest, ?PATH2, New),
    ok(Guest, "path_rename", [?FOLDER, ?PATH, byte_size(Old), ?FOLDER, ?PATH2, byte_size(New)]).

list(Folder) ->
    {ok, Names} = file:list_dir(Folder),
    lists:sort(Names).

written_at(Folder, Name) ->
    {ok, #file_info{inode = Inode, mtime = Modified}} =
        file:read_link_info(filename:join(Folder, Name), [{time, posix}]),
    {Inode, Modified}.

a_file_may_become_a_directory_and_back_test() ->
    with(#{"a" => <<"file">>, "b/c" => <<"below">>}, fun(Folder) ->
        #{instance := I} = start({dir, Folder, rw}),
        ok = wasmbeam:fs_write(I, "a", #{<<"x">> => <<"1">>}),
        ok = wasmbeam:fs_write(I, "b", {symlink, <<"a/x">>}),
        ok = wasmbeam:fs_sync(I),
        ?assertEqual({ok, <<"1">>}, wasmbeam_wasi_folder:read(Folder, "a/x")),
        ?assertEqual({ok, "a/x"}, file:read_link(filename:join(Folder, "b"))),
        ok = wasmbeam:fs_remove(I, "a"),
        ok = wasmbeam:fs_write(I, "a", <<"file again">>),
        ok = wasmbeam:fs_write(I, "b", #{}),
        ok = wasmbeam:fs_sync(I),
        ?assertEqual({ok, <<"file again">>}, wasmbeam_wasi_folder:read(Folder, "a")),
        ?assertEqual({ok, []}, file:list_dir(filename:join(Folder, "b")))
    end).

what_others_do_is_not_touched_test() ->
    with(#{"mine" => <<"1">>, "d/mine" => <<>>}, fun(Folder) ->
        #{instance := I} = start({dir, Folder, rw}),
        wasmbeam_wasi_folder:write(Folder, "theirs", <<"theirs">>),
        wasmbeam_wasi_folder:write(Folder, "d/theirs", <<"theirs">>),
        ok = file:delete(filename:join(Folder, "mine")),
        ok = wasmbeam:fs_remove(I, "d"),
        ok = wasmbeam:fs_write(I, "new", <<"new">>),
        ok = wasmbeam:fs_sync(I),
        ?assertEqual(["d", "new", "theirs"], list(Folder)),
        ?assertEqual(["theirs"], list(filename:join(Folder, "d"))),
        ?assertMatch({ok, #{<<"new">> := _}}, wasmbeam:fs_get(I))
    end).

a_file_keeps_its_permissions_test() ->
    with(#{"run" => <<"old">>}, fun(Folder) ->
        Path = filename:join(Folder, "run"),
        ok = file:change_mode(Path, 8#751),
        #{instance := I} = start({dir, Folder, rw}),
        ok = wasmbeam:fs_write(I, "run", <<"new">>),
        ok = wasmbeam:fs_sync(I),
        {ok, #file_info{mode = Mode}} = file:read_file_info(Path),
        ?assertEqual({8#751, {ok, <<"new">>}}, {Mode band 8#777, file:read_file(Path)})
    end).

%% Nothing is ever written through a link, and no link that leads out is made.
nothing_is_written_outside_of_the_folder_test() ->
    with(#{"out/secret" => <<"secret">>, "in/d/f" => <<>>, "in/file" => <<>>}, fun(Folder) ->
        In = filename:join(Folder, "in"),
        Out = filename:join(Folder, "out"),
        #{instance := I} = start({dir, In, rw}),
        %% Others put links where the tree has files and directories.
        ok = file:delete(filename:join(In, "file")),
        link(In, "file", "../out/secret"),
        ok = file:del_dir_r(filename:join(In, "d")),
        link(In, "d", "../out"),
        ok = wasmbeam:fs_write(I, "file", <<"changed">>),
        ok = wasmbeam:fs_sync(I),
        ?assertEqual({ok, <<"changed">>}, wasmbeam_wasi_folder:read(In, "file")),
        ok = wasmbeam:fs_write(I, "d/secret", <<"changed">>),
        {error, {file_error, #{message := Message}}} = wasmbeam:fs_sync(I),
        names(filename:join(In, "d"), Message),
        ok = wasmbeam:fs_remove(I, "d"),
        ok = wasmbeam:fs_sync(I),
        ?assertEqual({ok, <<"secret">>}, wasmbeam_wasi_folder:read(Out, "secret")),
        ?assertEqual(["secret"], list(Out)),
        ok = file:delete(filename:join(In, "d")),
        Links = [{<<"/etc/passwd">>, false}, {<<"../out/secret">>, false}, {<<"..">>, false},
                 {<<"file/../../out">>, false}, {<<"file">>, true}, {<<"./e/f">>, true}],
        [begin
             ok = wasmbeam:fs_write(I, "link", {symlink, Target}),
             ok = wasmbeam:fs_sync(I),
             ?assertEqual({Target, Written},
                          {Target, filelib:is_regular(filename:join(In, "link"))
                               orelse file:read_link(filename:join(In, "link")) =/= {error, enoent}}),
             ok = wasmbeam:fs_remove(I, "link"),
             ok = wasmbeam:fs_sync(I)
         end || {Target, Written} <- Links],
        ok = wasmbeam:fs_write(I, "a/b/link", {symlink, <<"../../file">>}),
        ok = wasmbeam:fs_write(I, "a/b/out", {symlink, <<"../../../out">>}),
        ok = wasmbeam:fs_sync(I),
        ?assertEqual(["link"], list(filename:join(In, "a/b")))
    end).

what_cannot_be_written_is_the_calls_error_test() ->
    with(#{"d/f" => <<>>}, fun(Folder) ->
        Guest = #{instance := I} = start(#{<<"m">> => {dir, Folder, rw}}),
        {ok, Fd} = open(Guest, <<"m/d/f">>, 0),
        ok = file:del_dir_r(filename:join(Folder, "d")),
        ok = file:write_file(filename:join(Folder, "d"), <<"in the way">>),
        wasmbeam_wasi_guest:put(Guest, 65536, <<"text">>),
        wasmbeam_wasi_guest:put_buffers(Guest, 64, [{65536, 4}]),
        {error, {file_error, #{message := Message, path := Path}}} =
            wasmbeam:call(I, <<"fd_write">>, [Fd, 64, 1, 16]),
        names(filename:join(Folder, "d"), Message),
        ?assertEqual(list_to_binary(filename:join(Folder, "d")), Path),
        %% The next time tries again.
        ok = file:delete(filename:join(Folder, "d")),
        ok = wasmbeam:fs_sync(I),
        ?assertEqual({ok, <<"text">>}, wasmbeam_wasi_folder:read(Folder, "d/f"))
    end).

a_command_writes_when_it_exits_test() ->
    Source = <<"(module
        (import \"wasi_snapshot_preview1\" \"path_create_directory\"
          (func $make (param i32 i32 i32) (result i32)))
        (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
        (memory (export \"memory\") 1) (data (i32.const 8) \"made\")
        (func (export \"_start\")
          (call $exit (call $make (i32.const 3) (i32.const 8) (i32.const 4)))))">>,
    with(#{}, fun(Folder) ->
        ?assertMatch({ok, #{exit := 0, fs := #{<<"made">> := #{}}}},
                     wasmbeam:run(Source, #{wasi => #{fs => {dir, Folder, rw}}})),
        ?assertEqual(["made"], list(Folder)),
        ok = file:del_dir(filename:join(Folder, "made")),
        {ok, #{exit := 0}} = wasmbeam:run(Source, #{wasi => #{preopens => [<<"/">>],
                                                              fs => {dir, Folder, rw}}}),
        ?assertEqual(["made"], list(Folder)),
        ?assertMatch({ok, #{exit := 20}}, wasmbeam:run(Source, #{wasi => #{fs => {dir, Folder, rw}}}))
    end).

a_fork_has_the_files_but_no_folder_test() ->
    with(#{"f" => <<"start">>}, fun(Folder) ->
        #{instance := I} = start({dir, Folder, rw}),
        {ok, Fork} = wasmbeam:fork(I),
        ok = wasmbeam:fs_write(Fork, "f", <<"fork">>),
        ok = wasmbeam:fs_sync(Fork),
        ?assertEqual({ok, <<"start">>}, wasmbeam_wasi_folder:read(Folder, "f")),
        {ok, Snapshot} = wasmbeam:serialize(I),
        ok = wasmbeam:fs_write(I, "f", <<"changed">>),
        ok = wasmbeam:fs_sync(I),
        ?assertEqual({ok, <<"changed">>}, wasmbeam_wasi_folder:read(Folder, "f")),
        ok = wasmbeam:deserialize(I, Snapshot),
        ok = wasmbeam:fs_sync(I),
        ?assertEqual({ok, <<"start">>}, wasmbeam_wasi_folder:read(Folder, "f"))
    end).

a_directory_that_is_removed_leaves_the_folder_test() ->
    with(#{"f" => <<"kept">>}, fun(Folder) ->
        #{instance := I} = start(#{<<"m">> => {dir, Folder, rw}}),
        ok = wasmbeam:fs_remove(I, "m"),
        ok = wasmbeam:fs_sync(I),
        ?assertEqual({ok, <<"kept">>}, wasmbeam_wasi_folder:read(Folder, "f"))
    end).

an_instance_without_folders_has_nothing_to_write_test() ->
    #{instance := I} = start(#{<<"f">> => <<>>}),
    ?assertEqual(ok, wasmbeam:fs_sync(I)),
    ok = wasmbeam:stop(I),
    ?assertMatch({error, {stopped, _}}, wasmbeam:fs_sync(I)).
