%% @doc The command `wasmbeam', as a process of the operating system.
-module(cli_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, groups/0, init_per_suite/1, end_per_suite/1]).
-export([tells_its_versions/1, tells_what_there_is/1, refuses_what_makes_no_sense/1,
         runs_through_a_link_from_anywhere/1, says_that_its_library_is_missing/1,
         runs_installed/1, reads_a_module_from_standard_input/1]).
-export([run_hands_on_arguments_and_environment/1, run_hands_on_streams_and_status/1,
         run_reads_standard_input_byte_by_byte/1, run_reads_a_file_as_input/1,
         run_ends_at_limits/1, run_mounts_folders/1, run_needs_a_command/1]).
-export([call_prints_results/1, call_takes_values_of_all_types/1, call_names_bad_arguments/1,
         call_tells_errors/1, call_hands_on_an_exit/1]).
-export([inspect_tells_what_a_module_needs/1, inspect_writes_json/1,
         inspect_refuses_what_is_no_module/1]).
-export([compile_makes_an_image_that_runs/1, an_image_of_another_key_is_refused/1]).
-export([snapshot_info_tells_what_is_in_it/1, snapshot_info_writes_json/1,
         snapshot_info_refuses_damaged_files/1]).

suite() -> [{timetrap, {minutes, 5}}].

all() ->
    [{group, command}, {group, run}, {group, call}, {group, inspect}, {group, compile},
     {group, snapshot}].

groups() ->
    [{command, [], [tells_its_versions, tells_what_there_is, refuses_what_makes_no_sense,
                    runs_through_a_link_from_anywhere, says_that_its_library_is_missing,
                    runs_installed, reads_a_module_from_standard_input]},
     {run, [], [run_hands_on_arguments_and_environment, run_hands_on_streams_and_status,
                run_reads_standard_input_byte_by_byte, run_reads_a_file_as_input,
                run_ends_at_limits, run_mounts_folders, run_needs_a_command]},
     {call, [], [call_prints_results, call_takes_values_of_all_types, call_names_bad_arguments,
                 call_tells_errors, call_hands_on_an_exit]},
     {inspect, [], [inspect_tells_what_a_module_needs, inspect_writes_json,
                    inspect_refuses_what_is_no_module]},
     {compile, [], [compile_makes_an_image_that_runs, an_image_of_another_key_is_refused]},
     {snapshot, [], [snapshot_info_tells_what_is_in_it, snapshot_info_writes_json,
                     snapshot_info_refuses_damaged_files]}].

init_per_suite(Config) ->
    case wasmbeam_nif:version() of
        {error, native_unavailable} -> {skip, "built without the native library"};
        {ok, _} -> build([{root, wasmbeam_spec:root()} | Config])
    end.

end_per_suite(_Config) -> ok.

%% As `make cli' does, but not in the project's own folder.
build(Config) ->
    Base = filename:join(?config(priv_dir, Config), "build"),
    {0, _} = os_process(os:find_executable("rebar3"), ["escriptize"], ?config(root, Config),
                        [{"REBAR_BASE_DIR", Base}, native()]),
    [{bin, filename:join(Base, "default/bin")} | Config].

%% The library of this run, where cargo could not make it.
native() ->
    case os:getenv("WASMBEAM_NATIVE") of
        "/" ++ _ = Path -> {"WASMBEAM_NATIVE", Path};
        _ -> {"WASMBEAM_NATIVE", false}
    end.

%% The command as such

tells_its_versions(Config) ->
    {0, Out, <<>>} = wasmbeam(["--version"], Config),
    {ok, [{application, wasmbeam, Properties}]} =
        file:consult(filename:join(code:lib_dir(wasmbeam), "ebin/wasmbeam.app")),
    Version = proplists:get_value(vsn, Properties),
    Expected = ["wasmbeam ", Version, " (native library ", Version, ", Erlang/OTP ",
                erlang:system_info(otp_release), ")\n"],
    ?assertEqual(iolist_to_binary(Expected), Out).

tells_what_there_is(Config) ->
    {0, Out, <<>>} = wasmbeam(["--help"], Config),
    contains(["run ", "call ", "inspect ", "snapshot info "], Out),
    {0, Out, <<>>} = wasmbeam(["help"], Config),
    [begin
         {0, Help, <<>>} = wasmbeam(Name ++ ["--help"], Config),
         contains(["usage: wasmbeam " ++ lists:flatten(lists:join(" ", Name)) | Options], Help)
     end || {Name, Options} <- [{["run"], ["--env NAME=VALUE", "--dir", "--fuel", "--timeout"]},
                                {["call"], ["--memory BYTES", "FUNCTION"]},
                                {["inspect"], ["--json"]},
                                {["snapshot", "info"], ["--json"]}]].

refuses_what_makes_no_sense(Config) ->
    [begin
         {Status, Out, Err} = wasmbeam(Args, Config),
         ?assertEqual({Args, 2, <<>>}, {Args, Status, Out}),
         contains([Says, "--help"], Err)
     end || {Args, Says} <-
         [{[], "a subcommand is missing"},
          {["walk"], "there is no subcommand walk"},
          {["run"], "a FILE is missing"},
          {["run", "--speed", "x.wasm"], "there is no option --speed"},
          {["run", "--fuel"], "--fuel needs N"},
          {["run", "--fuel", "much", "x.wasm"], "--fuel has to be a number, not much"},
          {["run", "--fuel=1", "--fuel=2", "x.wasm"], "--fuel is given twice"},
          {["run", "--timeout=-1s", "x.wasm"], "--timeout has to be a time"},
          {["run", "--memory=1T", "x.wasm"], "--memory has to be a number of bytes"},
          {["run", "--env", "=1", "x.wasm"], "--env has to be NAME=VALUE"},
          {["run", "--dir", "/only", "x.wasm"], "--dir has to be GUEST=HOST"},
          {["run", "--deterministic=yes", "x.wasm"], "--deterministic takes no value"},
          {["run", "x.wasm", "argument"], "Arguments of the guest come after --"},
          {["call", "x.wasm"], "a FILE or a FUNCTION is missing"},
          {["inspect"], "needs one FILE"},
          {["compile", "--optimize", "well", "x.wasm"], "--optimize has to be none, speed or size"},
          {["snapshot", "info", "a", "b"], "needs one FILE"}]],
    {2, <<>>, Err} = wasmbeam(["snapshot"], Config),
    contains(["snapshot needs: info FILE"], Err).

runs_through_a_link_from_anywhere(Config) ->
    Link = filename:join(scratch(?FUNCTION_NAME, Config), "linked"),
    ok = file:make_symlink(filename:join(?config(bin, Config), "wasmbeam"), Link),
    {0, <<"5\n">>, <<>>} =
        command(Link, ["call", module("arithmetic", Config), "add", "2", "3"], "/", "", Config).

says_that_its_library_is_missing(Config) ->
    Alone = filename:join(scratch(?FUNCTION_NAME, Config), "wasmbeam"),
    copy("wasmbeam", Alone, Config),
    {1, <<>>, Err} = command(Alone, ["inspect", module("arithmetic", Config)], "/", "", Config),
    contains(["wasmbeam_nif.so is neither beside the command nor in ../lib/wasmbeam"], Err).

runs_installed(Config) ->
    Prefix = scratch(?FUNCTION_NAME, Config),
    Command = filename:join(Prefix, "bin/wasmbeam"),
    copy("wasmbeam", Command, Config),
    copy("wasmbeam_nif.so", filename:join(Prefix, "lib/wasmbeam/wasmbeam_nif.so"), Config),
    {0, <<"5\n">>, <<>>} =
        command(Command, ["call", module("arithmetic", Config), "add", "2", "3"], "/", "", Config).

%% run

run_hands_on_arguments_and_environment(Config) ->
    File = fixture("cli/arguments.wat", Config),
    {0, <<"arguments.wat", 0>>, <<>>} = wasmbeam(["run", File], Config),
    {0, <<"arguments.wat", 0, "--help", 0, "", 0, "Zo", 16#c3, 16#ab, 0, "A=1=2", 0,
          "B=here", 0>>, <<>>} =
        command(filename:join(?config(bin, Config), "wasmbeam"),
                ["run", "--env", "A=1=2", "--env=B", File, "--", "--help", "",
                 [$Z, $o, 16#eb]], "/", "", [{env, [{"B", "here"}]} | Config]).

reads_a_module_from_standard_input(Config) ->
    Image = filename:join(scratch(?FUNCTION_NAME, Config), "values.aot"),
    Input = "<" ++ fixture("cli/values.wat", Config),
    Run = fun(Args) ->
        command(filename:join(?config(bin, Config), "wasmbeam"), Args, "/", Input, Config)
    end,
    {0, Out, <<>>} = Run(["inspect", "-"]),
    contains(["exports"], Out),
    {2, <<>>, Err} = Run(["compile", "-"]),
    contains(["--output"], Err),
    {0, <<>>, <<>>} = Run(["compile", "--output", Image, "-"]),
    {ok, <<_/binary>>} = file:read_file(Image),
    {1, <<>>, Unknown} = Run(["call", "-", "none"]),
    contains(["unknown_export", "none"], Unknown).

run_hands_on_streams_and_status(Config) ->
    %% A process's status has 8 bits.
    {255, <<"out\n">>, <<"err\n">>} = wasmbeam(["run", fixture("cli/endings.wat", Config)], Config).

run_reads_standard_input_byte_by_byte(Config) ->
    Echo = fixture("wasi/fixtures/echo.wat", Config),
    {0, <<>>, <<>>} = wasmbeam(["run", Echo], Config),
    Bytes = << <<(N * 7 rem 256)>> || N <- lists:seq(1, 300000) >>,
    File = filename:join(scratch(?FUNCTION_NAME, Config), "bytes"),
    ok = file:write_file(File, Bytes),
    Command = filename:join(?config(bin, Config), "wasmbeam"),
    ?assert({0, Bytes, <<>>} =:= command(Command, ["run", Echo], "/", "<" ++ File, Config)),
    {0, <<"one\ntwo\n">>, <<>>} =
        command("printf 'one\\n'; printf 'two\\n') | (" ++ Command, ["run", Echo], "/", "", Config).

run_reads_a_file_as_input(Config) ->
    Echo = fixture("wasi/fixtures/echo.wat", Config),
    {ok, Text} = file:read_file(Echo),
    {0, Text, <<>>} = wasmbeam(["run", "--stdin", Echo, Echo], Config),
    {1, <<>>, Err} = wasmbeam(["run", "--stdin", "/no/such/file", Echo], Config),
    contains(["file_error", "/no/such/file", "no such file or directory"], Err).

run_ends_at_limits(Config) ->
    Loop = filename:join(scratch(?FUNCTION_NAME, Config), "loop.wat"),
    ok = file:write_file(Loop, "(module (memory (export \"memory\") 2)"
                               " (func (export \"_start\") (loop (br 0))))"),
    [begin
         {1, <<>>, Err} = wasmbeam(["run", Option, Loop], Config),
         contains([Says], Err)
     end || {Option, Says} <- [{"--fuel=100000", "wasmbeam: out_of_fuel"},
                               {"--timeout=50ms", "wasmbeam: timeout"},
                               {"--memory=64K", "wasmbeam: limit"}]].

run_mounts_folders(Config) ->
    Folder = scratch(?FUNCTION_NAME, Config),
    Module = fixture("cli/copies.wat", Config),
    ok = file:write_file(filename:join(Folder, "in"), "to be copied"),
    {0, <<>>, <<>>} = wasmbeam(["run", "--dir", "/data=" ++ Folder, Module], Config),
    ?assertEqual({ok, <<"to be copied">>}, file:read_file(filename:join(Folder, "out"))),
    ok = file:delete(filename:join(Folder, "out")),
    {Status, <<>>, <<>>} = wasmbeam(["run", "--dir", "/data=" ++ Folder ++ ":ro", Module], Config),
    ?assertNotEqual(0, Status),
    ?assertEqual({error, enoent}, file:read_file(filename:join(Folder, "out"))),
    {2, <<>>, Err} = wasmbeam(["run", "--dir", "/data=/no/such/folder", Module], Config),
    contains(["--dir has to be a folder that exists"], Err).

run_needs_a_command(Config) ->
    {1, <<>>, Err} = wasmbeam(["run", module("arithmetic", Config)], Config),
    contains(["unknown_export", "_start"], Err).

%% call

call_prints_results(Config) ->
    {0, <<"1234\n">>, <<>>} =
        wasmbeam(["call", module("arithmetic", Config), "add", "1200", "34"], Config),
    {0, <<"0.5\n-7\n">>, <<>>} =
        wasmbeam(["call", fixture("cli/values.wat", Config), "swap", "-7", "0.5"], Config).

call_takes_values_of_all_types(Config) ->
    File = fixture("cli/values.wat", Config),
    [?assertEqual({Type, Text, 0, <<Shown/binary, $\n>>, <<>>},
                  list_to_tuple([Type, Text | tuple_to_list(wasmbeam(["call", File, Type, "--", Text],
                                                                     Config))]))
     || {Type, Text, Shown} <-
         [{"i32", "0xffffffff", <<"-1">>},
          {"i64", "-9223372036854775808", <<"-9223372036854775808">>},
          {"f32", "0.1", <<"0.1">>},
          {"f32", "3.4028234663852886e38", <<"3.4028235e38">>},
          {"f32", "nan:0x7fc00001", <<"nan:0x7fc00001">>},
          {"f64", "1e-3", <<"0.001">>},
          {"f64", "-inf", <<"-inf">>},
          {"f64", "2", <<"2.0">>},
          {"v128", "0x000102030405060708090a0b0c0d0e0f", <<"0x000102030405060708090a0b0c0d0e0f">>},
          {"externref", "any text", <<"any text">>},
          {"funcref", "null", <<"null">>}]].

call_names_bad_arguments(Config) ->
    File = fixture("cli/values.wat", Config),
    [begin
         {2, <<>>, Err} = wasmbeam(["call", File, Function | Args], Config),
         contains([Says], Err)
     end || {Function, Args, Says} <-
         [{"i32", ["4294967296"], "argument 1 has to be an i32, not 4294967296"},
          {"i32", ["one"], "argument 1 has to be an i32, not one"},
          {"f32", ["nan:0x1"], "argument 1 has to be an f32, not nan:0x1"},
          {"swap", ["1"], "the function takes 2 arguments (i32 f64), not 1"}]].

call_tells_errors(Config) ->
    File = module("arithmetic", Config),
    {1, <<>>, Trap} = wasmbeam(["call", File, "average", "1", "0"], Config),
    contains(["wasmbeam: trap: integer divide by zero", "in divide (function 2)"], Trap),
    {1, <<>>, Unknown} = wasmbeam(["call", File, "subtract"], Config),
    contains(["wasmbeam: unknown_export", "subtract"], Unknown),
    {1, <<>>, Missing} = wasmbeam(["call", "no.wasm", "f"], Config),
    contains(["wasmbeam: file_error: cannot read no.wasm: no such file or directory"], Missing).

call_hands_on_an_exit(Config) ->
    {7, <<"out\n">>, <<"err\n">>} =
        wasmbeam(["call", fixture("cli/endings.wat", Config), "exit", "7"], Config).

%% inspect

inspect_tells_what_a_module_needs(Config) ->
    File = filename:join(scratch(?FUNCTION_NAME, Config), "needy.wat"),
    Text = <<"(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32)))\n"
             "(import \"shop\" \"price\" (func (param i32) (result i64)))\n"
             "(memory (export \"memory\") i64 1 3)\n"
             "(global (export \"g\") (mut i32) (i32.const 0))\n"
             "(table (export \"t\") 2 funcref)\n"
             "(func (export \"v\") (result v128) (v128.const i64x2 0 0)))">>,
    ok = file:write_file(File, Text),
    {0, Out, <<>>} = wasmbeam(["inspect", File], Config),
    Hash = string:lowercase(binary:encode_hex(crypto:hash(sha256, Text))),
    contains([[integer_to_list(byte_size(Text)), " bytes, SHA-256 ", Hash],
              "  func   wasi_snapshot_preview1.proc_exit (i32) -> (): wasi\n",
              "  func   shop.price (i32) -> (i64)\n",
              "  memory memory 1 to 3 pages of 65536 bytes, 64-bit\n",
              "  global g mutable i32\n",
              "  table  t 2 or more elements, funcref\n",
              "  func   v () -> (v128)\n",
              "  WebAssembly: ", "simd", "memory64",
              "  WASI preview 1, provided by wasmbeam: 1 functions\n",
              "  from you: shop.price\n"], Out).

inspect_writes_json(Config) ->
    {0, Out, <<>>} = wasmbeam(["inspect", "--json", module("shop", Config)], Config),
    {ok, Facts} = wasmbeam_json:decode(Out),
    ?assertMatch(#{<<"imports">> := [#{<<"module">> := <<"prices">>, <<"name">> := <<"price">>,
                                       <<"kind">> := <<"func">>, <<"provider">> := <<"none">>,
                                       <<"type">> := #{<<"params">> := [<<"i32">>],
                                                       <<"results">> := [<<"i32">>]}}],
                   <<"exports">> := [#{<<"name">> := <<"total">>}],
                   <<"features">> := []}, Facts).

inspect_refuses_what_is_no_module(Config) ->
    File = filename:join(scratch(?FUNCTION_NAME, Config), "bad.wasm"),
    ok = file:write_file(File, <<0, "asm", 1, 0, 0, 0, 255>>),
    {1, <<>>, Err} = wasmbeam(["inspect", File], Config),
    contains(["wasmbeam: invalid_module"], Err).

%% compile

compile_makes_an_image_that_runs(Config) ->
    Folder = scratch(?FUNCTION_NAME, Config),
    [Key, Image] = [filename:join(Folder, Name) || Name <- ["key", "hello.aot"]],
    {0, <<>>, <<>>} = wasmbeam(["compile", "--key", Key, "--optimize", "size", "--output", Image,
                                module("hello", Config)], Config),
    {0, <<"Hello from WASI\n">>, <<>>} = wasmbeam(["run", "--aot", "--key", Key, Image], Config),
    ?assertEqual(["hello.aot", "key"], lists:sort(filelib:wildcard("*", Folder))).

an_image_of_another_key_is_refused(Config) ->
    Folder = scratch(?FUNCTION_NAME, Config),
    [Key, Other, Image] = [filename:join(Folder, Name) || Name <- ["key", "other", "image"]],
    [{0, <<>>, <<>>} = wasmbeam(["compile", "--key", K, "--output", To, module("hello", Config)],
                                Config) || {K, To} <- [{Other, Image ++ "2"}, {Key, Image}]],
    {1, <<>>, Err} = wasmbeam(["run", "--aot", "--key", Other, Image], Config),
    contains(["wasmbeam: bad_image"], Err),
    {1, <<>>, Plain} = wasmbeam(["run", Image], Config),
    contains(["wasmbeam: invalid_module"], Plain).

%% snapshot info

snapshot_info_tells_what_is_in_it(Config) ->
    {File, Next, Source} = snapshots(?FUNCTION_NAME, Config),
    {0, Out, <<>>} = wasmbeam(["snapshot", "info", File], Config),
    Module = string:lowercase(binary:encode_hex(crypto:hash(sha256, Source))),
    {match, [Id]} = re:run(Out, "id +([0-9a-f]{32})\n", [{capture, all_but_first, binary}]),
    contains([", version 1, complete\n", ["module  ", Module, "\n"], "  MEMS ", "  GLOB ", "  TABL ",
              "  DROP ", "  0: 1 pages of 65536 bytes; ", "1 mutable globals",
              "1 tables with 2 elements"], Out),
    {0, NextOut, <<>>} = wasmbeam(["snapshot", "info", Next], Config),
    contains([", incremental\n", ["base    ", Id, "\n"]], NextOut).

snapshot_info_writes_json(Config) ->
    {File, _Next, _Source} = snapshots(?FUNCTION_NAME, Config),
    {0, Out, <<>>} = wasmbeam(["snapshot", "info", "--json", File], Config),
    {ok, Info} = wasmbeam_json:decode(Out),
    ?assertMatch(#{<<"version">> := 1, <<"globals">> := 1, <<"tables">> := [2],
                   <<"sections">> := [#{<<"tag">> := <<"MEMS">>, <<"bytes">> := _} | _],
                   <<"memories">> := [#{<<"bytes">> := 65536, <<"compression">> := <<"zstd">>}]},
                 Info),
    ?assertNot(is_map_key(<<"base">>, Info)).

snapshot_info_refuses_damaged_files(Config) ->
    {File, _Next, _Source} = snapshots(?FUNCTION_NAME, Config),
    {ok, <<First:100/binary, Byte, Rest/binary>>} = file:read_file(File),
    [begin
         ok = file:write_file(File, Bytes),
         {1, <<>>, Err} = wasmbeam(["snapshot", "info", File], Config),
         contains(["wasmbeam: bad_snapshot"], Err)
     end || Bytes <- [<<>>, First, <<First/binary, (Byte bxor 1), Rest/binary>>]].

%% A snapshot, one based on it, and the image that they are of.
snapshots(Case, Config) ->
    Folder = scratch(Case, Config),
    {ok, Source} = file:read_file(module("counter", Config)),
    {ok, I} = wasmbeam:start(Source),
    ok = wasmbeam:memory_write(I, 0, <<"some bytes">>),
    {ok, Snapshot} = wasmbeam:serialize(I, #{compression => zstd}),
    {ok, [1]} = wasmbeam:call(I, <<"up">>, []),
    {ok, Next} = wasmbeam:serialize(I, #{base => Snapshot}),
    ok = wasmbeam:stop(I),
    Files = [filename:join(Folder, Name) || Name <- ["full", "next"]],
    [ok, ok] = [file:write_file(File, Bytes)
                || {File, Bytes} <- lists:zip(Files, [Snapshot, Next])],
    [File, NextFile] = Files,
    {File, NextFile, Source}.

%% Running it

wasmbeam(Args, Config) ->
    command(filename:join(?config(bin, Config), "wasmbeam"), Args, "/", "</dev/null", Config).

%% The status and both outputs. `Redirection' is for the shell.
command(Command, Args, Dir, Redirection, Config) ->
    Out = filename:join(?config(priv_dir, Config), "out"),
    Err = filename:join(?config(priv_dir, Config), "err"),
    Script = "(" ++ Command ++ " \"$@\") " ++ Redirection ++ " >\"$OUT\" 2>\"$ERR\"",
    {Status, <<>>} = os_process("/bin/sh", ["-c", Script, "sh" | Args], Dir,
                                [{"OUT", Out}, {"ERR", Err}, {"LANG", "C.UTF-8"}
                                 | proplists:get_value(env, Config, [])]),
    {ok, Output} = file:read_file(Out),
    {ok, Errors} = file:read_file(Err),
    ct:log("~ts ~0p: ~b~n~tp~n~tp", [Command, Args, Status, Output, Errors]),
    {Status, Output, Errors}.

os_process(Program, Args, Dir, Env) ->
    %% What the outer run was given is not for the inner ones.
    Clean = [{Name, false} || Name <- ["ERL_LIBS", "ERL_FLAGS", "REBAR_PROFILE", "REBAR_CONFIG"]],
    Port = open_port({spawn_executable, Program}, [
        {args, Args}, {cd, Dir}, {env, Clean ++ Env}, exit_status, stderr_to_stdout, binary
    ]),
    test_port:collect(Port).

contains(Parts, Text) ->
    ?assertEqual([], [Part || Part <- Parts,
                              binary:match(Text, unicode:characters_to_binary(Part)) =:= nomatch],
                 Text).

module(Name, Config) ->
    filename:join([?config(root, Config), "examples/modules", Name ++ ".wat"]).

fixture(Name, Config) ->
    filename:join([?config(root, Config), "test", Name]).

scratch(Case, Config) ->
    Folder = filename:join(?config(priv_dir, Config), atom_to_list(Case)),
    ok = filelib:ensure_dir(filename:join(Folder, "x")),
    Folder.

copy(Name, Target, Config) ->
    Source = filename:join(?config(bin, Config), Name),
    ok = filelib:ensure_dir(Target),
    {ok, _} = file:copy(Source, Target),
    ok = file:change_mode(Target, 8#755).
