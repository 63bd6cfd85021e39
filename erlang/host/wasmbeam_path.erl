%% @doc Paths into messages: `a/b/c', or a list of keys.
-module(wasmbeam_path).

-export([keys/1, key/1, to_binary/1, is_id/1, is_private/1, is_plain/1, is_same/2,
         lowercase/1]).

%% @doc The keys of a path; none for an empty one.
-spec keys(wasmbeam_host:path()) -> [binary()].
keys(Path) when is_binary(Path) ->
    split(Path, 0, 0, Path);
keys([Char | _] = Path) when is_integer(Char), Char >= $\s ->
    %% As at a shell; positions in lists are less, or among keys of other kinds.
    case io_lib:latin1_char_list(Path) of
        true -> keys(list_to_binary(Path));
        false -> keys_of_list(Path)
    end;
keys(Path) when is_list(Path) ->
    keys_of_list(Path);
keys(Path) ->
    keys(key(Path)).

keys_of_list([Key | Path]) ->
    case keys(key(Key)) of
        [Single] -> [Single | keys_of_list(Path)];
        Keys -> Keys ++ keys_of_list(Path)
    end;
keys_of_list([]) ->
    [].

%% Paths are short, and read several times a message: this is much faster than binary:split/3.
split(<<"/", Rest/binary>>, Start, Size, Path) ->
    Keys = split(Rest, Start + Size + 1, 0, Path),
    if
        Size =:= 0 -> Keys;
        true -> [binary_part(Path, Start, Size) | Keys]
    end;
split(<<_, Rest/binary>>, Start, Size, Path) ->
    split(Rest, Start, Size + 1, Path);
split(<<>>, _Start, 0, _Path) ->
    [];
split(<<>>, 0, _Size, Path) ->
    [Path];
split(<<>>, Start, Size, Path) ->
    [binary_part(Path, Start, Size)].

%% @doc A key as the binary that it is in a message.
-spec key(binary() | atom() | integer()) -> binary().
key(Key) when is_binary(Key) -> Key;
key(Key) when is_atom(Key) -> atom_to_binary(Key, utf8);
key(Key) when is_integer(Key) -> integer_to_binary(Key).

%% @doc A path for people to read.
-spec to_binary([binary()]) -> binary().
to_binary(Keys) ->
    iolist_to_binary(lists:join(<<"/">>, Keys)).

%% @doc Whether that can be the id of something in the cache.
-spec is_id(term()) -> boolean().
is_id(Id) when byte_size(Id) =:= 43 ->
    lists:all(fun is_base64url/1, binary_to_list(Id));
is_id(_) ->
    false.

is_base64url(Char) ->
    (Char >= $a andalso Char =< $z) orelse (Char >= $A andalso Char =< $Z)
        orelse (Char >= $0 andalso Char =< $9) orelse Char =:= $- orelse Char =:= $_.

%% @doc Whether a key belongs to the part of a message that never leaves the node.
-spec is_private(binary() | atom() | term()) -> boolean().
is_private(<<P, R, I, V, _/binary>>) when P =:= $p; P =:= $P ->
    lowercase(<<P, R, I, V>>) =:= <<"priv">>;
is_private(Key) when is_atom(Key) ->
    is_private(atom_to_binary(Key, utf8));
is_private(_) ->
    false.

%% @doc Whether that is one key, in lower case, that means nothing but what a map has under it: most
%% are, and can be looked up at once.
-spec is_plain(wasmbeam_host:path()) -> boolean().
is_plain(<<"priv", _/binary>>) -> false;
is_plain(<<"id">>) -> false;
is_plain(<<"keys">>) -> false;
is_plain(<<"get">>) -> false;
is_plain(<<"set">>) -> false;
is_plain(<<"remove">>) -> false;
is_plain(<<_, _/binary>> = Key) -> is_one_lowercase(Key);
is_plain(_) -> false.

is_one_lowercase(<<Char, _/binary>>) when Char =:= $/; Char >= $A, Char =< $Z -> false;
is_one_lowercase(<<_, Rest/binary>>) -> is_one_lowercase(Rest);
is_one_lowercase(<<>>) -> true.

%% @doc Whether two keys differ in case only, or not at all.
-spec is_same(binary(), binary()) -> boolean().
is_same(<<Char, Rest/binary>>, <<Char, Other/binary>>) -> is_same(Rest, Other);
is_same(<<A, Rest/binary>>, <<B, Other/binary>>) ->
    lowercase_char(A) =:= lowercase_char(B) andalso is_same(Rest, Other);
is_same(<<>>, <<>>) -> true;
is_same(_, _) -> false.

%% @doc Keys are compared without case, and only that of ASCII letters.
-spec lowercase(binary()) -> binary().
lowercase(Key) ->
    case has_uppercase(Key) of
        true -> << <<(lowercase_char(Char))>> || <<Char>> <= Key >>;
        false -> Key
    end.

has_uppercase(<<Char, _/binary>>) when Char >= $A, Char =< $Z -> true;
has_uppercase(<<_, Rest/binary>>) -> has_uppercase(Rest);
has_uppercase(<<>>) -> false.

lowercase_char(Char) when Char >= $A, Char =< $Z -> Char + 32;
lowercase_char(Char) -> Char.
