%% @doc The commands that `hb_beamr:wasm_send/2' takes.
-module(hb_beamr_command).

-export([run/2]).

%% @doc Runs a command and gives the message that answers it.
-spec run(hb_beamr:handle(), term()) ->
    {execution_result, term()} | ok | {error, wasmbeam:error_reason()}.
run(Handle, {command, Command}) when is_binary(Command) ->
    answer(command(Handle, decode(Command)));
run(_Handle, Message) ->
    not_understood(Message).

command(Handle, {size}) -> hb_beamr_io:size(Handle);
command(Handle, {read, Offset, Size}) -> hb_beamr_io:read(Handle, Offset, Size);
command(Handle, {write, Offset, Bytes}) -> hb_beamr_io:write(Handle, Offset, Bytes);
command(Handle, {call, Name, Args}) -> hb_beamr:call(Handle, Name, Args);
command(Handle, {indirect_call, Index, Args}) -> hb_beamr:call(Handle, Index, Args);
command(_Handle, Command) -> not_understood(Command).

answer({ok, Result}) -> {execution_result, Result};
answer(ok) -> ok;
answer({error, _} = Error) -> Error.

decode(Command) ->
    try
        binary_to_term(Command, [safe])
    catch
        error:badarg -> Command
    end.

not_understood(Message) ->
    Expected = <<"a command">>,
    {error, wasmbeam_error:reason(bad_argument, ["expected ", Expected],
                                  #{expected => Expected, value => Message})}.
