%% @doc Folders of the machine for tests.
-module(wasmbeam_wasi_folder).

-export([with/1, with/2, write/3, read/2, link/3, fifo/2]).

-type folder() :: file:filename().

%% @doc Runs a test with a new folder, which is gone afterwards.
-spec with(fun((folder()) -> term())) -> ok.
with(Test) ->
    with(#{}, Test).

%% @doc The same, with files in it.
-spec with(#{file:filename() => binary()}, fun((folder()) -> term())) -> ok.
with(Files, Test) ->
    Unique = lists:concat(["wasmbeam-", os:getpid(), "-", erlang:unique_integer([positive])]),
    Folder = filename:join(os:getenv("TMPDIR", "/tmp"), Unique),
    ok = file:make_dir(Folder),
    try
        maps:foreach(fun(Name, Bytes) -> write(Folder, Name, Bytes) end, Files),
        _ = Test(Folder),
        ok
    after
        ok = file:del_dir_r(Folder)
    end.

-spec write(folder(), file:filename(), binary()) -> ok.
write(Folder, Name, Bytes) ->
    Path = filename:join(Folder, Name),
    ok = filelib:ensure_dir(Path),
    ok = file:write_file(Path, Bytes).

-spec read(folder(), file:filename()) -> {ok, binary()} | {error, term()}.
read(Folder, Name) ->
    file:read_file(filename:join(Folder, Name)).

-spec link(folder(), file:filename(), Target :: file:filename()) -> ok.
link(Folder, Name, Target) ->
    ok = file:make_symlink(Target, filename:join(Folder, Name)).

%% @doc Makes a pipe with a name. Whoever opens it to read waits until somebody opens it to write:
%% the fun that is returned does.
-spec fifo(folder(), file:filename()) -> fun(() -> ok).
fifo(Folder, Name) ->
    Path = filename:join(Folder, Name),
    "" = os:cmd("mkfifo " ++ Path),
    fun() ->
        "" = os:cmd(": > " ++ Path),
        ok
    end.
