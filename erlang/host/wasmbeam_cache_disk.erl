%% @doc Objects as files, named by their ids.
%%
%% A file appears under its name only when all of it is written, so whoever dies in between leaves at
%% most a file that is never read. Such files are in a folder of their own; the first write of each
%% node removes those that have not grown for a day, which is longer than any write takes. What a power
%% failure damages is found by its id when it is read.
-module(wasmbeam_cache_disk).

-behaviour(wasmbeam_cache).

-export([put/3, get/2]).

-include_lib("kernel/include/file.hrl").

%% Longer than the prefix of an id, so that it is none.
-define(UNFINISHED, "unfinished").
-define(ABANDONED_AFTER_S, 24 * 60 * 60).

%% @doc Stores an object.
-spec put(file:filename_all(), wasmbeam_host:id(), binary()) -> ok | {error, term()}.
put(Folder, Id, Bytes) ->
    File = file(Folder, Id),
    %% One that is damaged is written anew.
    case filelib:file_size(File) =:= byte_size(Bytes) andalso file:read_file(File) of
        {ok, Bytes} -> ok;
        _ -> write(Folder, File, Bytes)
    end.

write(Folder, File, Bytes) ->
    Unfinished = filename:join(Folder, ?UNFINISHED),
    tidy_once(Unfinished),
    %% Unlike those of any other machine that shares the folder.
    Unique = binary:encode_hex(crypto:strong_rand_bytes(8)),
    Name = iolist_to_binary([filename:basename(File), $., Unique]),
    Temporary = filename:join(Unfinished, Name),
    Written = [fun() -> filelib:ensure_dir(File) end,
               fun() -> filelib:ensure_dir(Temporary) end,
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

%% Once in the life of this node for each folder.
tidy_once(Unfinished) ->
    Key = {?MODULE, tidied, Unfinished},
    case persistent_term:get(Key, false) of
        true ->
            ok;
        false ->
            tidy(Unfinished),
            persistent_term:put(Key, true)
    end.

tidy(Unfinished) ->
    Abandoned = os:system_time(second) - ?ABANDONED_AFTER_S,
    case file:list_dir_all(Unfinished) of
        {ok, Names} ->
            lists:foreach(fun(Name) ->
                remove_if_older(Abandoned, filename:join(Unfinished, Name))
            end, Names);
        %% There is none yet, or writing will tell what is wrong.
        {error, _} ->
            ok
    end.

remove_if_older(Time, File) ->
    case file:read_link_info(File, [raw, {time, posix}]) of
        {ok, #file_info{mtime = Written}} when Written < Time ->
            %% Another node may do the same.
            _ = file:delete(File, [raw]),
            ok;
        {ok, #file_info{}} ->
            ok;
        {error, _} ->
            ok
    end.

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
