%% @doc WebAssembly's values as text.
-module(wasmbeam_cli_value).

-export([parse/2, format/2, type/1]).

%% What is greater is not rounded to the greatest f32.
-define(MAX_F32, 3.4028235677973362e38).

%% @doc Arguments of these types.
-spec parse([string()], [wasmbeam:value_type()]) ->
    {ok, [wasmbeam:value()]} | {error, unicode:chardata()}.
parse(Texts, Types) when length(Texts) =/= length(Types) ->
    {error, io_lib:format("the function takes ~b arguments (~ts), not ~b",
                          [length(Types), lists:join(" ", [type(Type) || Type <- Types]),
                           length(Texts)])};
parse(Texts, Types) ->
    Read = [{Position, Text, Type, value(Type, Text)}
            || {Position, Text, Type} <- lists:zip3(lists:seq(1, length(Texts)), Texts, Types)],
    case [Wrong || {_, _, _, error} = Wrong <- Read] of
        [] ->
            {ok, [Value || {_, _, _, {ok, Value}} <- Read]};
        [{Position, Text, Type, error} | _] ->
            {error, io_lib:format("argument ~b has to be an ~ts, not ~ts",
                                  [Position, type(Type), Text])}
    end.

value(i32, Text) -> integer(Text, 32);
value(i64, Text) -> integer(Text, 64);
value(f32, Text) -> float(Text, 32);
value(f64, Text) -> float(Text, 64);
value(v128, "0x" ++ Digits) when length(Digits) =:= 32 ->
    case digits(Digits) of
        {ok, Number} -> {ok, <<Number:128/little>>};
        error -> error
    end;
value(externref, "null") -> {ok, null};
value(externref, Text) -> {ok, unicode:characters_to_binary(Text)};
value(funcref, "null") -> {ok, null};
value({ref, _}, "null") -> {ok, null};
value(_Type, _Text) -> error.

integer(Text, Bits) ->
    case whole(Text) of
        {ok, Value} when Value >= -(1 bsl (Bits - 1)), Value < 1 bsl Bits -> {ok, Value};
        _ -> error
    end.

whole("-" ++ Text) ->
    case natural(Text) of
        {ok, Value} -> {ok, -Value};
        error -> error
    end;
whole(Text) ->
    natural(Text).

natural("0x" ++ Digits) ->
    digits(Digits);
natural(Text) ->
    case lists:all(fun(C) -> C >= $0 andalso C =< $9 end, Text) andalso Text =/= "" of
        true -> {ok, list_to_integer(Text)};
        false -> error
    end.

digits(Digits) ->
    IsDigit = fun(C) -> C >= $0 andalso C =< $9 orelse C >= $a andalso C =< $f
                            orelse C >= $A andalso C =< $F end,
    case Digits =/= "" andalso lists:all(IsDigit, Digits) of
        true -> {ok, list_to_integer(Digits, 16)};
        false -> error
    end.

float("inf", _) -> {ok, infinity};
float("-inf", _) -> {ok, neg_infinity};
float("nan", _) -> {ok, nan};
float("nan:0x" ++ Digits, Bits) ->
    case digits(Digits) of
        {ok, Pattern} when Pattern < 1 bsl Bits -> nan(Pattern, Bits);
        _ -> error
    end;
float(Text, _Bits) ->
    case {string:to_float(Text), whole(Text)} of
        {{Value, ""}, _} -> {ok, Value};
        {_, {ok, Value}} -> {ok, Value};
        _ -> exponent(Text)
    end.

%% Such as 1e-3, which Erlang wants to be 1.0e-3.
exponent(Text) ->
    case re:run(Text, "^([+-]?[0-9]+)(e[+-]?[0-9]+)$", [caseless, {capture, all_but_first, list}]) of
        {match, [Whole, Exponent]} ->
            case string:to_float(Whole ++ ".0" ++ Exponent) of
                {Value, ""} -> {ok, Value};
                _ -> error
            end;
        nomatch ->
            error
    end.

%% The exponent of a NaN has all bits set, and its fraction is not zero.
nan(Pattern, 32) when Pattern band 16#7f800000 =:= 16#7f800000, Pattern band 16#7fffff =/= 0 ->
    {ok, {nan, Pattern}};
nan(Pattern, 64) when Pattern band 16#7ff0000000000000 =:= 16#7ff0000000000000,
                      Pattern band 16#fffffffffffff =/= 0 ->
    {ok, {nan, Pattern}};
nan(_, _) ->
    error.

%% @doc A result as text.
-spec format(wasmbeam:value(), wasmbeam:value_type()) -> unicode:chardata().
format(Value, Type) when Type =:= i32; Type =:= i64 ->
    integer_to_list(Value);
format(Value, Type) when Type =:= f32; Type =:= f64 ->
    case Value of
        infinity -> "inf";
        neg_infinity -> "-inf";
        nan -> "nan";
        {nan, Bits} -> io_lib:format("nan:0x~.16b", [Bits]);
        _ -> shortest(Value, Type)
    end;
format(<<Value:128/little>>, v128) ->
    io_lib:format("0x~32.16.0b", [Value]);
format(null, _Type) ->
    "null";
format(Value, externref) when is_binary(Value) ->
    Value;
format(Value, _Type) ->
    io_lib:format("~0tp", [Value]).

%% The shortest text that reads as the same float of its width.
shortest(Value, f64) ->
    float_to_list(Value, [short]);
shortest(Value, f32) ->
    Roundings = [list_to_float(float_to_list(Value, [{scientific, Digits}]))
                 || Digits <- lists:seq(1, 16)],
    [Shortest | _] = [Rounded || Rounded <- Roundings, abs(Rounded) =< ?MAX_F32,
                                 <<Rounded:32/float>> =:= <<Value:32/float>>],
    float_to_list(Shortest, [short]).

%% @doc A type as text.
-spec type(wasmbeam:value_type()) -> unicode:chardata().
type({ref, Type}) -> Type;
type(Type) -> atom_to_list(Type).
