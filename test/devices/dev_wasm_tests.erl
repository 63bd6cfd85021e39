-module(dev_wasm_tests).

-include_lib("eunit/include/eunit.hrl").

-define(OPTS, #{devices => #{<<"test-device@1.0">> => test_device}}).
-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

all_hosts_test_() ->
    device_hosts:on_both([
        {atom_to_list(Name), Test}
        || {Name, Test} <- [
            {input_prefix, fun input_prefix/0},
            {process_prefixes, fun process_prefixes/0},
            {init_puts_instance_and_import_resolver_in_private, fun init_private/0},
            {private_read_and_write_use_the_memory, fun private_read_and_write/0},
            {basic_execution, fun() -> basic_execution("fac.wat") end},
            {basic_execution_64, fun() -> basic_execution("fac64.wat") end},
            {image_sources, fun image_sources/0},
            {function_of_the_requests_body_comes_first, fun function_places/0},
            {import_served_by_a_device, fun imported_function/0},
            {undefined_calls_are_recorded, fun undefined_calls/0},
            {undefined_calls_are_added_to_those_before, fun calls_noted_before/0},
            {failing_import_ends_the_call, fun failing_import/0},
            {state_export_and_restore, fun export_and_restore/0},
            {what_is_not_in_the_memory_is_restored, fun complete_state/0},
            {memory_images_of_hyperbeam_are_restored, fun memory_image/0},
            {damaged_snapshots_are_faults, fun damaged_snapshot/0},
            {a_raw_image_of_the_memory_is_a_snapshot_too, fun raw_image/0},
            {a_snapshot_of_another_module_is_refused, fun other_modules_snapshot/0},
            {an_instance_that_has_ended, fun ended_instance/0},
            {called_as_functions, fun called_as_functions/0},
            {restore_in_a_stack_takes_its_own_snapshot, fun device_key/0},
            {only_the_first_pass_computes, fun passes/0},
            {terminate_ends_the_instance, fun terminate/0},
            {bad_input, fun bad_input/0}
        ]]).

message(File) ->
    {ok, Id} = wasmbeam_host:cache_write(#{<<"body">> => device_hosts:read_module(File)}, ?OPTS),
    #{<<"device">> => <<"WASM-64@1.0">>, <<"image">> => Id}.

resolve(Message, Request) ->
    wasmbeam_host:resolve(Message, Request, ?OPTS).

init(Message) ->
    {ok, Ready} = resolve(Message, <<"init">>),
    Ready.

run(Message, Function, Parameters) ->
    resolve(Message#{<<"function">> => Function, <<"parameters">> => Parameters},
            <<"compute/results/output">>).

input_prefix() ->
    #{<<"image">> := Id} = message("fac.wat"),
    Ready = init(#{<<"device">> => <<"WASM-64@1.0">>, <<"input-prefix">> => <<"test-in">>,
                   <<"test-in">> => #{<<"image">> => Id}}),
    ?assert(is_pid(device_hosts:private(<<"instance">>, Ready))),
    ?assertEqual({ok, [120.0]}, run(Ready, <<"fac">>, [5.0])).

process_prefixes() ->
    #{<<"image">> := Id} = message("fac.wat"),
    Ready = init(#{<<"device">> => <<"WASM-64@1.0">>, <<"output-prefix">> => <<"wasm">>,
                   <<"input-prefix">> => <<"process">>, <<"process">> => #{<<"image">> => Id}}),
    ?assert(is_pid(device_hosts:private(<<"wasm/instance">>, Ready))),
    ?assert(is_function(device_hosts:private(<<"wasm/import-resolver">>, Ready), 3)),
    {ok, Computed} = resolve(Ready, #{<<"path">> => <<"compute">>, <<"function">> => <<"fac">>,
                                      <<"parameters">> => [3]}),
    ?assertEqual([6.0], wasmbeam_host:get(<<"results/wasm/output">>, Computed, ?OPTS)),
    ?assertEqual(ok, wasmbeam_host:get(<<"results/wasm/type">>, Computed, ?OPTS)).

init_private() ->
    Ready = init(message("fac.wat")),
    ?assert(is_pid(device_hosts:private(<<"instance">>, Ready))),
    ?assert(is_function(device_hosts:private(<<"import-resolver">>, Ready), 3)),
    ?assertEqual(not_found, wasmbeam_host:get(<<"priv/instance">>, ?PLAIN(Ready), ?OPTS)),
    ?assertEqual(not_found, wasmbeam_host:get(<<"instance">>, Ready, ?OPTS)).

private_read_and_write() ->
    Ready = init(message("fac.wat")),
    Read = device_hosts:private(<<"read">>, Ready),
    Write = device_hosts:private(<<"write">>, Ready),
    ?assertEqual(ok, Write(10, <<"text">>)),
    ?assertEqual({ok, <<0, "text", 0>>}, Read(9, 6)).

basic_execution(File) ->
    ?assertEqual({ok, [120.0]}, run(init(message(File)), <<"fac">>, [5.0])).

image_sources() ->
    Image = device_hosts:read_module("fac.wat"),
    {ok, ImageId} = wasmbeam_host:cache_write(Image, ?OPTS),
    [?assertEqual({ok, [6.0]}, run(init(Message#{<<"device">> => <<"wasm-64@1.0">>}), <<"fac">>, [3]))
     || Message <- [message("fac.wat"), #{<<"image">> => Image}, #{<<"image">> => ImageId},
                    #{<<"image">> => #{<<"body">> => Image}}, #{<<"body">> => Image},
                    #{<<"image">> => Image, <<"Mode">> => <<"WASM">>}]].

function_places() ->
    Ready = init(message("fac.wat")),
    Base = Ready#{<<"function">> => <<"fac">>, <<"parameters">> => [2]},
    Output = fun(Request) ->
        {ok, Computed} = resolve(Base, Request#{<<"path">> => <<"compute">>}),
        wasmbeam_host:get(<<"results/output">>, Computed, ?OPTS)
    end,
    ?assertEqual([2.0], Output(#{})),
    ?assertEqual([6.0], Output(#{<<"parameters">> => [3]})),
    ?assertEqual([24.0], Output(#{<<"parameters">> => [3], <<"function">> => <<"none">>,
                                  <<"body">> => #{<<"parameters">> => [4],
                                                  <<"function">> => <<"fac">>}})).

with_library(Message) ->
    Message#{<<"stdlib">> => #{<<"my_lib">> => #{<<"device">> => <<"test-device@1.0">>}}}.

imported_function() ->
    ?assertEqual({ok, [32]}, run(init(with_library(message("pow.wat"))), <<"pow">>, [2, 5])).

undefined_calls() ->
    {ok, Computed} = resolve(init(message("pow.wat")),
                             #{<<"path">> => <<"compute">>, <<"function">> => <<"pow">>,
                               <<"parameters">> => [2, 2]}),
    ?assertEqual([0], wasmbeam_host:get(<<"results/output">>, Computed, ?OPTS)),
    ?assertMatch([#{<<"module">> := <<"my_lib">>, <<"func">> := <<"mul">>, <<"args">> := [1, 2],
                    <<"func-sig">> := <<"(ii)i">>},
                  #{<<"args">> := [0, 2]}],
                 wasmbeam_host:get(<<"results/undefined-calls">>, Computed, ?OPTS)).

calls_noted_before() ->
    %% As some stores give a list back.
    Before = [#{<<"number">> => N} || N <- lists:seq(1, 11)],
    Numbered = maps:from_list([{integer_to_binary(N), Call}
                               || #{<<"number">> := N} = Call <- Before]),
    Message = (message("pow.wat"))#{<<"results">> => #{<<"undefined-calls">> => Numbered}},
    {ok, Computed} = resolve(init(Message), #{<<"path">> => <<"compute">>, <<"function">> => <<"pow">>,
                                              <<"parameters">> => [2, 1]}),
    ?assertMatch([_, #{<<"func">> := <<"mul">>} | _],
                 lists:nthtail(10, wasmbeam_host:get(<<"results/undefined-calls">>, Computed, ?OPTS))),
    ?assertEqual(Before, lists:sublist(
        wasmbeam_host:get(<<"results/undefined-calls">>, Computed, ?OPTS), 11)).

failing_import() ->
    Raising = #{mul => fun(_, _, _) -> {error, #{<<"message">> => <<"not today">>}} end},
    Message = init((message("pow.wat"))#{<<"stdlib">> => #{<<"my_lib">> => #{<<"device">> => Raising}}}),
    ?assertMatch({error, #{<<"class">> := <<"import_failed">>, <<"module">> := <<"my_lib">>,
                           <<"name">> := <<"mul">>,
                           <<"message">> := <<"the import my_lib.mul failed: not today">>}},
                 run(Message, <<"pow">>, [2, 5])).

%% On a message that has the image and the snapshot only.
export_and_restore() ->
    Message = with_library(message("pow.wat")),
    {ok, Once} = resolve(init(Message), #{<<"path">> => <<"compute">>, <<"function">> => <<"pow">>,
                                          <<"parameters">> => [2, 2]}),
    {ok, Snapshot} = resolve(Once, <<"snapshot">>),
    ?assertMatch(#{<<"body">> := Body} when is_binary(Body), Snapshot),
    Restored = Message#{<<"snapshot">> => Snapshot, <<"function">> => <<"pow">>,
                        <<"parameters">> => [2, 2]},
    ?assertEqual({ok, [4]}, resolve(Restored, <<"compute/results/output">>)),
    ?assertEqual({ok, [1]}, run(Message#{<<"snapshot">> => Snapshot}, <<"calls">>, [])),
    {ok, Normalized} = resolve(Restored, <<"normalize">>),
    ?assertEqual(not_found, wasmbeam_host:get(<<"snapshot">>, ?PLAIN(Normalized), ?OPTS)),
    ?assert(is_pid(device_hosts:private(<<"instance">>, Normalized))).

%% A global that is not exported.
complete_state() ->
    Message = message("counter.wat"),
    {ok, Once} = resolve(init(Message), #{<<"path">> => <<"compute">>, <<"function">> => <<"up">>,
                                          <<"parameters">> => []}),
    {ok, Snapshot} = resolve(Once, <<"snapshot">>),
    Restored = Message#{<<"snapshot">> => Snapshot},
    ?assertEqual({ok, [2]}, run(Restored, <<"up">>, [])).

memory_image() ->
    Message = with_library(message("pow.wat")),
    Snapshot = #{<<"body">> => <<7:32/little, 0:((2 * 65536 - 4) * 8)>>},
    Restored = Message#{<<"snapshot">> => Snapshot},
    ?assertEqual({ok, [7]}, run(Restored, <<"calls">>, [])).

damaged_snapshot() ->
    Message = message("pow.wat"),
    {ok, #{<<"body">> := Body}} = resolve(init(Message), <<"snapshot">>),
    [?assertMatch({error, #{<<"class">> := <<"bad_snapshot">>}},
                  run(Message#{<<"snapshot">> => #{<<"body">> => Bad}}, <<"calls">>, []))
     || Bad <- [binary:part(Body, 0, 100), <<"rubbish">>]].

%% As HyperBEAM makes them.
raw_image() ->
    Message = with_library(message("pow.wat")),
    Ready = init(Message),
    {ok, [4]} = run(Ready, <<"pow">>, [2, 2]),
    Handle = device_hosts:private(<<"instance">>, Ready),
    {ok, Size} = hb_beamr_io:size(Handle),
    {ok, Image} = hb_beamr_io:read(Handle, 0, Size),
    Restored = Message#{<<"snapshot">> => #{<<"body">> => Image}},
    ?assertEqual({ok, [1]}, run(Restored, <<"calls">>, [])).

other_modules_snapshot() ->
    {ok, Snapshot} = resolve(init(message("pow.wat")), <<"snapshot">>),
    Message = (message("fac.wat"))#{<<"snapshot">> => Snapshot},
    [?assertMatch({error, #{<<"status">> := 400, <<"class">> := <<"bad_snapshot">>,
                            <<"message">> := _}}, Outcome)
     || Outcome <- [resolve(Message, <<"normalize">>), run(Message, <<"fac">>, [1])]],
    Odd = fun(Body) -> (message("fac.wat"))#{<<"snapshot">> => #{<<"body">> => Body}} end,
    [?assertMatch({error, #{<<"status">> := 400, <<"message">> := _}}, resolve(Odd(Body), <<"normalize">>))
     || Body <- [7, #{}, [], <<"text">>]].

%% A message may outlive the process in which it got its instance.
ended_instance() ->
    Ready = init(message("fac.wat")),
    {ok, Snapshot} = resolve(Ready, <<"snapshot">>),
    ok = hb_beamr:stop(dev_wasm:instance(Ready, #{}, ?OPTS)),
    ?assertMatch({error, #{<<"class">> := <<"stopped">>}}, run(Ready, <<"fac">>, [3])),
    Message = Ready#{<<"snapshot">> => Snapshot},
    ?assertEqual({ok, [6.0]}, run(Message, <<"fac">>, [3])),
    {ok, Normalized} = resolve(Message, <<"normalize">>),
    Plain = {as, <<"message@1.0">>, Normalized},
    ?assertEqual(not_found, wasmbeam_host:get(<<"snapshot">>, Plain, ?OPTS)).

%% As other modules of a node call a device.
called_as_functions() ->
    {ok, Ready} = dev_wasm:init(message("fac.wat"), #{}, ?OPTS),
    ?assert(is_pid(dev_wasm:instance(Ready, #{}, ?OPTS))),
    {ok, Computed} = dev_wasm:compute(Ready, #{<<"function">> => <<"fac">>, <<"parameters">> => [3]},
                                      ?OPTS),
    ?assertEqual([6.0], wasmbeam_host:get(<<"results/output">>, Computed, ?OPTS)),
    {ok, #{<<"body">> := _} = Snapshot} = dev_wasm:snapshot(Computed, #{}, ?OPTS),
    {ok, Ended} = dev_wasm:terminate(Computed, #{}, ?OPTS),
    ?assertEqual(not_found, dev_wasm:instance(Ended, #{}, ?OPTS)),
    {ok, Normalized} = dev_wasm:normalize(Ended#{<<"snapshot">> => Snapshot}, #{}, ?OPTS),
    ?assert(is_pid(dev_wasm:instance(Normalized, #{}, ?OPTS))),
    ?assertMatch(#{excludes := [instance]}, dev_wasm:info(Ready, ?OPTS)),
    {ok, #{<<"results">> := [0], <<"state">> := _}} =
        dev_wasm:import(Ready, #{<<"module">> => <<"m">>, <<"func">> => <<"f">>, <<"args">> => []}, ?OPTS).

device_key() ->
    {ok, Snapshot} = resolve(init(message("pow.wat")), <<"snapshot">>),
    Message = (message("pow.wat"))#{<<"snapshot">> => #{<<"2">> => Snapshot},
                                    <<"device-key">> => <<"2">>},
    ?assertEqual({ok, [0]}, run(Message, <<"calls">>, [])).

passes() ->
    Ready = init(message("fac.wat")),
    Request = #{<<"path">> => <<"compute">>, <<"function">> => <<"fac">>, <<"parameters">> => [3]},
    {ok, Second} = resolve(Ready#{<<"pass">> => 2}, Request),
    ?assertEqual(not_found, wasmbeam_host:get(<<"results">>, ?PLAIN(Second), ?OPTS)),
    {ok, First} = resolve(Ready#{<<"pass">> => 1}, Request),
    ?assertEqual([6.0], wasmbeam_host:get(<<"results/output">>, First, ?OPTS)).

terminate() ->
    Ready = init(message("fac.wat")),
    Instance = device_hosts:private(<<"instance">>, Ready),
    {ok, Ended} = resolve(Ready, <<"terminate">>),
    ?assertEqual(not_found, device_hosts:private(<<"instance">>, Ended)),
    ?assertMatch({error, {stopped, _}}, hb_beamr:call(Instance, "fac", [1.0])),
    ?assertMatch({ok, _}, resolve(Ended, <<"terminate">>)).

bad_input() ->
    Device = #{<<"device">> => <<"WASM-64@1.0">>},
    NoId = binary:copy(<<"A">>, 43),
    Ready = init(message("fac.wat")),
    Pow = init(with_library(message("pow.wat"))),
    Compute = fun(Message, Request) -> resolve(Message, Request#{<<"path">> => <<"compute">>}) end,
    Fac = #{<<"function">> => <<"fac">>},
    [?assertMatch({Name, {error, #{<<"status">> := Status, <<"class">> := Class,
                                   <<"message">> := Text}}} when is_binary(Text), {Name, Outcome})
     || {Name, Status, Class, Outcome} <- [
        {no_image, 404, <<"not_found">>, resolve(Device, <<"init">>)},
        {not_in_the_cache, 404, <<"not_found">>, resolve(Device#{<<"image">> => NoId}, <<"init">>)},
        {no_wasm, 400, <<"invalid_module">>, resolve(Device#{<<"image">> => <<"no">>}, <<"init">>)},
        {odd_image, 400, <<"bad_argument">>, resolve(Device#{<<"image">> => 7}, <<"init">>)},
        {odd_mode, 400, <<"bad_argument">>,
         resolve((message("fac.wat"))#{<<"mode">> => <<"FAST">>}, <<"init">>)},
        {no_aot, 403, <<"not_permitted">>,
         resolve((message("fac.wat"))#{<<"mode">> => <<"AOT">>}, <<"init">>)},
        {no_function, 400, <<"bad_request">>, Compute(Ready, #{})},
        {odd_function, 400, <<"bad_argument">>, Compute(Ready, #{<<"function">> => 17})},
        {unknown_function, 400, <<"unknown_export">>, Compute(Ready, #{<<"function">> => <<"g">>})},
        {few, 400, <<"bad_argument">>, Compute(Ready, Fac#{<<"parameters">> => []})},
        {no_list, 400, <<"bad_argument">>, Compute(Ready, Fac#{<<"parameters">> => <<"5">>})},
        {wrong_type, 400, <<"bad_argument">>, Compute(Ready, Fac#{<<"parameters">> => [<<"5">>]})},
        {trap, 500, <<"trap">>, Compute(Pow, #{<<"function">> => <<"fail">>})},
        {no_instance, 400, <<"bad_request">>, Compute(message("fac.wat"), Fac)},
        {no_snapshot, 400, <<"bad_request">>, resolve(message("fac.wat"), <<"snapshot">>)}]].

%% What only a resolver of our own can promise.
embedded_bad_input_test_() ->
    device_hosts:on_embedded([
        ?_assertMatch({error, #{<<"class">> := <<"import_failed">>}},
                      run(init((message("pow.wat"))#{
                              <<"stdlib">> => #{<<"my_lib">> => #{<<"device">> => #{
                                  mul => fun test_device:fail/3}}}}), <<"pow">>, [2, 5])),
        ?_assertMatch({error, #{<<"class">> := <<"unknown_device">>}},
                      resolve(#{<<"device">> => <<"none@1.0">>}, <<"init">>)),
        ?_assertMatch({error, #{<<"class">> := <<"bad_path">>, <<"path">> := <<"a/b">>}},
                      resolve(#{<<"a">> => <<"bytes">>}, <<"a/b">>))
    ]).

%% Modules that were written elsewhere.
shared_modules_test_() ->
    [device_hosts:with_shared(File, fun(Image) ->
         device_hosts:on_both([
             {File, ?_assertEqual({ok, Results},
                                  run(init(with_library(#{<<"device">> => <<"WASM-64@1.0">>,
                                                          <<"image">> => Image})),
                                      Function, Parameters))}])
     end)
     || {File, Function, Parameters, Results} <- [
        {"test.wasm", <<"fac">>, [5.0], [120.0]},
        {"test-64.wasm", <<"fac">>, [5.0], [120.0]},
        {"pow_calculator.wasm", <<"pow">>, [2, 5], [32]}]].

no_instance_is_left_behind_test_() ->
    device_hosts:on_embedded({timeout, 60, fun() ->
        Message = message("fac.wat"),
        Test = self(),
        Run = fun() ->
            Ready = init(Message),
            {ok, [6.0]} = run(Ready, <<"fac">>, [3]),
            Test ! {self(), device_hosts:private(<<"instance">>, Ready)}
        end,
        Handles = [begin
                       {Pid, Monitor} = spawn_monitor(Run),
                       Handle = receive {Pid, Instance} -> Instance end,
                       receive {'DOWN', Monitor, process, Pid, normal} -> ok end,
                       Handle
                   end || _ <- lists:seq(1, 1000)],
        [begin
             Monitor = monitor(process, Handle),
             receive {'DOWN', Monitor, process, Handle, _} -> ok end,
             ?assertMatch({error, {stopped, _}}, hb_beamr:call(Handle, "fac", [1.0]))
         end || Handle <- Handles],
        ?assertEqual([], [Handle || Handle <- Handles, ets:member(hb_beamr_registry, Handle)])
    end}).
