%% A cache folder outlives the VMs that write to it, however they end.
-module(faults_cache_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, init_per_suite/1, end_per_suite/1]).
-export([a_vm_that_is_killed_while_it_writes_leaves_a_usable_folder/1,
         two_vms_share_a_folder/1, a_key_is_made_by_the_first_vm/1]).
-export([image/1]).

-define(KILLS, 50).
-define(IMAGES, 6).
%% Most of the time goes into writing, not into compiling.
-define(DATA_BYTES, 4000000).

all() ->
    [a_vm_that_is_killed_while_it_writes_leaves_a_usable_folder, two_vms_share_a_folder,
     a_key_is_made_by_the_first_vm].

init_per_suite(Config) ->
    case wasmbeam:compile(<<"(module)">>) of
        {ok, _} -> Config;
        {error, {native_unavailable, _}} -> {skip, "built without the native library"}
    end.

end_per_suite(_Config) -> ok.

%% A binary module with a large data segment, whose function gives its number.
image(N) ->
    Data = binary:copy(<<N, 1, 2, 3>>, ?DATA_BYTES div 4),
    Pages = ?DATA_BYTES div 65536 + 1,
    iolist_to_binary([
        <<0, "asm", 1:32/little>>,
        section(1, <<1, 16#60, 0, 1, 16#7f>>),
        section(3, <<1, 0>>),
        section(5, [1, 0, leb128(Pages)]),
        section(7, <<1, 1, "f", 0, 0>>),
        section(10, <<1, 4, 0, 16#41, N, 16#0b>>),
        section(11, [1, 0, 16#41, 0, 16#0b, leb128(byte_size(Data)), Data])
    ]).

section(Id, Contents) ->
    [Id, leb128(iolist_size(Contents)), Contents].

leb128(N) when N < 128 -> <<N>>;
leb128(N) -> <<1:1, N:7, (leb128(N bsr 7))/binary>>.

configure(Folder) ->
    application:set_env(wasmbeam, cache_dir, Folder),
    application:set_env(wasmbeam, cache_bytes, 0),
    application:set_env(wasmbeam, aot_key, binary:copy(<<9>>, 32)).

answers(N) ->
    {ok, Instance} = wasmbeam:start(image(N)),
    {ok, [N]} = wasmbeam:call(Instance, <<"f">>, []),
    ok = wasmbeam:stop(Instance).

a_vm_that_is_killed_while_it_writes_leaves_a_usable_folder(Config) ->
    Folder = filename:join(?config(priv_dir, Config), "killed"),
    Random = rand:seed_s(exsss, {3, 1, 4}),
    {_, Left} = lists:foldl(fun(Round, {State, Left}) ->
        {Turns, Next} = rand:uniform_s(100000, State),
        killed(Config, Folder, Turns),
        Abandoned = filelib:wildcard(filename:join(Folder, "tmp-*")),
        %% The next VM starts: it has what is there, and tidies up.
        Rejected = child_vm:run(Config, fun() ->
            configure(Folder),
            answers(Round rem ?IMAGES),
            map_get(disk_rejected, wasmbeam:cache_info())
        end),
        ?assertEqual(0, Rejected),
        ?assertEqual([], filelib:wildcard(filename:join(Folder, "tmp-*"))),
        {Next, Left + length(Abandoned)}
    end, {Random, 0}, lists:seq(1, ?KILLS)),
    Whole = child_vm:run(Config, fun() ->
        configure(Folder),
        [answers(N) || N <- lists:seq(0, ?IMAGES - 1)],
        wasmbeam:cache_info()
    end),
    ct:pal("~b kills left ~b half-written files: ~p", [?KILLS, Left, Whole]),
    ?assertMatch(#{disk_rejected := 0, disk_failures := 0}, Whole),
    ?assert(length(filelib:wildcard(filename:join(Folder, "*"))) =< ?IMAGES).

%% Kills a VM by its own hand, after that many turns of a process beside those that fill the folder.
killed(Config, Folder, Turns) ->
    ?assertError({child_vm, #{status := 137}}, child_vm:run(Config, fun() ->
        configure(Folder),
        Pid = os:getpid(),
        Test = self(),
        _ = [spawn_link(fun() -> fill(Test, N) end) || N <- lists:seq(0, ?IMAGES - 1)],
        receive filling -> ok end,
        kill(Pid, Turns)
    end)).

%% Each is made, removed from the folder, and made again.
fill(Test, N) ->
    {ok, _} = wasmbeam:compile(image(N)),
    Test ! filling,
    {ok, Folder} = application:get_env(wasmbeam, cache_dir),
    _ = [file:delete(File) || File <- filelib:wildcard(filename:join(Folder, "*.code"))],
    fill(Test, N).

kill(Pid, 0) ->
    _ = os:cmd("kill -KILL " ++ Pid),
    receive never -> ok end;
kill(Pid, Turns) ->
    erlang:yield(),
    kill(Pid, Turns - 1).

two_vms_share_a_folder(Config) ->
    Folder = filename:join(?config(priv_dir, Config), "shared"),
    Count = fun() ->
        configure(Folder),
        [answers(N) || N <- lists:seq(0, ?IMAGES - 1)],
        maps:with([disk_hits, disk_misses, disk_rejected, disk_failures], wasmbeam:cache_info())
    end,
    Test = self(),
    Vms = [spawn_link(fun() -> Test ! {self(), child_vm:run(Config, Count)} end) || _ <- [1, 2]],
    [receive
         {Vm, #{disk_hits := Hits, disk_misses := Misses} = Counts} ->
             ct:pal("~p", [Counts]),
             ?assertMatch(#{disk_rejected := 0, disk_failures := 0}, Counts),
             ?assertEqual(?IMAGES, Hits + Misses)
     end || Vm <- Vms],
    ?assertMatch(#{disk_hits := ?IMAGES, disk_misses := 0}, child_vm:run(Config, Count)).

a_key_is_made_by_the_first_vm(Config) ->
    Home = filename:join(?config(priv_dir, Config), "home"),
    ok = file:make_dir(Home),
    Image = filename:join(Home, "image"),
    Options = #{env => [{"HOME", Home}, {"XDG_CONFIG_HOME", filename:join(Home, "config")}]},
    child_vm:run(Config, fun() ->
        {ok, Bytes} = wasmbeam:precompile(image(5)),
        ok = file:write_file(Image, Bytes)
    end, Options),
    Load = fun() ->
        application:set_env(wasmbeam, wasm_allow_aot, true),
        {ok, Bytes} = file:read_file(Image),
        case wasmbeam:start(Bytes, #{mode => aot}) of
            {ok, Instance} -> wasmbeam:call(Instance, <<"f">>, []);
            {error, {Class, _}} -> Class
        end
    end,
    ?assertEqual({ok, [5]}, child_vm:run(Config, Load, Options)),
    %% Another user has another key.
    ok = file:del_dir_r(filename:join(Home, "config")),
    ?assertEqual(bad_image, child_vm:run(Config, Load, Options)).
