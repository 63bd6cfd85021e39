%% @doc The errors of wasmbeam: how they are made and shown.
-module(wasmbeam_error).

-export([reason/2, reason/3, bad_argument/2, exception/2, digits/1, normalize/1, format/1]).

-export_type([failure/0]).

-type failure() ::
    {error, wasmbeam:error_reason() | Word :: atom()}
    | {error, wasmbeam:error_reason(), State :: term()}
    | {error, Class :: error | exit | throw, Reason :: term(), Stack :: [term()], State :: term()}.
%% The last two are those of `hb_beamr:call/4' and longer ones.

%% How much of a term is worth showing.
-define(DEPTH, 40).
%% Of a reason in a message, that may hold the errors of calls in calls in calls, each with a message.
-define(REASON_DEPTH, 15).

%% @doc An error's class with its message.
-spec reason(atom(), unicode:chardata()) -> wasmbeam:error_reason().
reason(Class, Message) ->
    reason(Class, Message, #{}).

%% @doc An error's class with its message and what else a program needs to know.
-spec reason(atom(), unicode:chardata(), map()) -> wasmbeam:error_reason().
reason(Class, Message, Info) ->
    {Class, Info#{message => unicode:characters_to_binary(Message)}}.

%% @doc The error about a value that is not what was expected.
-spec bad_argument(unicode:chardata(), term()) -> {error, wasmbeam:error_reason()}.
bad_argument(Expected, Value) ->
    {error, reason(bad_argument, ["expected ", Expected],
                   #{expected => unicode:characters_to_binary(Expected), value => Value})}.

%% @doc A number as people read it: the digits of one of a million bits take a scheduler seconds.
-spec digits(integer()) -> string().
digits(Number) when abs(Number) < 1 bsl 256 -> integer_to_list(Number);
digits(_) -> "a number of more than 256 bits".

%% @doc What an exception is to people, one of Elixir by its own message.
-spec exception(error | exit | throw, term()) -> unicode:chardata().
exception(error, #{'__exception__' := true, '__struct__' := Name, message := Message})
        when is_atom(Name), is_binary(Message) ->
    Printed = case atom_to_list(Name) of
        "Elixir." ++ Known -> Known;
        Other -> Other
    end,
    [Printed, ": ", Message];
exception(Class, Reason) ->
    io_lib:format("~0tp:~0tP", [Class, Reason, ?REASON_DEPTH]).

%% @doc Gives the errors of the stand-in library the shape of all others. Faults of the library itself
%% are logged.
-spec normalize(Answer) -> Answer | {error, wasmbeam:error_reason()}.
normalize({error, native_unavailable}) ->
    {error, reason(native_unavailable,
                   "wasmbeam was built without its native library; "
                   "build it where Rust is installed")};
normalize({error, {internal, Info}} = Error) ->
    ok = wasmbeam_log:report(error, internal_error, Info),
    Error;
normalize(Answer) ->
    Answer.

%% @doc Renders an error for people.
-spec format(wasmbeam:error_reason() | failure()) -> binary().
format({error, {_Class, _Info} = Reason}) ->
    format(Reason);
format({error, Word}) when is_atom(Word) ->
    atom_to_binary(Word, utf8);
format({error, Reason, _State}) ->
    format(Reason);
format({error, Class, Reason, Stack, _State}) ->
    Message = ["the import fun failed: ", exception(Class, Reason)],
    format(reason(import_failed, Message, #{stacktrace => Stack}));
format({Class, #{message := Message} = Info}) ->
    Details = [detail(Key, Value) || {Key, Value} <- lists:sort(maps:to_list(Info)),
                                     Key =/= message, Key =/= backtrace],
    Frames = [frame(Frame) || Frame <- maps:get(backtrace, Info, [])],
    Text = [atom_to_list(Class), ": ", Message, Details, Frames],
    case unicode:characters_to_binary(Text) of
        Binary when is_binary(Binary) -> Binary
    end.

detail(stacktrace, Stack) ->
    [io_lib:format("~n    in ~0tP", [Entry, ?DEPTH]) || Entry <- Stack];
detail(Key, Value) when is_integer(Value) ->
    io_lib:format("~n  ~ts: ~ts", [Key, digits(Value)]);
detail(Key, Value) ->
    io_lib:format("~n  ~ts: ~0tP", [Key, Value, ?DEPTH]).

frame(#{function_index := Index} = Frame) ->
    Name = maps:get(function, Frame, <<"?">>),
    Where = case Frame of
        #{module_offset := Offset} -> io_lib:format(" at 0x~.16b", [Offset]);
        #{} -> ""
    end,
    io_lib:format("~n    in ~ts (function ~b)~ts~ts", [Name, Index, Where, source(Frame)]).

source(#{file := File, line := Line}) -> io_lib:format(", ~ts:~b", [File, Line]);
source(#{}) -> "".
