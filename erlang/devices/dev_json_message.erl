%% @doc Messages in the form that AO processes take and give: objects with `Tags'.
-module(dev_json_message).

-export([struct/2, texts/1, message/1, results/1]).

%% What is a field, or is none of the process's business.
-define(NO_TAGS, [<<"id">>, <<"owner">>, <<"from">>, <<"from-process">>, <<"target">>, <<"anchor">>,
                  <<"data">>, <<"body">>, <<"commitments">>, <<"signature">>, <<"image">>,
                  <<"device">>, <<"timestamp">>, <<"block-height">>, <<"tags">>]).
%% Names that the process itself gave, and that mean nothing outside of it.
-define(DROPPED, [<<"from-process">>, <<"from-image">>, <<"anchor">>, <<"tags">>]).

%% @doc A message as an object, with its id.
-spec struct(wasmbeam_host:message(), binary()) -> #{binary() => wasmbeam_json:value()}.
struct(Message, Id) ->
    Owner = field([<<"owner">>], Message, committer(Message)),
    Fields = [{<<"Id">>, Id}, {<<"Owner">>, Owner},
              {<<"From">>, field([<<"from">>, <<"from-process">>], Message, Owner)},
              {<<"Target">>, field([<<"target">>], Message, <<>>)},
              {<<"Anchor">>, field([<<"anchor">>], Message, <<>>)},
              {<<"Data">>, field([<<"data">>, <<"body">>], Message, <<>>)}],
    Known = [{<<"Block-Height">>, field([<<"block-height">>], Message, not_found)},
             {<<"Timestamp">>, field([<<"timestamp">>], Message, not_found)}],
    maps:merge(maps:merge(maps:from_list(Fields), texts(Known)), #{<<"Tags">> => tags(Message)}).

%% @doc Those fields that have a value that is text.
-spec texts([{binary(), term()}]) -> #{binary() => binary()}.
texts(Fields) ->
    maps:from_list([{Name, Text} || {Name, Value} <- Fields, Value =/= not_found,
                                    {ok, Text} <- [text(Value)]]).

field([Key | Keys], Message, Default) ->
    case wasmbeam_message:find(Key, Message) of
        {ok, Value} ->
            case text(Value) of
                {ok, Text} -> Text;
                error -> field(Keys, Message, Default)
            end;
        error -> field(Keys, Message, Default)
    end;
field([], _Message, Default) ->
    Default.

%% Who signed the message, where a node keeps that with it.
committer(#{<<"commitments">> := Commitments}) when is_map(Commitments) ->
    Committers = [Committer || {_, #{<<"committer">> := Committer}}
                                   <- lists:sort(maps:to_list(Commitments)), is_binary(Committer)],
    case Committers of
        [First | _] -> First;
        [] -> <<>>
    end;
committer(_Message) ->
    <<>>.

tags(Message) ->
    [#{<<"name">> => header_case(Key), <<"value">> => Text}
     || {Key, Value} <- lists:sort(maps:to_list(Message)),
        not wasmbeam_path:is_private(Key),
        not lists:member(wasmbeam_path:lowercase(Key), ?NO_TAGS),
        {ok, Text} <- [text(Value)]].

text(Value) when is_binary(Value) ->
    case unicode:characters_to_binary(Value) of
        Value -> {ok, Value};
        _ -> error
    end;
text(Value) when is_integer(Value) -> {ok, integer_to_binary(Value)};
text(Value) when is_float(Value) -> {ok, iolist_to_binary(io_lib:format("~p", [Value]))};
text(Value) when is_atom(Value) -> {ok, atom_to_binary(Value, utf8)};
text(_Value) -> error.

%% Processes compare names as they are written, and keys of messages have no case.
header_case(Key) ->
    case wasmbeam_path:lowercase(Key) of
        Key -> iolist_to_binary(lists:join(<<"-">>, [capitalized(Word)
                                                     || Word <- binary:split(Key, <<"-">>, [global])]));
        _ -> Key
    end.

capitalized(<<Char, Rest/binary>>) when Char >= $a, Char =< $z -> <<(Char - 32), Rest/binary>>;
capitalized(Word) -> Word.

%% @doc The message that an object of an answer means: tags are keys.
-spec message(#{binary() => wasmbeam_json:value()}) -> wasmbeam_host:message().
message(Struct) ->
    Tags = maps:from_list([{wasmbeam_path:lowercase(Name), Value}
                           || #{<<"name">> := Name, <<"value">> := Value}
                                  <- list(maps:get(<<"Tags">>, Struct, [])), is_binary(Name)]),
    Fields = maps:from_list([{wasmbeam_path:lowercase(Name), Value}
                             || {Name, Value} <- maps:to_list(Struct)]),
    Public = maps:filter(fun(Key, _) -> not wasmbeam_path:is_private(Key) end,
                         maps:merge(Fields, Tags)),
    maps:without(?DROPPED, Public).

%% @doc What an answer says, as what becomes `results'.
-spec results(term()) -> wasmbeam_host:message().
results(#{<<"Error">> := Error} = Response) when Error =/= null, Error =/= <<>> ->
    (lists(Response))#{<<"data">> => Error, <<"outbox">> => #{}};
results(Response) when is_map(Response) ->
    (lists(Response))#{<<"data">> => data(maps:get(<<"Output">>, Response, <<>>)),
                       <<"outbox">> => numbered(maps:get(<<"Messages">>, Response, []))};
results(Response) ->
    #{<<"data">> => Response, <<"outbox">> => #{}}.

data(#{<<"data">> := Data}) -> data(Data);
data(#{<<"output">> := Data}) -> data(Data);
data(Data) -> Data.

lists(Response) ->
    maps:from_list([{Key, numbered(Values)}
                    || {Name, Key} <- [{<<"Spawns">>, <<"spawns">>},
                                       {<<"Assignments">>, <<"assignments">>}],
                       Values <- [maps:get(Name, Response, [])],
                       list(Values) =/= []]).

numbered(Values) ->
    Messages = [message(Value) || Value <- list(Values), is_map(Value)],
    maps:from_list(lists:zip([integer_to_binary(N) || N <- lists:seq(1, length(Messages))],
                             Messages)).

%% Lua writes an empty list as an empty object, and one with gaps as an object of numbers.
list(Values) when is_list(Values) -> Values;
list(Values) when is_map(Values) -> [Value || {_, Value} <- wasmbeam_message:in_order(Values)];
list(_Values) -> [].
