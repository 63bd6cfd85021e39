%% @doc The functions of WASI on open files.
-module(dev_wasi_fd).

-export([call/3]).

-define(MAX_FILE_BYTES, 1073741824).
-define(APPEND, 1).
%% All rights: what a guest may do is decided by what its message holds.
-define(RIGHTS, 16#1fffffff).

%% @doc Runs the function.
-spec call(binary(), [non_neg_integer()], dev_wasi_state:t()) -> dev_wasi_state:result().
call(<<"fd_write">>, [Fd, Array, Count, Written], State) ->
    Entry = dev_wasi_descriptors:get(Fd, State),
    Position = position(Entry, State),
    {Next, Size} = write(Entry, Position, Array, Count, State),
    ok = dev_wasi_memory:write_size(Written, Size, State),
    {ok, dev_wasi_descriptors:put(Fd, Entry#{<<"offset">> => Position + Size}, Next)};
call(<<"fd_pwrite">>, [Fd, Array, Count, Offset, Written], State) ->
    Entry = seekable(Fd, State),
    {Next, Size} = write(Entry, Offset, Array, Count, State),
    ok = dev_wasi_memory:write_size(Written, Size, State),
    {ok, Next};
call(<<"fd_read">>, [Fd, Array, Count, Read], State) ->
    Entry = dev_wasi_descriptors:get(Fd, State),
    Offset = maps:get(<<"offset">>, Entry, 0),
    Size = read(Entry, Offset, Array, Count, State),
    ok = dev_wasi_memory:write_size(Read, Size, State),
    {ok, dev_wasi_descriptors:put(Fd, Entry#{<<"offset">> => Offset + Size}, State)};
call(<<"fd_pread">>, [Fd, Array, Count, Offset, Read], State) ->
    Size = read(seekable(Fd, State), Offset, Array, Count, State),
    dev_wasi_memory:write_size(Read, Size, State);
call(<<"fd_seek">>, [Fd, Delta, Whence, Result], State) ->
    Entry = seekable(Fd, State),
    <<Signed:64/signed>> = <<Delta:64>>,
    case origin(Whence, Entry, State) + Signed of
        Offset when Offset < 0 -> dev_wasi_state:fail(inval);
        Offset when Offset >= 1 bsl 63 -> dev_wasi_state:fail(overflow);
        Offset ->
            ok = dev_wasi_memory:write_u64(Result, Offset, State),
            {ok, dev_wasi_descriptors:put(Fd, Entry#{<<"offset">> => Offset}, State)}
    end;
call(<<"fd_tell">>, [Fd, Result], State) ->
    dev_wasi_memory:write_u64(Result, maps:get(<<"offset">>, seekable(Fd, State), 0), State);
call(<<"fd_close">>, [Fd], State) ->
    _ = dev_wasi_descriptors:get(Fd, State),
    {ok, dev_wasi_descriptors:close(Fd, State)};
call(<<"fd_renumber">>, [From, To], State) ->
    Entry = dev_wasi_descriptors:get(From, State),
    _ = dev_wasi_descriptors:get(To, State),
    {ok, dev_wasi_descriptors:put(To, Entry, dev_wasi_descriptors:close(From, State))};
call(<<"fd_fdstat_get">>, [Fd, Result], State) ->
    Entry = dev_wasi_descriptors:get(Fd, State),
    Flags = maps:get(<<"flags">>, Entry, 0),
    dev_wasi_memory:write(Result, <<(type(Entry, State)), 0, Flags:16/little, 0:32,
                                    ?RIGHTS:64/little, ?RIGHTS:64/little>>, State);
call(<<"fd_fdstat_set_flags">>, [Fd, Flags], State) when Flags < 32 ->
    Entry = dev_wasi_descriptors:get(Fd, State),
    {ok, dev_wasi_descriptors:put(Fd, Entry#{<<"flags">> => Flags}, State)};
call(<<"fd_fdstat_set_flags">>, _Args, _State) ->
    dev_wasi_state:fail(inval);
call(<<"fd_filestat_get">>, [Fd, Result], State) ->
    Entry = dev_wasi_descriptors:get(Fd, State),
    Node = dev_wasi_descriptors:node(Entry, State),
    dev_wasi_memory:write(Result, dev_wasi_files:stat(dev_wasi_descriptors:path(Entry), Node), State);
call(<<"fd_filestat_set_size">>, [Fd, Size], State) ->
    Entry = dev_wasi_descriptors:get(Fd, State),
    {ok, resize(Entry, file(Entry, State), Size, State)};
call(<<"fd_allocate">>, [Fd, Offset, Size], State) ->
    Entry = dev_wasi_descriptors:get(Fd, State),
    File = file(Entry, State),
    {ok, resize(Entry, File, max(byte_size(File), Offset + Size), State)};
call(<<"fd_prestat_get">>, [Fd, Result], #{width := Width} = State) ->
    Size = byte_size(preopen(Fd, State)),
    %% The tag of a directory, and the size of its name.
    dev_wasi_memory:write(Result, <<0:Width/little-unit:8, Size:Width/little-unit:8>>, State);
call(<<"fd_prestat_dir_name">>, [Fd, Address, Size], State) ->
    case preopen(Fd, State) of
        Name when byte_size(Name) =< Size -> dev_wasi_memory:write(Address, Name, State);
        _ -> dev_wasi_state:fail(nametoolong)
    end;
call(<<"fd_readdir">>, [Fd, Address, Size, Cookie, Used], State) ->
    Entry = dev_wasi_descriptors:get(Fd, State),
    Entries = case dev_wasi_descriptors:node(Entry, State) of
        Directory when is_map(Directory) ->
            directory(Directory, dev_wasi_descriptors:path(Entry), Cookie, Size);
        _ ->
            dev_wasi_state:fail(notdir)
    end,
    %% A full buffer tells the guest that there is more.
    Bytes = binary:part(Entries, 0, min(Size, byte_size(Entries))),
    ok = dev_wasi_memory:write(Address, Bytes, State),
    dev_wasi_memory:write_size(Used, byte_size(Bytes), State);
call(Name, [Fd | _], State) when Name =:= <<"fd_advise">>; Name =:= <<"fd_sync">>;
                                 Name =:= <<"fd_datasync">>;
                                 Name =:= <<"fd_fdstat_set_rights">>;
                                 Name =:= <<"fd_filestat_set_times">> ->
    _ = dev_wasi_descriptors:get(Fd, State),
    ok.

file(Entry, State) ->
    case dev_wasi_descriptors:node(Entry, State) of
        File when is_binary(File) -> File;
        _ -> dev_wasi_state:fail(isdir)
    end.

seekable(Fd, State) ->
    Entry = dev_wasi_descriptors:get(Fd, State),
    case dev_wasi_descriptors:is_stream(Entry) of
        true -> dev_wasi_state:fail(spipe);
        false -> Entry
    end.

%% Where a write goes: streams and files that were opened to append grow.
position(Entry, State) ->
    Appends = maps:get(<<"flags">>, Entry, 0) band ?APPEND =:= ?APPEND,
    case Appends orelse dev_wasi_descriptors:is_stream(Entry) of
        true -> byte_size(file(Entry, State));
        false -> maps:get(<<"offset">>, Entry, 0)
    end.

write(Entry, Offset, Array, Count, #{files := Files} = State) ->
    File = file(Entry, State),
    Bytes = iolist_to_binary([dev_wasi_memory:read(Address, Size, State)
                              || {Address, Size} <- dev_wasi_memory:buffers(Array, Count, State)]),
    Offset + byte_size(Bytes) =< ?MAX_FILE_BYTES orelse dev_wasi_state:fail(fbig),
    Written = dev_wasi_files:write_at(File, Offset, Bytes),
    Path = dev_wasi_descriptors:path(Entry),
    {State#{files := dev_wasi_files:store(Path, Written, Files)}, byte_size(Bytes)}.

read(Entry, Offset, Array, Count, State) ->
    File = file(Entry, State),
    Buffers = dev_wasi_memory:buffers(Array, Count, State),
    Wanted = lists:sum([Size || {_, Size} <- Buffers]),
    Size = max(0, min(Wanted, byte_size(File) - Offset)),
    Bytes = if Size > 0 -> binary:part(File, Offset, Size); true -> <<>> end,
    ok = dev_wasi_memory:fill(Buffers, Bytes, State),
    Size.

origin(0, _Entry, _State) -> 0;
origin(1, Entry, _State) -> maps:get(<<"offset">>, Entry, 0);
origin(2, Entry, State) -> byte_size(file(Entry, State));
origin(_Whence, _Entry, _State) -> dev_wasi_state:fail(inval).

resize(_Entry, _File, Size, _State) when Size > ?MAX_FILE_BYTES ->
    dev_wasi_state:fail(fbig);
resize(Entry, File, Size, #{files := Files} = State) ->
    Resized = case File of
        <<Kept:Size/binary, _/binary>> -> Kept;
        _ -> dev_wasi_files:write_at(File, Size, <<>>)
    end,
    State#{files := dev_wasi_files:store(dev_wasi_descriptors:path(Entry), Resized, Files)}.

type(Entry, State) ->
    case dev_wasi_descriptors:is_stream(Entry) of
        true -> dev_wasi_abi:file_type(character_device);
        false -> dev_wasi_abi:file_type(
                     dev_wasi_files:type(dev_wasi_descriptors:node(Entry, State)))
    end.

preopen(Fd, State) ->
    case dev_wasi_descriptors:get(Fd, State) of
        #{<<"preopen">> := Name} -> Name;
        _ -> dev_wasi_state:fail(badf)
    end.

%% The entries from a cookie on, about as many as fit.
directory(Directory, Path, Cookie, Size) ->
    Names = [{<<".">>, Path, Directory}, {<<"..">>, parent(Path), Directory}
             | [{Name, Path ++ [Name], Node} || {Name, Node} <- lists:sort(maps:to_list(Directory))]],
    entries(lists:nthtail(min(Cookie, length(Names)), Names), Cookie + 1, Size, []).

parent([]) -> [];
parent(Path) -> lists:droplast(Path).

entries([{Name, Path, Node} | Names], Next, Left, Written) when Left > 0 ->
    Entry = <<Next:64/little, (erlang:phash2(Path, 1 bsl 32)):64/little,
              (byte_size(Name)):32/little,
              (dev_wasi_abi:file_type(dev_wasi_files:type(Node))):32/little, Name/binary>>,
    entries(Names, Next + 1, Left - byte_size(Entry), [Entry | Written]);
entries(_Names, _Next, _Left, Written) ->
    iolist_to_binary(lists:reverse(Written)).
