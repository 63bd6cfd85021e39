%% @doc The functions of WASI that have nothing to do with files.
-module(dev_wasi_system).

-export([call/3]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).
-define(MAX_RANDOM_BYTES, 16777216).
-define(MAX_SUBSCRIPTIONS, 4096).
-define(ABSOLUTE, 1).

%% @doc Runs the function.
-spec call(binary(), [non_neg_integer()], dev_wasi_state:t()) -> dev_wasi_state:result().
call(<<"args_sizes_get">>, [Count, Size], State) -> sizes(arguments(State), Count, Size, State);
call(<<"args_get">>, [Pointers, Buffer], State) ->
    strings(arguments(State), Pointers, Buffer, State);
call(<<"environ_sizes_get">>, [Count, Size], State) -> sizes(environment(State), Count, Size, State);
call(<<"environ_get">>, [Pointers, Buffer], State) ->
    strings(environment(State), Pointers, Buffer, State);
call(<<"clock_res_get">>, [Clock, Result], State) when Clock < 4 ->
    dev_wasi_memory:write_u64(Result, 1, State);
call(<<"clock_time_get">>, [Clock, _Precision, Result], State) when Clock < 4 ->
    dev_wasi_memory:write_u64(Result, time(Clock, State), State);
call(<<"random_get">>, [Address, Size], State) when Size =< ?MAX_RANDOM_BYTES ->
    dev_wasi_memory:write(Address, crypto:strong_rand_bytes(Size), State);
call(<<"proc_exit">>, [Status], _State) -> {exit, Status};
call(<<"proc_raise">>, [_Signal], _State) -> dev_wasi_state:fail(notsup);
call(<<"sched_yield">>, [], _State) ->
    true = erlang:yield(),
    ok;
call(<<"poll_oneoff">>, [In, Out, Count, Events], State)
  when Count > 0, Count =< ?MAX_SUBSCRIPTIONS ->
    Subscriptions = [subscription(Bytes)
                     || <<Bytes:48/binary>> <= dev_wasi_memory:read(In, Count * 48, State)],
    Occurred = poll(Subscriptions, State),
    ok = dev_wasi_memory:write(Out, iolist_to_binary(Occurred), State),
    dev_wasi_memory:write_size(Events, length(Occurred), State);
call(<<"sock_", _/binary>>, [Fd | _], State) ->
    _ = dev_wasi_descriptors:get(Fd, State),
    dev_wasi_state:fail(notsock);
call(_Name, _Args, _State) ->
    dev_wasi_state:fail(inval).

arguments(#{message := Message, opts := Opts}) ->
    case wasmbeam_host:load(wasmbeam_host:get(<<"arguments">>, ?PLAIN(Message), Opts), Opts) of
        Arguments when is_list(Arguments) -> [text(Argument) || Argument <- Arguments];
        _ -> []
    end.

environment(#{message := Message, opts := Opts}) ->
    case wasmbeam_host:load(wasmbeam_host:get(<<"environment">>, ?PLAIN(Message), Opts), Opts) of
        Variables when is_map(Variables) ->
            [<<(text(Name))/binary, "=", (text(Value))/binary>>
             || {Name, Value} <- lists:sort(maps:to_list(Variables)), Name =/= <<"device">>];
        _ -> []
    end.

text(Value) when is_binary(Value) -> Value;
text(Value) -> unicode:characters_to_binary(io_lib:format("~0tp", [Value])).

sizes(Strings, Count, Size, State) ->
    ok = dev_wasi_memory:write_size(Count, length(Strings), State),
    dev_wasi_memory:write_size(Size, lists:sum([byte_size(Text) + 1 || Text <- Strings]), State).

strings(Strings, Pointers, Buffer, #{width := Width} = State) ->
    {Addresses, _} = lists:mapfoldl(fun(Text, Address) ->
        {<<Address:Width/little-unit:8>>, Address + byte_size(Text) + 1}
    end, Buffer, Strings),
    ok = dev_wasi_memory:write(Pointers, iolist_to_binary(Addresses), State),
    dev_wasi_memory:write(Buffer, iolist_to_binary([[Text, 0] || Text <- Strings]), State).

%% Clock 0 tells the date; the others count from some moment.
time(Clock, State) ->
    case {fixed_time(State), Clock} of
        {{ok, Nanoseconds}, _} -> Nanoseconds;
        {error, 0} -> erlang:system_time(nanosecond);
        {error, _} -> erlang:convert_time_unit(
                          erlang:monotonic_time() - erlang:system_info(start_time),
                          native, nanosecond)
    end.

fixed_time(#{message := Message, opts := Opts}) ->
    case wasmbeam_host:get(<<"timestamp">>, ?PLAIN(Message), Opts) of
        Milliseconds when is_integer(Milliseconds), Milliseconds >= 0 ->
            {ok, Milliseconds * 1000000};
        _ -> error
    end.

subscription(<<Data:8/binary, 0, _:56, Clock:32/little, _:32, Timeout:64/little, _:64,
               Flags:16/little, _:48>>) ->
    {clock, Data, Clock, Timeout, Flags};
subscription(<<Data:8/binary, Type, _:56, Fd:32/little, _/binary>>) ->
    {fd, Data, Type, Fd}.

%% Files are always ready; where none is waited for, the earliest clock is.
poll(Subscriptions, State) ->
    case [ready(Data, Type, Fd, State) || {fd, Data, Type, Fd} <- Subscriptions] of
        [] ->
            Waits = [{wait(Clock, Timeout, Flags, State), Data}
                     || {clock, Data, Clock, Timeout, Flags} <- Subscriptions],
            {Shortest, _} = lists:min(Waits),
            ok = sleep(Shortest, State),
            [event(Data, success, 0, 0) || {Wait, Data} <- Waits, Wait =< Shortest];
        Events ->
            Events
    end.

wait(Clock, _Timeout, _Flags, _State) when Clock > 3 -> dev_wasi_state:fail(inval);
wait(Clock, Timeout, ?ABSOLUTE, State) -> max(0, Timeout - time(Clock, State));
wait(_Clock, Timeout, _Flags, _State) -> Timeout.

%% Where time stands still, nobody waits for it.
sleep(Nanoseconds, State) ->
    case fixed_time(State) of
        error -> timer:sleep(min((Nanoseconds + 999999) div 1000000, 16#ffffffff));
        {ok, _} -> ok
    end.

ready(Data, Type, Fd, State) ->
    try dev_wasi_descriptors:node(dev_wasi_descriptors:get(Fd, State), State) of
        File when is_binary(File) -> event(Data, success, Type, byte_size(File));
        _Directory -> event(Data, success, Type, 0)
    catch
        throw:{errno, _} -> event(Data, badf, Type, 0)
    end.

event(Data, Errno, Type, Bytes) ->
    <<Data/binary, (dev_wasi_abi:errno(Errno)):16/little, Type, 0:40, Bytes:64/little, 0:64>>.
