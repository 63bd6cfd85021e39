%% The functions of WASI, called one by one by guests with narrow and with wide pointers.
-module(dev_wasi_tests).

-include_lib("eunit/include/eunit.hrl").

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

all_hosts_test_() ->
    device_hosts:on_both(
        [{Name ++ Bits, fun() -> Test(guest(File, Width)) end}
         || {File, Width, Bits} <- [{"wasi32.wat", 4, " 32"}, {"wasi64.wat", 8, " 64"}],
            {Name, Test} <- tests()]
        ++ [{"the message survives the cache", fun survives_the_cache/0},
            {"another device can take the place", fun overridden/0},
            {"an instance is needed", fun no_instance/0}]).

tests() ->
    [{"all buffers are written", fun all_buffers/1},
     {"standard streams cannot be positioned", fun streams/1},
     {"a file is made, written, positioned, read and closed", fun file/1},
     {"files of the message are read", fun given_files/1},
     {"directories", fun directories/1},
     {"what a guest starts with", fun preopens/1},
     {"paths do not lead out", fun paths/1},
     {"arguments and environment", fun arguments/1},
     {"time", fun time/1},
     {"a closed descriptor is free", fun closed/1},
     {"exit", fun exits/1},
     {"addresses outside of the memory", fun outside/1},
     {"waiting", fun waiting/1},
     {"what there is none of", fun unsupported/1}].

%% The guest so far, which `call' changes.
guest(File, Width) ->
    guest(File, Width, #{}).

guest(File, Width, More) ->
    {ok, Ready} = wasmbeam_host:resolve(message(File, More), <<"init">>, #{}),
    put(message, Ready),
    Width.

message(File, More) ->
    maps:merge(#{<<"device">> => <<"stack@1.0">>,
                 <<"device-stack">> => [<<"WASI@1.0">>, <<"WASM-64@1.0">>],
                 <<"output-prefix">> => <<"wasm">>,
                 <<"stack-keys">> => [<<"init">>, <<"compute">>],
                 <<"image">> => device_hosts:read_module(File)}, More).

call(Function, Args) ->
    {ok, Next} = compute(Function, Args),
    put(message, Next),
    [Errno] = wasmbeam_host:get(<<"results/wasm/output">>, ?PLAIN(Next), #{}),
    Errno.

compute(Function, Args) ->
    wasmbeam_host:resolve(get(message), #{<<"path">> => <<"compute">>, <<"function">> => Function,
                                          <<"parameters">> => Args}, #{}).

message_has(Path) ->
    wasmbeam_host:get(Path, ?PLAIN(get(message)), #{}).

write(Address, Bytes) ->
    ok = (device_hosts:private(<<"wasm/write">>, get(message)))(Address, Bytes).

read(Address, Size) ->
    {ok, Bytes} = (device_hosts:private(<<"wasm/read">>, get(message)))(Address, Size),
    Bytes.

read_size(Address, Width) ->
    <<Size:Width/little-unit:8>> = read(Address, Width),
    Size.

buffers(Address, Width, Buffers) ->
    write(Address, << <<Buffer:Width/little-unit:8, Size:Width/little-unit:8>>
                      || {Buffer, Size} <- Buffers >>).

%% With all rights, but that nobody can write a directory.
open(Path, Flags) ->
    write(1000, Path),
    Rights = case Flags band 2 of
        2 -> 16#1fffffff band bnot 64;
        0 -> 16#1fffffff
    end,
    case call(<<"path_open">>, [3, 0, 1000, byte_size(Path), Flags, Rights, -1, 0, 900]) of
        0 -> <<Fd:32/little>> = read(900, 4), {ok, Fd};
        Errno -> {error, Errno}
    end.

all_buffers(Width) ->
    write(1000, <<"one two three">>),
    buffers(0, Width, [{1000, 4}, {1004, 0}, {1004, 4}, {1008, 5}]),
    ?assertEqual(0, call(<<"fd_write">>, [1, 0, 4, 500])),
    ?assertEqual(13, read_size(500, Width)),
    ?assertEqual(<<"one two three">>, message_has(<<"vfs/dev/stdout">>)),
    ?assertEqual(0, call(<<"fd_write">>, [1, 0, 1, 500])),
    ?assertEqual(<<"one two threeone ">>, dev_wasi:stdout(get(message))),
    ?assertEqual(17, message_has(<<"file-descriptors/1/offset">>)).

streams(_Width) ->
    ?assertEqual(70, call(<<"fd_seek">>, [1, 0, 0, 500])),
    ?assertEqual(0, call(<<"fd_fdstat_get">>, [1, 500])),
    ?assertMatch(<<2, _/binary>>, read(500, 24)).

file(Width) ->
    {ok, Fd} = open(<<"new">>, 1),
    write(2000, <<"0123456789">>),
    buffers(0, Width, [{2000, 10}]),
    ?assertEqual(0, call(<<"fd_write">>, [Fd, 0, 1, 500])),
    ?assertEqual(<<"0123456789">>, message_has(<<"vfs/new">>)),
    ?assertEqual(0, call(<<"fd_seek">>, [Fd, -4, 2, 500])),
    ?assertEqual(<<6:64/little>>, read(500, 8)),
    buffers(0, Width, [{3000, 3}, {3010, 3}]),
    ?assertEqual(0, call(<<"fd_read">>, [Fd, 0, 2, 500])),
    ?assertEqual({4, <<"678">>, <<"9">>}, {read_size(500, Width), read(3000, 3), read(3010, 1)}),
    ?assertEqual(0, call(<<"fd_read">>, [Fd, 0, 2, 500])),
    ?assertEqual(0, read_size(500, Width)),
    ?assertEqual(0, call(<<"fd_tell">>, [Fd, 500])),
    ?assertEqual(<<10:64/little>>, read(500, 8)),
    ?assertEqual(28, call(<<"fd_seek">>, [Fd, -11, 2, 500])),
    ?assertEqual(0, call(<<"fd_pread">>, [Fd, 0, 1, 1, 500])),
    ?assertEqual(<<"123">>, read(3000, 3)),
    ?assertEqual(0, call(<<"fd_seek">>, [Fd, 12, 0, 500])),
    buffers(0, Width, [{2000, 1}]),
    ?assertEqual(0, call(<<"fd_write">>, [Fd, 0, 1, 500])),
    ?assertEqual(<<"0123456789", 0, 0, "0">>, message_has(<<"vfs/new">>)),
    ?assertEqual(0, call(<<"fd_filestat_get">>, [Fd, 500])),
    ?assertMatch(<<_:128, 4, _:56, 1:64/little, 13:64/little, _/binary>>, read(500, 64)),
    {ok, Fd2} = open(<<"new">>, 8),
    ?assertEqual(<<>>, message_has(<<"vfs/new">>)),
    ?assertNotEqual(Fd, Fd2).

given_files(4) -> given_files("wasi32.wat", 4);
given_files(8) -> given_files("wasi64.wat", 8).

given_files(File, Width) ->
    guest(File, Width, #{<<"vfs">> => #{<<"A">> => #{<<"file">> => <<"upper">>},
                                        <<"a">> => #{<<"file">> => <<"lower">>}}}),
    {ok, Fd} = open(<<"A/file">>, 0),
    buffers(0, Width, [{3000, 100}]),
    ?assertEqual(0, call(<<"fd_read">>, [Fd, 0, 1, 500])),
    ?assertEqual(<<"upper">>, read(3000, read_size(500, Width))),
    ?assertEqual({error, 44}, open(<<"none">>, 0)),
    ?assertEqual({error, 20}, open(<<"a/file">>, 5)),
    ?assertEqual({error, 54}, open(<<"a/file/">>, 0)).

directories(Width) ->
    write(2000, <<"dirfile">>),
    ?assertEqual(0, call(<<"path_create_directory">>, [3, 2000, 3])),
    ?assertEqual(20, call(<<"path_create_directory">>, [3, 2000, 3])),
    {ok, _} = open(<<"dir/file">>, 1),
    ?assertEqual(55, call(<<"path_remove_directory">>, [3, 2000, 3])),
    {ok, Dir} = open(<<"dir">>, 2),
    ?assertEqual(0, call(<<"fd_readdir">>, [Dir, 3000, 200, 0, 500])),
    Size = 3 * 24 + 1 + 2 + 4,
    ?assertEqual(Size, read_size(500, Width)),
    ?assertMatch(<<1:64/little, _:64, 1:32/little, 3:32/little, ".",
                   2:64/little, _:64, 2:32/little, 3:32/little, "..",
                   3:64/little, _:64, 4:32/little, 4:32/little, "file">>, read(3000, Size)),
    ?assertEqual(0, call(<<"fd_readdir">>, [Dir, 3000, 10, 2, 500])),
    ?assertEqual(10, read_size(500, Width)),
    ?assertEqual(0, call(<<"path_rename">>, [Dir, 2003, 4, 3, 2003, 4])),
    ?assertEqual(<<>>, message_has(<<"vfs/file">>)),
    ?assertEqual(0, call(<<"path_remove_directory">>, [3, 2000, 3])),
    ?assertEqual(not_found, message_has(<<"vfs/dir">>)),
    ?assertEqual(31, call(<<"path_unlink_file">>, [3, write_text(<<"dev">>), 3])),
    ?assertEqual(0, call(<<"path_unlink_file">>, [3, 2003, 4])),
    ?assertEqual(not_found, message_has(<<"vfs/file">>)).

write_text(Text) ->
    write(1000, Text),
    1000.

preopens(Width) ->
    ?assertEqual(0, call(<<"fd_prestat_get">>, [3, 500])),
    ?assertEqual({0, 1}, {read_size(500, Width), read_size(500 + Width, Width)}),
    ?assertEqual(0, call(<<"fd_prestat_dir_name">>, [3, 500, 1])),
    ?assertEqual(<<"/">>, read(500, 1)),
    ?assertEqual(8, call(<<"fd_prestat_get">>, [4, 500])).

paths(_Width) ->
    ?assertEqual({error, 63}, open(<<"../x">>, 1)),
    ?assertEqual({error, 63}, open(<<"dev/../../x">>, 1)),
    ?assertEqual({error, 44}, open(<<"no/such/x">>, 1)),
    ?assertEqual({error, 28}, open(<<"a", 0>>, 1)),
    ?assertMatch({ok, _}, open(<<"./dev/../x">>, 1)).

arguments(4) -> arguments("wasi32.wat", 4);
arguments(8) -> arguments("wasi64.wat", 8).

arguments(File, Width) ->
    guest(File, Width, #{<<"arguments">> => [<<"name">>, <<"-v">>],
                         <<"environment">> => #{<<"HOME">> => <<"/">>}}),
    ?assertEqual(0, call(<<"args_sizes_get">>, [500, 600])),
    ?assertEqual({2, 8}, {read_size(500, Width), read_size(600, Width)}),
    ?assertEqual(0, call(<<"args_get">>, [500, 600])),
    ?assertEqual({600, 605}, {read_size(500, Width), read_size(500 + Width, Width)}),
    ?assertEqual(<<"name", 0, "-v", 0>>, read(600, 8)),
    ?assertEqual(0, call(<<"environ_sizes_get">>, [500, 600])),
    ?assertEqual({1, 7}, {read_size(500, Width), read_size(600, Width)}),
    ?assertEqual(0, call(<<"environ_get">>, [500, 600])),
    ?assertEqual(<<"HOME=/", 0>>, read(600, 7)).

time(4) -> time("wasi32.wat", 4);
time(8) -> time("wasi64.wat", 8).

time(File, Width) ->
    ?assertEqual(0, call(<<"clock_time_get">>, [0, 1, 500])),
    <<Now:64/little>> = read(500, 8),
    ?assert(Now > 1600000000000000000),
    ?assertEqual(28, call(<<"clock_time_get">>, [9, 1, 500])),
    guest(File, Width, #{<<"timestamp">> => 1234}),
    ?assertEqual(0, call(<<"clock_time_get">>, [0, 1, 500])),
    ?assertEqual(<<1234000000:64/little>>, read(500, 8)).

closed(_Width) ->
    {ok, Fd} = open(<<"new">>, 1),
    ?assertEqual(0, call(<<"fd_close">>, [Fd])),
    ?assertEqual(8, call(<<"fd_close">>, [Fd])),
    ?assertEqual({ok, Fd}, open(<<"new">>, 0)).

exits(_Width) ->
    ?assertMatch({error, #{<<"class">> := <<"exit">>, <<"exit-status">> := 3}},
                 compute(<<"proc_exit">>, [3])),
    {ok, Ended} = compute(<<"proc_exit">>, [0]),
    ?assertEqual([], wasmbeam_host:get(<<"results/wasm/output">>, ?PLAIN(Ended), #{})).

outside(Width) ->
    ?assertEqual(21, call(<<"fd_write">>, [1, 1 bsl 20, 1, 500])),
    buffers(0, Width, [{1 bsl 20, 4}]),
    ?assertEqual(21, call(<<"fd_write">>, [1, 0, 1, 500])),
    ?assertEqual(21, call(<<"random_get">>, [65530, 100])),
    ?assertEqual(21, call(<<"fd_write">>, [1, 0, -1, 500])),
    ?assertEqual(<<>>, message_has(<<"vfs/dev/stdout">>)).

%% One subscription to a clock, then one to a file as well, which is ready at once.
waiting(Width) ->
    write(1000, <<7:64/little, 0:64, 1:32/little, 0:32, 1000:64/little, 0:64, 0:64,
                  8:64/little, 1, 0:56, 3000:32/little, 0:224>>),
    ?assertEqual(0, call(<<"poll_oneoff">>, [1000, 2000, 1, 500])),
    ?assertEqual({1, <<7:64/little, 0:192>>}, {read_size(500, Width), read(2000, 32)}),
    ?assertEqual(0, call(<<"poll_oneoff">>, [1000, 2000, 2, 500])),
    ?assertEqual({1, <<8:64/little, 8:16/little, 1>>}, {read_size(500, Width), read(2000, 11)}),
    ?assertEqual(28, call(<<"poll_oneoff">>, [1000, 2000, 0, 500])),
    ?assertEqual(0, call(<<"sched_yield">>, [])).

unsupported(_Width) ->
    ?assertEqual(58, call(<<"path_symlink">>, [0, 1, 3, 0, 1])),
    ?assertEqual(57, call(<<"sock_shutdown">>, [1, 0])),
    ?assertEqual(8, call(<<"sock_shutdown">>, [99, 0])).

survives_the_cache() ->
    guest("wasi32.wat", 4),
    {ok, Fd} = open(<<"kept">>, 1),
    write(2000, <<"bytes">>),
    buffers(0, 4, [{2000, 5}]),
    0 = call(<<"fd_write">>, [Fd, 0, 1, 500]),
    {ok, Id} = wasmbeam_host:cache_write(get(message), #{}),
    {ok, Read} = wasmbeam_host:cache_read(Id, #{}),
    {ok, Again} = wasmbeam_host:resolve(Read, <<"init">>, #{}),
    put(message, Again),
    buffers(0, 4, [{3000, 5}]),
    ?assertEqual(0, call(<<"fd_pread">>, [Fd, 0, 1, 0, 500])),
    ?assertEqual(<<"bytes">>, read(3000, 5)).

overridden() ->
    Other = #{sched_yield => fun(Library, _Request, Opts) ->
        {ok, #{<<"state">> => wasmbeam_host:get(<<"state">>, ?PLAIN(Library), Opts),
               <<"results">> => [42]}}
    end},
    guest("wasi32.wat", 4),
    put(message, wasmbeam_host:replace(
        get(message),
        #{<<"wasm/stdlib/wasi_snapshot_preview1">> => #{<<"device">> => Other}}, #{})),
    ?assertEqual(42, call(<<"sched_yield">>, [])).

no_instance() ->
    ?assertMatch({error, #{<<"class">> := <<"bad_request">>}},
                 dev_wasi:fd_write(#{<<"state">> => #{}}, #{<<"args">> => [1, 0, 0, 0]}, #{})),
    ?assertMatch({error, #{<<"class">> := <<"bad_argument">>}},
                 dev_wasi:fd_write(#{<<"state">> => #{}}, #{<<"args">> => [<<"1">>]}, #{})),
    ?assertMatch({error, #{<<"class">> := <<"bad_request">>}},
                 dev_wasi:fd_write(#{}, #{<<"args">> => [1, 0, 0, 0]}, #{})).

a_world_of_many_files_is_gone_through_where_it_keeps_nobody_waiting_test() ->
    Tree = maps:from_list([{integer_to_binary(N), <<>>} || N <- lists:seq(1, 3000)]),
    Root = {3, <<"/">>, 0, 0, <<"/">>, none},
    {ok, {World, [Root]}} = wasmbeam_world:new(Tree, <<>>, [Root], {[], [], system}),
    {ok, I} = wasmbeam:start(<<"(module (memory 1) (data (i32.const 0) \"new\"))">>),
    {ok, 0, Next, _} = wasmbeam_world:call(I, World, <<"path_create_directory">>, [3, 0, 3]),
    Streams = {<<>>, <<>>, <<>>},
    ?assertEqual(long, wasmbeam_nif:world_describe(Next, World, Tree, Streams, false)),
    ?assertEqual({Tree#{<<"new">> => #{}}, [Root]},
                 wasmbeam_world:describe(Next, World, Tree, Streams, false)),
    ?assertEqual(long, wasmbeam_nif:world_settle(Next, World)),
    Settled = wasmbeam_world:settle(Next, World),
    ?assertEqual({same, same}, wasmbeam_world:describe(Settled, Settled, Tree, Streams, false)).
