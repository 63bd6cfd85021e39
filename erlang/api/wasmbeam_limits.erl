%% @doc What instances may take: defaults and bounds from the application environment.
%%
%% See `docs/limits.md' for the environment's keys.
-module(wasmbeam_limits).

-export([of_instance/1, with_stack/1, given_stack/1, round_stack/1]).
-export([apply_node/0, set_node/1, timeout/0, quotas/0, output/0, retry/1]).

-export_type([limits/0, node_limits/0]).

-type limits() ::
    #{memory => non_neg_integer(), memories => non_neg_integer(), tables => non_neg_integer(),
      table_elements => non_neg_integer(), instances => non_neg_integer(),
      stack => pos_integer()}.
-type node_limits() ::
    #{memory => non_neg_integer() | infinity, table_elements => non_neg_integer() | infinity,
      instances => non_neg_integer() | infinity}.

-define(NODE_LIMITS, [memory, table_elements, instances]).
-define(MIN_STACK, 65536).
-define(MAX_STACK, 16777216).
-define(OUTPUT_LIMIT, 16777216).
%% The longest that `receive' waits.
-define(MAX_TIMEOUT, 16#ffffffff).

%% @doc All limits of an instance for which some are given: the others are those of `limits' in the
%% environment, and none is above that of `max_limits'.
-spec of_instance(limits()) -> {ok, limits()} | {error, wasmbeam:error_reason()}.
of_instance(Given) ->
    case {environment(limits), environment(max_limits)} of
        {undefined, undefined} ->
            {ok, maps:merge(standard(), Given)};
        {Defaults, Bounds} ->
            case {check(limits, Defaults), check(max_limits, Bounds)} of
                {ok, ok} -> {ok, bound(maps:merge(with(Defaults), Given), of_map(Bounds))};
                {{error, _} = Error, _} -> Error;
                {ok, {error, _} = Error} -> Error
            end
    end.

%% @doc Options to compile with that say how much stack there is.
-spec with_stack(map()) -> {ok, map()} | {error, wasmbeam:error_reason()}.
with_stack(Options) ->
    case of_instance(maps:with([stack], Options)) of
        {ok, #{stack := Stack}} -> {ok, Options#{stack => whole(Stack)}};
        {error, _} = Error -> Error
    end.

%% @doc Which option to compile with the limits of `wasmbeam:start/2' ask for.
-spec given_stack(map()) -> #{stack => pos_integer()}.
given_stack(#{limits := #{stack := Stack}}) -> #{stack => whole(Stack)};
given_stack(_) -> #{}.

%% @doc Options with the size that a stack has in fact. There are few: the next power of two.
-spec round_stack(map()) -> map().
round_stack(#{stack := Stack} = Options) -> Options#{stack := whole(Stack)};
round_stack(Options) -> Options.

whole(Stack) -> whole(Stack, ?MIN_STACK).

whole(Stack, Size) when Size >= Stack -> Size;
whole(Stack, Size) -> whole(Stack, 2 * Size).

standard() ->
    #{memory => 4 bsl 30, memories => 1000, tables => 1000, table_elements => 10000000,
      instances => 10000, stack => 524288}.

with(undefined) -> standard();
with(Defaults) -> maps:merge(standard(), Defaults).

of_map(undefined) -> #{};
of_map(Bounds) -> Bounds.

bound(Limits, Bounds) ->
    maps:map(fun
        %% What is neither is for the native library to refuse. `infinity' is more than any number.
        (Name, Limit) when is_map_key(Name, Bounds), is_integer(Limit) orelse Limit =:= infinity ->
            min(Limit, map_get(Name, Bounds));
        (_Name, Limit) ->
            Limit
    end, Limits).

check(_Key, undefined) ->
    ok;
check(Key, Limits) when is_map(Limits) ->
    case maps:filter(fun(Name, Limit) -> not is_limit(Name, Limit) end, Limits) of
        Bad when Bad =:= #{} -> ok;
        Bad -> bad_environment(Key, "a map of limits that are whole numbers", Bad)
    end;
check(Key, Limits) ->
    bad_environment(Key, "a map of limits", Limits).

is_limit(stack, Limit) ->
    is_integer(Limit) andalso Limit >= ?MIN_STACK andalso Limit =< ?MAX_STACK;
is_limit(Name, Limit) ->
    is_integer(Limit) andalso Limit >= 0 andalso is_map_key(Name, standard()).

%% @doc Has the limits of the node be those of `node_limits' in the environment, if they are there.
-spec apply_node() -> ok | {error, wasmbeam:error_reason()}.
apply_node() ->
    case environment(node_limits) of
        undefined -> ok;
        Limits -> apply_node(Limits)
    end.

apply_node(Limits) ->
    case is_map(Limits) andalso maps:filter(fun(Name, Limit) ->
             not is_node_limit(Name, Limit)
         end, Limits) of
        Bad when Bad =:= #{} -> wasmbeam_error:normalize(wasmbeam_nif:node_limits(Limits));
        _ -> bad_environment(node_limits, "a map of memory, table_elements, instances", Limits)
    end.

is_node_limit(Name, infinity) ->
    lists:member(Name, ?NODE_LIMITS);
is_node_limit(Name, Limit) ->
    lists:member(Name, ?NODE_LIMITS) andalso is_integer(Limit) andalso Limit >= 0
        andalso Limit < 1 bsl 64.

%% @doc Changes limits of the node, in the environment too.
-spec set_node(node_limits()) -> ok | {error, wasmbeam:error_reason()}.
set_node(Changed) when is_map(Changed) ->
    case [Limit || {Name, _} = Limit <- maps:to_list(Changed),
                   not is_node_limit(Name, map_get(Name, Changed))] of
        [] ->
            Limits = case of_map(environment(node_limits)) of
                Known when is_map(Known) -> maps:merge(Known, Changed);
                Bad -> Bad
            end,
            case apply_node(Limits) of
                ok -> application:set_env(wasmbeam, node_limits, Limits, [{persistent, true}]);
                {error, _} = Error -> Error
            end;
        [Bad | _] ->
            wasmbeam_error:bad_argument(
              "memory, table_elements or instances, with a whole number or infinity", Bad)
    end;
set_node(Limits) ->
    wasmbeam_error:bad_argument("a map of limits", Limits).

%% @doc How long a call may take for which no timeout is given.
-spec timeout() -> {ok, timeout()} | {error, wasmbeam:error_reason()}.
timeout() ->
    case environment(timeout) of
        undefined -> {ok, infinity};
        infinity -> {ok, infinity};
        Timeout when is_integer(Timeout), Timeout >= 0, Timeout =< ?MAX_TIMEOUT -> {ok, Timeout};
        Other -> bad_environment(timeout, "infinity, or an integer from 0 to 2^32 - 1", Other)
    end.

%% @doc The quotas of a guest's files for which none are given; none in the environment is `#{}'.
-spec quotas() -> term().
quotas() ->
    of_map(environment(wasi_quotas)).

%% @doc How many bytes of an output are captured where no limit is given.
-spec output() -> {default | given, term()}.
output() ->
    case environment(output_limit) of
        undefined -> {default, ?OUTPUT_LIMIT};
        Limit -> {given, Limit}
    end.

%% @doc Tries it again, once, if a limit of the node was in the way: the memory of instances that are
%% stopped counts until it has been given back, which is a moment later.
-spec retry(fun(() -> Answer)) -> Answer.
retry(Try) ->
    case Try() of
        {error, {limit, #{scope := node}}} ->
            ok = wasmbeam_nif:await_freed(),
            Try();
        Answer ->
            Answer
    end.

environment(Key) ->
    application:get_env(wasmbeam, Key, undefined).

bad_environment(Key, Expected, Value) ->
    Message = io_lib:format("~s in the environment of wasmbeam: expected ~s", [Key, Expected]),
    {error, wasmbeam_error:reason(bad_argument, Message,
                                  #{key => Key, expected => list_to_binary(Expected),
                                    value => Value})}.
