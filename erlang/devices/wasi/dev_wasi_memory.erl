%% @doc What functions of WASI read from a guest's memory, and write to it.
%%
%% Reading or writing outside of the memory ends the function with `fault'.
-module(dev_wasi_memory).

-export([read/3, write/3, write_size/3, write_u64/3, buffers/3, fill/3]).

%% A call with more buffers, or for more bytes, does a part of it, as the standard allows.
-define(MAX_BUFFERS, 1024).
-define(MAX_BYTES, 16777216).

-type address() :: non_neg_integer().
-type buffer() :: {address(), Size :: non_neg_integer()}.

%% @doc Bytes of the guest.
-spec read(address(), non_neg_integer(), dev_wasi_state:t()) -> binary().
read(_Address, 0, _State) ->
    <<>>;
read(Address, Size, #{instance := Instance}) ->
    case hb_beamr_io:read(Instance, Address, Size) of
        {ok, Bytes} -> Bytes;
        {error, _} -> dev_wasi_state:fail(fault)
    end.

%% @doc Gives bytes to the guest.
-spec write(address(), binary(), dev_wasi_state:t()) -> ok.
write(_Address, <<>>, _State) ->
    ok;
write(Address, Bytes, #{instance := Instance}) ->
    case hb_beamr_io:write(Instance, Address, Bytes) of
        ok -> ok;
        {error, _} -> dev_wasi_state:fail(fault)
    end.

%% @doc Writes a size, as wide as a pointer.
-spec write_size(address(), non_neg_integer(), dev_wasi_state:t()) -> ok.
write_size(Address, Size, #{width := Width} = State) ->
    write(Address, <<Size:Width/little-unit:8>>, State).

%% @doc Writes a number of 64 bits.
-spec write_u64(address(), non_neg_integer(), dev_wasi_state:t()) -> ok.
write_u64(Address, Number, State) ->
    write(Address, <<Number:64/little>>, State).

%% @doc The buffers that an array of (address, size) describes.
-spec buffers(address(), non_neg_integer(), dev_wasi_state:t()) -> [buffer()].
buffers(_Address, Count, _State) when Count > ?MAX_BUFFERS ->
    dev_wasi_state:fail(inval);
buffers(Address, Count, #{width := Width} = State) ->
    Array = read(Address, Count * 2 * Width, State),
    limited([{Buffer, Size} || <<Buffer:Width/little-unit:8, Size:Width/little-unit:8>> <= Array],
            ?MAX_BYTES).

limited([{Buffer, Size} | Buffers], Left) when Size =< Left ->
    [{Buffer, Size} | limited(Buffers, Left - Size)];
limited([{Buffer, _Size} | _], Left) ->
    [{Buffer, Left}];
limited([], _Left) ->
    [].

%% @doc Writes bytes to buffers, as far as there are any.
-spec fill([buffer()], binary(), dev_wasi_state:t()) -> ok.
fill([{Address, Size} | Buffers], Bytes, State) when byte_size(Bytes) > Size ->
    <<Part:Size/binary, Rest/binary>> = Bytes,
    ok = write(Address, Part, State),
    fill(Buffers, Rest, State);
fill([{Address, _Size} | _], Bytes, State) ->
    write(Address, Bytes, State);
fill([], _Bytes, _State) ->
    ok.
