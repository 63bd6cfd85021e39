%% @doc Does what instances are used for over and over, and tells what is left of it: the memory, the
%% mappings, the threads, the open files and the processes of this node before and after.
-module(wasmbeam_soak).

-export([main/1, print/1, run/2, workloads/0]).

-export_type([counts/0, result/0]).

-type counts() ::
    #{resident := non_neg_integer(), mappings := non_neg_integer(), threads := non_neg_integer(),
      files := non_neg_integer(), processes := non_neg_integer()}.
%% `resident' in bytes.
-type result() ::
    #{name := string(), rounds := pos_integer(), seconds := float(), before := counts(),
      'after' := counts(), run := pos_integer()}.

%% How much memory may seem to be lost, whatever the number of rounds: what the allocators keep.
-define(SLACK, 16 * 1024 * 1024).
%% A leak grows each time. What a moment took in which much waited to be freed, and what allocators keep
%% of it, does not.
-define(RUNS, 3).

%% @doc For a command line: runs all workloads, prints a table, and halts with status 1 if anything is
%% left. An argument scales the numbers of rounds: `0.1' does a tenth of them.
-spec main([string()]) -> no_return().
main(Arguments) ->
    {ok, _} = application:ensure_all_started(wasmbeam),
    Scale = case Arguments of [] -> 1.0; [Text] -> number(Text) end,
    io:put_chars(heading()),
    Results = [begin
                   Result = run(Name, max(1, round(Rounds * Scale))),
                   print(Result),
                   Result
               end || {Name, Rounds, _} <- workloads()],
    case [Name || #{name := Name} = Result <- Results, not is_flat(Result)] of
        [] -> halt(0);
        Growing -> io:format("grew: ~ts~n", [lists:join(", ", Growing)]), halt(1)
    end.

number(Text) ->
    case string:to_float(Text) of
        {error, no_float} -> float(list_to_integer(Text));
        {Float, ""} -> Float
    end.

is_flat(#{before := Before, 'after' := After}) ->
    is_flat(Before, After).

is_flat(Before, After) ->
    map_get(resident, After) - map_get(resident, Before) =< ?SLACK
        andalso lists:all(fun(Key) -> map_get(Key, After) =< map_get(Key, Before) end,
                          [threads, files, processes])
        andalso map_get(mappings, After) - map_get(mappings, Before) =< 64.

heading() ->
    io_lib:format("~-34ts ~8ts ~7ts ~19ts ~10ts ~13ts ~9ts ~7ts ~7ts~n",
                  ["", "rounds", "s", "resident MiB", "B/round", "mappings", "threads", "files",
                   "procs"]).

%% @doc Prints a line of the table.
-spec print(result()) -> ok.
print(#{name := Name, rounds := Rounds, seconds := Seconds, before := Before, 'after' := After,
        run := Run}) ->
    Pair = fun(Key) -> io_lib:format("~b>~b", [map_get(Key, Before), map_get(Key, After)]) end,
    Mib = fun(Counts) -> map_get(resident, Counts) / 1048576 end,
    Each = (map_get(resident, After) - map_get(resident, Before)) / Rounds,
    io:format("~-34ts ~8b ~7.1f ~19ts ~10.1f ~13ts ~9ts ~7ts ~7ts~n",
              [[Name, [io_lib:format(" (run ~b)", [Run]) || Run > 1]], Rounds, Seconds,
               io_lib:format("~.1f > ~.1f", [Mib(Before), Mib(After)]), Each,
               Pair(mappings), Pair(threads), Pair(files), Pair(processes)]).

%% @doc Runs a workload for so many rounds, after a tenth of them that fill caches and pools. If
%% something has grown, it runs again, to see whether it grows each time.
-spec run(string(), pos_integer()) -> result().
run(Name, Rounds) ->
    {Name, _, Prepare} = lists:keyfind(Name, 1, workloads()),
    Round = Prepare(),
    Do = fun(Count) -> in_process(fun() -> repeat(Count, Round) end) end,
    ok = Do(max(20, Rounds div 10)),
    measured(#{name => Name, rounds => Rounds, run => 1}, Do, settled(none)).

measured(#{rounds := Rounds, run := Run} = About, Do, Before) ->
    Start = erlang:monotonic_time(millisecond),
    ok = Do(Rounds),
    Seconds = (erlang:monotonic_time(millisecond) - Start) / 1000,
    After = settled(Before),
    Result = About#{seconds => Seconds, before => Before, 'after' => After},
    case is_flat(Result) orelse Run =:= ?RUNS of
        true -> Result;
        false -> measured(About#{run := Run + 1}, Do, After)
    end.

repeat(0, _Round) -> ok;
repeat(Count, Round) -> Round(Count), repeat(Count - 1, Round).

%% In a process of its own, whose garbage goes with it.
in_process(Fun) ->
    {_, Monitor} = spawn_monitor(Fun),
    receive {'DOWN', Monitor, process, _, Reason} ->
        case Reason of normal -> ok; _ -> {failed, Reason} end
    end.

%% What there is when the last instances are gone: memory is freed by a thread of its own, which is
%% waited for. Processes and threads of others may end a little later, so it counts until there is no
%% more than before, or nothing changes, but not for ever.
settled(Target) ->
    settled(Target, counts(), 400).

settled(_Target, Last, 0) ->
    Last;
settled(Target, Last, Left) ->
    _ = [garbage_collect(Pid) || Pid <- processes()],
    ok = wasmbeam_nif:await_freed(),
    timer:sleep(25),
    case counts() of
        Counts when Target =/= none ->
            case [Key || Key <- maps:keys(Counts), map_get(Key, Counts) > map_get(Key, Target)] of
                [] -> Counts;
                _ -> settled(Target, Counts, max(0, Left - patience(is_flat(Target, Counts))))
            end;
        Last -> Last;
        Counts -> settled(Target, Counts, Left - 1)
    end.

%% A little more than before is worth a second, and what would be a failure ten.
patience(true) -> 10;
patience(false) -> 1.

-spec counts() -> counts().
counts() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {ok, Maps} = file:read_file("/proc/self/maps"),
    {ok, Files} = file:list_dir("/proc/self/fd"),
    #{resident => 1024 * field(Status, "VmRSS"), threads => field(Status, "Threads"),
      mappings => length(binary:matches(Maps, <<"\n">>)), files => length(Files),
      processes => erlang:system_info(process_count)}.

field(Status, Name) ->
    {match, [Number]} = re:run(Status, "^" ++ Name ++ ":\\s+([0-9]+)",
                               [multiline, {capture, all_but_first, binary}]),
    binary_to_integer(Number).

%% @doc What is done over and over: the name, how many rounds make a long run, and what prepares it
%% and gives the function of one round.
-spec workloads() -> [{string(), pos_integer(), fun(() -> fun((pos_integer()) -> term()))}].
workloads() ->
    [{"start, call, stop", 100000, fun start_call_stop/0},
     {"instances whose owner ends", 20000, fun owned/0},
     {"instances that are garbage", 20000, fun dropped/0},
     {"memories that are filled", 5000, fun filled/0},
     {"traps and failing imports", 50000, fun failing/0},
     {"nested calls and references", 50000, fun references/0},
     {"fork storms of 50", 1000, fun forks/0},
     {"timeouts", 5000, fun timeouts/0},
     {"cancelled calls", 5000, fun cancelled/0},
     {"killed callers", 5000, fun killed/0},
     {"instances stopped in mid-call", 5000, fun stopped/0},
     {"WASI commands with files", 20000, fun commands/0},
     {"WASI files of 8 MiB", 500, fun large_files/0},
     {"snapshots and restores", 10000, fun snapshots/0},
     {"incremental snapshots", 10000, fun increments/0},
     {"modules compiled, and refused", 500, fun modules/0}].

start_call_stop() ->
    {ok, Module} = wasmbeam:compile(guest()),
    fun(_) ->
        {ok, I} = wasmbeam:start(Module),
        {ok, [7]} = wasmbeam:call(I, <<"add">>, [3, 4]),
        ok = wasmbeam:stop(I)
    end.

owned() ->
    {ok, Module} = wasmbeam:compile(guest()),
    fun(_) ->
        ok = in_process(fun() ->
            {ok, I} = wasmbeam:start(Module),
            {ok, [7]} = wasmbeam:call(I, <<"add">>, [3, 4])
        end)
    end.

dropped() ->
    {ok, Module} = wasmbeam:compile(guest()),
    fun(N) ->
        {ok, I} = wasmbeam:start(Module, #{owner => none}),
        {ok, [7]} = wasmbeam:call(I, <<"add">>, [3, 4]),
        %% The last reference goes when the heap is next looked through.
        N rem 100 =:= 0 andalso erlang:garbage_collect()
    end.

filled() ->
    {ok, Module} = wasmbeam:compile(guest()),
    Bytes = binary:copy(<<"x">>, 1 bsl 20),
    fun(_) ->
        {ok, I} = wasmbeam:start(Module),
        {ok, _} = wasmbeam:memory_grow(I, 64),
        ok = wasmbeam:memory_write(I, 1000, Bytes),
        {ok, Bytes} = wasmbeam:memory_read(I, 1000, 1 bsl 20),
        ok = wasmbeam:stop(I)
    end.

failing() ->
    Fail = fun([]) -> error(no) end,
    {ok, I} = wasmbeam:start(guest(), #{owner => none, imports => #{<<"env">> => #{<<"f">> => Fail}}}),
    fun(_) ->
        {error, {trap, _}} = wasmbeam:call(I, <<"trap">>, []),
        {error, {import_failed, _}} = wasmbeam:call(I, <<"f">>, []),
        {error, {bad_argument, _}} = wasmbeam:call(I, <<"add">>, [a]),
        {error, {unknown_export, _}} = wasmbeam:call(I, <<"none">>, [])
    end.

references() ->
    Nested = fun([], #{instance := I}) -> {ok, [3]} = wasmbeam:call(I, <<"add">>, [1, 2]), [] end,
    {ok, I} = wasmbeam:start(guest(), #{owner => none, imports => #{<<"env">> => #{<<"f">> => Nested}}}),
    fun(N) ->
        {ok, []} = wasmbeam:call(I, <<"f">>, []),
        Term = {N, make_ref(), [self() || _ <- lists:seq(1, 10)]},
        {ok, [Term]} = wasmbeam:call(I, <<"same">>, [Term])
    end.

forks() ->
    {ok, I} = wasmbeam:start(guest(), #{owner => none}),
    ok = wasmbeam:memory_write(I, 0, binary:copy(<<"y">>, 65536)),
    fun(_) ->
        Forks = [begin
                     {ok, Fork} = wasmbeam:fork(I),
                     {ok, [5]} = wasmbeam:call(Fork, <<"add">>, [2, 3]),
                     ok = wasmbeam:memory_write(Fork, N, <<"z">>),
                     Fork
                 end || N <- lists:seq(1, 50)],
        [ok = wasmbeam:stop(Fork) || Fork <- Forks]
    end.

timeouts() ->
    {ok, I} = wasmbeam:start(guest(), #{owner => none, on_interrupt => keep}),
    fun(_) -> {error, {timeout, _}} = wasmbeam:call(I, <<"spin">>, [], #{timeout => 1}) end.

%% A process that spins, once it does.
spinning(I) ->
    Spinning = spawn_monitor(fun() -> exit(wasmbeam:call(I, <<"spin">>, [])) end),
    ok = until_running(I),
    Spinning.

until_running(I) ->
    case wasmbeam:info(I) of
        #{state := running} -> ok;
        #{} -> erlang:yield(), until_running(I)
    end.

cancelled() ->
    {ok, I} = wasmbeam:start(guest(), #{owner => none, on_interrupt => keep}),
    fun(_) ->
        {_, Monitor} = spinning(I),
        ok = wasmbeam:cancel(I),
        receive {'DOWN', Monitor, _, _, {error, {interrupted, _}}} -> ok end
    end.

killed() ->
    {ok, Module} = wasmbeam:compile(guest()),
    fun(_) ->
        {ok, I} = wasmbeam:start(Module),
        {Pid, Monitor} = spinning(I),
        exit(Pid, kill),
        receive {'DOWN', Monitor, _, _, killed} -> ok end,
        {error, {interrupted, _}} = wasmbeam:call(I, <<"add">>, [1, 2]),
        ok = wasmbeam:reset(I),
        {ok, [3]} = wasmbeam:call(I, <<"add">>, [1, 2]),
        ok = wasmbeam:stop(I)
    end.

stopped() ->
    {ok, Module} = wasmbeam:compile(guest()),
    fun(_) ->
        {ok, I} = wasmbeam:start(Module),
        {_, Monitor} = spinning(I),
        ok = wasmbeam:stop(I),
        receive {'DOWN', Monitor, _, _, {error, _}} -> ok end
    end.

commands() ->
    {ok, Module} = wasmbeam:compile(wasmbeam_wasi_guest:source("hello")),
    Wasi = #{fs => #{<<"d">> => #{<<"f">> => binary:copy(<<"t">>, 10000)}}, args => [<<"hello">>]},
    fun(_) -> {ok, #{exit := 0}} = wasmbeam:run(Module, #{wasi => Wasi}) end.

large_files() ->
    Bytes = binary:copy(<<"f">>, 8 bsl 20),
    {ok, Module} = wasmbeam:compile(guest()),
    fun(_) ->
        {ok, I} = wasmbeam:start(Module),
        ok = wasmbeam:fs_write(I, "f", Bytes),
        {ok, Bytes} = wasmbeam:fs_read(I, "f"),
        ok = wasmbeam:fs_remove(I, "f"),
        ok = wasmbeam:stop(I)
    end.

snapshots() ->
    {ok, Module} = wasmbeam:compile(guest()),
    {ok, I} = wasmbeam:start(Module, #{owner => none, wasi => #{fs => #{<<"f">> => <<"text">>}}}),
    fun(N) ->
        ok = wasmbeam:memory_write(I, 0, <<N:64>>),
        {ok, Snapshot} = wasmbeam:serialize(I),
        ok = wasmbeam:deserialize(I, Snapshot),
        {ok, Restored} = wasmbeam:restore(Module, Snapshot, #{}),
        {ok, <<N:64>>} = wasmbeam:memory_read(Restored, 0, 8),
        ok = wasmbeam:stop(Restored),
        {error, {bad_snapshot, _}} = wasmbeam:deserialize(I, <<"no snapshot">>)
    end.

increments() ->
    {ok, I} = wasmbeam:start(guest(), #{owner => none}),
    {ok, _} = wasmbeam:memory_grow(I, 16),
    {ok, Base} = wasmbeam:serialize(I),
    fun(N) ->
        ok = wasmbeam:memory_write(I, 4096 * (N rem 200), <<N:64>>),
        {ok, _} = wasmbeam:serialize(I, #{base => Base})
    end.

modules() ->
    fun(N) ->
        Text = ["(module (func (export \"n\") (result i32) (i32.const ", integer_to_list(N rem 40), ")))"],
        {ok, Module} = wasmbeam:compile(iolist_to_binary(Text)),
        {ok, I} = wasmbeam:start(Module),
        ok = wasmbeam:stop(I),
        {error, {invalid_module, _}} = wasmbeam:compile(<<"(module (func (result i32)))">>)
    end.

guest() ->
    <<"(module
         (import \"env\" \"f\" (func $f))
         (memory (export \"memory\") 2)
         (global $calls (mut i32) (i32.const 0))
         (func (export \"add\") (param i32 i32) (result i32)
           (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
           (i32.add (local.get 0) (local.get 1)))
         (func (export \"same\") (param externref) (result externref) (local.get 0))
         (func (export \"f\") (call $f))
         (func (export \"trap\") unreachable)
         (func (export \"spin\") (loop $again (br $again))))">>.
