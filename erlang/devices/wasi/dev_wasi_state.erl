%% @doc Runs a function of WASI on a message: takes the files and descriptors out of it, and puts
%% them back.
-module(dev_wasi_state).

-export([run/4, initial_files/0, initial_descriptors/0, fail/1]).

-export_type([t/0, descriptors/0, result/0]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).

-type descriptors() :: #{binary() => wasmbeam_host:message()}.
-type t() :: #{files := dev_wasi_files:directory(), descriptors := descriptors(),
               instance := hb_beamr:handle(), width := dev_wasi_abi:width(),
               message := wasmbeam_host:message(), opts := wasmbeam_host:opts()}.
-type result() :: ok | {ok, t()} | {exit, non_neg_integer()}.
%% Functions raise their errors, see {@link fail/1}.

%% @doc The files that every guest finds.
-spec initial_files() -> dev_wasi_files:directory().
initial_files() ->
    #{<<"dev">> => #{<<"stdin">> => <<>>, <<"stdout">> => <<>>, <<"stderr">> => <<>>}}.

%% @doc What every guest finds open: the standard streams, and the root directory.
-spec initial_descriptors() -> descriptors().
initial_descriptors() ->
    Open = fun(Name) -> #{<<"filename">> => Name, <<"offset">> => 0} end,
    #{<<"0">> => Open(<<"/dev/stdin">>), <<"1">> => Open(<<"/dev/stdout">>),
      <<"2">> => Open(<<"/dev/stderr">>), <<"3">> => (Open(<<"/">>))#{<<"preopen">> => <<"/">>}}.

%% @doc Ends a function with an error.
-spec fail(atom()) -> no_return().
fail(Errno) ->
    throw({errno, dev_wasi_abi:errno(Errno)}).

%% @doc Runs a function; the answer has the message in `state' and the function's result.
-spec run(binary(), wasmbeam_host:message(), wasmbeam_host:message(), wasmbeam_host:opts()) ->
    wasmbeam_host:outcome().
run(Name, Library, Request, Opts) ->
    Message = wasmbeam_host:get(<<"state">>, ?PLAIN(Library), Opts),
    Args = wasmbeam_host:load(wasmbeam_host:get(<<"args">>, ?PLAIN(Request), Opts), Opts),
    Signature = wasmbeam_host:get(<<"func-sig">>, ?PLAIN(Request), Opts),
    case {is_map(Message), dev_wasi_abi:arguments(Name, Args, Signature)} of
        {true, {ok, Arguments, Width}} ->
            case taken(Message, Width, Request, Opts) of
                {ok, State} -> run(Name, Arguments, State);
                {error, _} = Error -> Error
            end;
        {false, _} ->
            wasmbeam_fault:new(bad_request, "~ts needs the message that the guest runs on in state",
                               [Name]);
        {true, error} ->
            wasmbeam_fault:new(bad_argument, "~ts cannot be called with ~0tP", [Name, Args, 20])
    end.

taken(Message, Width, Request, Opts) ->
    case dev_wasm:instance(Message, Request, Opts) of
        not_found ->
            wasmbeam_fault:new(bad_request, "no instance: init was not run", []);
        Instance ->
            {ok, #{files => part(<<"vfs">>, Message, initial_files(), Opts),
                   descriptors => part(<<"file-descriptors">>, Message, initial_descriptors(), Opts),
                   instance => Instance, width => Width, message => Message, opts => Opts}}
    end.

part(Key, Message, Initial, Opts) ->
    case wasmbeam_host:load(wasmbeam_host:get(Key, ?PLAIN(Message), Opts), Opts) of
        Part when is_map(Part) -> Part;
        _ -> Initial
    end.

run(Name, Arguments, #{message := Message} = State) ->
    try call(Name, Arguments, State) of
        ok -> answer(0, Message);
        {ok, Next} -> answer(0, put_back(State, Next));
        {exit, Status} ->
            wasmbeam_fault:new(exit, "the guest exited with status ~b", [Status],
                               #{<<"exit-status">> => Status})
    catch
        throw:{errno, Errno} -> answer(Errno, Message)
    end.

call(<<"fd_", _/binary>> = Name, Arguments, State) -> dev_wasi_fd:call(Name, Arguments, State);
call(<<"path_", _/binary>> = Name, Arguments, State) -> dev_wasi_path:call(Name, Arguments, State);
call(Name, Arguments, State) -> dev_wasi_system:call(Name, Arguments, State).

answer(Errno, Message) ->
    {ok, #{<<"state">> => Message, <<"results">> => [Errno]}}.

put_back(Before, #{message := Message, opts := Opts} = After) ->
    Changed = [{Key, map_get(Part, After)}
               || {Key, Part} <- [{<<"vfs">>, files}, {<<"file-descriptors">>, descriptors}],
                  map_get(Part, After) =/= map_get(Part, Before)],
    wasmbeam_host:replace(Message, maps:from_list(Changed), Opts).
