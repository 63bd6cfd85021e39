%% @doc Reports to `logger', in the domain `[wasmbeam]'.
-module(wasmbeam_log).

-export([report/3, output/4, format/1]).

%% @doc Logs something that happened, as a report: `What' is its `event'.
-spec report(logger:level(), atom(), map()) -> ok.
report(Level, What, Details) ->
    logger:log(Level, Details#{event => What}, metadata(#{})).

%% @doc Logs a line of a guest's output.
-spec output(logger:level(), stdout | stderr, binary(), map()) -> ok.
output(Level, Stream, Line, Metadata) ->
    logger:log(Level, #{event => output, stream => Stream, line => Line}, metadata(Metadata)).

metadata(Given) ->
    maps:merge(#{domain => [wasmbeam], report_cb => fun ?MODULE:format/1}, Given).

%% @doc A report as text.
-spec format(logger:report()) -> {io:format(), [term()]}.
format(#{event := output, line := Line}) ->
    {"~ts", [printable(Line)]};
format(#{event := handler_detached, id := Id, event_name := Name, class := Class, reason := Reason,
         stacktrace := Stack}) ->
    {"wasmbeam: the handler ~0tp was detached; at ~0tp it failed: ~0tp:~0tP~n~0tP",
     [Id, Name, Class, Reason, 30, Stack, 30]};
format(#{event := owner_died, id := Id, owner := Owner, state := State}) ->
    {"wasmbeam: instance ~b ended with its owner ~0tp while it was ~s", [Id, Owner, State]};
format(#{event := cache_entry_rejected, file := File, reason := Reason}) ->
    {"wasmbeam: the entry ~ts of the cache folder was removed: ~ts", [printable(File), Reason]};
format(#{event := internal_error, message := Message}) ->
    {"wasmbeam: internal error: ~ts", [Message]};
format(Report) ->
    {"wasmbeam: ~0tP", [Report, 30]}.

%% What is no text is shown as bytes.
printable(Line) ->
    case unicode:characters_to_binary(Line) of
        Text when is_binary(Text) -> Text;
        _ -> io_lib:format("~0p", [Line])
    end.
