%% @doc Reads the section `WASI' of snapshots as `docs/snapshot-format.md' describes it.
-module(snapshot_reader_wasi).

-export([read/1]).

-define(PIECE, 65536).

%% @doc What the section holds: files as a tree in `fs', as `wasmbeam:fs_get/1' gives them, among the
%% rest.
-spec read(binary()) -> map().
read(<<16#77, 16#62, 16#77, 16#61, 1:16/little, Files:64/little, Bytes:64/little,
       Descriptors:32/little, R0/binary>>) ->
    {Args, R1} = list(fun bytes/1, R0),
    {Env, R2} = list(fun bytes/1, R1),
    {Terminal, R3} = flag(R2),
    {Clocks, R4} = clocks(R3),
    {Random, R5} = random(R4),
    {LiveInput, R6} = flag(R5),
    {Input, R7} = bytes(R6),
    {Stdout, R8} = output(R7),
    {Stderr, R9} = output(R8),
    {Inodes, <<WorkingDirectory:32/little, R10/binary>>} = list(fun inode/1, R9),
    {Open, <<>>} = list(fun descriptor/1, R10),
    Numbered = maps:from_list([{Id, Inode} || {Id, Inode} <- lists:enumerate(0, Inodes),
                                              Inode =/= none]),
    #{quotas => #{files => Files, bytes => Bytes, descriptors => Descriptors},
      args => Args, env => Env, terminal => Terminal, clocks => Clocks, random => Random,
      input => {LiveInput, Input}, stdout => Stdout, stderr => Stderr,
      inodes => Numbered, fs => tree(0, Numbered), working_directory => WorkingDirectory,
      descriptors => maps:from_list(Open)}.

list(Read, <<Count:32/little, Rest/binary>>) ->
    lists:mapfoldl(fun(_, Left) -> Read(Left) end, Rest, lists:seq(1, Count)).

bytes(<<Size:64/little, Bytes:Size/binary, Rest/binary>>) -> {Bytes, Rest}.

flag(<<0, Rest/binary>>) -> {false, Rest};
flag(<<1, Rest/binary>>) -> {true, Rest}.

clocks(<<0, Rest/binary>>) -> clocks(machine, Rest);
clocks(<<1, Start:64/little, Rest/binary>>) -> clocks({fixed, Start}, Rest);
clocks(<<2, Rest/binary>>) -> clocks(embedder, Rest).

clocks(Source, <<Slept:64/little, Realtime:64/little, Monotonic:64/little, Rest/binary>>) ->
    {#{source => Source, slept => Slept, realtime => Realtime, monotonic => Monotonic}, Rest}.

random(<<0, Rest/binary>>) -> {machine, Rest};
random(<<1, Seed:32/binary, Words:128/little, Rest/binary>>) -> {{seeded, Seed, Words}, Rest};
random(<<2, Rest/binary>>) -> {embedder, Rest}.

output(<<0, Most:64/little, Dropped:64/little, Rest/binary>>) ->
    {Kept, After} = bytes(Rest),
    true = byte_size(Kept) =< Most,
    {#{most => Most, dropped => Dropped, kept => Kept}, After};
output(<<1, Dropped:64/little, 0:64, Rest/binary>>) ->
    {#{most => embedder, dropped => Dropped, kept => <<>>}, Rest}.

%% Files

inode(<<3, Rest/binary>>) ->
    {none, Rest};
inode(<<Kind, Accessed:64/little, Modified:64/little, Changed:64/little, Rest/binary>>) ->
    {Contents, After} = contents(Kind band 127, Rest),
    {Contents#{times => {Accessed, Modified, Changed}, read_only => Kind >= 128}, After}.

contents(0, <<Parent:32/little, Next:64/little, Rest/binary>>) ->
    {Entries, After} = list(fun entry/1, Rest),
    _ = lists:foldl(fun({Cookie, _, _}, Before) when Cookie > Before, Cookie < Next -> Cookie end,
                    2, Entries),
    {#{parent => Parent, entries => [{Name, Inode} || {_, Inode, Name} <- Entries]}, After};
contents(1, <<Size:64/little, Rest/binary>>) ->
    {Pieces, After} = list(fun piece/1, Rest),
    {Written, End} = lists:mapfoldl(fun({Index, Piece}, At) when Index * ?PIECE >= At ->
        {[zeros(Index * ?PIECE - At), Piece], Index * ?PIECE + byte_size(Piece)}
    end, 0, Pieces),
    {#{file => iolist_to_binary([Written, zeros(Size - End)])}, After};
contents(2, Rest) ->
    {Target, After} = bytes(Rest),
    {#{target => Target}, After}.

entry(<<Cookie:64/little, Inode:32/little, Rest/binary>>) ->
    {Name, After} = bytes(Rest),
    {{Cookie, Inode, Name}, After}.

piece(<<Index:32/little, Rest/binary>>) ->
    {Piece, After} = bytes(Rest),
    true = Piece =/= <<>> andalso binary:last(Piece) =/= 0 andalso byte_size(Piece) =< ?PIECE,
    {{Index, Piece}, After}.

zeros(Size) -> binary:copy(<<0>>, Size).

tree(Id, Inodes) ->
    case maps:get(Id, Inodes) of
        #{entries := Entries} -> maps:from_list([{Name, tree(Inode, Inodes)}
                                                 || {Name, Inode} <- Entries]);
        #{file := Bytes} -> Bytes;
        #{target := Target} -> {symlink, Target}
    end.

%% Descriptors

descriptor(<<Number:32/little, 0, Resource, Rest/binary>>) ->
    {File, <<Flags:16/little, Rights:64/little, Inheriting:64/little, Offset:64/little, R1/binary>>} =
        resource(Resource, Rest),
    {IsPreopened, R2} = flag(R1),
    {Preopened, R3} = case IsPreopened of
        true ->
            {Name, Path} = {element(1, bytes(R2)), element(2, bytes(R2))},
            {Where, After} = bytes(Path),
            {{Name, Where}, After};
        false ->
            {none, R2}
    end,
    {{Number, #{file => File, flags => Flags, rights => Rights, inheriting => Inheriting,
                offset => Offset, preopened => Preopened}}, R3};
descriptor(<<Number:32/little, 1, Earlier:32/little, Rest/binary>>) when Earlier < Number ->
    {{Number, {same_as, Earlier}}, Rest}.

resource(0, Rest) -> {stdin, Rest};
resource(1, Rest) -> {stdout, Rest};
resource(2, Rest) -> {stderr, Rest};
resource(3, <<Inode:32/little, Rest/binary>>) -> {{inode, Inode}, Rest}.
