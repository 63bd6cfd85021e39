%% @doc Names of modules and exports: binaries, for which strings and atoms may stand.
-module(wasmbeam_name).

-export([binary/1, keys/1]).

%% @doc The binary that a string or an atom stands for; anything else is left as it is, and so is
%% `null', which is a reference.
-spec binary(term()) -> term().
binary(Name) when is_binary(Name) ->
    Name;
binary(Name) when is_atom(Name), Name =/= null ->
    atom_to_binary(Name, utf8);
binary([_ | _] = Name) ->
    try unicode:characters_to_binary(Name) of
        Binary when is_binary(Binary) -> Binary;
        _ -> Name
    catch
        error:badarg -> Name
    end;
binary(Name) ->
    Name.

%% @doc The map with binaries for its keys: itself, if they are.
-spec keys(#{term() => Value}) -> #{term() => Value}.
keys(Map) ->
    case lists:all(fun is_binary/1, maps:keys(Map)) of
        true -> Map;
        false -> maps:fold(fun(Name, Value, Named) -> Named#{binary(Name) => Value} end, #{}, Map)
    end.
