%% @doc What an instance's imports are bound to.
-module(wasmbeam_imports).

-export([named/1, bind/3, find/3, check_functions/1, with_wasi/2, wasi/1,
         with_timeout/2, timeout/1]).

-export_type([imports/0, binding/0, item/0, handler/0]).

-type item() ::
    fun(([wasmbeam:value()]) -> [wasmbeam:value()])
    | fun(([wasmbeam:value()], context()) -> [wasmbeam:value()])
    | {export, wasmbeam:instance(), wasmbeam:name()}
    | wasmbeam:value()
    | new
    | host.
%% A function; an export of another instance; the value of a global; a new memory or table of the
%% size that the module asks for; or a function that each call's `import_handler' answers.
-type context() :: #{instance := wasmbeam:instance(), module := binary(), name := binary()}.
-type handler() ::
    fun((import_call()) -> [wasmbeam:value()] | default | {default, Else :: [wasmbeam:value()]}).
%% The results; or what wasmbeam itself provides under that name. Where it provides nothing the call
%% fails with `unknown_import', or `Else' are the results.
-type import_call() ::
    #{module := binary(), name := binary(), args := [wasmbeam:value()],
      type := wasmbeam:func_type(), instance := wasmbeam:instance()}.
-type binding() ::
    default | host | new
    | {export, wasmbeam_nif:instance_ref(), binary()}
    | {value, wasmbeam:value()}.
-opaque imports() ::
    #{names := tuple(), functions := tuple(), handler := handler() | undefined,
      wasi := wasmbeam_wasi:host(), timeout => timeout()}.

%% @doc The same with binaries in the place of strings and atoms for the names.
-spec named(map()) -> map().
named(Imports) ->
    Modules = wasmbeam_name:keys(Imports),
    maps:fold(fun named_items/3, Modules, Modules).

named_items(Module, Items, Modules) when is_map(Items) ->
    case wasmbeam_name:keys(Items) of
        Items -> Modules;
        Named -> Modules#{Module := Named}
    end;
named_items(_Module, _Instance, Modules) ->
    Modules.

%% @doc Finds for each import of a module, in its order, what it is bound to.
%%
%% `Given' holds for each module name a map of items, or an instance that provides all of them.
%% `StoreOf' is an instance whose store the new one has to share because it imports from it.
-spec bind([{binary(), binary(), wasmbeam:kind(), boolean()}], map(), handler() | undefined) ->
    {ok, [binding()], imports(), StoreOf :: wasmbeam:instance() | none}
    | {error, wasmbeam:error_reason()}.
bind(Names, Given, Handler) ->
    Items = [item(Module, Name, NeedsEngine, Given)
             || {Module, Name, _Kind, NeedsEngine} <- Names],
    case bindings(Names, Items, [], none) of
        {ok, Bindings, StoreOf} ->
            Imports = #{
                names => list_to_tuple([{Module, Name} || {Module, Name, _, _} <- Names]),
                functions => list_to_tuple([function(Item) || Item <- Items]),
                handler => Handler,
                wasi => #{}
            },
            {ok, Bindings, Imports, StoreOf};
        {error, _} = Error ->
            Error
    end.

%% @doc The names of the import with that index, and its implementation if it has one.
-spec find(non_neg_integer(), imports(), map()) ->
    {{Module :: binary(), Name :: binary()}, fun() | undefined, handler() | undefined}.
find(Import, #{names := Names, functions := Functions, handler := Handler}, Overriding) ->
    {Module, Name} = Id = element(Import + 1, Names),
    case Overriding of
        #{Module := #{Name := Function}} when is_function(Function) -> {Id, Function, Handler};
        #{} -> {Id, element(Import + 1, Functions), Handler}
    end.

%% @doc Fails with `bad_argument' unless these are maps of functions, one for each module name.
-spec check_functions(map()) -> ok | {error, wasmbeam:error_reason()}.
check_functions(Imports) ->
    case lists:dropwhile(fun is_map/1, maps:values(Imports)) of
        [] ->
            Items = lists:append([maps:values(Functions) || Functions <- maps:values(Imports)]),
            case lists:dropwhile(fun is_implementation/1, Items) of
                [] -> ok;
                [Item | _] -> wasmbeam_error:bad_argument("a fun of arity 1 or 2", Item)
            end;
        [Functions | _] ->
            wasmbeam_error:bad_argument("a map of functions", Functions)
    end.

is_implementation(Item) ->
    is_function(Item, 1) orelse is_function(Item, 2).

%% @doc Adds what the embedder supplies behind WASI.
-spec with_wasi(imports(), wasmbeam_wasi:host()) -> imports().
with_wasi(Imports, Host) ->
    Imports#{wasi := Host}.

%% @doc What the embedder supplies behind WASI.
-spec wasi(imports()) -> wasmbeam_wasi:host().
wasi(#{wasi := Host}) ->
    Host.

%% @doc Adds how long calls may take for which no timeout is given.
-spec with_timeout(imports(), timeout()) -> imports().
with_timeout(Imports, infinity) ->
    Imports;
with_timeout(Imports, Timeout) ->
    Imports#{timeout => Timeout}.

%% @doc How long calls may take for which no timeout is given.
-spec timeout(imports()) -> timeout().
timeout(#{timeout := Timeout}) -> Timeout;
timeout(#{}) -> infinity.

%% What needs the engine cannot be left to each call's handler.
item(Module, Name, true, Given) ->
    case item(Module, Name, false, Given) of
        {item, host} -> undefined;
        Item -> Item
    end;
item(Module, Name, false, Given) ->
    case Given of
        #{Module := #{Name := Item}} -> {item, Item};
        #{Module := Items} when is_map(Items) -> undefined;
        #{Module := Instance} -> {item, {export, Instance, Name}};
        #{} -> undefined
    end.

function({item, Item}) when is_function(Item, 1); is_function(Item, 2) -> Item;
function(_) -> undefined.

bindings([{Module, Name, Kind, _} | Names], [Item | Items], Bindings, StoreOf) ->
    case binding(Kind, Item) of
        {ok, Binding} ->
            bindings(Names, Items, [Binding | Bindings], store_of(Item, StoreOf));
        {error, Message} ->
            {error, wasmbeam_error:reason(incompatible_import, Message,
                                          #{module => Module, name => Name})}
    end;
bindings([], [], Bindings, StoreOf) ->
    {ok, lists:reverse(Bindings), StoreOf}.

store_of({item, {export, Instance, _}}, none) -> Instance;
store_of(_, StoreOf) -> StoreOf.

binding(_Kind, undefined) -> {ok, default};
binding(_Kind, {item, new}) -> {ok, new};
binding(func, {item, host}) -> {ok, host};
binding(_Kind, {item, {export, Instance, Name}}) ->
    case wasmbeam_call:reference(Instance) of
        {ok, Ref} -> {ok, {export, Ref, wasmbeam_name:binary(Name)}};
        error -> {error, "expected the instance that exports it"}
    end;
binding(func, {item, Item}) when is_function(Item, 1); is_function(Item, 2) -> {ok, host};
binding(func, {item, _}) -> {error, "expected a fun of arity 1 or 2, or an export"};
binding(global, {item, Value}) -> {ok, {value, Value}};
binding(_Kind, {item, _}) -> {error, "expected an export, or 'new' for a memory or table"}.
