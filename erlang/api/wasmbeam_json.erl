%% @doc JSON texts as terms, the same on every OTP release.
%%
%% An object is a map with binary keys, an array a list, a string a binary in UTF-8; numbers are
%% integers or floats, and `true', `false', `null' are atoms.
-module(wasmbeam_json).

-export([encode/1, decode/1]).

-export_type([value/0]).

-type value() ::
    #{binary() => value()} | [value()] | binary() | integer() | float() | true | false | null.

%% @doc Writes a value. Names are in order: equal values give equal texts.
%%
%% Error: `bad_argument', with the `path' to what is no JSON: another term, an integer of more than
%% 64 bits, a binary that is not UTF-8, more than 127 levels.
-spec encode(value()) -> {ok, binary()} | {error, wasmbeam:error_reason()}.
encode(Value) ->
    case wasmbeam_nif:json_encode(Value) of
        long -> wasmbeam_error:normalize(wasmbeam_nif:json_encode_dirty(Value));
        Answer -> wasmbeam_error:normalize(Answer)
    end.

%% @doc Reads a text. Of a name that is there twice the last value counts.
%%
%% Error: `bad_json', with `line' and `column'; also for numbers that neither 64 bits nor a float
%% can hold, and more than 127 levels.
-spec decode(binary()) -> {ok, value()} | {error, wasmbeam:error_reason()}.
decode(Text) when is_binary(Text) ->
    case wasmbeam_nif:json_decode(Text) of
        long -> wasmbeam_error:normalize(wasmbeam_nif:json_decode_dirty(Text));
        Answer -> wasmbeam_error:normalize(Answer)
    end;
decode(Other) ->
    {error, wasmbeam_error:reason(bad_argument, "expected the binary of a JSON text",
                                  #{expected => <<"the binary of a JSON text">>, value => Other})}.
