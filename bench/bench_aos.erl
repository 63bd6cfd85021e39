%% @doc An evaluation of `return 1 + 1' in AOS: two strings in, one out.
-module(bench_aos).

-export([rows/1]).

-spec rows(bench_files:files()) -> [bench:row()].
rows(#{aos := absent}) ->
    [#{name => "AOS evaluation", skip => "no shared/modules/aos-2-pure-xs.wasm"}];
rows(#{aos := Image, aos_folder := Folder}) ->
    {ok, Source} = file:read_file(Image),
    {ok, Message} = file:read_file(filename:join(Folder, "message.json")),
    {ok, Environment} = file:read_file(filename:join(Folder, "environment.json")),
    {ok, Instance} = wasmbeam:start(Source, #{import_handler => fun zeros/1}),
    Strings = {<<Message/binary, 0>>, <<Environment/binary, 0>>},
    [#{name => "AOS evaluation",
       run => fun(Count) -> evaluate(Instance, Strings, Count) end,
       native => "evaluate_aos"}].

zeros(#{type := #{results := Results}}) ->
    [0 || _ <- Results].

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
