%% @doc What {@link dev_wasm} is to call, and how a call's failure is told.
-module(dev_wasm_call).

-export([find/3, fault/1, import_fault/3]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

%% @doc The function and its parameters.
-spec find(wasmbeam_host:message(), wasmbeam_host:message(), wasmbeam_host:opts()) ->
    {ok, binary(), [term()]} | {error, term()}.
find(Message, Request, Opts) ->
    Places = places(wasmbeam_host:get(<<"body">>, ?PLAIN(Request), Opts), Message, Request),
    Function = first(<<"function">>, Places, Opts),
    Parameters = wasmbeam_host:load(first(<<"parameters">>, Places, Opts), Opts),
    case {Function, list(Parameters)} of
        {Name, {ok, List}} when is_binary(Name) ->
            {ok, Name, List};
        {not_found, _} ->
            wasmbeam_fault:new(bad_request, "no function to call: the key function is neither in "
                               "the request's body, nor in the request, nor in the message", []);
        {Name, _} when not is_binary(Name) ->
            wasmbeam_fault:new(bad_argument, "expected the name of a function, not ~0tP",
                               [Name, 10]);
        {Name, error} ->
            wasmbeam_fault:new(bad_argument, "expected a list of parameters for ~ts, not ~0tP",
                               [Name, Parameters, 10])
    end.

places(Body, Message, Request) when is_map(Body) -> [Body, Request, Message];
places(_NoMessage, Message, Request) -> [Request, Message].

first(Key, [Message | Places], Opts) ->
    case wasmbeam_host:get(Key, ?PLAIN(Message), Opts) of
        not_found -> first(Key, Places, Opts);
        Value -> Value
    end;
first(_Key, [], _Opts) ->
    not_found.

%% A list may come back from a store as a message with numbered keys.
list(not_found) -> {ok, []};
list(Parameters) when is_list(Parameters), length(Parameters) >= 0 -> {ok, Parameters};
list(Parameters) when is_map(Parameters) ->
    Keys = [integer_to_binary(N) || N <- lists:seq(1, map_size(Parameters))],
    case lists:all(fun(Key) -> is_map_key(Key, Parameters) end, Keys) of
        true -> {ok, [map_get(Key, Parameters) || Key <- Keys]};
        false -> error
    end;
list(_Other) -> error.

%% @doc A failure of {@link hb_beamr:call/6} as an error message.
-spec fault(tuple()) -> {error, wasmbeam_host:message()}.
fault({error, throw, {error, _} = Fault, _Stack, _State}) -> Fault;
fault({error, throw, {exit, Status}, _Stack, _State}) -> exited(Status);
fault({error, Class, Reason, _Stack, _State}) ->
    wasmbeam_fault:from_exception(Class, Reason, "an import failed", []);
fault({error, Reason, _State}) ->
    wasmbeam_fault:from(Reason).

exited(Status) ->
    wasmbeam_fault:new(exit, "the guest exited with status ~0tp", [Status],
                       #{<<"exit-status">> => Status}).

%% @doc Why an import failed.
-spec import_fault(string(), string(), term()) -> {error, wasmbeam_host:message()}.
import_fault(Module, Function, Reason) ->
    wasmbeam_fault:new(import_failed, "the import ~ts.~ts failed: ~ts",
                       [Module, Function, wasmbeam_fault:message(Reason)],
                       #{<<"module">> => unicode:characters_to_binary(Module),
                         <<"name">> => unicode:characters_to_binary(Function)}).
