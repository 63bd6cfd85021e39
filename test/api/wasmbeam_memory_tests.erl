-module(wasmbeam_memory_tests).

-include_lib("eunit/include/eunit.hrl").

-define(PAGE, 65536).

memory_test_() ->
    {foreach,
     fun() -> wasmbeam_fixture:start(wasmbeam_fixture:source("memories")) end,
     fun wasmbeam:stop/1,
     [{with, [Test]} || Test <- [
         fun what_is_written_is_read/1,
         fun the_guest_sees_what_is_written/1,
         fun the_edges_are_inside/1,
         fun beyond_the_end_is_out_of_bounds/1,
         fun a_write_that_does_not_fit_writes_nothing/1,
         fun huge_offsets_and_sizes_are_out_of_bounds/1,
         fun negative_offsets_are_out_of_bounds_and_negative_sizes_bad_arguments/1,
         fun an_offset_and_a_size_are_named_as_they_were_given/1,
         fun what_is_no_offset_or_size_is_a_bad_argument/1,
         fun bytes_to_write_may_be_iodata/1,
         fun what_is_no_iodata_is_a_bad_argument/1,
         fun many_bytes_are_read_and_written/1,
         fun a_string_ends_before_the_next_zero/1,
         fun a_string_without_end_is_out_of_bounds/1,
         fun memory_grows_by_pages/1,
         fun growing_too_much_is_a_limit/1,
         fun what_is_no_count_of_pages_is_a_bad_argument/1,
         fun other_memories_are_reached_by_name_or_index/1,
         fun memory_that_does_not_exist_is_an_unknown_export/1,
         fun wrong_options_are_bad_arguments/1,
         fun memory_is_accessible_from_any_process/1
     ]]}.

what_is_written_is_read(I) ->
    ok = wasmbeam:memory_write(I, 100, <<"hello">>),
    ?assertEqual({ok, <<"hello">>}, wasmbeam:memory_read(I, 100, 5)),
    ?assertEqual({ok, <<0, "hello", 0>>}, wasmbeam:memory_read(I, 99, 7)),
    <<_:8, Slice/binary>> = <<"xslice">>,
    ok = wasmbeam:memory_write(I, 0, Slice),
    ?assertEqual({ok, <<"slice">>}, wasmbeam:memory_read(I, 0, 5)).

the_guest_sees_what_is_written(I) ->
    ok = wasmbeam:memory_write(I, 8, <<16#12345678:32/little>>),
    ?assertEqual({ok, [16#12345678]}, wasmbeam:call(I, <<"load">>, [8])),
    {ok, []} = wasmbeam:call(I, <<"store">>, [16, -2]),
    ?assertEqual({ok, <<-2:32/little>>}, wasmbeam:memory_read(I, 16, 4)).

the_edges_are_inside(I) ->
    ok = wasmbeam:memory_write(I, ?PAGE - 1, <<7>>),
    ?assertEqual({ok, <<7>>}, wasmbeam:memory_read(I, ?PAGE - 1, 1)),
    ?assertEqual({ok, <<>>}, wasmbeam:memory_read(I, ?PAGE, 0)),
    ?assertEqual({ok, <<>>}, wasmbeam:memory_read(I, 0, 0)),
    ?assertEqual(ok, wasmbeam:memory_write(I, ?PAGE, <<>>)),
    {ok, All} = wasmbeam:memory_read(I, 0, ?PAGE),
    ?assertEqual(?PAGE, byte_size(All)).

beyond_the_end_is_out_of_bounds(I) ->
    {error, {out_of_bounds, Info}} = wasmbeam:memory_read(I, ?PAGE - 1, 2),
    ?assertMatch(#{offset := 65535, size := 2, bound := ?PAGE, message := _}, Info),
    [?assert(out_of_bounds(Answer))
     || Answer <- [wasmbeam:memory_read(I, ?PAGE, 1), wasmbeam:memory_read(I, ?PAGE + 1, 0),
                   wasmbeam:memory_read(I, 0, ?PAGE + 1), wasmbeam:memory_write(I, ?PAGE, <<1>>),
                   wasmbeam:memory_write(I, ?PAGE + 1, <<>>),
                   wasmbeam:memory_read_string(I, ?PAGE), wasmbeam:memory_read_string(I, ?PAGE + 1)]],
    usable(I).

a_write_that_does_not_fit_writes_nothing(I) ->
    ?assert(out_of_bounds(wasmbeam:memory_write(I, ?PAGE - 2, <<1, 2, 3>>))),
    ?assertEqual({ok, <<0, 0>>}, wasmbeam:memory_read(I, ?PAGE - 2, 2)).

huge_offsets_and_sizes_are_out_of_bounds(I) ->
    [begin
         [?assertEqual({Huge, Answer, true}, {Huge, Answer, out_of_bounds(Answer)})
          || Answer <- [wasmbeam:memory_read(I, Huge, 1), wasmbeam:memory_read(I, 0, Huge),
                        wasmbeam:memory_read(I, 1, Huge), wasmbeam:memory_read(I, Huge, Huge),
                        wasmbeam:memory_write(I, Huge, <<1>>), wasmbeam:memory_read_string(I, Huge)]],
         usable(I)
     end || Huge <- huge()].

negative_offsets_are_out_of_bounds_and_negative_sizes_bad_arguments(I) ->
    [begin
         [?assertMatch({error, {out_of_bounds, #{offset := Negative, bound := ?PAGE, message := _}}},
                       Answer)
          || Answer <- [wasmbeam:memory_read(I, Negative, 1),
                        wasmbeam:memory_write(I, Negative, <<1>>),
                        wasmbeam:memory_write(I, Negative, <<>>),
                        wasmbeam:memory_read_string(I, Negative)]],
         ?assert(bad_argument(wasmbeam:memory_read(I, 0, Negative))),
         usable(I)
     end || Negative <- [-1, -(1 bsl 46), -(1 bsl 63), -(1 bsl 64), -(1 bsl 100)]].

an_offset_and_a_size_are_named_as_they_were_given(I) ->
    [begin
         ?assertMatch({error, {out_of_bounds, #{offset := Huge, size := 1}}},
                      wasmbeam:memory_read(I, Huge, 1)),
         ?assertMatch({error, {out_of_bounds, #{offset := 5, size := Huge}}},
                      wasmbeam:memory_read(I, 5, Huge)),
         ?assertMatch({error, {out_of_bounds, #{offset := Huge, size := Huge}}},
                      wasmbeam:memory_read(I, Huge, Huge)),
         ?assertMatch({error, {out_of_bounds, #{offset := Huge, size := 3}}},
                      wasmbeam:memory_write(I, Huge, <<"abc">>))
     end || Huge <- huge()],
    {error, {out_of_bounds, #{message := Message}}} = wasmbeam:memory_read(I, 5, 1 bsl 70),
    ?assertEqual(<<"5 + 1180591620717411303424 is out of bounds of a memory of 65536">>, Message).

bytes_to_write_may_be_iodata(I) ->
    ?assertEqual(ok, wasmbeam:memory_write(I, 7, ["one", [$,, <<"two">>], [] | <<0>>])),
    ?assertEqual({ok, <<"one,two">>}, wasmbeam:memory_read_string(I, 7)),
    ?assertEqual(ok, wasmbeam:memory_write(I, ?PAGE, [])),
    {ok, 1} = wasmbeam:memory_grow(I, 63),
    Many = lists:duplicate(200000, <<"0123456789">>),
    ?assertEqual(ok, wasmbeam:memory_write(I, 1, Many)),
    ?assertEqual({ok, iolist_to_binary(Many)}, wasmbeam:memory_read(I, 1, 2000000)).

what_is_no_offset_or_size_is_a_bad_argument(I) ->
    [begin
         [?assertEqual({Term, true}, {Term, bad_argument(Answer)})
          || Answer <- [wasmbeam:memory_read(I, Term, 1), wasmbeam:memory_read(I, 0, Term),
                        wasmbeam:memory_write(I, Term, <<1>>), wasmbeam:memory_read_string(I, Term)]],
         usable(I)
     end || Term <- [1.0, nan, <<0>>, "1", [], {}, self(), undefined]].

what_is_no_iodata_is_a_bad_argument(I) ->
    [?assert(bad_argument(wasmbeam:memory_write(I, 0, Term)))
     || Term <- [[256], [-1], ["text" | $t], [<<"bits">>, <<1:7>>], [text], <<1:7>>, <<0:(8 * 2000000 + 1)>>, 5, atom, {}, #{}, self()]],
    usable(I).

many_bytes_are_read_and_written(I) ->
    {ok, 1} = wasmbeam:memory_grow(I, 63),
    Bytes = binary:copy(<<"0123456789abcdef">>, 3 * 65536),
    ok = wasmbeam:memory_write(I, 5, Bytes),
    ?assertEqual({ok, Bytes}, wasmbeam:memory_read(I, 5, byte_size(Bytes))),
    ?assert(out_of_bounds(wasmbeam:memory_write(I, 2 * 1048576, Bytes))),
    ?assert(out_of_bounds(wasmbeam:memory_read(I, 2 * 1048576, byte_size(Bytes)))).

a_string_ends_before_the_next_zero(I) ->
    ok = wasmbeam:memory_write(I, 10, <<"one", 0, "two", 0>>),
    ?assertEqual({ok, <<"one">>}, wasmbeam:memory_read_string(I, 10)),
    ?assertEqual({ok, <<"two">>}, wasmbeam:memory_read_string(I, 14)),
    ?assertEqual({ok, <<>>}, wasmbeam:memory_read_string(I, 0)),
    ?assertEqual({ok, <<>>}, wasmbeam:memory_read_string(I, ?PAGE - 1)).

a_string_without_end_is_out_of_bounds(I) ->
    ok = wasmbeam:memory_write(I, ?PAGE - 3, <<"abc">>),
    ?assertMatch({error, {out_of_bounds, #{offset := 65533, bound := ?PAGE}}},
                 wasmbeam:memory_read_string(I, ?PAGE - 3)).

memory_grows_by_pages(I) ->
    ?assertEqual({ok, ?PAGE}, wasmbeam:memory_size(I)),
    ?assertEqual({ok, 1}, wasmbeam:memory_grow(I, 0)),
    ?assertEqual({ok, 1}, wasmbeam:memory_grow(I, 2)),
    ?assertEqual({ok, 3}, wasmbeam:memory_grow(I, 1)),
    ?assertEqual({ok, 4 * ?PAGE}, wasmbeam:memory_size(I)),
    ?assertEqual({ok, [4]}, wasmbeam:call(I, <<"size">>, [])),
    ?assertEqual({ok, [4]}, wasmbeam:call(I, <<"grow">>, [1])),
    ?assertEqual({ok, 5 * ?PAGE}, wasmbeam:memory_size(I)).

growing_too_much_is_a_limit(I) ->
    {error, {limit, Info}} = wasmbeam:memory_grow(I, 100, #{memory => <<"second">>}),
    ?assertMatch(#{limit := 4, requested := 102, what := _, message := _}, Info),
    [?assert(wasmbeam_fixture:answers(limit, wasmbeam:memory_grow(I, Pages)))
     || Pages <- [65536, 1 bsl 32, 1 bsl 48 | huge()]],
    ?assertEqual({ok, ?PAGE}, wasmbeam:memory_size(I)).

what_is_no_count_of_pages_is_a_bad_argument(I) ->
    [?assert(bad_argument(wasmbeam:memory_grow(I, Term)))
     || Term <- [-1, -(1 bsl 100), 1.0, <<>>, x, [], self()]],
    ?assertEqual({ok, ?PAGE}, wasmbeam:memory_size(I)).

other_memories_are_reached_by_name_or_index(I) ->
    [begin
         ok = wasmbeam:memory_write(I, 0, Bytes, #{memory => Which}),
         [?assertEqual({ok, Bytes}, wasmbeam:memory_read(I, 0, 6, #{memory => Same}))
          || Same <- [Which, Index]],
         ?assertEqual({ok, Pages * ?PAGE}, wasmbeam:memory_size(I, #{memory => Which}))
     end || {Which, Index, Pages, Bytes} <- [{<<"first">>, 0, 1, <<"first!">>},
                                             {<<"second">>, 1, 2, <<"second">>},
                                             {2, 2, 3, <<"hidden">>}]],
    ?assertEqual({ok, <<"first!">>}, wasmbeam:memory_read(I, 0, 6)),
    ok = wasmbeam:memory_write(I, 1, <<"wide">>, #{memory => <<"wide">>}),
    ?assertEqual({ok, <<"wide">>}, wasmbeam:memory_read_string(I, 1, #{memory => <<"wide">>})),
    ?assertEqual({ok, 1}, wasmbeam:memory_grow(I, 1, #{memory => <<"wide">>})).

memory_that_does_not_exist_is_an_unknown_export(I) ->
    [?assertMatch({error, {unknown_export, #{kind := memory, name := Name, message := _}}},
                  wasmbeam:memory_size(I, #{memory => Name}))
     || Name <- [<<"third">>, <<>>, <<"load">>]],
    [?assertMatch({error, {unknown_export, #{kind := memory, index := Index, message := _}}},
                  wasmbeam:memory_size(I, #{memory => Index}))
     || Index <- [4, 100, 16#ffffffff]],
    None = wasmbeam_fixture:start("(module)"),
    ?assertMatch({error, {unknown_export, _}}, wasmbeam:memory_read(None, 0, 0)),
    usable(I).

wrong_options_are_bad_arguments(I) ->
    [[?assertEqual({Options, true}, {Options, bad_argument(Answer)})
      || Answer <- [wasmbeam:memory_size(I, Options), wasmbeam:memory_read(I, 0, 1, Options),
                    wasmbeam:memory_read(I, 0, 2000000, Options),
                    wasmbeam:memory_read_string(I, 0, Options),
                    wasmbeam:memory_write(I, 0, <<>>, Options), wasmbeam:memory_grow(I, 1, Options)]]
     || Options <- [undefined, [], [{memory, 0}], 0, <<"first">>, #{colour => blue},
                    #{memory => {first}}, #{memory => -1}, #{memory => 1 bsl 40}, #{memory => 1.0},
                    #{memory => [first]}, #{memory => []}, #{memory => 0, colour => blue}]],
    usable(I).

memory_is_accessible_from_any_process(I) ->
    Writer = spawn_monitor(fun() -> exit({result, wasmbeam:memory_write(I, 0, <<"other">>)}) end),
    ?assertEqual(ok, wasmbeam_fixture:result(Writer)),
    ?assertEqual({ok, <<"other">>}, wasmbeam:memory_read(I, 0, 5)).

what_is_no_instance_is_a_bad_argument_test() ->
    [?assert(bad_argument(Answer))
     || Term <- wasmbeam_fixture:not_instances(),
        Answer <- [wasmbeam:memory_size(Term), wasmbeam:memory_read(Term, 0, 1),
                   wasmbeam:memory_read(Term, 0, 1 bsl 40), wasmbeam:memory_read_string(Term, 0),
                   wasmbeam:memory_write(Term, 0, <<>>), wasmbeam:memory_grow(Term, 1)]].

another_process_can_use_memory_while_the_guest_waits_in_an_import_test() ->
    I = waiting_instance(),
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"pass">>, []),
    receive {at_gate, Pid, []} -> ok end,
    ok = wasmbeam:memory_write(I, 0, <<"while suspended">>),
    ?assertEqual({ok, <<"while">>}, wasmbeam:memory_read(I, 0, 5)),
    ?assertEqual({ok, 1}, wasmbeam:memory_grow(I, 1)),
    ?assertEqual({ok, 2 * ?PAGE}, wasmbeam:memory_size(I)),
    wasmbeam_fixture:open(Pid),
    ?assertEqual({ok, []}, wasmbeam_fixture:result(Call)).

another_process_waits_with_its_access_while_the_guest_runs_test() ->
    I = waiting_instance(),
    Call = {Pid, _} = wasmbeam_fixture:spawn_call(I, <<"spin">>, []),
    receive {at_gate, Pid, []} -> wasmbeam_fixture:open(Pid) end,
    wasmbeam_fixture:await(fun() -> #{yields := Yields} = wasmbeam:info(I), Yields > 0 end),
    Reader = spawn_monitor(fun() -> exit({result, wasmbeam:memory_read(I, 0, 1)}) end),
    wasmbeam_fixture:await(fun() ->
        #{queue_length := Length} = wasmbeam:info(I), Length =:= 1
    end),
    ok = wasmbeam:cancel(I),
    ?assertMatch({error, {interrupted, _}}, wasmbeam_fixture:result(Call)),
    ?assertEqual({ok, <<0>>}, wasmbeam_fixture:result(Reader)).

waiting_instance() ->
    wasmbeam_fixture:start(wasmbeam_fixture:spinning(), #{imports => #{<<"env">> => #{
        <<"entered">> => wasmbeam_fixture:gate()}}}).

huge() ->
    [1 bsl 46, 1 bsl 63, (1 bsl 63) - 1, (1 bsl 64) - 1, 1 bsl 64, (1 bsl 64) + 1, 1 bsl 100,
     1 bsl 5000].

out_of_bounds(Answer) -> wasmbeam_fixture:answers(out_of_bounds, Answer).
bad_argument(Answer) -> wasmbeam_fixture:answers(bad_argument, Answer).

usable(I) ->
    ok = wasmbeam:memory_write(I, 0, <<1:32/little>>),
    ?assertEqual({ok, [1]}, wasmbeam:call(I, <<"load">>, [0])).
