%% @doc Messages as plain maps with binary keys: what is in them, without any device.
-module(wasmbeam_message).

-export([find/2, set/3, replace/3, merge/2, public_keys/1, public/1, in_order/1]).

%% @doc The value of a key, which is found whatever its case, and also if an atom has its place; in a
%% list its position is the key.
-spec find(binary(), wasmbeam_host:message() | list()) -> {ok, term()} | error.
find(Key, Message) when is_map(Message) ->
    case Message of
        #{Key := Value} -> {ok, Value};
        #{} ->
            case same_key(Key, Message) of
                {ok, Same} -> maps:find(Same, Message);
                error -> error
            end
    end;
find(Key, List) ->
    case string:to_integer(Key) of
        {Position, <<>>} when is_integer(Position), Position >= 1 -> nth(Position, List);
        _ -> error
    end.

%% A list may be improper or shorter: no assumption about what came from outside.
nth(1, [Value | _]) -> {ok, Value};
nth(Position, [_ | Rest]) -> nth(Position - 1, Rest);
nth(_Position, _) -> error.

%% The key of the message that differs in case only.
same_key(Key, Message) ->
    same_key(Key, byte_size(Key), maps:keys(Message)).

same_key(Key, Size, [Other | Keys]) when byte_size(Other) =:= Size ->
    case wasmbeam_path:is_same(Key, Other) of
        true -> {ok, Other};
        false -> same_key(Key, Size, Keys)
    end;
same_key(Key, Size, [Other | Keys]) when is_atom(Other) ->
    case wasmbeam_path:is_same(Key, atom_to_binary(Other, utf8)) of
        true -> {ok, Other};
        false -> same_key(Key, Size, Keys)
    end;
same_key(Key, Size, [_ | Keys]) ->
    same_key(Key, Size, Keys);
same_key(_Key, _Size, []) ->
    error.

%% @doc The message with a value at a path, or without it if the value is `unset'. A message is
%% merged with the one that is there; what the path leads through becomes a message.
-spec set(wasmbeam_host:message(), [binary(), ...], term()) -> wasmbeam_host:message().
set(Message, [Key], unset) ->
    maps:remove(present_key(Key, Message), Message);
set(Message, [Key], Value) ->
    put_merged(Key, Value, Message);
set(Message, [Key | Keys], Value) ->
    Present = present_key(Key, Message),
    case Message of
        #{Present := Inner} when is_map(Inner) -> Message#{Present := set(Inner, Keys, Value)};
        #{Present := [_ | _] = List} -> Message#{Present := set(numbered(List), Keys, Value)};
        #{} when Value =:= unset -> Message;
        #{} -> Message#{Present => set(#{}, Keys, Value)}
    end.

%% @doc As {@link set/3}, but a message takes the place of the one that is there.
-spec replace(wasmbeam_host:message(), [binary(), ...], term()) -> wasmbeam_host:message().
replace(Message, Keys, unset) ->
    set(Message, Keys, unset);
replace(Message, [Key], Value) ->
    Message#{present_key(Key, Message) => Value};
replace(Message, [Key | Keys], Value) ->
    Present = present_key(Key, Message),
    Inner = case Message of
        #{Present := Map} when is_map(Map) -> Map;
        #{Present := [_ | _] = List} -> numbered(List);
        #{} -> #{}
    end,
    Message#{Present => replace(Inner, Keys, Value)}.

present_key(Key, Message) when is_map_key(Key, Message) ->
    Key;
present_key(Key, Message) ->
    case same_key(Key, Message) of
        {ok, Same} -> Same;
        error -> Key
    end.

numbered(List) ->
    maps:from_list(lists:zip([integer_to_binary(N) || N <- lists:seq(1, length(List))], List)).

%% @doc A message with the values of another one, level by level.
-spec merge(wasmbeam_host:message(), wasmbeam_host:message()) -> wasmbeam_host:message().
merge(Message, Other) ->
    maps:fold(fun(Key, unset, Merged) -> maps:remove(present_key(Key, Merged), Merged);
                 (Key, Value, Merged) -> put_merged(Key, Value, Merged)
              end, Message, Other).

put_merged(Key, Value, Message) ->
    Present = present_key(Key, Message),
    case Message of
        #{Present := Old} when is_map(Old), is_map(Value) ->
            Message#{Present := merge(Old, Value)};
        #{} ->
            Message#{Present => Value}
    end.

%% @doc The keys that are not private, in order.
-spec public_keys(wasmbeam_host:message()) -> [binary()].
public_keys(Message) ->
    [Key || Key <- lists:sort(maps:keys(Message)), not wasmbeam_path:is_private(Key)].

%% @doc A message without its private parts, at any level.
-spec public(term()) -> term().
public(Message) when is_map(Message) ->
    maps:map(fun(_Key, Value) -> public(Value) end,
             maps:filter(fun(Key, _) -> not wasmbeam_path:is_private(Key) end, Message));
public([Value | Rest]) ->
    [public(Value) | public(Rest)];
public(Value) ->
    Value.

%% @doc The pairs of a message that is a list, as some stores give it back: by number, not by text.
%% Other names come last.
-spec in_order(wasmbeam_host:message()) -> [{binary(), term()}].
in_order(Message) ->
    Numbered = [{number(Key), Key, Value} || {Key, Value} <- maps:to_list(Message)],
    [{Key, Value} || {_, Key, Value} <- lists:sort(Numbered)].

number(Key) ->
    case string:to_integer(Key) of
        {Number, <<>>} when is_integer(Number) -> Number;
        _ -> infinity
    end.
