%% The option `wasi'.
-module(wasmbeam_wasi_options_tests).

-include_lib("eunit/include/eunit.hrl").

-import(wasmbeam_wasi_guest, [source/1, errno/3, ok/3, get/3, get_size/2, open/3]).

start(Wasi) ->
    wasmbeam:start(source("hello"), #{wasi => Wasi}).

odd_values_name_their_option_test() ->
    Long = binary:copy(<<"x">>, 1 bsl 20),
    Cases = [
        {args, [args, <<"a">>, "a", [a], [[a]], ["a\0"], [<<"a", 0>>], [<<"a">> | b], #{}, [Long]]},
        {env, [env, [a], [{a, <<>>}], [{<<>>, <<>>}], [{<<"a=">>, <<>>}], [{<<"a">>, <<0>>}],
               #{<<"a">> => 1}, #{"a=" => "b"}, #{"a" => [b]}, [{<<"a">>, <<>>} | b], #{<<"a">> => Long}]},
        {fs, [fs, [], <<>>, #{a => <<>>}, #{<<"a">> => a}, #{<<"a/b">> => <<>>}, #{<<>> => <<>>},
              #{<<"..">> => #{}}, #{<<"a">> => {symlink, a}}, #{<<"a">> => {link, <<"b">>}},
              #{<<"a">> => {symlink, <<0>>}}, #{<<255>> => <<>>}, deep(400), deep(290)]},
        {preopens, [<<"/">>, "/", [a], #{<<"/">> => a}, [{<<"a">>}], [<<"a">> | b], [<<"a", 0>>], [{<<"a">>, b}]]},
        {stdin, [stdin, "text", fun() -> eof end, 1]},
        {stdout, [stdout, {capture, -1}, {capture, all}, {self()}, fun(_, _) -> ok end, <<>>]},
        {stderr, [stderr, {capture, 1 bsl 64}, {pid, self()}]},
        {terminal, [yes, 1]},
        {clock, [now, {fixed, -1}, {fixed, 1.5}, {fixed, 1 bsl 64}, fun() -> 0 end]},
        {random, [urandom, {seed, -1}, {seed, <<"a">>}, fun() -> <<>> end]},
        {quotas, [[], many, #{bytes => -1}, #{bytes => infinity}, #{inodes => 1},
                  #{files => 1 bsl 25}, #{descriptors => 1 bsl 17}, #{bytes => 65 bsl 30}]}
    ],
    [?assertMatch({Key, Value, {error, {bad_argument, #{key := Key, message := <<_/binary>>}}}},
                  {Key, Value, start(#{Key => Value})})
     || {Key, Values} <- Cases, Value <- Values].

deep(0) -> #{};
deep(Levels) -> #{<<"d">> => deep(Levels - 1)}.

what_is_no_option_is_named_test() ->
    ?assertMatch({error, {bad_argument, #{key := colour}}}, start(#{colour => red})),
    ?assertMatch({error, {bad_argument, #{key := wasi}}}, start([])),
    ?assertMatch({error, {bad_argument, #{key := wasi}}}, start(host)).

a_tree_beyond_the_quotas_is_refused_test() ->
    Tree = #{<<"a">> => <<1, 2, 3>>, <<"b">> => #{<<"c">> => <<>>}},
    Start = fun(Quotas) -> start(#{fs => Tree, quotas => Quotas}) end,
    ?assertMatch({ok, _}, Start(#{bytes => 3, files => 10})),
    ?assertMatch({error, {bad_argument, #{key := fs}}}, Start(#{bytes => 2})),
    ?assertMatch({error, {bad_argument, #{key := fs}}}, Start(#{files => 2})).

widths_test_() ->
    [{lists:flatten(io_lib:format("~p, ~b bits", [Name, Width])), fun() -> Test(Width) end}
     || Width <- wasmbeam_wasi_guest:widths(),
        {Name, Test} <- [
            {arguments_arrive, fun arguments_arrive/1},
            {the_environment_arrives_in_order, fun the_environment_arrives_in_order/1},
            {preopens_are_descriptors_from_3_on, fun preopens_are_descriptors_from_3_on/1},
            {a_fixed_clock_stands, fun a_fixed_clock_stands/1},
            {equal_seeds_give_equal_bytes, fun equal_seeds_give_equal_bytes/1},
            {a_terminal_says_so, fun a_terminal_says_so/1}
        ]].

strings(Guest, Kind) ->
    ok(Guest, Kind ++ "_sizes_get", [0, 16]),
    {Count, Size} = {get_size(Guest, 0), get_size(Guest, 16)},
    ok(Guest, Kind ++ "_get", [1024, 4096]),
    {Count, binary:split(get(Guest, 4096, Size), <<0>>, [global])}.

arguments_arrive(Width) ->
    Guest = wasmbeam_wasi_guest:start(Width, #{args => [<<"prog">>, <<>>, <<"ü"/utf8>>]}),
    ?assertEqual({3, [<<"prog">>, <<>>, <<"ü"/utf8>>, <<>>]}, strings(Guest, "args")),
    Strings = wasmbeam_wasi_guest:start(Width, #{args => ["prog", "", "ü"]}),
    ?assertEqual({3, [<<"prog">>, <<>>, <<"ü"/utf8>>, <<>>]}, strings(Strings, "args")).

the_environment_arrives_in_order(Width) ->
    List = wasmbeam_wasi_guest:start(Width, #{env => [{<<"B">>, <<"1=2">>}, {<<"A">>, <<>>}]}),
    ?assertEqual({2, [<<"B=1=2">>, <<"A=">>, <<>>]}, strings(List, "environ")),
    Map = wasmbeam_wasi_guest:start(Width, #{env => #{<<"B">> => <<"1">>, <<"A">> => <<"2">>}}),
    ?assertEqual({2, [<<"A=2">>, <<"B=1">>, <<>>]}, strings(Map, "environ")),
    Strings = wasmbeam_wasi_guest:start(Width, #{env => [{"B", "1"}, {<<"A">>, ""}]}),
    ?assertEqual({2, [<<"B=1">>, <<"A=">>, <<>>]}, strings(Strings, "environ")).

preopens_are_descriptors_from_3_on(Width) ->
    Tree = #{<<"in">> => #{<<"x">> => <<"1">>}},
    Guest = wasmbeam_wasi_guest:start(Width, #{fs => Tree,
                                               preopens => [{<<"data">>, <<"in">>}, <<"/out">>]}),
    ?assertEqual([<<"data">>, <<"/out">>], preopened(Guest, Width)),
    Strings = wasmbeam_wasi_guest:start(Width, #{fs => Tree, preopens => [{"data", "in"}, "/out"]}),
    ?assertEqual([<<"data">>, <<"/out">>], preopened(Strings, Width)),
    Map = wasmbeam_wasi_guest:start(Width, #{fs => Tree, preopens => #{<<"data">> => <<"in">>,
                                                                       "/out" => "out"}}),
    ?assertEqual([<<"/out">>, <<"data">>], preopened(Map, Width)),
    ?assertEqual(8, errno(Guest, "fd_prestat_get", [5, 0])),
    ?assertMatch({ok, _}, open(Guest, <<"x">>, 0)),
    ?assertMatch({ok, #{<<"out">> := #{}}}, wasmbeam:fs_get(map_get(instance, Guest))).

preopened(Guest, Width) ->
    [begin
         ok(Guest, "fd_prestat_get", [Fd, 0]),
         Size = get_size(Guest, Width div 8),
         ok(Guest, "fd_prestat_dir_name", [Fd, 64, Size]),
         get(Guest, 64, Size)
     end || Fd <- [3, 4]].

time(Guest, Id) ->
    ok(Guest, "clock_time_get", [Id, 0, 8]),
    <<Time:64/little>> = get(Guest, 8, 8),
    Time.

a_fixed_clock_stands(Width) ->
    Guest = wasmbeam_wasi_guest:start(Width, #{clock => {fixed, 42}}),
    ?assertEqual([42, 42, 42], [time(Guest, Id) || Id <- [0, 1, 0]]).

random(Guest) ->
    ok(Guest, "random_get", [0, 32]),
    get(Guest, 0, 32).

equal_seeds_give_equal_bytes(Width) ->
    Bytes = fun(Seed) -> random(wasmbeam_wasi_guest:start(Width, #{random => {seed, Seed}})) end,
    ?assertEqual(Bytes(1), Bytes(1)),
    ?assertNotEqual(Bytes(1), Bytes(2)).

a_terminal_says_so(Width) ->
    Type = fun(Wasi) ->
        Guest = wasmbeam_wasi_guest:start(Width, Wasi),
        ok(Guest, "fd_fdstat_get", [1, 0]),
        get(Guest, 0, 1)
    end,
    ?assertEqual(<<2>>, Type(#{terminal => true})),
    ?assertEqual(<<0>>, Type(#{terminal => false})).

deterministic_fixes_the_clock_and_random_bytes_test() ->
    Module = wasmbeam_wasi_guest:module("wasi_snapshot_preview1", 32),
    Seen = fun(Options) ->
        {ok, Instance} = wasmbeam:start(Module, Options),
        Guest = #{instance => Instance, width => 32},
        {time(Guest, 0), time(Guest, 1), random(Guest)}
    end,
    Seen1 = Seen(#{deterministic => true}),
    ?assertEqual(Seen1, Seen(#{deterministic => true, wasi => #{args => [<<"a">>]}})),
    ?assertMatch({5, 5, _}, Seen(#{deterministic => true, wasi => #{clock => {fixed, 5}}})),
    ?assertNotEqual(Seen1, Seen(#{deterministic => true, wasi => #{random => {seed, 1}}})).

emscripten_is_told_the_same_time_test() ->
    {ok, Fixed} = wasmbeam:start(source("clocks"), #{wasi => #{clock => {fixed, 1500000}}}),
    ?assertEqual({ok, [1.5]}, wasmbeam:call(Fixed, <<"date_now">>, [])),
    ?assertEqual({ok, [1.5]}, wasmbeam:call(Fixed, <<"get_now">>, [])),
    Clock = fun(realtime) -> 2000000; (monotonic) -> 3000000 end,
    {ok, Asked} = wasmbeam:start(source("clocks"), #{wasi => #{clock => Clock}}),
    ?assertEqual({ok, [2.0]}, wasmbeam:call(Asked, <<"date_now">>, [])),
    ?assertEqual({ok, [3.0]}, wasmbeam:call(Asked, <<"get_now">>, [])).
