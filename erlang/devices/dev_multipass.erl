%% @doc `multipass@1.0': the last of a stack, which starts it again until it has run `passes' times.
-module(dev_multipass).

-export([info/1, handle/4]).

-define(PLAIN(Message), {as, <<"message@1.0">>, Message}).
%% A message says how many, and must not keep its node forever.
-define(MAX_PASSES, 1000).

%% @doc All keys do the same.
-spec info(wasmbeam_host:message()) -> map().
info(_Message) ->
    #{handler => fun ?MODULE:handle/4}.

%% @doc Another pass while `pass' is less than `passes', which is 1 where it is not given.
%%
%% A snapshot takes one pass, and this device has nothing to add to it.
-spec handle(binary() | atom(), wasmbeam_host:message(), wasmbeam_host:message(),
             wasmbeam_host:opts()) -> wasmbeam_host:outcome().
handle(Key, Message, Request, Opts) ->
    case wasmbeam_path:lowercase(wasmbeam_path:key(Key)) of
        Plain when Plain =:= <<"keys">>; Plain =:= <<"set">>; Plain =:= <<"get">>;
                   Plain =:= <<"remove">>; Plain =:= <<"id">> ->
            wasmbeam_host:resolve(?PLAIN(Message), Request, Opts);
        <<"snapshot">> ->
            {error, not_found};
        _ ->
            Passes = wasmbeam_host:get(<<"passes">>, ?PLAIN(Message), 1, Opts),
            Pass = wasmbeam_host:get(<<"pass">>, ?PLAIN(Message), 1, Opts),
            outcome(Pass, Passes, Message)
    end.

outcome(_Pass, Passes, _Message) when is_integer(Passes), Passes > ?MAX_PASSES ->
    wasmbeam_fault:new(bad_argument, "expected no more than ~b passes, not ~0tP",
                       [?MAX_PASSES, Passes, 10]);
outcome(Pass, Passes, Message) when is_integer(Pass), is_integer(Passes), Pass < Passes ->
    {pass, Message};
outcome(Pass, Passes, Message) when is_integer(Pass), is_integer(Passes) ->
    {ok, Message};
outcome(Pass, Passes, _Message) ->
    wasmbeam_fault:new(bad_argument, "expected numbers in pass and passes, not ~0tP and ~0tP",
                       [Pass, 10, Passes, 10]).
