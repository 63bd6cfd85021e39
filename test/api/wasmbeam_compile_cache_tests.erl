%% What is kept of compiled modules.
-module(wasmbeam_compile_cache_tests).

-include_lib("eunit/include/eunit.hrl").

-export([a_small_cache_forgets/1, an_image_is_known_again/1, the_folder_remembers/1, a_damaged_file_is_made_again/1,
         each_configuration_has_a_file/1, the_folder_has_a_limit/1,
         a_hundred_processes_fill_the_folder_once/1, wrong_settings_are_told/1,
         a_failure_is_counted_and_told/1]).

-define(SETTINGS, [cache_bytes, cache_dir, cache_dir_bytes, aot_key]).

cache_test_() ->
    [{atom_to_list(Test), {foreach, fun setup/0, fun cleanup/1, [{with, [fun ?MODULE:Test/1]}]}}
     || Test <- [a_small_cache_forgets, an_image_is_known_again, the_folder_remembers,
                 a_damaged_file_is_made_again, each_configuration_has_a_file, the_folder_has_a_limit,
                 a_hundred_processes_fill_the_folder_once, wrong_settings_are_told,
                 a_failure_is_counted_and_told]].

setup() ->
    Before = [{Name, application:get_env(wasmbeam, Name)} || Name <- ?SETTINGS],
    Folder = wasmbeam_fixture:temporary_folder(),
    set(aot_key, binary:copy(<<3>>, 32)),
    %% Nothing stays in memory, so that each compilation looks into the folder.
    set(cache_bytes, 0),
    set(cache_dir, Folder),
    {Before, Folder}.

cleanup({Before, Folder}) ->
    [case Value of
         {ok, Set} -> set(Name, Set);
         undefined -> application:unset_env(wasmbeam, Name)
     end || {Name, Value} <- Before],
    ok = file:del_dir_r(Folder).

set(Name, Value) ->
    application:set_env(wasmbeam, Name, Value).

new_image() ->
    Name = integer_to_binary(erlang:unique_integer([positive])),
    <<"(module $cached", Name/binary, " (func (export \"f\") (result i32) i32.const 7))">>.

%% By how much what is counted has grown.
counted(Run) ->
    Before = wasmbeam:cache_info(),
    Run(),
    After = wasmbeam:cache_info(),
    maps:from_list([{Name, map_get(Name, After) - map_get(Name, Before)}
                    || Name <- [hits, misses, disk_hits, disk_misses, disk_rejected,
                                disk_failures]]).

compile(Source) ->
    fun() -> {ok, _} = wasmbeam:compile(Source) end.

files(Folder) ->
    lists:sort(filelib:wildcard(filename:join(Folder, "*"))).

a_small_cache_forgets({_, Folder}) ->
    application:unset_env(wasmbeam, cache_dir),
    Source = new_image(),
    set(cache_bytes, 1 bsl 30),
    ?assertMatch(#{misses := 1, hits := 0}, counted(compile(Source))),
    ?assertMatch(#{misses := 0, hits := 1}, counted(compile(Source))),
    set(cache_bytes, 0),
    %% The limit holds when the next one comes.
    ?assertMatch(#{misses := 1}, counted(compile(new_image()))),
    ?assertMatch(#{modules := 0, bytes := 0}, wasmbeam:cache_info()),
    ?assertMatch(#{misses := 1, hits := 0}, counted(compile(Source))),
    ?assertEqual([], files(Folder)).

%% By where its bytes are, once it was found by what they are.
an_image_is_known_again(_) ->
    set(cache_bytes, 1 bsl 30),
    %% Small binaries have no place of their own.
    Source = iolist_to_binary([new_image(), lists:duplicate(64, $\s)]),
    Options = #{compile_limits => #{}},
    Recent = fun(Image, More) -> wasmbeam_nif:compile_recent(Image, maps:merge(Options, More)) end,
    ?assertMatch(#{misses := 1, hits := 0}, counted(compile(Source))),
    ?assertEqual(none, Recent(Source, #{})),
    ?assertMatch(#{misses := 0, hits := 1}, counted(compile(Source))),
    ?assertMatch(#{hits := 1}, counted(fun() -> {ok, _} = Recent(Source, #{}) end)),
    ?assertMatch(#{hits := 1}, counted(compile(Source))),
    %% Others are not taken for it.
    ?assertEqual(none, Recent(binary:copy(Source), #{})),
    ?assertEqual(none, Recent(binary:part(Source, 0, byte_size(Source) - 1), #{})),
    ?assertEqual(none, Recent(Source, #{fuel => true})),
    %% Nor does that open anything to those who may not have it, or keep it in memory.
    Limits = #{compile_limits => #{bytes => byte_size(Source) - 1}},
    ?assertMatch({error, {limit, _}}, Recent(Source, Limits)),
    ?assertMatch({error, {limit, _}}, wasmbeam:compile(Source, Limits)),
    set(cache_bytes, 0),
    {ok, _} = wasmbeam:compile(new_image()),
    ?assertEqual(none, Recent(Source, #{})),
    %% A part of a binary would hold on to all of it.
    set(cache_bytes, 1 bsl 30),
    <<Part:(byte_size(Source))/binary, _/binary>> = <<Source/binary, 0:80000>>,
    [{ok, _} = wasmbeam:compile(Part) || _ <- [1, 2]],
    ?assertEqual(none, Recent(Part, #{})).

the_folder_remembers({_, Folder}) ->
    Source = new_image(),
    ?assertMatch(#{misses := 1, disk_hits := 0, disk_misses := 1}, counted(compile(Source))),
    ?assertMatch([_], files(Folder)),
    ?assertMatch(#{misses := 1, disk_hits := 1, disk_misses := 0}, counted(compile(Source))),
    {ok, Instance} = wasmbeam:start(Source),
    ?assertEqual({ok, [7]}, wasmbeam:call(Instance, <<"f">>, [])).

a_damaged_file_is_made_again({_, Folder}) ->
    Source = new_image(),
    _ = counted(compile(Source)),
    [File] = files(Folder),
    {ok, Whole} = file:read_file(File),
    Random = rand:seed_s(exsss, {7, 8, 9}),
    lists:foldl(fun(_, State) ->
        {Place, Next} = rand:uniform_s(byte_size(Whole), State),
        <<Before:(Place - 1)/binary, Byte, After/binary>> = Whole,
        ok = file:write_file(File, <<Before/binary, (Byte bxor 1), After/binary>>),
        ?assertMatch(#{disk_rejected := 1, disk_misses := 1, disk_hits := 0},
                     counted(compile(Source))),
        ?assertEqual({ok, Whole}, file:read_file(File)),
        Next
    end, Random, lists:seq(1, 25)).

each_configuration_has_a_file({_, Folder}) ->
    Source = new_image(),
    Options = [#{}, #{fuel => true}, #{deterministic => true}, #{compiler => #{opt => none}},
               #{compiler => #{opt => speed_and_size}}],
    Compile = fun() -> [{ok, _} = wasmbeam:compile(Source, Given) || Given <- Options] end,
    ?assertMatch(#{disk_misses := 5, disk_hits := 0}, counted(Compile)),
    ?assertEqual(5, length(files(Folder))),
    ?assertMatch(#{disk_misses := 0, disk_hits := 5}, counted(Compile)).

the_folder_has_a_limit({_, Folder}) ->
    _ = counted(compile(new_image())),
    [File] = files(Folder),
    set(cache_dir_bytes, 3 * filelib:file_size(File)),
    [_ = counted(compile(new_image())) || _ <- lists:seq(1, 10)],
    Files = files(Folder),
    {ok, Limit} = application:get_env(wasmbeam, cache_dir_bytes),
    ?assert(lists:sum([filelib:file_size(Each) || Each <- Files]) =< Limit),
    set(cache_dir_bytes, 0),
    _ = counted(compile(new_image())),
    ?assert(length(files(Folder)) =< length(Files)).

a_hundred_processes_fill_the_folder_once({_, Folder}) ->
    set(cache_bytes, 1 bsl 30),
    Source = new_image(),
    Run = fun() ->
        Starters = [spawn_monitor(fun() ->
                        {ok, Instance} = wasmbeam:start(Source),
                        exit({result, wasmbeam:call(Instance, <<"f">>, [])})
                    end) || _ <- lists:seq(1, 100)],
        [?assertEqual({ok, [7]}, wasmbeam_fixture:result(Starter)) || Starter <- Starters]
    end,
    ?assertMatch(#{misses := 1, disk_misses := 1, disk_hits := 0, disk_failures := 0},
                 counted(Run)),
    ?assertMatch([_], files(Folder)).

wrong_settings_are_told(_) ->
    [begin
         {ok, Right} = application:get_env(wasmbeam, Name),
         set(Name, Wrong),
         ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:compile(new_image()))),
         set(Name, Right)
     end || {Name, Wrong} <- [{cache_bytes, -1}, {cache_bytes, many}, {cache_bytes, 1 bsl 64},
                              {cache_dir, 5}, {cache_dir, ""}, {cache_dir, {}}, {aot_key, 5}]],
    set(cache_dir_bytes, "1 GiB"),
    ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:compile(new_image()))).

a_failure_is_counted_and_told({_, Folder}) ->
    File = filename:join(Folder, "file"),
    ok = file:write_file(File, <<>>),
    set(cache_dir, File),
    ?assertMatch(#{disk_failures := 2, disk_misses := 1}, counted(compile(new_image()))),
    ?assertMatch(#{last_failure := Why} when is_binary(Why), wasmbeam:cache_info()).
