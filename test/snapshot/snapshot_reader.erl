%% @doc Reads snapshots as `docs/snapshot-format.md' describes them, and shares no code with what
%% writes them. What does not match fails.
-module(snapshot_reader).

-export([read/1, checksum/1]).

-export_type([state/0]).

-type run() :: {First :: non_neg_integer(), Pages :: pos_integer()}.
-type memory() ::
    #{size := non_neg_integer(), page_size := pos_integer(),
      %% Those that are not zero.
      pages := #{non_neg_integer() => binary()}}.
-type state() ::
    #{version := 1, flags := 0 | 1, module := binary(), base := binary(), id := binary(),
      memories := [memory()], globals := #{non_neg_integer() => term()}, tables := [[term()]],
      dropped_data := [non_neg_integer()], dropped_elements := [non_neg_integer()],
      wasi := none | map()}.

-define(PAGE, 4096).
-define(BLOCK, (64 * ?PAGE)).

%% @doc The state of a snapshot, or of a chain of them.
-spec read(binary() | [binary(), ...]) -> state().
read(Snapshot) when is_binary(Snapshot) ->
    read([Snapshot]);
read([Complete | Links]) ->
    #{flags := 0, base := <<0:128>>} = First = read_link(Complete, []),
    lists:foldl(fun(Snapshot, #{id := Id, memories := Memories}) ->
        #{flags := 1, base := Id} = read_link(Snapshot, Memories)
    end, First, Links).

%% @doc What a snapshot ends with.
-spec checksum(binary()) -> binary().
checksum(Bytes) ->
    <<(snapshot_xxh3:hash128(Bytes)):128/little>>.

read_link(Snapshot, Before) ->
    Size = byte_size(Snapshot),
    <<Covered:(Size - 16)/binary, Id:16/binary>> = Snapshot,
    Id = checksum(Covered),
    <<16#89, 16#57, 16#42, 16#53, 16#0d, 16#0a, 16#1a, 16#0a,
      1:16/little, Flags:16/little, Count:32/little, Size:64/little,
      Module:32/binary, Base:16/binary, Sections/binary>> = Covered,
    {Memories, S1} = section(<<"MEMS">>, Sections),
    {Globals, S2} = section(<<"GLOB">>, S1),
    {Tables, S3} = section(<<"TABL">>, S2),
    {Dropped, S4} = section(<<"DROP">>, S3),
    {DroppedData, Dropped1} = list(fun u32/1, Dropped),
    {DroppedElements, <<>>} = list(fun u32/1, Dropped1),
    Wasi = case Count of
        4 ->
            <<>> = S4,
            none;
        5 ->
            {World, <<>>} = section(<<"WASI">>, S4),
            snapshot_reader_wasi:read(World)
    end,
    #{version => 1, flags => Flags, module => Module, base => Base, id => Id,
      memories => memories(Memories, Before),
      globals => maps:from_list(all(fun global/1, Globals)),
      tables => all(fun table/1, Tables),
      dropped_data => DroppedData, dropped_elements => DroppedElements,
      wasi => Wasi}.

section(Tag, <<Tag:4/binary, 0:32, Size:64/little, Rest/binary>>) ->
    <<Contents:Size/binary, After/binary>> = Rest,
    {Contents, After}.

u32(<<Number:32/little, Rest/binary>>) ->
    {Number, Rest}.

list(Read, <<Count:32/little, Rest/binary>>) ->
    lists:mapfoldl(fun(_, Left) -> Read(Left) end, Rest, lists:seq(1, Count)).

all(Read, Contents) ->
    {Items, <<>>} = list(Read, Contents),
    Items.

%% Memories

memories(<<Count:32/little, Contents/binary>>, []) ->
    memories(Contents, lists:duplicate(Count, #{pages => #{}}));
memories(<<Count:32/little, Contents/binary>>, Before) when length(Before) =:= Count ->
    memories_over(Contents, Before);
memories(Contents, Before) ->
    memories_over(Contents, Before).

memories_over(Contents, Before) ->
    {Memories, <<>>} = lists:mapfoldl(fun memory/2, Contents, Before),
    Memories.

memory(#{pages := Before}, <<Size:64/little, PageSizeLog2, Compression, 0:16, Stored:32/little,
                             Zeroed:32/little, Rest/binary>>) ->
    0 = Size rem (1 bsl PageSizeLog2),
    true = PageSizeLog2 =:= 16 orelse PageSizeLog2 =:= 0,
    Pages = (Size + ?PAGE - 1) div ?PAGE,
    {StoredRuns, R1} = runs(Stored, Pages, Rest),
    {ZeroedRuns, R2} = runs(Zeroed, Pages, R1),
    Places = places(StoredRuns),
    {Bytes, After} = pages(Compression, length(Places) * ?PAGE, R2),
    Changed = maps:from_list(lists:zip(Places, [Page || <<Page:?PAGE/binary>> <= Bytes])),
    [] = [Place || {Place, <<0:(?PAGE * 8)>>} <- maps:to_list(Changed)],
    Kept = maps:filter(fun(Place, _) -> Place < Pages end, Before),
    ZeroedPlaces = places(ZeroedRuns),
    [] = [Place || Place <- ZeroedPlaces, not is_map_key(Place, Kept)],
    [] = [Place || {Place, Page} <- maps:to_list(Changed), maps:get(Place, Kept, none) =:= Page],
    {#{size => Size, page_size => 1 bsl PageSizeLog2,
       pages => maps:merge(maps:without(ZeroedPlaces, Kept), Changed)}, After}.

-spec runs(non_neg_integer(), non_neg_integer(), binary()) -> {[run()], binary()}.
runs(Count, Pages, Bytes) ->
    {Runs, Rest} = lists:mapfoldl(fun(_, <<First:64/little, N:64/little, Left/binary>>) ->
        {{First, N}, Left}
    end, Bytes, lists:seq(1, Count)),
    _ = lists:foldl(fun({First, N}, After) when N > 0, First > After, First + N =< Pages ->
        First + N
    end, -1, Runs),
    {Runs, Rest}.

places(Runs) ->
    lists:append([lists:seq(First, First + N - 1) || {First, N} <- Runs]).

pages(0, Size, Bytes) ->
    <<Pages:Size/binary, Rest/binary>> = Bytes,
    {Pages, Rest};
pages(Compression, Size, Bytes) ->
    blocks(Compression, Size, Bytes, []).

blocks(_Compression, 0, Rest, Blocks) ->
    {iolist_to_binary(lists:reverse(Blocks)), Rest};
blocks(Compression, Missing, <<Header:32/little, Bytes/binary>>, Blocks) ->
    Size = min(Missing, ?BLOCK),
    Stored = Header band 16#7fffffff,
    <<Block:Stored/binary, Rest/binary>> = Bytes,
    Pages = case Header bsr 31 of
        1 -> Block;
        0 when Stored < Size -> decompress(Compression, Block)
    end,
    Size = byte_size(Pages),
    blocks(Compression, Missing - Size, Rest, [Pages | Blocks]).

decompress(1, Block) -> lz4(Block, <<>>);
decompress(2, Block) -> iolist_to_binary(apply(zstd, decompress, [Block])).

%% The format of LZ4 blocks: literals, and matches with what is there already.
lz4(<<Literals:4, Match:4, Rest/binary>>, Out) ->
    {Length, R1} = lz4_length(Literals, Rest),
    <<Bytes:Length/binary, R2/binary>> = R1,
    case {<<Out/binary, Bytes/binary>>, R2} of
        {Done, <<>>} ->
            Done;
        {Before, <<Offset:16/little, R3/binary>>} ->
            {More, R4} = lz4_length(Match, R3),
            lz4(R4, lz4_copy(Before, Offset, More + 4))
    end.

lz4_length(15, <<255, Rest/binary>>) ->
    {More, After} = lz4_length(15, Rest),
    {More + 255, After};
lz4_length(15, <<Last, Rest/binary>>) ->
    {15 + Last, Rest};
lz4_length(Length, Rest) ->
    {Length, Rest}.

%% A match may reach into itself.
lz4_copy(Out, Offset, Length) ->
    Part = binary:part(Out, byte_size(Out), -Offset),
    Copies = binary:copy(Part, Length div Offset + 1),
    <<Out/binary, (binary:part(Copies, 0, Length))/binary>>.

%% Globals

global(<<Index:32/little, Type, Rest/binary>>) ->
    {Value, After} = value(Type, Rest),
    {{Index, Value}, After}.

value(0, <<Value:32/little-signed, Rest/binary>>) -> {{i32, Value}, Rest};
value(1, <<Value:64/little-signed, Rest/binary>>) -> {{i64, Value}, Rest};
value(2, <<Bits:32/little, Rest/binary>>) -> {{f32, Bits}, Rest};
value(3, <<Bits:64/little, Rest/binary>>) -> {{f64, Bits}, Rest};
value(4, <<Lanes:16/binary, Rest/binary>>) -> {{v128, Lanes}, Rest};
value(5, Rest) -> {null, Rest};
value(6, <<Function:32/little, Rest/binary>>) -> {{func, Function}, Rest};
value(7, <<Value:32/little, Rest/binary>>) when Value < 1 bsl 31 -> {{i31, Value}, Rest}.

%% Tables

table(<<Size:64/little, Count:32/little, Bytes/binary>>) ->
    {Rows, Rest} = lists:mapfoldl(fun(_, Left) -> row(Left) end, Bytes, lists:seq(1, Count)),
    Elements = lists:append(Rows),
    Size = length(Elements),
    {Elements, Rest}.

row(<<0, Count:64/little, Rest/binary>>) when Count > 0 ->
    {lists:duplicate(Count, null), Rest};
row(<<1, Count:64/little, Function:32/little, Rest/binary>>) when Count >= 4 ->
    {lists:duplicate(Count, {func, Function}), Rest};
row(<<2, Count:64/little, Value:32/little, Rest/binary>>) when Count > 0 ->
    {lists:duplicate(Count, {i31, Value}), Rest};
row(<<3, Count:64/little, Bytes/binary>>) when Count > 0 ->
    lists:mapfoldl(fun(_, <<Function:32/little, Rest/binary>>) -> {{func, Function}, Rest} end,
                   Bytes, lists:seq(1, Count)).
