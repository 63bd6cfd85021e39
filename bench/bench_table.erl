%% @doc The table.
-module(bench_table).

-export([print/4, text/2]).

-export_type([single/0]).

-type single() :: {Name :: string(), Measured :: iodata()}.
%% What is measured once and has no counterpart.

%% @doc The first row is the one that all others are compared with, the empty native function.
-spec print(pos_integer(), [{pos_integer(), bench:row()}], map(), [single()]) -> ok.
print(Rounds, [{First, _} | _] = Rows, Samples, Single) ->
    Empty = {_, _} = summary(maps:get({ours, First}, Samples)),
    io:format("wasmbeam on OTP ~s, ~b schedulers; ~b rounds~n~n",
              [erlang:system_info(otp_release), erlang:system_info(schedulers_online), Rounds]),
    line("", ["wasmbeam", "", "wasmtime", "", "wasmbeam adds", ""], ""),
    line("", ["median", "least", "median", "least", "median", "least"], "aim"),
    lists:foreach(fun({Place, Row}) -> row(Place, Row, Samples, Empty) end, Rows),
    io:nl(),
    lists:foreach(fun({Name, Text}) -> io:format("~s~s~n", [pad(Name), Text]) end, Single).

row(_Place, #{name := Name, skip := Why}, _Samples, _Empty) ->
    io:format("~sskipped: ~s~n", [pad(Name), Why]);
row(Place, #{name := Name} = Row, Samples, Empty) ->
    Ours = summary(maps:get({ours, Place}, Samples, [])),
    Native = summary(maps:get({native, Place}, Samples, [])),
    line(Name, times(Ours) ++ times(Native) ++ added(Row, Ours, Empty, Native),
         maps:get(aim, Row, "")).

summary([]) -> none;
summary(Numbers) -> {median(Numbers), lists:min(Numbers)}.

times(none) -> ["", ""];
times({Median, Least}) -> [time(Median), time(Least)].

%% To an empty native function and to wasmtime alone.
added(#{relative := true}, {Median, Least}, _Empty, {NativeMedian, NativeLeast}) ->
    [percent(Median / NativeMedian - 1), percent(Least / NativeLeast - 1)];
added(_Row, {Median, Least}, {EmptyMedian, EmptyLeast}, {NativeMedian, NativeLeast}) ->
    [time(Median - EmptyMedian - NativeMedian), time(Least - EmptyLeast - NativeLeast)];
added(_Row, _Ours, _Empty, _Native) ->
    ["", ""].

line(Name, Cells, Aim) ->
    io:format("~s~s  ~s~n", [pad(Name), [string:pad(Cell, 11, leading) || Cell <- Cells], Aim]).

pad(Name) -> string:pad(Name, 44).

percent(Part) -> text("~.1f %", [100 * Part]).

time(Ns) when abs(Ns) < 1000 -> text("~.1f ns", [float(Ns)]);
time(Ns) when abs(Ns) < 1000000 -> text("~.2f us", [Ns / 1000]);
time(Ns) -> text("~.2f ms", [Ns / 1000000]).

median(Numbers) ->
    lists:nth((length(Numbers) + 1) div 2, lists:sort(Numbers)).

%% @doc What a format makes of some terms.
-spec text(string(), [term()]) -> string().
text(Format, Args) ->
    lists:flatten(io_lib:format(Format, Args)).
