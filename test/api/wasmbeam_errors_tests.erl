-module(wasmbeam_errors_tests).

-include_lib("eunit/include/eunit.hrl").

%% One way to each class of error, and what its map holds beside the message.
classes() ->
    [{invalid_module, [offset],
      fun() -> wasmbeam:compile(<<0, "asm", 1, 0, 0, 0, 1, 5, 0>>) end},
     {unknown_import, [module, name, kind],
      fun() -> wasmbeam:start(<<"(module (import \"a\" \"b\" (memory 1)))">>) end},
     {incompatible_import, [module, name],
      fun() -> wasmbeam:start(<<"(module (import \"a\" \"b\" (func)))">>,
                              #{imports => #{<<"a">> => #{<<"b">> => 5}}}) end},
     {unknown_export, [name, kind], fun() -> wasmbeam:call(instance(), <<"nobody">>, []) end},
     {bad_argument, [expected, value], fun() -> wasmbeam:compile(5) end},
     {bad_argument, [position, expected, value],
      fun() -> wasmbeam:call(instance(), <<"trap">>, [x]) end},
     {trap, [code, backtrace], fun() -> wasmbeam:call(instance(), <<"trap">>, [1]) end},
     {exception, [values, backtrace],
      fun() -> wasmbeam:call(instance(), <<"throw">>, [1, 1.0, null]) end},
     {import_failed, [module, name, class, reason, stacktrace],
      fun() -> wasmbeam:call(instance(), <<"ask">>, [1]) end},
     {out_of_fuel, [],
      fun() -> wasmbeam:start(<<"(module (func $f (loop br 0)) (start $f))">>, #{fuel => 9}) end},
     {timeout, [],
      fun() -> wasmbeam:start(<<"(module (func $f (loop br 0)) (start $f))">>, #{timeout => 1}) end},
     {interrupted, [reason], fun() ->
         I = wasmbeam_fixture:start("(module (func (export \"f\") (loop br 0)))"),
         {error, {timeout, _}} = wasmbeam:call(I, <<"f">>, [], #{timeout => 1}),
         wasmbeam:call(I, <<"f">>, [])
     end},
     {limit, [what, limit, requested], fun() -> wasmbeam:memory_grow(instance(), 1 bsl 40) end},
     {out_of_bounds, [offset, size, bound],
      fun() -> wasmbeam:memory_read(instance(), 1 bsl 40, 1) end},
     {stopped, [], fun() ->
         I = instance(),
         ok = wasmbeam:stop(I),
         wasmbeam:call(I, <<"nothing">>, [])
     end}].

each_class_has_its_keys_test_() ->
    [{atom_to_list(Class), fun() ->
        {error, {Given, Info}} = Make(),
        ?assertEqual(Class, Given),
        ?assertEqual(lists:sort([message | Keys]), lists:sort(maps:keys(Info))),
        ?assertMatch(#{message := <<_, _/binary>>}, Info)
    end} || {Class, Keys, Make} <- classes()].

each_class_is_rendered_test_() ->
    [{atom_to_list(Class), fun() ->
        {error, {_, #{message := Message}} = Reason} = Error = Make(),
        Text = wasmbeam:format_error(Reason),
        ?assert(is_binary(Text)),
        ?assertEqual(Text, wasmbeam:format_error(Error)),
        ?assertMatch({0, _}, binary:match(Text, atom_to_binary(Class))),
        ?assertMatch({_, _}, binary:match(Text, Message)),
        [?assertMatch({_, _}, binary:match(Text, atom_to_binary(Key)))
         || Key <- Keys, Key =/= backtrace, Key =/= stacktrace]
    end} || {Class, Keys, Make} <- classes()].

a_backtrace_is_rendered_frame_by_frame_test() ->
    {error, Reason} = wasmbeam:call(instance(), <<"deep">>, []),
    Text = wasmbeam:format_error(Reason),
    {Inner, _} = binary:match(Text, <<"in inner (function ">>),
    {Outer, _} = binary:match(Text, <<"in outer (function ">>),
    ?assert(Inner < Outer).

a_failed_import_is_rendered_with_its_reason_and_stack_test() ->
    Text = wasmbeam:format_error(wasmbeam:call(instance(), <<"ask">>, [1])),
    [?assertMatch({_, _}, binary:match(Text, Part))
     || Part <- [<<"env.ask">>, <<"{because,1}">>, atom_to_binary(?MODULE)]].

any_value_can_be_rendered_test() ->
    I = instance(),
    [?assert(is_binary(wasmbeam:format_error(wasmbeam:call(I, <<"trap">>, [Term]))))
     || Term <- [<<255, 254>>, "grüße", [0, 16#10ffff, 16#110000], #{a => <<1:3>>},
                 fun() -> ok end, self(), make_ref(), binary:copy(<<"x">>, 1000000),
                 lists:seq(1, 100000), <<"grüße"/utf8>>, 'ein atom', [[[[[[[[[deep]]]]]]]]]]],
    [?assert(is_binary(wasmbeam:format_error(
        wasmbeam:call(I, <<"ask">>, [1], #{imports => #{<<"env">> => #{<<"ask">> =>
            fun(_) -> error(Term) end}}}))))
     || Term <- [<<255, 254>>, "grüße", [0, 16#10ffff], lists:seq(1, 100000), <<"∑"/utf8>>]].

numbers_of_any_size_are_rendered_shortly_test() ->
    {ok, I} = wasmbeam:start(<<"(module)">>),
    [begin
         {error, {bad_argument, _}} = Error = wasmbeam:global_set(I, Number, 1),
         Text = wasmbeam:format_error(Error),
         ?assertMatch({_, _}, binary:match(Text, <<"value: a number of more than 256 bits">>)),
         ?assert(byte_size(Text) < 1000)
     end || Number <- [1 bsl 256, -(1 bsl 256), 1 bsl 4000000]].

names_that_are_no_words_can_be_rendered_test() ->
    I = instance(),
    [?assert(is_binary(wasmbeam:format_error(wasmbeam:call(I, Name, []))))
     || Name <- [<<>>, <<255, 0, 1>>, <<"∑∫"/utf8>>, binary:copy(<<"n">>, 100000)]].

the_message_names_what_is_missing_test() ->
    [?assertMatch({_, _}, binary:match(Message, Part))
     || {Answer, Parts} <- [
            {wasmbeam:call(instance(), <<"nobody">>, []), [<<"nobody">>, <<"func">>]},
            {wasmbeam:start(<<"(module (import \"a\" \"b\" (memory 1)))">>),
             [<<"a">>, <<"b">>, <<"memory">>]},
            {wasmbeam:memory_read(instance(), 70000, 5), [<<"70000">>, <<"65536">>]}],
        {error, {_, #{message := Message}}} <- [Answer], Part <- Parts].

instance() ->
    wasmbeam_fixture:start(wasmbeam_fixture:source("calls"), #{imports => #{<<"env">> => #{
        <<"ask">> => fun([N]) -> error({because, N}) end}}}).

the_failures_of_hb_beamr_are_shown_too_test() ->
    {ok, Handle, _, _} = hb_beamr:start(<<"(module (import \"a\" \"f\" (func $f))
        (func (export \"ask\") (call $f)) (func (export \"trap\") unreachable))">>),
    Shows = fun(Text, Failure) ->
        ?assertMatch({_, _}, binary:match(wasmbeam:format_error(Failure), Text))
    end,
    Shows(<<"trap: ">>, hb_beamr:call(Handle, "trap", [])),
    Shows(<<"trap: ">>, hb_beamr:call(Handle, "trap", [], fun hb_beamr:stub/3, state)),
    Shows(<<"import_failed: the import fun failed: throw:why">>,
          hb_beamr:call(Handle, "ask", [], fun(_, _, _) -> throw(why) end, state)),
    Shows(<<"malloc_failed">>, {error, malloc_failed}),
    ok = hb_beamr:stop(Handle).
