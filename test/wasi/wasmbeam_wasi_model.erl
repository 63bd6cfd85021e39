%% @doc A filesystem in plain Erlang that does what WASI says: what the real one is compared with.
%%
%% Files, directories and symbolic links are numbered nodes; directories name them, and descriptors
%% lead to them. `apply/2' does an operation and says what a guest is told.
-module(wasmbeam_wasi_model).

-export([new/0, apply/2, tree/1]).

-export_type([model/0, operation/0, result/0, path/0, fd/0]).

-define(ROOT, 0).

-type path() :: binary().
-type fd() :: non_neg_integer().
-type operation() ::
    {mkdir | rmdir | unlink | readlink | list, path()}
    | {rename, path(), path()}
    | {link, follow | nofollow, path(), path()}
    | {symlink, Target :: path(), path()}
    | {stat, follow | nofollow, path()}
    | {open, path(), [create | directory | exclusive | truncate | append]}
    | {close | tell, fd()}
    | {read, fd(), Size :: non_neg_integer()}
    | {write, fd(), binary()}
    | {pread, fd(), Size :: non_neg_integer(), Offset :: non_neg_integer()}
    | {pwrite, fd(), binary(), Offset :: non_neg_integer()}
    | {seek, fd(), integer(), set | current | 'end'}
    | {set_size, fd(), non_neg_integer()}
    | {renumber, fd(), fd()}.
-type result() :: ok | {ok, term()} | {errno, atom()}.

-type id() :: non_neg_integer().
-type node_() :: {directory, Parent :: id(), #{binary() => id()}} | {file, binary()} | {symlink, path()}.
-type open() :: {id(), Offset :: non_neg_integer(), Append :: boolean()}.
-opaque model() :: #{nodes := #{id() => node_()}, next := id(), fds := #{fd() => open()}}.

%% Where a path leads: an entry that exists or not, or a directory that is not named by its last
%% component. The last element says that it ends in a slash.
-type place() :: {entry, Directory :: id(), Name :: binary(), id() | none, boolean()}
               | {unnamed, id(), boolean()}.

-spec new() -> model().
new() ->
    #{nodes => #{?ROOT => {directory, ?ROOT, #{}}}, next => 1, fds => #{}}.

%% @doc All files, as `wasmbeam:fs_get/1' has them.
-spec tree(model()) -> wasmbeam_wasi:tree().
tree(Model) ->
    subtree(?ROOT, Model).

subtree(Id, Model) ->
    case node_of(Id, Model) of
        {directory, _, Entries} -> maps:map(fun(_, Child) -> subtree(Child, Model) end, Entries);
        {file, Bytes} -> Bytes;
        {symlink, Target} -> {symlink, Target}
    end.

-spec apply(operation(), model()) -> {result(), model()}.
apply(Operation, Model) ->
    try run(Operation, Model) of
        #{} = Changed -> {ok, Changed};
        {Answer, Changed} -> {{ok, Answer}, Changed}
    catch
        throw:{errno, Errno} -> {{errno, Errno}, Model}
    end.

-spec fail(atom()) -> no_return().
fail(Errno) -> throw({errno, Errno}).

run({mkdir, Path}, Model) ->
    {Directory, Name, _} = vacant(resolve(Path, entry, Model)),
    create(Directory, Name, {directory, Directory, #{}}, Model);
run({rmdir, Path}, Model) ->
    Place = resolve(Path, entry, Model),
    case {node_of(existing(Place), Model), Place} of
        {{directory, _, _}, {unnamed, _, _}} -> fail(inval);
        {{directory, _, Entries}, {entry, Directory, Name, _, _}} when map_size(Entries) =:= 0 ->
            forget(Directory, Name, Model);
        {{directory, _, _}, _} -> fail(notempty);
        _ -> fail(notdir)
    end;
run({unlink, Path}, Model) ->
    Place = resolve(Path, entry, Model),
    case {node_of(existing(Place), Model), Place} of
        {{directory, _, _}, _} -> fail(isdir);
        {_, {entry, Directory, Name, _, _}} -> forget(Directory, Name, Model)
    end;
run({rename, From, To}, Model) ->
    Source = resolve(From, entry, Model),
    Target = resolve(To, entry, Model),
    rename(existing(Source), Source, Target, Model);
run({link, Follow, From, To}, Model) ->
    Source = resolve(From, Follow, Model),
    Target = resolve(To, entry, Model),
    Id = existing(Source),
    is_directory(Id, Model) andalso fail(perm),
    {Directory, Name, Slash} = vacant(Target),
    Slash andalso fail(noent),
    enter(Directory, Name, Id, Model);
run({symlink, Destination, Path}, Model) ->
    Place = resolve(Path, entry, Model),
    binary:first(Destination) =:= $/ andalso fail(perm),
    {Directory, Name, Slash} = vacant(Place),
    Slash andalso fail(noent),
    create(Directory, Name, {symlink, Destination}, Model);
run({readlink, Path}, Model) ->
    case node_of(existing(resolve(Path, nofollow, Model)), Model) of
        {symlink, Target} -> {Target, Model};
        _ -> fail(inval)
    end;
run({stat, Follow, Path}, Model) ->
    Id = existing(resolve(Path, Follow, Model)),
    Stat = case node_of(Id, Model) of
        {directory, _, _} -> {directory, 0, 1};
        {file, Bytes} -> {file, byte_size(Bytes), links(Id, Model)};
        {symlink, Target} -> {symlink, byte_size(Target), links(Id, Model)}
    end,
    {Stat, Model};
run({list, Path}, Model) ->
    case node_of(existing(resolve(Path, follow, Model)), Model) of
        {directory, _, Entries} -> {lists:sort(maps:keys(Entries)), Model};
        _ -> fail(notdir)
    end;
run({open, Path, Flags}, Model) ->
    open(Path, Flags, Model);
run({close, Fd}, #{fds := Fds} = Model) ->
    _ = opened(Fd, Model),
    Model#{fds := maps:remove(Fd, Fds)};
run({renumber, From, To}, #{fds := Fds} = Model) ->
    Open = opened(From, Model),
    _ = opened(To, Model),
    Model#{fds := (maps:remove(From, Fds))#{To => Open}};
run({tell, Fd}, Model) ->
    {_, _, Offset, _} = file(Fd, Model),
    {Offset, Model};
run({seek, Fd, Delta, Whence}, Model) ->
    {Id, Bytes, Offset, Append} = file(Fd, Model),
    Origin = case Whence of set -> 0; current -> Offset; 'end' -> byte_size(Bytes) end,
    Origin + Delta < 0 andalso fail(inval),
    {Origin + Delta, put_open(Fd, {Id, Origin + Delta, Append}, Model)};
run({read, Fd, Size}, Model) ->
    {Id, Bytes, Offset, Append} = file(Fd, Model),
    Read = part(Bytes, Offset, Size),
    {Read, put_open(Fd, {Id, Offset + byte_size(Read), Append}, Model)};
run({pread, Fd, Size, Offset}, Model) ->
    {_, Bytes, _, _} = file(Fd, Model),
    {part(Bytes, Offset, Size), Model};
run({write, Fd, Text}, Model) ->
    {Id, Bytes, Offset, Append} = file(Fd, Model),
    At = case Append of true -> byte_size(Bytes); false -> Offset end,
    Written = put_node(Id, {file, overwritten(Bytes, At, Text)}, Model),
    {byte_size(Text), put_open(Fd, {Id, At + byte_size(Text), Append}, Written)};
run({pwrite, Fd, Text, At}, Model) ->
    {Id, Bytes, _, _} = file(Fd, Model),
    {byte_size(Text), put_node(Id, {file, overwritten(Bytes, At, Text)}, Model)};
run({set_size, Fd, Size}, Model) ->
    {Id, Bytes, _, _} = file(Fd, Model),
    put_node(Id, {file, resized(Bytes, Size)}, Model).

rename(_Moved, {unnamed, _, _}, _Target, _Model) -> fail(busy);
rename(_Moved, _Source, {unnamed, _, _}, _Model) -> fail(busy);
rename(Moved, _Source, {entry, _, _, Moved, _}, Model) -> Model;
rename(Moved, {entry, From, OldName, _, _}, {entry, To, NewName, Replaced, Slash}, Model) ->
    IsDirectory = is_directory(Moved, Model),
    IsDirectory andalso is_within(To, Moved, Model) andalso fail(inval),
    Slash andalso not IsDirectory andalso fail(notdir),
    case Replaced =/= none andalso {IsDirectory, node_of(Replaced, Model)} of
        false -> ok;
        {true, {directory, _, Entries}} when map_size(Entries) =:= 0 -> ok;
        {true, {directory, _, _}} -> fail(notempty);
        {true, _} -> fail(notdir);
        {false, {directory, _, _}} -> fail(isdir);
        {false, _} -> ok
    end,
    Entered = enter(To, NewName, Moved, forget(From, OldName, Model)),
    case node_of(Moved, Model) of
        {directory, _, Entries2} -> put_node(Moved, {directory, To, Entries2}, Entered);
        _ -> Entered
    end.

open(Path, Flags, Model) ->
    Has = fun(Flag) -> lists:member(Flag, Flags) end,
    Exclusive = Has(create) andalso Has(exclusive),
    Follow = case Exclusive of true -> nofollow; false -> follow end,
    Place = resolve(Path, Follow, Model),
    Has(create) andalso Has(directory) andalso fail(inval),
    case id_of(Place) of
        none ->
            Has(create) orelse fail(noent),
            {Directory, Name, Slash} = vacant(Place),
            Slash andalso fail(isdir),
            #{next := Id} = Model,
            add_fd(Id, Has(append), create(Directory, Name, {file, <<>>}, Model));
        Id ->
            Exclusive andalso fail(exist),
            case node_of(Id, Model) of
                {directory, _, _} ->
                    %% Without `directory' it is opened for writing.
                    (not Has(directory) orelse Has(truncate)) andalso fail(isdir),
                    add_fd(Id, Has(append), Model);
                {Kind, _} ->
                    Has(directory) andalso fail(notdir),
                    Kind =:= symlink andalso fail(loop),
                    Cut = case Has(truncate) of
                        true -> put_node(Id, {file, <<>>}, Model);
                        false -> Model
                    end,
                    add_fd(Id, Has(append), Cut)
            end
    end.

%% The lowest descriptor that is free; up to 3 they are the streams and the root.
add_fd(Id, Append, #{fds := Fds} = Model) ->
    Fd = hd(lists:seq(4, 4 + map_size(Fds)) -- maps:keys(Fds)),
    {Fd, put_open(Fd, {Id, 0, Append}, Model)}.

opened(Fd, #{fds := Fds}) ->
    case Fds of
        #{Fd := Open} -> Open;
        #{} -> fail(badf)
    end.

%% An open regular file with its bytes.
file(Fd, Model) ->
    {Id, Offset, Append} = opened(Fd, Model),
    case node_of(Id, Model) of
        {file, Bytes} -> {Id, Bytes, Offset, Append};
        {directory, _, _} -> fail(isdir)
    end.

put_open(Fd, Open, #{fds := Fds} = Model) -> Model#{fds := Fds#{Fd => Open}}.

node_of(Id, #{nodes := Nodes}) -> map_get(Id, Nodes).

put_node(Id, Node, #{nodes := Nodes} = Model) -> Model#{nodes := Nodes#{Id => Node}}.

is_directory(Id, Model) -> element(1, node_of(Id, Model)) =:= directory.

is_within(Id, Id, _Model) -> true;
is_within(?ROOT, _Above, _Model) -> false;
is_within(Id, Above, Model) ->
    {directory, Parent, _} = node_of(Id, Model),
    is_within(Parent, Above, Model).

create(Directory, Name, Node, #{next := Id} = Model) ->
    enter(Directory, Name, Id, put_node(Id, Node, Model#{next := Id + 1})).

enter(Directory, Name, Id, Model) ->
    {directory, Parent, Entries} = node_of(Directory, Model),
    put_node(Directory, {directory, Parent, Entries#{Name => Id}}, Model).

%% What nothing leads to any more stays among the nodes: it may be open.
forget(Directory, Name, Model) ->
    {directory, Parent, Entries} = node_of(Directory, Model),
    put_node(Directory, {directory, Parent, maps:remove(Name, Entries)}, Model).

links(Id, #{nodes := Nodes}) ->
    length([Name || {directory, _, Entries} <- maps:values(Nodes),
                    {Name, Child} <- maps:to_list(Entries), Child =:= Id]).

id_of({entry, _, _, Id, _}) -> Id;
id_of({unnamed, Id, _}) -> Id.

existing(Place) ->
    case id_of(Place) of
        none -> fail(noent);
        Id -> Id
    end.

vacant({entry, Directory, Name, none, Slash}) -> {Directory, Name, Slash};
vacant(_) -> fail(exist).

%% `nofollow' follows a link at the end only if a slash comes after it, `entry' never.
-spec resolve(path(), follow | nofollow | entry, model()) -> place().
resolve(Path, Follow, Model) ->
    Path =:= <<>> andalso fail(noent),
    walk(components(Path), ?ROOT, 0, 0, false, Follow, Model).

%% Each component, and whether a slash comes after it.
components(Path) ->
    binary:first(Path) =:= $/ andalso fail(perm),
    Parts = binary:split(Path, <<"/">>, [global]),
    Named = [Part || Part <- Parts, Part =/= <<>>],
    Slash = lists:last(Parts) =:= <<>>,
    [{Part, true} || Part <- lists:droplast(Named)] ++ [{lists:last(Named), Slash}].

walk([], Current, _Depth, _Links, Slash, _Follow, _Model) ->
    {unnamed, Current, Slash};
walk([{Name, After} | Rest], Current, Depth, Links, Slash0, Follow, Model) ->
    Last = Rest =:= [],
    Slash = Slash0 orelse (Last andalso After),
    case Name of
        <<".">> ->
            walk(Rest, Current, Depth, Links, Slash, Follow, Model);
        <<"..">> ->
            Depth =:= 0 andalso fail(perm),
            {directory, Parent, _} = node_of(Current, Model),
            walk(Rest, Parent, Depth - 1, Links, Slash, Follow, Model);
        _ ->
            {directory, _, Entries} = node_of(Current, Model),
            Id = maps:get(Name, Entries, none),
            Node = case Id of none -> none; _ -> node_of(Id, Model) end,
            Follows = not Last orelse Follow =:= follow orelse (Follow =:= nofollow andalso Slash),
            case Node of
                {symlink, _} when Follows, Links =:= 40 -> fail(loop);
                {symlink, Target} when Follows ->
                    walk(components(Target) ++ Rest, Current, Depth, Links + 1, Slash, Follow, Model);
                {directory, _, _} when not Last ->
                    walk(Rest, Id, Depth + 1, Links, Slash, Follow, Model);
                none when not Last -> fail(noent);
                _ when not Last -> fail(notdir);
                {Kind, _} when Slash, Kind =/= directory -> fail(notdir);
                _ -> {entry, Current, Name, Id, Slash}
            end
    end.

part(Bytes, Offset, Size) ->
    case Bytes of
        <<_:Offset/binary, Part:Size/binary, _/binary>> -> Part;
        <<_:Offset/binary, Part/binary>> -> Part;
        _ -> <<>>
    end.

resized(Bytes, Size) when byte_size(Bytes) >= Size -> binary:part(Bytes, 0, Size);
resized(Bytes, Size) -> <<Bytes/binary, 0:(8 * (Size - byte_size(Bytes)))>>.

overwritten(Bytes, _Offset, <<>>) -> Bytes;
overwritten(Bytes, Offset, Text) ->
    End = Offset + byte_size(Text),
    <<(resized(Bytes, Offset))/binary, Text/binary, (part(Bytes, End, byte_size(Bytes)))/binary>>.
