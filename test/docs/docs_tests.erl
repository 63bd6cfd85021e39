%% @doc What the documentation shows is what happens.
-module(docs_tests).

-include_lib("eunit/include/eunit.hrl").

%% Blocks in Erlang that are not run: see docs_session. Another one has to be a decision.
-define(ERLANG_NOT_RUN, 5).

pages_test_() ->
    [{Page, {timeout, 60, fun() -> run_page(Page) end}} || Page <- pages(), can_run(Page)].

%% Python is somebody else's, and not everywhere.
can_run("docs/python.md" = Page) ->
    case micropython_SUITE:find() of
        {ok, Path} -> os:putenv("MICROPYTHON_WASM", Path);
        {error, Why} -> io:format(user, "docs: ~ts is not run: ~ts~n", [Page, Why]), false
    end;
can_run(_Page) ->
    true.

every_block_is_run_or_marked_test() ->
    Blocks = [Block#{page => Page} || Page <- pages(), Block <- blocks(Page)],
    ?assertEqual([], [{Page, Line} || #{kind := unmarked, page := Page, line := Line} <- Blocks]),
    Count = fun(Kind) -> length([Kind || #{kind := K} <- Blocks, K =:= Kind]) end,
    NotRun = [Block || #{kind := not_run, language := "erlang"} = Block <- Blocks],
    io:format(user, "docs: ~b sessions run, ~b other blocks compiled, ~b not run~n",
              [Count(session), Count(module) + Count(wat), Count(not_run)]),
    ?assert(Count(session) > 0),
    ?assertEqual(?ERLANG_NOT_RUN, length(NotRun)).

%% As `rebar3 edoc' does it, but into a folder of its own.
the_reference_is_made_of_every_module_without_warnings_test_() ->
    {timeout, 120, fun() ->
        {ok, Config} = file:consult("rebar.config"),
        Dir = filename:join(code:lib_dir(wasmbeam), "reference"),
        Options = [{dir, Dir} | proplists:get_value(edoc_opts, Config)],
        {Printed, ok} =
            docs_session:printing(fun() -> edoc:application(wasmbeam, ".", Options) end),
        ?assertEqual([], lists:flatten(Printed)),
        Modules = [filename:basename(File, ".erl") || File <- filelib:wildcard("erlang/**/*.erl")],
        ?assertEqual([], [Module || Module <- Modules,
                                    not filelib:is_regular(filename:join(Dir, Module ++ ".html"))])
    end}.

a_shell_shows_the_reference_test_() ->
    {timeout, 120, fun() ->
        Lib = code:lib_dir(wasmbeam),
        ?assertEqual({0, <<>>}, escript(["scripts/chunks.escript", Lib])),
        {ok, {docs_v1, _, erlang, _, _, _, Functions}} = code:get_doc(wasmbeam),
        ?assertMatch({_, _, _, #{<<"en">> := [_ | _]}, _},
                     lists:keyfind({function, stop, 1}, 1, Functions)),
        Modules = [filename:basename(File, ".erl") || File <- filelib:wildcard("erlang/**/*.erl")],
        ?assertEqual([], [Module || Module <- Modules, not filelib:is_regular(
            filename:join([Lib, "doc", "chunks", Module ++ ".chunk"]))])
    end}.

the_demo_ends_as_expected_test_() ->
    {timeout, 120, fun() ->
        {Status, Output} = escript(["examples/demo.escript"]),
        ?assertEqual({0, match}, {Status, re:run(Output, "Everything was as expected",
                                                 [{capture, none}])}, Output)
    end}.

escript(Args) ->
    Libs = filename:dirname(code:lib_dir(wasmbeam)),
    Port = open_port({spawn_executable, os:find_executable("escript")},
                     [{args, Args}, {env, [{"ERL_LIBS", Libs}]}, exit_status, stderr_to_stdout,
                      binary]),
    output(Port, []).

output(Port, Output) ->
    receive
        {Port, {data, Data}} -> output(Port, [Output, Data]);
        {Port, {exit_status, Status}} -> {Status, iolist_to_binary(Output)}
    end.

links_lead_somewhere_test() ->
    Broken = [{Page, Link} || Page <- pages(), Link <- links(Page),
                              not filelib:is_file(filename:join(filename:dirname(Page), Link))],
    ?assertEqual([], Broken).

promises_name_tests_that_exist_test() ->
    {ok, Page} = file:read_file("docs/security.md"),
    {match, Named} = re:run(Page, "`([a-z_]+_(?:tests|SUITE)):([a-z_0-9]+)`",
                            [global, {capture, all_but_first, binary}]),
    ?assert(length(Named) > 20),
    Missing = [Test || [Suite, Function] = Test <- Named, not is_defined(Suite, Function)],
    ?assertEqual([], Missing).

is_defined(Suite, Function) ->
    [File] = filelib:wildcard(binary_to_list(<<"test/**/", Suite/binary, ".erl">>)),
    {ok, Source} = file:read_file(File),
    re:run(Source, ["^", Function, "\\("], [multiline, {capture, none}]) =:= match.

results_are_compared_without_white_space_test() ->
    ?assert(docs_session:matches("{ok, [1,\n 2]}", "{ok,[1,2]}")),
    ?assertNot(docs_session:matches("{ok,[1]}", "{ok,[1,2]}")).

dots_stand_for_anything_test() ->
    ?assert(docs_session:matches("{error,{trap,#{...}}}", "{error,{trap,#{code => x}}}")),
    ?assertNot(docs_session:matches("{error,...}", "{ok,1}")),
    ?assertNot(docs_session:matches("1", "12")).

a_session_shows_what_is_printed_before_the_result_test() ->
    {Shown, _} = docs_session:run("io:format(\"hi~n\"), 1 + 1.", []),
    ?assertEqual("hi\n2", Shown).

expressions_may_have_several_lines_test() ->
    ?assertMatch([{1, "X =\n  1.", "1"}, {2, "X.", "1"}],
                 docs_session:entries(["1> X =", "  1.", "1", "2> X.", "1"])).

pages() ->
    ["README.md", "CONTRIBUTING.md" | lists:sort(filelib:wildcard("docs/*.md"))].

text(Page) ->
    {ok, Bytes} = file:read_file(Page),
    unicode:characters_to_list(Bytes).

blocks(Page) ->
    docs_session:blocks(text(Page)).

%% Relative ones, without the part after the hash.
links(Page) ->
    case re:run(text(Page), "\\]\\(([^)#:]+)(?:#[^)]*)?\\)",
                [global, unicode, {capture, all_but_first, list}]) of
        {match, Links} -> lists:append(Links);
        nomatch -> []
    end.

run_page(Page) ->
    {ok, _} = application:ensure_all_started(wasmbeam),
    lists:foldl(fun(Block, State) -> run_block(Page, Block, State) end, {0, []}, blocks(Page)),
    ok.

run_block(Page, #{kind := session, text := Text, line := Line}, State) ->
    lists:foldl(fun(Entry, S) -> run_entry({Page, Line}, Entry, S) end, State,
                docs_session:entries(Text));
run_block(_Page, #{kind := module, text := Text}, State) ->
    load(Text),
    State;
run_block(_Page, #{kind := wat, text := Text}, State) ->
    {ok, _} = wasmbeam:compile(unicode:characters_to_binary(lists:join("\n", Text))),
    State;
run_block(_Page, #{kind := _}, State) ->
    State.

%% A session counts its prompts from one on.
run_entry(Where, {1, _, _} = Entry, {Last, _Bindings}) when Last =/= 0 ->
    run_entry(Where, Entry, {0, []});
run_entry(Where, {Number, Expression, Expected}, {Last, Bindings}) ->
    ?assertEqual({Where, Last + 1}, {Where, Number}),
    {Shown, NewBindings} = docs_session:run(Expression, Bindings),
    docs_session:matches(Expected, Shown) orelse
        error({Where, Number, Expression, {expected, Expected}, {shown, Shown}}),
    {Number, NewBindings}.

load(Text) ->
    "-module(" ++ Declaration = hd(Text),
    Name = lists:takewhile(fun(C) -> C =/= $) end, Declaration),
    Source = lists:flatten(lists:join("\n", Text)),
    {ok, Tokens, _} = erl_scan:string(lists:flatten(string:replace(Source, "?MODULE", Name, all))),
    {ok, Module, Beam} = compile:forms(forms(Tokens), [return_errors]),
    {module, Module} = code:load_binary(Module, "documentation", Beam).

forms(Tokens) ->
    case lists:splitwith(fun(Token) -> element(1, Token) =/= dot end, Tokens) of
        {[], []} -> [];
        {Form, [Dot | Rest]} ->
            {ok, Parsed} = erl_parse:parse_form(Form ++ [Dot]),
            [Parsed | forms(Rest)]
    end.
