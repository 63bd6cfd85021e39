%% @doc The interface of HyperBEAM's `hb_beamr_io': the first memory of an instance, given by its
%% handle.
%%
%% Errors are those of {@link wasmbeam}: `out_of_bounds' for what is not inside the memory,
%% `stopped' for a handle that has ended, `bad_argument' for what makes no sense.
-module(hb_beamr_io).

-export([size/1, read/3, write/3, read_string/2, write_string/2, malloc/2, free/2]).

-type offset() :: integer().
%% Results of functions are signed, so an address from 2 GiB on in a 32-bit memory is a negative
%% `i32'; it can be used as it is.

%% @doc The size of the memory in bytes; 0 if there is none.
-spec size(hb_beamr:handle()) -> {ok, non_neg_integer()} | {error, wasmbeam:error_reason()}.
size(Handle) ->
    hb_beamr_registry:with(Handle, fun(Instance) ->
        case wasmbeam:memory_size(Instance) of
            {error, {unknown_export, _}} -> {ok, 0};
            Answer -> Answer
        end
    end).

%% @doc Reads `Size' bytes.
-spec read(hb_beamr:handle(), offset(), non_neg_integer()) ->
    {ok, binary()} | {error, wasmbeam:error_reason()}.
read(Handle, Offset, Size) ->
    hb_beamr_registry:with(Handle, fun(Instance) ->
        wasmbeam:memory_read(Instance, address(Instance, Offset), Size)
    end).

%% @doc Writes bytes: all of them, or none if they do not fit.
-spec write(hb_beamr:handle(), offset(), iodata()) -> ok | {error, wasmbeam:error_reason()}.
write(Handle, Offset, Bytes) ->
    hb_beamr_registry:with(Handle, fun(Instance) ->
        wasmbeam:memory_write(Instance, address(Instance, Offset), Bytes)
    end).

%% @doc Reads up to the next zero byte, which is not part of the result.
-spec read_string(hb_beamr:handle(), offset()) ->
    {ok, binary()} | {error, wasmbeam:error_reason()}.
read_string(Handle, Offset) ->
    hb_beamr_registry:with(Handle, fun(Instance) ->
        wasmbeam:memory_read_string(Instance, address(Instance, Offset))
    end).

%% @doc Writes a string and a zero byte behind it to a place that it allocates, and gives the
%% address.
-spec write_string(hb_beamr:handle(), iodata()) ->
    {ok, non_neg_integer()} | {error, malloc_failed | wasmbeam:error_reason()}.
write_string(Handle, Text) ->
    try iolist_to_binary([Text, 0]) of
        String -> allocate_and_write(Handle, String)
    catch
        error:badarg -> bad_argument(<<"a string, as iodata">>, Text)
    end.

allocate_and_write(Handle, String) ->
    case malloc(Handle, byte_size(String)) of
        {ok, Address} ->
            case write(Handle, Address, String) of
                ok -> {ok, Address};
                {error, _} = Error -> Error
            end;
        {error, _} = Error ->
            Error
    end.

%% @doc Allocates memory by the function `malloc' that the module exports. `malloc_failed' if that
%% has none to give.
-spec malloc(hb_beamr:handle(), non_neg_integer()) ->
    {ok, non_neg_integer()} | {error, malloc_failed | wasmbeam:error_reason()}.
malloc(Handle, Size) when is_integer(Size), Size >= 0 ->
    case hb_beamr:call(Handle, <<"malloc">>, [Size]) of
        {ok, [0]} -> {error, malloc_failed};
        {ok, [Address]} when is_integer(Address), Address < 0 -> {ok, unsigned(Address)};
        {ok, [Address]} when is_integer(Address) -> {ok, Address};
        {ok, Results} -> bad_argument(<<"a malloc with an address for its result">>, Results);
        {error, _} = Error -> Error
    end;
malloc(_Handle, Size) ->
    bad_argument(<<"a number of bytes">>, Size).

%% @doc Frees what {@link malloc/2} gave, by the function `free' that the module exports.
-spec free(hb_beamr:handle(), offset()) -> ok | {error, wasmbeam:error_reason()}.
free(Handle, Address) ->
    case hb_beamr:call(Handle, <<"free">>, [Address]) of
        {ok, _} -> ok;
        {error, _} = Error -> Error
    end.

%% Only a memory of 4 GiB at most has addresses of 32 bits.
address(Instance, Offset) when is_integer(Offset), Offset < 0, Offset >= -(1 bsl 31) ->
    case wasmbeam:memory_size(Instance) of
        {ok, Size} when Size =< 1 bsl 32 -> unsigned(Offset);
        _ -> Offset
    end;
address(_Instance, Offset) ->
    Offset.

unsigned(Address) ->
    Address band 16#ffffffff.

bad_argument(Expected, Value) ->
    {error, wasmbeam_error:reason(bad_argument, ["expected ", Expected],
                                  #{expected => Expected, value => Value})}.
