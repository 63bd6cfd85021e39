%% @doc `patch@1.0': moves what is at one path of a message to another.
%%
%% `all' moves everything that is at `from' to `to'; `patches', which is also what `compute' does,
%% only the messages that have `method' `PATCH' or the device `patch@1.0', without that key. Both
%% are looked for as `patch-from' and `from' in the message, then in the request, and are
%% `results/outbox' and `/' where they are not given. A path that begins with `base:' or `req:' is
%% one in the message, which is the default, or in the request.
-module(dev_patch).

-export([info/1, init/3, compute/3, normalize/3, snapshot/3, all/3, patches/3]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

-type message() :: wasmbeam_host:message().
-type opts() :: wasmbeam_host:opts().

%% @doc The keys of the device.
-spec info(message()) -> map().
info(_Message) ->
    #{exports => [init, compute, normalize, snapshot, all, patches]}.

%% @doc Nothing to prepare.
-spec init(message(), message(), opts()) -> {ok, message()}.
init(Message, _Request, _Opts) -> {ok, Message}.

%% @doc As {@link patches/3}.
-spec compute(message(), message(), opts()) -> wasmbeam_host:outcome().
compute(Message, Request, Opts) -> patches(Message, Request, Opts).

%% @doc Nothing to restore.
-spec normalize(message(), message(), opts()) -> {ok, message()}.
normalize(Message, _Request, _Opts) -> {ok, Message}.

%% @doc Nothing to save.
-spec snapshot(message(), message(), opts()) -> {error, not_found}.
snapshot(_Message, _Request, _Opts) -> {error, not_found}.

%% @doc Moves everything.
-spec all(message(), message(), opts()) -> wasmbeam_host:outcome().
all(Message, Request, Opts) ->
    move(fun(Source) -> {maps:to_list(Source), unset} end, Message, Request, Opts).

%% @doc Moves the patches.
-spec patches(message(), message(), opts()) -> wasmbeam_host:outcome().
patches(Message, Request, Opts) ->
    move(fun(Source) -> split(Source, Opts) end, Message, Request, Opts).

%% The values to set, and what remains in the place where they were. The later of two patches counts.
split(Source, Opts) ->
    IsPatch = fun(Value) -> is_map(Value) andalso is_patch(Value, Opts) end,
    Patches = [{Key, Value} || {Key, Value} <- wasmbeam_message:in_order(Source), IsPatch(Value)],
    Values = [Pair || {_, Patch} <- Patches,
                      Pair <- maps:to_list(maps:without([<<"method">>, <<"device">>, <<"path">>,
                                                         <<"commitments">>], Patch))],
    {Values, maps:without([Key || {Key, _} <- Patches], Source)}.

is_patch(Message, Opts) ->
    is_word(<<"patch">>, wasmbeam_host:get(<<"method">>, ?PLAIN(Message), Opts))
        orelse is_word(<<"patch@1.0">>, wasmbeam_host:device(Message, Opts)).

is_word(Word, Value) ->
    is_binary(Value) andalso wasmbeam_path:lowercase(Value) =:= Word.

move(Select, Message, Request, Opts) ->
    {FromMessage, From} = place(<<"from">>, <<"results/outbox">>, Message, Request, Opts),
    {ToMessage, To} = place(<<"to">>, <<"/">>, Message, Request, Opts),
    Base = case FromMessage of base -> Message; request -> Request end,
    Source = wasmbeam_host:get(From, ?PLAIN(Base), Opts),
    case {wasmbeam_host:load(Source, Opts), ToMessage} of
        {_, request} ->
            wasmbeam_fault:new(bad_request, "patches cannot go to the request", []);
        {not_found, _} ->
            {ok, Message};
        {Loaded, base} when is_map(Loaded) ->
            {Values, Rest} = Select(Loaded),
            Cleared = case FromMessage of
                base -> wasmbeam_host:replace(Message, #{From => Rest}, Opts);
                request -> Message
            end,
            {ok, lists:foldl(fun({Key, Value}, Patched) ->
                                 wasmbeam_host:set(Patched, #{path(To, Key) => Value}, Opts)
                             end, Cleared, Values)};
        {Other, base} ->
            wasmbeam_fault:new(bad_argument, "expected messages to move at ~ts, not ~0tP",
                               [From, Other, 10])
    end.

path(To, Key) ->
    wasmbeam_path:to_binary(wasmbeam_path:keys(To) ++ [Key]).

place(Key, Default, Message, Request, Opts) ->
    Found = first([{Message, <<"patch-", Key/binary>>}, {Message, Key},
                   {Request, <<"patch-", Key/binary>>}, {Request, Key}], Default, Opts),
    case Found of
        <<"base:", Path/binary>> -> {base, Path};
        <<"req:", Path/binary>> -> {request, Path};
        Path when is_binary(Path) -> {base, Path}
    end.

first([{Message, Key} | Places], Default, Opts) ->
    case wasmbeam_host:get(Key, ?PLAIN(Message), Opts) of
        not_found -> first(Places, Default, Opts);
        Path -> Path
    end;
first([], Default, _Opts) ->
    Default.
