%% @doc The bytes of what is in the cache.
%%
%% A binary is stored as it is, so that its id is its SHA-256. A message is stored behind a mark: its
%% keys in order, with small values in place and links to larger ones. A binary that begins like one
%% of the marks gets a mark of its own: bytes mean one thing only.
-module(wasmbeam_cache_object).

-export([encode/2, decode/2, text_id/1]).

-define(MESSAGE, "wasmbeam-message-1", 0).
-define(BINARY, "wasmbeam-binary-1", 0).
%% A link takes 33 bytes, and a file at least one block of a disk.
-define(INLINE_BYTES, 1024).

%% @doc The bytes of a message or binary; `Inner' stores what is linked to and gives its id; it gets
%% the keys that lead there, the last one first.
-spec encode(term(), fun((Keys :: [binary()], term()) -> wasmbeam_host:id())) ->
    {ok, binary()} | {error, Path :: [binary()], What :: term()}.
encode(<<?MESSAGE, _/binary>> = Binary, _Inner) -> {ok, <<?BINARY, Binary/binary>>};
encode(<<?BINARY, _/binary>> = Binary, _Inner) -> {ok, <<?BINARY, Binary/binary>>};
encode(Binary, _Inner) when is_binary(Binary) -> {ok, Binary};
encode(Message, Inner) when is_map(Message) ->
    try
        Pairs = [{name(Key), Value} || {Key, Value} <- maps:to_list(Message)],
        {ok, iolist_to_binary([<<?MESSAGE>> | [[text(Key), value(Value, [Key], Inner)]
                                               || {Key, Value} <- lists:keysort(1, Pairs)]])}
    catch
        throw:{no_value, Path, What} -> {error, lists:reverse(Path), What}
    end.

name(Key) when is_binary(Key) -> Key;
name(Key) when is_atom(Key) -> atom_to_binary(Key, utf8);
name(Key) -> throw({no_value, [], Key}).

value(Value, _Path, _Inner) when is_binary(Value), byte_size(Value) =< ?INLINE_BYTES ->
    [$b, text(Value)];
value(Value, Path, Inner) when is_binary(Value); is_map(Value) ->
    [$@, base64_decode(Inner(Path, Value))];
value(Value, _Path, _Inner) when is_integer(Value) -> [$i, text(integer_to_binary(Value))];
value(Value, _Path, _Inner) when is_float(Value) -> [$f, <<Value/float>>];
value(Value, _Path, _Inner) when is_atom(Value) -> [$a, text(atom_to_binary(Value, utf8))];
value(Value, Path, Inner) when is_list(Value), length(Path) =< 256 ->
    [$l | items(Value, 1, Path, Inner)];
value(Value, Path, _Inner) ->
    throw({no_value, Path, Value}).

items([Item | Items], Position, Path, Inner) ->
    [value(Item, [integer_to_binary(Position) | Path], Inner)
     | items(Items, Position + 1, Path, Inner)];
items([], _Position, _Path, _Inner) ->
    [$.];
items(Improper, _Position, Path, _Inner) ->
    throw({no_value, Path, Improper}).

text(Bytes) ->
    [<<(byte_size(Bytes)):32>>, Bytes].

%% @doc What the bytes mean; `Inner' reads what is linked to.
-spec decode(binary(), fun((wasmbeam_host:id()) -> term())) ->
    {ok, wasmbeam_host:message() | binary()} | error.
decode(<<?MESSAGE, Pairs/binary>>, Inner) -> pairs(Pairs, #{}, Inner);
decode(<<?BINARY, Binary/binary>>, _Inner) -> {ok, Binary};
decode(Binary, _Inner) -> {ok, Binary}.

pairs(<<>>, Message, _Inner) ->
    {ok, Message};
pairs(<<Size:32, Key:Size/binary, Rest/binary>>, Message, Inner) ->
    case next(Rest, Inner) of
        {ok, Value, Pairs} -> pairs(Pairs, Message#{Key => Value}, Inner);
        error -> error
    end;
pairs(_Rest, _Message, _Inner) ->
    error.

next(<<$b, Size:32, Value:Size/binary, Rest/binary>>, _Inner) -> {ok, Value, Rest};
next(<<$@, Hash:32/binary, Rest/binary>>, Inner) -> {ok, Inner(text_id(Hash)), Rest};
next(<<$i, Size:32, Text:Size/binary, Rest/binary>>, _Inner) ->
    try
        {ok, binary_to_integer(Text), Rest}
    catch
        error:badarg -> error
    end;
next(<<$f, Value/float, Rest/binary>>, _Inner) -> {ok, Value, Rest};
next(<<$a, Size:32, Text:Size/binary, Rest/binary>>, _Inner) -> {ok, atom(Text), Rest};
next(<<$l, Rest/binary>>, Inner) -> list(Rest, [], Inner);
next(_Rest, _Inner) -> error.

list(<<$., Rest/binary>>, Items, _Inner) ->
    {ok, lists:reverse(Items), Rest};
list(Bytes, Items, Inner) ->
    case next(Bytes, Inner) of
        {ok, Item, Rest} -> list(Rest, [Item | Items], Inner);
        error -> error
    end.

%% Atoms that nobody here knows cannot matter to anyone here.
atom(Text) ->
    try binary_to_existing_atom(Text, utf8)
    catch error:badarg -> Text
    end.

%% @doc A hash as an id.
-spec text_id(<<_:256>>) -> wasmbeam_host:id().
text_id(Hash) ->
    <<Id:43/binary, $=>> = base64:encode(Hash),
    binary:replace(binary:replace(Id, <<"+">>, <<"-">>, [global]), <<"/">>, <<"_">>, [global]).

base64_decode(Id) ->
    Standard = binary:replace(binary:replace(Id, <<"-">>, <<"+">>, [global]), <<"_">>, <<"/">>,
                              [global]),
    base64:decode(<<Standard/binary, $=>>).
