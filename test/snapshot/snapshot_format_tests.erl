%% Snapshots are what the document on their format says: a reader that was written from it finds in
%% them what the instance holds.
-module(snapshot_format_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_snapshot_fixture, [source/0, start/0, calls/2, outcomes/2, evolve/1]).

-define(PAGE, 4096).

snapshot(Instance, Options) ->
    {ok, Snapshot} = wasmbeam:serialize(Instance, Options),
    Snapshot.

%% OTP has had Zstandard since 28.
compressions() ->
    case code:ensure_loaded(zstd) of
        {module, zstd} -> [none, lz4, zstd];
        {error, _} -> [none, lz4]
    end.

everything_is_where_the_document_says_test() ->
    Instance = start(),
    evolve(Instance),
    [begin
         Snapshot = snapshot(Instance, #{compression => Compression}),
         #{module := Module, memories := Memories} = State = snapshot_reader:read(Snapshot),
         ?assertEqual(crypto:hash(sha256, source()), Module),
         ?assertMatch(#{flags := 0, base := <<0:128>>, wasi := none}, State),
         ?assertMatch(#{globals := #{0 := {i32, 3}, 1 := {v128, <<8:64/little, 16:64/little>>},
                                     2 := null}}, State),
         ?assertMatch(#{tables := [[{func, 0}, null, {func, 2}, {func, 2} | Tens]]}
                          when Tens =:= [{func, 1}, {func, 1}, {func, 1}, {func, 1}, {func, 1}],
                      State),
         ?assertMatch(#{dropped_data := [0], dropped_elements := [2]}, State),
         ?assertEqual([4 * 65536, 42 * 65536], [Size || #{size := Size} <- Memories]),
         assert_memories(Instance, Memories)
     end || Compression <- compressions()].

assert_memories(Instance, Memories) ->
    [begin
         {ok, Bytes} = wasmbeam:memory_read(Instance, 0, Size, #{memory => Index}),
         ?assertEqual(65536, PageSize),
         ?assert(bytes(Size, Pages) =:= Bytes)
     end || {Index, #{size := Size, page_size := PageSize, pages := Pages}}
                <- lists:enumerate(0, Memories)].

bytes(Size, Pages) ->
    Count = (Size + ?PAGE - 1) div ?PAGE,
    All = [maps:get(Page, Pages, <<0:(?PAGE * 8)>>) || Page <- lists:seq(0, Count - 1)],
    binary:part(iolist_to_binary(All), 0, Size).

every_type_of_global_is_where_the_document_says_test() ->
    {ok, Instance} = wasmbeam:start(<<"(module
        (global i32 (i32.const 9))
        (global (mut i64) (i64.const -2))
        (global (mut f32) (f32.const nan:0x200001))
        (global (mut f64) (f64.const -0))
        (global (mut funcref) (ref.func $f))
        (global (mut externref) (ref.null extern))
        (global (mut i31ref) (ref.i31 (i32.const -1)))
        (func) (func $f)
        (memory 70000 70000 (pagesize 1))
        (data (i32.const 69999) \"x\")
        (table 3 i31ref (ref.i31 (i32.const 4)))
        (table i64 0 funcref))">>),
    #{globals := Globals, memories := [#{size := 70000, page_size := 1, pages := Pages}],
      tables := Tables} = snapshot_reader:read(snapshot(Instance, #{})),
    ?assertEqual(#{1 => {i64, -2}, 2 => {f32, 16#7fa00001}, 3 => {f64, 1 bsl 63}, 4 => {func, 1},
                   5 => null, 6 => {i31, 16#7fffffff}}, Globals),
    ?assertEqual(#{17 => <<0:((69999 - 17 * ?PAGE) * 8), "x", 0:((18 * ?PAGE - 70000) * 8)>>}, Pages),
    ?assertEqual([[{i31, 4}, {i31, 4}, {i31, 4}], []], Tables).

a_chain_is_what_the_document_says_test_() ->
    {timeout, 120, fun() ->
        Instance = start(),
        Links = lists:foldl(fun(Seed, Chain) ->
            _ = outcomes(Instance, calls(Seed, 8)),
            Compression = lists:nth(Seed rem length(compressions()) + 1, compressions()),
            Options = case Chain of
                [] -> #{compression => Compression};
                [Last | _] -> #{compression => Compression, base => Last}
            end,
            [snapshot(Instance, Options) | Chain]
        end, [], lists:seq(1, 12)),
        #{memories := Memories, id := Id} = State = snapshot_reader:read(lists:reverse(Links)),
        assert_memories(Instance, Memories),
        ?assertEqual(binary:part(hd(Links), byte_size(hd(Links)), -16), Id),
        %% But for what makes it a link, it is the same as alone.
        Alone = snapshot_reader:read(snapshot(Instance, #{})),
        Link = [flags, base, id],
        ?assertEqual(maps:without(Link, Alone), maps:without(Link, State))
    end}.

wasi_is_where_the_document_says_test() ->
    Files = #{<<"a">> => <<"text">>, <<"d">> => #{<<"e">> => <<1, 0:(70000 * 8), 2, 0>>}},
    {ok, Instance} = wasmbeam:start(writer(), #{wasi => #{
        args => [<<"program">>, <<"argument">>], env => #{<<"NAME">> => <<"value">>}, fs => Files,
        stdin => <<"input">>, clock => {fixed, 1700000000000000000}, random => {seed, 7}}}),
    {ok, [0]} = wasmbeam:call(Instance, <<"write">>, []),
    {ok, Output} = wasmbeam:output(Instance, stdout),
    ?assertEqual(<<"output">>, Output),
    #{wasi := World} = snapshot_reader:read(snapshot(Instance, #{})),
    ?assertMatch(#{args := [<<"program">>, <<"argument">>], env := [<<"NAME=value">>],
                   terminal := false, input := {false, <<"put">>}, working_directory := 0,
                   stdout := #{kept := <<"output">>, dropped := 0},
                   stderr := #{kept := <<>>, dropped := 0},
                   clocks := #{source := {fixed, 1700000000000000000}, slept := 0},
                   random := {seeded, <<_:32/binary>>, 2}}, World),
    #{fs := Read, descriptors := Open, inodes := Inodes} = World,
    {ok, Held} = wasmbeam:fs_get(Instance),
    ?assertEqual(Files#{<<"new">> => <<>>}, Held),
    ?assertEqual(Held, Read),
    ?assertMatch(#{0 := #{file := stdin}, 1 := #{file := stdout}, 2 := #{file := stderr},
                   3 := #{file := {inode, 0}, preopened := {<<"/">>, <<"/">>}},
                   4 := #{file := {inode, _}, offset := 0, preopened := none}}, Open),
    #{4 := #{file := {inode, New}}} = Open,
    ?assertMatch(#{New := #{file := <<>>, times := {1700000000000000000, _, _}}}, Inodes),
    ?assertMatch(#{0 := #{parent := 0}}, Inodes).

%% Uses each of the things that a world has.
writer() ->
    <<"(module
         (import \"wasi_snapshot_preview1\" \"fd_read\"
           (func $read (param i32 i32 i32 i32) (result i32)))
         (import \"wasi_snapshot_preview1\" \"fd_write\"
           (func $write (param i32 i32 i32 i32) (result i32)))
         (import \"wasi_snapshot_preview1\" \"random_get\"
           (func $random (param i32 i32) (result i32)))
         (import \"wasi_snapshot_preview1\" \"path_open\"
           (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
         (memory (export \"memory\") 1)
         (data (i32.const 0) \"\\40\\00\\00\\00\\06\\00\\00\\00\")
         (data (i32.const 16) \"\\80\\00\\00\\00\\02\\00\\00\\00\")
         (data (i32.const 64) \"output\")
         (data (i32.const 80) \"new\")
         (func (export \"write\") (result i32)
           (i32.or
             (i32.or
               (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32))
               (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 32)))
             (i32.or
               (call $random (i32.const 256) (i32.const 8))
               (call $open (i32.const 3) (i32.const 0) (i32.const 80) (i32.const 3) (i32.const 1)
                           (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32))))))">>.

%% The reader is as strict as the document.
what_is_changed_is_noticed_by_the_reader_test() ->
    Instance = start(),
    evolve(Instance),
    Snapshot = snapshot(Instance, #{compression => lz4}),
    [begin
         <<Head:At/binary, Byte, Tail/binary>> = Snapshot,
         ?assertError(_, snapshot_reader:read(<<Head/binary, (Byte bxor 1), Tail/binary>>))
     end || At <- [0, 8, 10, 12, 16, 24, 56, 72, 100, byte_size(Snapshot) - 1]].
