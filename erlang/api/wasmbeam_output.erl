%% @doc Output of guests for `logger', line by line.
-module(wasmbeam_output).

-export([sink/3, write/2, flush/1, is_level/1]).

-export_type([sink/0]).

-type sink() :: {lines, reference(), {stdout | stderr, logger:level(), map()}}.
%% What the guest has written of a line is kept in the native library, until the instance is gone.

%% @doc Where a stream's lines are logged with a level and metadata.
-spec sink(stdout | stderr, logger:level(), map()) ->
    {ok, sink()} | {error, wasmbeam:error_reason()}.
sink(Stream, Level, Metadata) ->
    About = {Stream, Level, Metadata},
    case wasmbeam_error:normalize(wasmbeam_nif:lines_new(About)) of
        {ok, Lines} -> {ok, {lines, Lines, About}};
        {error, _} = Error -> Error
    end.

%% @doc Adds bytes, and logs the lines that they complete.
-spec write(sink(), binary()) -> ok.
write({lines, Lines, About}, Bytes) ->
    {ok, {Complete, Taken}} = wasmbeam_nif:lines_add(Lines, Bytes),
    lists:foreach(fun(Line) -> log(About, Line) end, Complete),
    case Bytes of
        <<_:Taken/binary>> -> ok;
        <<_:Taken/binary, Rest/binary>> -> write({lines, Lines, About}, Rest)
    end.

%% @doc Logs what has no end yet.
-spec flush(sink()) -> ok.
flush({lines, Lines, About}) ->
    case wasmbeam_nif:lines_take(Lines) of
        {ok, <<>>} -> ok;
        {ok, Rest} -> log(About, Rest)
    end.

log({Stream, Level, Metadata}, Line) ->
    wasmbeam_log:output(Level, Stream, Line, Metadata).

%% @doc Whether it is a level of `logger'.
-spec is_level(term()) -> boolean().
is_level(Level) ->
    lists:member(Level, [emergency, alert, critical, error, warning, notice, info, debug]).
