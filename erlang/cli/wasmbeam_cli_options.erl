%% @doc Options of the command line: reading them, and saying what there is.
-module(wasmbeam_cli_options).

-export([parse/2, describe/1, table/1]).
-export([bytes/1, duration/1, natural/1, path/1]).
-export_type([option/0, options/0, parser/0]).

-type parser() :: fun((string()) -> {ok, term()} | {error, Expected :: string()}).
-type option() ::
    #{name := atom(),
      flag := string(),
      help := string(),
      argument => {What :: string(), parser()},
      many => boolean()}.
%% Without an `argument' it is true if it is given. With `many' it can be given several times, and
%% is a list.
-type options() :: #{atom() => term()}.

%% Wider than any flag with its argument.
-define(COLUMN, 26).

%% @doc Separates options from other arguments. What follows `--' is none, and is given as one more
%% element `["--" | Rest]' at the end.
-spec parse([option()], [string()]) ->
    {ok, options(), [string()]} | help | {error, unicode:chardata()}.
parse(Known, Args) ->
    case lists:any(fun is_help/1, lists:takewhile(fun(Arg) -> Arg =/= "--" end, Args)) of
        true -> help;
        false -> parse(Known, Args, #{}, [])
    end.

is_help(Arg) ->
    Arg =:= "--help" orelse Arg =:= "-h".

parse(_Known, [], Options, Others) ->
    {ok, Options, lists:reverse(Others)};
parse(_Known, ["--" | _] = Rest, Options, Others) ->
    {ok, Options, lists:reverse(Others, Rest)};
parse(Known, ["--" ++ _ = Arg | Rest], Options, Others) ->
    {Flag, Attached} = case string:split(Arg, "=") of
        [Before, Value] -> {Before, {value, Value}};
        [_] -> {Arg, none}
    end,
    case [Option || #{flag := Name} = Option <- Known, Name =:= Flag] of
        [Option] -> option(Option, Attached, Known, Rest, Options, Others);
        [] -> {error, ["there is no option ", Flag]}
    end;
parse(Known, [Arg | Rest], Options, Others) ->
    parse(Known, Rest, Options, [Arg | Others]).

option(#{argument := _} = Option, {value, Value}, Known, Rest, Options, Others) ->
    value(Option, Value, Known, Rest, Options, Others);
option(#{argument := _} = Option, none, Known, [Value | Rest], Options, Others) ->
    value(Option, Value, Known, Rest, Options, Others);
option(#{argument := {What, _}, flag := Flag}, none, _Known, [], _Options, _Others) ->
    {error, [Flag, " needs ", What]};
option(#{flag := Flag}, {value, _}, _Known, _Rest, _Options, _Others) ->
    {error, [Flag, " takes no value"]};
option(#{name := Name}, none, Known, Rest, Options, Others) ->
    parse(Known, Rest, Options#{Name => true}, Others).

value(#{name := Name, flag := Flag, argument := {_, Parser}} = Option, Text, Known, Rest, Options,
      Others) ->
    case Parser(Text) of
        {ok, Value} when is_map_key(many, Option) ->
            Before = maps:get(Name, Options, []),
            parse(Known, Rest, Options#{Name => Before ++ [Value]}, Others);
        {ok, _} when is_map_key(Name, Options) ->
            {error, [Flag, " is given twice"]};
        {ok, Value} ->
            parse(Known, Rest, Options#{Name => Value}, Others);
        {error, Expected} ->
            {error, [Flag, " has to be ", Expected, ", not ", Text]}
    end.

%% @doc Flags with what they mean.
-spec describe([option()]) -> [{unicode:chardata(), string()}].
describe(Options) ->
    [{flag(Option), Help} || #{help := Help} = Option <- Options].

flag(#{flag := Flag, argument := {What, _}}) -> [Flag, " ", What];
flag(#{flag := Flag}) -> Flag.

%% @doc Two columns.
-spec table([{unicode:chardata(), unicode:chardata()}]) -> unicode:chardata().
table(Rows) ->
    [io_lib:format("  ~-*ts~ts~n", [?COLUMN, [unicode:characters_to_list(Left), $\s], Right])
     || {Left, Right} <- Rows].

%% @doc A size: `65536', `64K', `16M', `1G'.
-spec bytes(string()) -> {ok, non_neg_integer()} | {error, string()}.
bytes(Text) ->
    scaled(Text, [{"K", 1 bsl 10}, {"M", 1 bsl 20}, {"G", 1 bsl 30}, {"", 1}],
           "a number of bytes such as 65536, 64K, 16M or 1G").

%% @doc A time in milliseconds: `500', `500ms', `2s', `5m'.
-spec duration(string()) -> {ok, non_neg_integer()} | {error, string()}.
duration(Text) ->
    Expected = "a time such as 500ms, 2s or 5m, at most 49 days",
    case scaled(Text, [{"ms", 1}, {"s", 1000}, {"m", 60000}, {"", 1}], Expected) of
        {ok, Ms} when Ms > 16#ffffffff -> {error, Expected};
        Read -> Read
    end.

%% @doc A natural number below 2^64.
-spec natural(string()) -> {ok, non_neg_integer()} | {error, string()}.
natural(Text) ->
    scaled(Text, [{"", 1}], "a number").

%% @doc The name of a file or folder.
-spec path(string()) -> {ok, string()} | {error, string()}.
path("") -> {error, "a name"};
path(Path) -> {ok, Path}.

scaled(Text, [{Suffix, Factor} | Units], Expected) ->
    case lists:suffix(Suffix, Text) andalso
         string:to_integer(lists:sublist(Text, length(Text) - length(Suffix))) of
        {Number, ""} when Number >= 0, Number * Factor < 1 bsl 64 -> {ok, Number * Factor};
        _ -> scaled(Text, Units, Expected)
    end;
scaled(_Text, [], Expected) ->
    {error, Expected}.
