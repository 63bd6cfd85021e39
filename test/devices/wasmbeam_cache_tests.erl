-module(wasmbeam_cache_tests).

-include_lib("eunit/include/eunit.hrl").

both_stores_test_() ->
    [{"in memory", tests(fun() -> #{cache => memory} end)},
     {"in a folder", {setup, fun folder/0, fun(Folder) -> ok = file:del_dir_r(Folder) end,
                      fun(Folder) -> tests(fun() -> #{cache => {disk, Folder}} end) end}}].

folder() ->
    Folder = filename:join([os:getenv("TMPDIR", "/tmp"),
                            "wasmbeam-cache-" ++ os:getpid() ++ "-"
                                ++ integer_to_list(erlang:unique_integer([positive]))]),
    ok = filelib:ensure_dir(filename:join(Folder, "x")),
    Folder.

tests(Opts) ->
    [{atom_to_list(Name), fun() -> Test(Opts()) end}
     || {Name, Test} <- [
        {what_is_written_can_be_read, fun written_is_read/1},
        {equal_messages_have_one_id, fun equal_messages/1},
        {a_binarys_id_is_its_hash, fun hash_of_binary/1},
        {bytes_mean_one_thing_only, fun one_meaning/1},
        {what_cannot_be_stored, fun no_values/1},
        {what_is_not_there, fun not_there/1}
     ]].

written_is_read(Opts) ->
    Long = binary:copy(<<"long">>, 1000),
    [begin
         {ok, Id} = wasmbeam_cache:write(Value, Opts),
         ?assertEqual({ok, Value}, wasmbeam_cache:read(Id, Opts)),
         ?assertEqual({ok, Id}, wasmbeam_cache:id(Value)),
         ?assert(wasmbeam_path:is_id(Id))
     end || Value <- [<<>>, <<"binary">>, Long, #{}, #{<<"a">> => <<>>},
                      #{<<"a">> => 1, <<"b">> => -1.5, <<"c">> => ok, <<"d">> => Long,
                        <<"e">> => #{<<"f">> => #{}}, <<"g">> => [1, [Long], #{<<"h">> => []}],
                        <<"i">> => 1 bsl 200, <<>> => false}]].

equal_messages(Opts) ->
    Pairs = [{integer_to_binary(N), N} || N <- lists:seq(1, 100)],
    {ok, Id} = wasmbeam_cache:write(maps:from_list(Pairs), Opts),
    ?assertEqual({ok, Id}, wasmbeam_cache:write(maps:from_list(lists:reverse(Pairs)), Opts)),
    {ok, Other} = wasmbeam_cache:write(maps:from_list([{<<"1">>, 1.0} | tl(Pairs)]), Opts),
    ?assertNotEqual(Id, Other).

hash_of_binary(Opts) ->
    {ok, Id} = wasmbeam_cache:write(<<"bytes">>, Opts),
    ?assertEqual(wasmbeam_cache_object:text_id(crypto:hash(sha256, <<"bytes">>)), Id).

%% A binary that is the object of a message is still a binary.
one_meaning(Opts) ->
    {ok, Object} = wasmbeam_cache_object:encode(#{<<"a">> => 1}, fun(_, _) -> error(unused) end),
    {ok, Id} = wasmbeam_cache:write(Object, Opts),
    ?assertEqual({ok, Object}, wasmbeam_cache:read(Id, Opts)),
    ?assertNotEqual({ok, Id}, wasmbeam_cache:id(#{<<"a">> => 1})),
    {ok, Marked} = wasmbeam_cache_object:encode(Object, fun(_, _) -> error(unused) end),
    {ok, MarkedId} = wasmbeam_cache:write(Marked, Opts),
    ?assertEqual({ok, Marked}, wasmbeam_cache:read(MarkedId, Opts)).

no_values(Opts) ->
    [?assertMatch({error, #{<<"class">> := <<"bad_argument">>, <<"path">> := Path}},
                  wasmbeam_cache:write(Message, Opts))
     || {Path, Message} <- [{<<"a">>, #{<<"a">> => self()}},
                            {<<"a/b">>, #{<<"a">> => #{<<"b">> => fun() -> ok end}}},
                            {<<"a/2/b">>, #{<<"a">> => [1, #{<<"b">> => {1, 2}}]}},
                            {<<"a">>, #{<<"a">> => [1 | 2]}}, {<<>>, #{{1, 2} => 3}}]],
    ?assertMatch({error, #{<<"class">> := <<"bad_argument">>}}, wasmbeam_cache:write(7, Opts)).

not_there(Opts) ->
    [?assertEqual(not_found, wasmbeam_cache:read(Id, Opts))
     || Id <- [binary:copy(<<"A">>, 43), <<"short">>, <<"../../../../../../../../etc/passwd........">>]].

damaged_files_are_not_read_test_() ->
    {setup, fun folder/0, fun(Folder) -> ok = file:del_dir_r(Folder) end, fun(Folder) -> fun() ->
        Opts = #{cache => {disk, Folder}},
        Long = binary:copy(<<"long">>, 1000),
        {ok, Id} = wasmbeam_cache:write(#{<<"a">> => Long}, Opts),
        {ok, Inner} = wasmbeam_cache:id(Long),
        [File] = filelib:wildcard(filename:join([Folder, "*", binary_to_list(Inner)])),
        ok = file:write_file(File, binary:copy(<<"gone">>, 1000)),
        ?assertEqual(not_found, wasmbeam_cache:read(Inner, Opts)),
        ?assertMatch({error, #{<<"status">> := 404, <<"id">> := Inner}}, wasmbeam_cache:read(Id, Opts)),
        {ok, Inner} = wasmbeam_cache:write(Long, Opts),
        ?assertEqual({ok, Long}, wasmbeam_cache:read(Inner, Opts)),
        ok = file:write_file(File, <<"cut">>),
        {ok, Id} = wasmbeam_cache:write(#{<<"a">> => Long}, Opts),
        ?assertEqual({ok, #{<<"a">> => Long}}, wasmbeam_cache:read(Id, Opts)),
        ?assertEqual([], filelib:wildcard(filename:join([Folder, "*", "*.*"])))
    end end}.

what_was_abandoned_a_day_ago_is_removed_and_what_others_write_is_not_test_() ->
    {setup, fun folder/0, fun(Folder) -> ok = file:del_dir_r(Folder) end, fun(Folder) -> fun() ->
        Unfinished = filename:join(Folder, "unfinished"),
        Now = os:system_time(second),
        Day = 24 * 60 * 60,
        Files = [{"abandoned", Now - Day - 60}, {[16#fc | "bandoned too"], 0},
                 {"slow", Now - Day + 3600}, {"of a clock that is fast", Now + Day}],
        [begin
             File = filename:join(Unfinished, Name),
             ok = filelib:ensure_dir(File),
             ok = file:write_file(File, <<"half">>),
             ok = file:change_time(File, calendar:system_time_to_local_time(Written, second))
         end || {Name, Written} <- Files],
        {ok, Id} = wasmbeam_cache:write(<<"whole">>, #{cache => {disk, Folder}}),
        ?assertEqual({ok, <<"whole">>}, wasmbeam_cache:read(Id, #{cache => {disk, Folder}})),
        {ok, Left} = file:list_dir_all(Unfinished),
        ?assertEqual(["of a clock that is fast", "slow"], lists:sort(Left))
    end end}.

a_folder_that_cannot_be_written_is_an_error_test() ->
    ?assertMatch({error, #{<<"class">> := <<"cache">>}},
                 wasmbeam_cache:write(<<"bytes">>, #{cache => {disk, "/dev/null/no"}})).

%% Whoever wrote it may be gone.
memory_outlives_its_writer_test() ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit(wasmbeam_cache:write(<<"kept">>, #{cache => memory})) end),
    Id = receive {'DOWN', Monitor, process, Pid, {ok, Written}} -> Written end,
    ?assertEqual({ok, <<"kept">>}, wasmbeam_cache:read(Id, #{cache => memory})).

what_is_in_memory_outlives_the_application_that_wrote_it_first_test() ->
    ok = wasmbeam_cache_memory:clear(),
    Owner = ets:info(wasmbeam_cache_memory, owner),
    ?assertEqual({group_leader, whereis(init)}, process_info(Owner, group_leader)).

what_no_cache_has_written_is_told_test_() ->
    {setup, fun folder/0, fun(Folder) -> ok = file:del_dir_r(Folder) end, fun(Folder) -> fun() ->
        [begin
             Bytes = <<"wasmbeam-message-1", 0, 1:32, "a", Value/binary>>,
             Id = wasmbeam_cache_object:text_id(crypto:hash(sha256, Bytes)),
             ok = wasmbeam_cache_disk:put(Folder, Id, Bytes),
             ?assertMatch({error, #{<<"class">> := <<"cache">>}},
                          wasmbeam_cache:read(Id, #{cache => {disk, Folder}}))
         end || Value <- [<<$i, 3:32, "one">>, <<$f, -1:64>>, <<$b, 9:32, "short">>, <<$l>>, <<"?">>]]
    end end}.

a_cache_that_is_none_is_an_error_test() ->
    [begin
         ?assertMatch({error, #{<<"class">> := <<"bad_argument">>, <<"message">> := _}}, Answer)
     end || Cache <- [disk, undefined, {file, "here"}],
            Answer <- [wasmbeam_cache:write(<<"bytes">>, #{cache => Cache}),
                       wasmbeam_cache:read(<<"id">>, #{cache => Cache})]].
