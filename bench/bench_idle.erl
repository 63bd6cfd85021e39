%% @doc What instances take that do nothing.
-module(bench_idle).

-export([rows/1, taken/0, each/3]).

-define(INSTANCES, 10000).

-spec rows(bench_files:files()) -> [bench_table:single()].
rows(#{idle := Idle}) ->
    case os:type() of
        {unix, linux} ->
            {ok, Source} = file:read_file(Idle),
            {ok, Module} = wasmbeam:compile(Source),
            measure(Module);
        _ ->
            [{"idle instances", "skipped: there is no /proc"}]
    end.

measure(Module) ->
    Before = taken(),
    {Instances, Failure} = start(Module, ?INSTANCES, []),
    Started = each(Before, taken(), length(Instances)),
    lists:foreach(fun(Instance) ->
        {ok, [1]} = wasmbeam:call(Instance, <<"identity">>, [1])
    end, Instances),
    Called = each(Before, taken(), length(Instances)),
    lists:foreach(fun(Instance) -> ok = wasmbeam:stop(Instance) end, Instances),
    [{bench_table:text("~b idle instances, each", [length(Instances)]), Started},
     {"  after a call", Called}]
        ++ [{"  the next start", wasmbeam:format_error(Reason)} || {error, Reason} <- [Failure]].

start(_Module, 0, Instances) ->
    {Instances, none};
start(Module, Left, Instances) ->
    case wasmbeam:start(Module) of
        {ok, Instance} -> start(Module, Left - 1, [Instance | Instances]);
        {error, _} = Error -> {Instances, Error}
    end.

%% @doc Resident and reserved memory in KiB, and the number of mappings, of what is not stopped.
-spec taken() -> {integer(), integer(), integer()}.
taken() ->
    erlang:garbage_collect(),
    ok = wasmbeam_nif:await_freed(),
    {ok, Status} = file:read_file("/proc/self/status"),
    {ok, Maps} = file:read_file("/proc/self/maps"),
    {field(Status, "VmRSS"), field(Status, "VmSize"), length(binary:matches(Maps, <<"\n">>))}.

field(Status, Name) ->
    {match, [Number]} =
        re:run(Status, Name ++ ":\\s+(\\d+) kB", [{capture, all_but_first, list}]),
    list_to_integer(Number).

%% @doc What each of some instances has taken between two moments.
-spec each({integer(), integer(), integer()}, {integer(), integer(), integer()}, pos_integer()) ->
    string().
each({Resident0, Reserved0, Maps0}, {Resident, Reserved, Maps}, Count) ->
    bench_table:text("~.1f KiB resident, ~.3f GiB reserved, ~.1f mappings",
                     [(Resident - Resident0) / Count, (Reserved - Reserved0) / Count / 1048576,
                      (Maps - Maps0) / Count]).
