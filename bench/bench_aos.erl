%% @doc An evaluation of `return 1 + 1' in AOS: two strings in, one out.
-module(bench_aos).

-export([rows/1, strings/1, zeros/1, evaluate/3]).

-spec rows(bench_files:files()) -> [bench:row()].
rows(#{aos := absent}) ->
    [#{name => "AOS evaluation", skip => "no shared/modules/aos-2-pure-xs.wasm"}];
rows(#{aos := Image} = Files) ->
    {ok, Source} = file:read_file(Image),
    {ok, Instance} = wasmbeam:start(Source, #{import_handler => fun zeros/1}),
    Strings = strings(Files),
    [#{name => "AOS evaluation",
       run => fun(Count) -> evaluate(Instance, Strings, Count) end,
       native => "evaluate_aos"}].

%% @doc The message and the environment of an evaluation.
-spec strings(bench_files:files()) -> {binary(), binary()}.
strings(#{aos_folder := Folder}) ->
    {ok, Message} = file:read_file(filename:join(Folder, "message.json")),
    {ok, Environment} = file:read_file(filename:join(Folder, "environment.json")),
    {<<Message/binary, 0>>, <<Environment/binary, 0>>}.

%% @doc Answers imports that are of no interest.
-spec zeros(map()) -> [0].
zeros(#{type := #{results := Results}}) ->
    [0 || _ <- Results].

%% @doc Evaluates that many times.
-spec evaluate(wasmbeam:instance(), {binary(), binary()}, non_neg_integer()) -> ok.
evaluate(_Instance, _Strings, 0) ->
    ok;
evaluate(Instance, {Message, Environment} = Strings, Count) ->
    Args = [put_string(Instance, Message), put_string(Instance, Environment)],
    {ok, [Address]} = wasmbeam:call(Instance, <<"handle">>, Args),
    {ok, Answer} = wasmbeam:memory_read_string(Instance, Address),
    {_, _} = binary:match(Answer, <<"Output">>),
    evaluate(Instance, Strings, Count - 1).

put_string(Instance, String) ->
    {ok, [Address]} = wasmbeam:call(Instance, <<"malloc">>, [byte_size(String)]),
    ok = wasmbeam:memory_write(Instance, Address, String),
    Address.
