%% @doc Checks the options that users give.
-module(wasmbeam_options).

-export([check/2]).

%% The longest that `receive' waits.
-define(MAX_TIMEOUT, 16#ffffffff).
-define(MIN_STACK, 65536).
-define(MAX_STACK, 16777216).
%% How much of a name that is none is worth showing.
-define(DEPTH, 10).

%% @doc Fails with `bad_argument' unless the options are a map of `Known' names, each with a value
%% that it can have. What only the native library can tell is left to it.
-spec check(term(), [atom()]) -> ok | {error, wasmbeam:error_reason()}.
check(Options, _Known) when Options =:= #{} ->
    ok;
check(Options, Known) when is_map(Options) ->
    case maps:keys(maps:without(Known, Options)) of
        [] -> check_values(maps:to_list(Options));
        [Unknown | _] -> unknown(Unknown, Known)
    end;
check(Options, _Known) ->
    wasmbeam_error:bad_argument("a map of options", Options).

unknown(Name, Known) ->
    Expected = ["an option of: ", lists:join(", ", [atom_to_list(Option) || Option <- Known])],
    Message = io_lib:format("~0tP is no option here; expected ~ts", [Name, ?DEPTH, Expected]),
    {error, wasmbeam_error:reason(bad_argument, Message,
                                  #{expected => iolist_to_binary(Expected), value => Name})}.

check_values([{Name, Value} | Options]) ->
    case expected(Name, Value) of
        ok -> check_values(Options);
        {error, _} = Error -> Error;
        Expected -> bad_value(Name, Expected, Value)
    end;
check_values([]) ->
    ok.

bad_value(Name, Expected, Value) ->
    {error, {bad_argument, Info}} =
        wasmbeam_error:bad_argument([atom_to_list(Name), " to be ", Expected], Value),
    {error, {bad_argument, Info#{key => Name}}}.

check_limits([{stack, _} | Limits]) ->
    check_limits(Limits);
check_limits([{Name, Value} | Limits]) ->
    case count(Value) of
        ok -> check_limits(Limits);
        Expected -> bad_value(Name, Expected, Value)
    end;
check_limits([]) ->
    ok.

expected(timeout, infinity) -> ok;
expected(timeout, Value) when is_integer(Value), Value >= 0, Value =< ?MAX_TIMEOUT -> ok;
expected(timeout, _) -> "infinity, or an integer from 0 to 2^32 - 1";
expected(import_handler, Value) when is_function(Value, 1) -> ok;
expected(import_handler, _) -> "a fun of arity 1";
expected(imports, Value) when is_map(Value) -> ok;
expected(imports, _) -> "a map of imports";
expected(unknown_imports, Value) when Value =:= trap; Value =:= error -> ok;
expected(unknown_imports, _) -> "trap or error";
expected(on_interrupt, Value) when Value =:= fail; Value =:= keep -> ok;
expected(on_interrupt, _) -> "fail or keep";
expected(owner, none) -> ok;
expected(owner, Value) when is_pid(Value), node(Value) =:= node() -> ok;
expected(owner, _) -> "a process of this node, or none";
expected(limits, Value) when is_map(Value) ->
    case check(Value, [memory, memories, tables, table_elements, instances, stack]) of
        ok -> check_limits(maps:to_list(Value));
        {error, _} = Error -> Error
    end;
expected(limits, _) -> "a map of limits";
expected(stack, Value) when is_integer(Value), Value >= ?MIN_STACK, Value =< ?MAX_STACK -> ok;
expected(stack, _) -> "a number of bytes, 64 KiB to 16 MiB";
expected(compiler, Value) when is_map(Value) -> check(Value, [opt]);
expected(compiler, _) -> "a map of compiler options";
expected(opt, Value) when Value =:= none; Value =:= speed; Value =:= speed_and_size -> ok;
expected(opt, _) -> "none, speed or speed_and_size";
expected(mode, Value) when Value =:= wasm; Value =:= aot -> ok;
expected(mode, _) -> "wasm or aot";
expected(progress, Value) when is_function(Value, 1) -> ok;
expected(progress, _) -> "a fun of arity 1";
expected(compile_limits, Value) when is_map(Value) ->
    check(Value, [bytes, functions, function_bytes, time]);
expected(compile_limits, _) -> "a map of limits";
expected(store, none) -> ok;
expected(store, Value) ->
    case wasmbeam_call:reference(Value) of
        {ok, _} -> ok;
        error -> "an instance"
    end;
expected(compression, Value) when Value =:= none; Value =:= lz4; Value =:= zstd -> ok;
expected(compression, _) -> "none, lz4 or zstd";
expected(Name, Value) when Name =:= deterministic; Name =:= take ->
    case is_boolean(Value) of
        true -> ok;
        false -> "true or false"
    end;
expected(fuel, Value) when is_boolean(Value) -> ok;
expected(fuel, Value) -> count(Value);
expected(time, Value) -> expected(timeout, Value);
expected(Name, Value) when Name =:= bytes; Name =:= functions; Name =:= function_bytes ->
    count(Value);
expected(_Name, _Value) -> ok.

count(infinity) -> ok;
count(Value) when is_integer(Value), Value >= 0, Value < 1 bsl 64 -> ok;
count(_Value) -> "infinity, or an integer from 0 to 2^64 - 1".
