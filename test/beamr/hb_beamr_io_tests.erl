-module(hb_beamr_io_tests).

-include_lib("eunit/include/eunit.hrl").

-import(hb_beamr_fixture, [with/2, is_error/2]).

the_size_is_in_bytes_test() ->
    with("heap", fun(Handle) ->
        ?assertEqual({ok, 65536}, hb_beamr_io:size(Handle)),
        ok = hb_beamr:deserialize(Handle, <<0:(2 * 65536 * 8)>>),
        ?assertEqual({ok, 2 * 65536}, hb_beamr_io:size(Handle))
    end).

what_is_written_can_be_read_test() ->
    with("heap", fun(Handle) ->
        ?assertEqual(ok, hb_beamr_io:write(Handle, 1000, <<"bytes", 0, 255>>)),
        ?assertEqual({ok, <<"bytes", 0, 255>>}, hb_beamr_io:read(Handle, 1000, 7)),
        ?assertEqual(ok, hb_beamr_io:write(Handle, 65535, <<1>>)),
        ?assertEqual({ok, <<1>>}, hb_beamr_io:read(Handle, 65535, 1)),
        ?assertEqual({ok, <<>>}, hb_beamr_io:read(Handle, 65536, 0)),
        ?assertEqual(ok, hb_beamr_io:write(Handle, 65536, <<>>))
    end).

access_outside_of_the_memory_is_an_error_test() ->
    with("heap", fun(Handle) ->
        [?assert(is_error(out_of_bounds, Answer))
         || Answer <- [hb_beamr_io:read(Handle, 65530, 7), hb_beamr_io:read(Handle, -1, 1),
                       hb_beamr_io:read(Handle, 1 bsl 46, 1),
                       hb_beamr_io:read(Handle, 0, 1 bsl 46),
                       hb_beamr_io:read(Handle, (1 bsl 64) - 1, 1),
                       hb_beamr_io:write(Handle, 65530, <<"1234567">>),
                       hb_beamr_io:write(Handle, -1, <<1>>),
                       hb_beamr_io:read_string(Handle, 65537),
                       hb_beamr_io:read_string(Handle, -1)]],
        [?assert(is_error(out_of_bounds, hb_beamr_io:read(Handle, Offset, Size)))
         || {Offset, Size} <- [{1 bsl 100, 1}, {-(1 bsl 100), 1}, {0, 1 bsl 100}]],
        ?assert(is_error(bad_argument, hb_beamr_io:read(Handle, 0, -1))),
        ?assertEqual({ok, <<0:56>>}, hb_beamr_io:read(Handle, 65529, 7))
    end).

arguments_of_another_kind_are_errors_test() ->
    with("heap", fun(Handle) ->
        [?assert(is_error(bad_argument, Answer))
         || Answer <- [hb_beamr_io:read(Handle, zero, 1), hb_beamr_io:read(Handle, 0, 1.5),
                       hb_beamr_io:write(Handle, 0, text), hb_beamr_io:write(Handle, 0, <<1:3>>),
                       hb_beamr_io:read_string(Handle, <<"0">>),
                       hb_beamr_io:write_string(Handle, text),
                       hb_beamr_io:write_string(Handle, [$a | b]),
                       hb_beamr_io:malloc(Handle, -1), hb_beamr_io:malloc(Handle, 1.0),
                       hb_beamr_io:free(Handle, none)]]
    end).

a_string_ends_before_its_zero_byte_test() ->
    with("heap", fun(Handle) ->
        ?assertEqual({ok, <<"text">>}, hb_beamr_io:read_string(Handle, 16)),
        ?assertEqual({ok, <<"xt">>}, hb_beamr_io:read_string(Handle, 18)),
        ?assertEqual({ok, <<>>}, hb_beamr_io:read_string(Handle, 20))
    end).

a_string_without_an_end_is_an_error_test() ->
    with("heap", fun(Handle) ->
        ok = hb_beamr_io:write(Handle, 65533, <<"end">>),
        ?assert(is_error(out_of_bounds, hb_beamr_io:read_string(Handle, 65533)))
    end).

a_string_is_written_with_a_zero_byte_to_memory_of_its_own_test() ->
    with("heap", fun(Handle) ->
        %% Nothing but the byte that is written ends the string.
        ok = hb_beamr:deserialize(Handle, binary:copy(<<"x">>, 65536)),
        Text = <<"Zeichen: äöü"/utf8>>,
        {ok, First} = hb_beamr_io:write_string(Handle, Text),
        {ok, Second} = hb_beamr_io:write_string(Handle, ["io", [<<"da">>, $t], "a"]),
        ?assertEqual(First + byte_size(Text) + 1, Second),
        ?assertEqual({ok, Text}, hb_beamr_io:read_string(Handle, First)),
        ?assertEqual({ok, <<"iodata">>}, hb_beamr_io:read_string(Handle, Second)),
        {ok, Empty} = hb_beamr_io:write_string(Handle, ""),
        ?assertEqual({ok, <<>>}, hb_beamr_io:read_string(Handle, Empty))
    end).

memory_is_allocated_and_freed_by_the_module_test() ->
    with("heap", fun(Handle) ->
        ?assertEqual({ok, 1024}, hb_beamr_io:malloc(Handle, 10)),
        ?assertEqual({ok, 1034}, hb_beamr_io:malloc(Handle, 10)),
        ?assertEqual(ok, hb_beamr_io:free(Handle, 1034)),
        ?assertEqual({ok, [1034]}, hb_beamr:call(Handle, "freed", []))
    end).

memory_that_there_is_none_of_is_an_error_test() ->
    with("heap", fun(Handle) ->
        ?assertEqual({error, malloc_failed}, hb_beamr_io:malloc(Handle, 32769)),
        ?assertEqual({error, malloc_failed},
                     hb_beamr_io:write_string(Handle, binary:copy(<<"x">>, 32768)))
    end).

modules_need_not_have_an_allocator_test() ->
    with("calls", fun(Handle) ->
        ?assert(is_error(unknown_export, hb_beamr_io:malloc(Handle, 10))),
        ?assert(is_error(unknown_export, hb_beamr_io:write_string(Handle, "text"))),
        ?assert(is_error(unknown_export, hb_beamr_io:free(Handle, 10)))
    end).

a_malloc_that_gives_no_address_is_an_error_test() ->
    {ok, Handle, _, _} =
        hb_beamr:start(<<"(module (func (export \"malloc\") (param i32)))">>),
    ?assert(is_error(bad_argument, hb_beamr_io:malloc(Handle, 10))),
    ok = hb_beamr:stop(Handle).

addresses_from_2_gib_on_may_be_given_as_they_came_test() ->
    with("large", fun(Handle) ->
        ?assertEqual({ok, 16#80000010}, hb_beamr_io:malloc(Handle, 10)),
        {ok, Address} = hb_beamr_io:write_string(Handle, "far"),
        {ok, [Signed]} = hb_beamr:call(Handle, "malloc", [10]),
        ?assert(Signed < 0),
        ?assertEqual({ok, <<"far">>}, hb_beamr_io:read_string(Handle, Signed)),
        ?assertEqual(ok, hb_beamr_io:write(Handle, Signed, ["b"])),
        ?assertEqual({ok, <<"bar">>}, hb_beamr_io:read(Handle, Signed, 3)),
        ?assertEqual({ok, <<"bar">>}, hb_beamr_io:read(Handle, Address, 3))
    end).

an_import_fun_may_allocate_read_write_and_call_three_deep_test() ->
    with("heap", fun(Handle) ->
        {ok, [Last], Visited} = hb_beamr:call(Handle, "descend", [3], fun visit/3, [], #{}),
        ?assertEqual([{1, <<"depth 1">>}, {2, <<"depth 2">>}, {3, <<"depth 3">>}], Visited),
        ?assertEqual({ok, <<"depth 1">>}, hb_beamr_io:read_string(Handle, Last))
    end).

visit(State, #{instance := Handle, func := "visit", args := [Depth]}, Opts) ->
    {ok, Scratch} = hb_beamr_io:malloc(Handle, 16),
    ok = hb_beamr_io:write(Handle, Scratch, <<Depth:64>>),
    {ok, <<Depth:64>>} = hb_beamr_io:read(Handle, Scratch, 8),
    ok = hb_beamr_io:free(Handle, Scratch),
    {ok, Address} = hb_beamr_io:write_string(Handle, ["depth ", integer_to_list(Depth)]),
    {ok, Text} = hb_beamr_io:read_string(Handle, Address),
    Visited = [{Depth, Text} | State],
    case Depth of
        1 -> {ok, [Address], Visited};
        _ -> hb_beamr:call(Handle, "descend", [Depth - 1], fun visit/3, Visited, Opts)
    end.
