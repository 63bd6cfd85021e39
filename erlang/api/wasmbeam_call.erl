%% @doc Drives guest code: in the calling process, one step at a time.
%%
%% A call is a loop over what the native library says is next: run the Erlang function of an import
%% and hand over its results, give the guest another time slice, wait for a turn at an instance that
%% is busy. The process can be killed between any two steps.
-module(wasmbeam_call).

-export([instance/2, call/3, call/4, instantiate/6, access/1, reference/1, copy/2, flush/1,
         deadline/1, remaining/1]).

-export_type([instance/0]).

-define(TAG, '$wasmbeam').

-opaque instance() :: {?TAG, wasmbeam_nif:instance_ref(), wasmbeam_imports:imports()}.
%% The implementations of the imports travel with the handle, so that the process that has it runs
%% them without a copy.

-type begin_step() :: fun(() -> wasmbeam_nif:step()).

-record(call, {
    instance :: instance(),
    start :: begin_step(),
    deadline = infinity :: integer() | infinity,
    imports = #{} :: map(),
    handler = undefined :: wasmbeam_imports:handler() | undefined,
    %% Why an import failed, to complete the error that the call ends with.
    failure = undefined :: undefined | wasmbeam:error_reason()
}).

%% @doc The handle of an instance.
-spec instance(wasmbeam_nif:instance_ref(), wasmbeam_imports:imports()) -> instance().
instance(Ref, Imports) ->
    {?TAG, Ref, Imports}.

%% @doc Calls a function of an instance: most calls end with their first step.
-spec call(instance(), wasmbeam:func(), [wasmbeam:value()]) ->
    {ok, [wasmbeam:value()]} | {error, wasmbeam:error_reason()}.
call({?TAG, Ref, _} = Instance, Function, Args) ->
    case wasmbeam_nif:call(Ref, Function, Args, infinity) of
        {ok, _} = Ok -> Ok;
        Step -> proceed(Step, Instance, Function, Args, #{})
    end.

%% @doc As `call/3', with options.
-spec call(instance(), wasmbeam:func(), [wasmbeam:value()], wasmbeam:call_options()) ->
    {ok, [wasmbeam:value()]} | {error, wasmbeam:error_reason()}.
call({?TAG, Ref, _} = Instance, Function, Args, Options) ->
    Step = wasmbeam_nif:call(Ref, Function, Args, maps:get(fuel, Options, infinity)),
    proceed(Step, Instance, Function, Args, Options).

%% Somebody wants to know of each call: it is yet to begin.
proceed(observed, Instance, Function, Args, Options) ->
    Start = starter(Instance, Function, Args, Options),
    wasmbeam_events:call(Instance, Function, fun() -> run(Instance, Start, Options) end);
%% A scheduler may not have the time.
proceed(later, {?TAG, Ref, _} = Instance, Function, Args, Options) ->
    Step = wasmbeam_nif:call_dirty(Ref, Function, Args, maps:get(fuel, Options, infinity)),
    proceed(Step, Instance, Function, Args, Options);
proceed(Step, Instance, Function, Args, Options) ->
    loop(Step, new(Instance, starter(Instance, Function, Args, Options), Options)).

starter({?TAG, Ref, _}, Function, Args, Options) ->
    Fuel = maps:get(fuel, Options, infinity),
    fun() ->
        case wasmbeam_nif:call_observed(Ref, Function, Args, Fuel) of
            later -> wasmbeam_nif:call_dirty(Ref, Function, Args, Fuel);
            Step -> Step
        end
    end.

%% @doc Instantiates: `Bindings' has an element for each import. The instance begins by its start
%% function, or with the state of a snapshot instead.
-spec instantiate(instance(), start | {snapshot, wasmbeam:snapshot()},
                  [wasmbeam_imports:binding()], trap | error, wasmbeam_wasi:world(), map()) ->
    {ok, [wasmbeam:value()]} | {error, wasmbeam:error_reason()}.
instantiate({?TAG, Ref, _} = Instance, start, Bindings, Unknown, World, Options) ->
    Start = fun() ->
        case wasmbeam_nif:instantiate(Ref, Bindings, Unknown, World) of
            later -> wasmbeam_nif:instantiate_dirty(Ref, Bindings, Unknown, World);
            Step -> Step
        end
    end,
    run(Instance, Start, Options);
instantiate({?TAG, Ref, _} = Instance, {snapshot, Snapshot}, Bindings, Unknown, World, Options) ->
    Start = fun() ->
        case wasmbeam_nif:instance_restore(Ref, Bindings, Unknown, World, Snapshot) of
            later -> wasmbeam_nif:instance_restore_dirty(Ref, Bindings, Unknown, World, Snapshot);
            Step -> Step
        end
    end,
    run(Instance, Start, Options).

%% @doc Does something that takes a moment only, when its turn has come.
-spec access(fun(() -> Answer | wasmbeam_nif:again())) ->
    Answer | {error, wasmbeam:error_reason()}.
access(Access) ->
    case Access() of
        again ->
            erlang:yield(),
            access(Access);
        {queued, Ticket} ->
            receive {?TAG, Ticket, turn} -> access(Access) end;
        Answer ->
            wasmbeam_error:normalize(Answer)
    end.

%% @doc The native handle of an instance.
-spec reference(term()) -> {ok, wasmbeam_nif:instance_ref()} | error.
reference({?TAG, Ref, _Imports}) when is_reference(Ref) -> {ok, Ref};
reference(_) -> error.

%% @doc The handle of an instance that has the same imports as another.
-spec copy(wasmbeam_nif:instance_ref(), instance()) -> instance().
copy(Ref, {?TAG, _, Imports}) -> {?TAG, Ref, Imports}.

%% @doc Has the output that the guest wrote reach its end, where it is kept until a line is complete.
-spec flush(instance()) -> ok.
flush({?TAG, _, Imports}) ->
    wasmbeam_wasi:flush(wasmbeam_imports:wasi(Imports)).

run(Instance, Start, Options) ->
    Call = new(Instance, Start, Options),
    loop(Start(), Call).

new({_, _, Imports} = Instance, Start, Options) ->
    Timeout = case Options of
        #{timeout := Given} -> Given;
        #{} -> wasmbeam_imports:timeout(Imports)
    end,
    #call{
        instance = Instance,
        start = Start,
        deadline = deadline(Timeout),
        imports = maps:get(imports, Options, #{}),
        handler = maps:get(import_handler, Options, undefined)
    }.

loop({ok, _} = Ok, _Call) ->
    Ok;
loop({error, {import_failed, _}}, #call{failure = {_, _} = Failure, instance = Instance}) ->
    ok = wasmbeam_events:failed(Instance, Failure),
    {error, Failure};
loop({error, _} = Error, #call{instance = Instance}) ->
    {error, Reason} = Normal = wasmbeam_error:normalize(Error),
    ok = wasmbeam_events:failed(Instance, Reason),
    Normal;
loop(yield, #call{instance = {_, Ref, _}} = Call) ->
    check_deadline(Call),
    loop(again(fun() -> resume(Ref) end), Call);
loop(blocks, #call{instance = {_, Ref, _}} = Call) ->
    check_deadline(Call),
    loop(again(fun() -> wasmbeam_nif:resume_blocking(Ref) end), Call);
loop({waiting, Ticket}, #call{instance = {_, Ref, _}, deadline = Deadline} = Call) ->
    receive {?TAG, Ticket, wake} -> ok after remaining(Deadline) -> ok end,
    check_deadline(Call),
    Step = again(fun() -> resume(Ref) end),
    ok = forget_wake(Ticket),
    loop(Step, Call);
loop({sync, Answer}, #call{instance = {_, Ref, _}} = Call) ->
    Written = wasmbeam_error:normalize(wasmbeam_nif:folders_write(Ref)),
    case {Answer, Written} of
        {_, ok} -> loop(Answer, Call);
        {{ok, _}, {error, _}} -> Written;
        {{error, {exit, _}}, {error, _}} -> Written;
        {{error, _}, {error, _}} -> loop(Answer, Call)
    end;
loop({import, Import, Args}, #call{instance = Instance} = Call) ->
    import(Instance, Import, Args, Call);
loop({import, Import, Args, Index}, #call{instance = {_, Ref, _}} = Call) ->
    case wasmbeam_nif:instance_sibling(Ref, Index) of
        {ok, {Sibling, Imports}} -> import({?TAG, Sibling, Imports}, Import, Args, Call);
        {error, _} = Stopped -> loop(Stopped, Call)
    end;
loop({question, Ticket, Question}, #call{instance = {_, _, Imports}} = Call) ->
    question(Ticket, Question, Imports, Call);
loop({question, Ticket, Question, Index}, #call{instance = {_, Ref, _}} = Call) ->
    case wasmbeam_nif:instance_sibling(Ref, Index) of
        {ok, {_Sibling, Imports}} -> question(Ticket, Question, Imports, Call);
        {error, _} = Stopped -> loop(Stopped, Call)
    end;
loop(again, #call{start = Start} = Call) ->
    erlang:yield(),
    loop(Start(), Call);
loop({queued, Ticket}, #call{start = Start} = Call) ->
    case await_turn(Ticket, Call) of
        turn -> loop(Start(), Call);
        timeout -> {error, wasmbeam_error:reason(timeout, "timed out waiting for the instance")}
    end.

%% Runs the function of an import that the guest waits in.
import({_, Importer, Imports} = Instance, Import, Args, Call) ->
    {{Module, Name}, Function, StartHandler} =
        wasmbeam_imports:find(Import, Imports, Call#call.imports),
    Context = #{instance => Instance, module => Module, name => Name},
    try
        if
            is_function(Function, 1) -> Function(Args);
            is_function(Function, 2) -> Function(Args, Context);
            true -> ask_handler(Call#call.handler, StartHandler, Importer, Import, Args, Context)
        end
    of
        default ->
            default(Call, fun() -> unknown(Context, Call) end);
        {default, Else} ->
            default(Call, fun() -> return(Importer, Import, Else, Context, Call) end);
        Results ->
            return(Importer, Import, Results, Context, Call)
    catch
        Class:Reason:Stack ->
            fail(failure(Class, Reason, Stack, Context), Call)
    end.

ask_handler(undefined, undefined, _Importer, _Import, _Args, _Context) ->
    default;
ask_handler(undefined, Handler, Importer, Import, Args, Context) ->
    ask_handler(Handler, undefined, Importer, Import, Args, Context);
ask_handler(Handler, _, Importer, Import, Args, Context) ->
    {ok, Type} = wasmbeam_nif:import_type(Importer, Import),
    Handler(Context#{args => Args, type => Type}).

return(Importer, Import, Results, Context, #call{instance = {_, Ref, _}} = Call) ->
    check_deadline(Call),
    case again(fun() -> import_return(Ref, Importer, Import, Results) end) of
        {bad_argument, Reason} -> fail(failure(error, {bad_results, Reason}, [], Context), Call);
        Step -> loop(Step, Call)
    end.

%% What the library itself provides under that name, if anything.
default(#call{instance = {_, Ref, _}} = Call, Else) ->
    check_deadline(Call),
    case again(fun() -> import_default(Ref) end) of
        undefined -> Else();
        Step -> loop(Step, Call)
    end.

unknown(#{module := Module, name := Name} = Context, Call) ->
    Message = io_lib:format("unknown import ~ts.~ts", [Module, Name]),
    Info = (maps:without([instance], Context))#{kind => func},
    fail(wasmbeam_error:reason(unknown_import, Message, Info), Call).

fail(Failure, #call{instance = {_, Ref, _}} = Call) ->
    check_deadline(Call),
    Step = again(fun() -> import_fail(Ref) end),
    loop(Step, Call#call{failure = Failure}).

failure(error, {bad_results, {_, #{message := Wrong}}} = Reason, [], Context) ->
    #{module := Module, name := Name} = Context,
    Message = io_lib:format("the function of import ~ts.~ts gave wrong results: ~ts",
                            [Module, Name, Wrong]),
    import_failed(Message, error, Reason, [], Context);
failure(Class, Reason, Stack, #{module := Module, name := Name} = Context) ->
    Message = io_lib:format("the function of import ~ts.~ts failed: ~ts",
                            [Module, Name, wasmbeam_error:exception(Class, Reason)]),
    import_failed(Message, Class, Reason, Stack, Context).

import_failed(Message, Class, Reason, Stack, #{module := Module, name := Name}) ->
    wasmbeam_error:reason(import_failed, Message,
                          #{module => Module, name => Name, class => Class, reason => Reason,
                            stacktrace => Stack}).

%% Does what a provided import waits for.
question(Ticket, Question, Imports, #call{instance = {_, Ref, _}, deadline = Deadline} = Call) ->
    Host = wasmbeam_imports:wasi(Imports),
    Answer = try
        {reply, wasmbeam_wasi:answer(Question, Host, Ticket, remaining(Deadline))}
    catch
        Class:Reason:Stack -> {failed, Class, Reason, Stack}
    end,
    case Answer of
        {reply, Reply} ->
            check_deadline(Call),
            Step = again(fun() -> reply(Ref, Reply) end),
            ok = forget_wake(Ticket),
            loop(Step, Call);
        {failed, FailedClass, FailedReason, FailedStack} ->
            ok = forget_wake(Ticket),
            Option = option(Question),
            Message = io_lib:format("the wasi option ~ts failed: ~0tp:~0tP",
                                    [Option, FailedClass, FailedReason, 15]),
            fail(wasmbeam_error:reason(import_failed, Message,
                                       #{key => Option, class => FailedClass,
                                         reason => FailedReason, stacktrace => FailedStack}),
                 Call)
    end.

%% A message that ends the wait may have come too late; after the reply there comes none.
forget_wake(Ticket) ->
    receive {?TAG, Ticket, wake} -> ok after 0 -> ok end.

option({wait, _, _}) -> stdin;
option({output, Stream, _}) -> Stream;
option(Question) -> element(1, Question).

%% A call that is too late ends at its next step.
check_deadline(#call{instance = {_, Ref, _}} = Call) ->
    _ = is_late(Call) andalso wasmbeam_nif:instance_interrupt(Ref, timeout),
    ok.

%% What a scheduler may not have the time for is done on a dirty one.
resume(Ref) ->
    case wasmbeam_nif:resume(Ref) of
        later -> wasmbeam_nif:resume_dirty(Ref);
        Step -> Step
    end.

import_return(Ref, Importer, Import, Results) ->
    case wasmbeam_nif:import_return(Ref, Importer, Import, Results) of
        later -> wasmbeam_nif:import_return_dirty(Ref, Importer, Import, Results);
        Step -> Step
    end.

import_default(Ref) ->
    case wasmbeam_nif:import_default(Ref) of
        later -> wasmbeam_nif:import_default_dirty(Ref);
        Step -> Step
    end.

import_fail(Ref) ->
    case wasmbeam_nif:import_fail(Ref) of
        later -> wasmbeam_nif:import_fail_dirty(Ref);
        Step -> Step
    end.

reply(Ref, Reply) ->
    case wasmbeam_nif:reply(Ref, Reply) of
        later -> wasmbeam_nif:reply_dirty(Ref, Reply);
        Step -> Step
    end.

again(Step) ->
    case Step() of
        again ->
            erlang:yield(),
            again(Step);
        Answer ->
            Answer
    end.

await_turn(Ticket, #call{deadline = infinity}) ->
    receive {?TAG, Ticket, turn} -> turn end;
await_turn(Ticket, #call{deadline = Deadline, instance = {_, Ref, _}}) ->
    receive
        {?TAG, Ticket, turn} -> turn
    after remaining(Deadline) ->
        _ = wasmbeam_nif:instance_leave_line(Ref, Ticket),
        %% It may have been told in the meantime.
        receive {?TAG, Ticket, turn} -> ok after 0 -> ok end,
        timeout
    end.

%% @doc When a time that begins now is over, in milliseconds of the monotonic clock.
-spec deadline(timeout()) -> integer() | infinity.
deadline(infinity) -> infinity;
deadline(Timeout) when is_integer(Timeout) -> erlang:monotonic_time(millisecond) + Timeout.

%% @doc How long it is until then.
-spec remaining(integer() | infinity) -> timeout().
remaining(infinity) -> infinity;
remaining(Deadline) when is_integer(Deadline) ->
    max(0, Deadline - erlang:monotonic_time(millisecond)).

is_late(#call{deadline = infinity}) -> false;
is_late(#call{deadline = Deadline}) -> erlang:monotonic_time(millisecond) >= Deadline.
