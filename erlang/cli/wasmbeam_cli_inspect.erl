%% @doc `wasmbeam inspect': what a module offers, and what it needs.
-module(wasmbeam_cli_inspect).
-behaviour(wasmbeam_cli).

-export([describe/0, run/2]).

-define(WASI, [<<"wasi_snapshot_preview1">>, <<"wasi_unstable">>]).

%% @doc What the help says.
-spec describe() -> wasmbeam_cli:command().
describe() ->
    #{summary => "Tells what a module imports, exports and needs.",
      synopsis => "[--json] FILE",
      options => [#{name => json, flag => "--json", help => "as a JSON object"}],
      notes => "The module is compiled, as a check. Nothing of it runs."}.

%% @doc Tells it.
-spec run(wasmbeam_cli_options:options(), [string()]) -> wasmbeam_cli:outcome().
run(Options, Args) ->
    wasmbeam_cli_file:with(Args, fun(File, Bytes) ->
        case examine(File, Bytes) of
            {ok, Facts} -> print(Options, Facts);
            {error, _} = Error -> Error
        end
    end).

examine(File, Bytes) ->
    case wasmbeam_cli_progress:while(["compiling ", File], fun() -> wasmbeam:compile(Bytes) end) of
        {ok, Module} ->
            {ok, Providers} = wasmbeam:providers(Module),
            {ok, Features} = wasmbeam:features(Bytes),
            {ok, #{file => wasmbeam_cli_file:name(File), bytes => byte_size(Bytes),
                   sha256 => hexadecimal(crypto:hash(sha256, Bytes)),
                   features => Features,
                   imports => [Import#{provider => Provider}
                               || {Import, Provider} <- lists:zip(wasmbeam:imports(Module),
                                                                  Providers)],
                   exports => wasmbeam:exports(Module)}};
        {error, _} = Error ->
            Error
    end.

hexadecimal(Bytes) ->
    string:lowercase(binary:encode_hex(Bytes)).

print(#{json := true}, Facts) ->
    case wasmbeam_json:encode(json(Facts)) of
        {ok, Text} -> io:format("~ts~n", [Text]);
        {error, _} = Error -> Error
    end;
print(_, Facts) ->
    io:format("~ts", [text(Facts)]).

%% Text

text(#{file := File, bytes := Bytes, sha256 := Hash, imports := Imports, exports := Exports} =
     Facts) ->
    [io_lib:format("~ts: ~b bytes, SHA-256 ~ts~n", [File, Bytes, Hash]),
     "\nimports\n", list([import(Import) || Import <- Imports]),
     "\nexports\n", list([item(Export) || Export <- Exports]),
     "\nneeds\n", list(needs(Facts))].

list([]) -> "  nothing\n";
list(Lines) -> [["  ", Line, $\n] || Line <- Lines].

import(#{module := Module, name := Name, provider := Provider} = Import) ->
    item(Import#{name := <<Module/binary, $., Name/binary>>}) ++
        [[": ", atom_to_list(Provider)] || Provider =/= none].

item(#{kind := Kind, name := Name, type := Type}) ->
    [io_lib:format("~-7s", [Kind]), Name, " ", item_type(Kind, Type)].

item_type(func, Type) -> function(Type);
item_type(tag, #{params := Params}) -> types(Params);
item_type(global, #{value := Value, mutable := Mutable}) ->
    [["mutable " || Mutable], wasmbeam_cli_value:type(Value)];
item_type(table, #{element := Element} = Type) ->
    [bounds(Type), " elements, ", wasmbeam_cli_value:type(Element), wide(Type)];
item_type(memory, #{page_size := PageSize} = Type) ->
    [bounds(Type), io_lib:format(" pages of ~b bytes", [PageSize]), wide(Type),
     [", shared" || map_get(shared, Type)]].

function(#{params := Params, results := Results}) ->
    [types(Params), " -> ", types(Results)].

types(Types) ->
    ["(", lists:join(" ", [wasmbeam_cli_value:type(Type) || Type <- Types]), ")"].

bounds(#{min := Min, max := infinity}) -> io_lib:format("~b or more", [Min]);
bounds(#{min := Min, max := Max}) -> io_lib:format("~b to ~b", [Min, Max]).

wide(#{index_type := i64}) -> ", 64-bit";
wide(#{index_type := i32}) -> "".

needs(#{features := Features, imports := Imports}) ->
    [["WebAssembly: ", lists:join(", ", Features)] || Features =/= []] ++
    [io_lib:format("~ts, provided by wasmbeam: ~b functions", [Name, Count])
     || {Name, Provider} <- [{"WASI preview 1", wasi}, {"Emscripten", emscripten}],
        Count <- [length([I || #{provider := P} = I <- Imports, P =:= Provider])], Count > 0] ++
    [["from you: ", Module, ".", Name]
     || #{module := Module, name := Name, provider := none} <- Imports].

%% JSON

json(#{imports := Imports, exports := Exports} = Facts) ->
    maps:fold(fun(Key, Value, Object) -> Object#{atom_to_binary(Key) => Value} end, #{},
              Facts#{imports := [item_json(Import) || Import <- Imports],
                     exports := [item_json(Export) || Export <- Exports]}).

item_json(Item) ->
    maps:fold(fun
        (type, Type, Object) ->
            Object#{<<"type">> => maps:fold(fun type_json/3, #{}, Type)};
        (Key, Value, Object) when is_atom(Value) ->
            Object#{atom_to_binary(Key) => atom_to_binary(Value)};
        (Key, Value, Object) ->
            Object#{atom_to_binary(Key) => Value}
    end, #{}, Item).

type_json(max, infinity, Object) ->
    Object;
type_json(Key, Types, Object) when Key =:= params; Key =:= results ->
    Object#{atom_to_binary(Key) => [type_name(Type) || Type <- Types]};
type_json(Key, Type, Object) when Key =:= value; Key =:= element; Key =:= index_type ->
    Object#{atom_to_binary(Key) => type_name(Type)};
type_json(Key, Value, Object) ->
    Object#{atom_to_binary(Key) => Value}.

type_name(Type) ->
    unicode:characters_to_binary(wasmbeam_cli_value:type(Type)).
