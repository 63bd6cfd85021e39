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

-export([info/1, handle/4, prefix/3, input_prefix/3, output_prefix/3]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

%% @doc All keys are the stack's.
-spec info(wasmbeam_host:message()) -> map().
info(_Message) ->
    #{handler => fun ?MODULE:handle/4}.

%% @doc What devices put before the paths that they write to: `output-prefix'.
-spec prefix(wasmbeam_host:message(), wasmbeam_host:message(), wasmbeam_host:opts()) -> binary().
prefix(Message, _Request, Opts) ->
    wasmbeam_host:get(<<"output-prefix">>, ?PLAIN(Message), <<>>, Opts).

%% @equiv prefix(Message, Request, Opts)
-spec output_prefix(wasmbeam_host:message(), wasmbeam_host:message(), wasmbeam_host:opts()) ->
    binary().
output_prefix(Message, Request, Opts) ->
    prefix(Message, Request, Opts).

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
        Keys -> is_among(Name, in_order(wasmbeam_host:load(Keys, Opts)))
    end.

is_among(Name, [Name | _]) -> true;
is_among(Name, [Key | Keys]) ->
    wasmbeam_path:is_same(wasmbeam_path:key(Key), Name) orelse is_among(Name, Keys);
is_among(_Name, []) -> false.

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
    {ok, numbered(Stack)};
devices(Stack) when is_map(Stack) ->
    {ok, places(Stack)};
devices(Stack) ->
    wasmbeam_fault:new(bad_argument, "expected a list of devices in device-stack, not ~0tP",
                       [Stack, 10]).

places(Message) ->
    [Place || {Key, _} = Place <- wasmbeam_message:in_order(Message),
              Key =/= <<"device">>, not wasmbeam_path:is_private(Key)].

fold(Devices, Message, Request, Opts) ->
    Context = context(Message, Opts),
    case pass(1, Devices, Context, Message, Request, Opts) of
        {Status, Result} when is_map(Result), Status =/= error ->
            {Status, restored(Context, Result, Opts)};
        Outcome ->
            Outcome
    end.

pass(Pass, Devices, Context, Message, Request, Opts) ->
    case fold_devices(Devices, #{<<"pass">> => Pass}, Context, Message, Request, Opts) of
        {pass, Next} ->
            case wasmbeam_host:get(<<"allow-multipass">>, ?PLAIN(Message), true, Opts) of
                Refused when Refused =:= false; Refused =:= <<"false">> -> {pass, Next};
                _ -> pass(Pass + 1, Devices, Context, Next, Request, Opts)
            end;
        Outcome ->
            Outcome
    end.

%% `Updates' come with the first device.
fold_devices([{Place, Device} | Devices], Updates, Context, Message, Request, Opts) ->
    Placed = placed(Place, Device, Updates, Context, Message, Opts),
    case wasmbeam_host:resolve(Placed, Request, Opts) of
        {ok, Next} when is_map(Next) -> fold_devices(Devices, #{}, Context, Next, Request, Opts);
        {ok, Value} -> {ok, Value};
        {skip, Next} -> {ok, Next};
        {pass, Next} -> {pass, Next};
        {error, not_found} -> fold_devices(Devices, #{}, Context, Placed, Request, Opts);
        {error, Reason} -> {error, located(Place, Reason)}
    end;
fold_devices([], _Updates, _Context, Message, _Request, _Opts) ->
    {ok, Message}.

map(Devices, Message, Request, Opts) ->
    map(Devices, context(Message, Opts), Message, Request, #{}, Opts).

map([{Place, Device} | Devices], Context, Message, Request, Results, Opts) ->
    Placed = placed(Place, Device, #{}, Context, Message, Opts),
    case wasmbeam_host:resolve(Placed, Request, Opts) of
        {ok, Result} -> map(Devices, Context, Message, Request, Results#{Place => Result}, Opts);
        {error, Reason} when Reason =/= not_found -> {error, located(Place, Reason)};
        _ -> map(Devices, Context, Message, Request, Results, Opts)
    end;
map([], _Context, _Message, _Request, Results, _Opts) ->
    {ok, Results}.

%% The innermost stack knows best.
located(Place, #{<<"class">> := _} = Fault) -> maps:merge(#{<<"device-key">> => Place}, Fault);
located(_Place, Reason) -> Reason.

%% What a stack changes while its devices run.
context(Message, Opts) ->
    Plain = ?PLAIN(Message),
    #{before => #{<<"device">> => wasmbeam_host:device(Message, Opts),
                  <<"pass">> => wasmbeam_host:get(<<"pass">>, Plain, unset, Opts),
                  <<"device-key">> => wasmbeam_host:get(<<"device-key">>, Plain, unset, Opts)},
      prefixes => prefixes(<<"input-prefix">>, <<"input-prefixes">>, Plain, Opts)
                      ++ prefixes(<<"output-prefix">>, <<"output-prefixes">>, Plain, Opts)}.

%% Where all places have the same one, it is the message's own.
prefixes(Key, Keys, Plain, Opts) ->
    case wasmbeam_host:get(Keys, Plain, Opts) of
        not_found ->
            [];
        Places ->
            Own = wasmbeam_host:get(Key, Plain, unset, Opts),
            [{Key, Own, numbered(wasmbeam_host:load(Places, Opts))}]
    end.

%% The message as the device in that place sees it.
placed(Place, Device, Updates, #{prefixes := Prefixes}, Message, Opts) ->
    Own = lists:foldl(fun({Key, All, Places}, Acc) -> Acc#{Key => of_place(Place, Places, All)} end,
                      Updates#{<<"device">> => Device, <<"device-key">> => Place}, Prefixes),
    wasmbeam_host:replace(Message, Own, Opts).

of_place(Place, [{Place, Prefix} | _], _All) -> Prefix;
of_place(Place, [_ | Places], All) -> of_place(Place, Places, All);
of_place(_Place, [], All) -> All.

numbered(List) when is_list(List) ->
    lists:zip([integer_to_binary(N) || N <- lists:seq(1, length(List))], List);
numbered(Message) when is_map(Message) ->
    maps:to_list(Message);
numbered(_Other) ->
    [].

restored(#{before := Before, prefixes := Prefixes}, Message, Opts) ->
    All = maps:from_list([{Key, Own} || {Key, Own, _} <- Prefixes]),
    wasmbeam_host:replace(Message, maps:merge(Before, All), Opts).

%% A message that answers each place with itself, of that device.
transformer(Message) ->
    Handler = fun(Place, _Transformer, _Request, Opts) ->
        case wasmbeam_host:get([<<"device-stack">>, Place], ?PLAIN(Message), Opts) of
            not_found ->
                wasmbeam_fault:new(not_found, "no device ~ts in the device-stack", [Place]);
            Device ->
                Loaded = wasmbeam_host:load(Device, Opts),
                {ok, placed(Place, Loaded, #{}, context(Message, Opts), Message, Opts)}
        end
    end,
    #{<<"device">> => #{info => fun() -> #{handler => Handler} end}}.
