%% A cache on disk whose writers are killed (kill -9) in the middle: what they were told to be stored
%% is there, and whatever is there is whole.
-module(wasmbeam_cache_kill_tests).

-include_lib("eunit/include/eunit.hrl").

-export([write/1]).

-define(SEED, {7, 8, 9}).
-define(KILLS, 6).
%% After so many messages at most, the last of which are still being written.
-define(MOST_MESSAGES, 60).
%% A message of several objects, some of them larger than a block of a disk.
-define(PART_BYTES, 20000).

killed_writers_leave_nothing_half_test_() ->
    {setup, fun folder/0, fun(Folder) -> ok = file:del_dir_r(Folder) end,
     fun(Folder) -> {timeout, 300, fun() -> kill_writers(Folder) end} end}.

folder() ->
    Folder = filename:join(os:getenv("TMPDIR", "/tmp"), "wasmbeam-killed-cache-" ++ os:getpid()),
    ok = filelib:ensure_dir(filename:join(Folder, "x")),
    Folder.

kill_writers(Folder) ->
    Opts = #{cache => {disk, Folder}},
    Numbers = kill_writers(?KILLS, rand:seed_s(exsss, ?SEED), Folder, Opts, []),
    %% What a writer left that was killed is in nobody's way.
    [{ok, _} = wasmbeam_cache:write(message(Number), Opts) || Number <- Numbers],
    [?assertEqual({ok, message(Number)}, wasmbeam_cache:read(id(Number), Opts)) || Number <- Numbers].

kill_writers(0, _State, _Folder, _Opts, Numbers) ->
    Numbers;
kill_writers(Left, State, Folder, Opts, Numbers) ->
    {Messages, Next} = rand:uniform_s(?MOST_MESSAGES, State),
    Stored = killed_after(Messages, Left * 10000, Folder),
    [?assertEqual({ok, message(Number)}, wasmbeam_cache:read(id(Number), Opts)) || Number <- Stored],
    ?assertEqual([], [File || File <- objects(Folder), not is_whole(File)]),
    kill_writers(Left - 1, Next, Folder, Opts, Stored ++ Numbers).

id(Number) ->
    {ok, Id} = wasmbeam_cache:id(message(Number)),
    Id.

message(Number) ->
    Part = fun(N) -> binary:copy(integer_to_binary(Number * 10 + N), ?PART_BYTES div 8) end,
    #{<<"number">> => Number, <<"part">> => Part(1),
      <<"inner">> => #{<<"part">> => Part(2), <<"deeper">> => #{<<"part">> => Part(3)}}}.

%% What has the name of an object: what is still being written has not.
objects(Folder) ->
    [File || File <- filelib:wildcard(filename:join([Folder, "*", "*"])),
             wasmbeam_path:is_id(list_to_binary(filename:basename(File)))].

is_whole(File) ->
    {ok, Bytes} = file:read_file(File),
    wasmbeam_cache_object:text_id(crypto:hash(sha256, Bytes))
        =:= list_to_binary(filename:basename(File)).

%% The numbers of the messages that a writer has told to be stored before it died.
killed_after(Messages, First, Folder) ->
    Paths = [filename:dirname(code:which(Module)) || Module <- [wasmbeam, ?MODULE]],
    Port = open_port({spawn_executable, filename:join([code:root_dir(), "bin", "erl"])},
                     [{args, ["-noshell", "-pa"] ++ Paths
                          ++ ["-run", atom_to_list(?MODULE), "write", Folder, integer_to_list(First)]},
                      {line, 100}, binary, exit_status, stderr_to_stdout]),
    Numbers = lines(Port, Messages),
    %% The number of the VM itself: what the port started may be a script around it.
    _ = os:cmd("kill -9 " ++ integer_to_list(hd(Numbers))),
    tl(Numbers) ++ rest(Port).

lines(Port, Left) when Left >= 0 ->
    receive {Port, {data, {eol, Line}}} -> [binary_to_integer(Line) | lines(Port, Left - 1)] end;
lines(_Port, _Left) ->
    [].

rest(Port) ->
    receive
        {Port, {data, {eol, Line}}} -> [binary_to_integer(Line) | rest(Port)];
        {Port, {data, {noeol, _}}} -> rest(Port);
        {Port, {exit_status, _}} -> []
    end.

%% Writes until it is killed: its process, and then the number of each message that is stored.
-spec write([string()]) -> no_return().
write([Folder, First]) ->
    io:format("~s~n", [os:getpid()]),
    write_from(list_to_integer(First), #{cache => {disk, Folder}}).

write_from(Number, Opts) ->
    {ok, _} = wasmbeam_cache:write(message(Number), Opts),
    io:format("~b~n", [Number]),
    write_from(Number + 1, Opts).
