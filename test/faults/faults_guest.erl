%% @doc Guests that take their time or wait in an import, and processes that call them: for use in a
%% child VM.
-module(faults_guest).

-export([busy/0, waiting_instance/1, release/0, handled_by/1]).
-export([caller/3, caller/4, answer/1, wait_for/2, wait_for_line/2]).

%% @doc A module with calls that run, wait, and return.
-spec busy() -> binary().
busy() ->
    File = filename:join(child_vm:fixtures(faults_calls_SUITE), "busy.wat"),
    {ok, Text} = file:read_file(File),
    Text.

%% @doc An instance whose `wait' import waits until `release/0'.
-spec waiting_instance(wasmbeam:start_options()) -> wasmbeam:instance().
waiting_instance(Options) ->
    Self = self(),
    Wait = fun([N]) ->
        Self ! {waiting, self()},
        receive go -> [N] end
    end,
    {ok, I} = wasmbeam:start(busy(), maps:merge(handled_by(Wait), Options)),
    I.

%% @doc Lets the call go on that waits in the import.
-spec release() -> ok.
release() ->
    receive {waiting, Pid} -> Pid ! go, ok end.

%% @doc Options with which a fun answers the `wait' import.
-spec handled_by(fun()) -> map().
handled_by(Handler) ->
    #{imports => #{<<"env">> => #{<<"wait">> => Handler}}}.

%% @equiv caller(I, Function, Args, #{})
-spec caller(wasmbeam:instance(), wasmbeam:func(), list()) -> pid().
caller(I, Function, Args) ->
    caller(I, Function, Args, #{}).

%% @doc A process that makes a call.
-spec caller(wasmbeam:instance(), wasmbeam:func(), list(), wasmbeam:call_options()) -> pid().
caller(I, Function, Args, Options) ->
    Self = self(),
    spawn(fun() -> Self ! {self(), wasmbeam:call(I, Function, Args, Options)} end).

%% @doc What the call gave.
-spec answer(pid()) -> term().
answer(Pid) ->
    receive {Pid, Answer} -> Answer end.

-spec wait_for(atom(), wasmbeam:instance()) -> ok.
wait_for(State, I) ->
    child_vm:wait_until(fun() -> maps:get(state, wasmbeam:info(I)) =:= State end).

-spec wait_for_line(non_neg_integer(), wasmbeam:instance()) -> ok.
wait_for_line(Length, I) ->
    child_vm:wait_until(fun() -> maps:get(queue_length, wasmbeam:info(I)) >= Length end).
