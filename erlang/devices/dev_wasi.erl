%% @doc `WASI@1.0': the system interface of guests (WASI preview 1), on files that are in the message.
%%
%% `init' makes this device the library `wasi_snapshot_preview1' of the guests that run on the
%% message, and adds what they expect to find:
%% <ul>
%% <li>`vfs': the files. A message is a directory, a binary a file; `vfs/dev/stdout' holds what was
%%   written to the standard output.</li>
%% <li>`file-descriptors': by number, `filename' and `offset' of what is open, and `preopen' for the
%%   directories that a guest starts with.</li>
%% </ul>
%% What is there already stays. `arguments' (a list) and `environment' (a message) are what the guest
%% finds of these; with `timestamp' (milliseconds) all clocks stand at that time.
%%
%% Every function of preview 1 is a key. Its message has the whole message in `state'; the request
%% has `args'; the answer has `state' and `results'. A host may put another device in the place of
%% this one, for all functions. Where none does, the guest's calls are served without any message, by
%% {@link dev_wasi_native}; files and results come out the same.
-module(dev_wasi).

-export([info/1, init/3, compute/1, stdout/1]).
-export([fd_write/3, fd_read/3, path_open/3, clock_time_get/3]).
-export([function/4]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).
-define(LIBRARY, <<"wasi_snapshot_preview1">>).

-type message() :: wasmbeam_host:message().
-type opts() :: wasmbeam_host:opts().

%% @doc All other functions are keys without a function of their own here. `stdout' is for people at a
%% shell, not a key of messages.
-spec info(message()) -> map().
info(_Message) ->
    #{exports => [init, compute, fd_write, fd_read, path_open, clock_time_get],
      default => fun ?MODULE:function/4}.

%% @doc Prepares a message for guests that use WASI.
-spec init(message(), message(), opts()) -> {ok, message()}.
init(Message, Request, Opts) ->
    Prefix = dev_stack:prefix(Message, Request, Opts),
    Library = wasmbeam_host:set(
        Message,
        #{<<Prefix/binary, "/stdlib/", ?LIBRARY/binary>> => #{<<"device">> => <<"WASI@1.0">>}},
        Opts),
    Files = given(<<"vfs">>, Message, dev_wasi_world:initial_files(), Opts),
    Descriptors = given(<<"file-descriptors">>, Message, dev_wasi_world:initial_descriptors(), Opts),
    {ok, wasmbeam_host:replace(Library, #{<<"vfs">> => Files,
                                          <<"file-descriptors">> => Descriptors}, Opts)}.

given(Key, Message, Initial, Opts) ->
    case wasmbeam_host:get(Key, ?PLAIN(Message), Opts) of
        Given when is_map(Given) -> merged(Initial, wasmbeam_host:load(Given, Opts));
        _ -> Initial
    end.

%% Names of files differ by case, unlike keys of messages.
merged(Initial, Given) ->
    maps:fold(fun(Name, Inner, Merged) ->
                  case Merged of
                      #{Name := Own} when is_map(Own), is_map(Inner) ->
                          Merged#{Name := merged(Own, Inner)};
                      #{} ->
                          Merged#{Name => Inner}
                  end
              end, Initial, Given).

%% @doc Nothing: the guest calls what it needs.
-spec compute(message()) -> {ok, message()}.
compute(Message) ->
    {ok, Message}.

%% @doc What was written to the standard output.
-spec stdout(message()) -> binary() | not_found.
stdout(Message) ->
    wasmbeam_host:get(<<"vfs/dev/stdout">>, ?PLAIN(Message), #{}).

%% @doc Writes all buffers to a file.
-spec fd_write(message(), message(), opts()) -> wasmbeam_host:outcome().
fd_write(Message, Request, Opts) ->
    run(<<"fd_write">>, Message, Request, Opts).

%% @doc Fills buffers from a file.
-spec fd_read(message(), message(), opts()) -> wasmbeam_host:outcome().
fd_read(Message, Request, Opts) ->
    run(<<"fd_read">>, Message, Request, Opts).

%% @doc Opens a file.
-spec path_open(message(), message(), opts()) -> wasmbeam_host:outcome().
path_open(Message, Request, Opts) ->
    run(<<"path_open">>, Message, Request, Opts).

%% @doc Tells the time.
-spec clock_time_get(message(), message(), opts()) -> wasmbeam_host:outcome().
clock_time_get(Message, Request, Opts) ->
    run(<<"clock_time_get">>, Message, Request, Opts).

%% @doc A function of preview 1, or else what the message has under that key.
-spec function(binary() | atom(), message(), message(), opts()) -> wasmbeam_host:outcome().
function(Key, Message, Request, Opts) ->
    Name = wasmbeam_path:key(Key),
    case wasmbeam_world:has_function(Name) of
        true -> run(Name, Message, Request, Opts);
        false -> wasmbeam_host:resolve(?PLAIN(Message), Request, Opts)
    end.

run(Name, Library, Request, Opts) ->
    Message = wasmbeam_host:get(<<"state">>, ?PLAIN(Library), Opts),
    Args = wasmbeam_host:load(wasmbeam_host:get(<<"args">>, ?PLAIN(Request), Opts), Opts),
    case {is_map(Message), arguments(Args)} of
        {true, {ok, Arguments}} ->
            case dev_wasm:instance(Message, Request, Opts) of
                not_found -> wasmbeam_fault:new(bad_request, "no instance: init was not run", []);
                Handle -> run(Name, Arguments, Handle, Message, Request, Opts)
            end;
        {false, _} ->
            wasmbeam_fault:new(bad_request, "~ts needs the message that the guest runs on in state",
                               [Name]);
        {true, error} ->
            cannot_be_called(Name, Args)
    end.

cannot_be_called(Name, Args) ->
    wasmbeam_fault:new(bad_argument, "~ts cannot be called with ~0tP", [Name, Args, 20]).

%% Integers of 64 bits, with or without a sign.
arguments(Args) when is_list(Args), length(Args) =< 12 ->
    Signed = [signed(Arg) || Arg <- Args, is_integer(Arg), Arg >= -(1 bsl 63), Arg < 1 bsl 64],
    case length(Signed) =:= length(Args) of
        true -> {ok, Signed};
        false -> error
    end;
arguments(_Args) ->
    error.

signed(Arg) when Arg >= 1 bsl 63 -> Arg - (1 bsl 64);
signed(Arg) -> Arg.

run(Name, Arguments, Handle, Message, Request, Opts) ->
    Prefix = dev_stack:prefix(Message, Request, Opts),
    case dev_wasi_world:find(Prefix, Message, Opts) of
        {ok, Before} ->
            Call = fun(Instance) ->
                wasmbeam_world:call(Instance, dev_wasi_world:world(Before), Name, Arguments)
            end,
            case hb_beamr_registry:with(Handle, Call) of
                {ok, Errno, World, Output} ->
                    State = dev_wasi_world:put_back(World, Output, Before, Prefix, Message, Opts),
                    {ok, #{<<"state">> => State, <<"results">> => [Errno]}};
                {exit, Status} ->
                    wasmbeam_fault:new(exit, "the guest exited with status ~b", [Status],
                                       #{<<"exit-status">> => Status});
                {raise, Signal} ->
                    wasmbeam_fault:new(trap, "the guest raised signal ~b", [Signal],
                                       #{<<"code">> => <<"signal">>});
                bad_argument ->
                    cannot_be_called(Name, Arguments);
                {error, Reason} ->
                    wasmbeam_fault:from(Reason)
            end;
        {error, _} = Error ->
            Error
    end.
