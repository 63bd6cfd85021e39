%% @doc An instance under a supervisor.
%%
%% The server starts an instance, owns it, and ends when the instance can no longer be called: when
%% somebody stopped it, or when a call was cut short (by its timeout, by `wasmbeam:cancel/1', or by
%% the death of the process that made it) and left it interrupted. Its supervisor then starts
%% another, with a fresh instance. When the server ends, so does the instance. Instances that shall
%% go on after an interruption are started with `on_interrupt => keep'.
%%
%% Calls run in the calling process as those of {@link wasmbeam} do: all the server is asked for is
%% the handle. A process that makes many calls can keep what {@link instance/1} gives.
%%
%% ```
%% Children = [wasmbeam_server:child_spec(#{name => adder, source => Bytes})],
%% ...
%% {ok, [3]} = wasmbeam_server:call(adder, <<"add">>, [1, 2]).
%% '''
-module(wasmbeam_server).

-behaviour(gen_server).

-export([start_link/1, start_link/2, child_spec/1, instance/1, call/3, call/4, stop/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([args/0, name/0, server/0]).

-type args() ::
    #{source := wasmbeam:source(),
      options => wasmbeam:start_options(),
      name => name()}.
%% `options' are those of `wasmbeam:start/2', but that the owner is always the server.
-type name() :: atom() | {local, atom()} | {global, term()} | {via, module(), term()}.
-type server() :: pid() | atom() | {global, term()} | {via, module(), term()}.

-record(state, {
    instance :: wasmbeam:instance(),
    %% Of the message that tells that the instance has come to its end.
    ticket :: pos_integer()
}).

%% @doc Starts a server. Where the instance cannot be started, the reason is that of
%% `wasmbeam:start/2'.
-spec start_link(args()) ->
    {ok, pid()} | ignore | {error, {already_started, pid()} | wasmbeam:error_reason()}.
start_link(#{source := _} = Args) ->
    case maps:without([source, options, name], Args) of
        Unknown when Unknown =:= #{} -> start_named(Args);
        Unknown -> wasmbeam_error:bad_argument("a map of source, options and name", Unknown)
    end;
start_link(Args) ->
    wasmbeam_error:bad_argument("a map with a source", Args).

%% @doc Starts a server with a name.
-spec start_link(name(), args()) ->
    {ok, pid()} | ignore | {error, {already_started, pid()} | wasmbeam:error_reason()}.
start_link(Name, Args) when is_map(Args) ->
    start_link(Args#{name => Name});
start_link(_Name, Args) ->
    start_link(Args).

start_named(#{name := Name} = Args) ->
    case registration(Name) of
        {ok, Registration} -> gen_server:start_link(Registration, ?MODULE, Args, []);
        error -> wasmbeam_error:bad_argument("a name", Name)
    end;
start_named(Args) ->
    gen_server:start_link(?MODULE, Args, []).

registration(undefined) -> error;
registration(Name) when is_atom(Name) -> {ok, {local, Name}};
registration({local, Name}) -> registration(Name);
registration({global, _} = Name) -> {ok, Name};
registration({via, Module, _} = Name) when is_atom(Module) -> {ok, Name};
registration(_) -> error.

%% @doc For a supervisor. The child's id is its name, or `wasmbeam_server' if it has none.
-spec child_spec(args()) -> supervisor:child_spec().
child_spec(Args) ->
    #{id => case Args of #{name := Name} -> Name; #{} -> ?MODULE end,
      start => {?MODULE, start_link, [Args]},
      restart => permanent,
      shutdown => 5000,
      type => worker,
      modules => [?MODULE]}.

%% @doc The instance that the server has now.
-spec instance(server()) -> {ok, wasmbeam:instance()} | {error, wasmbeam:error_reason()}.
instance(Server) ->
    ask(Server, fun(Known) -> {ok, gen_server:call(Known, instance, infinity)} end).

%% @equiv call(Server, Function, Args, #{})
-spec call(server(), wasmbeam:func(), [wasmbeam:value()]) ->
    {ok, [wasmbeam:value()]} | {error, wasmbeam:error_reason()}.
call(Server, Function, Args) ->
    call(Server, Function, Args, #{}).

%% @doc Calls a function of the server's instance, as `wasmbeam:call/4' does. `stopped' also if there
%% is no such server at the moment.
-spec call(server(), wasmbeam:func(), [wasmbeam:value()], wasmbeam:call_options()) ->
    {ok, [wasmbeam:value()]} | {error, wasmbeam:error_reason()}.
call(Server, Function, Args, Options) ->
    case instance(Server) of
        {ok, Instance} -> wasmbeam:call(Instance, Function, Args, Options);
        {error, _} = Error -> Error
    end.

%% @doc Ends the server, and the instance with it, and waits for that.
-spec stop(server()) -> ok | {error, wasmbeam:error_reason()}.
stop(Server) ->
    ask(Server, fun gen_server:stop/1).

ask(Server, Ask) ->
    case is_server(Server) of
        true ->
            try
                Ask(Server)
            catch
                exit:Reason ->
                    Message = io_lib:format("there is no server ~0tp", [Server]),
                    {error, wasmbeam_error:reason(stopped, Message, #{reason => Reason})}
            end;
        false ->
            wasmbeam_error:bad_argument("a server", Server)
    end.

is_server(Server) when is_pid(Server) -> node(Server) =:= node();
is_server({local, _}) -> false;
is_server(Server) -> registration(Server) =/= error.

%% @private
-spec init(args()) -> {ok, #state{}} | {stop, wasmbeam:error_reason()}.
init(#{source := Source} = Args) ->
    case start_instance(Source, maps:get(options, Args, #{})) of
        {ok, Instance, Ticket} -> {ok, #state{instance = Instance, ticket = Ticket}};
        {error, Reason} -> {stop, Reason}
    end.

start_instance(Source, Options) ->
    case wasmbeam:start(Source, own(Options)) of
        {ok, Instance} ->
            {ok, Ref} = wasmbeam_call:reference(Instance),
            case wasmbeam_nif:instance_watch(Ref) of
                {ok, Ticket} -> {ok, Instance, Ticket};
                {error, _} = Error -> Error
            end;
        {error, _} = Error ->
            Error
    end.

own(Options) when is_map(Options) -> Options#{owner => self()};
own(Options) -> Options.

%% @private
-spec handle_call(instance, gen_server:from(), #state{}) ->
    {reply, wasmbeam:instance(), #state{}}.
handle_call(instance, _From, #state{instance = Instance} = State) ->
    {reply, Instance, State}.

%% @private
-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Request, State) ->
    {noreply, State}.

%% @private
-spec handle_info(term(), #state{}) ->
    {noreply, #state{}} | {stop, {instance, stopped | interrupted}, #state{}}.
handle_info({'$wasmbeam', Ticket, Why}, #state{ticket = Ticket} = State) ->
    {stop, {instance, Why}, State};
handle_info(_Message, State) ->
    {noreply, State}.

%% @private
-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{instance = Instance}) ->
    _ = wasmbeam:stop(Instance),
    ok.
