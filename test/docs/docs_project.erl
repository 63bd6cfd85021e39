%% @doc Follows a section of the documentation that makes a project, as its reader would: what is in
%% `sh' is run, and a block below a line that ends with the name of a file becomes that file.
-module(docs_project).

-export([steps/2]).

-export_type([step/0]).

-type step() ::
    {script, string()} | {file, file:filename(), string()} | {session, [docs_session:entry()]}.

%% @doc The steps of the section with that heading, in its order.
-spec steps(file:filename(), string()) -> [step()].
steps(Page, Heading) ->
    {ok, Bytes} = file:read_file(Page),
    [_, After] = string:split(unicode:characters_to_list(Bytes), "\n## " ++ Heading ++ "\n"),
    [Section | _] = string:split(After, "\n## "),
    Block = "([^\n]*)\n\n(?:<!--[^\n]*-->\n)?```([a-z]+)\n(.*?)\n```",
    {match, Blocks} = re:run(Section, Block,
                             [global, dotall, unicode, {capture, all_but_first, list}]),
    [step(Found) || Found <- Blocks].

step([_Before, "sh", Text]) ->
    {script, Text};
step([_Before, "erlang", "1> " ++ _ = Text]) ->
    {session, docs_session:entries(string:split(Text, "\n", all))};
step([Before, _Language, Text]) ->
    {match, [Name]} = re:run(Before, "`([^`]+)`:$", [{capture, all_but_first, list}]),
    {file, Name, Text ++ "\n"}.
