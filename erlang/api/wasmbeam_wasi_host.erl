%% @doc What a guest may have of the real machine, as far as it is asked for by name.
-module(wasmbeam_wasi_host).

-export([environment/0, folders/1, input/0, output/1, path/1]).

-export_type([access/0, folders/0]).

-type access() :: ro | rw.
-type folders() ::
    [{Name :: binary() | string(), Path :: file:name_all(), access()}]
    | #{Name :: binary() | string() => {dir, Path :: file:name_all(), access()}}.
%% Folders of the machine, and the names that the guest knows them by.

%% @doc Folders with their whole paths.
-spec folders(term()) -> {ok, [{binary(), binary(), access()}]} | {bad, string()}.
folders(Folders) when is_map(Folders) ->
    folders([case Folder of
                 {dir, Path, Access} -> {Name, Path, Access};
                 _ -> Folder
             end || {Name, Folder} <- maps:to_list(Folders)]);
folders(Folders) ->
    case all(Folders, []) of
        error ->
            {bad, "a list of {Name, Path, ro | rw}, or a map of names and {dir, Path, ro | rw}"};
        Read ->
            {ok, Read}
    end.

all([], Read) ->
    lists:reverse(Read);
all([Folder | Rest], Read) ->
    case folder(Folder) of
        {ok, Whole} -> all(Rest, [Whole | Read]);
        error -> error
    end;
all(_, _) ->
    error.

folder({Name, Path, Access}) when is_list(Name) ->
    case wasmbeam_name:binary(Name) of
        Binary when is_binary(Binary) -> folder({Binary, Path, Access});
        _ -> error
    end;
folder({Name, Path, Access}) when is_binary(Name), Access =:= ro orelse Access =:= rw ->
    case path(Path) of
        {ok, Bytes} -> {ok, {Name, Bytes, Access}};
        error -> error
    end;
folder(_) ->
    error.

%% @doc The whole path of a file, as the file server resolves it and as the machine has it.
-spec path(term()) -> {ok, binary()} | error.
path(Path) when is_binary(Path); is_list(Path) ->
    try filename:absname(Path) of
        Name when is_binary(Name) -> {ok, Name};
        Name -> encoded(unicode:characters_to_binary(Name, unicode, file:native_name_encoding()))
    catch
        error:_ -> error
    end;
path(_) ->
    error.

encoded(Bytes) when is_binary(Bytes) -> {ok, Bytes};
encoded(_) -> error.

%% @doc The environment of the machine's process.
-spec environment() -> [{binary(), binary()}].
environment() ->
    [{unicode:characters_to_binary(Name), unicode:characters_to_binary(Value)}
     || {Name, Value} <- lists:sort(os:env()), Name =/= "", not lists:member($=, Name)].

%% @doc A source that reads lines from where the machine's process reads them.
-spec input() -> fun((pos_integer()) -> {ok, binary()} | eof).
input() ->
    fun(_Max) ->
        case io:get_line(user, "") of
            Line when is_list(Line); is_binary(Line) -> {ok, unicode:characters_to_binary(Line)};
            eof -> eof;
            {error, _} -> eof
        end
    end.

%% @doc A sink that writes where the machine's process writes.
-spec output(stdout | stderr) -> fun((binary()) -> ok | {error, term()}).
output(stdout) -> fun(Bytes) -> file:write(user, Bytes) end;
output(stderr) -> fun(Bytes) -> file:write(standard_error, Bytes) end.
