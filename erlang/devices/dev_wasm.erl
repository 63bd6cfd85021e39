%% @doc `WASM-64@1.0': runs a WebAssembly module on messages.
%%
%% `[in]' is the message's `input-prefix', `[out]' its `output-prefix'; both may be absent.
%%
%% <ul>
%% <li>`init' starts an instance of the image in `[in]/image': the id of one in the cache, a message
%%   with it in `body', or its bytes; else of that in `body'. `[in]/Mode' is `WASM', or `AOT' where
%%   the node's option `wasm_allow_aot' is set. Private: `[out]/instance', `[out]/import-resolver',
%%   `[out]/read', `[out]/write'.</li>
%% <li>`compute' calls `function' with `parameters', each from the request's `body', the request or
%%   the message, when `pass' is 1 or absent. It sets `results/[out]/type' and
%%   `results/[out]/output'.</li>
%% <li>`import' is what the guest's imports become: it resolves
%%   `[out]/stdlib/Module/Function' with the message in `state'. What is not there is noted in
%%   `results/[out]/undefined-calls', and its result is 0.</li>
%% <li>`snapshot' gives the instance's state in `body'; `normalize' makes an instance of the state in
%%   `snapshot/body' (`snapshot/[device-key]/body' in a stack), where there is none.</li>
%% <li>`terminate' ends the instance.</li>
%% </ul>
-module(dev_wasm).

-export([info/2, init/3, compute/3, import/3, snapshot/3, normalize/3, terminate/3, instance/3]).
-export([default_import_resolver/3, cache_wasm_image/1, cache_wasm_image/2]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

-type message() :: wasmbeam_host:message().
-type opts() :: wasmbeam_host:opts().

%% @doc `instance' is for devices, not a key of messages.
-spec info(message(), opts()) -> map().
info(_Message, _Opts) ->
    #{exports => [init, compute, import, snapshot, normalize, terminate], excludes => [instance]}.

%% @equiv cache_wasm_image(File, #{})
-spec cache_wasm_image(file:filename_all()) -> message().
cache_wasm_image(File) ->
    cache_wasm_image(File, #{}).

%% @doc A message of this device with an image out of a file, for people at a shell.
-spec cache_wasm_image(file:filename_all(), opts()) -> message().
cache_wasm_image(File, Opts) ->
    {ok, Image} = file:read_file(File),
    {ok, Id} = wasmbeam_host:cache_write(#{<<"body">> => Image}, Opts),
    #{<<"device">> => <<"WASM-64@1.0">>, <<"image">> => Id}.

%% @doc Starts an instance.
-spec init(message(), message(), opts()) -> wasmbeam_host:outcome().
init(Message, Request, Opts) ->
    case {pass(Message, Opts), instance(Message, Request, Opts)} of
        {Pass, Instance} when Pass > 1, Instance =/= not_found -> {ok, Message};
        _ -> start(Message, Request, Opts)
    end.

start(Message, Request, Opts) ->
    case dev_wasm_image:find(Message, Request, Opts) of
        {ok, Image, Mode} ->
            %% Whoever has the message resolves its keys; nobody else has the handle.
            case hb_beamr:start(Image, Mode, 0) of
                {ok, Instance, Imports, _Exports} ->
                    {ok, with_instance(Instance, Imports, Message, Request, Opts)};
                {error, Reason} ->
                    wasmbeam_fault:from(Reason)
            end;
        {error, _} = Error ->
            Error
    end.

with_instance(Instance, Imports, Message, Request, Opts) ->
    Prefix = dev_stack:prefix(Message, Request, Opts),
    wasmbeam_host:private_set(Message, #{
        <<Prefix/binary, "/imports">> => imports(Imports),
        <<Prefix/binary, "/instance">> => Instance,
        <<Prefix/binary, "/import-resolver">> => fun ?MODULE:default_import_resolver/3,
        <<Prefix/binary, "/read">> =>
            fun(Offset, Size) -> hb_beamr_io:read(Instance, Offset, Size) end,
        <<Prefix/binary, "/write">> =>
            fun(Offset, Bytes) -> hb_beamr_io:write(Instance, Offset, Bytes) end
    }, Opts).

imports(Imports) ->
    Modules = [Module || {func, Module, _, _} <- Imports],
    case lists:member("wasi_snapshot_preview1", Modules) of
        true -> wasi;
        false when Modules =:= [] -> none;
        false -> other
    end.

%% @doc Calls a function of the guest.
-spec compute(message(), message(), opts()) -> wasmbeam_host:outcome().
compute(Message, Request, Opts) ->
    case pass(Message, Opts) of
        1 ->
            case normalize(Message, Request, Opts) of
                {ok, Ready} -> call(Ready, Request, Opts);
                {error, _} = Error -> Error
            end;
        _ ->
            {ok, Message}
    end.

pass(Message, Opts) ->
    wasmbeam_host:get(<<"pass">>, ?PLAIN(Message), 1, Opts).

call(Message, Request, Opts) ->
    case dev_wasm_call:find(Message, Request, Opts) of
        {ok, Function, Parameters} -> call(Function, Parameters, Message, Request, Opts);
        {error, _} = Error -> Error
    end.

call(Function, Parameters, Message, Request, Opts) ->
    Prefix = dev_stack:prefix(Message, Request, Opts),
    Private = fun(Key) -> wasmbeam_host:private_get([Prefix, Key], Message, Opts) end,
    Resolver = Private(<<"import-resolver">>),
    Instance = Private(<<"instance">>),
    Imports = Private(<<"imports">>),
    Outcome = case Imports of
        none ->
            hb_beamr:call(Instance, Function, Parameters, undefined, Message, Opts);
        _ ->
            case Imports =:= wasi
                     andalso dev_wasi_native:serves(Prefix, Resolver, Message, Opts) of
                true -> dev_wasi_native:call(Instance, Function, Parameters, Prefix, Message, Opts);
                false -> hb_beamr:call(Instance, Function, Parameters, Resolver, Message, Opts)
            end
    end,
    case Outcome of
        {ok, Results, Next} -> {ok, results(Results, Imports, Prefix, Next, Opts)};
        {error, throw, {exit, 0}, _Stack, Next} ->
            {ok, results([], Imports, Prefix, Next, Opts)};
        {error, {exit, #{status := 0}}, Next} ->
            {ok, results([], Imports, Prefix, Next, Opts)};
        Failure -> dev_wasm_call:fault(Failure)
    end.

results(Results, wasi, Prefix, Message, Opts) ->
    results(Results, Prefix, dev_wasi_world:settle(Prefix, Message, Opts), Opts);
results(Results, _Imports, Prefix, Message, Opts) ->
    results(Results, Prefix, Message, Opts).

results(Results, Prefix, Message, Opts) ->
    wasmbeam_host:set(Message, #{
        <<"results/", Prefix/binary>> => #{<<"type">> => ok, <<"output">> => Results}
    }, Opts).

%% @doc What serves the guest's imports where the message has nothing else in its private part: its
%% own key `import'. The state is the message.
-spec default_import_resolver(message(), hb_beamr:import_request(), opts()) ->
    {ok, [wasmbeam:value()], message()}.
default_import_resolver(Message, #{module := Module, func := Function, args := Args,
                                   func_sig := Signature}, Opts) ->
    Request = #{<<"path">> => <<"import">>,
                <<"module">> => unicode:characters_to_binary(Module),
                <<"func">> => unicode:characters_to_binary(Function),
                <<"args">> => Args,
                <<"func-sig">> => unicode:characters_to_binary(Signature)},
    case wasmbeam_host:resolve(Message, Request, Opts) of
        {ok, Answer} ->
            {ok, wasmbeam_host:get(<<"results">>, ?PLAIN(Answer), Opts),
             wasmbeam_host:get(<<"state">>, ?PLAIN(Answer), Opts)};
        {error, #{<<"class">> := <<"exit">>, <<"exit-status">> := Status}} ->
            throw({exit, Status});
        {error, #{<<"class">> := <<"trap">>, <<"code">> := <<"signal">>} = Fault} ->
            throw({error, Fault});
        {error, Reason} ->
            throw(dev_wasm_call:import_fault(Module, Function, Reason))
    end.

%% @doc Resolves a function that the guest imports.
-spec import(message(), message(), opts()) -> wasmbeam_host:outcome().
import(Message, Request, Opts) ->
    Prefix = dev_stack:prefix(Message, Request, Opts),
    Module = wasmbeam_host:get(<<"module">>, ?PLAIN(Request), Opts),
    Function = wasmbeam_host:get(<<"func">>, ?PLAIN(Request), Opts),
    Library = wasmbeam_host:get([Prefix, <<"stdlib">>, Module], ?PLAIN(Message), Opts),
    case served(Library, Function, Message, Request, Opts) of
        {error, not_found} -> undefined_call(Prefix, Message, Request, Opts);
        Outcome -> Outcome
    end.

served(Library, Function, Message, Request, Opts) when is_map(Library) ->
    wasmbeam_host:resolve(wasmbeam_host:replace(Library, #{<<"state">> => Message}, Opts),
                          Request#{<<"path">> => Function}, Opts);
served(_Library, _Function, _Message, _Request, _Opts) ->
    {error, not_found}.

undefined_call(Prefix, Message, Request, Opts) ->
    Path = <<"results/", Prefix/binary, "/undefined-calls">>,
    Calls = case wasmbeam_host:load(wasmbeam_host:get(Path, ?PLAIN(Message), [], Opts), Opts) of
        List when is_list(List) -> List;
        Numbered when is_map(Numbered) ->
            [Call || {_, Call} <- wasmbeam_message:in_order(Numbered)]
    end,
    Call = wasmbeam_host:set(Request, #{<<"path">> => unset}, Opts),
    {ok, #{<<"state">> => wasmbeam_host:replace(Message, #{Path => Calls ++ [Call]}, Opts),
           <<"results">> => [0]}}.

%% @doc The state of the instance.
-spec snapshot(message(), message(), opts()) -> wasmbeam_host:outcome().
snapshot(Message, Request, Opts) ->
    case instance(Message, Request, Opts) of
        not_found ->
            no_instance();
        Instance ->
            case hb_beamr:serialize(Instance) of
                {ok, State} -> {ok, #{<<"body">> => State}};
                {error, Reason} -> wasmbeam_fault:from(Reason)
            end
    end.

%% @doc Makes sure that there is an instance: of the snapshot, where there is none.
-spec normalize(message(), message(), opts()) -> wasmbeam_host:outcome().
normalize(Message, Request, Opts) ->
    Snapshot = wasmbeam_host:get(<<"snapshot">>, ?PLAIN(Message), Opts),
    case {instance(Message, Request, Opts), Snapshot} of
        {not_found, not_found} -> no_instance();
        {not_found, _} -> without_snapshot(restore(Message, Request, Opts), Opts);
        {_Instance, not_found} -> {ok, Message};
        {Instance, _} ->
            %% One that has ended with its process goes on from the snapshot.
            case hb_beamr_registry:is_live(Instance) of
                true -> without_snapshot({ok, Message}, Opts);
                false -> without_snapshot(restore(Message, Request, Opts), Opts)
            end
    end.

without_snapshot({ok, Message}, Opts) ->
    {ok, wasmbeam_host:set(Message, #{<<"snapshot">> => unset}, Opts)};
without_snapshot({error, _} = Error, _Opts) ->
    Error.

restore(Message, Request, Opts) ->
    Place = wasmbeam_host:get(<<"device-key">>, ?PLAIN(Message), <<>>, Opts),
    case wasmbeam_host:get([<<"snapshot">>, Place, <<"body">>], ?PLAIN(Message), Opts) of
        State when is_binary(State) ->
            case start(Message, Request, Opts) of
                {ok, Started} -> restore_into(Started, State, Request, Opts);
                {error, _} = Error -> Error
            end;
        _ ->
            no_instance()
    end.

restore_into(Message, State, Request, Opts) ->
    Instance = instance(Message, Request, Opts),
    case hb_beamr:deserialize(Instance, State) of
        ok ->
            {ok, Message};
        {error, Reason} ->
            _ = hb_beamr:stop(Instance),
            wasmbeam_fault:from(Reason)
    end.

no_instance() ->
    wasmbeam_fault:new(bad_request, "no instance and no snapshot of one: init was not run", []).

%% @doc Ends the instance.
-spec terminate(message(), message(), opts()) -> wasmbeam_host:outcome().
terminate(Message, Request, Opts) ->
    case instance(Message, Request, Opts) of
        not_found ->
            {ok, Message};
        Instance ->
            %% One that has ended already is what was asked for.
            _ = hb_beamr:stop(Instance),
            Prefix = dev_stack:prefix(Message, Request, Opts),
            Keys = [<<"instance">>, <<"import-resolver">>, <<"read">>, <<"write">>,
                    <<"imports">>, <<"wasi-world">>],
            Unset = maps:from_list([{<<Prefix/binary, "/", Key/binary>>, unset} || Key <- Keys]),
            {ok, wasmbeam_host:private_set(Message, Unset, Opts)}
    end.

%% @doc The handle of the instance, as {@link hb_beamr} takes it.
-spec instance(message(), message(), opts()) -> hb_beamr:handle() | not_found.
instance(Message, Request, Opts) ->
    Prefix = dev_stack:prefix(Message, Request, Opts),
    wasmbeam_host:private_get([Prefix, <<"instance">>], Message, Opts).
