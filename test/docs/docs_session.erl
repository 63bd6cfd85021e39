%% @doc The code blocks of a page of documentation, and running those that are sessions of a shell.
%%
%% A session is a block in `erlang' with prompts, results below:
%%
%% ```
%% 1> lists:seq(1, 3).
%% [1,2,3]
%% '''
%%
%% Results are compared without white space, and `...' in them stands for anything. What an
%% expression prints comes before its result. A prompt of `1>' starts a new session, without
%% variables; any other goes on where the block before ended. A block that begins with `-module' is
%% compiled and loaded, one in `wat' is compiled. Those in `elixir' with prompts are for elixir_SUITE. Every other block is preceded by a comment
%% `<!-- not run: why -->'.
-module(docs_session).

-export([blocks/1, entries/1, run/2, printing/1, matches/2]).

-export_type([block/0, entry/0]).

-type block() ::
    #{kind := session | module | wat | elixir | not_run | unmarked, language := string(),
      line := pos_integer(), text := [string()]}.
-type entry() :: {Number :: pos_integer(), Expression :: string(), Expected :: string()}.
-type state() :: erl_eval:binding_struct().

%% @doc The code blocks of a page, in its order.
-spec blocks(string()) -> [block()].
blocks(Page) ->
    Lines = string:split(Page, "\n", all),
    blocks(lists:zip(lists:seq(1, length(Lines)), Lines), "", []).

blocks([{Line, "```" ++ Language} | Rest], Before, Blocks) ->
    {Text, [_End | After]} = lists:splitwith(fun({_, L}) -> L =/= "```" end, Rest),
    Code = [L || {_, L} <- Text],
    Block = #{kind => kind(Language, Code, Before), language => Language, line => Line,
              text => Code},
    blocks(After, "", [Block | Blocks]);
blocks([{_, Line} | Rest], _Before, Blocks) ->
    blocks(Rest, Line, Blocks);
blocks([], _Before, Blocks) ->
    lists:reverse(Blocks).

kind(_Language, _Code, "<!-- not run: " ++ _) -> not_run;
kind("erlang", ["-module(" ++ _ | _], _) -> module;
kind("erlang", [First | _], _) ->
    case re:run(First, "^[0-9]+> ", [{capture, none}]) of
        match -> session;
        nomatch -> unmarked
    end;
kind("elixir", ["iex> " ++ _ | _], _) -> elixir;
kind("wat", _Code, _) -> wat;
kind(_Language, _Code, _) -> unmarked.

%% @doc The expressions of a session with what is printed below them.
-spec entries([string()]) -> [entry()].
entries([Line | Lines]) ->
    {match, [Number, First]} = re:run(Line, "^([0-9]+)> (.*)$", [{capture, all_but_first, list}]),
    {Expression, Rest} = expression(First, Lines),
    {Expected, Others} = lists:splitwith(fun(L) -> not is_prompt(L) end, Rest),
    [{list_to_integer(Number), Expression, lists:append(Expected)} | entries(Others)];
entries([]) ->
    [].

is_prompt(Line) ->
    re:run(Line, "^[0-9]+> ", [{capture, none}]) =:= match.

%% An expression ends with a full stop at the end of a line, if it is one by then.
expression(Text, Lines) ->
    case lists:suffix(".", Text) andalso parse(Text) of
        {ok, _} -> {Text, Lines};
        _ ->
            [Next | Rest] = Lines,
            expression(Text ++ "\n" ++ Next, Rest)
    end.

parse(Text) ->
    case erl_scan:string(Text) of
        {ok, Tokens, _} -> erl_parse:parse_exprs(Tokens);
        {error, Reason, _} -> {error, Reason}
    end.

%% @doc Evaluates an expression, and gives what a shell would show.
-spec run(string(), state()) -> {Shown :: string(), state()}.
run(Expression, Bindings) ->
    {ok, Parsed} = parse(Expression),
    {Printed, Outcome} = printing(fun() ->
        try erl_eval:exprs(Parsed, Bindings) of
            {value, Value, NewBindings} -> {io_lib:format(format(), [Value]), NewBindings}
        catch
            Class:Reason -> {io_lib:format("** exception ~p: ~tp", [Class, Reason]), Bindings}
        end
    end),
    {Value, NewBindings} = Outcome,
    {lists:flatten([Printed, Value]), NewBindings}.

%% With the keys of maps in their order, which OTP has to be asked for since 26.
format() ->
    case list_to_integer(erlang:system_info(otp_release)) of
        Release when Release >= 26 -> "~ktp";
        _ -> "~tp"
    end.

%% @doc Runs `Fun', and gives what it printed with what it returned.
-spec printing(fun(() -> T)) -> {Printed :: unicode:chardata(), T}.
printing(Fun) ->
    Leader = group_leader(),
    Collector = spawn_link(fun() -> collect([]) end),
    true = group_leader(Collector, self()),
    Outcome = try Fun() after group_leader(Leader, self()) end,
    Collector ! {self(), finish},
    receive {Collector, Printed} -> {Printed, Outcome} end.

collect(Printed) ->
    receive
        {io_request, From, As, {put_chars, unicode, Chars}} ->
            From ! {io_reply, As, ok},
            collect([Printed, unicode:characters_to_list(Chars)]);
        {io_request, From, As, {put_chars, unicode, M, F, A}} ->
            From ! {io_reply, As, ok},
            collect([Printed, unicode:characters_to_list(apply(M, F, A))]);
        {io_request, From, As, _} ->
            From ! {io_reply, As, {error, enotsup}},
            collect(Printed);
        {From, finish} ->
            From ! {self(), Printed}
    end.

%% @doc Whether what was shown is what was expected, up to white space.
-spec matches(Expected :: string(), Shown :: string()) -> boolean().
matches(Expected, Shown) ->
    Parts = string:split(squeeze(Expected), "...", all),
    Pattern = lists:join(".*", [["\\Q", Part, "\\E"] || Part <- Parts]),
    re:run(squeeze(Shown), ["^", Pattern, "$"], [{capture, none}, dotall, unicode]) =:= match.

squeeze(Text) ->
    [C || C <- Text, not lists:member(C, " \n\t\r")].
