%% @doc What the tests of the API share: modules, processes at a known point of a call.
-module(wasmbeam_fixture).

-export([source/1, start/1, start/2, answers/2, not_instances/0, temporary_folder/0]).
-export([spawn_call/3, spawn_call/4, result/1, gate/0, gate/1, open/1, spinning/0, await/1]).

%% @doc The text of a module in `fixtures'.
-spec source(string()) -> binary().
source(Name) ->
    {ok, Text} = file:read_file(filename:join([folder(), "fixtures", Name ++ ".wat"])),
    Text.

folder() ->
    Installed = filename:join([code:lib_dir(wasmbeam), "test", "api"]),
    case filelib:is_dir(filename:join(Installed, "fixtures")) of
        true -> Installed;
        false -> filename:dirname(proplists:get_value(source, ?MODULE:module_info(compile)))
    end.

-spec start(iodata()) -> wasmbeam:instance().
start(Source) ->
    start(Source, #{}).

-spec start(iodata(), map()) -> wasmbeam:instance().
start(Source, Options) ->
    {ok, Instance} = wasmbeam:start(iolist_to_binary(Source), Options),
    Instance.

%% @doc The class of an error of the promised shape.
-spec answers(atom(), term()) -> boolean().
answers(Class, {error, {Class, #{message := Message}} = Reason}) when is_binary(Message) ->
    is_binary(wasmbeam:format_error(Reason)) andalso byte_size(Message) > 0;
answers(_Class, _Answer) ->
    false.

%% @doc A new folder, which the test removes.
-spec temporary_folder() -> file:filename().
temporary_folder() ->
    Name = io_lib:format("wasmbeam-~s-~b", [os:getpid(), erlang:unique_integer([positive])]),
    Folder = filename:join(os:getenv("TMPDIR", "/tmp"), lists:flatten(Name)),
    ok = file:make_dir(Folder),
    Folder.

%% @doc Terms that are no handle of an instance.
-spec not_instances() -> [term()].
not_instances() ->
    {ok, Module} = wasmbeam:compile(<<"(module)">>),
    Port = hd(erlang:ports()),
    [Module, make_ref(), self(), Port, fun() -> ok end, undefined, 0, 1.5, <<"instance">>, "instance",
     [], {}, #{}, {'$wasmbeam', make_ref(), #{}}, {'$wasmbeam', Module, #{}},
     {'$wasmbeam', instance, #{}}, {'$wasmbeam', self()}].

%% @doc Calls a function in a process of its own.
-spec spawn_call(wasmbeam:instance(), wasmbeam:func(), list()) -> {pid(), reference()}.
spawn_call(Instance, Function, Args) ->
    spawn_call(Instance, Function, Args, #{}).

-spec spawn_call(wasmbeam:instance(), wasmbeam:func(), list(), map()) -> {pid(), reference()}.
spawn_call(Instance, Function, Args, Options) ->
    spawn_monitor(fun() -> exit({result, wasmbeam:call(Instance, Function, Args, Options)}) end).

%% @doc What a spawned process came to.
-spec result({pid(), reference()}) -> term().
result({Pid, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Pid, {result, Result}} -> Result;
        {'DOWN', Monitor, process, Pid, Reason} -> {died, Reason}
    end.

%% @doc The function of an import that tells this process that it was reached, and waits.
-spec gate() -> fun().
gate() ->
    gate(fun(_Args, _Context) -> [] end).

-spec gate(fun()) -> fun().
gate(Then) ->
    Test = self(),
    fun(Args, Context) ->
        Test ! {at_gate, self(), Args},
        receive open -> Then(Args, Context) end
    end.

-spec open(pid()) -> open.
open(Pid) ->
    Pid ! open.

%% @doc An instance whose `spin' reaches the import `env.entered' and never ends then.
-spec spinning() -> binary().
spinning() ->
    <<"(module
         (import \"env\" \"entered\" (func $entered))
         (memory (export \"memory\") 1)
         (func (export \"spin\") call $entered (loop $again br $again))
         (func (export \"pass\") call $entered)
         (func (export \"answer\") (result i32) i32.const 42))">>.

%% @doc Waits for a condition that comes true without the test doing anything further.
-spec await(fun(() -> boolean())) -> ok.
await(Condition) ->
    case Condition() of
        true -> ok;
        false -> erlang:yield(), await(Condition)
    end.
