-module(wasmbeam_host_tests).

-include_lib("eunit/include/eunit.hrl").

embedded_test_() ->
    device_hosts:on_embedded([
        {atom_to_list(Name), Test}
        || {Name, Test} <- [
            {paths_lead_through_messages_and_lists, fun paths/0},
            {keys_have_no_case, fun case_of_keys/0},
            {atoms_and_strings_will_do, fun atoms_and_strings/0},
            {set_merges_and_replace_does_not, fun set_and_replace/0},
            {private_parts_are_not_there, fun private_parts/0},
            {reserved_keys_of_messages, fun reserved_keys/0},
            {as_another_device, fun as_another_device/0},
            {devices_of_the_call_come_first, fun devices_of_the_call/0},
            {functions_that_are_no_keys, fun no_keys/0},
            {an_exception_becomes_an_error, fun exceptions/0},
            {an_id_stands_for_what_is_in_the_cache, fun ids/0},
            {bad_requests, fun bad_requests/0},
            {deep_messages, fun deep_messages/0},
            {options, fun options/0}
        ]]).

get(Path, Message) -> wasmbeam_host:get(Path, Message, #{}).

resolve(Message, Request) -> wasmbeam_host:resolve(Message, Request, #{}).

paths() ->
    Message = #{<<"a">> => #{<<"b">> => [#{<<"c">> => 1}, 2]}},
    ?assertEqual(1, get(<<"a/b/1/c">>, Message)),
    ?assertEqual(1, get(<<"/a//b/1/c/">>, Message)),
    ?assertEqual(2, get([a, <<"b">>, 2], Message)),
    ?assertEqual(2, get([<<"a/b">>, 2], Message)),
    ?assertEqual(not_found, get(<<"a/b/3">>, Message)),
    ?assertEqual(not_found, get(<<"a/b/0">>, Message)),
    ?assertEqual(none, wasmbeam_host:get(<<"x/y">>, Message, none, #{})),
    ?assertEqual(Message, get(<<"/">>, Message)).

case_of_keys() ->
    Message = #{<<"Content-Type">> => 1, <<"a">> => 2, <<"A">> => 3},
    ?assertEqual(1, get(<<"content-type">>, Message)),
    ?assertEqual({2, 3}, {get(<<"a">>, Message), get(<<"A">>, Message)}),
    ?assertEqual(#{<<"Content-Type">> => 4, <<"a">> => 2, <<"A">> => 3},
                 wasmbeam_host:set(Message, #{<<"content-type">> => 4}, #{})).

atoms_and_strings() ->
    Message = #{a => #{b => [10, 20]}, device => <<"message@1.0">>},
    ?assertEqual(20, get(<<"a/b/2">>, Message)),
    ?assertEqual(20, get("a/b/2", Message)),
    ?assertEqual(20, get([a, b, 2], Message)),
    ?assertEqual(#{a => #{b => 1}, device => <<"message@1.0">>},
                 wasmbeam_host:set(Message, #{[a, b] => 1}, #{})),
    Image = device_hosts:read_module("fac.wat"),
    {ok, Ready} = resolve(#{device => <<"WASM-64@1.0">>, image => Image}, init),
    ?assertEqual({ok, [6.0]}, resolve(Ready, #{path => "compute/results/output", function => <<"fac">>,
                                               parameters => [3]})),
    {ok, Id} = wasmbeam_host:cache_write(#{a => 1, priv => self()}, #{}),
    ?assertEqual({ok, #{<<"a">> => 1}}, wasmbeam_host:cache_read(Id, #{})).

set_and_replace() ->
    Message = #{<<"a">> => #{<<"b">> => 1}, <<"l">> => [x, y]},
    Set = fun(Updates) -> wasmbeam_host:set(Message, Updates, #{}) end,
    ?assertMatch(#{<<"a">> := #{<<"b">> := 1, <<"c">> := 2}}, Set(#{<<"a/c">> => 2})),
    ?assertMatch(#{<<"a">> := #{<<"b">> := 1, <<"c">> := 2}}, Set(#{<<"a">> => #{<<"c">> => 2}})),
    ?assertEqual(#{<<"l">> => [x, y]}, Set(#{<<"a">> => unset})),
    ?assertMatch(#{<<"a">> := Empty} when Empty =:= #{}, Set(#{<<"a/b">> => unset})),
    ?assertEqual(Message, Set(#{<<"x/y">> => unset})),
    ?assertMatch(#{<<"l">> := #{<<"1">> := x, <<"2">> := z}}, Set(#{<<"l/2">> => z})),
    ?assertMatch(#{<<"a">> := #{<<"b">> := #{<<"c">> := 1}}}, Set(#{<<"a/b/c">> => 1})),
    ?assertEqual(#{<<"a">> => #{<<"c">> => 2}, <<"l">> => [x, y]},
                 wasmbeam_host:replace(Message, #{<<"a">> => #{<<"c">> => 2}}, #{})).

private_parts() ->
    Message = wasmbeam_host:private_set(#{<<"a">> => 1}, #{<<"wasm/instance">> => self()}, #{}),
    ?assertEqual(self(), wasmbeam_host:private_get(<<"wasm/instance">>, Message, #{})),
    ?assertEqual(not_found, wasmbeam_host:private_get(<<"wasm/instance/x">>, Message, #{})),
    ?assertEqual(not_found, get(<<"priv">>, Message)),
    ?assertEqual(not_found, get(<<"Priv/wasm/instance">>, Message)),
    ?assertEqual({ok, [<<"a">>]}, resolve(Message, <<"keys">>)),
    ?assertEqual(resolve(#{<<"a">> => 1}, <<"id">>), resolve(Message, <<"id">>)),
    ?assertError({private_key, _}, wasmbeam_host:set(Message, #{<<"priv/wasm">> => 1}, #{})),
    ?assertEqual({ok, Message},
                 resolve(Message, #{<<"path">> => <<"set">>, <<"priv">> => #{<<"wasm">> => 1}})),
    {ok, Id} = wasmbeam_host:cache_write(#{<<"inner">> => Message}, #{}),
    ?assertEqual({ok, #{<<"inner">> => #{<<"a">> => 1}}}, wasmbeam_host:cache_read(Id, #{})).

reserved_keys() ->
    Message = #{<<"a">> => 1, <<"b">> => 2, <<"keys">> => 3},
    ?assertEqual({ok, [<<"a">>, <<"b">>, <<"keys">>]}, resolve(Message, <<"keys">>)),
    ?assertEqual({ok, 1}, resolve(Message, #{<<"path">> => <<"get">>, <<"target">> => <<"A">>})),
    ?assertEqual({ok, #{<<"a">> => 1, <<"b">> => 5, <<"keys">> => 3}},
                 resolve(Message, #{<<"path">> => <<"set">>, <<"b">> => 5})),
    ?assertEqual({ok, #{<<"keys">> => 3}},
                 resolve(Message, #{<<"path">> => <<"remove">>, <<"items">> => [<<"a">>, <<"b">>]})),
    ?assertMatch({error, #{<<"status">> := 400}}, resolve(Message, <<"remove">>)).

as_another_device() ->
    Fac = #{<<"image">> => device_hosts:read_module("fac.wat")},
    ?assertMatch({ok, #{<<"priv">> := _}},
                 resolve(Fac, {as, <<"WASM-64@1.0">>, #{<<"path">> => <<"init">>}})),
    ?assertMatch({ok, #{<<"priv">> := _}}, resolve(Fac, {as, <<"WASM-64@1.0">>, <<"init">>})),
    Device = #{double => fun(Message, _, Opts) ->
        Value = wasmbeam_host:get(<<"value">>, {as, <<"message@1.0">>, Message}, Opts),
        {ok, wasmbeam_host:set(Message, #{<<"value">> => 2 * Value}, Opts)}
    end},
    Opts = #{devices => #{<<"double@1.0">> => Device}},
    As = fun(Message) -> wasmbeam_host:resolve({as, <<"double@1.0">>, Message}, <<"double">>, Opts) end,
    ?assertEqual({ok, #{<<"value">> => 2}}, As(#{<<"value">> => 1})),
    Own = #{<<"device">> => <<"own@1.0">>, <<"value">> => 1},
    ?assertEqual({ok, Own#{<<"value">> => 2}}, As(Own)).

devices_of_the_call() ->
    Opts = #{devices => #{<<"Multipass@1.0">> => #{compute => fun(_) -> {ok, <<"mine">>} end}}},
    ?assertEqual({ok, <<"mine">>},
                 wasmbeam_host:resolve(#{<<"device">> => <<"multipass@1.0">>}, <<"compute">>, Opts)).

no_keys() ->
    [?assertEqual({error, not_found}, resolve(#{<<"device">> => Device}, Key))
     || {Device, Key} <- [{<<"WASM-64@1.0">>, <<"module_info">>}, {<<"WASM-64@1.0">>, <<"info">>},
                          {<<"WASM-64@1.0">>, <<"instance">>}, {<<"patch@1.0">>, <<"behaviour-info">>},
                          {<<"patch@1.0">>, <<"no-atom-has-this-name-", "7f3a">>}]].

exceptions() ->
    Raising = fun(Raise) -> #{<<"device">> => #{go => fun(_) -> Raise() end}} end,
    [?assertMatch({error, #{<<"status">> := 500, <<"class">> := <<"failed">>, <<"message">> := _}},
                  resolve(Raising(Raise), <<"go">>))
     || Raise <- [fun() -> error(on_purpose) end, fun() -> exit(on_purpose) end,
                  fun() -> throw(on_purpose) end, fun() -> no_outcome end]].

ids() ->
    {ok, Id} = wasmbeam_host:cache_write(#{<<"a">> => #{<<"b">> => 1}}, #{}),
    ?assertEqual({ok, 1}, resolve(Id, <<"a/b">>)),
    ?assertEqual({ok, 1}, resolve(#{<<"link">> => Id}, <<"link/a/b">>)),
    Unknown = binary:copy(<<"-">>, 43),
    ?assertMatch({error, #{<<"status">> := 404, <<"id">> := Unknown}}, resolve(Unknown, <<"a">>)).

bad_requests() ->
    [?assertMatch({error, #{<<"status">> := 400, <<"class">> := Class, <<"message">> := _}}, Outcome)
     || {Class, Outcome} <- [
        {<<"bad_request">>, resolve(#{}, #{<<"a">> => 1})},
        {<<"bad_path">>, resolve(#{}, {1, 2})},
        {<<"bad_path">>, resolve(#{}, [[]])},
        {<<"bad_path">>, resolve(#{<<"a">> => <<"binary">>}, <<"a/b">>)},
        {<<"bad_path">>, resolve(#{<<"a">> => 7}, <<"a/b/c">>)},
        {<<"unknown_device">>, resolve(#{<<"device">> => <<"none@1.0">>}, <<"a">>)},
        {<<"unknown_device">>, resolve(#{<<"device">> => 7}, <<"a">>)},
        {<<"unknown_device">>, resolve(#{<<"a">> => #{<<"device">> => <<"none@1.0">>}}, <<"a/b">>)}]].

deep_messages() ->
    Deep = lists:foldl(fun(_, Inner) -> #{<<"a">> => Inner} end, #{}, lists:seq(1, 10000)),
    Path = iolist_to_binary(lists:duplicate(10000, <<"a/">>)),
    ?assertMatch({error, #{<<"class">> := <<"too_deep">>, <<"message">> := _}},
                 wasmbeam_host:cache_write(Deep, #{})),
    ?assertMatch({error, #{<<"class">> := <<"too_deep">>}}, resolve(Deep, Path)),
    ?assertMatch({error, #{<<"class">> := <<"too_deep">>}}, resolve(Deep, <<"id">>)),
    ?assertMatch(#{<<"a">> := _}, wasmbeam_host:set(Deep, #{<<"a">> => Deep}, #{})),
    Lists = lists:foldl(fun(_, Inner) -> [Inner] end, [], lists:seq(1, 10000)),
    ?assertMatch({error, #{<<"message">> := _}}, wasmbeam_host:cache_write(#{<<"l">> => Lists}, #{})),
    ?assertMatch({error, #{<<"class">> := <<"bad_argument">>}},
                 resolve(#{<<"device">> => <<"WASM-64@1.0">>, <<"image">> => Deep}, <<"init">>)).

options() ->
    ?assertEqual(7, wasmbeam_host:option(some_option, 1, #{some_option => 7})),
    ?assertEqual(1, wasmbeam_host:option(some_option, 1, #{})),
    ok = application:set_env(wasmbeam, some_option, 3),
    ?assertEqual(3, wasmbeam_host:option(some_option, 1, #{})),
    ok = application:unset_env(wasmbeam, some_option).

the_host_is_chosen_by_what_is_there_test_() ->
    [device_hosts:on_embedded(?_assertEqual(wasmbeam_host_embedded, wasmbeam_host:choose(auto))),
     device_hosts:on_hyperbeam(?_assertEqual(wasmbeam_host_hyperbeam, wasmbeam_host:choose(auto)))].

a_device_of_the_call_may_be_named_by_a_string_or_an_atom_test_() ->
    device_hosts:on_embedded(fun() ->
        Device = #{compute => fun(_) -> {ok, <<"mine">>} end},
        [?assertEqual({ok, <<"mine">>},
                      wasmbeam_host:resolve(#{<<"device">> => <<"mine@1.0">>}, <<"compute">>,
                                            #{devices => #{Name => Device, 17 => Device}}))
         || Name <- ["Mine@1.0", 'mine@1.0']]
    end).

%% Of a node that has no hb_opts.
options_without_hyperbeams_test() ->
    ?assertEqual(7, wasmbeam_host_hyperbeam:option(some_option, 1, #{some_option => 7})),
    ?assertEqual(1, wasmbeam_host_hyperbeam:option(some_option, 1, #{})),
    ?assert(wasmbeam_host_hyperbeam:is_device(<<"WASI@1.0">>, dev_wasi, #{})),
    ?assertNot(wasmbeam_host_hyperbeam:is_device(<<"WASI@1.0">>, dev_wasi,
                                                 #{devices => #{<<"wasi@1.0">> => test_device}})).

%% Every function of the double that stands for HyperBEAM's, and nothing else of it.
devices_reach_hyperbeam_through_the_host_only_test_() ->
    device_hosts:on_hyperbeam(fun() ->
        Image = device_hosts:read_module("fac.wat"),
        {ok, Id} = wasmbeam_host:cache_write(#{<<"body">> => Image}, #{}),
        {ok, [6.0]} = wasmbeam_host:resolve(
            element(2, wasmbeam_host:resolve(#{<<"device">> => <<"WASM-64@1.0">>, <<"image">> => Id,
                                               <<"function">> => <<"fac">>, <<"parameters">> => [3]},
                                             <<"init">>, #{})),
            <<"compute/results/output">>, #{}),
        ?assertEqual([{hb_ao, get, 4}, {hb_ao, resolve, 3}, {hb_ao, set, 3},
                      {hb_cache, ensure_all_loaded, 2}, {hb_cache, read, 2}, {hb_cache, write, 2},
                      {hb_opts, get, 3}, {hb_private, get, 4}, {hb_private, set, 3}],
                     apply(hb_double, calls, []))
    end).
