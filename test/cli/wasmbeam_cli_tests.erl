%% @doc Parts of the command that cannot be seen from outside, or only with patience.
-module(wasmbeam_cli_tests).

-include_lib("eunit/include/eunit.hrl").

what_takes_long_is_told_and_so_is_its_end_test() ->
    Device = device(),
    Result = wasmbeam_cli_progress:while("compiling x", fun() -> said(Device), done end,
                                         #{device => Device, patience_ms => 1}),
    ?assertEqual(done, Result),
    %% What was said before the end is any number of lines.
    Lines = lines(Device),
    ?assertMatch({match, _}, re:run(hd(Lines), "^wasmbeam: compiling x: [0-9]+\\.[0-9] s\\.\\.\\.$")),
    ?assertMatch({match, _}, re:run(lists:last(Lines), "s, done$")).

what_is_quick_says_nothing_test() ->
    Device = device(),
    ?assertEqual(done, wasmbeam_cli_progress:while("x", fun() -> done end,
                                                   #{device => Device, patience_ms => 3600000})),
    ?assertEqual([], lines(Device)).

what_fails_is_not_told_any_more_test() ->
    Device = device(),
    ?assertError(oops, wasmbeam_cli_progress:while("x", fun() -> error(oops) end,
                                                   #{device => Device, patience_ms => 3600000})),
    ?assertEqual([], lines(Device)).

sizes_test_() ->
    [?_assertEqual({Text, Value}, {Text, read(wasmbeam_cli_options:bytes(Text))})
     || {Text, Value} <- [{"0", 0}, {"65536", 65536}, {"64K", 65536}, {"16M", 16777216},
                          {"1G", 1073741824}, {"", bad}, {"K", bad}, {"-1", bad}, {"1.5K", bad},
                          {"1KK", bad}, {"99999999999999999999", bad}]].

times_test_() ->
    [?_assertEqual({Text, Value}, {Text, read(wasmbeam_cli_options:duration(Text))})
     || {Text, Value} <- [{"5", 5}, {"500ms", 500}, {"2s", 2000}, {"5m", 300000}, {"50d", bad},
                          {"4294967295", 4294967295}, {"4294967296", bad}, {"s", bad}]].

read({ok, Value}) -> Value;
read({error, _}) -> bad.

options_and_arguments_come_in_any_order_test() ->
    Known = [#{name => n, flag => "--n", help => "", argument => {"N", fun wasmbeam_cli_options:natural/1}},
             #{name => many, flag => "--many", help => "", many => true,
               argument => {"N", fun wasmbeam_cli_options:natural/1}},
             #{name => is, flag => "--is", help => ""}],
    ?assertEqual({ok, #{n => 1, is => true, many => [2, 3]}, ["a", "-b", "--", "--n", "--help"]},
                 wasmbeam_cli_options:parse(Known, ["--many=2", "a", "--n", "1", "--is", "-b",
                                                    "--many", "3", "--", "--n", "--help"])),
    ?assertEqual(help, wasmbeam_cli_options:parse(Known, ["a", "-h"])).

values_are_read_and_written_test_() ->
    [?_assertEqual({Type, Text, Text}, {Type, Text, through(Type, Text)})
     || {Type, Text} <- [{i32, "-2147483648"}, {i64, "9223372036854775807"}, {f32, "16777216.0"},
                         {f32, "-0.0"}, {f32, "1.0e-45"}, {f64, "1.7976931348623157e308"},
                         {f64, "nan:0x7ff8000000000001"}, {v128, "0x0000000000000000000000000000000f"},
                         {{ref, <<"extern">>}, "null"}]].

through(Type, Text) ->
    {ok, [Value]} = wasmbeam_cli_value:parse([Text], [Type]),
    lists:flatten(wasmbeam_cli_value:format(Value, Type)).

wrong_values_are_refused_test_() ->
    [?_assertMatch({error, _}, wasmbeam_cli_value:parse([Text], [Type]))
     || {Type, Text} <- [{i32, "-2147483649"}, {i32, "0x"}, {i32, "1.0"}, {i64, "18446744073709551616"},
                         {f32, "nan:0x7f800000"}, {f64, "nan:0x7ff8"}, {f64, "1e999"}, {f64, ""},
                         {v128, "0x00"}, {funcref, "1"}, {{ref, <<"any">>}, "x"}]].

%% A device that keeps what is written to it, and who waits for the first line.
device() ->
    spawn_link(fun() -> device([], []) end).

device(Lines, Waiting) ->
    receive
        {io_request, From, As, {put_chars, unicode, M, F, A}} ->
            From ! {io_reply, As, ok},
            [Pid ! {self(), said} || Pid <- Waiting],
            device([string:trim(unicode:characters_to_list(apply(M, F, A))) | Lines], []);
        {io_request, From, As, {put_chars, unicode, Text}} ->
            From ! {io_reply, As, ok},
            [Pid ! {self(), said} || Pid <- Waiting],
            device([string:trim(unicode:characters_to_list(Text)) | Lines], []);
        {Pid, said} when Lines =:= [] ->
            device(Lines, [Pid | Waiting]);
        {Pid, said} ->
            Pid ! {self(), said},
            device(Lines, Waiting);
        {Pid, lines} ->
            Pid ! {self(), lists:reverse(Lines)}
    end.

said(Device) ->
    Device ! {self(), said},
    receive {Device, said} -> ok end.

lines(Device) ->
    Device ! {self(), lines},
    receive {Device, Lines} -> Lines end.
