%% @doc A tree of files as a map: directories are maps, files are binaries.
%%
%% A path is the list of its names, from the root.
-module(dev_wasi_files).

-export([path/2, find/2, store/3, remove/2, type/1, stat/2, write_at/3, text/1]).

-export_type([directory/0, node_/0, path/0]).

-type node_() :: directory() | binary().
-type directory() :: #{binary() => node_()}.
-type path() :: [binary()].

-define(MAX_PATH_BYTES, 4095).

%% @doc The path that a text means, in a directory that it may not leave.
-spec path(binary(), path()) -> path().
path(<<>>, _Directory) ->
    dev_wasi_state:fail(noent);
path(Text, _Directory) when byte_size(Text) > ?MAX_PATH_BYTES ->
    dev_wasi_state:fail(nametoolong);
path(Text, Directory) ->
    case binary:match(Text, <<0>>) of
        nomatch -> Directory ++ names(binary:split(Text, <<"/">>, [global, trim_all]), []);
        _ -> dev_wasi_state:fail(inval)
    end.

names([<<".">> | Names], Walked) -> names(Names, Walked);
names([<<"..">> | Names], [_ | Walked]) -> names(Names, Walked);
names([<<"..">> | _], []) -> dev_wasi_state:fail(notcapable);
names([Name | Names], Walked) -> names(Names, [Name | Walked]);
names([], Walked) -> lists:reverse(Walked).

%% @doc What is at a path.
-spec find(path(), node_()) -> {ok, node_()} | error.
find([], Node) -> {ok, Node};
find([Name | Names], Directory) when is_map_key(Name, Directory) ->
    find(Names, map_get(Name, Directory));
find(_Names, _Node) -> error.

%% @doc The tree with something at a path, whose directories are there.
-spec store(path(), node_(), node_()) -> node_().
store([], Node, _Old) ->
    Node;
store([Name], Node, Directory) when is_map(Directory) ->
    Directory#{Name => Node};
store([Name | Names], Node, Directory) when is_map_key(Name, Directory) ->
    Directory#{Name := store(Names, Node, map_get(Name, Directory))};
store(_Names, _Node, Directory) when is_map(Directory) ->
    dev_wasi_state:fail(noent);
store(_Names, _Node, _File) ->
    dev_wasi_state:fail(notdir).

%% @doc The tree without what is at a path.
-spec remove(path(), directory()) -> directory().
remove([Name], Directory) -> maps:remove(Name, Directory);
remove([Name | Names], Directory) ->
    Directory#{Name := remove(Names, map_get(Name, Directory))}.

%% @doc What kind of thing that is.
-spec type(node_()) -> directory | regular_file.
type(Node) when is_map(Node) -> directory;
type(_Node) -> regular_file.

%% @doc The structure that tells about a file: there are no times, and one link.
-spec stat(path(), node_()) -> binary().
stat(Path, Node) ->
    Type = case Path of
        [<<"dev">>, Stream] when Stream =:= <<"stdin">>; Stream =:= <<"stdout">>;
                                 Stream =:= <<"stderr">> -> character_device;
        _ -> type(Node)
    end,
    Size = if is_binary(Node) -> byte_size(Node); true -> 0 end,
    Inode = erlang:phash2(Path, 1 bsl 32),
    <<0:64, Inode:64/little, (dev_wasi_abi:file_type(Type)), 0:56, 1:64/little, Size:64/little,
      0:192>>.

%% @doc The bytes of a file with others at an offset; what lies between is zero.
-spec write_at(binary(), non_neg_integer(), binary()) -> binary().
write_at(File, Offset, Bytes) when Offset =:= byte_size(File) ->
    <<File/binary, Bytes/binary>>;
write_at(File, Offset, Bytes) when Offset > byte_size(File) ->
    <<File/binary, 0:(8 * (Offset - byte_size(File))), Bytes/binary>>;
write_at(File, Offset, Bytes) ->
    Written = Offset + byte_size(Bytes),
    case File of
        <<Before:Offset/binary, _:(byte_size(Bytes))/binary, After/binary>> ->
            <<Before/binary, Bytes/binary, After/binary>>;
        <<Before:Offset/binary, _/binary>> when Written >= byte_size(File) ->
            <<Before/binary, Bytes/binary>>
    end.

%% @doc A path as text.
-spec text(path()) -> binary().
text(Path) ->
    iolist_to_binary([<<"/">> | lists:join(<<"/">>, Path)]).
