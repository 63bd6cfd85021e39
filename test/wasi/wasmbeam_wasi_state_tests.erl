%% The WASI world is part of an instance's state: its files, descriptors, offsets, streams, clock and
%% random bytes are snapshotted, restored, forked and reset with it.
-module(wasmbeam_wasi_state_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_wasi_guest, [errno/3, ok/3, at/3, put/3, get/3, get_size/2, open/3, read/3, write/3]).

-define(BADF, 8).

widths_test_() ->
    [{lists:flatten(io_lib:format("~ts, ~b bits", [Name, Width])), {spawn, fun() -> Test(Width) end}}
     || Width <- wasmbeam_wasi_guest:widths(),
        {Name, Test} <- [
            {"a restored guest goes on where it was", fun(W) -> goes_on(W, fun restored/1) end},
            {"a fork goes on where its origin is", fun(W) -> goes_on(W, fun forked/1) end},
            {"a fork of a fork goes on too", fun(W) -> goes_on(W, fun(I) -> forked(forked(I)) end) end},
            {"an incremental snapshot has it all", fun(W) -> goes_on(W, fun incremental/1) end},
            {"a deserialized guest goes back", fun deserialized/1},
            {"a reset guest begins again", fun reset/1},
            {"forks share nothing that is written", fun apart/1},
            {"equal worlds give equal snapshots", fun equal_bytes/1},
            {"a file without a name survives as long as it is open", fun nameless/1},
            {"a listing goes on from its cookie", fun listing/1}
        ]].

world() ->
    #{fs => #{<<"f">> => <<"0123456789">>, <<"d">> => #{<<"g">> => <<>>}}, stdin => <<"one two">>,
      args => [<<"a">>], clock => {fixed, 1000}, random => {seed, 5}, quotas => #{bytes => 100}}.

module(Width) ->
    wasmbeam_wasi_guest:module("wasi_snapshot_preview1", Width).

restored(#{instance := Instance, width := Width} = Guest) ->
    {ok, Snapshot} = wasmbeam:serialize(Instance),
    {ok, Restored} = wasmbeam:restore(module(Width), Snapshot, #{}),
    Guest#{instance := Restored}.

incremental(#{instance := Instance, width := Width} = Guest) ->
    {ok, Base} = wasmbeam:serialize(Instance),
    {ok, _} = write(Guest, 1, <<>>),
    {ok, Snapshot} = wasmbeam:serialize(Instance, #{base => Base}),
    {ok, Restored} = wasmbeam:restore(module(Width), [Base, Snapshot], #{}),
    Guest#{instance := Restored}.

forked(#{instance := Instance} = Guest) ->
    {ok, Fork} = wasmbeam:fork(Instance),
    Guest#{instance := Fork}.

%% Uses everything that a world has.
used(Width) ->
    Guest = wasmbeam_wasi_guest:start(Width, world()),
    {ok, 4} = open(Guest, <<"f">>, 0),
    {ok, <<"012">>} = read(Guest, 4, 3),
    {ok, 5} = open(Guest, <<"d/new">>, 1),
    ok(Guest, "fd_fdstat_set_flags", [5, 1]),
    {ok, 3} = write(Guest, 5, <<"new">>),
    {ok, 6} = open(Guest, <<"f">>, 0),
    ok(Guest, "fd_close", [4]),
    {ok, <<"one ">>} = read(Guest, 0, 4),
    {ok, 3} = write(Guest, 1, <<"out">>),
    ok(Guest, "fd_fdstat_set_rights", [6, 2, 0]),
    sleep(Guest, 500),
    _ = random(Guest),
    Guest.

sleep(Guest, Ns) ->
    put(Guest, 1024, <<1:64/little, 0, 0:56, 1:32/little, 0:32, Ns:64/little, 0:128>>),
    ok(Guest, "poll_oneoff", [1024, 2048, 1, 16]).

random(Guest) ->
    ok(Guest, "random_get", [3000, 16]),
    get(Guest, 3000, 16).

time(Guest) ->
    ok(Guest, "clock_time_get", [1, 0, 16]),
    <<Time:64/little>> = get(Guest, 16, 8),
    Time.

%% All that can be seen of a world, most of which changes it.
seen(#{instance := Instance} = Guest) ->
    {ok, Fd} = open(Guest, <<"d/g">>, 0),
    [{descriptor, Fd}, {read, read(Guest, 6, 4)}, {read, read(Guest, 6, 4)},
     {written, write(Guest, 5, <<"er">>)}, {refused, write(Guest, 6, <<"x">>)},
     {input, read(Guest, 0, 10)}, {output, write(Guest, 1, <<"put">>), wasmbeam:output(Instance, stdout)},
     {time, time(Guest)}, {random, random(Guest)}, {random, random(Guest)},
     {tree, wasmbeam:fs_get(Instance)}, {stat, wasmbeam:fs_stat(Instance, "d/new")},
     {quota, errno(Guest, "fd_allocate", [5, 0, 91])},
     {args, errno(Guest, "args_sizes_get", [16, 32]), get_size(Guest, 16)}].

goes_on(Width, Copy) ->
    Origin = used(Width),
    Copied = Copy(Origin),
    Seen = seen(Copied),
    ?assertEqual(Seen, seen(Origin)),
    %% What was seen is what should be.
    [{descriptor, 4}, {read, {ok, <<"0123">>}}, {read, {ok, <<"4567">>}}, {written, {ok, 2}},
     {refused, {errno, ?BADF}}, {input, {ok, <<"two">>}}, {output, {ok, 3}, {ok, <<"output">>}},
     {time, 1500}, {random, First}, {random, Second}, {tree, {ok, Tree}}, {stat, {ok, Stat}},
     {quota, 51}, {args, 0, 1}] = Seen,
    ?assertNotEqual(First, Second),
    ?assertMatch(#{<<"d">> := #{<<"g">> := <<>>, <<"new">> := <<"newer">>}}, Tree),
    ?assertMatch(#{changed := 1500, size := 5}, Stat).

deserialized(Width) ->
    Guest = #{instance := Instance} = used(Width),
    {ok, Snapshot} = wasmbeam:serialize(Instance),
    First = seen(Guest),
    ok(Guest, "fd_close", [5]),
    ok = wasmbeam:fs_put(Instance, #{}),
    ok = wasmbeam:deserialize(Instance, Snapshot),
    ?assertEqual(First, seen(Guest)).

reset(Width) ->
    Guest = #{instance := Instance} = used(Width),
    Fresh = wasmbeam_wasi_guest:start(Width, world()),
    ok = wasmbeam:reset(Instance),
    ?assertEqual(?BADF, errno(Guest, "fd_close", [5])),
    ?assertEqual(wasmbeam:fs_get(map_get(instance, Fresh)), wasmbeam:fs_get(Instance)),
    ?assertEqual({ok, <<>>}, wasmbeam:output(Instance, stdout)),
    ?assertEqual({1000, random(Fresh)}, {time(Guest), random(Guest)}),
    ?assertEqual({ok, <<"one two">>}, read(Guest, 0, 10)),
    ?assertEqual({ok, 4}, open(Guest, <<"f">>, 0)).

apart(Width) ->
    Origin = used(Width),
    Forks = [forked(Origin) || _ <- lists:seq(1, 5)],
    All = lists:zip(lists:seq($0, $5), [Origin | Forks]),
    [{ok, 1} = write(Guest, 5, <<N>>) || {N, Guest} <- All],
    [0 = at(Guest, "path_create_directory", [3, <<N>>]) || {N, Guest} <- All],
    [?assertMatch({ok, #{<<N>> := #{}, <<"d">> := #{<<"new">> := <<"new", N>>}} = Tree}
                  when map_size(Tree) =:= 3, wasmbeam:fs_get(Instance))
     || {N, #{instance := Instance}} <- All].

equal_bytes(Width) ->
    Snapshots = [begin
                     {ok, Snapshot} = wasmbeam:serialize(Instance),
                     Snapshot
                 end || #{instance := Instance} <- [used(Width), used(Width), restored(used(Width))]],
    ?assertMatch([_], lists:usort(Snapshots)).

nameless(Width) ->
    Guest = #{instance := Instance} = used(Width),
    ?assertEqual(0, at(Guest, "path_unlink_file", [3, <<"d/new">>])),
    Copies = [restored(Guest), forked(Guest)],
    [begin
         put(Copy, 65536, <<"!">>),
         ?assertEqual({ok, 1}, write(Copy, 5, <<"!">>)),
         ok(Copy, "fd_filestat_get", [5, 1024]),
         <<_:256, 4:64/little, _/binary>> = get(Copy, 1024, 64)
     end || Copy <- Copies],
    ok(Guest, "fd_filestat_get", [5, 1024]),
    ?assertMatch(<<_:256, 3:64/little, _/binary>>, get(Guest, 1024, 64)),
    ?assertMatch({ok, #{<<"d">> := #{<<"g">> := <<>>}}}, wasmbeam:fs_get(Instance)).

listing(Width) ->
    Guest = #{instance := Instance} = used(Width),
    [ok = wasmbeam:fs_write(Instance, Name, <<>>) || Name <- ["z", "b", "y", "a"]],
    ok = wasmbeam:fs_remove(Instance, "z"),
    ok(Guest, "fd_readdir", [3, 4096, 24 * 3 + 4, 0, 16]),
    %% Behind the third entry.
    <<_:24/binary, ".", _:24/binary, "..", Cookie:64/little, _/binary>> = get(Guest, 4096, 76),
    Rest = fun(Of) ->
        ok(Of, "fd_readdir", [3, 4096, 1000, Cookie, 16]),
        names(get(Of, 4096, get_size(Of, 16)))
    end,
    Here = Rest(Guest),
    ?assertEqual([<<"a">>, <<"b">>, <<"f">>, <<"y">>], lists:sort(Here)),
    [?assertEqual(Here, Rest(Copy)) || Copy <- [restored(Guest), forked(Guest)]].

names(<<_:128, Size:32/little, _:32, Name:Size/binary, Rest/binary>>) -> [Name | names(Rest)];
names(<<>>) -> [].
