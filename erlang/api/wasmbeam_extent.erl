%% @doc Places and sizes that no machine has. The native library knows numbers of 64 bits, and takes
%% what is beyond for the greatest of them; what it answers is completed here.
-module(wasmbeam_extent).

-export([within/4, growth/2]).

-define(END, (1 bsl 64)).
%% Far more than there can be, and twice that is not yet the end.
-define(FAR, (1 bsl 63)).

%% @doc The answer to an access, with the numbers that were given where they are out of bounds.
-spec within(What :: string(), Offset :: term(), Size :: term(), Answer) -> Answer.
within(What, Offset, Size, {error, {out_of_bounds, #{size := Known, bound := Bound} = Info}})
        when Offset < 0; Offset >= ?END; Size >= ?END ->
    Given = max(Known, Size),
    Message = io_lib:format("~ts + ~ts is out of bounds of a ~ts of ~b",
                            [wasmbeam_error:digits(Offset), wasmbeam_error:digits(Given), What, Bound]),
    {error, wasmbeam_error:reason(out_of_bounds, Message, Info#{offset := Offset, size := Given})};
within(_What, _Offset, _Size, Answer) ->
    Answer.

%% @doc The answer to growing by so much, with the size that was asked for where it is too large.
-spec growth(By :: term(), fun((term()) -> Answer)) -> Answer.
growth(By, Grow) when is_integer(By), By > ?FAR ->
    case Grow(?FAR) of
        {error, {limit, #{what := What, limit := Limit, requested := Known} = Info}}
                when not is_map_key(scope, Info) ->
            Requested = Known - ?FAR + By,
            Message = io_lib:format("limit of ~b ~ts exceeded (asked for ~ts)",
                                    [Limit, What, wasmbeam_error:digits(Requested)]),
            {error, wasmbeam_error:reason(limit, Message, Info#{requested := Requested})};
        Answer ->
            Answer
    end;
growth(By, Grow) ->
    Grow(By).
