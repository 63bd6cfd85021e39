%% @doc Values of a test script: the arguments it passes, and the patterns that
%% it expects results to match.
-module(wasmbeam_spec_value).

-export([from_argument/1, matches/2]).

-export_type([argument/0, pattern/0]).

%% Floats are their bits.
-type argument() ::
    {i32 | i64, integer()}
    | {f32 | f64, Bits :: non_neg_integer()}
    | {v128, <<_:128>>}
    | {ref_extern | ref_host, non_neg_integer()}
    | ref_null.

-type float_pattern() ::
    {f32 | f64, Bits :: non_neg_integer() | nan_canonical | nan_arithmetic}.

-type pattern() ::
    {i32 | i64, integer()}
    | float_pattern()
    | {v128, <<_:128>> | [float_pattern()]}
    | {ref_extern | ref_host, non_neg_integer()}
    | ref_null
    | ref_extern
    | ref_func
    | ref_any
    | ref_eq
    | ref_array
    | ref_struct
    | ref_i31
    | {either, [pattern()]}.

%% @doc The Erlang value that `wasmbeam:call/3' takes for an argument.
-spec from_argument(argument()) -> term().
from_argument({i32, Integer}) -> Integer;
from_argument({i64, Integer}) -> Integer;
from_argument({f32, Bits}) -> from_f32(Bits);
from_argument({f64, Bits}) -> from_f64(Bits);
from_argument({v128, Bytes}) -> Bytes;
from_argument({ref_extern, Id}) -> {extern, Id};
%% A host reference is a term too where the type is `anyref'.
from_argument({ref_host, Id}) -> {extern, Id};
from_argument(ref_null) -> null.

%% @doc Whether a result is what the script expects.
-spec matches(pattern(), term()) -> boolean().
matches({either, Patterns}, Value) ->
    lists:any(fun(Pattern) -> matches(Pattern, Value) end, Patterns);
matches({i32, Expected}, Value) -> Value =:= Expected;
matches({i64, Expected}, Value) -> Value =:= Expected;
matches({f32, Expected}, Value) -> float_matches(Expected, bits(32, Value), 32);
matches({f64, Expected}, Value) -> float_matches(Expected, bits(64, Value), 64);
matches({v128, Bytes}, Value) when is_binary(Bytes) -> Value =:= Bytes;
matches({v128, Lanes}, Value) -> lanes_match(Lanes, Value);
matches({ref_extern, Id}, Value) -> Value =:= {extern, Id};
matches({ref_host, Id}, Value) -> Value =:= {extern, Id};
matches(ref_null, Value) -> Value =:= null;
matches(ref_extern, Value) -> Value =/= null;
matches(ref_func, {funcref, _}) -> true;
matches(ref_func, _) -> false;
matches(ref_i31, {i31, _}) -> true;
matches(ref_i31, _) -> false;
matches(ref_struct, {ref, struct, _}) -> true;
matches(ref_struct, _) -> false;
matches(ref_array, {ref, array, _}) -> true;
matches(ref_array, _) -> false;
matches(ref_eq, {ref, Kind, _}) -> Kind =:= struct orelse Kind =:= array;
matches(ref_eq, Value) -> matches(ref_i31, Value);
matches(ref_any, {extern, _}) -> true;
matches(ref_any, Value) -> matches(ref_eq, Value).

lanes_match([], <<>>) ->
    true;
lanes_match([{f32, Expected} | Lanes], <<Bits:32/little, Rest/binary>>) ->
    float_matches(Expected, Bits, 32) andalso lanes_match(Lanes, Rest);
lanes_match([{f64, Expected} | Lanes], <<Bits:64/little, Rest/binary>>) ->
    float_matches(Expected, Bits, 64) andalso lanes_match(Lanes, Rest);
lanes_match(_, _) ->
    false.

float_matches(_, not_a_float, _) -> false;
float_matches(nan_canonical, Bits, 32) -> Bits band 16#7fffffff =:= 16#7fc00000;
float_matches(nan_canonical, Bits, 64) -> Bits band 16#7fffffffffffffff =:= 16#7ff8000000000000;
float_matches(nan_arithmetic, Bits, 32) -> Bits band 16#7fc00000 =:= 16#7fc00000;
float_matches(nan_arithmetic, Bits, 64) -> Bits band 16#7ff8000000000000 =:= 16#7ff8000000000000;
float_matches(Expected, Bits, _) -> Expected =:= Bits.

from_f32(16#7f800000) -> infinity;
from_f32(16#ff800000) -> neg_infinity;
from_f32(16#7fc00000) -> nan;
from_f32(Bits) when Bits band 16#7f800000 =:= 16#7f800000 -> {nan, Bits};
from_f32(Bits) ->
    <<Float:32/float>> = <<Bits:32>>,
    Float.

from_f64(16#7ff0000000000000) -> infinity;
from_f64(16#fff0000000000000) -> neg_infinity;
from_f64(16#7ff8000000000000) -> nan;
from_f64(Bits) when Bits band 16#7ff0000000000000 =:= 16#7ff0000000000000 -> {nan, Bits};
from_f64(Bits) ->
    <<Float:64/float>> = <<Bits:64>>,
    Float.

%% The bits of a float result. A result that is not written in the one way that
%% the API promises (a NaN in the wrong form, an `f32' that is not one) has none.
bits(Width, infinity) -> exponent(Width);
bits(Width, neg_infinity) -> sign(Width) bor exponent(Width);
bits(Width, nan) -> canonical_nan(Width);
bits(Width, {nan, Bits}) when is_integer(Bits), Bits >= 0, Bits < 1 bsl Width ->
    Magnitude = Bits band (sign(Width) - 1),
    case Magnitude > exponent(Width) andalso Bits =/= canonical_nan(Width) of
        true -> Bits;
        false -> not_a_float
    end;
bits(64, Value) when is_float(Value) ->
    <<Bits:64>> = <<Value:64/float>>,
    Bits;
bits(32, Value) when is_float(Value) ->
    try <<Value:32/float>> of
        Single -> exact_bits(Single, Value)
    catch
        error:badarg -> not_a_float
    end;
bits(_, _) ->
    not_a_float.

%% A float that is too large becomes infinity in some releases, an error in others.
exact_bits(<<Value:32/float>> = Single, Value) ->
    <<Bits:32>> = Single,
    Bits;
exact_bits(<<_:32>>, _Value) ->
    not_a_float.

sign(Width) -> 1 bsl (Width - 1).

exponent(32) -> 16#7f800000;
exponent(64) -> 16#7ff0000000000000.

canonical_nan(32) -> 16#7fc00000;
canonical_nan(64) -> 16#7ff8000000000000.
