%% @doc Where the native library is.
-module(wasmbeam_library).

-export([path/1]).

-define(NAME, "wasmbeam_nif").

%% @doc The library's path, without its extension, for code whose `priv' folder this would be.
%%
%% That is where it is, but for code in an archive, such as an escript: a library cannot be loaded
%% from there. It is then beside the archive, or where `make install' puts it, for the archive as it
%% was named or what that is a link to.
-spec path(file:filename_all()) -> file:filename_all().
path(Priv) ->
    case archive(Priv) of
        none ->
            filename:join(Priv, ?NAME);
        {ok, Archive} ->
            Folders = [filename:join(filename:dirname(File), Place)
                       || File <- links(Archive), Place <- [".", "../lib/wasmbeam"]],
            IsThere = fun(Folder) -> filelib:is_regular(filename:join(Folder, ?NAME ".so")) end,
            [Folder | _] = lists:filter(IsThere, Folders) ++ Folders,
            filename:join(Folder, ?NAME)
    end.

%% The file that a folder is in, if that is one.
archive(Path) ->
    case {filelib:is_file(Path), filelib:is_regular(Path), filename:dirname(Path)} of
        {_, true, _} -> {ok, Path};
        {true, false, _} -> none;
        {false, false, Path} -> none;
        {false, false, Parent} -> archive(Parent)
    end.

links(File) ->
    case file:read_link(File) of
        {ok, Target} -> [File | links(filename:join(filename:dirname(File), Target))];
        {error, _} -> [File]
    end.
