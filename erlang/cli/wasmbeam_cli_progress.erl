%% @doc Says on standard error that something takes long.
-module(wasmbeam_cli_progress).

-export([while/2, while/3]).

%% Until the first word, and then the time doubles.
-define(PATIENCE_MS, 1000).

%% @equiv while(What, Fun, #{})
-spec while(unicode:chardata(), fun(() -> T)) -> T.
while(What, Fun) ->
    while(What, Fun, #{}).

%% @doc Runs `Fun', and says what it does if that takes more than a second, again after two, four,
%% and so on, and at its end. `device' is where to say it, `patience_ms' the time until the first
%% word.
-spec while(unicode:chardata(), fun(() -> T), #{device => io:device(), patience_ms => pos_integer()}) ->
    T.
while(What, Fun, Options) ->
    Device = maps:get(device, Options, standard_error),
    Patience = maps:get(patience_ms, Options, ?PATIENCE_MS),
    Began = erlang:monotonic_time(millisecond),
    Teller = spawn_link(fun() -> tell(What, Device, Patience, Began) end),
    try
        Fun()
    after
        Ended = monitor(process, Teller),
        Teller ! stop,
        receive {'DOWN', Ended, process, Teller, _} -> ok end
    end.

tell(What, Device, Patience, Began) ->
    receive
        stop -> ok
    after Patience ->
        say(Device, What, Began, "..."),
        told(What, Device, Patience, Began)
    end.

told(What, Device, Wait, Began) ->
    receive
        stop -> say(Device, What, Began, ", done")
    after Wait ->
        say(Device, What, Began, "..."),
        told(What, Device, 2 * Wait, Began)
    end.

say(Device, What, Began, End) ->
    Seconds = (erlang:monotonic_time(millisecond) - Began) / 1000,
    io:format(Device, "wasmbeam: ~ts: ~.1f s~ts~n", [What, Seconds, End]).
