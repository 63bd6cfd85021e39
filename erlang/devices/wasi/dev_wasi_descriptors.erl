%% @doc Open files: what the numbers that a guest uses stand for.
-module(dev_wasi_descriptors).

-export([get/2, put/3, close/2, open/2, path/1, node/2, is_stream/1, rename/3]).

-define(MAX_DESCRIPTORS, 1024).

-type fd() :: non_neg_integer().
-type entry() :: wasmbeam_host:message().

%% @doc What a descriptor stands for.
-spec get(fd(), dev_wasi_state:t()) -> entry().
get(Fd, #{descriptors := Descriptors}) ->
    case maps:find(integer_to_binary(Fd), Descriptors) of
        {ok, #{<<"filename">> := _} = Entry} -> Entry;
        _ -> dev_wasi_state:fail(badf)
    end.

%% @doc Changes it.
-spec put(fd(), entry(), dev_wasi_state:t()) -> dev_wasi_state:t().
put(Fd, Entry, #{descriptors := Descriptors} = State) ->
    State#{descriptors := Descriptors#{integer_to_binary(Fd) => Entry}}.

%% @doc Frees it.
-spec close(fd(), dev_wasi_state:t()) -> dev_wasi_state:t().
close(Fd, #{descriptors := Descriptors} = State) ->
    State#{descriptors := maps:remove(integer_to_binary(Fd), Descriptors)}.

%% @doc The lowest number that is free, for something that was opened.
-spec open(entry(), dev_wasi_state:t()) -> {fd(), dev_wasi_state:t()}.
open(_Entry, #{descriptors := Descriptors}) when map_size(Descriptors) >= ?MAX_DESCRIPTORS ->
    dev_wasi_state:fail(mfile);
open(Entry, #{descriptors := Descriptors} = State) ->
    Fd = lowest(3, Descriptors),
    {Fd, put(Fd, Entry, State)}.

lowest(Fd, Descriptors) ->
    case is_map_key(integer_to_binary(Fd), Descriptors) of
        true -> lowest(Fd + 1, Descriptors);
        false -> Fd
    end.

%% @doc The path of what is open.
-spec path(entry()) -> dev_wasi_files:path().
path(#{<<"filename">> := Name}) ->
    binary:split(Name, <<"/">>, [global, trim_all]).

%% @doc What is open. A file that was removed in the meantime is gone.
-spec node(entry(), dev_wasi_state:t()) -> dev_wasi_files:node_().
node(Entry, #{files := Files}) ->
    case dev_wasi_files:find(path(Entry), Files) of
        {ok, Node} -> Node;
        error -> dev_wasi_state:fail(badf)
    end.

%% @doc Whether that is a standard stream, which has no position that a guest can set.
-spec is_stream(entry()) -> boolean().
is_stream(#{<<"filename">> := Name}) ->
    lists:member(Name, [<<"/dev/stdin">>, <<"/dev/stdout">>, <<"/dev/stderr">>]).

%% @doc What is open under a path is open under another one from now on.
-spec rename(dev_wasi_files:path(), dev_wasi_files:path(), dev_wasi_state:t()) ->
    dev_wasi_state:t().
rename(From, To, #{descriptors := Descriptors} = State) ->
    State#{descriptors := maps:map(fun(_Fd, Entry) ->
        Path = path(Entry),
        case lists:prefix(From, Path) of
            true -> Entry#{<<"filename">> := dev_wasi_files:text(To ++ lists:nthtail(length(From), Path))};
            false -> Entry
        end
    end, Descriptors)}.
