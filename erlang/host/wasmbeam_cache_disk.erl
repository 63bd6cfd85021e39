%% @doc Objects as files, named by their ids.
%%
%% A file appears under its name only when all of it is written, so whoever dies in between leaves at
%% most a file that is never read. What a power failure damages is found by its id when it is read.
-module(wasmbeam_cache_disk).

-behaviour(wasmbeam_cache).

-export([put/3, get/2]).

%% @doc Stores an object.
-spec put(file:filename_all(), wasmbeam_host:id(), binary()) -> ok | {error, term()}.
put(Folder, Id, Bytes) ->
    File = file(Folder, Id),
    case filelib:file_size(File) =:= byte_size(Bytes) andalso filelib:is_regular(File) of
        true -> ok;
        false -> write(File, Bytes)
    end.

write(File, Bytes) ->
    Unique = integer_to_list(erlang:unique_integer([positive])),
    Temporary = iolist_to_binary([filename_binary(File), ".", os:getpid(), ".", Unique]),
    Written = [fun() -> filelib:ensure_dir(File) end,
               fun() -> file:write_file(Temporary, Bytes, [raw]) end,
               fun() -> file:rename(Temporary, File) end],
    case until_error(Written) of
        ok -> ok;
        {error, _} = Error ->
            _ = file:delete(Temporary),
            Error
    end.

until_error([Step | Steps]) ->
    case Step() of
        ok -> until_error(Steps);
        {error, _} = Error -> Error
    end;
until_error([]) ->
    ok.

%% @doc Reads an object.
-spec get(file:filename_all(), wasmbeam_host:id()) -> {ok, binary()} | not_found | {error, term()}.
get(Folder, Id) ->
    case file:read_file(file(Folder, Id)) of
        {error, enoent} -> not_found;
        Answer -> Answer
    end.

%% Folders of many files are slow, and so is one file in each.
file(Folder, <<Prefix:2/binary, _/binary>> = Id) ->
    filename:join([Folder, Prefix, Id]).

filename_binary(File) when is_binary(File) -> File;
filename_binary(File) -> unicode:characters_to_binary(File).
