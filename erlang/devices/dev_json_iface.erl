%% @doc `JSON-Iface@1.0': runs AO processes, which take messages as JSON and answer in JSON.
%%
%% It stands before {@link dev_wasm} in a stack of two passes. In the first it writes the message (the
%% request's `body') and the environment (the `process') to the guest's memory, and sets `function'
%% to `handle' and `parameters' to the two addresses. In the second it reads the answer whose address
%% is in `results/[out]/output', and sets `results/data' and `results/outbox' (messages numbered from
%% 1), and `results/spawns', `results/assignments' where there are any. An answer with an error has
%% that in `results/data'.
-module(dev_json_iface).

-export([info/1, init/3, compute/3, message_to_json_struct/2, json_to_message/2]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

-type message() :: wasmbeam_host:message().
-type opts() :: wasmbeam_host:opts().

%% @doc The keys of the device.
-spec info(message()) -> map().
info(_Message) ->
    #{exports => [init, compute]}.

%% @doc Sets the function that AO processes have.
-spec init(message(), message(), opts()) -> {ok, message()}.
init(Message, _Request, Opts) ->
    {ok, wasmbeam_host:set(Message, #{<<"function">> => <<"handle">>}, Opts)}.

%% @doc Before the guest ran, or after it.
-spec compute(message(), message(), opts()) -> wasmbeam_host:outcome().
compute(Message, Request, Opts) ->
    case wasmbeam_host:get(<<"pass">>, ?PLAIN(Message), 1, Opts) of
        1 -> prepare(Message, Request, Opts);
        2 -> results(Message, Request, Opts);
        _ -> {ok, Message}
    end.

prepare(Message, Request, Opts) ->
    case dev_wasm:normalize(Message, Request, Opts) of
        {ok, Ready} ->
            Instance = dev_wasm:instance(Ready, Request, Opts),
            Texts = [message_text(Ready, Request, Opts), environment_text(Ready, Opts)],
            case write(Texts, Instance, []) of
                {ok, Addresses} ->
                    {ok, wasmbeam_host:replace(Ready, #{<<"function">> => <<"handle">>,
                                                        <<"parameters">> => Addresses}, Opts)};
                {error, _} = Error ->
                    Error
            end;
        {error, _} = Error ->
            Error
    end.

message_text(Message, Request, Opts) ->
    case wasmbeam_host:get(<<"body">>, ?PLAIN(Request), Opts) of
        Body when is_map(Body) ->
            Struct = message_to_json_struct(Body, Opts),
            Known = [{<<"Module">>, wasmbeam_host:get(<<"process/image">>, ?PLAIN(Message), Opts)},
                     {<<"Block-Height">>, height(Request, Opts)},
                     {<<"Timestamp">>, wasmbeam_host:get(<<"timestamp">>, ?PLAIN(Request), Opts)}],
            wasmbeam_json:encode(maps:merge(dev_json_message:texts(Known), Struct));
        _ ->
            wasmbeam_fault:new(bad_request, "no message for the process: body holds none", [])
    end.

height(Request, Opts) ->
    wasmbeam_host:get(<<"block-height">>, ?PLAIN(Request), Opts).

environment_text(Message, Opts) ->
    case wasmbeam_host:get(<<"process">>, ?PLAIN(Message), Opts) of
        Process when is_map(Process) ->
            wasmbeam_json:encode(#{<<"Process">> => message_to_json_struct(Process, Opts)});
        _ ->
            wasmbeam_fault:new(bad_request, "no process to run: process holds no message", [])
    end.

write([{ok, Text} | Texts], Instance, Addresses) ->
    case hb_beamr_io:write_string(Instance, Text) of
        {ok, Address} -> write(Texts, Instance, [Address | Addresses]);
        {error, Reason} -> wasmbeam_fault:from(Reason)
    end;
write([{error, Reason} | _], _Instance, _Addresses) ->
    wasmbeam_fault:from(Reason);
write([], _Instance, Addresses) ->
    {ok, lists:reverse(Addresses)}.

results(Message, Request, Opts) ->
    Prefix = dev_stack:prefix(Message, Request, Opts),
    Output = <<"results/", Prefix/binary, "/output">>,
    case wasmbeam_host:load(wasmbeam_host:get(Output, ?PLAIN(Message), Opts), Opts) of
        [Address | _] when is_integer(Address) ->
            answer(hb_beamr_io:read_string(dev_wasm:instance(Message, Request, Opts), Address),
                   Message, Opts);
        _ ->
            wasmbeam_fault:new(bad_request, "no answer of the guest in ~ts", [Output])
    end.

answer({ok, Text}, Message, Opts) ->
    case wasmbeam_json:decode(Text) of
        {ok, #{<<"ok">> := Ok, <<"response">> := Response}} when Ok =/= false ->
            {ok, with_results(dev_json_message:results(Response), Message, Opts)};
        {ok, #{<<"response">> := Response}} ->
            {ok, with_results(dev_json_message:results(#{<<"Error">> => Response}), Message, Opts)};
        {ok, Other} ->
            wasmbeam_fault:new(bad_json, "the guest's answer has no response: ~0tP", [Other, 20]);
        {error, {Class, #{message := Why} = Info}} ->
            wasmbeam_fault:from(
                {Class, Info#{message := <<"the guest's answer is no JSON: ", Why/binary>>}})
    end;
answer({error, Reason}, _Message, _Opts) ->
    wasmbeam_fault:from(Reason).

with_results(Results, Message, Opts) ->
    Updates = maps:from_list([{<<"results/", Key/binary>>, Value}
                              || {Key, Value} <- maps:to_list(Results)]),
    wasmbeam_host:replace(Message, Updates, Opts).

%% @doc A message as AO processes know them: some fields, and tags for all other keys.
-spec message_to_json_struct(message(), opts()) -> #{binary() => wasmbeam_json:value()}.
message_to_json_struct(Message, Opts) ->
    Id = case Message of
        #{<<"id">> := Given} when is_binary(Given) -> Given;
        %% Another device would make another message of it, with another id.
        #{} -> wasmbeam_host:get(<<"id">>, Message, <<>>, Opts)
    end,
    dev_json_message:struct(wasmbeam_host:load(Message, Opts), Id).

%% @doc The message that a field of an answer means; see {@link message_to_json_struct/2}.
-spec json_to_message(binary(), opts()) -> {ok, message()} | {error, term()}.
json_to_message(Text, _Opts) ->
    case wasmbeam_json:decode(Text) of
        {ok, Struct} when is_map(Struct) -> {ok, dev_json_message:message(Struct)};
        {ok, Other} -> wasmbeam_fault:new(bad_json, "expected an object, not ~0tP", [Other, 10]);
        {error, Reason} -> wasmbeam_fault:from(Reason)
    end.
