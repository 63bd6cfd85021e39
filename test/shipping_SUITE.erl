%% @doc How wasmbeam reaches those who use it: the native library and its stub, as a dependency, and
%% in a release.
-module(shipping_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("kernel/include/file.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, groups/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2]).
-export([
    every_function_of_the_stub_answers_native_unavailable/1,
    the_stub_survives_a_reload_of_its_module/1,
    the_library_is_found_beside_the_beam_files_where_the_application_is_unknown/1,
    application_and_crates_have_one_version/1,
    the_library_has_every_declared_function/1,
    without_cargo_the_stub_is_built/1,
    without_cargo_asking_for_rust_fails/1,
    an_unknown_choice_of_library_fails/1,
    a_given_library_is_copied/1,
    a_given_library_that_is_missing_fails/1,
    an_unchanged_library_is_left_alone/1,
    a_library_is_replaced_never_written_into/1,
    the_library_stays_mapped_when_its_module_is_purged/1,
    a_project_uses_it_as_a_checkout/1,
    the_guide_leads_to_a_project_that_runs/1,
    a_release_runs_elsewhere_without_cargo/1,
    a_release_runs_on_a_read_only_file_system/1,
    it_starts_in_a_shell_that_runs/1,
    a_release_with_the_stub_answers_native_unavailable/1
]).

all() ->
    [{group, stub}, {group, build}, {group, dependency}].

groups() ->
    [
        {stub, [], [
            every_function_of_the_stub_answers_native_unavailable,
            the_stub_survives_a_reload_of_its_module,
            the_library_is_found_beside_the_beam_files_where_the_application_is_unknown
        ]},
        {build, [], [
            application_and_crates_have_one_version,
            the_library_has_every_declared_function,
            without_cargo_the_stub_is_built,
            without_cargo_asking_for_rust_fails,
            an_unknown_choice_of_library_fails,
            a_given_library_is_copied,
            a_given_library_that_is_missing_fails,
            an_unchanged_library_is_left_alone,
            a_library_is_replaced_never_written_into,
            the_library_stays_mapped_when_its_module_is_purged
        ]},
        {dependency, [], [
            a_project_uses_it_as_a_checkout,
            the_guide_leads_to_a_project_that_runs,
            a_release_runs_elsewhere_without_cargo,
            a_release_runs_on_a_read_only_file_system,
            it_starts_in_a_shell_that_runs,
            a_release_with_the_stub_answers_native_unavailable
        ]}
    ].

init_per_suite(Config) ->
    Root = project_root(filename:absname(?config(data_dir, Config))),
    Bare = path_without_cargo(filename:join(?config(priv_dir, Config), "bin")),
    [{root, Root}, {path_without_cargo, Bare} | Config].

end_per_suite(_Config) ->
    ok.

init_per_testcase(Case, Config) ->
    Scratch = filename:join(?config(priv_dir, Config), atom_to_list(Case)),
    ok = filelib:ensure_dir(filename:join(Scratch, "x")),
    NeedsNative = [
        the_library_stays_mapped_when_its_module_is_purged,
        a_project_uses_it_as_a_checkout,
        the_guide_leads_to_a_project_that_runs,
        a_release_runs_elsewhere_without_cargo,
        a_release_runs_on_a_read_only_file_system,
        it_starts_in_a_shell_that_runs
    ],
    case lists:member(Case, NeedsNative) andalso not has_native() of
        true -> {skip, "built without the native library"};
        false -> [{scratch, Scratch} | Config]
    end.

%% The stub

every_function_of_the_stub_answers_native_unavailable(Config) ->
    Ebin = application_with_stub("wasmbeam", Config),
    Expr =
        "[{F, A, apply(wasmbeam_nif, F, lists:duplicate(A, x))}"
        " || {F, A} <- lists:sort(wasmbeam_nif:module_info(nifs))]",
    ?assertEqual(
        [{F, A, {error, native_unavailable}} || {F, A} <- declared_nifs()],
        evaluate(Expr, Ebin, Config)
    ).

the_stub_survives_a_reload_of_its_module(Config) ->
    Ebin = application_with_stub("wasmbeam", Config),
    Expr =
        "begin {module, M} = code:load_file(wasmbeam_nif), {module, M} = code:load_file(M),"
        " code:purge(M), {module, M} = code:load_file(M), code:is_loaded(M) =/= false end",
    ?assertEqual(true, evaluate(Expr, Ebin, Config)).

the_library_is_found_beside_the_beam_files_where_the_application_is_unknown(Config) ->
    Ebin = application_with_stub("some_folder", Config),
    Expr = "{code:priv_dir(wasmbeam), element(1, code:ensure_loaded(wasmbeam_nif))}",
    ?assertEqual({{error, bad_name}, module}, evaluate(Expr, Ebin, Config)).

%% The build

application_and_crates_have_one_version(Config) ->
    {ok, [{application, wasmbeam, Properties}]} =
        file:consult(filename:join(code:lib_dir(wasmbeam), "ebin/wasmbeam.app")),
    {ok, Cargo} = file:read_file(filename:join(?config(root, Config), "Cargo.toml")),
    {match, [Version]} =
        re:run(Cargo, "^version = \"(.*)\"$", [multiline, {capture, all_but_first, list}]),
    ?assertEqual(Version, proplists:get_value(vsn, Properties)).

the_library_has_every_declared_function(_Config) ->
    {module, _} = code:ensure_loaded(wasmbeam_nif),
    ?assertEqual(declared_nifs(), lists:sort(wasmbeam_nif:module_info(nifs))).

without_cargo_the_stub_is_built(Config) ->
    {0, Output} = build([], [bare_path(Config)], Config),
    ?assertMatch({match, _}, re:run(Output, "stub \\(cargo is not in PATH\\), new")).

without_cargo_asking_for_rust_fails(Config) ->
    {Status, Output} = build([], [bare_path(Config), {"WASMBEAM_NATIVE", "rust"}], Config),
    ?assertNotEqual(0, Status),
    ?assertMatch({match, _}, re:run(Output, "cargo is not in PATH")),
    ?assertNot(filelib:is_regular(library(Config))).

an_unknown_choice_of_library_fails(Config) ->
    {Status, Output} = build([], [{"WASMBEAM_NATIVE", "wat"}], Config),
    ?assertNotEqual(0, Status),
    ?assertMatch({match, _}, re:run(Output, "'wat', expected rust, stub or an absolute path")).

a_given_library_is_copied(Config) ->
    Given = filename:join(?config(scratch, Config), "given.so"),
    ok = file:write_file(Given, <<"as it is">>),
    {0, Output} = build([], [{"WASMBEAM_NATIVE", Given}], Config),
    ?assertMatch({match, _}, re:run(Output, "copy \\(of .*/given.so\\), new")),
    ?assertEqual({ok, <<"as it is">>}, file:read_file(library(Config))).

a_given_library_that_is_missing_fails(Config) ->
    {Status, Output} = build([], [{"WASMBEAM_NATIVE", "/no/such/file.so"}], Config),
    ?assertNotEqual(0, Status),
    ?assertMatch({match, _}, re:run(Output, "there is no file /no/such/file.so")).

an_unchanged_library_is_left_alone(Config) ->
    {0, _} = build_stub([], Config),
    Before = inode(library(Config)),
    {0, Output} = build_stub([], Config),
    ?assertMatch({match, _}, re:run(Output, "unchanged")),
    ?assertEqual(Before, inode(library(Config))).

a_library_is_replaced_never_written_into(Config) ->
    {0, _} = build_stub([], Config),
    %% The second name keeps the first file alive, so that its inode is not used again.
    ok = file:make_link(library(Config), library(Config) ++ ".mapped"),
    {ok, Before} = file:read_file(library(Config)),
    {0, Output} = build_stub([{"CFLAGS", "-DX -g"}], Config),
    ?assertMatch({match, _}, re:run(Output, "new")),
    ?assertEqual({ok, Before}, file:read_file(library(Config) ++ ".mapped")),
    ?assertNotEqual({ok, Before}, file:read_file(library(Config))).

the_library_stays_mapped_when_its_module_is_purged(Config) ->
    Expr =
        "begin {module, M} = code:load_file(wasmbeam_nif), true = code:delete(M), code:purge(M),"
        " false = code:is_loaded(M), {ok, Maps} = file:read_file(\"/proc/self/maps\"),"
        " binary:match(Maps, <<\"wasmbeam_nif.so\">>) =/= nomatch end",
    case os:type() of
        {unix, linux} -> ?assertEqual(true, evaluate(Expr, [filename:join(code:lib_dir(wasmbeam), "ebin")], Config));
        Other -> {skip, {"the flag is for Linux", Other}}
    end.

%% Those who use it

a_project_uses_it_as_a_checkout(Config) ->
    Project = example_project(?config(root, Config), Config),
    {0, _} = rebar3(["compile"], Project, native()),
    Paths = filelib:wildcard(filename:join(Project, "_build/default/{lib,checkouts}/*/ebin")),
    ?assertEqual({ok, [42]}, evaluate("adder:add(40, 2)", Paths, Config)).

the_guide_leads_to_a_project_that_runs(Config) ->
    Scratch = ?config(scratch, Config),
    ok = file:make_symlink(?config(root, Config), filename:join(Scratch, "wasmbeam")),
    Page = filename:join(?config(root, Config), "docs/getting-started.md"),
    [{script, New} | Steps] = docs_project:steps(Page, "A project of your own"),
    {0, _} = run(os:find_executable("sh"), ["-ec", New], Scratch, []),
    Project = filename:join(Scratch, "my_application"),
    [ok = file:write_file(filename:join(Project, Name), Text) || {file, Name, Text} <- Steps],
    {0, _} = rebar3(["compile"], Project, native()),
    Paths = filelib:wildcard(filename:join(Project, "_build/default/{lib,checkouts}/*/ebin")),
    [{session, [{1, Expression, Expected}]}] = [Step || {session, _} = Step <- Steps],
    Booted = "begin {ok, _} = application:ensure_all_started(my_application), "
        ++ string:trim(Expression, trailing, ".") ++ " end",
    ?assertEqual(list_to_integer(Expected), evaluate(Booted, Paths, Config)).

a_release_runs_elsewhere_without_cargo(Config) ->
    Project = example_project(?config(root, Config), Config),
    ?assertEqual("{ok,[42]}", release_answer(Project, native(), Config)).

a_release_runs_on_a_read_only_file_system(Config) ->
    Moved = moved_release(example_project(?config(root, Config), Config), native(), Config),
    Script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && cd \"$1\""
             " && ! touch writable && exec bin/adder -noinput",
    Unshare = os:find_executable("unshare"),
    Can = Unshare =/= false andalso
          element(1, run(Unshare, ["--mount", "--map-root-user", "true"], Moved, [])),
    case Can of
        0 ->
            {Status, Output} = run(Unshare, ["--mount", "--map-root-user", "sh", "-c", Script, "sh",
                                             Moved], Moved, [bare_path(Config)]),
            ?assertMatch({0, {match, _}}, {Status, re:run(Output, "adder: {ok,\\[42\\]}")});
        _ ->
            {skip, "no mounts of its own for a process here (unshare)"}
    end.

it_starts_in_a_shell_that_runs(Config) ->
    Ebin = filename:join(code:lib_dir(wasmbeam), "ebin"),
    Input = "ok = application:start(crypto), ok = application:start(wasmbeam).\n"
            "{ok, I} = wasmbeam:start(<<\"(module (func (export \\\"f\\\")"
            " (result i32) (i32.const 4711)))\">>).\n"
            "wasmbeam:call(I, <<\"f\">>, []).\nq().\n",
    File = filename:join(?config(scratch, Config), "input"),
    ok = file:write_file(File, Input),
    {Status, Output} = run(os:find_executable("sh"), ["-c", "exec erl -pa \"$0\" <input", Ebin],
                           ?config(scratch, Config), []),
    ?assertMatch({0, {match, _}}, {Status, re:run(Output, "{ok,\\[4711\\]}")}).

%% A copy, because the library that this VM has loaded must not give way to the stub.
a_release_with_the_stub_answers_native_unavailable(Config) ->
    Source = filename:join(?config(scratch, Config), "source"),
    Parts = ["Cargo.toml", "Cargo.lock", "rebar.config", "rebar.lock", "native", "erlang",
             "c_src_stub"],
    ok = file:make_dir(Source),
    {0, _} = run(
        os:find_executable("cp"), ["-R" | Parts] ++ [Source ++ "/"], ?config(root, Config), []),
    Project = example_project(Source, Config),
    Answer = release_answer(Project, [{"WASMBEAM_NATIVE", "stub"}], Config),
    ?assertMatch("{error,{native_unavailable," ++ _, Answer).

release_answer(Project, Env, Config) ->
    Moved = moved_release(Project, Env, Config),
    Start = filename:join(Moved, "bin/adder"),
    {Status, Output} = run(Start, ["-noinput"], Moved, [bare_path(Config)]),
    ?assertEqual(0, Status),
    {match, [Answer]} = re:run(Output, "adder: (.*)", [{capture, all_but_first, list}]),
    Answer.

%% Makes the release, and moves it away from everything it was made from.
moved_release(Project, Env, Config) ->
    {0, _} = rebar3(["release"], Project, Env),
    Moved = filename:join(?config(scratch, Config), "moved"),
    ok = file:rename(filename:join(Project, "_build/default/rel/adder"), Moved),
    ok = file:rename(Project, Project ++ ".away"),
    Moved.

example_project(WasmbeamDir, Config) ->
    Project = filename:join(?config(scratch, Config), "project"),
    Example = filename:join(?config(root, Config), "examples/release"),
    ok = file:make_dir(Project),
    {0, _} = run(os:find_executable("cp"), ["-R", "rebar.config", "src", Project], Example, []),
    Checkout = filename:join(Project, "_checkouts/wasmbeam"),
    ok = filelib:ensure_dir(Checkout),
    ok = file:make_symlink(WasmbeamDir, Checkout),
    Project.

%% The compiled application with the stub, in a folder of its own; returns its ebin.
application_with_stub(Name, Config) ->
    {0, _} = build_stub([], Config),
    App = filename:join(?config(scratch, Config), Name),
    ok = file:make_dir(App),
    Ebin = filename:join(App, "ebin"),
    Source = filename:join(code:lib_dir(wasmbeam), "ebin"),
    {0, _} = run(os:find_executable("cp"), ["-R", Source, Ebin], ".", []),
    ok = file:rename(filename:dirname(library(Config)), filename:join(App, "priv")),
    [Ebin].

declared_nifs() ->
    Beam = filename:join(code:lib_dir(wasmbeam), "ebin/wasmbeam_nif.beam"),
    {ok, {_, [{abstract_code, {_, Forms}}]}} = beam_lib:chunks(Beam, [abstract_code]),
    Nifs = lists:append([Nifs || {attribute, _, nifs, Nifs} <- Forms]),
    ?assertNotEqual([], Nifs),
    lists:sort(Nifs).

build_stub(Env, Config) ->
    build([], [{"WASMBEAM_NATIVE", "stub"} | Env], Config).

%% Runs the build script in the scratch folder, so that its relative argument means that folder's.
build(Args, Env, Config) ->
    Script = filename:join(?config(root, Config), "native/build.sh"),
    run(os:find_executable("sh"), [Script, "out" | Args], ?config(scratch, Config), Env).

library(Config) ->
    filename:join([?config(scratch, Config), "out", "wasmbeam_nif.so"]).

rebar3(Args, Dir, Env) ->
    run(os:find_executable("rebar3"), Args, Dir, Env).

%% The value of an expression in a VM of its own.
evaluate(Expr, Ebins, Config) ->
    Program = "io:format(\"~nvalue: ~0p.~n\", [" ++ Expr ++ "]), halt().",
    Args = ["-noshell"] ++ [A || Ebin <- Ebins, A <- ["-pa", Ebin]] ++ ["-eval", Program],
    {0, Output} = run(os:find_executable("erl"), Args, ?config(scratch, Config), []),
    {match, [Value]} = re:run(Output, "value: (.*\\.)", [{capture, all_but_first, list}]),
    {ok, Tokens, _} = erl_scan:string(Value),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.

run(Program, Args, Dir, Env) ->
    %% What the outer run was given is not for the inner ones.
    Outer = ["WASMBEAM_NATIVE", "REBAR_CONFIG", "REBAR_PROFILE", "ERL_LIBS", "ERL_FLAGS"],
    Clean = [{Name, false} || Name <- Outer, not lists:keymember(Name, 1, Env)],
    Port = open_port({spawn_executable, Program}, [
        {args, Args}, {cd, Dir}, {env, Clean ++ Env}, exit_status, stderr_to_stdout, binary
    ]),
    {Status, Output} = test_port:collect(Port),
    ct:log("~ts ~0p~nin ~ts: ~b~n~ts", [Program, Args, Dir, Status, Output]),
    {Status, Output}.

has_native() ->
    wasmbeam_nif:version() =/= {error, native_unavailable}.

%% For builds that shall have a native library: that of this run, where cargo could not make it.
native() ->
    case os:getenv("WASMBEAM_NATIVE") of
        "/" ++ _ = Path -> [{"WASMBEAM_NATIVE", Path}];
        _ -> []
    end.

bare_path(Config) ->
    {"PATH", ?config(path_without_cargo, Config)}.

%% PATH, with each folder that holds a cargo replaced by one with links to everything but cargo.
path_without_cargo(Bin) ->
    Folders = string:lexemes(os:getenv("PATH"), ":"),
    Replaced = [without_cargo(F, Bin ++ integer_to_list(N))
                || {N, F} <- lists:enumerate(lists:uniq(Folders))],
    lists:flatten(lists:join(":", Replaced)).

without_cargo(Folder, Substitute) ->
    case file:list_dir(Folder) of
        {ok, Names} ->
            case lists:member("cargo", Names) of
                false -> Folder;
                true -> link_all(Folder, Names -- ["cargo"], Substitute)
            end;
        {error, _} ->
            Folder
    end.

link_all(Folder, Names, Substitute) ->
    ok = file:make_dir(Substitute),
    lists:foreach(
        fun(Name) ->
            ok = file:make_symlink(filename:join(Folder, Name), filename:join(Substitute, Name))
        end,
        Names
    ),
    Substitute.

inode(File) ->
    {ok, #file_info{inode = Inode}} = file:read_file_info(File),
    Inode.

%% rebar3 compiles tests in _build, from where the project is some folders up.
project_root(Dir) ->
    case filelib:is_regular(filename:join(Dir, "native/build.sh")) of
        true -> Dir;
        false -> project_root(filename:dirname(Dir))
    end.
