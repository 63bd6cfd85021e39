%% @doc Use from Elixir: the documentation's sessions, and the example project.
-module(elixir_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1]).
-export([the_sessions_show_what_happens/1, the_project_passes_its_tests/1,
         a_release_of_the_project_runs_elsewhere/1, the_guide_leads_to_a_project_that_runs/1]).

suite() -> [{timetrap, {minutes, 10}}].

all() ->
    [the_sessions_show_what_happens, the_project_passes_its_tests,
     a_release_of_the_project_runs_elsewhere, the_guide_leads_to_a_project_that_runs].

init_per_suite(Config) ->
    case {os:find_executable("elixir"), wasmbeam_nif:version()} of
        {false, _} -> {skip, "there is no elixir in PATH"};
        {_, {error, native_unavailable}} -> {skip, "built without the native library"};
        {_, {ok, _}} -> project([{root, wasmbeam_spec:root()} | Config])
    end.

end_per_suite(_Config) -> ok.

%% A copy of the example, in which Mix may write.
project(Config) ->
    Project = filename:join(?config(priv_dir, Config), "greeter"),
    Example = filename:join(?config(root, Config), "examples/elixir"),
    ok = file:make_dir(Project),
    {0, _} = run("cp", ["-R", "lib", "priv", "test", "mix.exs", Project], Example, Config),
    [{project, Project} | Config].

the_sessions_show_what_happens(Config) ->
    Root = ?config(root, Config),
    Ebin = filename:join(code:lib_dir(wasmbeam), "ebin"),
    Pages = filelib:wildcard("docs/*.md", Root),
    {Status, Output} = run("elixir", ["-pa", Ebin, "test/elixir/sessions.exs", "README.md" | Pages],
                           Root, Config),
    ?assertMatch({0, {match, _}}, {Status, re:run(Output, "[0-9]+ sessions are as they are shown")}).

the_project_passes_its_tests(Config) ->
    {Status, Output} = run("mix", ["test"], ?config(project, Config), Config),
    ?assertMatch({0, {match, _}}, {Status, re:run(Output, "1 doctest, 3 tests")}).

a_release_of_the_project_runs_elsewhere(Config) ->
    Project = ?config(project, Config),
    {0, _} = run("mix", ["release", "--overwrite"], Project, [{env, [{"MIX_ENV", "prod"}]} | Config]),
    Moved = filename:join(?config(priv_dir, Config), "moved"),
    ok = file:rename(filename:join(Project, "_build/prod/rel/greeter"), Moved),
    ok = file:rename(Project, Project ++ ".away"),
    {Status, Output} = run(filename:join(Moved, "bin/greeter"),
                           ["eval", "{:ok, _} = Application.ensure_all_started(:greeter); "
                                    "IO.inspect(Greeter.greet(\"release\"))"], Moved, Config),
    ?assertMatch({0, {match, _}}, {Status, re:run(Output, "{:ok, \"Hello, release!\"}")}).

the_guide_leads_to_a_project_that_runs(Config) ->
    Root = ?config(root, Config),
    Scratch = ?config(priv_dir, Config),
    ok = file:make_symlink(Root, filename:join(Scratch, "wasmbeam")),
    [{script, New} | Steps] =
        docs_project:steps(filename:join(Root, "docs/elixir.md"), "A project of your own"),
    {0, _} = run("sh", ["-ec", New], Scratch, Config),
    Project = filename:join(Scratch, "my_app"),
    [ok = file:write_file(filename:join(Project, Name), Text) || {file, Name, Text} <- Steps],
    [Test, _Example] = [Script || {script, Script} <- Steps],
    {Status, Output} = run("sh", ["-ec", Test], Project, Config),
    ?assertMatch({0, {match, _}}, {Status, re:run(Output, "1 test, 0 failures|Result: 1 passed")}).

run(Name, Args, Dir, Config) ->
    Program = case filename:pathtype(Name) of
        absolute -> Name;
        relative -> os:find_executable(Name)
    end,
    Root = ?config(root, Config),
    %% The library that the tests run with is the one to use, where cargo could not make it.
    Native = case os:getenv("WASMBEAM_NATIVE") of
        "/" ++ _ = Path -> [{"WASMBEAM_NATIVE", Path}];
        _ -> [{"WASMBEAM_NATIVE", false}]
    end,
    Env = [{"MIX_REBAR3", os:find_executable("rebar3")}, {"WASMBEAM_PATH", Root},
           {"ERL_LIBS", false}, {"ERL_FLAGS", false}, {"REBAR_PROFILE", false},
           {"LANG", "C.UTF-8"} | Native] ++ proplists:get_value(env, Config, []),
    Port = open_port({spawn_executable, Program}, [
        {args, Args}, {cd, Dir}, {env, Env}, exit_status, stderr_to_stdout, binary
    ]),
    {Status, Output} = test_port:collect(Port),
    ct:log("~ts ~0p~nin ~ts: ~b~n~ts", [Program, Args, Dir, Status, Output]),
    {Status, Output}.
