%% @doc Guests that use files, in a virtual tree and in a folder of the machine, beside wasmtime's own
%% WASI; and commands that run to their exit.
-module(bench_wasi).

-export([rows/1]).

-define(MEGABYTE, 1048576).
-define(MEGABYTES, 100).

-spec rows(bench_files:files()) -> [bench:row()].
rows(#{files := Files, hello := Hello}) ->
    {ok, FilesModule} = compile(Files),
    {ok, HelloModule} = compile(Hello),
    Virtual = {"virtual", #{}},
    Host = {"host", #{host => true, preopens => [{<<"/">>, folder(), rw}]}},
    [row(FilesModule, Kind, 65536, "64 KiB") || Kind <- [Virtual, Host]]
        ++ [row(FilesModule, Virtual, 64, "64 B"),
            %% Each piece is work for another thread.
            (row(FilesModule, Host, 64, "64 B"))#{once => true}]
        ++ [#{name => "start and run hello, " ++ Name,
              run => fun(Count) -> hello(HelloModule, Wasi, Count) end,
              native => "wasi_hello"} || {Name, Wasi} <- [Virtual, Host]].

compile(File) ->
    {ok, Source} = file:read_file(File),
    wasmbeam:compile(Source).

%% It is emptied by the next run, and with the machine's other temporary files.
folder() ->
    Folder = filename:join(os:getenv("TMPDIR", "/tmp"), "wasmbeam-bench-files"),
    ok = filelib:ensure_dir(filename:join(Folder, "file")),
    Folder.

row(Module, {Name, Wasi}, Piece, Size) ->
    #{name => lists:concat(["write and read a MB of ", ?MEGABYTES, " by ", Size, ", ", Name]),
      run => fun(Count) -> write_and_read(Module, Wasi, Piece, Count) end,
      native => lists:concat(["wasi_files ", Piece]),
      count => ?MEGABYTES}.

write_and_read(Module, Wasi, Piece, Megabytes) ->
    {ok, Instance} = wasmbeam:start(Module, #{wasi => Wasi}),
    Total = Megabytes * ?MEGABYTE,
    {ok, [Total]} = wasmbeam:call(Instance, <<"write_and_read">>, [Total, Piece]),
    ok = wasmbeam:stop(Instance).

hello(_Module, _Wasi, 0) ->
    ok;
hello(Module, Wasi, Count) ->
    {ok, #{exit := 0, stdout := <<_, _/binary>>}} = wasmbeam:run(Module, #{wasi => Wasi}),
    hello(Module, Wasi, Count - 1).
