%% @doc Guests for the tests of WASI: fixtures, and a module that exports every function of WASI, in
%% either width, so that tests can call them one by one.
-module(wasmbeam_wasi_guest).

-export([source/1, functions/0, module/2, start/1, start/2, start/3, widths/0]).
-export([errno/3, ok/3, at/3, put/3, put_size/3, put_buffers/3, get/3, get_size/2]).
-export([open/3, write/3, read/3, seek/3]).

-export_type([guest/0, width/0]).

-type width() :: 32 | 64.
-type guest() :: #{instance := wasmbeam:instance(), width := width()}.

%% Where `open', `read' and `write' keep what they need.
-define(RESULT, 16).
-define(BUFFERS, 64).
-define(PATH, 1024).
-define(PATHS, 8192).
-define(DATA, 65536).

%% @doc The text of a module in `fixtures'.
-spec source(string()) -> binary().
source(Name) ->
    {ok, Text} = file:read_file(filename:join([folder(), "fixtures", Name ++ ".wat"])),
    Text.

folder() ->
    Installed = filename:join([code:lib_dir(wasmbeam), "test", "wasi"]),
    case filelib:is_dir(filename:join(Installed, "fixtures")) of
        true -> Installed;
        false -> filename:dirname(proplists:get_value(source, ?MODULE:module_info(compile)))
    end.

-spec widths() -> [width()].
widths() -> [32, 64].

%% @doc Every function with its parameters: `i' and `j' are integers of 32 and 64 bits, `p' is a
%% pointer or a size.
-spec functions() -> [{Name :: string(), Params :: string()}].
functions() ->
    [{"args_get", "pp"}, {"args_sizes_get", "pp"}, {"environ_get", "pp"},
     {"environ_sizes_get", "pp"}, {"clock_res_get", "ip"}, {"clock_time_get", "ijp"},
     {"fd_advise", "ijji"}, {"fd_allocate", "ijj"}, {"fd_close", "i"}, {"fd_datasync", "i"},
     {"fd_fdstat_get", "ip"}, {"fd_fdstat_set_flags", "ii"}, {"fd_fdstat_set_rights", "ijj"},
     {"fd_filestat_get", "ip"}, {"fd_filestat_set_size", "ij"}, {"fd_filestat_set_times", "ijji"},
     {"fd_pread", "ippjp"}, {"fd_prestat_get", "ip"}, {"fd_prestat_dir_name", "ipp"},
     {"fd_pwrite", "ippjp"}, {"fd_read", "ippp"}, {"fd_readdir", "ippjp"}, {"fd_renumber", "ii"},
     {"fd_seek", "ijip"}, {"fd_sync", "i"}, {"fd_tell", "ip"}, {"fd_write", "ippp"},
     {"path_create_directory", "ipp"}, {"path_filestat_get", "iippp"},
     {"path_filestat_set_times", "iippjji"}, {"path_link", "iippipp"},
     {"path_open", "iippijjip"}, {"path_readlink", "ippppp"}, {"path_remove_directory", "ipp"},
     {"path_rename", "ippipp"}, {"path_symlink", "ppipp"}, {"path_unlink_file", "ipp"},
     {"poll_oneoff", "pppp"}, {"proc_exit", "i"}, {"proc_raise", "i"}, {"sched_yield", ""},
     {"random_get", "pp"}, {"sock_accept", "iip"}, {"sock_recv", "ippipp"},
     {"sock_send", "ippip"}, {"sock_shutdown", "ii"}].

%% @doc A module that exports them all, and a memory of 4 pages.
-spec module(string(), width()) -> binary().
module(Namespace, Width) ->
    Index = case Width of 32 -> ""; 64 -> "i64" end,
    iolist_to_binary(
      ["(module ", [import(Namespace, Name, Params, Width) || {Name, Params} <- functions()],
       ["(memory (export \"memory\") ", Index, " 4)"],
       [["(export \"", Name, "\" (func $", Name, "))"] || {Name, _} <- functions()], ")"]).

import(Namespace, Name, Params, Width) ->
    Types = [[" ", type(Param, Width)] || Param <- Params],
    Result = case Name of "proc_exit" -> ""; _ -> "(result i32)" end,
    ["(import \"", Namespace, "\" \"", Name, "\" (func $", Name, " (param", Types, ") ", Result,
     "))"].

type($p, 64) -> "i64";
type($p, 32) -> "i32";
type($i, _) -> "i32";
type($j, _) -> "i64".

%% @doc Starts such a module.
-spec start(width()) -> guest().
start(Width) ->
    start(Width, #{}).

-spec start(width(), map()) -> guest().
start(Width, Wasi) ->
    start(Width, Wasi, "wasi_snapshot_preview1").

-spec start(width(), map(), string()) -> guest().
start(Width, Wasi, Namespace) ->
    {ok, Instance} = wasmbeam:start(module(Namespace, Width), #{wasi => Wasi}),
    #{instance => Instance, width => Width}.

%% @doc The error number that a function returns.
-spec errno(guest(), string(), [integer()]) -> non_neg_integer().
errno(#{instance := Instance}, Name, Args) ->
    {ok, [Errno]} = wasmbeam:call(Instance, list_to_binary(Name), Args),
    Errno.

%% @doc Calls a function that has to succeed.
-spec ok(guest(), string(), [integer()]) -> guest().
ok(Guest, Name, Args) ->
    {Name, Args, 0} = {Name, Args, errno(Guest, Name, Args)},
    Guest.

%% @doc As `errno/3', of a function with paths: a binary stands for its address and its size.
-spec at(guest(), string(), [integer() | binary()]) -> non_neg_integer().
at(Guest, Name, Args) ->
    {Raw, _} = lists:mapfoldl(fun
        (Path, Address) when is_binary(Path) ->
            put(Guest, Address, Path),
            {[Address, byte_size(Path)], Address + byte_size(Path)};
        (Arg, Address) ->
            {[Arg], Address}
    end, ?PATHS, Args),
    errno(Guest, Name, lists:append(Raw)).

-spec put(guest(), non_neg_integer(), binary()) -> ok.
put(#{instance := Instance}, Address, Bytes) ->
    ok = wasmbeam:memory_write(Instance, Address, Bytes).

%% @doc Writes a pointer or a size.
-spec put_size(guest(), non_neg_integer(), non_neg_integer()) -> ok.
put_size(#{width := Width} = Guest, Address, Value) ->
    put(Guest, Address, <<Value:Width/little>>).

%% @doc Writes an array of buffers, each an address and a size.
-spec put_buffers(guest(), non_neg_integer(), [{non_neg_integer(), non_neg_integer()}]) -> ok.
put_buffers(#{width := Width} = Guest, Address, Buffers) ->
    put(Guest, Address, << <<Start:Width/little, Size:Width/little>> || {Start, Size} <- Buffers >>).

-spec get(guest(), non_neg_integer(), non_neg_integer()) -> binary().
get(#{instance := Instance}, Address, Size) ->
    {ok, Bytes} = wasmbeam:memory_read(Instance, Address, Size),
    Bytes.

%% @doc Reads a pointer or a size.
-spec get_size(guest(), non_neg_integer()) -> non_neg_integer().
get_size(#{width := Width} = Guest, Address) ->
    <<Value:Width/little>> = get(Guest, Address, Width div 8),
    Value.

%% @doc Opens a file of the preopened directory with all rights; `Flags' are those of `path_open':
%% 1 creates, 2 is for directories, 4 must create, 8 truncates.
-spec open(guest(), binary(), non_neg_integer()) -> {ok, Fd :: non_neg_integer()} | {errno, integer()}.
open(Guest, Path, Flags) ->
    put(Guest, ?PATH, Path),
    Rights = case Flags band 2 of 0 -> (1 bsl 29) - 1; 2 -> (1 bsl 14) bor (1 bsl 21) end,
    case errno(Guest, "path_open",
               [3, 1, ?PATH, byte_size(Path), Flags, Rights, Rights, 0, ?RESULT]) of
        0 ->
            <<Fd:32/little>> = get(Guest, ?RESULT, 4),
            {ok, Fd};
        Errno ->
            {errno, Errno}
    end.

%% @doc Writes at the descriptor's offset.
-spec write(guest(), integer(), binary()) -> {ok, non_neg_integer()} | {errno, integer()}.
write(Guest, Fd, Bytes) ->
    put(Guest, ?DATA, Bytes),
    put_buffers(Guest, ?BUFFERS, [{?DATA, byte_size(Bytes)}]),
    case errno(Guest, "fd_write", [Fd, ?BUFFERS, 1, ?RESULT]) of
        0 -> {ok, get_size(Guest, ?RESULT)};
        Errno -> {errno, Errno}
    end.

%% @doc Reads from the descriptor's offset.
-spec read(guest(), integer(), non_neg_integer()) -> {ok, binary()} | {errno, integer()}.
read(Guest, Fd, Size) ->
    put_buffers(Guest, ?BUFFERS, [{?DATA, Size}]),
    case errno(Guest, "fd_read", [Fd, ?BUFFERS, 1, ?RESULT]) of
        0 -> {ok, get(Guest, ?DATA, get_size(Guest, ?RESULT))};
        Errno -> {errno, Errno}
    end.

%% @doc Sets the descriptor's offset.
-spec seek(guest(), integer(), integer()) -> {ok, non_neg_integer()} | {errno, integer()}.
seek(Guest, Fd, Offset) ->
    case errno(Guest, "fd_seek", [Fd, Offset, 0, ?RESULT]) of
        0 ->
            <<Position:64/little>> = get(Guest, ?RESULT, 8),
            {ok, Position};
        Errno ->
            {errno, Errno}
    end.
