%% @doc Where a message has the image that {@link dev_wasm} runs.
-module(dev_wasm_image).

-export([find/3]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

%% @doc The bytes of the image, and how they are to be taken.
-spec find(wasmbeam_host:message(), wasmbeam_host:message(), wasmbeam_host:opts()) ->
    {ok, binary(), hb_beamr:mode()} | {error, term()}.
find(Message, Request, Opts) ->
    Prefix = dev_stack:input_prefix(Message, Request, Opts),
    Path = [Prefix, <<"image">>],
    Source = case wasmbeam_host:get(Path, ?PLAIN(Message), Opts) of
        not_found -> {<<"body">>, wasmbeam_host:get(<<"body">>, ?PLAIN(Message), Opts)};
        Found -> {<<Prefix/binary, "/image">>, Found}
    end,
    case {image(Source, Opts), mode(Prefix, Message, Opts)} of
        {{ok, Image}, {ok, Mode}} -> {ok, Image, Mode};
        {{error, _} = Error, _} -> Error;
        {_, {error, _} = Error} -> Error
    end.

image({_Path, not_found}, _Opts) ->
    wasmbeam_fault:new(not_found, "no image to run, neither in image nor in body", []);
image({Path, Message}, Opts) when is_map(Message) ->
    case wasmbeam_host:get(<<"body">>, ?PLAIN(Message), Opts) of
        Image when is_binary(Image) -> {ok, Image};
        _ -> wasmbeam_fault:new(bad_argument, "the message at ~ts has no image in body", [Path])
    end;
image({Path, Id}, Opts) when is_binary(Id) ->
    case wasmbeam_path:is_id(Id) of
        false -> {ok, Id};
        true ->
            case wasmbeam_host:cache_read(Id, Opts) of
                {ok, Cached} -> image({Path, not_an_id(Cached)}, Opts);
                not_found ->
                    wasmbeam_fault:new(not_found, "the image ~ts at ~ts is not in the cache",
                                       [Id, Path], #{<<"id">> => Id});
                {error, _} = Error -> Error
            end
    end;
image({_Path, {image, Image}}, _Opts) ->
    {ok, Image};
image({Path, Other}, _Opts) ->
    wasmbeam_fault:new(bad_argument, "expected an image at ~ts, not ~0tP", [Path, Other, 10]).

not_an_id(Image) when is_binary(Image) -> {image, Image};
not_an_id(Message) -> Message.

mode(Prefix, Message, Opts) ->
    Mode = wasmbeam_host:get([Prefix, <<"mode">>], ?PLAIN(Message), <<"wasm">>, Opts),
    case is_binary(Mode) andalso wasmbeam_path:lowercase(Mode) of
        %% Without a prefix this is the key in which a stack has its own mode.
        Wasm when Wasm =:= <<"wasm">>; Wasm =:= <<"fold">>; Wasm =:= <<"map">> ->
            {ok, wasm};
        <<"aot">> ->
            case wasmbeam_host:option(wasm_allow_aot, false, Opts) of
                true -> {ok, aot};
                _ -> wasmbeam_fault:new(not_permitted, "precompiled images are not allowed here: "
                                        "the option wasm_allow_aot is not set", [])
            end;
        _ ->
            wasmbeam_fault:new(bad_argument, "expected WASM or AOT in mode, not ~0tP", [Mode, 10])
    end.
