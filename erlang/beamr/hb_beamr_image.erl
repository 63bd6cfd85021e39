%% @doc Images of the first memory, which HyperBEAM's `hb_beamr:serialize/1' makes.
-module(hb_beamr_image).

-export([is_image/1, load/2]).

-define(PAGE, 65536).

%% @doc Whether that is meant to be an image of a memory, and no snapshot of wasmbeam's.
%%
%% What begins like a snapshot is none. Half of the beginning will do: a snapshot with a damage there
%% must not become what the guest has in its memory.
-spec is_image(term()) -> boolean().
is_image(<<16#89, "WBS", _/binary>>) -> false;
is_image(<<_:4/binary, "\r\n", 16#1a, "\n", _/binary>>) -> false;
is_image(Bytes) -> is_binary(Bytes).

%% @doc Makes the first memory equal to an image.
-spec load(wasmbeam:instance(), binary()) -> ok | {error, wasmbeam:error_reason()}.
load(Instance, <<>>) ->
    case wasmbeam:memory_size(Instance) of
        {ok, Size} when Size > 0 -> refuse(<<>>);
        {ok, 0} -> wasmbeam:memory_replace(Instance, <<>>);
        {error, {unknown_export, _}} -> ok;
        {error, _} = Error -> Error
    end;
load(Instance, Image) when byte_size(Image) rem ?PAGE =:= 0 ->
    wasmbeam:memory_replace(Instance, Image);
load(_Instance, Image) ->
    refuse(Image).

refuse(Image) ->
    {error, wasmbeam_error:reason(
        bad_snapshot, "neither a snapshot nor the image of a memory, which has whole pages",
        #{size => byte_size(Image)})}.
