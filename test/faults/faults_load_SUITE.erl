%% @doc Modules that are made to be hard on the compiler, and the compiler beside other work.
-module(faults_load_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([
    deep_nesting_in_the_text_form_is_compiled_or_refused/1,
    deep_nesting_in_the_binary_form_is_compiled/1,
    long_functions_are_compiled/1,
    nested_handlers_and_loops_have_a_limit/1,
    damaged_images_are_refused/1,
    a_compilation_disturbs_neither_calls_nor_the_cache/1,
    a_process_that_dies_while_it_waits_for_the_compiler_leaves_the_module_to_others/1
]).

all() ->
    [F || {F, 1} <- ?MODULE:module_info(exports), F =/= module_info].

deep_nesting_in_the_text_form_is_compiled_or_refused(Config) ->
    N = 50000,
    Compiled = [
        ["(module (func ", times(N, "(block "), times(N, ")"), "))"],
        ["(module (func (result i32) ", times(N, "(i32.eqz "), "(i32.const 1)", times(N, ")"), "))"],
        ["(module (func (local i32)", times(N, "local.get 0 if "), times(N, "end "), "))"],
        ["(module ", times(N, "(;"), times(N, ";)"), ")"]
    ],
    Refused = [
        ["(module ", times(N, "("), times(N, ")"), ")"],
        ["(module ", times(N, "(rec "), times(N, ")"), ")"],
        ["(module (func ", times(N, "(block "), ")"],
        [times(N, "(module ")],
        ["(module (func ", times(N, "(if (i32.const 1) (then "), times(N, "))"), "))"],
        ["(module (global i32 ", times(N, "(i32.add "), times(N, ")"), "))"],
        ["(module (type ", times(N, "(func (param (ref "), times(N, ")))"), "))"]
    ],
    child_vm:run(Config, fun() ->
        [?assertMatch({ok, _}, wasmbeam:compile(iolist_to_binary(Text))) || Text <- Compiled],
        [compiles_or_refuses(iolist_to_binary(Text)) || Text <- Refused]
    end).

compiles_or_refuses(Image) ->
    case wasmbeam:compile(Image) of
        {ok, _} -> ok;
        {error, {invalid_module, #{message := _}}} -> ok
    end.

times(N, Text) ->
    lists:duplicate(N, Text).

deep_nesting_in_the_binary_form_is_compiled(Config) ->
    N = 50000,
    child_vm:run(Config, fun() ->
        Blocks = binary_module([times(N, <<16#02, 16#40>>), times(N, <<16#0B>>)]),
        ?assertMatch({ok, _}, wasmbeam:compile(Blocks)),
        Unclosed = binary_module(times(N, <<16#02, 16#40>>)),
        ?assertMatch({error, {invalid_module, _}}, wasmbeam:compile(Unclosed))
    end).

%% A module with one function of that code.
binary_module(Code) ->
    Body = [<<0>>, Code, <<16#0B>>],
    iolist_to_binary([
        <<0, "asm", 1:32/little>>,
        section(1, <<1, 16#60, 0, 0>>), section(3, <<1, 0>>),
        section(10, [<<1>>, sized(Body)])
    ]).

section(Id, Contents) ->
    [Id, sized(Contents)].

sized(Contents) ->
    [leb128(iolist_size(Contents)), Contents].

leb128(N) when N < 128 -> <<N>>;
leb128(N) -> <<1:1, N:7, (leb128(N bsr 7))/binary>>.

long_functions_are_compiled(Config) ->
    Labels = [[integer_to_list(N), " "] || N <- lists:seq(0, 999)],
    Images = [
        ["(module (func (param i32) (result i32) ", times(200000, "local.get 0 "),
         times(199999, "i32.add "), "))"],
        ["(module (memory 1) (func (param i32) ",
         times(100000, "(i32.store (i32.const 1) (local.get 0)) "), "))"],
        ["(module (func (param i32) ", times(1000, "block "), "local.get 0 br_table ", Labels, "0 ",
         times(1000, "end "), "))"],
        ["(module (func (param i32) block local.get 0 br_table ", times(60000, "0 "), "0 end))"],
        ["(module (func (local ", times(50000, "i64 "), ")))"]
    ],
    child_vm:run(Config, fun() ->
        [?assertMatch({ok, _}, wasmbeam:compile(iolist_to_binary(Image))) || Image <- Images],
        TooLong = ["(module (func (param i32) block local.get 0 br_table ", times(1000000, "0 "),
                   "0 end))"],
        ?assertMatch({error, {invalid_module, _}}, wasmbeam:compile(iolist_to_binary(TooLong)))
    end).

nested_handlers_and_loops_have_a_limit(Config) ->
    Nested = fun(N, Open, Close) ->
        iolist_to_binary(["(module (func $f ", times(N, Open), times(N, Close), "))"])
    end,
    Refused = [
        Nested(1000, "block try_table (catch_all 0) call $f ", "end end "),
        Nested(1000, "try call $f ", "catch_all end "),
        Nested(50000, "loop ", "end ")
    ],
    child_vm:run(Config, fun() ->
        [begin
            {error, {limit, #{what := What, limit := Limit, requested := Requested}}} =
                wasmbeam:compile(Image),
            ?assert(Requested > Limit),
            ?assert(lists:member(What, [<<"exception handlers around its calls">>,
                                        <<"loops within each other">>]))
         end || Image <- Refused]
    end).

damaged_images_are_refused(Config) ->
    child_vm:run(Config, fun() ->
        Image = binary_module(times(50, <<16#02, 16#40, 16#0B>>)),
        {ok, _} = wasmbeam:compile(Image),
        [compiles_or_refuses(binary:part(Image, 0, N)) || N <- lists:seq(0, byte_size(Image) - 1)],
        [begin
            <<Before:N/binary, Byte, After/binary>> = Image,
            compiles_or_refuses(<<Before/binary, (Byte bxor 16#FF), After/binary>>)
         end || N <- lists:seq(0, byte_size(Image) - 1)]
    end).

a_compilation_disturbs_neither_calls_nor_the_cache(Config) ->
    child_vm:run(Config, fun() ->
        Small = <<"(module (memory 1) (func (export \"seven\") (result i32) (i32.const 7)))">>,
        {ok, I} = wasmbeam:start(Small),
        Image = big_module(),
        {Pid, Monitor} = spawn_monitor(fun() -> {ok, _} = wasmbeam:compile(Image) end),
        Rounds = work_until_down(Monitor, I, Small, 0),
        io:format("~b rounds of other work during ~p~n", [Rounds, Pid]),
        ?assert(Rounds > 10)
    end, #{lateness => 1000}).

work_until_down(Monitor, I, Small, Rounds) ->
    ?assertEqual({ok, [7]}, wasmbeam:call(I, <<"seven">>, [])),
    {ok, Module} = wasmbeam:compile(Small),
    {ok, Other} = wasmbeam:start(Module),
    ?assertEqual({ok, [7]}, wasmbeam:call(Other, <<"seven">>, [])),
    ok = wasmbeam:stop(Other),
    #{modules := _} = wasmbeam:cache_info(),
    receive
        {'DOWN', Monitor, process, _, normal} -> Rounds
    after 0 ->
        work_until_down(Monitor, I, Small, Rounds + 1)
    end.

%% Takes the compiler a while.
big_module() ->
    Function = ["(func (param i32) (result i32) (local.get 0)",
                times(2000, "(i32.const 3) i32.mul (local.get 0) i32.add"), ")"],
    iolist_to_binary(["(module ", times(50, Function), ")"]).

a_process_that_dies_while_it_waits_for_the_compiler_leaves_the_module_to_others(Config) ->
    child_vm:run(Config, fun() ->
        Image = big_module(),
        Self = self(),
        Compile = fun() -> Self ! {self(), wasmbeam:compile(Image)} end,
        Dying = [spawn(Compile) || _ <- lists:seq(1, 10)],
        Living = [spawn(Compile) || _ <- lists:seq(1, 10)],
        [exit(Pid, kill) || Pid <- Dying],
        [receive {Pid, Answer} -> ?assertMatch({ok, _}, Answer) end || Pid <- Living],
        ?assertMatch(#{misses := 1, modules := 1}, wasmbeam:cache_info())
    end).
