%% @doc The native functions of wasmbeam, as they are: see {@link wasmbeam} for the interface.
%%
%% Functions that drive an instance answer with the next thing to do; {@link wasmbeam_call} does it.
-module(wasmbeam_nif).

-export([version/0,
         compile_recent/2, compile_cached/3, compile_cached_dirty/3, compile_image/2, compile_leave/1,
         module_image/2, module_imports/2, module_import_names/2,
         module_exports/2, module_config/1, module_exports_action/2, cache_info/0,
         instance_new/4, instance_stop/1, await_reaper/0, instance_give_away/2,
         instance_interrupt/2, instance_leave_line/2, instance_watch/1, instance_sibling/2,
         instance_imports/2, instance_exports/2, instance_info/1,
         instantiate/4, instantiate_dirty/4, call/4, call_dirty/4, resume/1, resume_dirty/1,
         resume_blocking/1,
         import_return/4, import_return_dirty/4, import_default/1, import_default_dirty/1,
         import_fail/1, import_fail_dirty/1, reply/2, reply_dirty/2, import_type/2,
         memory_size/2, memory_read/4, memory_read_dirty/4, memory_read_string/3, memory_write/4,
         memory_write_dirty/4, memory_replace/3, memory_grow/3,
         global_get/2, global_set/3,
         table_size/2, table_get/3, table_set/4, table_grow/4, table_grow_dirty/4,
         wasi_new/1, wasi_new_dirty/1, wasi_new_host/1,
         wasi_has_function/1, world_new/4, world_new_dirty/4, world_set/2, world_enter/3,
         world_leave/2, world_call/4, world_call_dirty/4, world_resume/2,
         world_describe/5, world_describe_dirty/5, world_settle/2, world_settle_dirty/2,
         folders_write/1, folders_sync/1,
       fs_read/2, fs_write/3, fs_list/2, fs_remove/2, fs_stat/2, fs_get/2, fs_put/2,
         output/3,
         instance_serialize/3, instance_deserialize/2, instance_deserialize_dirty/2, instance_restore/5,
         instance_restore_dirty/5, instance_mark_start/1,
         instance_reset/1, instance_reset_dirty/1, instance_fork/2, instance_fork_dirty/2,
         image_features/1, module_providers/1, snapshot_info/1,
         json_encode/1, json_encode_dirty/1, json_decode/1, json_decode_dirty/1,
         call_observed/4, events_want/2, instances/0, counters/0, node_limits/1, await_freed/0,
         lines_new/1, lines_add/2, lines_take/1,
         noop/4]).

-export_type([module_ref/0, instance_ref/0, step/0, again/0]).

-nifs([version/0,
       compile_recent/2, compile_cached/3, compile_cached_dirty/3, compile_image/2, compile_leave/1,
         module_image/2, module_imports/2, module_import_names/2,
       module_exports/2, module_config/1, module_exports_action/2, cache_info/0,
       instance_new/4, instance_stop/1, await_reaper/0, instance_give_away/2, instance_interrupt/2,
       instance_leave_line/2, instance_watch/1, instance_sibling/2, instance_imports/2,
       instance_exports/2, instance_info/1,
       instantiate/4, instantiate_dirty/4, call/4, call_dirty/4, resume/1, resume_dirty/1,
         resume_blocking/1,
         import_return/4, import_return_dirty/4, import_default/1, import_default_dirty/1,
       import_fail/1, import_fail_dirty/1, reply/2, reply_dirty/2, import_type/2,
       memory_size/2, memory_read/4, memory_read_dirty/4, memory_read_string/3, memory_write/4,
       memory_write_dirty/4, memory_replace/3, memory_grow/3,
       global_get/2, global_set/3,
       table_size/2, table_get/3, table_set/4, table_grow/4, table_grow_dirty/4,
       wasi_new/1, wasi_new_dirty/1, wasi_new_host/1,
       wasi_has_function/1, world_new/4, world_new_dirty/4, world_set/2, world_enter/3,
       world_leave/2, world_call/4, world_call_dirty/4, world_resume/2,
       world_describe/5, world_describe_dirty/5, world_settle/2, world_settle_dirty/2,
       folders_write/1, folders_sync/1,
       fs_read/2, fs_write/3, fs_list/2, fs_remove/2, fs_stat/2, fs_get/2, fs_put/2,
       output/3,
       instance_serialize/3, instance_deserialize/2, instance_deserialize_dirty/2, instance_restore/5,
       instance_restore_dirty/5, instance_mark_start/1,
       instance_reset/1, instance_reset_dirty/1, instance_fork/2, instance_fork_dirty/2,
       image_features/1, module_providers/1, snapshot_info/1,
       json_encode/1, json_encode_dirty/1, json_decode/1, json_decode_dirty/1,
       call_observed/4, events_want/2, instances/0, counters/0, node_limits/1, await_freed/0,
       lines_new/1, lines_add/2, lines_take/1,
       noop/4]).
-on_load(init/0).

-type module_ref() :: reference().
-type instance_ref() :: reference().
-type failure() :: {error, wasmbeam:error_reason() | native_unavailable}.
-type again() :: {queued, Ticket :: pos_integer()} | again.
%% Ask again: after the message `{'$wasmbeam', Ticket, turn}', or at once.
-type page(Item) :: {[Item], Next :: non_neg_integer() | done}.
%% Some items from a place on, and the place of those that follow.
-type step() ::
    observed |
    {ok, [wasmbeam:value()]}
    | failure()
    | yield
    | blocks
    | {import, Import :: non_neg_integer(), Args :: [wasmbeam:value()]}
    | {import, Import :: non_neg_integer(), Args :: [wasmbeam:value()],
       Instance :: non_neg_integer()}
    | {question, Ticket :: pos_integer(), wasmbeam_wasi:question()}
    | {question, Ticket :: pos_integer(), wasmbeam_wasi:question(),
       Instance :: non_neg_integer()}
    | {waiting, Ticket :: pos_integer()}
    | {sync, {ok, [wasmbeam:value()]} | failure()}
    | later
    | again().
%% What to do next: nothing; `resume/1'; `resume_blocking/1'; answer the import; `reply/2' to the
%% question; `resume/1' when the message has come; `folders_write/1'; the same again by the function
%% with `_dirty' to its name; ask again.
-type which() :: binary() | non_neg_integer().

init() ->
    erlang:load_nif(wasmbeam_library:path(priv_dir()), 0).

priv_dir() ->
    case code:priv_dir(wasmbeam) of
        {error, bad_name} ->
            filename:join(filename:dirname(filename:dirname(code:which(?MODULE))), "priv");
        Dir ->
            Dir
    end.

-define(NOT_LOADED, erlang:nif_error({not_loaded, ?MODULE})).

%% @doc The version of the native library.
-spec version() -> {ok, binary()} | failure().
version() -> ?NOT_LOADED.

%% @doc The module of an image, if it is in memory and this very binary was asked for not long ago.
-spec compile_recent(binary(), map()) -> {ok, module_ref()} | none | failure().
compile_recent(_Source, _Options) -> ?NOT_LOADED.

%% @doc The module of an image, if it is in memory. `Hold' tells whether the binary may be held on to.
-spec compile_cached(binary(), map(), Hold :: boolean()) -> {ok, module_ref()} | none | failure().
compile_cached(_Source, _Options, _Hold) -> ?NOT_LOADED.

%% @doc As `compile_cached/3', for large images.
-spec compile_cached_dirty(binary(), map(), Hold :: boolean()) ->
    {ok, module_ref()} | none | failure().
compile_cached_dirty(_Source, _Options, _Hold) -> ?NOT_LOADED.

%% @doc Compiles an image, or loads its code. The outcome follows as a message `{'$wasmbeam', Ticket,
%% Answer}', the progress before it as `{'$wasmbeam', Ticket, {progress, Progress}}'.
-spec compile_image(binary(), map()) ->
    {ok, module_ref()} | {pending, Ticket :: pos_integer(), Wait :: reference()} | failure().
compile_image(_Source, _Options) -> ?NOT_LOADED.

%% @doc Has no more messages sent about a compilation.
-spec compile_leave(reference()) -> ok | failure().
compile_leave(_Wait) -> ?NOT_LOADED.

%% @doc The code of a module, sealed with a key.
-spec module_image(module_ref(), binary() | {file, binary()} | none) -> {ok, binary()} | failure().
module_image(_Module, _Key) -> ?NOT_LOADED.

%% @doc What a module imports.
-spec module_imports(module_ref(), non_neg_integer()) ->
    {ok, page(wasmbeam:import_type())} | failure().
module_imports(_Module, _From) -> ?NOT_LOADED.

%% @doc The names alone of what a module imports, and whether no Erlang function could provide it.
-spec module_import_names(module_ref(), non_neg_integer()) ->
    {ok, page({Module :: binary(), Name :: binary(), wasmbeam:kind(), NeedsEngine :: boolean()})}
    | failure().
module_import_names(_Module, _From) -> ?NOT_LOADED.

%% @doc What a module exports.
-spec module_exports(module_ref(), non_neg_integer()) ->
    {ok, page(wasmbeam:export_type())} | failure().
module_exports(_Module, _From) -> ?NOT_LOADED.

%% @doc The options that a module was compiled with.
-spec module_config(module_ref()) ->
    {ok, #{fuel := boolean(), deterministic := boolean(),
           opt := none | speed | speed_and_size}} | failure().
module_config(_Module) -> ?NOT_LOADED.

%% @doc Whether a module exports a function of that name without parameters and results.
-spec module_exports_action(module_ref(), binary()) -> {ok, boolean()} | failure().
module_exports_action(_Module, _Name) -> ?NOT_LOADED.

%% @doc What the caches of compiled modules did so far.
-spec cache_info() -> wasmbeam:cache_info() | failure().
cache_info() -> ?NOT_LOADED.

%% @doc An instance that is still to be instantiated, in the store of another one or in a new one.
-spec instance_new(module_ref(), wasmbeam_imports:imports(), instance_ref() | none, map()) ->
    {ok, instance_ref()} | failure().
instance_new(_Module, _Imports, _Store, _Options) -> ?NOT_LOADED.

%% @doc Ends an instance; `wait' asks to call `await_reaper/0'.
-spec instance_stop(instance_ref()) -> ok | wait | failure().
instance_stop(_Instance) -> ?NOT_LOADED.

%% @doc Waits until the memory of most stopped instances is given back.
-spec await_reaper() -> ok | failure().
await_reaper() -> ?NOT_LOADED.

%% @doc Changes the owner.
-spec instance_give_away(instance_ref(), pid() | none) -> ok | failure().
instance_give_away(_Instance, _Owner) -> ?NOT_LOADED.

%% @doc Asks what runs in the instance to end.
-spec instance_interrupt(instance_ref(), cancelled | timeout) -> ok | failure().
instance_interrupt(_Instance, _Why) -> ?NOT_LOADED.

%% @doc Gives up a place in the line.
-spec instance_leave_line(instance_ref(), pos_integer()) -> ok | failure().
instance_leave_line(_Instance, _Ticket) -> ?NOT_LOADED.

%% @doc Has a message `{'$wasmbeam', Ticket, stopped | interrupted}' sent to the calling process once
%% the instance can no longer be called.
-spec instance_watch(instance_ref()) -> {ok, Ticket :: pos_integer()} | failure().
instance_watch(_Instance) -> ?NOT_LOADED.

%% @doc Another instance of the same store, and the implementations of its imports.
-spec instance_sibling(instance_ref(), non_neg_integer()) ->
    {ok, {instance_ref(), wasmbeam_imports:imports()}} | failure().
instance_sibling(_Instance, _Index) -> ?NOT_LOADED.

%% @doc What the instance's module imports.
-spec instance_imports(instance_ref(), non_neg_integer()) ->
    {ok, page(wasmbeam:import_type())} | failure().
instance_imports(_Instance, _From) -> ?NOT_LOADED.

%% @doc What the instance exports.
-spec instance_exports(instance_ref(), non_neg_integer()) ->
    {ok, page(wasmbeam:export_type())} | failure().
instance_exports(_Instance, _From) -> ?NOT_LOADED.

%% @doc What can be told about an instance without disturbing it.
-spec instance_info(instance_ref()) -> {ok, wasmbeam:info()} | failure().
instance_info(_Instance) -> ?NOT_LOADED.

%% @doc Runs the start function; `later' if making the instance takes long.
-spec instantiate(instance_ref(), [wasmbeam_imports:binding()], trap | error,
                  wasmbeam_wasi:world()) -> step().
instantiate(_Instance, _Bindings, _UnknownImports, _Wasi) -> ?NOT_LOADED.

%% @doc As `instantiate/4', however long it takes.
-spec instantiate_dirty(instance_ref(), [wasmbeam_imports:binding()], trap | error,
                        wasmbeam_wasi:world()) -> step().
instantiate_dirty(_Instance, _Bindings, _UnknownImports, _Wasi) -> ?NOT_LOADED.

%% @doc Calls a function, with fuel for it if that is a number.
-spec call(instance_ref(), wasmbeam:func(), [wasmbeam:value()], non_neg_integer() | infinity) ->
    step().
call(_Instance, _Function, _Args, _Fuel) -> ?NOT_LOADED.

%% @doc As `call_observed/4', however long it takes.
-spec call_dirty(instance_ref(), wasmbeam:func(), [wasmbeam:value()],
                 non_neg_integer() | infinity) -> step().
call_dirty(_Instance, _Function, _Args, _Fuel) -> ?NOT_LOADED.

%% @doc Gives the guest its next time slice.
-spec resume(instance_ref()) -> step().
resume(_Instance) -> ?NOT_LOADED.

%% @doc As `resume/1', however long it takes.
-spec resume_dirty(instance_ref()) -> step().
resume_dirty(_Instance) -> ?NOT_LOADED.

%% @doc Gives the guest its next time slice, on a dirty scheduler for input and output.
-spec resume_blocking(instance_ref()) -> step().
resume_blocking(_Instance) -> ?NOT_LOADED.

%% @doc Answers the import that the call waits in: one of `Importer', in the store of `Instance'.
-spec import_return(instance_ref(), instance_ref(), non_neg_integer(), term()) ->
    step() | {bad_argument, wasmbeam:error_reason()}.
import_return(_Instance, _Importer, _Import, _Results) -> ?NOT_LOADED.

%% @doc As `import_return/4', however long it takes.
-spec import_return_dirty(instance_ref(), instance_ref(), non_neg_integer(), term()) ->
    step() | {bad_argument, wasmbeam:error_reason()}.
import_return_dirty(_Instance, _Importer, _Import, _Results) -> ?NOT_LOADED.

%% @doc Answers the import by what the library itself provides, or `undefined' if it has nothing.
-spec import_default(instance_ref()) -> step() | undefined.
import_default(_Instance) -> ?NOT_LOADED.

%% @doc As `import_default/1', however long it takes.
-spec import_default_dirty(instance_ref()) -> step() | undefined.
import_default_dirty(_Instance) -> ?NOT_LOADED.

%% @doc Lets the import fail that the call waits in.
-spec import_fail(instance_ref()) -> step().
import_fail(_Instance) -> ?NOT_LOADED.

%% @doc As `import_fail/1', however long it takes.
-spec import_fail_dirty(instance_ref()) -> step().
import_fail_dirty(_Instance) -> ?NOT_LOADED.

%% @doc Replies to the question of a provided import that the call waits in.
-spec reply(instance_ref(), wasmbeam_wasi:reply()) ->
    step() | {bad_argument, wasmbeam:error_reason()}.
reply(_Instance, _Reply) -> ?NOT_LOADED.

%% @doc As `reply/2', however long it takes.
-spec reply_dirty(instance_ref(), wasmbeam_wasi:reply()) ->
    step() | {bad_argument, wasmbeam:error_reason()}.
reply_dirty(_Instance, _Reply) -> ?NOT_LOADED.

%% @doc The type of an imported function.
-spec import_type(instance_ref(), non_neg_integer()) ->
    {ok, wasmbeam:func_type()} | failure().
import_type(_Instance, _Import) -> ?NOT_LOADED.

%% @doc A memory's size in bytes.
-spec memory_size(instance_ref(), which()) -> {ok, non_neg_integer()} | failure() | again().
memory_size(_Instance, _Memory) -> ?NOT_LOADED.

%% @doc Copies bytes out of a memory.
-spec memory_read(instance_ref(), which(), non_neg_integer(), non_neg_integer()) ->
    {ok, binary()} | failure() | again().
memory_read(_Instance, _Memory, _Offset, _Size) -> ?NOT_LOADED.

%% @doc As `memory_read/4', for many bytes.
-spec memory_read_dirty(instance_ref(), which(), non_neg_integer(), non_neg_integer()) ->
    {ok, binary()} | failure() | again().
memory_read_dirty(_Instance, _Memory, _Offset, _Size) -> ?NOT_LOADED.

%% @doc The bytes before the next zero byte.
-spec memory_read_string(instance_ref(), which(), non_neg_integer()) ->
    {ok, binary()} | failure() | again().
memory_read_string(_Instance, _Memory, _Offset) -> ?NOT_LOADED.

%% @doc Copies bytes into a memory.
-spec memory_write(instance_ref(), which(), non_neg_integer(), binary()) ->
    ok | failure() | again().
memory_write(_Instance, _Memory, _Offset, _Bytes) -> ?NOT_LOADED.

%% @doc As `memory_write/4', for many bytes.
-spec memory_write_dirty(instance_ref(), which(), non_neg_integer(), binary()) ->
    ok | failure() | again().
memory_write_dirty(_Instance, _Memory, _Offset, _Bytes) -> ?NOT_LOADED.

%% @doc Replaces all of a memory's contents.
-spec memory_replace(instance_ref(), which(), binary()) -> ok | failure() | again().
memory_replace(_Instance, _Memory, _Image) -> ?NOT_LOADED.

%% @doc Grows a memory, and gives its former size in pages.
-spec memory_grow(instance_ref(), which(), non_neg_integer()) ->
    {ok, non_neg_integer()} | failure() | again().
memory_grow(_Instance, _Memory, _Pages) -> ?NOT_LOADED.

%% @doc Reads a global.
-spec global_get(instance_ref(), binary()) -> {ok, wasmbeam:value()} | failure() | again().
global_get(_Instance, _Name) -> ?NOT_LOADED.

%% @doc Sets a global.
-spec global_set(instance_ref(), binary(), wasmbeam:value()) -> ok | failure() | again().
global_set(_Instance, _Name, _Value) -> ?NOT_LOADED.

%% @doc A table's number of elements.
-spec table_size(instance_ref(), which()) -> {ok, non_neg_integer()} | failure() | again().
table_size(_Instance, _Table) -> ?NOT_LOADED.

%% @doc Reads an element.
-spec table_get(instance_ref(), which(), non_neg_integer()) ->
    {ok, wasmbeam:value()} | failure() | again().
table_get(_Instance, _Table, _Index) -> ?NOT_LOADED.

%% @doc Sets an element.
-spec table_set(instance_ref(), which(), non_neg_integer(), wasmbeam:value()) ->
    ok | failure() | again().
table_set(_Instance, _Table, _Index, _Value) -> ?NOT_LOADED.

%% @doc Grows a table, and gives its former size.
-spec table_grow(instance_ref(), which(), non_neg_integer(), wasmbeam:value()) ->
    {ok, non_neg_integer()} | failure() | again().
table_grow(_Instance, _Table, _Delta, _Value) -> ?NOT_LOADED.

%% @doc As `table_grow/4', for many elements.
-spec table_grow_dirty(instance_ref(), which(), non_neg_integer(), wasmbeam:value()) ->
    {ok, non_neg_integer()} | failure() | again().
table_grow_dirty(_Instance, _Table, _Delta, _Value) -> ?NOT_LOADED.

%% @doc The WASI world of one instance, from options that have been checked.
-spec wasi_new(map()) ->
    {ok, reference()} | {bad_option, Key :: atom(), wasmbeam:error_reason()} | failure().
wasi_new(_Options) -> ?NOT_LOADED.

%% @doc As `wasi_new/1', for many bytes.
-spec wasi_new_dirty(map()) ->
    {ok, reference()} | {bad_option, Key :: atom(), wasmbeam:error_reason()} | failure().
wasi_new_dirty(_Options) -> ?NOT_LOADED.

%% @doc As `wasi_new/1', with folders of the machine.
-spec wasi_new_host(map()) ->
    {ok, reference()} | {bad_option, Key :: atom(), wasmbeam:error_reason()} | failure().
wasi_new_host(_Options) -> ?NOT_LOADED.

%% @doc Writes to folders of the machine what instances of the store have changed by the end of the
%% last call.
-spec folders_write(instance_ref()) -> ok | failure().
folders_write(_Instance) -> ?NOT_LOADED.

%% @doc As `folders_write/1', with what has changed by now.
-spec folders_sync(instance_ref()) -> ok | failure() | again().
folders_sync(_Instance) -> ?NOT_LOADED.

%% @doc The bytes of a guest's file.
-spec fs_read(instance_ref(), binary()) -> {ok, binary()} | failure() | again().
fs_read(_Instance, _Path) -> ?NOT_LOADED.

%% @doc Writes a file, a directory or a symbolic link.
-spec fs_write(instance_ref(), binary(), binary() | wasmbeam_wasi:tree() | {symlink, binary()}) ->
    ok | failure() | again().
fs_write(_Instance, _Path, _Contents) -> ?NOT_LOADED.

%% @doc The names in a directory.
-spec fs_list(instance_ref(), binary()) -> {ok, [binary()]} | failure() | again().
fs_list(_Instance, _Path) -> ?NOT_LOADED.

%% @doc Removes a file, or a directory with all that is in it.
-spec fs_remove(instance_ref(), binary()) -> ok | failure() | again().
fs_remove(_Instance, _Path) -> ?NOT_LOADED.

%% @doc What is known of a file.
-spec fs_stat(instance_ref(), binary()) -> {ok, wasmbeam:file_stat()} | failure() | again().
fs_stat(_Instance, _Path) -> ?NOT_LOADED.

%% @doc Everything at a path, by value.
-spec fs_get(instance_ref(), binary()) ->
    {ok, wasmbeam_wasi:tree() | binary() | {symlink, binary()}} | failure() | again().
fs_get(_Instance, _Path) -> ?NOT_LOADED.

%% @doc Replaces the whole tree.
-spec fs_put(instance_ref(), wasmbeam_wasi:tree()) -> ok | failure() | again().
fs_put(_Instance, _Tree) -> ?NOT_LOADED.

%% @doc What was captured of an output, and how many bytes were beyond its limit.
-spec output(instance_ref(), stdout | stderr, Take :: boolean()) ->
    {ok, {binary(), Discarded :: non_neg_integer()}} | failure() | again().
output(_Instance, _Stream, _Take) -> ?NOT_LOADED.
%% @doc The state of an instance, as bytes, based on those of other snapshots if there are any.
-spec instance_serialize(instance_ref(), none | lz4 | zstd, wasmbeam:snapshot() | []) ->
    {ok, binary()} | failure() | again().
instance_serialize(_Instance, _Compression, _Base) -> ?NOT_LOADED.

%% @doc Gives an instance the state of a snapshot; `later' if it has to be read.
-spec instance_deserialize(instance_ref(), wasmbeam:snapshot()) ->
    ok | later | failure() | again().
instance_deserialize(_Instance, _Snapshot) -> ?NOT_LOADED.

%% @doc As `instance_deserialize/2', however long it takes.
-spec instance_deserialize_dirty(instance_ref(), wasmbeam:snapshot()) -> ok | failure() | again().
instance_deserialize_dirty(_Instance, _Snapshot) -> ?NOT_LOADED.

%% @doc As `instantiate/4', with the state of a snapshot in place of the start function; `later' if the
%% snapshot has to be read.
-spec instance_restore(instance_ref(), [wasmbeam_imports:binding()], trap | error,
                       wasmbeam_wasi:world(), wasmbeam:snapshot()) -> step().
instance_restore(_Instance, _Bindings, _UnknownImports, _World, _Snapshot) -> ?NOT_LOADED.

%% @doc As `instance_restore/5', however long it takes.
-spec instance_restore_dirty(instance_ref(), [wasmbeam_imports:binding()], trap | error,
                             wasmbeam_wasi:world(), wasmbeam:snapshot()) -> step().
instance_restore_dirty(_Instance, _Bindings, _UnknownImports, _World, _Snapshot) -> ?NOT_LOADED.

%% @doc Says that the instance has started only now.
-spec instance_mark_start(instance_ref()) -> ok | failure() | again().
instance_mark_start(_Instance) -> ?NOT_LOADED.

%% @doc Gives an instance the state that it had after its start; `later' if that takes long.
-spec instance_reset(instance_ref()) -> ok | later | failure() | again().
instance_reset(_Instance) -> ?NOT_LOADED.

%% @doc As `instance_reset/1', however long it takes.
-spec instance_reset_dirty(instance_ref()) -> ok | failure() | again().
instance_reset_dirty(_Instance) -> ?NOT_LOADED.

%% @doc A copy of an instance; `later' if making it takes long.
-spec instance_fork(instance_ref(), pid() | none) ->
    {ok, instance_ref()} | later | failure() | again().
instance_fork(_Instance, _Owner) -> ?NOT_LOADED.

%% @doc As `instance_fork/2', however long it takes.
-spec instance_fork_dirty(instance_ref(), pid() | none) ->
    {ok, instance_ref()} | failure() | again().
instance_fork_dirty(_Instance, _Owner) -> ?NOT_LOADED.

%% @doc Whether preview 1 of WASI has a function of that name.
-spec wasi_has_function(binary()) -> boolean().
wasi_has_function(_Name) -> ?NOT_LOADED.

%% @doc Makes a world of files and descriptors.
-spec world_new(map(), Stdin :: binary(), [wasmbeam_world:open_file()],
                wasmbeam_world:settings()) ->
    {ok, {reference(), [wasmbeam_world:open_file()]}} | failure().
world_new(_Tree, _Stdin, _Descriptors, _Settings) -> ?NOT_LOADED.

%% @doc As `world_new/4', for many bytes.
-spec world_new_dirty(map(), Stdin :: binary(), [wasmbeam_world:open_file()],
                      wasmbeam_world:settings()) ->
    {ok, {reference(), [wasmbeam_world:open_file()]}} | failure().
world_new_dirty(_Tree, _Stdin, _Descriptors, _Settings) -> ?NOT_LOADED.

%% @doc The world with other settings.
-spec world_set(reference(), wasmbeam_world:settings()) -> {ok, reference()} | failure().
world_set(_World, _Settings) -> ?NOT_LOADED.

%% @doc Puts a world into an instance.
-spec world_enter(instance_ref(), reference(), non_neg_integer()) -> ok | failure() | again().
world_enter(_Instance, _World, _Token) -> ?NOT_LOADED.

%% @doc Takes it out again.
-spec world_leave(instance_ref(), non_neg_integer()) ->
    {ok, reference(), wasmbeam_world:output()} | none | failure() | again().
world_leave(_Instance, _Token) -> ?NOT_LOADED.

%% @doc Runs a function of WASI on a world and an instance's memory.
-spec world_call(instance_ref(), reference(), binary(), [integer()]) ->
    wasmbeam_world:step() | bad_argument | long | failure() | again().
world_call(_Instance, _World, _Name, _Args) -> ?NOT_LOADED.

%% @doc As `world_call/4', however long it takes.
-spec world_call_dirty(instance_ref(), reference(), binary(), [integer()]) ->
    wasmbeam_world:step() | bad_argument | failure() | again().
world_call_dirty(_Instance, _World, _Name, _Args) -> ?NOT_LOADED.

%% @doc Goes on with a function that waited.
-spec world_resume(instance_ref(), reference()) ->
    wasmbeam_world:step() | failure() | again().
world_resume(_Instance, _World) -> ?NOT_LOADED.

%% @doc What differs from an earlier world, unless telling it takes long.
-spec world_describe(reference(), reference(), map(), wasmbeam_world:streams(), boolean()) ->
    {map() | same, [wasmbeam_world:open_file()] | same} | long | failure().
world_describe(_World, _Earlier, _Tree, _Streams, _Changed) -> ?NOT_LOADED.

%% @doc As `world_describe/5', however long it takes.
-spec world_describe_dirty(reference(), reference(), map(), wasmbeam_world:streams(),
                           boolean()) ->
    {map() | same, [wasmbeam_world:open_file()] | same} | failure().
world_describe_dirty(_World, _Earlier, _Tree, _Streams, _Changed) -> ?NOT_LOADED.

%% @doc A world as it is between two calls, unless making it takes long.
-spec world_settle(reference(), reference()) -> reference() | long | failure().
world_settle(_World, _Earlier) -> ?NOT_LOADED.

%% @doc As `world_settle/2', however long it takes.
-spec world_settle_dirty(reference(), reference()) -> reference() | failure().
world_settle_dirty(_World, _Earlier) -> ?NOT_LOADED.

%% @doc The parts of WebAssembly that an image makes use of.
-spec image_features(binary()) -> {ok, [binary()]} | failure().
image_features(_Source) -> ?NOT_LOADED.

%% @doc Where each import of a module comes from if no embedder has it.
-spec module_providers(module_ref()) -> {ok, [wasi | emscripten | none]} | failure().
module_providers(_Module) -> ?NOT_LOADED.

%% @doc What a snapshot says of itself.
-spec snapshot_info(binary()) -> {ok, wasmbeam:snapshot_info()} | failure().
snapshot_info(_Snapshot) -> ?NOT_LOADED.

%% @doc Writes a term as JSON, unless that takes too long.
-spec json_encode(term()) -> {ok, binary()} | long | failure().
json_encode(_Value) -> ?NOT_LOADED.

%% @doc As `json_encode/1', however long it takes.
-spec json_encode_dirty(term()) -> {ok, binary()} | failure().
json_encode_dirty(_Value) -> ?NOT_LOADED.

%% @doc Reads a JSON text, unless it is long.
-spec json_decode(binary()) -> {ok, wasmbeam_json:value()} | long | failure().
json_decode(_Text) -> ?NOT_LOADED.

%% @doc As `json_decode/1', however long it takes.
-spec json_decode_dirty(binary()) -> {ok, wasmbeam_json:value()} | failure().
json_decode_dirty(_Text) -> ?NOT_LOADED.

%% @doc Does nothing: what calling any native function costs.
-spec noop(term(), term(), term(), term()) -> ok | failure().
noop(_A, _B, _C, _D) -> ?NOT_LOADED.

%% @doc As `call/4', which answers `observed' while `events_want/2' says so.
-spec call_observed(instance_ref(), wasmbeam:func(), [wasmbeam:value()],
                    non_neg_integer() | infinity) -> step().
call_observed(_Instance, _Function, _Args, _Fuel) -> ?NOT_LOADED.

%% @doc Says whether each call, and each instance's end, is to be told.
-spec events_want(Calls :: boolean(), Ends :: boolean()) -> ok | failure().
events_want(_Calls, _Ends) -> ?NOT_LOADED.

%% @doc All instances that are not stopped.
-spec instances() -> [map()] | failure().
instances() -> ?NOT_LOADED.

%% @doc What all instances together did.
-spec counters() -> map() | failure().
counters() -> ?NOT_LOADED.

%% @doc Sets what all instances together may take.
-spec node_limits(map()) -> ok | failure().
node_limits(_Limits) -> ?NOT_LOADED.

%% @doc Waits until the memory of what has been stopped by now is given back.
-spec await_freed() -> ok | failure().
await_freed() -> ?NOT_LOADED.

%% @doc A place for output that is to be cut into lines.
-spec lines_new(term()) -> {ok, reference()} | failure().
lines_new(_About) -> ?NOT_LOADED.

%% @doc Adds output, and gives the lines that it completes. If it is long, not all of it is taken.
-spec lines_add(reference(), binary()) ->
    {ok, {Complete :: [binary()], Taken :: non_neg_integer()}} | failure().
lines_add(_Lines, _Bytes) -> ?NOT_LOADED.

%% @doc Takes what has no end yet.
-spec lines_take(reference()) -> {ok, binary()} | failure().
lines_take(_Lines) -> ?NOT_LOADED.
