%% @doc Files that are named on the command line.
-module(wasmbeam_cli_file).

-export([with/2, read/1, write/2, compile/2, use_key/1, name/1]).

%% @doc Runs `Fun' on the name and the bytes of the one file that a command is about.
-spec with([string()], fun((string(), binary()) -> Outcome)) ->
    Outcome | wasmbeam_cli:outcome().
with([File], Fun) when File =/= "--" ->
    case read(File) of
        {ok, Bytes} -> Fun(File, Bytes);
        {error, _} = Error -> Error
    end;
with(_, _Fun) ->
    {usage, "needs one FILE"}.

%% @doc The bytes of a file, or of standard input for `-'.
-spec read(file:name_all()) -> {ok, binary()} | {error, wasmbeam:error_reason()}.
read("-") ->
    read("/dev/stdin");
read(Path) ->
    case file:read_file(Path) of
        {ok, Bytes} -> {ok, Bytes};
        {error, Code} -> failed("read", Path, Code)
    end.

%% @doc Writes a file, whole or not at all.
-spec write(file:name_all(), binary()) -> ok | {error, wasmbeam:error_reason()}.
write(Path, Bytes) ->
    Temporary = unicode:characters_to_list([Path, ".", os:getpid()]),
    case file:write_file(Temporary, Bytes) of
        ok ->
            case file:rename(Temporary, Path) of
                ok -> ok;
                {error, Code} -> _ = file:delete(Temporary), failed("write", Path, Code)
            end;
        {error, Code} ->
            failed("write", Path, Code)
    end.

failed(Verb, Path, Code) ->
    {error, wasmbeam_error:reason(file_error,
                                  ["cannot ", Verb, " ", Path, ": ", file:format_error(Code)],
                                  #{code => Code, path => name(Path)})}.

%% @doc A file's module, compiled. What takes long says so.
-spec compile(file:name_all(), wasmbeam:compile_options()) ->
    {ok, wasmbeam:module_ref()} | {error, wasmbeam:error_reason()}.
compile(Path, Options) ->
    case read(Path) of
        {ok, Bytes} ->
            wasmbeam_cli_progress:while(["compiling ", Path],
                                        fun() -> wasmbeam:compile(Bytes, Options) end);
        {error, _} = Error ->
            Error
    end.

%% @doc Has images sealed, and seals checked, with a key that is named. Images are allowed, since the
%% user asks for them.
-spec use_key(wasmbeam_cli_options:options()) -> ok.
use_key(Options) ->
    ok = application:set_env(wasmbeam, wasm_allow_aot, true),
    case Options of
        #{key := File} -> application:set_env(wasmbeam, aot_key_file, name(filename:absname(File)));
        #{} -> ok
    end.

%% @doc A name as bytes.
-spec name(file:name_all()) -> binary().
name(Path) ->
    case unicode:characters_to_binary(Path) of
        Bytes when is_binary(Bytes) -> Bytes
    end.
