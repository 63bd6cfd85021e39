%% @doc The resolver of the embedded host: follows a path, one device after the other.
%%
%% A key is resolved by the device that the message names, or by `message@1.0'. A device is a module,
%% or a map of functions. Its keys are its exported functions, called with as many of (message,
%% request, options) as they take; its `info' may limit them (`exports', `excludes') or say what
%% resolves all keys (`handler') or the others (`default', a fun of the key and these three, or
%% `default_mod').
%%
%% Whatever a device raises becomes an error.
-module(wasmbeam_resolver).

-export([resolve/3]).

-define(MAX_KEYS, 1000).
%% Devices that resolve keys which they are asked for themselves would never end.
-define(MAX_DEPTH, 200).
-define(DEPTH, '$wasmbeam_depth').

%% @doc Resolves all keys of a request's path.
-spec resolve(wasmbeam_host:base(), wasmbeam_host:request(), wasmbeam_host:opts()) ->
    wasmbeam_host:outcome().
resolve(Base, Request, Opts) when is_map(Request) ->
    case wasmbeam_message:find(<<"path">>, Request) of
        {ok, Path} -> follow(Path, Base, Request, Opts);
        error -> wasmbeam_fault:new(bad_request, "a request without a path", [])
    end;
resolve(Base, {as, Device, Request}, Opts) ->
    resolve({as, Device, Base}, Request, Opts);
resolve(Base, Path, Opts) ->
    follow(Path, Base, #{}, Opts).

follow(Path, Base, Request, Opts) ->
    try wasmbeam_path:keys(Path) of
        Keys when length(Keys) =< ?MAX_KEYS -> walk(Keys, Base, Request, [], Opts);
        Keys -> wasmbeam_fault:new(too_deep, "a path of ~b keys, where ~b are possible",
                                   [length(Keys), ?MAX_KEYS])
    catch
        error:_ -> wasmbeam_fault:new(bad_path, "no path: ~0tP", [Path, 10])
    end.

walk([], {as, _Device, Base}, _Request, _Walked, _Opts) ->
    {ok, Base};
walk([], Base, _Request, _Walked, _Opts) ->
    {ok, Base};
walk([Key | Keys], Base, Request, Walked, Opts) ->
    case step(Key, Base, Request, Walked, Opts) of
        {ok, Next} when Keys =/= [] -> walk(Keys, Next, Request, [Key | Walked], Opts);
        Outcome -> Outcome
    end.

step(Key, Message, Request, Walked, Opts) when is_map(Message) ->
    case wasmbeam_message:find(<<"device">>, Message) of
        error -> plain(Key, Message, Request, Opts);
        {ok, Device} -> by_device(Device, Key, Message, Request, Walked, Opts)
    end;
step(Key, {as, <<"message@1.0">>, Message}, Request, _Walked, Opts) when is_map(Message) ->
    plain(Key, Message, Request, Opts);
step(Key, {as, Device, Base}, Request, Walked, Opts) ->
    case loaded(Base, Opts) of
        {ok, Message} when is_map(Message) ->
            case wasmbeam_devices:find(Device, Opts) of
                {ok, dev_message} -> plain(Key, Message, Request, Opts);
                _ -> as(Device, Key, Message, Request, Walked, Opts)
            end;
        {ok, Other} ->
            no_message(Key, Other, Walked);
        {error, _} = Error ->
            Error
    end;
step(Key, List, _Request, _Walked, _Opts) when is_list(List) ->
    case wasmbeam_message:find(Key, List) of
        {ok, Value} -> {ok, Value};
        error -> {error, not_found}
    end;
step(Key, Base, Request, Walked, Opts) ->
    case loaded(Base, Opts) of
        {ok, Message} when is_map(Message) -> step(Key, Message, Request, Walked, Opts);
        {ok, Other} -> no_message(Key, Other, Walked);
        {error, _} = Error -> Error
    end.

loaded(Base, Opts) ->
    case wasmbeam_path:is_id(Base) of
        false -> {ok, Base};
        true ->
            case wasmbeam_cache:read(Base, Opts) of
                not_found ->
                    wasmbeam_fault:new(not_found, "~ts is not in the cache", [Base],
                                       #{<<"id">> => Base});
                Answer ->
                    Answer
            end
    end.

no_message(Key, Value, Walked) ->
    Path = wasmbeam_path:to_binary(lists:reverse(Walked, [Key])),
    wasmbeam_fault:new(bad_path, "no ~ts in what is before it: that is ~ts", [Path, kind(Value)],
                       #{<<"path">> => Path}).

kind(Value) when is_binary(Value) -> io_lib:format("a binary of ~b bytes", [byte_size(Value)]);
kind(Value) when is_number(Value) -> "a number";
kind(Value) when is_atom(Value) -> io_lib:format("~0tp", [Value]);
kind(_Value) -> "no message".

%% The device is another one for this step only.
as(Device, Key, Message, Request, Walked, Opts) ->
    case step(Key, Message#{<<"device">> => Device}, Request, Walked, Opts) of
        {Status, #{<<"device">> := Device} = Result} when Status =/= error ->
            {Status, own_device(Message, Result)};
        Outcome ->
            Outcome
    end.

own_device(#{<<"device">> := Device}, Result) -> Result#{<<"device">> := Device};
own_device(_Message, Result) -> maps:remove(<<"device">>, Result).

by_device(Name, Key, Message, Request, Walked, Opts) ->
    case wasmbeam_devices:find(Name, Opts) of
        {ok, dev_message} ->
            plain(Key, Message, Request, Opts);
        {ok, Device} ->
            case maps:get(?DEPTH, Opts, 0) of
                Depth when Depth < ?MAX_DEPTH ->
                    Deeper = Opts#{?DEPTH => Depth + 1},
                    guarded(Name, Key, Walked, fun() ->
                        run(Device, Key, Message, request(Key, Request), Deeper)
                    end);
                _ ->
                    wasmbeam_fault:new(too_deep, "~ts/~ts asks for itself, through ~b devices",
                                       [printable(Name), Key, ?MAX_DEPTH])
            end;
        error ->
            wasmbeam_fault:new(unknown_device, "the device ~ts is not registered (resolving ~ts)",
                               [printable(Name), wasmbeam_path:to_binary(lists:reverse(Walked, [Key]))],
                               #{<<"device-name">> => printable(Name)})
    end.

plain(Key, Message, Request, Opts) ->
    case dev_message:is_reserved(Key) of
        false -> dev_message:get(Key, Message, Request, Opts);
        true -> guarded(<<"message@1.0">>, Key, [], fun() ->
                    run(dev_message, Key, Message, request(Key, Request), Opts)
                end)
    end.

request(Key, Request) ->
    Request#{<<"path">> => Key}.

guarded(Name, Key, Walked, Fun) ->
    try Fun() of
        {Status, _} = Outcome when Status =:= ok; Status =:= error; Status =:= skip;
                                   Status =:= pass ->
            Outcome;
        Other ->
            wasmbeam_fault:new(failed, "~ts/~ts answered no outcome: ~0tP",
                               [printable(Name), Key, Other, 10])
    catch
        Class:Reason ->
            Path = wasmbeam_path:to_binary(lists:reverse(Walked, [Key])),
            wasmbeam_fault:from_exception(Class, Reason, "~ts failed at ~ts",
                                          [printable(Name), Path])
    end.

printable(Name) when is_binary(Name) -> Name;
printable(Name) -> unicode:characters_to_binary(io_lib:format("~0tP", [Name, 10])).

run(Device, Key, Message, Request, Opts) ->
    Info = info(Device, Message, Opts),
    case Info of
        #{handler := Handler} ->
            Handler(Key, Message, Request, Opts);
        #{} ->
            Name = name(Key),
            case is_offered(Key, Name, Info) andalso function(Device, Key, Name) of
                {Function, Arity} -> apply(Function, arguments(Arity, Message, Request, Opts));
                false -> default(Info, Key, Message, Request, Opts)
            end
    end.

default(#{default := Default}, Key, Message, Request, Opts) ->
    Default(Key, Message, Request, Opts);
default(#{default_mod := Module}, Key, Message, Request, Opts) when Module =/= dev_message ->
    run(Module, Key, Message, Request, Opts);
default(_Info, Key, Message, Request, Opts) ->
    plain(Key, Message, Request, Opts).

info(Device, Message, Opts) ->
    case function(Device, <<"info">>, info) of
        {Function, 0} -> Function();
        {Function, 1} -> Function(Message);
        {Function, 2} -> Function(Message, Opts);
        {Function, 3} -> Function(Message, #{}, Opts);
        false -> #{}
    end.

%% Every module exports these, and none of them is a key.
is_offered(_Key, Name, _Info) when Name =:= undefined; Name =:= info; Name =:= module_info;
                                   Name =:= behaviour_info ->
    false;
is_offered(_Key, Name, #{exports := Exports} = Info) ->
    is_among(Name, Exports) andalso not is_among(Name, maps:get(excludes, Info, []));
is_offered(_Key, Name, Info) ->
    not is_among(Name, maps:get(excludes, Info, [])).

is_among(Name, [Name | _]) -> true;
is_among(Name, [Key | Keys]) when is_binary(Key) -> name(Key) =:= Name orelse is_among(Name, Keys);
is_among(Name, [_ | Keys]) -> is_among(Name, Keys);
is_among(_Name, []) -> false.

%% The function that a key is resolved by: keys are made of words with hyphens.
name(Key) ->
    try binary_to_existing_atom(underscored(Key), utf8)
    catch error:badarg -> undefined
    end.

underscored(Key) ->
    case is_name(Key) of
        true -> Key;
        false -> << <<(underscore(Char))>> || <<Char>> <= wasmbeam_path:lowercase(Key) >>
    end.

is_name(<<Char, Rest/binary>>) when Char =/= $-, Char < $A orelse Char > $Z -> is_name(Rest);
is_name(<<>>) -> true;
is_name(_) -> false.

underscore($-) -> $_;
underscore(Char) -> Char.

function(Device, _Key, Name) when is_atom(Device) ->
    exported(Device, Name, 3);
function(Device, Key, Name) ->
    case Device of
        #{Key := Function} when is_function(Function) -> arity(Function);
        #{Name := Function} when is_function(Function) -> arity(Function);
        #{} -> false
    end.

exported(_Device, _Name, Arity) when Arity < 0 ->
    false;
exported(Device, Name, Arity) ->
    case erlang:function_exported(Device, Name, Arity) of
        true -> {fun Device:Name/Arity, Arity};
        false -> exported(Device, Name, Arity - 1)
    end.

arity(Function) ->
    {arity, Arity} = erlang:fun_info(Function, arity),
    {Function, Arity}.

arguments(0, _Message, _Request, _Opts) -> [];
arguments(1, Message, _Request, _Opts) -> [Message];
arguments(2, Message, Request, _Opts) -> [Message, Request];
arguments(3, Message, Request, Opts) -> [Message, Request, Opts].
