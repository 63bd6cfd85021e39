%% @doc What `run' and `call' have in common: what a guest finds, and what it may use.
-module(wasmbeam_cli_guest).

-export([options/0, start_options/2, compile_options/1]).

%% @doc The options of the command line.
-spec options() -> [wasmbeam_cli_options:option()].
options() ->
    [#{name => env, flag => "--env", argument => {"NAME=VALUE", fun variable/1}, many => true,
       help => "a variable of its environment; --env NAME hands on that of this process"},
     #{name => dir, flag => "--dir", argument => {"GUEST=HOST[:ro]", fun folder/1}, many => true,
       help => "a folder of this machine, under a name for the guest; read-only with :ro"},
     #{name => stdin, flag => "--stdin", argument => {"FILE", fun wasmbeam_cli_options:path/1},
       help => "what it reads, in place of this process's standard input"},
     #{name => fuel, flag => "--fuel", argument => {"N", fun wasmbeam_cli_options:natural/1},
       help => "how many instructions it may run, about"},
     #{name => timeout, flag => "--timeout",
       argument => {"TIME", fun wasmbeam_cli_options:duration/1},
       help => "how long it may take: 500ms, 2s, 5m"},
     #{name => memory, flag => "--memory", argument => {"BYTES", fun wasmbeam_cli_options:bytes/1},
       help => "how much memory it may have: 65536, 64K, 16M, 1G"},
     #{name => aot, flag => "--aot", help => "FILE is an image that wasmbeam compile has made"},
     #{name => key, flag => "--key", argument => {"FILE", fun wasmbeam_cli_options:path/1},
       help => "the key that the image was sealed with, in place of this user's"},
     #{name => deterministic, flag => "--deterministic",
       help => "a clock that stands still, random bytes that are always the same"}].

variable(Text) ->
    case string:split(Text, "=") of
        ["" | _] -> {error, "NAME=VALUE"};
        [Name, Value] -> {ok, {bytes(Name), bytes(Value)}};
        [Name] -> own_variable(Name, os:getenv(Name))
    end.

own_variable(_Name, false) -> {error, "NAME=VALUE, or a variable that is set"};
own_variable(Name, Value) -> {ok, {bytes(Name), bytes(Value)}}.

folder(Text) ->
    {Mapping, Access} = case lists:suffix(":ro", Text) of
        true -> {lists:sublist(Text, length(Text) - 3), ro};
        false -> {Text, rw}
    end,
    case string:split(Mapping, "=") of
        [Guest, Host] when Guest =/= "", Host =/= "" -> existing(Guest, Host, Access);
        _ -> {error, "GUEST=HOST or GUEST=HOST:ro"}
    end.

existing(Guest, Host, Access) ->
    case filelib:is_dir(Host) of
        true -> {ok, {bytes(Guest), bytes(filename:absname(Host)), Access}};
        false -> {error, "a folder that exists"}
    end.

bytes(Text) ->
    unicode:characters_to_binary(Text).

%% @doc The options of compiling.
-spec compile_options(wasmbeam_cli_options:options()) -> wasmbeam:compile_options().
compile_options(#{aot := true} = Options) ->
    ok = wasmbeam_cli_file:use_key(Options),
    Given = maps:with([deterministic], Options),
    case Options of
        #{fuel := _} -> Given#{mode => aot, fuel => true};
        #{} -> Given#{mode => aot}
    end;
compile_options(Options) ->
    (maps:with([deterministic], Options))#{fuel => is_map_key(fuel, Options)}.

%% @doc The options of starting, for a guest with these arguments.
-spec start_options(wasmbeam_cli_options:options(), [binary()]) ->
    {ok, wasmbeam:start_options()} | {error, wasmbeam:error_reason()}.
start_options(Options, Args) ->
    case input(Options) of
        {ok, Input} ->
            Wasi = #{args => Args, stdin => Input,
                     env => maps:get(env, Options, []),
                     stdout => wasmbeam_cli_streams:output(stdout),
                     stderr => wasmbeam_cli_streams:output(stderr)},
            Start = maps:with([fuel, timeout, deterministic], Options),
            {ok, (maps:merge(Start, limits(Options)))#{wasi => folders(Wasi, Options)}};
        {error, _} = Error ->
            Error
    end.

input(#{stdin := Path}) -> wasmbeam_cli_file:read(Path);
input(_) -> {ok, wasmbeam_cli_streams:input()}.

limits(#{memory := Bytes}) -> #{limits => #{memory => Bytes}};
limits(_) -> #{}.

folders(Wasi, #{dir := Folders}) -> Wasi#{host => true, preopens => Folders};
folders(Wasi, _) -> Wasi.
