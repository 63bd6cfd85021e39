%% What compiling may cost, and how it is seen.
-module(wasmbeam_compile_limits_tests).

-include_lib("eunit/include/eunit.hrl").

new_image() ->
    Name = integer_to_binary(erlang:unique_integer([positive])),
    <<"(module $limited", Name/binary, " (func) (func) (func (export \"f\") nop nop nop nop))">>.

%% One that takes the compiler a while.
large_image() ->
    Step = "(local.set 0 (i32.mul (i32.add (local.get 0) (i32.const 3)) (local.get 0)))",
    Body = lists:duplicate(20000, Step),
    Name = integer_to_binary(erlang:unique_integer([positive])),
    iolist_to_binary(["(module $large", Name, " (func (export \"f\") (param i32) ", Body, "))"]).

each_limit_has_its_error_test() ->
    Source = new_image(),
    Size = byte_size(Source),
    [?assertMatch({error, {limit, #{what := What, limit := Limit, requested := Requested,
                                    message := _}}},
                  Run(Source, #{compile_limits => #{Name => Limit}}))
     || {Name, What, Limit, Requested} <-
            [{bytes, <<"bytes of a module">>, Size - 1, Size},
             {functions, <<"functions of a module">>, 2, 3},
             {function_bytes, <<"bytes of a function">>, 5, 6}],
        Run <- [fun wasmbeam:compile/2, fun wasmbeam:start/2, fun wasmbeam:precompile/2]],
    ?assertMatch({ok, _}, wasmbeam:compile(Source, #{compile_limits => #{
        bytes => Size, functions => 3, function_bytes => 6, time => infinity}})),
    ?assertMatch({ok, _}, wasmbeam:compile(Source, #{compile_limits => #{bytes => infinity}})).

a_module_at_hand_is_limited_too_test() ->
    Source = new_image(),
    {ok, _} = wasmbeam:compile(Source),
    ?assertMatch({error, {limit, _}},
                 wasmbeam:compile(Source, #{compile_limits => #{functions => 2}})).

the_node_has_limits_that_none_exceeds_test_() ->
    {setup,
     fun() -> application:set_env(wasmbeam, compile_limits, #{functions => 2, bytes => 1000}) end,
     fun(_) -> application:unset_env(wasmbeam, compile_limits) end,
     fun() ->
         Source = new_image(),
         [?assertMatch({error, {limit, #{limit := 2}}}, wasmbeam:compile(Source, Options))
          || Options <- [#{}, #{compile_limits => #{functions => 1000}},
                         #{compile_limits => #{functions => infinity}}]],
         ?assertMatch({error, {limit, #{limit := 1}}},
                      wasmbeam:compile(Source, #{compile_limits => #{functions => 1}})),
         application:set_env(wasmbeam, compile_limits, #{functions => 3}),
         ?assertMatch({ok, _}, wasmbeam:compile(Source)),
         [begin
              application:set_env(wasmbeam, compile_limits, Wrong),
              ?assert(wasmbeam_fixture:answers(bad_argument, wasmbeam:compile(new_image())))
          end || Wrong <- [5, [], #{functions => -1}, #{lines => 5}]]
     end}.

%% The compiler cannot be interrupted: what would take it long for its size is not begun.
what_would_take_the_compiler_too_long_is_refused_test() ->
    Repeated = fun(Count, Text) -> lists:duplicate(Count, Text) end,
    Wide = Repeated(100, "i32 "),
    Gets = Repeated(100, "local.get 0 "),
    Drops = Repeated(100, "drop "),
    Joins = ["(module (func (param i32) (local ", Repeated(2000, "i32 "), ")",
             Repeated(20000, "(if (local.get 0) (then))"),
             [["local.get ", integer_to_list(N), " drop "] || N <- lists:seq(1, 2000)], "))"],
    Calls = ["(module (func $f (param ", Wide, ") (result ", Wide, ") unreachable)",
             "(func (param i32) ", Gets, Repeated(40000, "call $f "), Drops, "))"],
    Blocks = ["(module (func (param i32) ", Gets,
              Repeated(3000, ["block (param ", Wide, ") (result ", Wide, ") end "]), Drops, "))"],
    Locals = [["(module ", Repeated(10, ["(func (local ", Repeated(40000, "i32 "), "))"])]],
    [?assertMatch({error, {limit, #{what := <<"microseconds of compiling", _/binary>>,
                                    limit := 30000000, message := _}}},
                  Run(iolist_to_binary(Source)))
     || Source <- [Joins, Calls, Blocks],
        Run <- [fun wasmbeam:compile/1, fun wasmbeam:start/1, fun wasmbeam:precompile/1]],
    ?assertMatch({ok, _}, wasmbeam:compile(iolist_to_binary([Locals, ")"]))).

%% Whoever does not wait leaves it to those who ask next.
an_impatient_caller_does_not_end_the_compilation_test() ->
    Source = large_image(),
    #{misses := Before} = wasmbeam:cache_info(),
    ?assert(wasmbeam_fixture:answers(timeout, wasmbeam:compile(Source, #{timeout => 0}))),
    ?assertMatch({error, {limit, #{what := <<"milliseconds of compilation">>, limit := 0}}},
                 wasmbeam:compile(Source, #{compile_limits => #{time => 0}})),
    ?assertMatch({ok, _}, wasmbeam:compile(Source)),
    ?assertMatch(#{misses := After} when After =:= Before + 1, wasmbeam:cache_info()),
    %% Nor does a message come later.
    ?assertEqual([], [Message || {'$wasmbeam', _, _} = Message <- messages()]).

messages() ->
    {messages, Messages} = process_info(self(), messages),
    Messages.

a_dead_caller_does_not_end_the_compilation_test() ->
    Source = large_image(),
    #{misses := Before} = wasmbeam:cache_info(),
    Test = self(),
    Progress = fun(_) -> Test ! begun, receive never -> ok end end,
    {Pid, Monitor} = spawn_monitor(fun() ->
        wasmbeam:compile(Source, #{progress => Progress})
    end),
    receive begun -> exit(Pid, kill) end,
    receive {'DOWN', Monitor, process, Pid, killed} -> ok end,
    ?assertMatch({ok, _}, wasmbeam:compile(Source)),
    ?assertMatch(#{misses := After} when After =:= Before + 1, wasmbeam:cache_info()).

phases_are_reported_in_their_order_test() ->
    Source = new_image(),
    Test = self(),
    {ok, _} = wasmbeam:compile(Source, #{progress => fun(Phase) -> Test ! {phase, Phase} end}),
    Bytes = byte_size(Source),
    ?assertMatch([#{phase := reading, bytes := Bytes, elapsed_ms := A},
                  #{phase := translating, bytes := Binary, functions := 3, elapsed_ms := B},
                  #{phase := compiling, bytes := Instrumented, functions := 3, elapsed_ms := C},
                  #{phase := done, elapsed_ms := D}]
                     when A =< B andalso B =< C andalso C =< D andalso Binary < Bytes
                          andalso Instrumented >= Binary,
                 phases()),
    %% What is at hand has no phases.
    {ok, _} = wasmbeam:start(Source, #{progress => fun(Phase) -> Test ! {phase, Phase} end}),
    ?assertEqual([], phases()).

phases() ->
    receive {phase, Phase} -> [Phase | phases()] after 0 -> [] end.

a_progress_fun_that_raises_raises_in_the_caller_test() ->
    Raise = fun(_) -> error(enough) end,
    ?assertError(enough, wasmbeam:compile(large_image(), #{progress => Raise})),
    ?assertEqual([], [Message || {'$wasmbeam', _, _} = Message <- messages()]).
