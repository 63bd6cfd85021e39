%% @doc Reads test scripts with the tool `wast2erl'.
-module(wasmbeam_spec_wast).

-export([read/2, tool/1]).

%% @doc The path of the tool, built by cargo where it is missing.
%% `WASMBEAM_WAST2ERL' names one that is used as it is.
-spec tool(Root :: file:filename_all()) -> {ok, file:filename_all()} | {error, term()}.
tool(Root) ->
    case os:getenv("WASMBEAM_WAST2ERL") of
        false -> built(Root, filename:join([target_folder(Root), "release", "wast2erl"]));
        Path -> {ok, Path}
    end.

target_folder(Root) ->
    filename:absname(os:getenv("CARGO_TARGET_DIR", "target"), Root).

built(Root, Path) ->
    case {filelib:is_regular(Path), os:find_executable("cargo")} of
        {true, _} -> {ok, Path};
        {false, false} -> {error, cargo_not_found};
        {false, Cargo} -> build(Root, Cargo, Path)
    end.

build(Root, Cargo, Path) ->
    case run(Cargo, ["build", "--release", "-p", "wast2erl"], [{cd, Root}]) of
        {0, _} -> {ok, Path};
        {Status, _} -> {error, {cargo_build, Status}}
    end.

%% @doc The directives of a script.
-spec read(Tool :: file:filename_all(), File :: file:filename_all()) ->
    {ok, [{pos_integer(), wasmbeam_spec_script:directive()}]} | {error, term()}.
read(Tool, File) ->
    case run(Tool, [File], []) of
        {0, Term} -> {ok, binary_to_term(Term)};
        {Status, _} -> {error, {wast2erl, Status}}
    end.

run(Program, Args, Opts) ->
    Settings = [{args, Args}, binary, exit_status, use_stdio | Opts],
    collect(open_port({spawn_executable, Program}, Settings), []).

collect(Port, Output) ->
    receive
        {Port, {data, Data}} -> collect(Port, [Output | Data]);
        {Port, {exit_status, Status}} -> {Status, iolist_to_binary(Output)}
    end.
