%% The two ways in which a guest's WASI is served come to the same: natively, and as messages to the
%% device that stands at `stdlib/wasi_snapshot_preview1'.
-module(dev_wasi_ways_tests).

-include_lib("eunit/include/eunit.hrl").

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).
-define(SEED, {1, 2, 3}).
-define(RANDOM_PROGRAMS, 60).
-define(LIBRARY, <<"wasm/stdlib/wasi_snapshot_preview1">>).

all_hosts_test_() ->
    device_hosts:on_both(
        [{"it is served natively", fun served_natively/0},
         {"another device is asked", fun another_device/0},
         {"another device of that name is asked", fun another_device_of_that_name/0},
         {"another resolver is asked", fun another_resolver/0},
         {"a device that serves another import sees the files", fun other_imports/0},
         {"files of a message that is bad", fun bad_files/0},
         {"a signal", fun a_signal/0},
         {"what is removed while it is open", fun removed_while_open/0},
         {"a snapshot has none of the files", fun snapshot/0},
         {"a message can go on twice", fun twice/0},
         {"and in many processes at once", {timeout, 60, fun at_once/0}}]
        ++ [{Name ++ Bits, fun() -> same(Program, Width) end}
            || {Width, Bits} <- [{4, " 32"}, {8, " 64"}], {Name, Program} <- programs()]
        ++ [{"random programs" ++ Bits, {timeout, 60, fun() -> random_programs(Width) end}}
            || {Width, Bits} <- [{4, " 32"}, {8, " 64"}]]).

%% Programs: calls of functions of WASI, in one call of the guest. `{text, T}' is the address and the
%% size of a text, `{buffers, L}' the address and the number of buffers: each with a text or a size.
programs() ->
    [{"all buffers are written",
      [{fd_write, [1, {buffers, [<<"one ">>, <<>>, <<"two ">>, <<"three">>]}, 500]},
       {fd_write, [2, {buffers, [<<"error">>]}, 500]},
       {fd_write, [9, {buffers, [<<"nowhere">>]}, 500]}]},
     {"a file is written, renamed, read and listed",
      [{path_create_directory, [3, {text, <<"z">>}]},
       {path_open, [3, 0, {text, <<"z/b">>}, 1, -1, -1, 0, 600]},
       {fd_write, [4, {buffers, [<<"content">>]}, 500]},
       {fd_seek, [4, -3, 2, 500]},
       {fd_read, [4, {buffers, [2, 2]}, 500]},
       {path_open, [3, 0, {text, <<"z/a">>}, 1, -1, -1, 1, 600]},
       {path_rename, [3, {text, <<"z">>}, 3, {text, <<"y">>}]},
       {path_open, [3, 0, {text, <<"y">>}, 2, 16384, 0, 0, 600]},
       {fd_readdir, [6, 5000, 300, 0, 500]},
       {path_filestat_get, [3, 0, {text, <<"y/b">>}, 5400]},
       {fd_fdstat_get, [5, 5500]},
       {fd_close, [4]}]},
     {"standard input is read to its end",
      [{fd_read, [0, {buffers, [3]}, 500]}, {fd_read, [0, {buffers, [100]}, 504]},
       {fd_read, [0, {buffers, [1]}, 508]}, {fd_seek, [0, 0, 1, 512]}]},
     {"streams are files with names",
      [{path_open, [3, 0, {text, <<"dev/stdout">>}, 0, 64, 0, 0, 600]},
       {fd_write, [4, {buffers, [<<"by name">>]}, 500]},
       {path_filestat_get, [3, 0, {text, <<"dev/stdout">>}, 5000]},
       {path_open, [3, 0, {text, <<"dev/stdin">>}, 0, 2, 0, 0, 600]},
       {fd_read, [5, {buffers, [4]}, 500]},
       {path_unlink_file, [3, {text, <<"dev/stderr">>}]},
       {fd_write, [2, {buffers, [<<"still there">>]}, 500]}]},
     {"what is written is there although its file was removed",
      [{path_open, [3, 0, {text, <<"temporary">>}, 1, -1, -1, 0, 600]},
       {path_unlink_file, [3, {text, <<"temporary">>}]},
       {fd_write, [4, {buffers, [<<"for now">>]}, 500]},
       {fd_pread, [4, {buffers, [7]}, 0, 500]},
       {path_open, [3, 0, {text, <<"other">>}, 1, -1, -1, 0, 600]}]},
     {"arguments, environment, clocks and waiting",
      [{args_sizes_get, [500, 508]}, {args_get, [600, 700]}, {environ_sizes_get, [516, 524]},
       {environ_get, [800, 900]}, {clock_time_get, [0, 1, 532]}, {clock_res_get, [1, 540]},
       {poll_oneoff, [4000, 4100, 1, 548]}, {clock_time_get, [1, 1, 556]}, {sched_yield, []}]},
     {"there are no links, and no sockets",
      [{path_symlink, [{text, <<"a">>}, 3, {text, <<"b">>}]},
       {path_link, [3, 0, {text, <<"file">>}, 3, {text, <<"c">>}]},
       {path_readlink, [3, {text, <<"file">>}, 5000, 10, 500]}, {sock_shutdown, [1, 0]},
       {sock_accept, [3, 0, 500]}]},
     {"descriptors",
      [{fd_renumber, [1, 2]}, {fd_close, [0]},
       {path_open, [3, 0, {text, <<"file">>}, 0, 2, 0, 0, 600]}, {fd_tell, [0, 500]},
       {fd_write, [0, {buffers, [<<"not to be written">>]}, 500]}, {fd_prestat_get, [3, 508]},
       {fd_prestat_dir_name, [3, 520, 1]}, {fd_fdstat_set_flags, [2, 1]}]},
     {"exit", [{fd_write, [1, {buffers, [<<"bye">>]}, 500]}, {proc_exit, [0]}]},
     {"exit with a status", [{fd_write, [1, {buffers, [<<"bye">>]}, 500]}, {proc_exit, [3]}]}].

%% Parameters: `i' and `I' of 32 and 64 bits, `p' as wide as a pointer.
parameters(args_get) -> "pp";
parameters(args_sizes_get) -> "pp";
parameters(environ_get) -> "pp";
parameters(environ_sizes_get) -> "pp";
parameters(clock_res_get) -> "ip";
parameters(clock_time_get) -> "iIp";
parameters(fd_allocate) -> "iII";
parameters(fd_close) -> "i";
parameters(fd_fdstat_get) -> "ip";
parameters(fd_fdstat_set_flags) -> "ii";
parameters(fd_filestat_get) -> "ip";
parameters(fd_filestat_set_size) -> "iI";
parameters(fd_pread) -> "ippIp";
parameters(fd_prestat_get) -> "ip";
parameters(fd_prestat_dir_name) -> "ipp";
parameters(fd_pwrite) -> "ippIp";
parameters(fd_read) -> "ippp";
parameters(fd_readdir) -> "ippIp";
parameters(fd_renumber) -> "ii";
parameters(fd_seek) -> "iIip";
parameters(fd_tell) -> "ip";
parameters(fd_write) -> "ippp";
parameters(path_create_directory) -> "ipp";
parameters(path_filestat_get) -> "iippp";
parameters(path_link) -> "iippipp";
parameters(path_open) -> "iippiIIip";
parameters(path_readlink) -> "ippppp";
parameters(path_remove_directory) -> "ipp";
parameters(path_rename) -> "ippipp";
parameters(path_symlink) -> "ppipp";
parameters(path_unlink_file) -> "ipp";
parameters(poll_oneoff) -> "pppp";
parameters(proc_exit) -> "i";
parameters(proc_raise) -> "i";
parameters(sched_yield) -> "";
parameters(sock_accept) -> "iip";
parameters(sock_shutdown) -> "ii".

%% A module whose `run' makes the calls, and leaves what they returned from address 0 on.
module(Program, Width) ->
    Pointer = case Width of 4 -> "i32"; 8 -> "i64" end,
    Type = fun($i) -> "i32"; ($I) -> "i64"; ($p) -> Pointer end,
    Names = lists:usort([Name || {Name, _} <- Program]),
    {Calls, {_, Data}} = lists:mapfoldl(fun(Call, State) -> call(Call, Type, Width, State) end,
                                        {10000, []}, Program),
    Numbered = lists:zip(lists:seq(0, length(Calls) - 1), Calls),
    iolist_to_binary([
        "(module\n",
        [["(import \"wasi_snapshot_preview1\" \"", atom_to_list(Name), "\" (func $",
          atom_to_list(Name), " (param", [[" ", Type(P)] || P <- parameters(Name)], ")",
          [" (result i32)" || Name =/= proc_exit], "))\n"] || Name <- Names],
        "(memory (export \"memory\") ", ["i64 " || Width =:= 8], "1)\n",
        "(func (export \"run\")\n",
        [case Call of
             {none, Text} -> Text;
             {errno, Text} -> ["(i32.store (", Pointer, ".const ", integer_to_list(4 * N), ") ",
                               Text, ")\n"]
         end || {N, Call} <- Numbered],
        ")\n",
        [["(data (", Pointer, ".const ", integer_to_list(Address), ") \"",
          [io_lib:format("\\~2.16.0b", [Byte]) || <<Byte>> <= Bytes], "\")\n"]
         || {Address, Bytes} <- Data],
        ")"]).

call({Name, Args}, Type, Width, State) ->
    {Values, Next} = lists:mapfoldl(fun(Arg, S) -> arguments(Arg, Width, S) end, State, Args),
    Constants = [["(", Type(P), ".const ", integer_to_list(Value), ")"]
                 || {P, Value} <- lists:zip(parameters(Name), lists:append(Values))],
    Text = ["(call $", atom_to_list(Name), " ", lists:join(" ", Constants), ")"],
    {{case Name of proc_exit -> none; _ -> errno end, Text}, Next}.

arguments({text, Text}, _Width, {Address, Data}) ->
    {[Address, byte_size(Text)], {Address + byte_size(Text), [{Address, Text} | Data]}};
arguments({buffers, Buffers}, Width, State) ->
    {Placed, {Address, Data}} = lists:mapfoldl(
        fun(Text, S) when is_binary(Text) -> arguments({text, Text}, Width, S);
           (Size, {A, D}) -> {[A, Size], {A + Size, D}}
        end, State, Buffers),
    Array = << <<Value:Width/little-unit:8>> || Value <- lists:append(Placed) >>,
    {[Address, length(Buffers)], {Address + byte_size(Array), [{Address, Array} | Data]}};
arguments(Value, _Width, State) ->
    {[Value], State}.

%% A message that can compute.
ready(Image) ->
    ready(Image, #{}).

ready(Image, More) ->
    {ok, Ready} = wasmbeam_host:resolve(maps:merge(
        #{<<"device">> => <<"stack@1.0">>, <<"device-stack">> => [<<"WASI@1.0">>, <<"WASM-64@1.0">>],
          <<"output-prefix">> => <<"wasm">>, <<"stack-keys">> => [<<"init">>, <<"compute">>],
          <<"image">> => Image, <<"timestamp">> => 1000,
          <<"arguments">> => [<<"name">>, <<"-v">>], <<"environment">> => #{<<"A">> => <<"1">>},
          <<"vfs">> => #{<<"file">> => <<"given">>, <<"dev">> => #{<<"stdin">> => <<"typed in">>}}},
        More), <<"init">>, #{}),
    Ready.

%% The same, with a device that notes that it is asked, and does what WASI@1.0 does.
by_messages(Message) ->
    Test = self(),
    Handler = fun(Key, Library, Request, Opts) ->
        Test ! {asked, Key},
        dev_wasi:function(Key, Library, Request, Opts)
    end,
    Device = #{info => fun() -> #{handler => Handler} end},
    wasmbeam_host:replace(Message, #{?LIBRARY => #{<<"device">> => Device}}, #{}).

asked() ->
    receive {asked, Key} -> [Key | asked()] after 0 -> [] end.

compute(Message) ->
    compute(Message, <<"run">>).

compute(Message, Function) ->
    wasmbeam_host:resolve(Message, #{<<"path">> => <<"compute">>, <<"function">> => Function}, #{}).

get(Path, Message) ->
    wasmbeam_host:load(wasmbeam_host:get(Path, ?PLAIN(Message), #{}), #{}).

%% What a message says, and what is in the guest's memory.
told(Message) ->
    {[get(Path, Message) || Path <- [<<"vfs">>, <<"file-descriptors">>, <<"results">>]],
     compact(memory(Message))}.

memory(Message) ->
    Handle = device_hosts:private(<<"wasm/instance">>, Message),
    {ok, Size} = hb_beamr_io:size(Handle),
    {ok, Memory} = hb_beamr_io:read(Handle, 0, Size),
    Memory.

%% What is not zero, with its address.
compact(Memory) ->
    case re:run(Memory, "[^\\0]+", [global, {capture, first, index}]) of
        {match, Runs} -> [{At, binary:part(Memory, At, Size)} || [{At, Size}] <- Runs];
        nomatch -> []
    end.

%% Twice in a row, so that the second call finds what the first one left.
same(Program, Width) ->
    Image = module(Program, Width),
    _ = asked(),
    Native = twice_told(ready(Image)),
    [] = asked(),
    ByMessages = twice_told(by_messages(ready(Image))),
    ?assertNotEqual([], asked()),
    ?assertEqual(ByMessages, Native),
    ?assertEqual(ByMessages, twice_told_by_way_of_the_cache(ready(Image))).

twice_told(Ready) ->
    case compute(Ready) of
        {ok, Once} ->
            First = told(Once),
            {ok, Twice} = compute(Once),
            {First, told(Twice)};
        Failure ->
            Failure
    end.

%% What is in the private part of a message makes no difference.
twice_told_by_way_of_the_cache(Ready) ->
    case compute(Ready) of
        {ok, Once} ->
            First = told(Once),
            Bare = wasmbeam_host:private_set(Once, #{<<"wasm/wasi-world">> => unset}, #{}),
            {ok, Twice} = compute(Bare),
            {First, told(Twice)};
        Failure ->
            Failure
    end.

random_programs(Width) ->
    _ = lists:foldl(fun(N, State) ->
        {Program, Next} = random_program(State),
        try same(Program, Width)
        catch Class:Reason:Stack ->
            erlang:raise(Class, {program, N, Program, Reason}, Stack)
        end,
        Next
    end, rand:seed_s(exsss, ?SEED), lists:seq(1, ?RANDOM_PROGRAMS)),
    ok.

random_program(State) ->
    {Length, Next} = rand:uniform_s(25, State),
    lists:mapfoldl(fun(_, S) -> random_call(S) end, Next, lists:seq(1, Length)).

random_call(State) ->
    {Name, Next} = one_of([fd_write, fd_write, fd_read, fd_read, path_open, path_open, path_open,
                           fd_close, fd_seek, fd_tell, fd_readdir, fd_renumber, fd_pread, fd_pwrite,
                           fd_allocate, fd_filestat_get, fd_filestat_set_size, fd_fdstat_get,
                           fd_fdstat_set_flags, path_create_directory, path_filestat_get,
                           path_remove_directory, path_rename, path_rename, path_unlink_file,
                           fd_prestat_get], State),
    {Args, Last} = lists:mapfoldl(fun random_argument/2, Next, shape(Name)),
    {{Name, Args}, Last}.

shape(fd_write) -> [fd, texts, at];
shape(fd_read) -> [fd, sizes, at];
shape(path_open) -> [directory, [0], path, [0, 0, 1, 1, 2, 4, 5, 8, 9], [-1, 2, 64, 16#1fffffff],
                     [-1, 0], [0, 0, 1, 4], at];
shape(fd_close) -> [fd];
shape(fd_seek) -> [fd, [0, 1, -1, 5, 100], [0, 1, 2, 3], at];
shape(fd_tell) -> [fd, at];
shape(fd_readdir) -> [fd, [5000], [300, 30], [0, 1, 3, 5], at];
shape(fd_renumber) -> [fd, fd];
shape(fd_pread) -> [fd, sizes, [0, 3, 100], at];
shape(fd_pwrite) -> [fd, texts, [0, 3, 100], at];
shape(fd_allocate) -> [fd, [0, 10], [0, 5]];
shape(fd_filestat_get) -> [fd, at];
shape(fd_filestat_set_size) -> [fd, [0, 3, 50]];
shape(fd_fdstat_get) -> [fd, at];
shape(fd_fdstat_set_flags) -> [fd, [0, 1, 4, 32]];
shape(fd_prestat_get) -> [fd, at];
shape(path_create_directory) -> [directory, path];
shape(path_filestat_get) -> [directory, [0], path, at];
shape(path_remove_directory) -> [directory, path];
shape(path_rename) -> [directory, path, directory, path];
shape(path_unlink_file) -> [directory, path].

random_argument(fd, State) -> one_of([0, 1, 2, 3, 4, 4, 5, 5, 6, 7, 99], State);
random_argument(directory, State) -> one_of([3, 3, 3, 3, 4, 5, 6], State);
random_argument(at, State) -> one_of([6000, 6100, 6200, 65532, 70000], State);
random_argument(texts, State) ->
    one_of([{buffers, Texts} || Texts <- [[<<"text">>], [<<"a">>, <<>>, <<"bc">>], []]], State);
random_argument(sizes, State) ->
    one_of([{buffers, Sizes} || Sizes <- [[4], [1, 0, 100], []]], State);
random_argument(path, State) ->
    one_of([{text, Path} || Path <- [<<"file">>, <<"a">>, <<"b">>, <<"a/x">>, <<"b/y">>, <<"a/b">>,
                                     <<"dev">>, <<"dev/stdout">>, <<"dev/stdin">>, <<"dev/x">>,
                                     <<".">>, <<"..">>, <<"a/">>, <<"a/../b">>, <<>>]], State);
random_argument(Values, State) -> one_of(Values, State).

one_of(Values, State) ->
    {N, Next} = rand:uniform_s(length(Values), State),
    {lists:nth(N, Values), Next}.

writing(Text) ->
    module([{fd_write, [1, {buffers, [Text]}, 500]}], 4).

served_natively() ->
    Ready = ready(writing(<<"hello">>)),
    {ok, Once} = compute(Ready),
    ?assertEqual(<<"hello">>, dev_wasi:stdout(Once)),
    ?assertEqual(5, get(<<"file-descriptors/1/offset">>, Once)),
    {ok, Twice} = compute(Once),
    ?assertEqual(<<"hellohello">>, dev_wasi:stdout(Twice)).

another_device() ->
    {ok, Once} = compute(by_messages(ready(writing(<<"hello">>)))),
    ?assertEqual([<<"fd_write">>], asked()),
    ?assertEqual(<<"hello">>, dev_wasi:stdout(Once)).

another_device_of_that_name() ->
    Ready = ready(writing(<<"hello">>)),
    Refusing = #{fd_write => fun(Library, _Request, Opts) ->
        {ok, #{<<"state">> => wasmbeam_host:get(<<"state">>, ?PLAIN(Library), Opts),
               <<"results">> => [52]}}
    end},
    {ok, Computed} = wasmbeam_host:resolve(
        Ready, #{<<"path">> => <<"compute">>, <<"function">> => <<"run">>},
        #{devices => #{<<"WASI@1.0">> => Refusing}}),
    ?assertEqual(<<>>, dev_wasi:stdout(Computed)),
    ?assertMatch(<<52:32/little, _/binary>>, memory(Computed)).

another_resolver() ->
    Resolver = fun(Message, #{func := "fd_write"}, _Opts) -> {ok, [7], Message} end,
    Ready = wasmbeam_host:private_set(ready(writing(<<"hello">>)),
                                      #{<<"wasm/import-resolver">> => Resolver}, #{}),
    {ok, Computed} = compute(Ready),
    ?assertEqual(<<>>, dev_wasi:stdout(Computed)),
    ?assertMatch(<<7:32/little, _/binary>>, memory(Computed)).

%% The guest writes, has another import served, which looks at the output and writes a file, and
%% reads that.
other_imports() ->
    Image = <<"(module
        (import \"wasi_snapshot_preview1\" \"fd_write\"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (import \"wasi_snapshot_preview1\" \"path_open\"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import \"wasi_snapshot_preview1\" \"fd_read\"
            (func $read (param i32 i32 i32 i32) (result i32)))
        (import \"my_lib\" \"look\" (func $look (result i32)))
        (memory (export \"memory\") 1)
        (data (i32.const 0) \"\\10\\00\\00\\00\\05\\00\\00\\00\")
        (data (i32.const 16) \"hello\")
        (data (i32.const 32) \"new\")
        (data (i32.const 40) \"\\40\\00\\00\\00\\0a\\00\\00\\00\")
        (func (export \"run\") (result i32 i32 i32)
            (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100))
            drop
            (call $look)
            (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 3) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 104))
            (call $read (i32.load (i32.const 104)) (i32.const 40) (i32.const 1) (i32.const 108))))">>,
    Look = #{look => fun(Library, _Request, Opts) ->
        State = wasmbeam_host:get(<<"state">>, ?PLAIN(Library), Opts),
        Written = byte_size(get(<<"vfs/dev/stdout">>, State)),
        {ok, #{<<"state">> => wasmbeam_host:set(State, #{<<"vfs/new">> => <<"made">>}, Opts),
               <<"results">> => [Written]}}
    end},
    Ready = wasmbeam_host:set(ready(Image), #{<<"wasm/stdlib/my_lib">> => #{<<"device">> => Look}}, #{}),
    [begin
         {ok, Computed} = compute(Message),
         ?assertEqual([5, 0, 0], get(<<"results/wasm/output">>, Computed)),
         ?assertEqual(<<"made">>, binary:part(memory(Computed), 64, 4)),
         ?assertEqual(<<"made">>, get(<<"vfs/new">>, Computed))
     end || Message <- [Ready, by_messages(Ready)]].

bad_files() ->
    Ready = ready(writing(<<"hello">>)),
    Set = fun(Updates) -> wasmbeam_host:replace(Ready, Updates, #{}) end,
    [begin
         {error, Native} = compute(Message),
         ?assertMatch(#{<<"class">> := <<"import_failed">>, <<"message">> := _}, Native),
         ?assertMatch({match, _}, re:run(map_get(<<"message">>, Native), Where)),
         ?assertEqual({error, Native}, compute(by_messages(Message)))
     end || {Message, Where} <- [
        {Set(#{<<"vfs/odd">> => 7}), "vfs/odd"},
        {Set(#{<<"vfs">> => #{<<"a">> => #{<<"b/c">> => <<>>}}}), "vfs"},
        {Set(#{<<"vfs">> => nested(10000)}), "vfs"},
        {Set(#{<<"file-descriptors/9">> => 7}), "file-descriptors/9"},
        {Set(#{<<"file-descriptors/x">> => #{<<"filename">> => <<"/file">>}}), "file-descriptors/x"},
        {Set(#{<<"file-descriptors/9">> => #{<<"filename">> => <<"/file">>, <<"offset">> => -1}}),
         "file-descriptors/9"},
        {Set(#{<<"file-descriptors/9999999">> => #{<<"filename">> => <<"/file">>}}), "9999999"},
        {Set(#{<<"arguments">> => [<<"a", 0>>]}), "argument"}]].

nested(0) -> #{};
nested(Depth) -> #{<<"d">> => nested(Depth - 1)}.

%% Where in the guest is known only to who serves it natively.
a_signal() ->
    Ready = ready(module([{proc_raise, [6]}], 4)),
    {error, Native} = compute(Ready),
    {error, ByMessages} = compute(by_messages(Ready)),
    ?assertMatch(#{<<"class">> := <<"trap">>, <<"code">> := <<"signal">>}, ByMessages),
    ?assertEqual(ByMessages, maps:remove(<<"backtrace">>, Native)).

%% A file that is in no directory is in no message either.
removed_while_open() ->
    {ok, Computed} = compute(ready(module(
        [{path_open, [3, 0, {text, <<"temporary">>}, 1, -1, -1, 0, 600]},
         {path_unlink_file, [3, {text, <<"temporary">>}]}], 4))),
    ?assertEqual(not_found, get(<<"vfs/temporary">>, Computed)),
    ?assertEqual(not_found, get(<<"file-descriptors/4">>, Computed)).

snapshot() ->
    Text = <<"not to be found in a snapshot">>,
    Image = module([{path_open, [3, 0, {text, <<"kept">>}, 1, -1, -1, 0, 600]},
                    {fd_write, [4, {buffers, [<<"mark">>]}, 500]}], 4),
    {ok, Computed} = compute(ready(Image, #{<<"vfs">> => #{<<"given">> => Text}})),
    Request = #{<<"path">> => <<"snapshot">>},
    {ok, #{<<"body">> := State}} =
        wasmbeam_host:resolve(Computed#{<<"device">> => <<"WASM-64@1.0">>}, Request, #{}),
    ?assertEqual(nomatch, binary:match(iolist_to_binary([State]), Text)),
    {ok, Id} = wasmbeam_host:cache_write(Computed#{<<"snapshot">> => #{<<"body">> => State}}, #{}),
    {ok, Stored} = wasmbeam_host:cache_read(Id, #{}),
    {ok, Restored} = wasmbeam_host:resolve({as, <<"WASM-64@1.0">>, Stored}, <<"normalize">>, #{}),
    ?assertEqual(<<"mark">>, get(<<"vfs/kept">>, Restored)),
    {ok, Again} = compute(Restored#{<<"device">> => <<"stack@1.0">>}),
    {ok, Live} = compute(Computed),
    ?assertEqual(told(Live), told(Again)).

%% What one successor of a message does is nothing to the other.
twice() ->
    Ready = ready(writing(<<"x">>)),
    {ok, One} = compute(Ready),
    {ok, Other} = compute(Ready),
    {ok, After} = compute(One),
    ?assertEqual({<<"x">>, <<"x">>, <<"xx">>},
                 {dev_wasi:stdout(One), dev_wasi:stdout(Other), dev_wasi:stdout(After)}).

%% They share an instance, and none sees what another writes.
at_once() ->
    Ready = ready(writing(<<"x">>)),
    Writers = [spawn_monitor(fun() -> exit(written(Ready, 30)) end) || _ <- lists:seq(1, 8)],
    ?assertEqual([lists:duplicate(30, <<"x">>) || _ <- Writers],
                 [receive {'DOWN', Monitor, process, Writer, Written} -> Written end
                  || {Writer, Monitor} <- Writers]).

written(Ready, Times) ->
    [begin
         {ok, Computed} = compute(Ready),
         dev_wasi:stdout(Computed)
     end || _ <- lists:seq(1, Times)].

modules_written_elsewhere_test_() ->
    [device_hosts:with_shared(File, fun(Image) ->
         {timeout, 200, device_hosts:on_both([{File, {timeout, 100, fun() -> Test(Image) end}}])}
     end)
     || {File, Test} <- [{"test-print.wasm", fun print/1},
                         {"aos-2-pure-xs.wasm", fun(Image) -> aos(Image, "42") end},
                         {"test-wasi-aos.wasm", fun(Image) -> aos(Image, "pong") end}]].

print(Image) ->
    Ways = [begin
                {ok, Once} = compute(Message, <<"hello">>),
                {ok, Twice} = compute(Once, <<"hello">>),
                {told(Once), told(Twice)}
            end || Message <- [ready(Image), by_messages(ready(Image))]],
    ?assertMatch([Same, Same], Ways),
    [{{[#{<<"dev">> := #{<<"stdout">> := Printed}} | _], _}, _} | _] = Ways,
    ?assertNotEqual(<<>>, Printed),
    ?assertNotEqual([], asked()).

%% Two messages in a row.
aos(Image, Expected) ->
    Ways = [begin
                {ok, One} = evaluate(Message, <<"x = 41; print('printed'); return x">>),
                {ok, Two} = evaluate(One, <<"return x + 1">>),
                [{get(<<"vfs">>, Each), get(<<"file-descriptors">>, Each), answer(Each)}
                 || Each <- [One, Two]]
            end || Message <- [ready(Image), by_messages(ready(Image))]],
    ?assertMatch([Same, Same], Ways),
    [[_, {_, _, Answer}] | _] = Ways,
    ?assertMatch({match, _}, re:run(Answer, Expected)).

evaluate(Message, Code) ->
    Handle = device_hosts:private(<<"wasm/instance">>, Message),
    Parameters = [begin
                      {ok, Address} = hb_beamr_io:write_string(Handle, Text),
                      Address
                  end || Text <- [aos_message(Code), aos_environment()]],
    wasmbeam_host:resolve(Message, #{<<"path">> => <<"compute">>, <<"function">> => <<"handle">>,
                                     <<"parameters">> => Parameters}, #{}).

answer(Message) ->
    [Address] = get(<<"results/wasm/output">>, Message),
    {ok, Text} = hb_beamr_io:read_string(device_hosts:private(<<"wasm/instance">>, Message), Address),
    Text.

aos_message(Code) ->
    <<"{\"From\":\"OWNER\",\"Block-Height\":\"1\",\"Target\":\"AOS\",\"Owner\":\"OWNER\",\"Id\":\"1\",",
      "\"Module\":\"M\",\"Tags\":[{\"name\":\"Action\",\"value\":\"Eval\"}],\"Data\":\"",
      Code/binary, "\"}">>.

aos_environment() ->
    <<"{\"Process\":{\"Id\":\"AOS\",\"Owner\":\"OWNER\",\"Tags\":[{\"name\":\"Name\",\"value\":",
      "\"Process\"},{\"name\":\"Authority\",\"value\":\"OWNER\"}]}}">>.
