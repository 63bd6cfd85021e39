%% @doc What the tests of snapshots share.
-module(wasmbeam_snapshot_fixture).

-export([source/0, options/0, start/0, call/3, calls/2, outcomes/2, evolve/1]).

%% @doc A module with state of every kind.
-spec source() -> binary().
source() ->
    {ok, Text} = file:read_file(filename:join([folder(), "fixtures", "everything.wat"])),
    Text.

folder() ->
    Installed = filename:join([code:lib_dir(wasmbeam), "test", "snapshot"]),
    case filelib:is_dir(filename:join(Installed, "fixtures")) of
        true -> Installed;
        false -> filename:dirname(proplists:get_value(source, ?MODULE:module_info(compile)))
    end.

-spec options() -> map().
options() ->
    #{imports => #{<<"host">> => #{<<"seven">> => fun([]) -> [7] end}}}.

-spec start() -> wasmbeam:instance().
start() ->
    {ok, Instance} = wasmbeam:start(source(), options()),
    Instance.

-spec call(wasmbeam:instance(), binary(), [wasmbeam:value()]) -> term().
call(Instance, Function, Args) ->
    case wasmbeam:call(Instance, Function, Args) of
        {ok, [Result]} -> Result;
        {ok, []} -> ok;
        {error, {trap, #{code := Code}}} -> Code
    end.

%% @doc Brings an instance into a state that none of its parts begins with.
-spec evolve(wasmbeam:instance()) -> ok.
evolve(Instance) ->
    Steps = [{<<"increment">>, []}, {<<"increment">>, []}, {<<"increment">>, []},
             {<<"poke">>, [70, 9]}, {<<"grow">>, [3]}, {<<"poke">>, [200000, 8]},
             {<<"grow_wide">>, [40]}, {<<"fill_wide">>, [100000, 5, 1500000]},
             {<<"set_seven">>, [0]}, {<<"set_null">>, [1]}, {<<"extend">>, [5]},
             {<<"init_data">>, [300]}, {<<"drop_data">>, []},
             {<<"init_element">>, [3]}, {<<"drop_element">>, []}],
    lists:foreach(fun({Function, Args}) -> call(Instance, Function, Args) end, Steps).

%% @doc Calls chosen at random, the same for one seed.
-spec calls(integer(), non_neg_integer()) -> [{binary(), [integer()]}].
calls(Seed, Count) ->
    Random = rand:seed_s(exsss, Seed),
    {Calls, _} = lists:mapfoldl(fun(_, R) -> random_call(R) end, Random, lists:seq(1, Count)),
    Calls.

random_call(R0) ->
    Functions = functions(),
    {N, R1} = rand:uniform_s(length(Functions), R0),
    {Name, Bounds} = lists:nth(N, Functions),
    {Args, R2} = lists:mapfoldl(fun below/2, R1, Bounds),
    {{Name, Args}, R2}.

below(Bound, R0) ->
    {N, R1} = rand:uniform_s(Bound, R0),
    {N - 1, R1}.

functions() ->
    [{<<"increment">>, []}, {<<"count">>, []}, {<<"vector">>, []},
     {<<"poke">>, [300000, 256]}, {<<"peek">>, [300000]}, {<<"grow">>, [3]},
     {<<"poke_wide">>, [3000000, 256]}, {<<"peek_wide">>, [3000000]}, {<<"grow_wide">>, [10]},
     {<<"fill_wide">>, [3000000, 3, 300000]},
     {<<"set_seven">>, [12]}, {<<"set_null">>, [12]}, {<<"extend">>, [3]}, {<<"via">>, [12]},
     {<<"via">>, [5]}, {<<"init_data">>, [1000]}, {<<"init_element">>, [9]},
     {<<"drop_data">>, []}, {<<"drop_element">>, []}].

%% @doc How calls end.
-spec outcomes(wasmbeam:instance(), [{binary(), [integer()]}]) -> [term()].
outcomes(Instance, Calls) ->
    [call(Instance, Function, Args) || {Function, Args} <- Calls].
