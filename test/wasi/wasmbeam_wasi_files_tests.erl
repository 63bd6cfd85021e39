%% The files of a live instance.
-module(wasmbeam_wasi_files_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_wasi_guest, [source/1, open/3, read/3, write/3]).

start() ->
    start(#{}).

start(Wasi) ->
    {ok, Instance} = wasmbeam:start(source("hello"), #{wasi => Wasi}),
    Instance.

tree() ->
    #{<<"a">> => <<"1">>,
      <<"d">> => #{<<"b">> => <<0, 255>>, <<"e">> => #{}, <<"l">> => {symlink, <<"b">>}}}.

what_is_put_is_what_is_got_test() ->
    I = start(#{fs => tree()}),
    ?assertEqual({ok, tree()}, wasmbeam:fs_get(I)),
    ?assertEqual({ok, maps:get(<<"d">>, tree())}, wasmbeam:fs_get(I, "/d")),
    ?assertEqual({ok, <<"1">>}, wasmbeam:fs_get(I, <<"a">>)),
    ?assertEqual(ok, wasmbeam:fs_put(I, #{<<"x">> => <<>>})),
    ?assertEqual({ok, #{<<"x">> => <<>>}}, wasmbeam:fs_get(I)).

an_instance_without_options_has_files_too_test() ->
    {ok, I} = wasmbeam:start(<<"(module)">>),
    ?assertEqual({ok, #{}}, wasmbeam:fs_get(I)),
    ?assertEqual(ok, wasmbeam:fs_write(I, "a/b/c", <<"text">>)),
    ?assertEqual({ok, <<"text">>}, wasmbeam:fs_read(I, <<"/a/b/c">>)).

files_are_read_written_listed_and_removed_test() ->
    I = start(#{fs => tree()}),
    ?assertEqual({ok, [<<"a">>, <<"d">>]}, wasmbeam:fs_list(I, "/")),
    ?assertEqual({ok, [<<"b">>, <<"e">>, <<"l">>]}, wasmbeam:fs_list(I, "d")),
    ?assertEqual({ok, <<0, 255>>}, wasmbeam:fs_read(I, "d/l")),
    ?assertEqual(ok, wasmbeam:fs_write(I, "ü/ö", [<<"ne">>, "w"])),
    ?assertEqual({ok, <<"new">>}, wasmbeam:fs_read(I, <<"ü/ö"/utf8>>)),
    ?assertEqual(ok, wasmbeam:fs_write(I, "a", #{<<"now">> => <<"a folder">>})),
    ?assertEqual({ok, <<"a folder">>}, wasmbeam:fs_read(I, "a/now")),
    ?assertEqual(ok, wasmbeam:fs_write(I, "link", {symlink, <<"/a/now">>})),
    ?assertEqual({ok, <<"a folder">>}, wasmbeam:fs_read(I, "link")),
    ?assertEqual(ok, wasmbeam:fs_remove(I, "d")),
    ?assertEqual(ok, wasmbeam:fs_remove(I, "link")),
    ?assertEqual({ok, [<<"a">>, <<"ü"/utf8>>]}, wasmbeam:fs_list(I, "")).

what_is_known_of_a_file_test() ->
    I = start(#{fs => tree(), clock => {fixed, 77}}),
    ?assertMatch({ok, #{type := regular, size := 2, links := 1, inode := N, accessed := 77,
                        modified := 77, changed := 77}} when is_integer(N),
                 wasmbeam:fs_stat(I, "d/b")),
    ?assertMatch({ok, #{type := directory}}, wasmbeam:fs_stat(I, "/")),
    ?assertMatch({ok, #{type := symlink, size := 1}}, wasmbeam:fs_stat(I, "d/l")),
    ?assertMatch({ok, #{type := directory}}, wasmbeam:fs_stat(I, "d/e/")).

failures_have_a_posix_code_and_the_path_test() ->
    I = start(#{fs => tree(), quotas => #{bytes => 10}}),
    Fails = fun(Code, Path, Answer) ->
        ?assertMatch({error, {file_error, #{code := Code, path := Path, message := <<_/binary>>}}},
                     Answer)
    end,
    Fails(enoent, <<"none">>, wasmbeam:fs_read(I, "none")),
    Fails(enoent, <<"none">>, wasmbeam:fs_remove(I, "none")),
    Fails(enoent, <<"none">>, wasmbeam:fs_stat(I, "none")),
    Fails(enoent, <<"none">>, wasmbeam:fs_get(I, "none")),
    Fails(eisdir, <<"d">>, wasmbeam:fs_read(I, "d")),
    Fails(eisdir, <<"d">>, wasmbeam:fs_write(I, "d", <<>>)),
    Fails(enotdir, <<"a">>, wasmbeam:fs_list(I, "a")),
    Fails(enotdir, <<"a/b">>, wasmbeam:fs_write(I, "a/b", <<>>)),
    Fails(ebusy, <<"/">>, wasmbeam:fs_remove(I, "/")),
    Fails(enospc, <<"big">>, wasmbeam:fs_write(I, "big", <<0:88>>)),
    Fails(enospc, <<"/">>, wasmbeam:fs_put(I, #{<<"big">> => <<0:88>>})),
    Long = binary:copy(<<"n">>, 300),
    Fails(enametoolong, Long, wasmbeam:fs_write(I, Long, <<>>)),
    ?assertEqual({ok, tree()}, wasmbeam:fs_get(I)).

no_path_leads_out_of_the_tree_test() ->
    I = start(#{fs => #{<<"out">> => {symlink, <<"/../../etc/passwd">>},
                        <<"round">> => {symlink, <<"round">>}}}),
    [?assertMatch({error, {file_error, _}}, wasmbeam:fs_read(I, Path))
     || Path <- ["/etc/passwd", "../etc/passwd", "out", "round", "a\0b"]].

what_is_no_path_or_no_file_is_a_bad_argument_test() ->
    I = start(),
    [?assertMatch({error, {bad_argument, _}}, Answer)
     || Answer <- [wasmbeam:fs_read(I, a), wasmbeam:fs_read(I, [a]), wasmbeam:fs_read(I, [$a | $b]),
                   wasmbeam:fs_read(I, [-1]), wasmbeam:fs_read(I, #{}),
                   wasmbeam:fs_write(I, "a", [text]), wasmbeam:fs_write(I, "a", #{a => <<>>}),
                   wasmbeam:fs_write(I, a, <<>>), wasmbeam:fs_put(I, <<"file">>),
                   wasmbeam:fs_put(I, #{<<"a">> => 1}), wasmbeam:fs_get(I, 1)]],
    [?assertMatch({error, {bad_argument, _}}, wasmbeam:fs_get(Other))
     || Other <- wasmbeam_fixture:not_instances()].

a_stopped_instance_has_no_files_test() ->
    I = start(),
    ok = wasmbeam:stop(I),
    [?assertMatch({error, {stopped, _}}, Answer)
     || Answer <- [wasmbeam:fs_get(I), wasmbeam:fs_read(I, "a"), wasmbeam:fs_write(I, "a", <<>>),
                   wasmbeam:fs_put(I, #{}), wasmbeam:fs_list(I, "/"), wasmbeam:fs_stat(I, "/"),
                   wasmbeam:fs_remove(I, "a"), wasmbeam:output(I, stdout)]].

a_handler_can_use_the_files_test() ->
    Module = <<"(module (import \"env\" \"ask\" (func $ask)) (memory (export \"memory\") 1)
                 (func (export \"_start\") call $ask))">>,
    Ask = fun([], #{instance := I}) ->
        {ok, Text} = wasmbeam:fs_read(I, "in"),
        ok = wasmbeam:fs_write(I, "out", string:uppercase(Text)),
        []
    end,
    ?assertMatch({ok, #{fs := #{<<"out">> := <<"TEXT">>}}},
                 wasmbeam:run(Module, #{wasi => #{fs => #{<<"in">> => <<"text">>}},
                                        imports => #{<<"env">> => #{<<"ask">> => Ask}}})).

another_process_can_use_the_files_test() ->
    I = start(#{fs => tree()}),
    {Pid, Monitor} = spawn_monitor(fun() -> exit(wasmbeam:fs_read(I, "a")) end),
    receive {'DOWN', Monitor, process, Pid, Answer} -> ?assertEqual({ok, <<"1">>}, Answer) end.

the_guest_sees_what_is_written_and_the_other_way_round_test() ->
    [begin
         Guest = #{instance := I} = wasmbeam_wasi_guest:start(Width, #{fs => tree()}),
         {ok, A} = open(Guest, <<"a">>, 0),
         ok = wasmbeam:fs_write(I, "a", <<"changed">>),
         ?assertEqual({ok, <<"changed">>}, read(Guest, A, 100)),
         {ok, New} = open(Guest, <<"d/new">>, 1),
         ?assertEqual({ok, 5}, write(Guest, New, <<"bytes">>)),
         ?assertEqual({ok, <<"bytes">>}, wasmbeam:fs_read(I, "d/new")),
         ok = wasmbeam:fs_put(I, #{<<"other">> => <<"tree">>}),
         {ok, Other} = open(Guest, <<"other">>, 0),
         ?assertEqual({ok, <<"tree">>}, read(Guest, Other, 100)),
         ?assertEqual({errno, 44}, open(Guest, <<"d/new">>, 0))
     end || Width <- wasmbeam_wasi_guest:widths()].

large_files_and_large_trees_test() ->
    Large = binary:copy(<<"0123456789abcdef">>, 1 bsl 19),
    Many = maps:from_list([{integer_to_binary(N), #{<<"f">> => <<N:32>>}}
                           || N <- lists:seq(1, 20000)]),
    I = start(#{fs => #{<<"large">> => Large, <<"many">> => Many}}),
    ?assertEqual({ok, #{<<"large">> => Large, <<"many">> => Many}}, wasmbeam:fs_get(I)),
    ok = wasmbeam:fs_write(I, "again", Large),
    ?assertEqual({ok, Large}, wasmbeam:fs_read(I, "again")).
