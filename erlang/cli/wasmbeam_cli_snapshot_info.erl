%% @doc `wasmbeam snapshot info': what a snapshot says of itself.
-module(wasmbeam_cli_snapshot_info).
-behaviour(wasmbeam_cli).

-export([describe/0, run/2]).

%% @doc What the help says.
-spec describe() -> wasmbeam_cli:command().
describe() ->
    #{summary => "Tells what is in a snapshot.",
      synopsis => "[--json] FILE",
      options => [#{name => json, flag => "--json", help => "as a JSON object"}],
      notes => "Its checksum and structure are checked. The module is named by the SHA-256 of its "
               "image, as\nit was given to be compiled: compare with sha256sum."}.

%% @doc Tells it.
-spec run(wasmbeam_cli_options:options(), [string()]) -> wasmbeam_cli:outcome().
run(Options, Args) ->
    wasmbeam_cli_file:with(Args, fun(File, Bytes) ->
        case wasmbeam:snapshot_info(Bytes) of
            {ok, Info} -> print(Options, File, byte_size(Bytes), Info);
            {error, _} = Error -> Error
        end
    end).

print(#{json := true}, File, Bytes, Info) ->
    Facts = Info#{file => wasmbeam_cli_file:name(File), bytes => Bytes},
    case wasmbeam_json:encode(json(Facts)) of
        {ok, Text} -> io:format("~ts~n", [Text]);
        {error, _} = Error -> Error
    end;
print(_, File, Bytes, Info) ->
    io:format("~ts", [text(File, Bytes, Info)]).

text(File, Bytes, #{version := Version, id := Id, module := Module, base := Base,
                    sections := Sections, memories := Memories} = Info) ->
    [io_lib:format("~ts: ~b bytes, version ~b, ~ts~n", [File, Bytes, Version, kind(Base)]),
     io_lib:format("id      ~ts~nmodule  ~ts~n", [Id, Module]),
     [["base    ", Base, $\n] || Base =/= none],
     "\nsections\n", [io_lib:format("  ~ts ~b bytes~n", [Tag, Size]) || {Tag, Size} <- Sections],
     "\nmemories\n", memories(Memories),
     "\nbesides\n", besides(Info)].

kind(none) -> "complete";
kind(_Base) -> "incremental".

memories([]) ->
    "  none\n";
memories(Memories) ->
    [memory(Index, Memory)
     || {Index, Memory} <- lists:zip(lists:seq(0, length(Memories) - 1), Memories)].

memory(Index, #{bytes := Bytes, page_size := PageSize, compression := Compression,
                stored_pages := Stored, stored_bytes := StoredBytes, zeroed_pages := Zeroed}) ->
    [io_lib:format("  ~b: ~b pages of ~b bytes; ~b KiB stored in ~b bytes, ~ts",
                   [Index, Bytes div PageSize, PageSize, Stored * 4, StoredBytes,
                    compression(Compression)]),
     [io_lib:format("; ~b KiB became zero", [Zeroed * 4]) || Zeroed > 0],
     $\n].

compression(none) -> "not compressed";
compression(Compression) -> atom_to_list(Compression).

besides(#{globals := Globals, tables := Tables, dropped_data := Data,
          dropped_elements := Elements}) ->
    [io_lib:format("  ~b mutable globals~n", [Globals]),
     io_lib:format("  ~b tables with ~b elements~n", [length(Tables), lists:sum(Tables)]),
     io_lib:format("  ~b data and ~b element segments are dropped~n", [Data, Elements])].

json(#{sections := Sections, memories := Memories} = Facts) ->
    object(Facts#{sections := [#{<<"tag">> => Tag, <<"bytes">> => Size}
                               || {Tag, Size} <- Sections],
                  memories := [object(Memory) || Memory <- Memories]}).

object(Map) ->
    maps:fold(fun
        (base, none, Object) -> Object;
        (Key, Value, Object) when is_atom(Value) ->
            Object#{atom_to_binary(Key) => atom_to_binary(Value)};
        (Key, Value, Object) -> Object#{atom_to_binary(Key) => Value}
    end, #{}, Map).
