%% @doc The table.
-module(bench_table).

-export([print/4]).

-export_type([single/0]).

-type single() :: {Name :: string(), Measured :: iodata()}.
%% What is measured once and has no counterpart.

%% @doc The first row is the one that all others are compared with, the empty native function.
-spec print(pos_integer(), [{pos_integer(), bench:row()}], map(), [single()]) -> ok.
print(Rounds, [{First, _} | _] = Rows, Samples, Single) ->
    Empty = median(maps:get({ours, First}, Samples)),
    io:format("wasmbeam on OTP ~s, ~b schedulers; medians of ~b rounds~n~n",
              [erlang:system_info(otp_release), erlang:system_info(schedulers_online), Rounds]),
    line(["", "wasmbeam", "least", "empty NIF", "wasmtime", "wasmbeam adds", "aim"]),
    lists:foreach(fun(Row) -> line(cells(Row, Samples, Empty)) end, Rows),
    io:nl(),
    lists:foreach(fun({Name, Text}) -> io:format("~s~s~n", [pad(Name, 42), Text]) end, Single).

cells({_Place, #{name := Name, skip := Why}}, _Samples, _Empty) ->
    [Name, "skipped: " ++ Why];
cells({Place, #{name := Name} = Row}, Samples, Empty) ->
    Aim = maps:get(aim, Row, ""),
    case Samples of
        #{{ours, Place} := Ours, {native, Place} := Native} ->
            [Name, time(median(Ours)), time(lists:min(Ours)), time(Empty), time(median(Native)),
             added(Row, median(Ours), Empty, median(Native)), Aim];
        #{{ours, Place} := Ours} ->
            [Name, time(median(Ours)), time(lists:min(Ours)), "", "", "", Aim];
        #{{native, Place} := Native} ->
            [Name, "", "", "", time(median(Native)), "", Aim]
    end.

added(#{relative := true}, Ours, _Empty, Native) ->
    text("~.1f %", [100 * (Ours / Native - 1)]);
added(_Row, Ours, Empty, Native) ->
    time(Ours - Empty - Native).

line([Name, Skipped]) ->
    io:format("~s~s~n", [pad(Name, 42), Skipped]);
line([Name | Cells]) ->
    {Numbers, [Aim]} = lists:split(5, Cells),
    io:format("~s~s  ~s~n", [pad(Name, 42), [lead(Cell, 14) || Cell <- Numbers], Aim]).

pad(Text, Width) -> string:pad(Text, Width).
lead(Text, Width) -> string:pad(Text, Width, leading).

time(Ns) when abs(Ns) < 1000 -> text("~.1f ns", [float(Ns)]);
time(Ns) when abs(Ns) < 1000000 -> text("~.2f us", [Ns / 1000]);
time(Ns) -> text("~.2f ms", [Ns / 1000000]).

median(Numbers) ->
    lists:nth((length(Numbers) + 1) div 2, lists:sort(Numbers)).

text(Format, Args) ->
    lists:flatten(io_lib:format(Format, Args)).
