%% @doc WebAssembly instances inside the BEAM.
%%
%% A <em>module</em> is compiled code; an <em>instance</em> is a module with its memory, globals and
%% tables. Calls run in the calling process: it can be killed at any time, and shares its scheduler
%% like any other process.
%%
%% Errors are `{error, {Class, Info}}': `Class' is an atom, `Info' a map with at least a `message'.
%% See {@link format_error/1}, and `docs/errors.md' for all classes.
-module(wasmbeam).

-export([compile/1, compile/2, precompile/1, precompile/2, start/1, start/2, run/1, run/2, stop/1]).
-export([call/3, call/4, cancel/1, give_away/2]).
-export([serialize/1, serialize/2, deserialize/2, restore/2, restore/3, fork/1, reset/1]).
-export([snapshot_info/1]).
-export([imports/1, exports/1, features/1, providers/1, info/1, cache_info/0]).
-export([instances/0, counters/0, set_limits/1, attach/3, detach/1, event_names/0]).
-export([memory_size/1, memory_size/2, memory_read/3, memory_read/4, memory_read_string/2,
         memory_read_string/3, memory_write/3, memory_write/4, memory_replace/2, memory_replace/3,
         memory_grow/2, memory_grow/3]).
-export([global_get/2, global_set/3]).
-export([table_size/2, table_get/3, table_set/4, table_grow/4]).
-export([fs_read/2, fs_write/3, fs_list/2, fs_remove/2, fs_stat/2, fs_get/1, fs_get/2, fs_put/2, fs_sync/1,
         output/2, output/3, output_discarded/2]).
-export([format_error/1]).

-export_type([module_ref/0, instance/0, source/0, name/0, func/0, value/0, value_type/0, func_type/0,
              kind/0, import_type/0, export_type/0, info/0, cache_info/0, instance_info/0,
              counters/0, state/0]).
-export_type([compile_options/0, start_options/0, call_options/0, memory_options/0,
              serialize_options/0]).
-export_type([run_result/0, file_stat/0, snapshot/0, snapshot_info/0, error_reason/0]).

-opaque module_ref() :: wasmbeam_nif:module_ref().
-type instance() :: wasmbeam_call:instance().
-type source() :: binary() | module_ref().
%% A binary module, its text form, or what `compile/1' gave.
-type name() :: binary() | string() | atom().
-type func() :: name() | {table_index, non_neg_integer()} | {funcref, reference()}.
%% The name of an export, an index into the first table, or a function reference.
-type value() ::
    integer() | float() | infinity | neg_infinity | nan | {nan, Bits :: pos_integer()}
    | <<_:128>> | null | {funcref, reference()} | {i31, integer()}
    | {ref, struct | array | exn, reference()} | term().
%% `i32' and `i64' are integers, signed or unsigned in arguments and signed in results; `f32' and
%% `f64' are floats, integers in arguments too; `v128' is a binary, little-endian; `externref' is
%% any term.
-type value_type() ::
    i32 | i64 | f32 | f64 | v128 | funcref | externref | {ref, binary()}.
-type func_type() :: #{params := [value_type()], results := [value_type()]}.
-type kind() :: func | memory | table | global | tag.
-type import_type() :: #{module := binary(), name := binary(), kind := kind(), type := map()}.
-type export_type() :: #{name := binary(), kind := kind(), type := map()}.
-type state() :: idle | running | suspended | interrupted | stopped.
-type info() ::
    #{id := pos_integer(),
      module := binary() | undefined,
      module_id := <<_:256>>,
      started_at := non_neg_integer() | undefined,
      state := state(),
      owner := pid() | none,
      memory_bytes := non_neg_integer(),
      table_elements := non_neg_integer(),
      limits := wasmbeam_limits:limits(),
      fuel := non_neg_integer() | infinity | undefined,
      calls := non_neg_integer(),
      imports := non_neg_integer(),
      traps := non_neg_integer(),
      yields := non_neg_integer(),
      run_time_ns := non_neg_integer(),
      queue_length := non_neg_integer()}.
%% `module' is the name in the module's name section, `module_id' the hash of its image; `started_at'
%% is in milliseconds since 1970. `imports' counts imports that were served, `yields' time slices that
%% were used up; `fuel' is what is left, `undefined' while the guest runs.
-type instance_info() ::
    #{id := pos_integer(), module := binary() | undefined, module_id := <<_:256>>,
      started_at := non_neg_integer(), state := state(), owner := pid() | none,
      memory_bytes := non_neg_integer(), table_elements := non_neg_integer(),
      queue_length := non_neg_integer()}.
-type counters() ::
    #{calls := non_neg_integer(), imports := non_neg_integer(), traps := non_neg_integer(),
      yields := non_neg_integer(), run_time_ns := non_neg_integer(),
      started := non_neg_integer(), stopped := non_neg_integer(),
      compilations := non_neg_integer(), compile_time_ns := non_neg_integer(),
      cache_hits := non_neg_integer(),
      memory_bytes := non_neg_integer(), table_elements := non_neg_integer(),
      instances := non_neg_integer()}.
%% The last three are what all instances take at the moment: what the limits of the node are about.
-type cache_info() ::
    #{hits := non_neg_integer(), misses := non_neg_integer(), modules := non_neg_integer(),
      bytes := non_neg_integer(), disk_hits := non_neg_integer(),
      disk_misses := non_neg_integer(), disk_rejected := non_neg_integer(),
      disk_failures := non_neg_integer(), last_failure => binary()}.
%% `modules' that are held in memory, and the `bytes' of their images and code. Entries of the folder
%% that were damaged or forged were `rejected', and removed; `failures' are files that could not be
%% read or written, for the reason that `last_failure' tells of the last one.
-type compile_options() ::
    #{fuel => boolean(), deterministic => boolean(), compiler => compiler(), stack => pos_integer(),
      mode => wasm | aot,
      compile_limits => wasmbeam_compile:limits(), timeout => timeout(),
      progress => fun((wasmbeam_compile:progress()) -> term())}.
-type compiler() :: #{opt => none | speed | speed_and_size}.
-type start_options() ::
    #{imports => #{Module :: name() => #{name() => wasmbeam_imports:item()}
                                         | instance()},
      import_handler => wasmbeam_imports:handler(),
      unknown_imports => trap | error,
      store => instance(),
      limits => wasmbeam_limits:limits(),
      fuel => non_neg_integer() | infinity,
      deterministic => boolean(),
      compiler => compiler(),
      mode => wasm | aot,
      compile_limits => wasmbeam_compile:limits(),
      progress => fun((wasmbeam_compile:progress()) -> term()),
      owner => pid() | none,
      on_interrupt => keep | fail,
      wasi => wasmbeam_wasi:options(),
      timeout => timeout()}.
-type call_options() ::
    #{timeout => timeout(),
      fuel => non_neg_integer() | infinity,
      imports => #{Module :: name() => #{name() => fun()}},
      import_handler => wasmbeam_imports:handler()}.
-type snapshot() :: binary() | [binary(), ...].
%% A snapshot that is complete, or a chain: the first is complete, and each other was made with the
%% ones before it as its `base'.
-type serialize_options() :: #{compression => none | lz4 | zstd, base => snapshot()}.
-type snapshot_info() ::
    #{version := pos_integer(),
      id := binary(),
      module := binary(),
      base := binary() | none,
      sections := [{Tag :: binary(), Bytes :: non_neg_integer()}],
      memories := [#{bytes := non_neg_integer(), page_size := pos_integer(),
                     compression := none | lz4 | zstd, stored_pages := non_neg_integer(),
                     stored_bytes := non_neg_integer(), zeroed_pages := non_neg_integer()}],
      globals := non_neg_integer(),
      tables := [Elements :: non_neg_integer()],
      dropped_data := non_neg_integer(),
      dropped_elements := non_neg_integer()}.
%% `id', `module' and `base' are hexadecimal, `module' is the SHA-256 of the image; stored and zeroed
%% pages have 4,096 bytes. See `docs/snapshot-format.md'.
-type memory_options() :: #{memory => name() | Index :: non_neg_integer()}.
-type run_result() ::
    #{exit := non_neg_integer(), stdout := binary(), stderr := binary(),
      fs => wasmbeam_wasi:tree(),
      discarded => #{stdout | stderr => pos_integer()}}.
%% There is `fs' unless the files are those of the machine. `discarded' counts the bytes of output that were beyond the limit, if there were any.
-type file_stat() ::
    #{type := regular | directory | symlink, size := non_neg_integer(),
      inode := non_neg_integer(), links := non_neg_integer(),
      accessed := non_neg_integer(), modified := non_neg_integer(),
      changed := non_neg_integer()}.
%% Times are in nanoseconds since 1970.
-type path() :: binary() | string().
%% From the root of the guest's files, with or without a leading slash.
-type error_reason() :: {Class :: atom(), Info :: #{message := binary(), atom() => term()}}.
-type result(T) :: {ok, T} | {error, error_reason()}.

%% Looking at this many bytes takes about as long as a scheduler may be kept.
-define(MANY_BYTES, 1048576).
%% So does making this many elements of a table.
-define(MANY_ELEMENTS, 100000).

%% @equiv compile(Bytes, #{})
-spec compile(binary()) -> result(module_ref()).
compile(Bytes) ->
    compile(Bytes, #{}).

%% @doc Compiles a module, given in its binary or text form.
%%
%% Compiled modules are cached by content: compiling the same image with the same options again
%% takes microseconds.
%%
%% <ul>
%% <li>`fuel': make code that counts fuel.</li>
%% <li>`deterministic': make code whose results are the same on every machine.</li>
%% <li>`compiler': `#{opt => none | speed | speed_and_size}', how much work the code is worth; `speed'
%%   unless given.</li>
%% <li>`stack': how many bytes of stack calls may take.</li>
%% <li>`mode': `wasm' (the default), or `aot' for an image that {@link precompile/2} gave, where the
%%   application's environment allows it.</li>
%% <li>`compile_limits': `bytes' of the image, number of `functions', `function_bytes' of the longest
%%   one, `time' in milliseconds. The environment has limits too; the tighter ones hold.</li>
%% <li>`timeout' of the wait, in milliseconds; the compilation goes on for those who ask next.</li>
%% <li>`progress': a fun that is called at the beginning of each phase, and at the end.</li>
%% </ul>
%%
%% Errors: `invalid_module', `bad_argument', `limit', `timeout'; with `aot' also `not_permitted' and
%% `bad_image'. See `docs/compiling.md'.
-spec compile(binary(), compile_options()) -> result(module_ref()).
compile(Bytes, Options) ->
    wasmbeam_compile:compile(Bytes, Options).

%% @equiv precompile(Source, #{})
-spec precompile(source()) -> result(binary()).
precompile(Source) ->
    precompile(Source, #{}).

%% @doc The code of a module as bytes, which `compile(Image, #{mode => aot})' and
%% `start(Image, #{mode => aot})' load, without compiling, on a node with the same key, of the same
%% version of wasmbeam, and on the same kind of machine.
%%
%% Options are those of {@link compile/2} but `mode'.
%%
%% Errors: those of {@link compile/2}; `not_permitted' if there is no key to seal it with.
-spec precompile(source(), compile_options()) -> result(binary()).
precompile(Source, Options) ->
    wasmbeam_compile:precompile(Source, Options).

%% @equiv start(Source, #{})
-spec start(source()) -> result(instance()).
start(Source) ->
    start(Source, #{}).

%% @doc Makes an instance of a module, and runs its start function.
%%
%% <ul>
%% <li>`imports': for each module name a map of what its names are bound to: a fun that gets the
%%   list of arguments (and, with arity 2, a map with the `instance') and returns the list of
%%   results; `{export, Instance, Name}'; for a global its value; `new' for a memory or table. An
%%   instance in the place of the map provides all of its exports.</li>
%% <li>`import_handler': a fun for the functions that `imports' lacks and wasmbeam does not provide.
%%   It gets a map with `module', `name', `args', `type' and `instance', and may answer `default' or
%%   `{default, Else}' for what wasmbeam provides, or else the results `Else'.</li>
%% <li>`unknown_imports': `trap' (the default: calling one fails) or `error' (starting fails).</li>
%% <li>`store': an instance whose store the new one shares. Instances that import another's exports
%%   share its store anyway.</li>
%% <li>`limits' for all instances of the store together: `memory' in bytes, `table_elements', and
%%   the numbers of `memories', `tables', `instances'; and `stack', the bytes of stack of a call.</li>
%% <li>`fuel': how much there is; without it, none is counted. Fuel, `limits' and `on_interrupt' of
%%   a shared store are those that it was started with.</li>
%% <li>`owner': the process with which the instance ends; the calling one if not given.</li>
%% <li>`on_interrupt': `fail' (the default: after a call was cut short others fail with
%%   `interrupted') or `keep'.</li>
%% <li>`wasi': arguments, environment, files, standard streams, clocks and random bytes: see
%%   {@link wasmbeam_wasi:options()} and `docs/wasi.md'.</li>
%% <li>`timeout' of the start function, in milliseconds.</li>
%% </ul>
%%
%% A WASI reactor, a module that exports `_initialize' and no `_start', is initialized.
%%
%% Errors: those of `compile/2' and of `call/4', `unknown_import', `incompatible_import', `limit'.
-spec start(source(), start_options()) -> result(instance()).
start(Source, Options) ->
    wasmbeam_events:started(start, fun() ->
        wasmbeam_limits:retry(fun() -> start_once(Source, Options) end)
    end).

start_once(Source, Options) ->
    case open(Source, Options) of
        {ok, _Module, Instance, _Deadline} ->
            {ok, Instance};
        {failed, Instance, Error} ->
            _ = stop(Instance),
            Error;
        {error, _} = Error ->
            Error
    end.

%% As start/2, but leaves an instance that failed to its fate.
open(Source, Options) ->
    case prepare(Source, Options) of
        {ok, {Module, Instance, Begin}} -> begin_guest(Module, Instance, Begin, Options);
        {error, _} = Error -> Error
    end.

%% An instance that is still to begin, and how it can.
prepare(Source, Options) ->
    maybe_ok([
        fun(_) -> wasmbeam_options:check(Options, [imports, import_handler, unknown_imports, store,
                                                   limits, fuel, owner, on_interrupt, wasi,
                                                   timeout | wasmbeam_compile:options()]) end,
        fun(_) -> to_module(Source, Options) end,
        fun(Module) -> create(Module, Options) end
    ]).

to_module(Source, Options) when is_binary(Source) ->
    compile(Source, compile_options(Options));
to_module(Source, Options) when is_reference(Source) ->
    case wasmbeam_error:normalize(wasmbeam_nif:module_config(Source)) of
        {ok, Config} ->
            case wasmbeam_compile:differs(compile_options(Options), Config) of
                false ->
                    {ok, Source};
                {Name, Value} ->
                    Expected = io_lib:format("a module compiled with ~s => ~0tp", [Name, Value]),
                    bad_argument(Expected, Source)
            end;
        {error, _} = Error ->
            Error
    end;
to_module(Source, _Options) ->
    bad_argument("the bytes of a module, or a compiled one", Source).

%% Code that counts fuel is needed where there is a number of it.
compile_options(Options) ->
    Given = maps:merge(maps:with(wasmbeam_compile:options(), Options),
                       wasmbeam_limits:given_stack(Options)),
    case counts_fuel(Options) of
        true -> Given#{fuel => true};
        false -> Given
    end.

counts_fuel(#{fuel := infinity}) -> false;
counts_fuel(#{fuel := _}) -> true;
counts_fuel(_) -> false.

create(Module, Options) ->
    {ok, Names} = pages(fun(From) -> wasmbeam_nif:module_import_names(Module, From) end),
    Given = wasmbeam_imports:named(maps:get(imports, Options, #{})),
    Handler = maps:get(import_handler, Options, undefined),
    case wasmbeam_imports:bind(Names, Given, Handler) of
        {ok, Bindings, Imports, StoreOf} ->
            maybe_ok([
                fun(_) -> wasmbeam_wasi:new(Options) end,
                fun({World, Host}) ->
                    case wasmbeam_limits:timeout() of
                        {ok, Timeout} ->
                            With = wasmbeam_imports:with_wasi(Imports, Host),
                            create(Module, Bindings, wasmbeam_imports:with_timeout(With, Timeout),
                                   World, maps:get(store, Options, StoreOf), Options);
                        {error, _} = Error ->
                            Error
                    end
                end
            ]);
        {error, _} = Error ->
            Error
    end.

create(Module, Bindings, Imports, World, StoreOf, Options) ->
    Given = maps:with([fuel, on_interrupt], Options),
    Owner = maps:get(owner, Options, self()),
    Unknown = maps:get(unknown_imports, Options, trap),
    maybe_ok([
        fun(_) -> wasmbeam_limits:apply_node() end,
        fun(_) -> wasmbeam_limits:of_instance(maps:get(limits, Options, #{})) end,
        fun(Limits) -> with_store(StoreOf, Given#{owner => Owner, limits => Limits}) end,
        fun({Store, Native}) -> wasmbeam_nif:instance_new(Module, Imports, Store, Native) end,
        fun(Ref) ->
            Instance = wasmbeam_call:instance(Ref, Imports),
            Begin = fun(From) ->
                wasmbeam_call:instantiate(Instance, From, Bindings, Unknown, World,
                                          maps:with([timeout], Options))
            end,
            {ok, {Module, Instance, Begin}}
        end
    ]).

begin_guest(Module, Instance, Begin, Options) ->
    {ok, Timeout} = wasmbeam_limits:timeout(),
    Deadline = wasmbeam_call:deadline(maps:get(timeout, Options, Timeout)),
    case Begin(start) of
        {ok, _} ->
            case is_reactor(Module) andalso initialize(Instance, Deadline) of
                {error, _} = Error -> {failed, Instance, Error};
                _ -> {ok, Module, Instance, Deadline}
            end;
        {error, _} = Error ->
            {failed, Instance, Error}
    end.

is_reactor(Module) ->
    {ok, HasInitialize} = wasmbeam_nif:module_exports_action(Module, <<"_initialize">>),
    HasInitialize andalso
        wasmbeam_nif:module_exports_action(Module, <<"_start">>) =:= {ok, false}.

initialize(Instance, Deadline) ->
    Left = wasmbeam_call:remaining(Deadline),
    case wasmbeam_call:call(Instance, <<"_initialize">>, [], #{timeout => Left}) of
        {ok, _} -> access(Instance, fun wasmbeam_nif:instance_mark_start/1);
        {error, _} = Error -> Error
    end.

with_store(none, Native) ->
    {ok, {none, Native}};
with_store(Instance, Native) ->
    with_reference(Instance, fun(Ref) -> {ok, {Ref, Native}} end).

%% @equiv run(Source, #{})
-spec run(source()) -> result(run_result()).
run(Source) ->
    run(Source, #{}).

%% @doc Runs a WASI command, a module that exports `_start', to its exit, whatever its status is.
%%
%% Options are those of {@link start/2}, and those of its `wasi' beside them; `timeout' is that of the
%% whole run. The result holds what was captured of the outputs, and all files as the guest has left
%% them. An error's map has `stdout' and `stderr' too, as far as the guest came.
%%
%% Errors: those of {@link start/2} and {@link call/4}, but for `exit'.
-spec run(source(), start_options() | wasmbeam_wasi:options()) -> result(run_result()).
run(Source, Given) ->
    Options = wasmbeam_wasi:gathered(Given),
    HasFiles = case Options of
        #{wasi := #{host := true}} -> false;
        _ -> true
    end,
    case open(Source, Options) of
        {ok, Module, Instance, Deadline} ->
            ended(Instance, HasFiles, fun() -> run_command(Module, Instance, Deadline) end);
        {failed, Instance, Error} ->
            ended(Instance, HasFiles, fun() -> Error end);
        {error, _} = Error ->
            Error
    end.

run_command(Module, Instance, Deadline) ->
    case wasmbeam_nif:module_exports_action(Module, <<"_start">>) of
        {ok, true} ->
            Left = wasmbeam_call:remaining(Deadline),
            wasmbeam_call:call(Instance, <<"_start">>, [], #{timeout => Left});
        {ok, false} ->
            Message = "the module is no command: it exports no _start of type [] -> []",
            {error, wasmbeam_error:reason(unknown_export, Message,
                                          #{name => <<"_start">>, kind => func})}
    end.

%% What is left of a command that has run.
ended(Instance, HasFiles, Run) ->
    try
        case Run() of
            {ok, _} -> run_result(0, Instance, HasFiles);
            {error, {exit, #{status := Status}}} -> run_result(Status, Instance, HasFiles);
            {error, {Class, Info}} -> {error, {Class, maps:merge(Info, captured(Instance))}}
        end
    after
        stop(Instance)
    end.

run_result(Status, Instance, false) ->
    {ok, (captured(Instance))#{exit => Status}};
run_result(Status, Instance, true) ->
    Captured = captured(Instance),
    case fs_get(Instance) of
        {ok, Tree} -> {ok, Captured#{exit => Status, fs => Tree}};
        {error, _} = Error -> Error
    end.

captured(Instance) ->
    lists:foldl(fun(Stream, Captured) ->
        case captured(Instance, Stream, false) of
            {ok, {Bytes, 0}} ->
                Captured#{Stream => Bytes};
            {ok, {Bytes, Count}} ->
                Discarded = maps:get(discarded, Captured, #{}),
                Captured#{Stream => Bytes, discarded => Discarded#{Stream => Count}};
            {error, _} ->
                Captured
        end
    end, #{}, [stdout, stderr]).

%% @doc Writes to folders of the machine, those that are `{dir, Path, rw}' in the option `wasi', what
%% has changed in the instance's tree. The end of each call does so, too.
%%
%% Errors: `file_error', with the `path' on the machine of what cannot be written.
-spec fs_sync(instance()) -> ok | {error, error_reason()}.
fs_sync(Instance) ->
    access(Instance, fun wasmbeam_nif:folders_sync/1).

%% @doc Ends an instance and gives its memory back.
%%
%% A call in progress ends with `stopped', and so does everything that is asked of it from then on.
%% Instances that import its exports can go on using them; its memory is given back with the last
%% instance of the store.
-spec stop(instance()) -> ok | {error, error_reason()}.
stop(Instance) ->
    with_reference(Instance, fun(Ref) ->
        case wasmbeam_nif:instance_stop(Ref) of
            ok ->
                wasmbeam_call:flush(Instance);
            wait ->
                ok = wasmbeam_call:flush(Instance),
                wasmbeam_nif:await_reaper();
            {error, _} = Error ->
                wasmbeam_error:normalize(Error)
        end
    end).

%% @doc `call(Instance, Function, Args, #{})', and faster than that.
-spec call(instance(), func(), [value()]) -> result([value()]).
call(Instance, Function, Args) ->
    case wasmbeam_call:reference(Instance) of
        {ok, _Ref} -> wasmbeam_call:call(Instance, wasmbeam_name:binary(Function), Args);
        error -> bad_argument("an instance", Instance)
    end.

%% @doc Calls a function and gives its results.
%%
%% One process at a time runs calls in an instance; others wait in line. From within the function
%% of an import the same process can call the instance again.
%%
%% <ul>
%% <li>`timeout' in milliseconds, waiting in line included. An import's function is not
%%   interrupted; it counts when it returns.</li>
%% <li>`fuel' that this call may use, of an instance that counts it.</li>
%% <li>`imports': functions for this call, in place of those that the instance was started
%%   with.</li>
%% <li>`import_handler': as in {@link start/2}, for this call.</li>
%% </ul>
%%
%% Errors: `unknown_export', `bad_argument', `trap', `exception', `exit', `import_failed',
%% `unknown_import', `out_of_fuel', `timeout', `interrupted', `limit', `stopped'.
-spec call(instance(), func(), [value()], call_options()) -> result([value()]).
call(Instance, Function, Args, Options) ->
    with_reference(Instance, fun(_Ref) ->
        case check_call_options(Options) of
            {ok, Checked} ->
                wasmbeam_call:call(Instance, wasmbeam_name:binary(Function), Args, Checked);
            {error, _} = Error -> Error
        end
    end).

check_call_options(Options) ->
    case wasmbeam_options:check(Options, [timeout, fuel, imports, import_handler]) of
        ok when is_map_key(imports, Options) ->
            Imports = wasmbeam_imports:named(map_get(imports, Options)),
            case wasmbeam_imports:check_functions(Imports) of
                ok -> {ok, Options#{imports := Imports}};
                {error, _} = Error -> Error
            end;
        ok ->
            {ok, Options};
        {error, _} = Error ->
            Error
    end.

%% @doc Ends the call that runs in an instance, with `interrupted'.
%%
%% The guest ends at its next time slice, or when the function of the import returns that it waits
%% in. Where nothing runs, nothing happens.
-spec cancel(instance()) -> ok | {error, error_reason()}.
cancel(Instance) ->
    with_reference(Instance, fun(Ref) ->
        wasmbeam_error:normalize(wasmbeam_nif:instance_interrupt(Ref, cancelled))
    end).

%% @doc Makes another process the owner of an instance, or none.
-spec give_away(instance(), pid() | none) -> ok | {error, error_reason()}.
give_away(Instance, Owner) ->
    with_reference(Instance, fun(Ref) ->
        wasmbeam_error:normalize(wasmbeam_nif:instance_give_away(Ref, Owner))
    end).

%% @equiv serialize(Instance, #{})
-spec serialize(instance()) -> result(binary()).
serialize(Instance) ->
    serialize(Instance, #{}).

%% @doc The whole state of an instance in which nothing runs, as a binary: memories, globals,
%% tables, and which segments are dropped. Equal states give equal binaries.
%%
%% <ul>
%% <li>`compression' of the memories: `none' (the default), `lz4' or `zstd'.</li>
%% <li>`base': a snapshot, or a chain of them, that this one holds the differences from. If it is the
%%   last one that the instance made, was restored from or has based another on, this costs what has
%%   changed since; of a chain just the last is needed, then.</li>
%% </ul>
%%
%% Errors: `not_capturable' names what cannot be part of a snapshot: host terms and garbage-collected
%% objects that the instance holds, functions of other instances, several instances in one store,
%% calls in progress; `interrupted', `stopped'.
-spec serialize(instance(), serialize_options()) -> result(binary()).
serialize(Instance, Options) ->
    case wasmbeam_options:check(Options, [compression, base]) of
        ok ->
            Compression = maps:get(compression, Options, none),
            Base = maps:get(base, Options, []),
            access(Instance, fun(Ref) -> wasmbeam_nif:instance_serialize(Ref, Compression, Base) end);
        {error, _} = Error ->
            Error
    end.

%% @doc Gives a live instance the state of a snapshot of the same module. It is usable from then on,
%% even if a call of it was cut short before. If there is an error it is what it was.
%%
%% Function references that it gave out before are not valid any more.
%%
%% Errors: `bad_snapshot' if it is damaged or of another module, or a chain lacks a link (the message
%% says which); `limit'; `not_capturable' if calls are in progress or other instances share the store;
%% `stopped'.
-spec deserialize(instance(), snapshot()) -> ok | {error, error_reason()}.
deserialize(Instance, Snapshot) ->
    access(Instance, fun(Ref) ->
        case wasmbeam_nif:instance_deserialize(Ref, Snapshot) of
            later -> wasmbeam_nif:instance_deserialize_dirty(Ref, Snapshot);
            Answer -> Answer
        end
    end).

%% @equiv restore(Source, Snapshot, #{})
-spec restore(source(), snapshot()) -> result(instance()).
restore(Source, Snapshot) ->
    restore(Source, Snapshot, #{}).

%% @doc Makes an instance with the state of a snapshot. The start function does not run: it has, when
%% the snapshot was taken. Options are those of {@link start/2}; `wasi' files, arguments and the like
%% are those of the snapshot if the guest had them, but funs and processes have to be given again.
%%
%% Errors: those of `start/2' and `deserialize/2'.
-spec restore(source(), snapshot(), start_options()) -> result(instance()).
restore(Source, Snapshot, Options) ->
    wasmbeam_events:started(restore, fun() ->
        wasmbeam_limits:retry(fun() -> restore_once(Source, Snapshot, Options) end)
    end).

restore_once(Source, Snapshot, Options) ->
    case prepare(Source, Options) of
        {ok, {_Module, Instance, Begin}} ->
            case Begin({snapshot, Snapshot}) of
                {ok, _} ->
                    {ok, Instance};
                {error, _} = Error ->
                    _ = stop(Instance),
                    Error
            end;
        {error, _} = Error ->
            Error
    end.

%% @doc A second instance with the same state and the same imports, owned by the calling process. The
%% two share memory until one of them writes to it.
%%
%% Errors: those of `serialize/2'.
-spec fork(instance()) -> result(instance()).
fork(Instance) ->
    wasmbeam_events:started(fork, fun() ->
        wasmbeam_limits:retry(fun() -> fork_once(Instance) end)
    end).

fork_once(Instance) ->
    with_reference(Instance, fun(Ref) ->
        case wasmbeam_call:access(fun() -> fork_reference(Ref) end) of
            {ok, Fork} -> {ok, wasmbeam_call:copy(Fork, Instance)};
            {error, _} = Error -> Error
        end
    end).

fork_reference(Ref) ->
    case wasmbeam_nif:instance_fork(Ref, self()) of
        later -> wasmbeam_nif:instance_fork_dirty(Ref, self());
        Answer -> Answer
    end.

%% @doc Gives an instance the state and the fuel that it had right after its start. It is usable from
%% then on, even if a call of it was cut short before.
%%
%% A fork goes back to the start of the instance that it comes from. What `restore/3' made goes back
%% to the state that was restored if its module has a start function, which does not run again.
%%
%% Errors: those of `serialize/2' as they were right after the start; `stopped'.
-spec reset(instance()) -> ok | {error, error_reason()}.
reset(Instance) ->
    access(Instance, fun reset_reference/1).

reset_reference(Ref) ->
    case wasmbeam_nif:instance_reset(Ref) of
        later -> wasmbeam_nif:instance_reset_dirty(Ref);
        Answer -> Answer
    end.

%% @doc What a snapshot says of itself, without the module that it is of. One of a chain is read alone.
%%
%% It is read as strictly as by {@link restore/3}, but for the contents of compressed pages.
%%
%% Errors: `bad_snapshot', `bad_argument'.
-spec snapshot_info(binary()) -> result(snapshot_info()).
snapshot_info(Snapshot) when is_binary(Snapshot) ->
    wasmbeam_error:normalize(wasmbeam_nif:snapshot_info(Snapshot));
snapshot_info(Snapshot) ->
    bad_argument("a snapshot", Snapshot).

%% @doc What a module imports, in its order.
-spec imports(source() | instance()) -> [import_type()] | {error, error_reason()}.
imports(Source) ->
    describe(Source, fun wasmbeam_nif:module_imports/2, fun wasmbeam_nif:instance_imports/2).

%% @doc What a module exports, in its order.
-spec exports(source() | instance()) -> [export_type()] | {error, error_reason()}.
exports(Source) ->
    describe(Source, fun wasmbeam_nif:module_exports/2, fun wasmbeam_nif:instance_exports/2).

describe(Source, OfModule, OfInstance) ->
    case wasmbeam_call:reference(Source) of
        {ok, Ref} -> bare(pages(fun(From) -> OfInstance(Ref, From) end));
        error when is_binary(Source) ->
            case compile(Source) of
                {ok, Module} -> describe(Module, OfModule, OfInstance);
                {error, _} = Error -> Error
            end;
        error when is_reference(Source) -> bare(pages(fun(From) -> OfModule(Source, From) end));
        error -> bad_argument("the bytes of a module, a compiled one, or an instance", Source)
    end.

%% All that the native library describes some at a time.
pages(Page) ->
    pages(Page, 0, []).

pages(Page, From, Before) ->
    case Page(From) of
        {ok, {Items, done}} -> {ok, lists:append(lists:reverse(Before, [Items]))};
        {ok, {Items, Next}} -> pages(Page, Next, [Items | Before]);
        {error, _} = Failure -> Failure
    end.

%% @doc Where each of a module's imports comes from if `imports' of {@link start/2} has nothing for it,
%% in their order.
%%
%% Errors: those of {@link compile/1}.
-spec providers(source()) -> result([wasi | emscripten | none]).
providers(Source) when is_binary(Source) ->
    case compile(Source) of
        {ok, Module} -> providers(Module);
        {error, _} = Error -> Error
    end;
providers(Module) ->
    wasmbeam_error:normalize(wasmbeam_nif:module_providers(Module)).

%% @doc The proposals beyond the first version of WebAssembly that a module makes use of, such as
%% `<<"simd">>' or `<<"memory64">>'. It is not compiled.
%%
%% Errors: `invalid_module', `bad_argument'.
-spec features(binary()) -> result([binary()]).
features(Bytes) when is_binary(Bytes) ->
    wasmbeam_error:normalize(wasmbeam_nif:image_features(Bytes));
features(Bytes) ->
    bad_argument("the bytes of a module", Bytes).

%% @doc What can be told about an instance without disturbing it.
-spec info(instance()) -> info() | {error, error_reason()}.
info(Instance) ->
    with_reference(Instance, fun(Ref) -> bare(wasmbeam_nif:instance_info(Ref)) end).

%% @doc All instances of the node that are not stopped, those that started first first, each with what
%% identifies it. They are not disturbed.
-spec instances() -> [instance_info()] | {error, error_reason()}.
instances() ->
    wasmbeam_error:normalize(wasmbeam_nif:instances()).

%% @doc What all instances of the node together did so far. See `docs/observing.md'.
-spec counters() -> counters() | {error, error_reason()}.
counters() ->
    wasmbeam_error:normalize(wasmbeam_nif:counters()).

%% @doc Changes what all instances of the node together may take: `memory' in bytes,
%% `table_elements' and the number of `instances', each a whole number or `infinity'. What is taken
%% already stays. The same as `node_limits' in the environment of the application, but at once.
-spec set_limits(wasmbeam_limits:node_limits()) -> ok | {error, error_reason()}.
set_limits(Limits) ->
    wasmbeam_limits:set_node(Limits).

%% @doc Has a handler be called at events of these names: `Handler(Name, Measurements, Metadata)'. `Id'
%% is any term, to detach it by. A handler that fails is detached. See `docs/observing.md' for the
%% events.
-spec attach(wasmbeam_events:id(), [wasmbeam_events:name()], wasmbeam_events:handler()) ->
    ok | {error, already_attached | error_reason()}.
attach(Id, Names, Handler) ->
    wasmbeam_events:attach(Id, Names, Handler).

%% @doc Has a handler not be called any more.
-spec detach(wasmbeam_events:id()) -> ok | {error, not_attached}.
detach(Id) ->
    wasmbeam_events:detach(Id).

%% @doc The names of all events that there are.
-spec event_names() -> [wasmbeam_events:name(), ...].
event_names() ->
    wasmbeam_events:names().

%% What describes something comes without an `ok'.
bare({ok, Description}) -> Description;
bare(Failure) -> wasmbeam_error:normalize(Failure).

%% @doc The state of the cache of compiled modules; `bytes' are those of the images.
-spec cache_info() -> cache_info() | {error, error_reason()}.
cache_info() ->
    wasmbeam_error:normalize(wasmbeam_nif:cache_info()).

%% @equiv memory_size(Instance, #{})
-spec memory_size(instance()) -> result(non_neg_integer()).
memory_size(Instance) ->
    memory_size(Instance, #{}).

%% @doc The size of a memory in bytes. Without an option, all memory functions mean the first
%% memory, exported or not.
-spec memory_size(instance(), memory_options()) -> result(non_neg_integer()).
memory_size(Instance, Options) ->
    memory(Instance, Options, fun(Ref, Memory) -> wasmbeam_nif:memory_size(Ref, Memory) end).

%% @equiv memory_read(Instance, Offset, Size, #{})
-spec memory_read(instance(), non_neg_integer(), non_neg_integer()) -> result(binary()).
memory_read(Instance, Offset, Size) ->
    memory_read(Instance, Offset, Size, #{}).

%% @doc Reads `Size' bytes. Errors: `out_of_bounds', `unknown_export', `bad_argument', `stopped'.
-spec memory_read(instance(), non_neg_integer(), non_neg_integer(), memory_options()) ->
    result(binary()).
memory_read(Instance, Offset, Size, Options) when is_integer(Size), Size >= ?MANY_BYTES ->
    Answer = memory(Instance, Options, fun(Ref, Memory) ->
        wasmbeam_nif:memory_read_dirty(Ref, Memory, Offset, Size)
    end),
    wasmbeam_extent:within("memory", Offset, Size, Answer);
memory_read(Instance, Offset, Size, Options) ->
    Answer = memory(Instance, Options, fun(Ref, Memory) ->
        wasmbeam_nif:memory_read(Ref, Memory, Offset, Size)
    end),
    wasmbeam_extent:within("memory", Offset, Size, Answer).

%% @equiv memory_read_string(Instance, Offset, #{})
-spec memory_read_string(instance(), non_neg_integer()) -> result(binary()).
memory_read_string(Instance, Offset) ->
    memory_read_string(Instance, Offset, #{}).

%% @doc Reads up to the next zero byte, which is not part of the result. `out_of_bounds' if there is
%% none.
-spec memory_read_string(instance(), non_neg_integer(), memory_options()) -> result(binary()).
memory_read_string(Instance, Offset, Options) ->
    Answer = memory(Instance, Options, fun(Ref, Memory) ->
        wasmbeam_nif:memory_read_string(Ref, Memory, Offset)
    end),
    wasmbeam_extent:within("memory", Offset, 1, Answer).

%% @equiv memory_write(Instance, Offset, Bytes, #{})
-spec memory_write(instance(), non_neg_integer(), iodata()) -> ok | {error, error_reason()}.
memory_write(Instance, Offset, Bytes) ->
    memory_write(Instance, Offset, Bytes, #{}).

%% @doc Writes bytes: all of them, or none if they do not fit. Errors as in {@link memory_read/4}.
-spec memory_write(instance(), non_neg_integer(), iodata(), memory_options()) ->
    ok | {error, error_reason()}.
memory_write(Instance, Offset, Bytes, Options) when is_list(Bytes) ->
    with_bytes(Bytes, fun(Binary) -> memory_write(Instance, Offset, Binary, Options) end);
memory_write(Instance, Offset, Bytes, Options) when byte_size(Bytes) >= ?MANY_BYTES ->
    Answer = memory(Instance, Options, fun(Ref, Memory) ->
        wasmbeam_nif:memory_write_dirty(Ref, Memory, Offset, Bytes)
    end),
    wasmbeam_extent:within("memory", Offset, byte_size(Bytes), Answer);
memory_write(Instance, Offset, Bytes, Options) ->
    Answer = memory(Instance, Options, fun(Ref, Memory) ->
        wasmbeam_nif:memory_write(Ref, Memory, Offset, Bytes)
    end),
    wasmbeam_extent:within("memory", Offset, 0, Answer).

%% @equiv memory_replace(Instance, Image, #{})
-spec memory_replace(instance(), binary()) -> ok | {error, error_reason()}.
memory_replace(Instance, Image) ->
    memory_replace(Instance, Image, #{}).

%% @doc Makes the contents of a memory equal to `Image': grows it first where it is too small, and
%% fills what lies behind the image with zeros. An instance that was `interrupted' can be called
%% again. Errors: `limit', `unknown_export', `bad_argument', `stopped'.
-spec memory_replace(instance(), binary(), memory_options()) -> ok | {error, error_reason()}.
memory_replace(Instance, Image, Options) ->
    memory(Instance, Options, fun(Ref, Memory) ->
        wasmbeam_nif:memory_replace(Ref, Memory, Image)
    end).

%% @equiv memory_grow(Instance, Pages, #{})
-spec memory_grow(instance(), non_neg_integer()) -> result(non_neg_integer()).
memory_grow(Instance, Pages) ->
    memory_grow(Instance, Pages, #{}).

%% @doc Grows a memory by `Pages' and gives its former size in pages (of 64 KiB unless the module
%% says otherwise). `limit' if it cannot grow that much.
-spec memory_grow(instance(), non_neg_integer(), memory_options()) -> result(non_neg_integer()).
memory_grow(Instance, Pages, Options) ->
    wasmbeam_extent:growth(Pages, fun(By) ->
        wasmbeam_limits:retry(fun() ->
            memory(Instance, Options, fun(Ref, Memory) ->
                wasmbeam_nif:memory_grow(Ref, Memory, By)
            end)
        end)
    end).

%% @doc The value of an exported global.
-spec global_get(instance(), name()) -> result(value()).
global_get(Instance, Name) ->
    access(Instance, fun(Ref) -> wasmbeam_nif:global_get(Ref, wasmbeam_name:binary(Name)) end).

%% @doc Sets an exported global. `bad_argument' if it is immutable or of another type.
-spec global_set(instance(), name(), value()) -> ok | {error, error_reason()}.
global_set(Instance, Name, Value) ->
    access(Instance, fun(Ref) ->
        wasmbeam_nif:global_set(Ref, wasmbeam_name:binary(Name), Value)
    end).

%% @doc The number of elements of a table, given by name or index.
-spec table_size(instance(), name() | non_neg_integer()) -> result(non_neg_integer()).
table_size(Instance, Table) ->
    table(Instance, Table, fun wasmbeam_nif:table_size/2).

%% @doc An element of a table.
-spec table_get(instance(), name() | non_neg_integer(), non_neg_integer()) -> result(value()).
table_get(Instance, Table, Index) ->
    Answer = table(Instance, Table, fun(Ref, T) -> wasmbeam_nif:table_get(Ref, T, Index) end),
    wasmbeam_extent:within("table", Index, 1, Answer).

%% @doc Sets an element of a table.
-spec table_set(instance(), name() | non_neg_integer(), non_neg_integer(), value()) ->
    ok | {error, error_reason()}.
table_set(Instance, Table, Index, Value) ->
    Answer = table(Instance, Table, fun(Ref, T) -> wasmbeam_nif:table_set(Ref, T, Index, Value) end),
    wasmbeam_extent:within("table", Index, 1, Answer).

%% @doc Grows a table by `Delta' elements that are set to `Value', and gives its former size.
-spec table_grow(instance(), name() | non_neg_integer(), non_neg_integer(), value()) ->
    result(non_neg_integer()).
table_grow(Instance, Table, Delta, Value) when is_integer(Delta), Delta >= ?MANY_ELEMENTS ->
    wasmbeam_extent:growth(Delta, fun(By) ->
        table(Instance, Table, fun(Ref, T) -> wasmbeam_nif:table_grow_dirty(Ref, T, By, Value) end)
    end);
table_grow(Instance, Table, Delta, Value) ->
    table(Instance, Table, fun(Ref, T) -> wasmbeam_nif:table_grow(Ref, T, Delta, Value) end).

%% @doc The bytes of a file of a live instance. Like all functions here it works while the instance
%% is idle, and from within the function of an import.
%%
%% Errors: `file_error' with a POSIX `code' such as `enoent', `bad_argument', `stopped'.
-spec fs_read(instance(), path()) -> result(binary()).
fs_read(Instance, Path) ->
    at_path(Instance, Path, fun wasmbeam_nif:fs_read/2).

%% @doc Writes a file, which is made or replaced; directories above it are made as needed. Instead
%% of bytes it can be given a whole directory or a symbolic link, as in {@link fs_get/1}, which then
%% replaces what is there.
-spec fs_write(instance(), path(), iodata() | wasmbeam_wasi:tree() | {symlink, binary()}) ->
    ok | {error, error_reason()}.
fs_write(Instance, Path, Contents) when is_list(Contents) ->
    with_bytes(Contents, fun(Bytes) -> fs_write(Instance, Path, Bytes) end);
fs_write(Instance, Path, Contents) ->
    at_path(Instance, Path, fun(Ref, P) -> wasmbeam_nif:fs_write(Ref, P, Contents) end).

%% @doc The names in a directory, sorted.
-spec fs_list(instance(), path()) -> result([binary()]).
fs_list(Instance, Path) ->
    at_path(Instance, Path, fun wasmbeam_nif:fs_list/2).

%% @doc Removes a file or a symbolic link, or a directory with everything in it.
-spec fs_remove(instance(), path()) -> ok | {error, error_reason()}.
fs_remove(Instance, Path) ->
    at_path(Instance, Path, fun wasmbeam_nif:fs_remove/2).

%% @doc What is known of a file without its bytes. A symbolic link is not followed.
-spec fs_stat(instance(), path()) -> result(file_stat()).
fs_stat(Instance, Path) ->
    at_path(Instance, Path, fun wasmbeam_nif:fs_stat/2).

%% @doc All files: a directory is a map of names, a file a binary, a symbolic link
%% `{symlink, Target}'.
-spec fs_get(instance()) -> result(wasmbeam_wasi:tree()).
fs_get(Instance) ->
    fs_get(Instance, <<"/">>).

%% @doc As {@link fs_get/1}, of what is at a path.
-spec fs_get(instance(), path()) ->
    result(wasmbeam_wasi:tree() | binary() | {symlink, binary()}).
fs_get(Instance, Path) ->
    at_path(Instance, Path, fun wasmbeam_nif:fs_get/2).

%% @doc Replaces all files. Preopened directories are made if the tree lacks them; a file that the
%% guest has open stays open, outside of the tree.
-spec fs_put(instance(), wasmbeam_wasi:tree()) -> ok | {error, error_reason()}.
fs_put(Instance, Tree) when is_map(Tree) ->
    access(Instance, fun(Ref) -> wasmbeam_nif:fs_put(Ref, Tree) end);
fs_put(_Instance, Tree) ->
    bad_argument("a map of files", Tree).

%% @equiv output(Instance, Stream, #{})
-spec output(instance(), stdout | stderr) -> result(binary()).
output(Instance, Stream) ->
    output(Instance, Stream, #{}).

%% @doc What was captured of an output. With `take' it is empty afterwards, and has its whole limit
%% again.
-spec output(instance(), stdout | stderr, #{take => boolean()}) -> result(binary()).
output(Instance, Stream, Options) ->
    case wasmbeam_options:check(Options, [take]) of
        ok ->
            case captured(Instance, Stream, maps:get(take, Options, false)) of
                {ok, {Bytes, _Discarded}} -> {ok, Bytes};
                {error, _} = Error -> Error
            end;
        {error, _} = Error ->
            Error
    end.

%% @doc How many bytes of an output were beyond the limit, and are lost.
-spec output_discarded(instance(), stdout | stderr) -> result(non_neg_integer()).
output_discarded(Instance, Stream) ->
    case captured(Instance, Stream, false) of
        {ok, {_Bytes, Discarded}} -> {ok, Discarded};
        {error, _} = Error -> Error
    end.

captured(Instance, Stream, Take) when Stream =:= stdout; Stream =:= stderr ->
    access(Instance, fun(Ref) -> wasmbeam_nif:output(Ref, Stream, Take) end);
captured(_Instance, Stream, _Take) ->
    bad_argument("stdout or stderr", Stream).

at_path(Instance, Path, Access) when is_binary(Path) ->
    access(Instance, fun(Ref) -> Access(Ref, Path) end);
at_path(Instance, Path, Access) ->
    case io_lib:char_list(Path) of
        true -> at_path(Instance, unicode:characters_to_binary(Path), Access);
        false -> bad_argument("a path, as a binary or string", Path)
    end.

%% @doc Renders an error for people: any that a function here or of `hb_beamr' answers.
-spec format_error(error_reason() | wasmbeam_error:failure()) -> binary().
format_error(Error) ->
    wasmbeam_error:format(Error).

memory(Instance, Options, Access) ->
    case wasmbeam_options:check(Options, [memory]) of
        ok ->
            Memory = wasmbeam_name:binary(maps:get(memory, Options, 0)),
            access(Instance, fun(Ref) -> Access(Ref, Memory) end);
        {error, _} = Error ->
            Error
    end.

with_bytes(Data, Use) ->
    try iolist_to_binary(Data) of
        Bytes -> Use(Bytes)
    catch
        error:badarg -> bad_argument("bytes, as iodata", Data)
    end.

table(Instance, Table, Access) ->
    Named = wasmbeam_name:binary(Table),
    access(Instance, fun(Ref) -> Access(Ref, Named) end).

access(Instance, Access) ->
    with_reference(Instance, fun(Ref) -> wasmbeam_call:access(fun() -> Access(Ref) end) end).

with_reference(Instance, Fun) ->
    case wasmbeam_call:reference(Instance) of
        {ok, Ref} -> Fun(Ref);
        error -> bad_argument("an instance", Instance)
    end.

bad_argument(Expected, Value) ->
    wasmbeam_error:bad_argument(Expected, Value).

%% Runs one step after the other, each with what the one before gave.
maybe_ok(Steps) ->
    maybe_ok(Steps, ok).

maybe_ok([], Result) ->
    {ok, Result};
maybe_ok([Step | Steps], Result) ->
    case Step(Result) of
        ok -> maybe_ok(Steps, ok);
        {ok, Next} -> maybe_ok(Steps, Next);
        Failure -> wasmbeam_error:normalize(Failure)
    end.
