-module(ao_process_tests).

-include_lib("eunit/include/eunit.hrl").

a_process_that_was_killed_goes_on_from_its_last_snapshot_test_() ->
    {timeout, 120, fun() ->
        {Status, Output} = device_hosts:run_example("ao_process.escript", []),
        ?assertMatch({0, {match, _}}, {Status, re:run(Output, "results of all slots are the same")})
    end}.

the_same_with_aos_test_() ->
    device_hosts:with_shared("aos-2-pure-xs.wasm", fun(_Image) ->
        {timeout, 120, fun() ->
            {Status, Output} = device_hosts:run_example(
                "ao_process.escript", [device_hosts:shared_file("aos-2-pure-xs.wasm")]),
            ?assertMatch({0, {match, _}},
                         {Status, re:run(Output, "results of all slots are the same")})
        end}
    end).
