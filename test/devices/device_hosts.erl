%% Runs tests of devices on both hosts: the embedded one, and the double of HyperBEAM.
-module(device_hosts).

-include_lib("eunit/include/eunit.hrl").

-export([on_both/1, on_embedded/1, on_hyperbeam/1, read_module/1, shared_module/1, shared_file/1,
         with_shared/2, private/2, run_example/2]).

-define(DOUBLE, [hb_double, hb_opts, hb_private, hb_cache, hb_ao]).

on_both(Tests) ->
    [on_embedded(Tests), on_hyperbeam(Tests)].

on_embedded(Tests) ->
    {"on the embedded host",
     {setup, fun() -> use(wasmbeam_host_embedded) end, fun use/1, Tests}}.

on_hyperbeam(Tests) ->
    {"on the double of HyperBEAM", {setup, fun load_double/0, fun unload_double/1, Tests}}.

%% Answers the host that was chosen before.
use(Host) ->
    Before = wasmbeam_host:current(),
    Host = wasmbeam_host:choose(Host),
    Before.

load_double() ->
    lists:foreach(fun load/1, ?DOUBLE),
    true = wasmbeam_host_hyperbeam:find(),
    ok = apply(hb_double, start, []),
    use(wasmbeam_host_hyperbeam).

load(Module) ->
    File = filename:join([folder(), "hyperbeam", atom_to_list(Module) ++ ".src"]),
    {ok, Forms} = epp:parse_file(File, [{source_name, File}]),
    {ok, Module, Code} = compile:forms(Forms, [return_errors]),
    {module, Module} = code:load_binary(Module, File, Code).

unload_double(Before) ->
    ok = apply(hb_double, stop, []),
    _ = [begin code:purge(Module), true = code:delete(Module) end || Module <- ?DOUBLE],
    use(Before).

%% A value in the private part of a message, in whichever host.
private(Path, Message) ->
    wasmbeam_host:private_get(Path, Message, #{}).

read_module(Name) ->
    {ok, Text} = file:read_file(filename:join([folder(), "modules", Name])),
    Text.

shared_module(Name) ->
    file:read_file(shared_file(Name)).

shared_file(Name) ->
    filename:join([shared_folder(), "modules", Name]).

%% Runs an example in a VM of its own, with the application as it was compiled for the tests.
run_example(Name, Arguments) ->
    Example = filename:join([folder(), "..", "..", "examples", Name]),
    Libraries = filename:dirname(filename:dirname(filename:dirname(code:which(wasmbeam)))),
    Port = open_port({spawn_executable, os:find_executable("escript")},
                     [{args, [Example | Arguments]}, {env, [{"ERL_LIBS", Libraries}]}, binary,
                      stderr_to_stdout, use_stdio, exit_status]),
    test_port:collect(Port).

%% The tests of a module that is not part of the project, or one that says why there are none.
with_shared(Name, Tests) ->
    case shared_module(Name) of
        {ok, Image} -> Tests(Image);
        {error, Reason} ->
            Text = io_lib:format("skipped: ~ts is not in ~ts: ~tp (see WASMBEAM_SHARED)",
                                 [Name, shared_folder(), Reason]),
            {lists:flatten(Text), fun() -> ?debugMsg(Text) end}
    end.

shared_folder() ->
    case os:getenv("WASMBEAM_SHARED") of
        false -> filename:join(filename:dirname(wasmbeam_spec:root()), "shared");
        Folder -> Folder
    end.

%% This file is compiled where it is: its source tells the folder.
folder() ->
    filename:dirname(proplists:get_value(source, module_info(compile))).
