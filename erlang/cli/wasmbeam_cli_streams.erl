%% @doc The standard streams of the operating system's process, for a guest. They carry bytes.
-module(wasmbeam_cli_streams).

-export([output/1, input/0, input/1]).

-define(STDIN, 0).
-define(STDOUT, 1).
-define(STDERR, 2).

%% @doc What writes the guest's output as it comes, and holds the guest back while nobody takes it.
-spec output(stdout | stderr) -> fun((binary()) -> true).
output(stdout) -> writer(?STDOUT);
output(stderr) -> writer(?STDERR).

writer(Descriptor) ->
    Port = open_port({fd, Descriptor, Descriptor}, [out, binary]),
    fun(Bytes) -> port_command(Port, Bytes) end.

%% @doc A process that serves standard input, as the guest asks for it.
-spec input() -> pid().
input() ->
    spawn_link(fun() -> serve(<<>>) end).

%% @doc The bytes of a file as input.
-spec input(file:name_all()) -> {ok, binary()} | {error, wasmbeam:error_reason()}.
input(Path) ->
    wasmbeam_cli_file:read(Path).

%% What was read and not asked for yet, or its end.
serve(Read) ->
    receive
        {wasmbeam_input, From, Max} ->
            serve(answer(From, Max, Read))
    end.

answer(From, Max, <<>>) ->
    answer_read(From, Max, read());
answer(From, Max, Read) ->
    answer_read(From, Max, Read).

answer_read(From, _Max, eof) ->
    From ! {From, eof},
    eof;
answer_read(From, 0, Read) ->
    From ! {From, {ok, <<>>}},
    Read;
answer_read(From, Max, Read) ->
    {Now, Later} = split_binary(Read, min(Max, byte_size(Read))),
    From ! {From, {ok, Now}},
    Later.

%% A port reads whether somebody wants it or not, so it is closed until the guest asks for more.
read() ->
    Port = open_port({fd, ?STDIN, ?STDIN}, [in, binary, eof]),
    receive
        {Port, {data, Bytes}} ->
            true = port_close(Port),
            rest(Port, Bytes);
        {Port, eof} ->
            eof
    end.

rest(Port, Bytes) ->
    receive
        {Port, {data, More}} -> rest(Port, <<Bytes/binary, More/binary>>);
        {Port, eof} -> rest(Port, Bytes)
    after 0 -> Bytes
    end.
