%% @doc Calls of guests whose WASI no device overrides: the native implementation serves them, on the
%% message's files.
%%
%% The files go into the instance at the first function of WASI that the guest calls, and come out
%% when the call ends, or before another import is served: whoever serves that has the message as it
%% is then.
-module(dev_wasi_native).

-export([serves/4, call/6]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).
-define(LIBRARY, <<"wasi_snapshot_preview1">>).
-define(DEVICE, <<"WASI@1.0">>).

-type message() :: wasmbeam_host:message().
-type opts() :: wasmbeam_host:opts().

%% @doc Whether the guest's WASI is that of {@link dev_wasi}, and nothing else.
-spec serves(binary(), Resolver :: term(), message(), opts()) -> boolean().
serves(Prefix, Resolver, Message, Opts) ->
    Resolver =:= fun dev_wasm:default_import_resolver/3
        andalso is_own(wasmbeam_host:get([Prefix, <<"stdlib">>, ?LIBRARY], ?PLAIN(Message), Opts), Opts)
        andalso wasmbeam_host:is_device(?DEVICE, dev_wasi, Opts).

is_own(Library, Opts) when is_map(Library) ->
    case wasmbeam_host:load(Library, Opts) of
        #{<<"device">> := Device} = Loaded when is_binary(Device), map_size(Loaded) =:= 1 ->
            wasmbeam_path:lowercase(Device) =:= wasmbeam_path:lowercase(?DEVICE);
        _ ->
            false
    end;
is_own(_Library, _Opts) ->
    false.

%% @doc As {@link hb_beamr:call/6}, with the message as the state.
-spec call(hb_beamr:handle(), hb_beamr:function_ref(), [wasmbeam:value()], Prefix :: binary(),
           message(), opts()) -> hb_beamr_imports:outcome().
call(Instance, Function, Parameters, Prefix, Message, Opts) ->
    Import = fun(State, Request, _) -> import(State, Request, Prefix, Opts) end,
    case hb_beamr:call(Instance, Function, Parameters, Import, {outside, Message}, Opts) of
        {ok, Results, State} -> with_message(State, Instance, Prefix, Opts, fun(Next) ->
                                    {ok, Results, Next}
                                end);
        {error, Reason, State} -> with_message(State, Instance, Prefix, Opts, fun(Next) ->
                                      {error, Reason, Next}
                                  end);
        {error, Class, Reason, Stack, State} ->
            with_message(State, Instance, Prefix, Opts, fun(Next) ->
                {error, Class, Reason, Stack, Next}
            end)
    end.

with_message(State, Instance, Prefix, Opts, Outcome) ->
    case outside(State, Instance, Prefix, Opts) of
        {ok, Message} -> Outcome(Message);
        {error, Fault, Message} -> {error, throw, {error, Fault}, [], Message}
    end.

import(State, #{module := "wasi_snapshot_preview1", func := Name} = Request, Prefix, Opts) ->
    case State of
        {inside, _Token, _World, _Message} ->
            {default, State};
        {outside, Message} ->
            case wasmbeam_world:has_function(unicode:characters_to_binary(Name)) of
                true -> {default, inside(Message, Request, Prefix, Opts)};
                false -> other(Message, Request, Opts)
            end
    end;
import(State, #{instance := Instance} = Request, Prefix, Opts) ->
    case outside(State, Instance, Prefix, Opts) of
        {ok, Message} -> other(Message, Request, Opts);
        {error, Fault, _Message} -> throw({error, Fault})
    end.

other(Message, Request, Opts) ->
    {ok, Results, Next} = dev_wasm:default_import_resolver(Message, Request, Opts),
    {ok, Results, {outside, Next}}.

inside(Message, #{module := Module, func := Name, instance := Instance}, Prefix, Opts) ->
    Token = erlang:unique_integer([positive]),
    Entered = case dev_wasi_world:find(Prefix, Message, Opts) of
        {ok, World} -> {World, enter(Instance, dev_wasi_world:world(World), Token)};
        {error, _} = Error -> {none, Error}
    end,
    case Entered of
        {Files, ok} -> {inside, Token, Files, Message};
        {_, {error, Reason}} -> throw(dev_wasm_call:import_fault(Module, Name, Reason))
    end.

enter(Handle, World, Token) ->
    Enter = fun(Instance) -> wasmbeam_world:enter(Instance, World, Token) end,
    case hb_beamr_registry:with(Handle, Enter) of
        ok -> ok;
        {error, Reason} -> wasmbeam_fault:from(Reason)
    end.

%% The message with what the guest did to its files.
outside({outside, Message}, _Handle, _Prefix, _Opts) ->
    {ok, Message};
outside({inside, Token, Before, Message}, Handle, Prefix, Opts) ->
    Leave = fun(Instance) -> wasmbeam_world:leave(Instance, Token) end,
    case hb_beamr_registry:with(Handle, Leave) of
        {ok, World, Output} ->
            {ok, dev_wasi_world:put_back(World, Output, Before, Prefix, Message, Opts)};
        none ->
            {error, Fault} = wasmbeam_fault:new(
                interrupted, "the files are not in the instance any more", []),
            {error, Fault, Message};
        {error, Reason} ->
            {error, Fault} = wasmbeam_fault:from(Reason),
            {error, Fault, Message}
    end.
