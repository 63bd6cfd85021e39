%% @doc Runs a test in a VM of its own, and checks that this VM outlives the test.
%%
%% The VM has two schedulers. A heartbeat process in it notes by how much its timer was late at
%% worst; a scheduler that is blocked shows as a late heartbeat, a crash as an exit status. What
%% the test leaves running is still there when the VM is told to end.
-module(child_vm).

-export([run/2, run/3, main/1, fixtures/1]).
-export([threads/0, resident_bytes/0, virtual_bytes/0, wait_until/1]).

-export_type([options/0]).

-type options() ::
    #{%% Environment variables.
      env => [{string(), string()}],
      %% A shell command to run before, such as `"ulimit -v 4000000"'.
      before => string(),
      %% More arguments of `erl'.
      args => [string()],
      %% How the VM ends after the test: by init:stop/1 or erlang:halt/1, with a status that is
      %% expected then.
      finish => {stop | halt, Status :: 0..255},
      %% What the test may take, in milliseconds: against hangs, nothing is measured by it.
      timeout => pos_integer(),
      %% By how much the heartbeat may be late, in milliseconds.
      lateness => pos_integer()}.

-define(TIMEOUT, 120000).
-define(LATENESS, 3000).
-define(BEAT, 20).
-define(FINISH, {stop, 0}).

%% @equiv run(Config, Test, #{})
-spec run([{atom(), term()}], fun(() -> Result)) -> Result.
run(Config, Test) ->
    run(Config, Test, #{}).

%% @doc Runs `Test' in a child VM and gives what it returns; raises what it raises.
-spec run([{atom(), term()}], fun(() -> Result), options()) -> Result.
run(Config, Test, Options) ->
    {priv_dir, PrivDir} = lists:keyfind(priv_dir, 1, Config),
    Name = "child-" ++ integer_to_list(erlang:unique_integer([positive])),
    File = filename:absname(filename:join(PrivDir, Name)),
    ok = file:write_file(File, term_to_binary(Test)),
    {module, Module} = erlang:fun_info(Test, module),
    {Status, Output} = execute(File, Module, Options),
    io:format("~ts", [Output]),
    {_, Expected} = maps:get(finish, Options, ?FINISH),
    case {Status, read_result(File ++ ".result")} of
        {Expected, {returned, Result, Late}} ->
            io:format("heartbeat late by ~b ms at worst~n", [Late]),
            true = Late =< maps:get(lateness, Options, ?LATENESS),
            Result;
        {Expected, {raised, Class, Reason, Stack}} ->
            erlang:raise(Class, Reason, Stack);
        {_, Result} ->
            error({child_vm, #{status => Status, output => Output, result => Result}})
    end.

%% @doc The folder of a suite's fixtures. (Common Test looks beside the compiled suite.)
-spec fixtures(module()) -> file:filename().
fixtures(Suite) ->
    filename:join([code:lib_dir(wasmbeam), "test", "faults", atom_to_list(Suite) ++ "_data"]).

execute(File, Module, Options) ->
    Before = maps:get(before, Options, ":"),
    Port = open_port({spawn_executable, "/bin/sh"}, [
        {args, ["-c", Before ++ " && exec \"$@\"", "sh" | command(File, Module, Options)]},
        {env, [{"ERL_CRASH_DUMP_SECONDS", "0"} | maps:get(env, Options, [])]},
        exit_status, stderr_to_stdout, binary
    ]),
    Deadline = erlang:monotonic_time(millisecond) + maps:get(timeout, Options, ?TIMEOUT),
    collect(Port, Deadline, []).

command(File, Module, Options) ->
    Erl = filename:join([code:root_dir(), "bin", "erl"]),
    {How, Status} = maps:get(finish, Options, ?FINISH),
    Paths = [filename:dirname(code:which(Each)) || Each <- [wasmbeam, ?MODULE, Module]],
    [Erl, "-noinput", "+S", "2:2", "-pa" | Paths]
        ++ maps:get(args, Options, [])
        ++ ["-s", atom_to_list(?MODULE), "main", File, atom_to_list(How), integer_to_list(Status)].

collect(Port, Deadline, Output) ->
    receive
        {Port, {data, Data}} -> collect(Port, Deadline, [Output, Data]);
        {Port, {exit_status, Status}} -> {Status, iolist_to_binary(Output)}
    after max(0, Deadline - erlang:monotonic_time(millisecond)) ->
        {os_pid, Pid} = erlang:port_info(Port, os_pid),
        _ = os:cmd("kill -KILL " ++ integer_to_list(Pid)),
        {timeout, iolist_to_binary(Output)}
    end.

read_result(File) ->
    case file:read_file(File) of
        {ok, Bytes} -> binary_to_term(Bytes);
        {error, enoent} -> none
    end.

%% @doc In the child: runs the test that is in the file.
-spec main([atom()]) -> ok.
main([File, How, Status]) ->
    Finish = {How, list_to_integer(atom_to_list(Status))},
    _ = spawn_link(fun() -> judge(atom_to_list(File), Finish) end),
    ok.

judge(File, Finish) ->
    _ = process_flag(priority, high),
    {ok, Bytes} = file:read_file(File),
    Test = binary_to_term(Bytes),
    Heart = spawn_link(fun() -> beat(0) end),
    {Pid, Monitor} = spawn_monitor(fun() -> exit(attempt(Test)) end),
    Outcome = receive {'DOWN', Monitor, process, Pid, Reason} -> Reason end,
    Heart ! {worst, self()},
    Late = receive {worst, Heart, Worst} -> Worst end,
    Result = case Outcome of
        {returned, Value} -> {returned, Value, Late};
        {raised, _, _, _} = Raised -> Raised;
        Other -> {raised, exit, Other, []}
    end,
    ok = file:write_file(File ++ ".result", term_to_binary(Result)),
    finish(Finish).

attempt(Test) ->
    try
        {returned, Test()}
    catch
        Class:Reason:Stack -> {raised, Class, Reason, Stack}
    end.

finish({stop, Status}) -> init:stop(Status);
finish({halt, Status}) -> erlang:halt(Status).

beat(Worst) ->
    Before = erlang:monotonic_time(millisecond),
    receive
        {worst, From} -> From ! {worst, self(), Worst}
    after ?BEAT ->
        beat(max(Worst, erlang:monotonic_time(millisecond) - Before - ?BEAT))
    end.

%% @doc The number of operating system threads.
-spec threads() -> non_neg_integer().
threads() ->
    {ok, Tasks} = file:list_dir("/proc/self/task"),
    length(Tasks).

%% @doc How much memory the VM has in use, as the operating system sees it.
-spec resident_bytes() -> non_neg_integer().
resident_bytes() ->
    status_bytes("VmRSS").

%% @doc How much address space the VM takes.
-spec virtual_bytes() -> non_neg_integer().
virtual_bytes() ->
    status_bytes("VmSize").

status_bytes(Field) ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [KiB]} = re:run(Status, Field ++ ":\\s+(\\d+) kB", [{capture, all_but_first, list}]),
    list_to_integer(KiB) * 1024.

%% @doc Returns when `Condition' holds; the test's own timeout bounds the wait.
-spec wait_until(fun(() -> boolean())) -> ok.
wait_until(Condition) ->
    case Condition() of
        true -> ok;
        false -> timer:sleep(5), wait_until(Condition)
    end.
