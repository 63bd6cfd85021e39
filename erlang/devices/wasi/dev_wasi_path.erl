%% @doc The functions of WASI on paths. There are no links in a tree of messages.
-module(dev_wasi_path).

-export([call/3]).

-define(CREATE, 1).
-define(DIRECTORY, 2).
-define(EXCLUSIVE, 4).
-define(TRUNCATE, 8).

%% @doc Runs the function.
-spec call(binary(), [non_neg_integer()], dev_wasi_state:t()) -> dev_wasi_state:result().
call(<<"path_open">>, [Fd, _Lookup, Address, Size, Flags, _Rights, _Inheriting, FdFlags, Result],
     State) ->
    Path = path(Fd, Address, Size, State),
    Opened = opened(Path, Flags, text(Address, Size, State), State),
    Entry = #{<<"filename">> => dev_wasi_files:text(Path), <<"offset">> => 0},
    {New, Next} = dev_wasi_descriptors:open(with_flags(FdFlags, Entry), Opened),
    ok = dev_wasi_memory:write(Result, <<New:32/little>>, State),
    {ok, Next};
call(<<"path_create_directory">>, [Fd, Address, Size], #{files := Files} = State) ->
    Path = path(Fd, Address, Size, State),
    case dev_wasi_files:find(Path, Files) of
        {ok, _} -> dev_wasi_state:fail(exist);
        error -> {ok, State#{files := dev_wasi_files:store(Path, #{}, Files)}}
    end;
call(<<"path_filestat_get">>, [Fd, _Lookup, Address, Size, Result], State) ->
    Path = path(Fd, Address, Size, State),
    dev_wasi_memory:write(Result, dev_wasi_files:stat(Path, existing(Path, State)), State);
call(<<"path_filestat_set_times">>, [Fd, _Lookup, Address, Size | _], State) ->
    _ = existing(path(Fd, Address, Size, State), State),
    ok;
call(<<"path_remove_directory">>, [Fd, Address, Size], #{files := Files} = State) ->
    Path = path(Fd, Address, Size, State),
    case existing(Path, State) of
        _ when Path =:= [] -> dev_wasi_state:fail(inval);
        Directory when Directory =:= #{} -> {ok, State#{files := dev_wasi_files:remove(Path, Files)}};
        Directory when is_map(Directory) -> dev_wasi_state:fail(notempty);
        _ -> dev_wasi_state:fail(notdir)
    end;
call(<<"path_unlink_file">>, [Fd, Address, Size], #{files := Files} = State) ->
    Path = path(Fd, Address, Size, State),
    case existing(Path, State) of
        File when is_binary(File) -> {ok, State#{files := dev_wasi_files:remove(Path, Files)}};
        _ -> dev_wasi_state:fail(isdir)
    end;
call(<<"path_rename">>, [Fd, Address, Size, NewFd, NewAddress, NewSize], State) ->
    From = path(Fd, Address, Size, State),
    To = path(NewFd, NewAddress, NewSize, State),
    {ok, rename(From, To, existing(From, State), State)};
call(<<"path_readlink">>, [Fd, Address, Size | _], State) ->
    _ = existing(path(Fd, Address, Size, State), State),
    dev_wasi_state:fail(inval);
call(_Links, _Args, _State) ->
    dev_wasi_state:fail(notsup).

text(Address, Size, State) ->
    Size =< 4095 orelse dev_wasi_state:fail(nametoolong),
    dev_wasi_memory:read(Address, Size, State).

path(Fd, Address, Size, State) ->
    Entry = dev_wasi_descriptors:get(Fd, State),
    is_map(dev_wasi_descriptors:node(Entry, State)) orelse dev_wasi_state:fail(notdir),
    dev_wasi_files:path(text(Address, Size, State), dev_wasi_descriptors:path(Entry)).

existing(Path, #{files := Files}) ->
    case dev_wasi_files:find(Path, Files) of
        {ok, Node} -> Node;
        error -> dev_wasi_state:fail(noent)
    end.

opened(Path, Flags, Text, #{files := Files} = State) ->
    IsSet = fun(Flag) -> Flags band Flag =:= Flag end,
    WantsDirectory = IsSet(?DIRECTORY) orelse binary:last(Text) =:= $/,
    case dev_wasi_files:find(Path, Files) of
        {ok, _} when Flags band (?CREATE bor ?EXCLUSIVE) =:= ?CREATE bor ?EXCLUSIVE ->
            dev_wasi_state:fail(exist);
        {ok, Directory} when is_map(Directory) ->
            IsSet(?TRUNCATE) andalso dev_wasi_state:fail(isdir),
            State;
        {ok, _File} when WantsDirectory ->
            dev_wasi_state:fail(notdir);
        {ok, _File} ->
            case IsSet(?TRUNCATE) of
                true -> State#{files := dev_wasi_files:store(Path, <<>>, Files)};
                false -> State
            end;
        error ->
            IsSet(?CREATE) orelse dev_wasi_state:fail(noent),
            WantsDirectory andalso dev_wasi_state:fail(inval),
            State#{files := dev_wasi_files:store(Path, <<>>, Files)}
    end.

with_flags(0, Entry) -> Entry;
with_flags(Flags, Entry) -> Entry#{<<"flags">> => Flags band 31}.

rename(Path, Path, _Node, State) ->
    State;
rename(From, To, Node, #{files := Files} = State) ->
    lists:prefix(From, To) andalso dev_wasi_state:fail(inval),
    case dev_wasi_files:find(To, Files) of
        {ok, Directory} when is_map(Directory), is_binary(Node) -> dev_wasi_state:fail(isdir);
        {ok, Directory} when is_map(Directory), map_size(Directory) > 0 ->
            dev_wasi_state:fail(notempty);
        {ok, File} when is_binary(File), is_map(Node) -> dev_wasi_state:fail(notdir);
        _ -> ok
    end,
    Moved = dev_wasi_files:store(To, Node, dev_wasi_files:remove(From, Files)),
    dev_wasi_descriptors:rename(From, To, State#{files := Moved}).
