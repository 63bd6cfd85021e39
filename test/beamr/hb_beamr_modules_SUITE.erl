%% Modules written elsewhere, as they are used through hb_beamr.
-module(hb_beamr_modules_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([factorials/1, powers_with_an_import/1, memory_inside_and_outside/1,
         allocation_and_strings/1, aos_evaluates_ten_times/1, aos_evaluates_with_an_import_fun/1,
         aos_goes_on_from_an_image/1, older_aos_answers_ten_times/1]).

all() ->
    [factorials, powers_with_an_import, memory_inside_and_outside, allocation_and_strings,
     aos_evaluates_ten_times, aos_evaluates_with_an_import_fun, aos_goes_on_from_an_image,
     older_aos_answers_ten_times].

init_per_suite(Config) ->
    case wasmbeam:compile(<<"\0asm", 1:32/little>>) of
        {ok, _} -> Config;
        {error, {native_unavailable, _}} -> {skip, "built without the native library"}
    end.

end_per_suite(_Config) -> ok.

init_per_testcase(Case, Config) ->
    Missing = [File || Name <- needs(Case), File <- [path(Name)], not filelib:is_regular(File)],
    case Missing of
        [] -> Config;
        [File | _] -> {skip, "no file " ++ File}
    end.

end_per_testcase(_Case, _Config) -> ok.

needs(factorials) -> ["test.wasm", "test-64.wasm"];
needs(powers_with_an_import) -> ["pow_calculator.wasm"];
needs(memory_inside_and_outside) -> ["test-print.wasm"];
needs(allocation_and_strings) -> ["test-calling.wasm"];
needs(older_aos_answers_ten_times) -> ["test-wasi-aos.wasm"];
needs(_) -> ["aos-2-pure-xs.wasm"].

path(Name) ->
    Beside = filename:join(filename:dirname(wasmbeam_spec:root()), "shared"),
    filename:join([os:getenv("WASMBEAM_SHARED", Beside), "modules", Name]).

with(Name, Test) ->
    {ok, Image} = file:read_file(path(Name)),
    {ok, Handle, Imports, Exports} = hb_beamr:start(Image),
    try
        Test(Handle, Imports, Exports)
    after
        hb_beamr:stop(Handle)
    end.

factorials(_Config) ->
    [with(Name, fun(Handle, Imports, Exports) ->
        ?assertEqual([], Imports),
        ?assertEqual([{func, "fac", "(F)F"}], Exports),
        ?assertEqual({ok, [120.0]}, hb_beamr:call(Handle, "fac", [5.0])),
        ?assertEqual({ok, 0}, hb_beamr_io:size(Handle))
    end) || Name <- ["test.wasm", "test-64.wasm"]],
    ok.

powers_with_an_import(_Config) ->
    with("pow_calculator.wasm", fun(Handle, Imports, _Exports) ->
        ?assert(lists:member({func, "my_lib", "mul", "(ii)i"}, Imports)),
        Multiply = fun(N, #{module := "my_lib", func := "mul", args := [A, B]}, _Opts) ->
            {ok, [A * B], N + 1}
        end,
        ?assertMatch({ok, [32], N} when N > 0,
                     hb_beamr:call(Handle, <<"pow">>, [2, 5], Multiply, 0))
    end).

memory_inside_and_outside(_Config) ->
    with("test-print.wasm", fun(Handle, _Imports, _Exports) ->
        ?assertEqual({ok, 65536}, hb_beamr_io:size(Handle)),
        ?assertEqual({ok, <<"Hello, World!">>}, hb_beamr_io:read(Handle, 66, 13)),
        ?assertEqual(ok, hb_beamr_io:write(Handle, 0, <<"Hello, World!">>)),
        ?assertMatch({error, _}, hb_beamr_io:write(Handle, 1000000, <<"bad">>)),
        ?assertMatch({error, _}, hb_beamr_io:read(Handle, 1000000, 13))
    end).

allocation_and_strings(_Config) ->
    with("test-calling.wasm", fun(Handle, _Imports, _Exports) ->
        {ok, Size} = hb_beamr_io:size(Handle),
        {ok, Address} = hb_beamr_io:malloc(Handle, 100),
        ?assert(Address > 0),
        ?assertMatch({error, {unknown_export, #{name := <<"free">>}}},
                     hb_beamr_io:free(Handle, Address)),
        ?assertEqual({error, malloc_failed}, hb_beamr_io:malloc(Handle, Size * 1024)),
        {ok, Text} = hb_beamr_io:write_string(Handle, <<"Hello, World!">>),
        ?assertEqual({ok, <<"Hello, World!">>}, hb_beamr_io:read_string(Handle, Text))
    end).

aos_evaluates_ten_times(_Config) ->
    with("aos-2-pure-xs.wasm", fun(Handle, _Imports, _Exports) ->
        [assert_two(evaluate(Handle)) || _ <- lists:seq(1, 10)],
        ok
    end).

aos_evaluates_with_an_import_fun(_Config) ->
    with("aos-2-pure-xs.wasm", fun(Handle, Imports, _Exports) ->
        Provided = fun(Asked, #{module := Module, func := Name, func_sig := Sig}, _Opts) ->
            {default, [{func, Module, Name, Sig} | Asked]}
        end,
        {ok, [Answer], Asked} =
            hb_beamr:call(Handle, "handle", arguments(Handle, message()), Provided, [], #{}),
        assert_two(hb_beamr_io:read_string(Handle, Answer)),
        ?assertEqual([], Asked -- lists:append(lists:duplicate(length(Asked), Imports)))
    end).

aos_goes_on_from_an_image(_Config) ->
    with("aos-2-pure-xs.wasm", fun(Handle, _Imports, _Exports) ->
        assert_two(evaluate(Handle)),
        {ok, Image} = hb_beamr:serialize(Handle),
        ok = hb_beamr_io:write(Handle, 0, <<-1:(1024 * 1024 * 8)>>),
        ?assertEqual(ok, hb_beamr:deserialize(Handle, Image)),
        assert_two(evaluate(Handle))
    end).

%% This one evaluates nothing: its process gives every message the same answer. A message that it
%% cannot handle raises a Lua error, which longjmp takes to the function that answers.
older_aos_answers_ten_times(_Config) ->
    with("test-wasi-aos.wasm", fun(Handle, _Imports, _Exports) ->
        [begin
            {ok, Answer} = evaluate(Handle),
            ct:pal("~ts", [Answer]),
            assert_contains([<<"\"ok\":true">>, <<"\"Output\":\"sent pong reply\"">>], Answer),
            {ok, Failure} = evaluate(Handle, <<"null">>),
            assert_contains([<<"\"ok\":false">>, <<"attempt to index a nil value">>], Failure)
        end || _ <- lists:seq(1, 10)],
        ok
    end).

evaluate(Handle) ->
    evaluate(Handle, message()).

evaluate(Handle, Message) ->
    {ok, [Answer]} = hb_beamr:call(Handle, "handle", arguments(Handle, Message)),
    hb_beamr_io:read_string(Handle, Answer).

arguments(Handle, Text) ->
    {ok, Message} = hb_beamr_io:write_string(Handle, Text),
    {ok, Environment} = hb_beamr_io:write_string(Handle, environment()),
    [Message, Environment].

%% The order of the keys is the guest's, and differs from run to run.
assert_two({ok, Answer}) ->
    assert_contains([<<"\"ok\":true">>, <<"\"data\":\"2\"">>], Answer).

assert_contains(Parts, Text) ->
    ?assertEqual([], [Part || Part <- Parts, binary:match(Text, Part) =:= nomatch], Text).

message() ->
    <<"{\"From\":\"FOOBAR\",\"Block-Height\":\"1\",\"Target\":\"AOS\",\"Owner\":\"FOOBAR\","
      "\"Id\":\"1\",\"Module\":\"W\",\"Tags\":[{\"name\":\"Action\",\"value\":\"Eval\"}],"
      "\"Data\":\"return 1 + 1\"}">>.

environment() ->
    <<"{\"Process\":{\"Id\":\"AOS\",\"Owner\":\"FOOBAR\",\"Tags\":["
      "{\"name\":\"Name\",\"value\":\"Thomas\"},"
      "{\"name\":\"Authority\",\"value\":\"FOOBAR\"}]}}">>.
