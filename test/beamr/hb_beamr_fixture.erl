%% @doc What the tests of hb_beamr share.
-module(hb_beamr_fixture).

-export([start/1, source/1, with/2, instance/1, ended/1, is_error/2]).

%% @doc The text of a module in `fixtures'.
-spec source(string()) -> binary().
source(Name) ->
    {ok, Text} = file:read_file(filename:join([folder(), "fixtures", Name ++ ".wat"])),
    Text.

folder() ->
    Installed = filename:join([code:lib_dir(wasmbeam), "test", "beamr"]),
    case filelib:is_dir(filename:join(Installed, "fixtures")) of
        true -> Installed;
        false -> filename:dirname(proplists:get_value(source, ?MODULE:module_info(compile)))
    end.

%% @doc A handle that ends with the last process that used it.
-spec start(string()) -> hb_beamr:handle().
start(Name) ->
    {ok, Handle, _Imports, _Exports} = hb_beamr:start(source(Name), wasm, 0),
    Handle.

%% @doc Runs a test with a handle, and ends it.
-spec with(string(), fun((hb_beamr:handle()) -> Result)) -> Result.
with(Name, Test) ->
    Handle = start(Name),
    try
        Test(Handle)
    after
        hb_beamr:stop(Handle)
    end.

%% @doc The instance that a handle stands for. It is not used by that.
-spec instance(hb_beamr:handle()) -> wasmbeam:instance().
instance(Handle) ->
    [{_, Instance, _}] = ets:lookup(hb_beamr_registry, Handle),
    Instance.

%% @doc Waits until a process has ended.
-spec ended(pid()) -> ok.
ended(Pid) ->
    Monitor = monitor(process, Pid),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

%% @doc Whether that is an error of a class, in the shape of all errors.
-spec is_error(atom(), term()) -> boolean().
is_error(Class, {error, {Class, #{message := Message}} = Reason}) when is_binary(Message) ->
    is_binary(wasmbeam:format_error(Reason));
is_error(_Class, _Answer) ->
    false.
