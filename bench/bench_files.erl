%% @doc The guests that the benchmark runs.
-module(bench_files).

-export([find/1, instance/2]).

-export_type([files/0]).

-type files() ::
    #{root := file:filename_all(), guest := file:filename_all(), idle := file:filename_all(),
      files := file:filename_all(), hello := file:filename_all(),
      aos_folder := file:filename_all(), aos := file:filename_all() | absent}.

%% @doc The AOS image is looked for in `modules' beneath the folder that `WASMBEAM_SHARED' names, or
%% beneath `shared' beside the repository.
-spec find(file:filename_all()) -> files().
find(Folder) ->
    Root = filename:dirname(Folder),
    Shared = os:getenv("WASMBEAM_SHARED", filename:join(filename:dirname(Root), "shared")),
    Aos = filename:join([Shared, "modules", "aos-2-pure-xs.wasm"]),
    #{root => Root,
      guest => filename:join(Folder, "guest.wat"),
      idle => filename:join(Folder, "idle.wat"),
      files => filename:join(Folder, "files.wat"),
      hello => filename:join([Root, "examples", "modules", "hello.wat"]),
      aos_folder => filename:join(Folder, "aos"),
      aos => case filelib:is_regular(Aos) of true -> Aos; false -> absent end}.

%% @doc An instance of the guest whose import that fun answers.
-spec instance(files(), fun()) -> wasmbeam:instance().
instance(#{guest := Guest}, Echo) ->
    {ok, Source} = file:read_file(Guest),
    {ok, Instance} =
        wasmbeam:start(Source, #{imports => #{<<"env">> => #{<<"echo">> => Echo}}}),
    Instance.
