%% @doc Errors as messages: `status' as HTTP has it, `class', `message', and what else is known.
-module(wasmbeam_fault).

-export([new/3, new/4, from/1, from_exception/4, message/1]).

-type t() :: {error, wasmbeam_host:message()}.
-export_type([t/0]).

%% @equiv new(Class, Message, Arguments, #{})
-spec new(atom(), io:format(), [term()]) -> t().
new(Class, Format, Arguments) ->
    new(Class, Format, Arguments, #{}).

%% @doc An error of a class, with more keys.
-spec new(atom(), io:format(), [term()], wasmbeam_host:message()) -> t().
new(Class, Format, Arguments, More) ->
    {error, More#{
        <<"status">> => status(Class),
        <<"class">> => atom_to_binary(Class, utf8),
        <<"message">> => unicode:characters_to_binary(io_lib:format(Format, Arguments))
    }}.

%% @doc An error of {@link wasmbeam} as a message.
-spec from(wasmbeam:error_reason() | term()) -> t().
from({Class, #{message := Message} = Info}) when is_atom(Class) ->
    Known = maps:from_list(
        [{key(Key), printable(Value)} || {Key, Value} <- maps:to_list(Info), Key =/= message,
                                         Key =/= status]),
    new(Class, "~ts", [Message], maps:merge(Known, exit_status(Info)));
from(#{<<"class">> := _, <<"message">> := _} = Fault) ->
    {error, Fault};
from(Reason) ->
    new(failed, "~0tp", [Reason]).

%% A guest's own status must not be taken for that of the answer.
exit_status(#{status := Status}) -> #{<<"exit-status">> => Status};
exit_status(#{}) -> #{}.

%% @doc An exception as a message. The stack is not part of it: it tells about the node.
-spec from_exception(error | exit | throw, term(), io:format(), [term()]) -> t().
from_exception(throw, {error, #{<<"class">> := _} = Fault}, _Format, _Arguments) ->
    {error, Fault};
from_exception(Class, Reason, Format, Arguments) ->
    new(failed, Format ++ ": ~ts:~0tP", Arguments ++ [Class, Reason, 20]).

%% @doc The text of an error that some device answered.
-spec message(term()) -> binary().
message(#{<<"message">> := Message}) when is_binary(Message) -> Message;
message(Reason) ->
    <<_/binary>> = unicode:characters_to_binary(io_lib:format("~0tP", [Reason, 20])).

key(Key) ->
    binary:replace(atom_to_binary(Key, utf8), <<"_">>, <<"-">>, [global]).

%% What can be part of a message, and be stored.
printable(Value) when is_binary(Value); is_number(Value); is_boolean(Value) -> Value;
printable(Value) when is_atom(Value) -> atom_to_binary(Value, utf8);
printable(Value) when is_map(Value) ->
    maps:fold(fun(Key, Inner, Map) when is_atom(Key) -> Map#{key(Key) => printable(Inner)};
                 (Key, Inner, Map) -> Map#{printable(Key) => printable(Inner)}
              end, #{}, Value);
printable([Value | _] = Values) when is_map(Value) -> [printable(Each) || Each <- Values];
printable([]) -> [];
printable(Value) -> unicode:characters_to_binary(io_lib:format("~0tP", [Value, 20])).

status(not_found) -> 404;
status(not_permitted) -> 403;
status(Class) when Class =:= bad_argument; Class =:= bad_request; Class =:= bad_path;
                   Class =:= bad_json; Class =:= bad_snapshot; Class =:= bad_image;
                   Class =:= invalid_module;
                   Class =:= incompatible_import; Class =:= unknown_export;
                   Class =:= unknown_device; Class =:= too_deep -> 400;
status(native_unavailable) -> 503;
status(timeout) -> 504;
status(_) -> 500.
