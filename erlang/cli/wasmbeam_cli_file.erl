%% @doc Files that are named on the command line.
-module(wasmbeam_cli_file).

-export([read/1, compile/2, name/1]).

%% @doc The bytes of a file.
-spec read(file:name_all()) -> {ok, binary()} | {error, wasmbeam:error_reason()}.
read(Path) ->
    case file:read_file(Path) of
        {ok, Bytes} -> {ok, Bytes};
        {error, Code} -> failed("read", Path, Code)
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

%% @doc A name as bytes.
-spec name(file:name_all()) -> binary().
name(Path) ->
    case unicode:characters_to_binary(Path) of
        Bytes when is_binary(Bytes) -> Bytes
    end.
