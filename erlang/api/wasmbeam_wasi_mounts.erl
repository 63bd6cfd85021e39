%% @doc Folders of the machine in a guest's tree of files.
-module(wasmbeam_wasi_mounts).

-export([split/1]).

-export_type([mount/0]).

-type mount() ::
    {Directory :: binary(), Folder :: binary(), wasmbeam_wasi_host:access()}.
%% The path in the tree, and that of the folder.

%% @doc A tree with an empty directory in the place of each folder, and the folders.
-spec split(term()) -> {ok, term(), [mount()]} | error.
split(Tree) ->
    try split(Tree, [], []) of
        {Plain, Mounts} -> {ok, Plain, Mounts}
    catch
        throw:bad_folder -> error
    end.

split({dir, Path, Access}, Directory, Mounts) when Access =:= ro; Access =:= rw ->
    case wasmbeam_wasi_host:path(Path) of
        {ok, Folder} -> {#{}, [{path(Directory), Folder, Access} | Mounts]};
        error -> throw(bad_folder)
    end;
split(Tree, Directory, Mounts) when is_map(Tree) ->
    maps:fold(fun(Name, Node, {Plain, Found}) ->
        case Node of
            {dir, _, _} when is_binary(Name) ->
                {Empty, More} = split(Node, [Name | Directory], Found),
                {Plain#{Name := Empty}, More};
            #{} when is_binary(Name), map_size(Node) > 0 ->
                case split(Node, [Name | Directory], Found) of
                    {_, Found} -> {Plain, Found};
                    {Split, More} -> {Plain#{Name := Split}, More}
                end;
            _ ->
                {Plain, Found}
        end
    end, {Tree, Mounts}, Tree);
split(Other, _Directory, Mounts) ->
    {Other, Mounts}.

%% Its names are in the order of the way up: a path for each directory would be too much where they are
%% many, one in the other.
path(Names) ->
    filename:join([<<"/">> | lists:reverse(Names)]).
