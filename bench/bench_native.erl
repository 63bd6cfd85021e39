%% @doc The program in `native/bench', which measures wasmtime alone.
-module(bench_native).

-export([open/1, measure/3]).

-spec open(bench_files:files()) -> port().
open(#{root := Root, guest := Guest, idle := Idle, files := Files, hello := Hello, aos_folder := Folder, aos := Aos}) ->
    Cargo = os:find_executable("cargo"),
    Args = ["run", "--quiet", "--release", "--locked", "--package", "wasmbeam-bench", "--",
            Guest, Idle, Files, Hello, Folder | [Aos || Aos =/= absent]],
    open_port({spawn_executable, Cargo},
              [{args, Args}, {cd, Root}, {line, 256}, binary, exit_status]).

%% @doc The nanoseconds that one of `Count' takes; `absent' if its image is.
-spec measure(port(), string(), pos_integer()) -> float() | absent.
measure(Port, What, Count) ->
    true = port_command(Port, [What, " ", integer_to_list(Count), "\n"]),
    receive
        {Port, {data, {eol, <<"absent">>}}} -> absent;
        {Port, {data, {eol, Number}}} -> to_float(Number);
        {Port, {exit_status, Status}} -> error({wasmbeam_bench_ended, Status, What})
    end.

to_float(Number) ->
    case string:to_float(Number) of
        {Float, <<>>} -> Float;
        {error, no_float} -> float(binary_to_integer(Number))
    end.
