%% @doc Handles that reach another node are of no use there, and do no harm.
-module(faults_nodes_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, init_per_suite/1, end_per_suite/1]).
-export([
    a_handle_on_another_node_is_refused_and_works_when_it_is_back/1,
    a_handle_of_hb_beamr_on_another_node_is_refused/1,
    processes_of_another_node_own_nothing_here/1
]).

all() ->
    [F || {F, 1} <- ?MODULE:module_info(exports), F =/= init_per_suite, F =/= end_per_suite,
          F =/= module_info].

init_per_suite(Config) ->
    case os:find_executable("epmd") of
        false -> {skip, "no epmd, which names nodes"};
        _ -> Config
    end.

end_per_suite(_Config) ->
    ok.

%% The child VM is one node, and starts the other.
with_another_node(Config, Test) ->
    Name = "wasmbeam-" ++ os:getpid() ++ "-" ++ integer_to_list(erlang:unique_integer([positive])),
    child_vm:run(Config, fun() ->
        Paths = [filename:dirname(code:which(Module)) || Module <- [wasmbeam, ?MODULE]],
        {ok, _, Node} = peer:start_link(#{name => list_to_atom(Name ++ "-peer"),
                                          host => "127.0.0.1", args => ["-pa" | Paths]}),
        Test(fun(Fun) -> erpc:call(Node, Fun) end),
        pong = net_adm:ping(Node),
        %% Both go on.
        {ok, I} = wasmbeam:start(faults_guest:busy()),
        ?assertEqual({ok, [2]}, wasmbeam:call(I, <<"add_one">>, [1])),
        ?assertEqual({ok, [2]}, erpc:call(Node, fun() ->
            {ok, There} = wasmbeam:start(faults_guest:busy()),
            wasmbeam:call(There, <<"add_one">>, [1])
        end))
    end, #{args => ["-name", Name ++ "@127.0.0.1"]}).

a_handle_on_another_node_is_refused_and_works_when_it_is_back(Config) ->
    with_another_node(Config, fun(There) ->
        {ok, Module} = wasmbeam:compile(faults_guest:busy()),
        {ok, I} = wasmbeam:start(Module),
        Asked = [
            fun() -> wasmbeam:call(I, <<"add_one">>, [1]) end,
            fun() -> wasmbeam:call(I, <<"add_one">>, [1], #{timeout => 10}) end,
            fun() -> wasmbeam:memory_read(I, 0, 1) end,
            fun() -> wasmbeam:info(I) end,
            fun() -> wasmbeam:exports(I) end,
            fun() -> wasmbeam:serialize(I) end,
            fun() -> wasmbeam:fork(I) end,
            fun() -> wasmbeam:give_away(I, self()) end,
            fun() -> wasmbeam:stop(I) end,
            fun() -> wasmbeam:start(Module) end,
            fun() -> wasmbeam:imports(Module) end
        ],
        [?assertMatch({error, {bad_argument, #{message := _}}}, There(Ask)) || Ask <- Asked],
        {Back, ModuleBack} = There(fun() -> {I, Module} end),
        ?assertEqual({ok, [2]}, wasmbeam:call(Back, <<"add_one">>, [1])),
        ?assertMatch({ok, _}, wasmbeam:start(ModuleBack))
    end).

a_handle_of_hb_beamr_on_another_node_is_refused(Config) ->
    with_another_node(Config, fun(There) ->
        {ok, Handle, _, _} = hb_beamr:start(faults_guest:busy()),
        Asked = [
            fun() -> hb_beamr:call(Handle, "add_one", [1]) end,
            fun() -> hb_beamr_io:read(Handle, 0, 1) end,
            fun() -> hb_beamr_io:size(Handle) end,
            fun() -> hb_beamr:serialize(Handle) end,
            fun() -> hb_beamr:stop(Handle) end
        ],
        [begin
            ?assertMatch({error, {stopped, #{message := _}}}, There(Ask)),
            %% With a table of handles there, too.
            ?assertMatch({error, {stopped, #{message := _}}}, There(fun() ->
                {ok, _, _, _} = hb_beamr:start(faults_guest:busy()),
                Ask()
            end))
         end || Ask <- Asked],
        ?assertEqual({ok, [2]}, hb_beamr:call(Handle, "add_one", [1]))
    end).

processes_of_another_node_own_nothing_here(Config) ->
    with_another_node(Config, fun(There) ->
        Stranger = There(fun() -> spawn(fun() -> receive never -> ok end end) end),
        {ok, I} = wasmbeam:start(faults_guest:busy()),
        ?assertMatch({error, {bad_argument, _}}, wasmbeam:give_away(I, Stranger)),
        ?assertMatch({error, {bad_argument, _}},
                     wasmbeam:start(faults_guest:busy(), #{owner => Stranger})),
        ?assertMatch(#{owner := Owner} when Owner =:= self(), wasmbeam:info(I))
    end).
