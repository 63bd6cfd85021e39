%% @doc The list of assertions that are known to fail.
-module(wasmbeam_spec_known).

-export([apply/2, for_file/2, read/1]).

-export_type([entry/0]).

-type entry() :: {File :: string(), Line :: pos_integer(), Reason :: binary()}.

%% @doc Reads the list.
-spec read(file:filename_all()) -> [entry()].
read(Path) ->
    {ok, Entries} = file:consult(Path),
    Entries.

%% @doc The known failures of one script, named as in the list.
-spec for_file(string(), [entry()]) -> #{pos_integer() => binary()}.
for_file(File, Entries) ->
    maps:from_list([{Line, Reason} || {F, Line, Reason} <- Entries, F =:= File]).

%% @doc Turns known failures into skipped results. A line of the list on which
%% everything passes, or on which nothing is, fails: the list must stay true.
-spec apply([wasmbeam_spec_script:result()], #{pos_integer() => binary()}) ->
    [wasmbeam_spec_script:result()].
apply(Results, Known) ->
    Failing = [Line || {Line, _, {failed, _}} <- Results],
    Untrue = lists:sort(maps:to_list(maps:without(Failing, Known))),
    [known(Result, Known) || Result <- Results] ++
        [{Line, known_failure, {failed, {does_not_fail, Reason}}} || {Line, Reason} <- Untrue].

known({Line, Kind, {failed, _}} = Result, Known) ->
    case Known of
        #{Line := Reason} -> {Line, Kind, {skipped, {known_failure, Reason}}};
        #{} -> Result
    end;
known(Result, _Known) ->
    Result.
