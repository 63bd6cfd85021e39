%% @doc `stack@1.0': several devices in the place of one.
%%
%% `device-stack' holds them, as a list or as a message with the keys `1', `2', ... A key is resolved
%% by each in turn, with `mode' (of the request, else of the message):
%% <ul>
%% <li>`Fold', the default: each gets the message that the one before answered. A device that lacks
%%   the key is left out; an answer that is no message ends the stack, and so does an error. `skip'
%%   ends it too, with the message so far; `pass' starts again with the first device, and `pass' in
%%   the message counts from 1 (unless `allow-multipass' is `false').</li>
%% <li>`Map': each gets the message as it came, and the answer is a message of their answers, by
%%   their keys in the stack.</li>
%% </ul>
%% With `stack-keys' only these keys go to the stack, and all others are those of the message.
%%
%% While a device runs, the message's `device' and `device-key' are its name and its place,
%% `input-prefix' and `output-prefix' are what `input-prefixes' and `output-prefixes' hold for that
%% place. Afterwards all of them are what they were.
%%
%% `transform/Place/key' resolves a key by one device of the stack.
-module(dev_stack).

-export([info/1, handle/4, prefix/3, input_prefix/3]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).
%% What, with the device, a device of the stack finds changed, and nobody else does.
-define(CONTEXT, [<<"device-key">>, <<"input-prefix">>, <<"output-prefix">>,
                  <<"pass">>]).

%% @doc All keys are the stack's.
-spec info(wasmbeam_host:message()) -> map().
info(_Message) ->
    #{handler => fun ?MODULE:handle/4}.

%% @doc What devices put before the paths that they write to: `output-prefix'.
-spec prefix(wasmbeam_host:message(), wasmbeam_host:message(), wasmbeam_host:opts()) -> binary().
prefix(Message, _Request, Opts) ->
    wasmbeam_host:get(<<"output-prefix">>, ?PLAIN(Message), <<>>, Opts).

%% @doc What devices put before the paths that they read: `input-prefix'.
-spec input_prefix(wasmbeam_host:message(), wasmbeam_host:message(), wasmbeam_host:opts()) ->
    binary().
input_prefix(Message, _Request, Opts) ->
    wasmbeam_host:get(<<"input-prefix">>, ?PLAIN(Message), <<>>, Opts).

%% @doc Resolves a key.
-spec handle(binary() | atom(), wasmbeam_host:message(), wasmbeam_host:message(),
             wasmbeam_host:opts()) -> wasmbeam_host:outcome().
handle(Key, Message, Request, Opts) ->
    Name = wasmbeam_path:lowercase(wasmbeam_path:key(Key)),
    case is_of_stack(Name, Message, Opts) of
        false -> wasmbeam_host:resolve(?PLAIN(Message), Request, Opts);
        true when Name =:= <<"transform">> -> {ok, transformer(Message)};
        true -> run(mode(Message, Request, Opts), Message, Request, Opts)
    end.

is_of_stack(Name, _Message, _Opts) when Name =:= <<"set">>; Name =:= <<"keys">>;
                                        Name =:= <<"get">>; Name =:= <<"remove">>;
                                        Name =:= <<"id">> ->
    false;
is_of_stack(<<"transform">>, _Message, _Opts) ->
    true;
is_of_stack(Name, Message, Opts) ->
    case wasmbeam_host:get(<<"stack-keys">>, ?PLAIN(Message), Opts) of
        not_found -> true;
        Keys -> lists:any(fun(Key) -> wasmbeam_path:lowercase(wasmbeam_path:key(Key)) =:= Name end,
                          in_order(wasmbeam_host:load(Keys, Opts)))
    end.

in_order(List) when is_list(List) -> List;
in_order(Numbered) when is_map(Numbered) -> [Value || {_, Value} <- places(Numbered)];
in_order(_) -> [].

mode(Message, Request, Opts) ->
    Mode = case wasmbeam_host:get(<<"mode">>, ?PLAIN(Request), Opts) of
        not_found -> wasmbeam_host:get(<<"mode">>, ?PLAIN(Message), <<"fold">>, Opts);
        Given -> Given
    end,
    case is_binary(Mode) andalso wasmbeam_path:lowercase(Mode) of
        <<"map">> -> map;
        _ -> fold
    end.

run(Mode, Message, Request, Opts) ->
    case wasmbeam_host:get(<<"device-stack">>, ?PLAIN(Message), Opts) of
        not_found ->
            wasmbeam_fault:new(bad_request, "a stack without a device-stack", []);
        Stack ->
            case devices(wasmbeam_host:load(Stack, Opts)) of
                {ok, Devices} when Mode =:= map -> map(Devices, Message, Request, Opts);
                {ok, Devices} -> fold(Devices, Message, Request, Opts);
                {error, _} = Error -> Error
            end
    end.

%% Each device with its place.
devices(Stack) when is_list(Stack) ->
    {ok, lists:zip([integer_to_binary(N) || N <- lists:seq(1, length(Stack))], Stack)};
devices(Stack) when is_map(Stack) ->
    {ok, places(Stack)};
devices(Stack) ->
    wasmbeam_fault:new(bad_argument, "expected a list of devices in device-stack, not ~0tP",
                       [Stack, 10]).

%% By number, not by text; other names come last.
places(Message) ->
    Numbered = [{number(Key), Key, Value} || {Key, Value} <- maps:to_list(Message),
                                             Key =/= <<"device">>,
                                             not wasmbeam_path:is_private(Key)],
    [{Key, Value} || {_, Key, Value} <- lists:sort(Numbered)].

number(Key) ->
    case string:to_integer(Key) of
        {Number, <<>>} when is_integer(Number) -> Number;
        _ -> infinity
    end.

fold(Devices, Message, Request, Opts) ->
    case pass(1, Devices, Message, Request, Opts) of
        {Status, Result} when is_map(Result), Status =/= error ->
            {Status, restored(Message, Result, Opts)};
        Outcome ->
            Outcome
    end.

pass(Pass, Devices, Message, Request, Opts) ->
    Counted = wasmbeam_host:set(Message, #{<<"pass">> => Pass}, Opts),
    case fold_devices(Devices, Message, Counted, Request, Opts) of
        {pass, Next} ->
            case wasmbeam_host:get(<<"allow-multipass">>, ?PLAIN(Message), true, Opts) of
                Refused when Refused =:= false; Refused =:= <<"false">> -> {pass, Next};
                _ -> pass(Pass + 1, Devices, restored_device(Message, Next, Opts), Request, Opts)
            end;
        Outcome ->
            Outcome
    end.

fold_devices([{Place, Device} | Devices], Stack, Message, Request, Opts) ->
    Placed = placed(Place, Device, Stack, Message, Opts),
    case wasmbeam_host:resolve(Placed, Request, Opts) of
        {ok, Next} when is_map(Next) -> fold_devices(Devices, Stack, Next, Request, Opts);
        {ok, Value} -> {ok, Value};
        {skip, Next} -> {ok, Next};
        {pass, Next} -> {pass, Next};
        {error, not_found} -> fold_devices(Devices, Stack, Placed, Request, Opts);
        {error, Reason} -> {error, located(Place, Reason)}
    end;
fold_devices([], _Stack, Message, _Request, _Opts) ->
    {ok, Message}.

map(Devices, Message, Request, Opts) ->
    map(Devices, Message, Request, #{}, Opts).

map([{Place, Device} | Devices], Message, Request, Results, Opts) ->
    case wasmbeam_host:resolve(placed(Place, Device, Message, Message, Opts), Request, Opts) of
        {ok, Result} -> map(Devices, Message, Request, Results#{Place => Result}, Opts);
        {error, Reason} when Reason =/= not_found -> {error, located(Place, Reason)};
        _ -> map(Devices, Message, Request, Results, Opts)
    end;
map([], _Message, _Request, Results, _Opts) ->
    {ok, Results}.

%% The innermost stack knows best.
located(Place, #{<<"class">> := _} = Fault) -> maps:merge(#{<<"device-key">> => Place}, Fault);
located(_Place, Reason) -> Reason.

%% The message as the device in that place sees it; `Stack' is the message as the stack got it.
placed(Place, Device, Stack, Message, Opts) ->
    wasmbeam_host:replace(Message, #{
        <<"device">> => Device,
        <<"device-key">> => Place,
        <<"input-prefix">> => own_prefix(<<"input-prefix">>, Place, Stack, Opts),
        <<"output-prefix">> => own_prefix(<<"output-prefix">>, Place, Stack, Opts)
    }, Opts).

own_prefix(Key, Place, Stack, Opts) ->
    case wasmbeam_host:get([<<Key/binary, "es">>, Place], ?PLAIN(Stack), Opts) of
        not_found -> wasmbeam_host:get(Key, ?PLAIN(Stack), unset, Opts);
        Prefix -> Prefix
    end.

restored(Before, Message, Opts) ->
    restored(?CONTEXT, Before, Message, Opts).

restored_device(Before, Message, Opts) ->
    restored(?CONTEXT -- [<<"pass">>], Before, Message, Opts).

restored(Keys, Before, Message, Opts) ->
    Values = maps:from_list(
        [{Key, wasmbeam_host:get(Key, ?PLAIN(Before), unset, Opts)} || Key <- Keys]),
    Device = wasmbeam_host:device(Before, Opts),
    wasmbeam_host:replace(Message, Values#{<<"device">> => Device}, Opts).

%% A message that answers each place with itself, of that device.
transformer(Message) ->
    Handler = fun(Place, _Transformer, _Request, Opts) ->
        case wasmbeam_host:get([<<"device-stack">>, Place], ?PLAIN(Message), Opts) of
            not_found ->
                wasmbeam_fault:new(not_found, "no device ~ts in the device-stack", [Place]);
            Device ->
                Loaded = wasmbeam_host:load(Device, Opts),
                {ok, placed(Place, Loaded, Message, Message, Opts)}
        end
    end,
    #{<<"device">> => #{info => fun() -> #{handler => Handler} end}}.
