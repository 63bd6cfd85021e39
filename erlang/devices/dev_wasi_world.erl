%% @doc The files and descriptors of a message as a world that WASI runs on, and back.
%%
%% The world that a message's files were made of is kept in its private part, with these files, so
%% that nothing is made anew as long as nobody else changes them. Nothing depends on it: a message
%% without it, out of the cache, comes to the same.
-module(dev_wasi_world).

-export([initial_files/0, initial_descriptors/0, find/3, world/1, put_back/6, settle/3]).

-export_type([t/0]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

-record(world, {
    world :: wasmbeam_world:world(),
    files :: wasmbeam_world:tree(),
    descriptors :: descriptors(),
    %% How much of the standard input is still to be read.
    stdin_left :: non_neg_integer(),
    settings :: wasmbeam_world:settings(),
    %% As it was before the guest was called.
    base :: wasmbeam_world:world()
}).

-opaque t() :: #world{}.
-type descriptors() :: #{binary() => wasmbeam_host:message()}.
-type message() :: wasmbeam_host:message().
-type opts() :: wasmbeam_host:opts().

%% @doc The files that every guest finds.
-spec initial_files() -> wasmbeam_world:tree().
initial_files() ->
    #{<<"dev">> => #{<<"stdin">> => <<>>, <<"stdout">> => <<>>, <<"stderr">> => <<>>}}.

%% @doc What every guest finds open: the standard streams, and the root directory.
-spec initial_descriptors() -> descriptors().
initial_descriptors() ->
    Open = fun(Name) -> #{<<"filename">> => Name, <<"offset">> => 0} end,
    #{<<"0">> => Open(<<"/dev/stdin">>), <<"1">> => Open(<<"/dev/stdout">>),
      <<"2">> => Open(<<"/dev/stderr">>), <<"3">> => (Open(<<"/">>))#{<<"preopen">> => <<"/">>}}.

%% @doc The world of a message, whose private part has it under that prefix.
-spec find(binary(), message(), opts()) -> {ok, t()} | wasmbeam_fault:t().
find(Prefix, Message, Opts) ->
    Files = part(<<"vfs">>, Message, initial_files(), Opts),
    Descriptors = part(<<"file-descriptors">>, Message, initial_descriptors(), Opts),
    Settings = settings(Message, Opts),
    case wasmbeam_host:private_get(place(Prefix), Message, Opts) of
        #world{files = Files, descriptors = Descriptors, settings = Settings} = Known ->
            {ok, Known};
        #world{world = World, files = Files, descriptors = Descriptors} = Known ->
            case wasmbeam_world:set(World, Settings) of
                {ok, Set} -> {ok, Known#world{world = Set, base = Set, settings = Settings}};
                {error, Reason} -> wasmbeam_fault:from(Reason)
            end;
        _ ->
            make(Files, Descriptors, Settings)
    end.

place(<<>>) -> <<"wasi-world">>;
place(Prefix) -> <<Prefix/binary, "/wasi-world">>.

part(Key, Message, Initial, Opts) ->
    case wasmbeam_host:load(wasmbeam_host:get(Key, ?PLAIN(Message), Opts), Opts) of
        Part when is_map(Part) -> Part;
        _ -> Initial
    end.

settings(Message, Opts) ->
    {arguments(Message, Opts), environment(Message, Opts), clock(Message, Opts)}.

arguments(Message, Opts) ->
    case wasmbeam_host:load(wasmbeam_host:get(<<"arguments">>, ?PLAIN(Message), Opts), Opts) of
        Arguments when is_list(Arguments) -> [text(Argument) || Argument <- Arguments];
        _ -> []
    end.

environment(Message, Opts) ->
    case wasmbeam_host:load(wasmbeam_host:get(<<"environment">>, ?PLAIN(Message), Opts), Opts) of
        Variables when is_map(Variables) ->
            [{text(Name), text(Value)}
             || {Name, Value} <- lists:sort(maps:to_list(Variables)), Name =/= <<"device">>];
        _ -> []
    end.

text(Value) when is_binary(Value) -> Value;
text(Value) -> unicode:characters_to_binary(io_lib:format("~0tp", [Value])).

clock(Message, Opts) ->
    case wasmbeam_host:get(<<"timestamp">>, ?PLAIN(Message), Opts) of
        Milliseconds when is_integer(Milliseconds), Milliseconds >= 0,
                          Milliseconds < 1 bsl 44 -> {fixed, Milliseconds * 1000000};
        _ -> system
    end.

make(Given, Descriptors, Settings) ->
    case {with_streams(Given), open_files(Descriptors)} of
        {{ok, Files}, {ok, Opens}} ->
            Stdin = stream(<<"stdin">>, Files),
            Unread = drop(Stdin, position(Opens)),
            case wasmbeam_world:new(Files, Unread, Opens, Settings) of
                {ok, {World, Opened}} ->
                    Sizes = sizes(streams(Files), byte_size(Unread)),
                    {ok, #world{world = World, files = Files,
                                descriptors = entries(Opened, Sizes, Descriptors),
                                stdin_left = byte_size(Unread), settings = Settings,
                                base = World}};
                {error, Reason} ->
                    refused(odd(Files, []), Reason)
            end;
        {{error, _} = Error, _} ->
            Error;
        {_, {error, _} = Error} ->
            Error
    end.

%% The standard streams always have a file.
with_streams(Files) ->
    Devices = maps:get(<<"dev">>, Files, #{}),
    #{<<"dev">> := Streams} = initial_files(),
    case is_map(Devices) andalso maps:merge(Streams, Devices) of
        #{<<"stdin">> := Stdin, <<"stdout">> := Stdout, <<"stderr">> := Stderr} = All
          when is_binary(Stdin), is_binary(Stdout), is_binary(Stderr) ->
            {ok, Files#{<<"dev">> => All}};
        _ ->
            wasmbeam_fault:new(bad_argument, "expected the files stdin, stdout and stderr at vfs/dev, "
                               "not ~0tP", [Devices, 20], #{<<"path">> => <<"vfs/dev">>})
    end.

refused({odd, Path, Value}, _Reason) ->
    Where = wasmbeam_path:to_binary([<<"vfs">> | lists:reverse(Path)]),
    wasmbeam_fault:new(bad_argument, "expected a file (a binary) or a directory (a message) at ~ts, "
                       "not ~0tP", [Where, Value, 10], #{<<"path">> => Where});
refused(none, {Class, #{message := Message} = Info}) ->
    wasmbeam_fault:from({Class, Info#{message => <<"vfs, file-descriptors, arguments or environment: ",
                                                   Message/binary>>}}).

%% What is neither a file nor a directory.
odd(File, _Path) when is_binary(File) -> none;
odd(Directory, Path) when is_map(Directory), length(Path) < 300 ->
    maps:fold(fun(Name, Entry, none) -> odd(Entry, [Name | Path]);
                 (_Name, _Entry, Found) -> Found
              end, none, Directory);
odd(Directory, _Path) when is_map(Directory) -> none;
odd(Other, Path) -> {odd, [name(Name) || Name <- Path], Other}.

name(Name) when is_binary(Name) -> Name;
name(Name) -> text(Name).

open_files(Descriptors) ->
    Public = [Pair || {Key, _} = Pair <- lists:sort(maps:to_list(Descriptors)),
                      Key =/= <<"device">>, not wasmbeam_path:is_private(Key)],
    open_files(Public, []).

open_files([{Key, Entry} | Entries], Opens) ->
    case open_file(string:to_integer(Key), Entry) of
        {ok, Open} ->
            open_files(Entries, [Open | Opens]);
        error ->
            wasmbeam_fault:new(bad_argument, "expected a descriptor, with a filename and an offset, at "
                               "file-descriptors/~ts, not ~0tP", [Key, Entry, 20],
                               #{<<"path">> => <<"file-descriptors/", Key/binary>>})
    end;
open_files([], Opens) ->
    {ok, lists:reverse(Opens)}.

open_file({Fd, <<>>}, #{<<"filename">> := Name} = Entry)
  when is_integer(Fd), Fd >= 0, Fd < 1 bsl 32, is_binary(Name), Name =/= <<>> ->
    Numbers = [maps:get(<<"offset">>, Entry, 0), maps:get(<<"flags">>, Entry, 0),
               maps:get(<<"rights">>, Entry, 0), maps:get(<<"inheriting-rights">>, Entry, 0)],
    Preopen = maps:get(<<"preopen">>, Entry, none),
    case lists:all(fun is_u63/1, Numbers) andalso (Preopen =:= none orelse is_binary(Preopen)) of
        true ->
            [Offset, Flags, Base, Inheriting] = Numbers,
            Rights = case Entry of
                #{<<"rights">> := _} -> {Base, Inheriting};
                #{} -> none
            end,
            {ok, {Fd, Name, Offset, Flags band 31, Preopen, Rights}};
        false ->
            error
    end;
open_file(_Number, _Entry) ->
    error.

is_u63(Number) -> is_integer(Number) andalso Number >= 0 andalso Number < 1 bsl 63.

%% How far the standard input has been read.
position(Opens) ->
    case [Offset || {_, <<"/dev/stdin">>, Offset, _, _, _} <- Opens] of
        [Offset | _] -> Offset;
        [] -> 0
    end.

drop(Bytes, Count) when Count < byte_size(Bytes) -> binary:part(Bytes, Count, byte_size(Bytes) - Count);
drop(_Bytes, _Count) -> <<>>.

streams(Files) ->
    {stream(<<"stdin">>, Files), stream(<<"stdout">>, Files), stream(<<"stderr">>, Files)}.

stream(Name, #{<<"dev">> := Devices}) -> map_get(Name, Devices).

%% Where reading and writing the streams go on.
sizes({Stdin, Stdout, Stderr}, Left) ->
    #{<<"/dev/stdin">> => byte_size(Stdin) - Left, <<"/dev/stdout">> => byte_size(Stdout),
      <<"/dev/stderr">> => byte_size(Stderr)}.

%% The descriptors as messages; what else there was in one of a file stays.
entries(Opened, Sizes, Before) ->
    maps:from_list([entry(Open, Sizes, Before) || Open <- Opened]).

entry({Fd, Name, Offset, Flags, Preopen, Rights}, Sizes, Before) ->
    Key = integer_to_binary(Fd),
    Old = case Before of
        #{Key := #{<<"filename">> := Name} = Entry} ->
            maps:without([<<"flags">>, <<"preopen">>, <<"rights">>, <<"inheriting-rights">>], Entry);
        #{} ->
            #{}
    end,
    Given = [{<<"flags">>, Flags} || Flags =/= 0]
        ++ [{<<"preopen">>, Preopen} || Preopen =/= none]
        ++ case Rights of
               none -> [];
               {Base, Inheriting} -> [{<<"rights">>, Base}, {<<"inheriting-rights">>, Inheriting}]
           end,
    {Key, maps:merge(Old#{<<"filename">> => Name, <<"offset">> => maps:get(Name, Sizes, Offset)},
                     maps:from_list(Given))}.

%% @doc The world itself.
-spec world(t()) -> wasmbeam_world:world().
world(#world{world = World}) -> World.

%% @doc The message with the files and descriptors of the world that one has become.
-spec put_back(wasmbeam_world:world(), wasmbeam_world:output(), t(), binary(), message(), opts()) ->
    message().
put_back(World, {Out, Err, Left}, Before, Prefix, Message, Opts) ->
    #world{world = Earlier, files = Files, descriptors = Descriptors, stdin_left = OldLeft} = Before,
    {Stdin, Stdout, Stderr} = streams(Files),
    Streams = {Stdin, appended(Stdout, Out), appended(Stderr, Err)},
    Changed = Out =/= <<>> orelse Err =/= <<>> orelse Left =/= OldLeft,
    {Tree, Opened} = wasmbeam_world:describe(World, Earlier, Files, Streams, Changed),
    NewFiles = case Tree of
        same -> Files;
        _ -> Tree
    end,
    NewDescriptors = case Opened of
        same -> Descriptors;
        _ -> entries(Opened, sizes(Streams, Left), Descriptors)
    end,
    After = Before#world{world = World, files = NewFiles, descriptors = NewDescriptors,
                         stdin_left = Left},
    remember(After, Prefix, with_parts(NewFiles, NewDescriptors, Message, Opts), Opts).

appended(Stream, <<>>) -> Stream;
appended(Stream, Bytes) -> <<Stream/binary, Bytes/binary>>.

with_parts(Files, Descriptors, Message, Opts) ->
    Parts = [{<<"vfs">>, Files}, {<<"file-descriptors">>, Descriptors}],
    Changed = [Pair || {Key, Part} = Pair <- Parts,
                       wasmbeam_host:load(wasmbeam_host:get(Key, ?PLAIN(Message), Opts), Opts)
                           =/= Part],
    case Changed of
        [] -> Message;
        _ -> wasmbeam_host:replace(Message, maps:from_list(Changed), Opts)
    end.

remember(World, Prefix, Message, Opts) ->
    wasmbeam_host:private_set(Message, #{place(Prefix) => World}, Opts).

%% @doc The message after a call of the guest: files that nothing leads to are gone for good.
-spec settle(binary(), message(), opts()) -> message().
settle(Prefix, Message, Opts) ->
    case wasmbeam_host:private_get(place(Prefix), Message, Opts) of
        #world{world = World, base = Base} = Known when World =/= Base ->
            Settled = wasmbeam_world:settle(World, Base),
            remember(Known#world{world = Settled, base = Settled}, Prefix, Message, Opts);
        _ ->
            Message
    end.
