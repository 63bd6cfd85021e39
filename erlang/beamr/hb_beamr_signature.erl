%% @doc Imports, exports and types of functions as the strings that `hb_beamr' shows.
%%
%% A signature has a letter for each parameter, in parentheses, and for each result: `i' for `i32',
%% `I' for `i64', `f' for `f32', `F' for `f64', `v' for `v128', `e' for `externref', `c' for
%% `funcref', `r' for any other reference.
-module(hb_beamr_signature).

-export([imports/1, exports/1, function/1]).

-export_type([signature/0, import/0, export/0]).

-type signature() :: string().
-type import() :: {wasmbeam:kind(), Module :: string(), Name :: string(), signature()}.
-type export() :: {wasmbeam:kind(), Name :: string(), signature()}.
%% What is no function has the signature `""'.

%% @doc Lists imports, in their order.
-spec imports([wasmbeam:import_type()]) -> [import()].
imports(Imports) ->
    [{Kind, unicode:characters_to_list(Module), unicode:characters_to_list(Name),
      of_kind(Kind, Type)}
     || #{kind := Kind, module := Module, name := Name, type := Type} <- Imports].

%% @doc Lists exports, in their order.
-spec exports([wasmbeam:export_type()]) -> [export()].
exports(Exports) ->
    [{Kind, unicode:characters_to_list(Name), of_kind(Kind, Type)}
     || #{kind := Kind, name := Name, type := Type} <- Exports].

%% @doc The signature of a function.
-spec function(wasmbeam:func_type()) -> signature().
function(#{params := Params, results := Results}) ->
    [$( | lists:map(fun letter/1, Params)] ++ [$) | lists:map(fun letter/1, Results)].

of_kind(func, Type) -> function(Type);
of_kind(_, _Type) -> "".

letter(i32) -> $i;
letter(i64) -> $I;
letter(f32) -> $f;
letter(f64) -> $F;
letter(v128) -> $v;
letter(externref) -> $e;
letter(funcref) -> $c;
letter({ref, _}) -> $r.
