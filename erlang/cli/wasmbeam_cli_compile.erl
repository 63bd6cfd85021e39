%% @doc `wasmbeam compile': a module's code as a file.
-module(wasmbeam_cli_compile).
-behaviour(wasmbeam_cli).

-export([describe/0, run/2]).

%% @doc What the help says.
-spec describe() -> wasmbeam_cli:command().
describe() ->
    #{summary => "Compiles a module ahead of time.",
      synopsis => "[OPTION]... FILE",
      options =>
          [#{name => output, flag => "--output", argument => {"FILE", fun wasmbeam_cli_options:path/1},
             help => "where the image goes; otherwise the module's name with .aot"},
           #{name => key, flag => "--key", argument => {"FILE", fun wasmbeam_cli_options:path/1},
             help => "the key that seals the image, in place of this user's"},
           #{name => fuel, flag => "--fuel", help => "code that counts fuel"},
           #{name => deterministic, flag => "--deterministic",
             help => "code whose results are the same on every machine"},
           #{name => optimize, flag => "--optimize", argument => {"HOW", fun optimize/1},
             help => "none, speed (the default) or size"}],
      notes => "The image is native code. It is taken, by run --aot and by wasmbeam:start/2, by the "
               "same version\nof wasmbeam on the same kind of machine, and only with the key that "
               "it was sealed with."}.

optimize("none") -> {ok, none};
optimize("speed") -> {ok, speed};
optimize("size") -> {ok, speed_and_size};
optimize(_) -> {error, "none, speed or size"}.

%% @doc Compiles it.
-spec run(wasmbeam_cli_options:options(), [string()]) -> wasmbeam_cli:outcome().
run(Options, ["-"]) when not is_map_key(output, Options) ->
    {usage, "needs --output for a module from standard input"};
run(Options, Args) ->
    wasmbeam_cli_file:with(Args, fun(File, Bytes) ->
        ok = wasmbeam_cli_file:use_key(Options),
        case precompile(File, Bytes, Options) of
            {ok, Image} -> wasmbeam_cli_file:write(output(Options, File), Image);
            {error, _} = Error -> Error
        end
    end).

precompile(File, Bytes, Options) ->
    Given = maps:with([fuel, deterministic], Options),
    Compile = Given#{compiler => #{opt => maps:get(optimize, Options, speed)}},
    wasmbeam_cli_progress:while(["compiling ", File],
                                fun() -> wasmbeam:precompile(Bytes, Compile) end).

output(#{output := File}, _) -> File;
output(_, File) -> filename:rootname(File) ++ ".aot".
