%% @doc WASI worlds as values, for who keeps a guest's files outside of it.
%%
%% A world is made of a tree of files and a list of descriptors. It is put into an instance for a
%% call ({@link enter/3}) and taken out after it ({@link leave/2}), and what is then in it is told
%% ({@link describe/5}). A world never changes: what a guest does gives another one, which shares with
%% it what is the same.
%%
%% There are no links and no times in it. The files `/dev/stdin', `/dev/stdout' and `/dev/stderr' are
%% the standard streams.
-module(wasmbeam_world).

-export([has_function/1, new/4, set/2, enter/3, leave/2, call/4, describe/5, settle/2]).

-export_type([world/0, tree/0, open_file/0, settings/0, output/0, streams/0, step/0]).

-type world() :: reference().
-type tree() :: #{Name :: binary() => tree() | binary()}.
-type open_file() ::
    {Fd :: non_neg_integer(), Path :: binary(), Offset :: non_neg_integer(),
     Flags :: non_neg_integer(), Preopen :: binary() | none,
     Rights :: {Base :: non_neg_integer(), Inheriting :: non_neg_integer()} | none}.
%% Without rights it may be used for everything.
-type settings() ::
    {Args :: [binary()], Env :: [{binary(), binary()}], system | {fixed, Ns :: non_neg_integer()}}.
-type output() :: {Stdout :: binary(), Stderr :: binary(), StdinLeft :: non_neg_integer()}.
%% What was written to the streams, and how much there is still to be read.
-type streams() :: {Stdin :: binary(), Stdout :: binary(), Stderr :: binary()}.
-type step() ::
    {ok, Errno :: non_neg_integer(), world(), output()}
    | {wait, Ns :: non_neg_integer() | infinity, world()}
    | {exit, Status :: non_neg_integer()}
    | {raise, Signal :: non_neg_integer()}.
-type result(T) :: {ok, T} | {error, wasmbeam:error_reason()}.

%% The longest time that `receive' can wait.
-define(MAX_MS, 16#ffffffff).
%% What is less is copied within the time that a scheduler may be kept.
-define(FEW_BYTES, 65536).

%% @doc Whether WASI has a function of that name.
-spec has_function(binary()) -> boolean().
has_function(Name) ->
    wasmbeam_nif:wasi_has_function(Name).

%% @doc Makes a world; `Stdin' is what can be read from the standard input. The descriptors are told as
%% {@link describe/5} does: what there is no file for is closed.
%%
%% Error: `bad_argument' for a name, a descriptor or a setting that cannot be.
-spec new(tree(), Stdin :: binary(), [open_file()], settings()) ->
    result({world(), [open_file()]}).
new(Tree, Stdin, Descriptors, Settings) ->
    Made = case left(Tree, ?FEW_BYTES - byte_size(Stdin)) of
        Left when Left >= 0 -> wasmbeam_nif:world_new(Tree, Stdin, Descriptors, Settings);
        _ -> wasmbeam_nif:world_new_dirty(Tree, Stdin, Descriptors, Settings)
    end,
    wasmbeam_error:normalize(Made).

%% How many bytes less a tree has.
left(File, Left) when is_binary(File) ->
    Left - byte_size(File);
left(Directory, Left) when is_map(Directory), Left >= 0 ->
    maps:fold(fun(_Name, Entry, Rest) -> left(Entry, Rest - 64) end, Left, Directory);
left(_Other, Left) ->
    Left.

%% @doc The world with other settings.
-spec set(world(), settings()) -> result(world()).
set(World, Settings) ->
    wasmbeam_error:normalize(wasmbeam_nif:world_set(World, Settings)).

%% @doc Puts a world into an instance. The token is to take it out again.
-spec enter(wasmbeam:instance(), world(), Token :: non_neg_integer()) ->
    ok | {error, wasmbeam:error_reason()}.
enter(Instance, World, Token) ->
    access(Instance, fun(Ref) -> wasmbeam_nif:world_enter(Ref, World, Token) end).

%% @doc Takes the world with that token out of an instance, even if others have put theirs there since.
%% `none' if there is none: of many who never took theirs, only the latest are kept.
-spec leave(wasmbeam:instance(), Token :: non_neg_integer()) ->
    {ok, world(), output()} | none | {error, wasmbeam:error_reason()}.
leave(Instance, Token) ->
    access(Instance, fun(Ref) -> wasmbeam_nif:world_leave(Ref, Token) end).

%% @doc Runs a function of WASI on a world and the memory of an instance.
-spec call(wasmbeam:instance(), world(), Name :: binary(), [integer()]) ->
    step() | bad_argument | {error, wasmbeam:error_reason()}.
call(Instance, World, Name, Args) ->
    ended(Instance,
          access(Instance, fun(Ref) ->
              case wasmbeam_nif:world_call(Ref, World, Name, Args) of
                  long -> wasmbeam_nif:world_call_dirty(Ref, World, Name, Args);
                  Answer -> Answer
              end
          end)).

ended(Instance, {wait, Ns, Waiting}) ->
    ok = wait(Ns),
    ended(Instance, access(Instance, fun(Ref) -> wasmbeam_nif:world_resume(Ref, Waiting) end));
ended(_Instance, Answer) ->
    Answer.

wait(infinity) -> receive after infinity -> ok end;
wait(Ns) -> timer:sleep(min(?MAX_MS, (Ns + 999999) div 1000000)).

%% @doc What differs from an earlier world: the tree, whose files are those of `Tree' where nobody
%% has written them, and the descriptors. `Streams' is what the standard streams hold, and `Changed'
%% whether that is something else than before.
-spec describe(world(), Earlier :: world(), tree(), streams(), Changed :: boolean()) ->
    {tree() | same, [open_file()] | same}.
describe(World, Earlier, Tree, Streams, Changed) ->
    case wasmbeam_nif:world_describe(World, Earlier, Tree, Streams, Changed) of
        long -> wasmbeam_nif:world_describe_dirty(World, Earlier, Tree, Streams, Changed);
        {_, _} = Differences -> Differences
    end.

%% @doc The world as it is to be kept until the next call: whether it is kept or made anew of what
%% {@link describe/5} tells makes no difference to a guest. `Earlier' is one that is settled.
-spec settle(world(), Earlier :: world()) -> world().
settle(World, Earlier) ->
    case wasmbeam_nif:world_settle(World, Earlier) of
        long ->
            Settled = wasmbeam_nif:world_settle_dirty(World, Earlier),
            true = is_reference(Settled),
            Settled;
        Settled when is_reference(Settled) ->
            Settled
    end.

access(Instance, Access) ->
    {ok, Ref} = wasmbeam_call:reference(Instance),
    wasmbeam_call:access(fun() -> Access(Ref) end).
