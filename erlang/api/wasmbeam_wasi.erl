%% @doc What WASI needs from outside of the guest.
-module(wasmbeam_wasi).

-export([answer/2]).

-export_type([question/0, reply/0]).

-type question() ::
    {wait, Ns :: non_neg_integer() | infinity, Stdin :: boolean()}
    | {stdin, MaxLen :: non_neg_integer(), Nonblocking :: boolean()}
    | {output, stdout | stderr, binary()}
    | {clock, realtime | monotonic | process_cputime_id | thread_cputime_id}
    | {random, Len :: non_neg_integer()}.
%% What a guest waits for.
-type reply() ::
    elapsed | {stdin, binary()} | {written, non_neg_integer()} | {time, non_neg_integer()}
    | {random, binary()} | {errno, again | io}.

-define(NS_PER_MS, 1000000).
%% The longest time that `receive' can wait.
-define(MAX_MS, 16#ffffffff).

%% @doc Does what the guest waits for. `Wait' waits for so many milliseconds, or less if the call is
%% to end.
-spec answer(question(), fun((timeout()) -> ok)) -> elapsed.
answer({wait, infinity, _Stdin}, Wait) ->
    ok = Wait(infinity),
    elapsed;
answer({wait, Ns, _Stdin}, Wait) ->
    ok = Wait(min(?MAX_MS, (Ns + ?NS_PER_MS - 1) div ?NS_PER_MS)),
    elapsed.
