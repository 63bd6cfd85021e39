#!/usr/bin/env escript
%% -*- erlang -*-
%% What wasmbeam does, step by step, on the small modules in examples/modules. Run by `make demo'.
%% Every step checks what it shows; the script fails if anything is not as expected.
-mode(compile).

main(_) ->
    ok = io:setopts([{encoding, unicode}]),
    {ok, _} = application:ensure_all_started(wasmbeam),
    try
        say("wasmbeam ~ts on Erlang/OTP ~ts with ~b schedulers",
            [version(), erlang:system_info(otp_release), erlang:system_info(schedulers_online)]),
        start_and_call(),
        answer_an_import(),
        exchange_strings(),
        show_a_trap(),
        cancel_a_loop(),
        run_a_wasi_program(),
        run_an_ao_process(),
        say("~nEverything was as expected. The sources: examples/demo.escript, examples/modules.~n")
    catch
        Class:Reason:Stack ->
            io:format(standard_error, "~nThe demo FAILED: ~0tp:~0tp~n~tp~n",
                      [Class, Reason, Stack]),
            halt(1)
    end.

start_and_call() ->
    title("Start a module and call its functions"),
    Bytes = module_text("arithmetic"),
    {Cold, {ok, I}} = timer:tc(wasmbeam, start, [Bytes]),
    show("wasmbeam:call(I, <<\"add\">>, [1200, 34])", {ok, [1234]},
         wasmbeam:call(I, <<"add">>, [1200, 34])),
    show("wasmbeam:call(I, <<\"factorial\">>, [20])", {ok, [2432902008176640000.0]},
         wasmbeam:call(I, <<"factorial">>, [20])),
    cost("first start, compiling included", Cold * 1000),
    cost("start and stop, compiled before", median(1000, fun() ->
        {ok, Another} = wasmbeam:start(Bytes),
        ok = wasmbeam:stop(Another)
    end)),
    cost("a call of add", median(10000, fun() ->
        {ok, _} = wasmbeam:call(I, <<"add">>, [1200, 34])
    end)),
    ok = wasmbeam:stop(I).

answer_an_import() ->
    title("Answer an import by an Erlang fun"),
    Prices = #{1 => 250, 2 => 120, 3 => 75},
    Price = fun([Article]) -> [map_get(Article, Prices)] end,
    {ok, I} = wasmbeam:start(module_text("shop"),
                             #{imports => #{<<"prices">> => #{<<"price">> => Price}}}),
    say("  The module imports prices.price; here it is a fun that looks into a map."),
    show("wasmbeam:call(I, <<\"total\">>, [3])", {ok, [445]}, wasmbeam:call(I, <<"total">>, [3])),
    One = median(10000, fun() -> {ok, _} = wasmbeam:call(I, <<"total">>, [1]) end),
    Three = median(10000, fun() -> {ok, _} = wasmbeam:call(I, <<"total">>, [3]) end),
    cost("the call with its three imports", Three),
    cost("each import, to the fun and back", max(0, Three - One) div 2),
    ok = wasmbeam:stop(I).

exchange_strings() ->
    title("Exchange strings through the guest's memory"),
    {ok, I} = wasmbeam:start(module_text("greet")),
    say("  malloc and free are the guest's own; strings end with a zero byte."),
    show("greet(I, <<\"Erlang\">>)", <<"Hello, Erlang!">>, greet(I, <<"Erlang">>)),
    Name = unicode:characters_to_binary("Zoë"),
    show("greet(I, <<\"Zoë\"/utf8>>)", <<"Hello, ", Name/binary, "!">>, greet(I, Name)),
    cost("three calls, a write and a read", median(10000, fun() -> greet(I, <<"Erlang">>) end)),
    Large = binary:copy(<<"x">>, 65536),
    {ok, _} = wasmbeam:memory_grow(I, 1),
    cost("writing 64 KiB", median(1000, fun() -> ok = wasmbeam:memory_write(I, 0, Large) end)),
    ok = wasmbeam:stop(I).

greet(I, Name) ->
    {ok, [Address]} = wasmbeam:call(I, <<"malloc">>, [byte_size(Name) + 1]),
    ok = wasmbeam:memory_write(I, Address, <<Name/binary, 0>>),
    {ok, [Greeting]} = wasmbeam:call(I, <<"greet">>, [Address]),
    {ok, Text} = wasmbeam:memory_read_string(I, Greeting),
    {ok, []} = wasmbeam:call(I, <<"free">>, [Address]),
    Text.

show_a_trap() ->
    title("A trap is a value, not a crash"),
    {ok, I} = wasmbeam:start(module_text("arithmetic")),
    {error, {trap, #{code := integer_divide_by_zero}}} = Error =
        wasmbeam:call(I, <<"average">>, [10, 0]),
    say("  wasmbeam:format_error(wasmbeam:call(I, <<\"average\">>, [10, 0]))"),
    [say("    ~ts", [Line]) || Line <- string:split(wasmbeam:format_error(Error), "\n", all)],
    show("wasmbeam:call(I, <<\"average\">>, [10, 4])", {ok, [2]},
         wasmbeam:call(I, <<"average">>, [10, 4])),
    cost("a call that traps", median(1000, fun() ->
        {error, {trap, _}} = wasmbeam:call(I, <<"average">>, [10, 0])
    end)),
    ok = wasmbeam:stop(I).

cancel_a_loop() ->
    title("Endless loops leave the VM responsive, and can be cancelled"),
    Loops = 2 * erlang:system_info(schedulers_online),
    say("  ~b guests loop for ever, while another process counts milliseconds.", [Loops]),
    Bytes = module_text("spin"),
    Guests = [begin
                  {ok, I} = wasmbeam:start(Bytes, #{owner => none}),
                  {_, Monitor} = spawn_monitor(fun() ->
                      exit(wasmbeam:call(I, <<"forever">>, []))
                  end),
                  {I, Monitor}
              end || _ <- lists:seq(1, Loops)],
    Counted = counting(300),
    true = length(Counted) > 1,
    #{state := running} = wasmbeam:info(element(1, hd(Guests))),
    say("  It counted ~b times in 300 ms; at the median it was woken ~ts late.",
        [length(Counted), duration(median_of(Counted))]),
    {Took, ok} = timer:tc(fun() ->
        [ok = wasmbeam:cancel(I) || {I, _} <- Guests],
        [receive
             {'DOWN', Monitor, process, _, Outcome} ->
                 {error, {interrupted, #{reason := cancelled}}} = Outcome
         end || {_, Monitor} <- Guests],
        ok
    end),
    say("  wasmbeam:cancel(I) for each, and each call has ended:"),
    say("    {error,{interrupted,#{reason => cancelled,...}}}"),
    cost("cancelling all of them", Took * 1000),
    {ok, I} = wasmbeam:start(Bytes),
    {error, {timeout, _}} = wasmbeam:call(I, <<"forever">>, [], #{timeout => 20}),
    say("  wasmbeam:call(I, <<\"forever\">>, [], #{timeout => 20}) ends by itself:"),
    say("    {error,{timeout,...}}"),
    [ok = wasmbeam:stop(Guest) || Guest <- [I | [Looping || {Looping, _} <- Guests]]].

%% How late, in nanoseconds, each sleep of a millisecond ended.
counting(Ms) ->
    Parent = self(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        End = erlang:monotonic_time(millisecond) + Ms,
        Parent ! {self(), count(End, [])}
    end),
    receive
        {Pid, Counted} -> erlang:demonitor(Monitor, [flush]), Counted;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    end.

count(End, Counted) ->
    Before = erlang:monotonic_time(),
    case erlang:convert_time_unit(Before, native, millisecond) < End of
        true ->
            timer:sleep(1),
            Took = erlang:convert_time_unit(erlang:monotonic_time() - Before, native, nanosecond),
            count(End, [max(0, Took - 1000000) | Counted]);
        false ->
            Counted
    end.

run_a_wasi_program() ->
    title("Run a program that was built for WASI"),
    Bytes = module_text("hello"),
    say("  It finds files, arguments and outputs of its own, and nothing of the machine."),
    show("wasmbeam:run(Bytes)",
         {ok, #{exit => 0, stdout => <<"Hello from WASI\n">>, stderr => <<>>, fs => #{}}},
         wasmbeam:run(Bytes)),
    cost("from start to exit", median(1000, fun() -> {ok, _} = wasmbeam:run(Bytes) end)).

%% What is shown, measured and checked

run_an_ao_process() ->
    title("Compute messages with an AO process"),
    say("  The stack [WASI@1.0, JSON-Iface@1.0, WASM-64@1.0, Multipass@1.0]; a process that counts."),
    {ok, Process} = wasmbeam_host:resolve(#{
        <<"device">> => <<"stack@1.0">>,
        <<"device-stack">> => [<<"WASI@1.0">>, <<"JSON-Iface@1.0">>, <<"WASM-64@1.0">>,
                               <<"Multipass@1.0">>],
        <<"passes">> => 2,
        <<"stack-keys">> => [<<"init">>, <<"compute">>, <<"snapshot">>, <<"normalize">>],
        <<"input-prefix">> => <<"process">>, <<"output-prefix">> => <<"wasm">>,
        <<"process">> => #{<<"image">> => module_text("counting_process")}
    }, <<"init">>, #{}),
    Request = #{<<"path">> => <<"compute">>, <<"body">> => #{<<"data">> => <<"hello">>}},
    {ok, One} = wasmbeam_host:resolve(Process, Request, #{}),
    {ok, Two} = wasmbeam_host:resolve(One, Request, #{}),
    show("wasmbeam_host:get(<<\"results/data\">>, Two, #{})", <<"000002">>,
         wasmbeam_host:get(<<"results/data">>, Two, #{})),
    show("wasmbeam_host:get(<<\"results/outbox/1/target\">>, Two, #{})", <<"LISTENER">>,
         wasmbeam_host:get(<<"results/outbox/1/target">>, Two, #{})),
    cost("a message", median(1000, fun() ->
        {ok, _} = wasmbeam_host:resolve(Two, Request, #{})
    end)).

module_text(Name) ->
    File = filename:join([filename:dirname(escript:script_name()), "modules", Name ++ ".wat"]),
    {ok, Text} = file:read_file(File),
    Text.

version() ->
    {ok, Version} = application:get_key(wasmbeam, vsn),
    Version.

title(Title) ->
    say("~n~ts", [Title]).

show(Expression, Expected, Expected) ->
    say("  ~ts~n    ~0tp", [Expression, Expected]);
show(Expression, Expected, Got) ->
    error({unexpected, Expression, #{expected => Expected, got => Got}}).

cost(What, Ns) ->
    say("  cost: ~ts: ~ts", [What, duration(Ns)]).

say(Format) ->
    say(Format, []).

say(Format, Args) ->
    io:format("~ts~n", [io_lib:format(Format, Args)]).

%% The median of so many runs, in nanoseconds. Short runs are timed in batches, because the clock
%% takes as long as they do.
median(Runs, Fun) ->
    Batch = 10,
    median_of([begin
                   Before = erlang:monotonic_time(),
                   repeat(Batch, Fun),
                   Took = erlang:monotonic_time() - Before,
                   erlang:convert_time_unit(Took, native, nanosecond) div Batch
               end || _ <- lists:seq(1, max(1, Runs div Batch))]).

median_of(List) ->
    lists:nth((length(List) + 1) div 2, lists:sort(List)).

repeat(0, _Fun) -> ok;
repeat(N, Fun) -> Fun(), repeat(N - 1, Fun).

duration(Ns) when Ns < 1000 -> io_lib:format("~b ns", [Ns]);
duration(Ns) when Ns < 1000000 -> io_lib:format("~.1f us", [Ns / 1000]);
duration(Ns) -> io_lib:format("~.1f ms", [Ns / 1000000]).
