%% @doc Reads the JSON texts beside the tests: a strict parser, because the oldest OTP release that
%% these run on has none.
-module(wasmbeam_wasi_json).

-export([decode/1]).

-export_type([value/0]).

-type value() ::
    #{binary() => value()} | [value()] | binary() | number() | true | false | null.

%% @doc The value of a text; raises `{bad_json, Rest}' where it is none.
-spec decode(binary()) -> value().
decode(Text) ->
    {Value, Rest} = value(space(Text)),
    case space(Rest) of
        <<>> -> Value;
        More -> bad(More)
    end.

value(<<"{", Rest/binary>>) -> object(space(Rest));
value(<<"[", Rest/binary>>) -> array(space(Rest));
value(<<"\"", Rest/binary>>) -> string(Rest, <<>>);
value(<<"true", Rest/binary>>) -> {true, Rest};
value(<<"false", Rest/binary>>) -> {false, Rest};
value(<<"null", Rest/binary>>) -> {null, Rest};
value(Text) -> number(Text).

object(<<"}", Rest/binary>>) -> {#{}, Rest};
object(Text) -> members(Text, #{}).

members(<<"\"", Text/binary>>, Members) ->
    {Name, Rest} = string(Text, <<>>),
    {Value, Next} = value(space(expect($:, space(Rest)))),
    case space(Next) of
        <<",", More/binary>> -> members(space(More), Members#{Name => Value});
        Other -> {Members#{Name => Value}, expect($}, Other)}
    end;
members(Text, _Members) ->
    bad(Text).

array(<<"]", Rest/binary>>) -> {[], Rest};
array(Text) -> elements(Text, []).

elements(Text, Elements) ->
    {Value, Rest} = value(Text),
    case space(Rest) of
        <<",", More/binary>> -> elements(space(More), [Value | Elements]);
        Other -> {lists:reverse(Elements, [Value]), expect($], Other)}
    end.

string(<<"\"", Rest/binary>>, Chars) ->
    {Chars, Rest};
string(<<"\\u", Hex:4/binary, "\\u", Low:4/binary, Rest/binary>>, Chars)
  when Hex >= <<"D800">>, Hex =< <<"DBFF">>; Hex >= <<"d800">>, Hex =< <<"dbff">> ->
    Char = 16#10000 + (hex(Hex) - 16#d800) * 16#400 + hex(Low) - 16#dc00,
    string(Rest, <<Chars/binary, Char/utf8>>);
string(<<"\\u", Hex:4/binary, Rest/binary>>, Chars) ->
    string(Rest, <<Chars/binary, (hex(Hex))/utf8>>);
string(<<"\\", Escape, Rest/binary>>, Chars) ->
    string(Rest, <<Chars/binary, (escaped(Escape))>>);
string(<<Char/utf8, Rest/binary>>, Chars) when Char >= $\s ->
    string(Rest, <<Chars/binary, Char/utf8>>);
string(Text, _Chars) ->
    bad(Text).

escaped($b) -> $\b;
escaped($f) -> $\f;
escaped($n) -> $\n;
escaped($r) -> $\r;
escaped($t) -> $\t;
escaped(Char) when Char =:= $"; Char =:= $\\; Char =:= $/ -> Char;
escaped(Char) -> bad(<<Char>>).

hex(Digits) ->
    binary_to_integer(Digits, 16).

number(Text) ->
    Pattern = "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?",
    case re:run(Text, Pattern, [{capture, all, binary}]) of
        {match, [Digits, _]} -> {binary_to_integer(Digits), rest(Digits, Text)};
        {match, [Digits, Whole, <<>>, Exponent]} ->
            {to_float([sign(Digits), Whole, ".0", Exponent]), rest(Digits, Text)};
        {match, [Digits | _]} -> {to_float(Digits), rest(Digits, Text)};
        nomatch -> bad(Text)
    end.

sign(<<"-", _/binary>>) -> "-";
sign(_) -> "".

to_float(Digits) ->
    binary_to_float(iolist_to_binary(Digits)).

rest(Digits, Text) ->
    binary:part(Text, byte_size(Digits), byte_size(Text) - byte_size(Digits)).

space(<<Char, Rest/binary>>) when Char =:= $\s; Char =:= $\t; Char =:= $\n; Char =:= $\r ->
    space(Rest);
space(Text) ->
    Text.

expect(Char, <<Char, Rest/binary>>) -> Rest;
expect(_Char, Text) -> bad(Text).

-spec bad(binary()) -> no_return().
bad(Text) ->
    error({bad_json, binary:part(Text, 0, min(20, byte_size(Text)))}).
