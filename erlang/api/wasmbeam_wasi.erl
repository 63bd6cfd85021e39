%% @doc A guest's WASI world: the options that it is started with, and what it needs from outside
%% while it runs.
-module(wasmbeam_wasi).

-export([gathered/1, new/1, answer/4, flush/1]).

-export_type([options/0, tree/0, host/0, world/0, question/0, reply/0]).

-type tree() :: #{Name :: binary() => tree() | binary() | {symlink, Target :: binary()}}.
%% A directory: a map for a directory, a binary for a file.
-type folder() :: {dir, Path :: file:name_all(), ro | rw}.
%% A folder of the machine.
-type mounted_tree() ::
    #{Name :: binary() => mounted_tree() | binary() | {symlink, Target :: binary()} | folder()}.
-type text() :: binary() | string().
-type input() :: fun((MaxBytes :: pos_integer()) -> {ok, binary()} | eof | again) | pid().
-type output() ::
    inherit | capture | {capture, Limit :: non_neg_integer()} | fun((binary()) -> term())
    | logger | {logger, logger:level()} | {logger, logger:level(), Metadata :: map()}
    | pid() | {pid(), Tag :: term()}.
-type clock_id() :: realtime | monotonic | process_cputime_id | thread_cputime_id.
-define(OPTIONS, [host, args, env, fs, preopens, stdin, stdout, stderr, terminal, clock, random,
                  quotas]).

-type options() ::
    #{host => boolean(),
      args => [text()],
      env => inherit | #{text() => text()} | [{text(), text()}],
      fs => mounted_tree() | folder(),
      preopens => [(Name :: text()) | {Name :: text(), Path :: text()}] | #{Name :: text() => Path :: text()}
                | wasmbeam_wasi_host:folders(),
      stdin => inherit | binary() | input(),
      stdout => output(),
      stderr => output(),
      terminal => boolean(),
      clock => system | {fixed, Ns :: non_neg_integer()}
             | fun((clock_id()) -> Ns :: non_neg_integer()),
      random => system | {seed, non_neg_integer()} | fun((Size :: pos_integer()) -> binary()),
      quotas => #{files => non_neg_integer(), bytes => non_neg_integer(),
                  descriptors => non_neg_integer()}}.
%% What the fields mean is in `docs/wasi.md'.

-type sink() :: fun((binary()) -> term()) | {pid(), Tag :: term()} | wasmbeam_output:sink().
-opaque host() ::
    #{stdin => input(),
      stdout => sink(),
      stderr => sink(),
      clock => fun((clock_id()) -> non_neg_integer()),
      random => fun((pos_integer()) -> binary())}.
%% What the embedder supplies itself. It travels with the handle of the instance.
-type world() :: none | reference().

-type question() ::
    {wait, Ns :: non_neg_integer() | infinity, Stdin :: boolean()}
    | {stdin, MaxLen :: non_neg_integer(), Nonblocking :: boolean()}
    | {output, stdout | stderr, binary()}
    | {clock, clock_id()}
    | {random, Len :: non_neg_integer()}.
%% What a guest waits for.
-type reply() ::
    elapsed | readable | {stdin, binary()} | {written, non_neg_integer()}
    | {time, non_neg_integer()} | {random, binary()} | {errno, again | io}.

-define(TAG, '$wasmbeam').
-define(NS_PER_MS, 1000000).
%% The longest time that `receive' can wait.
-define(MAX_MS, 16#ffffffff).
-define(MAX_U64, 16#ffffffffffffffff).
%% The most bytes of all arguments, or of all variables, each with its end.
-define(MAX_STRINGS, 1048576).
%% Copying this many bytes takes about as long as a scheduler may be kept.
-define(MANY_BYTES, 1048576).
%% For deterministic instances: 2001-09-09, because programs take 0 for «never».
-define(FIXED_TIME, 1000000000000000000).

%% @doc Makes the world of an instance from the options that it is started with.
-spec new(map()) -> {ok, {world(), host()}} | {error, wasmbeam:error_reason()}.
new(#{wasi := Options} = Start) when is_map(Options) ->
    begin_build(maps:merge(implied(Start), Options));
new(#{wasi := Options}) ->
    bad_option(wasi, "a map", Options);
new(Start) ->
    begin_build(implied(Start)).

%% Adds what the environment of the application says.
begin_build(Given) ->
    case maps:merge(environment(Given), Given) of
        Options when map_size(Options) =:= 0 -> {ok, {none, #{}}};
        Options -> build(Options)
    end.

environment(Given) ->
    Outputs = case wasmbeam_limits:output() of
        {given, Limit} -> #{stdout => {capture, Limit}, stderr => {capture, Limit}};
        {default, _} -> #{}
    end,
    case {Given, wasmbeam_limits:quotas()} of
        {#{host := true}, _} -> Outputs;
        {_, Quotas} when Quotas =:= #{} -> Outputs;
        {_, Quotas} -> Outputs#{quotas => Quotas}
    end.

implied(#{deterministic := true}) ->
    #{clock => {fixed, ?FIXED_TIME}, random => {seed, 0}};
implied(_) ->
    #{}.

build(#{host := true} = Options) ->
    case host_options(Options) of
        {ok, Folders, Rest} ->
            case options(maps:to_list(Rest), #{preopens => [], folders => Folders}, #{}) of
                {ok, Native, Host} -> make(Native, Host);
                {error, _} = Error -> Error
            end;
        {bad, Key, Expected, Value} ->
            bad_option(Key, Expected, Value)
    end;
build(Options) ->
    case options(maps:to_list(Options), #{}, #{}) of
        {ok, #{fs := Tree} = Native, Host} ->
            case wasmbeam_wasi_mounts:split(Tree) of
                {ok, _, []} -> make(Native, Host);
                {ok, Plain, Mounts} -> make(Native#{fs := Plain, mounts => Mounts}, Host);
                error -> bad_option(fs, "folders as {dir, Path, ro | rw}", Tree)
            end;
        {ok, Native, Host} ->
            make(Native, Host);
        {error, _} = Error ->
            Error
    end.

%% What is different with files of the machine.
host_options(#{fs := Files}) ->
    {bad, fs, "no files where host is true: folders of the machine are preopens", Files};
host_options(#{quotas := #{} = Quotas}) when not is_map_key(descriptors, Quotas), Quotas =/= #{} ->
    {bad, quotas, "descriptors alone where host is true", Quotas};
host_options(#{quotas := #{} = Quotas}) when map_size(Quotas) > 1 ->
    {bad, quotas, "descriptors alone where host is true", Quotas};
host_options(Options) ->
    Preopens = maps:get(preopens, Options, []),
    case wasmbeam_wasi_host:folders(Preopens) of
        {ok, Folders} -> {ok, Folders, maps:without([host, preopens], Options)};
        {bad, Expected} -> {bad, preopens, Expected, Preopens}
    end.

make(Native, Host) ->
    Made = case Native of
        #{folders := _} ->
            wasmbeam_nif:wasi_new_host(Native);
        #{mounts := _} ->
            wasmbeam_nif:wasi_new_host(Native);
        _ ->
            case is_large(Native) of
                true -> wasmbeam_nif:wasi_new_dirty(Native);
                false -> wasmbeam_nif:wasi_new(Native)
            end
    end,
    case wasmbeam_error:normalize(Made) of
        {ok, World} ->
            {ok, {World, Host}};
        {bad_option, Key, {Class, #{message := Message} = Info}} ->
            {error, wasmbeam_error:reason(Class, ["wasi option ", atom_to_list(Key), ": ", Message],
                                          Info#{key => Key})};
        {error, _} = Error ->
            Error
    end.

is_large(#{fs := Tree}) when map_size(Tree) > 0 -> true;
is_large(#{stdin := Bytes}) when is_binary(Bytes) -> byte_size(Bytes) >= ?MANY_BYTES;
is_large(_) -> false.

options([], Native, Host) ->
    {ok, Native, Host};
options([{Key, Value} | Rest], Native, Host) ->
    case option(Key, Value) of
        {native, Term} -> options(Rest, Native#{Key => Term}, Host);
        {host, Source} -> options(Rest, Native#{Key => host}, Host#{Key => Source});
        none -> options(Rest, Native, Host);
        {bad, Expected} -> bad_option(Key, Expected, Value);
        unknown -> unknown_option(Key)
    end.

option(host, false) -> none;
option(host, _) -> {bad, "true or false"};
option(args, Args) -> args(Args);
option(env, inherit) -> env(wasmbeam_wasi_host:environment());
option(env, Env) -> env(Env);
option(fs, Tree) when is_map(Tree) -> {native, Tree};
option(fs, {dir, _, Access} = Folder) when Access =:= ro; Access =:= rw -> {native, Folder};
option(fs, _) -> {bad, "a map of files, or {dir, Path, ro | rw}"};
option(preopens, Preopens) -> preopens(Preopens);
option(stdin, inherit) -> {host, wasmbeam_wasi_host:input()};
option(stdin, Bytes) when is_binary(Bytes) -> {native, Bytes};
option(stdin, Source) when is_function(Source, 1); is_pid(Source) -> {host, Source};
option(stdin, _) -> {bad, "inherit, a binary, a fun of arity 1 or a pid"};
option(Stream, inherit) when Stream =:= stdout; Stream =:= stderr ->
    {host, wasmbeam_wasi_host:output(Stream)};
option(Stream, logger) when Stream =:= stdout -> logger(Stream, info, #{});
option(Stream, logger) when Stream =:= stderr -> logger(Stream, notice, #{});
option(Stream, {logger, Level}) when Stream =:= stdout; Stream =:= stderr ->
    logger(Stream, Level, #{});
option(Stream, {logger, Level, Metadata}) when Stream =:= stdout; Stream =:= stderr ->
    logger(Stream, Level, Metadata);
option(Stream, Sink) when Stream =:= stdout; Stream =:= stderr -> output(Sink);
option(terminal, Is) when is_boolean(Is) -> {native, Is};
option(terminal, _) -> {bad, "true or false"};
option(clock, system) -> {native, system};
option(clock, {fixed, Ns}) when is_integer(Ns), Ns >= 0, Ns =< ?MAX_U64 -> {native, {fixed, Ns}};
option(clock, Clock) when is_function(Clock, 1) -> {host, Clock};
option(clock, _) -> {bad, "system, {fixed, Nanoseconds} or a fun of arity 1"};
option(random, system) -> {native, system};
option(random, {seed, Seed}) when is_integer(Seed), Seed >= 0, Seed =< ?MAX_U64 ->
    {native, {seed, Seed}};
option(random, Random) when is_function(Random, 1) -> {host, Random};
option(random, _) -> {bad, "system, {seed, Integer} or a fun of arity 1"};
option(quotas, Quotas) -> quotas(Quotas);
option(_, _) -> unknown.

args(Given) ->
    Expected = "a list of binaries or strings without zero bytes",
    case is_list(Given) andalso length_of(Given) of
        Length when is_integer(Length) ->
            Args = [text(Arg) || Arg <- Given],
            strings(Args, {native, Args}, Expected);
        _ ->
            {bad, Expected}
    end.

length_of(List) ->
    try length(List) catch error:badarg -> improper end.

strings(Strings, Good, Expected) ->
    case lists:all(fun is_string/1, Strings) of
        true ->
            Size = lists:sum([byte_size(String) + 1 || String <- Strings]),
            if
                Size =< ?MAX_STRINGS -> Good;
                true -> {bad, "no more than 1 MiB in all"}
            end;
        false ->
            {bad, Expected}
    end.

%% The bytes of a text that is given as a string.
text([]) -> <<>>;
text(Text) when is_list(Text) -> wasmbeam_name:binary(Text);
text(Text) -> Text.

is_string(Bytes) ->
    is_binary(Bytes) andalso binary:match(Bytes, <<0>>) =:= nomatch.

env(Env) when is_map(Env) ->
    env(sorted(Env));
env(Env) ->
    Expected = "a map or list of pairs of binaries or strings without zero bytes, names without =",
    Read = fun(Variable) ->
        case texts(Variable) of
            {Name, Value} when is_binary(Name), is_binary(Value), Name =/= <<>> ->
                binary:match(Name, <<"=">>) =:= nomatch andalso {true, {Name, Value}};
            _ ->
                false
        end
    end,
    case all(Read, Env) of
        {ok, Pairs} -> strings([<<Name/binary, $=, Value/binary>> || {Name, Value} <- Pairs],
                               {native, Pairs}, Expected);
        error -> {bad, Expected}
    end.

preopens(Preopens) when is_map(Preopens) ->
    preopens(sorted(Preopens));
preopens(Preopens) ->
    Read = fun(Preopen) ->
        case texts(Preopen) of
            {Name, Path} when is_binary(Name), is_binary(Path) -> {true, {Name, Path}};
            Name when is_binary(Name) -> {true, {Name, Name}};
            _ -> false
        end
    end,
    case all(Read, Preopens) of
        {ok, Pairs} -> {native, Pairs};
        error -> {bad, "names, or pairs of a name and a path, in a list or a map"}
    end.

sorted(Map) ->
    lists:sort([texts(Pair) || Pair <- maps:to_list(Map)]).

texts({Name, Value}) -> {text(Name), text(Value)};
texts(Name) -> text(Name).

%% What is read from all elements of a list, if it can be.
all(Read, List) ->
    Length = is_list(List) andalso length_of(List),
    case is_integer(Length) andalso lists:filtermap(Read, List) of
        Found when length(Found) =:= Length -> {ok, Found};
        _ -> error
    end.

output(capture) ->
    {_, Limit} = wasmbeam_limits:output(),
    output({capture, Limit});
output({capture, Limit}) when is_integer(Limit), Limit >= 0, Limit =< ?MAX_U64 ->
    {native, {capture, Limit}};
output(Sink) when is_function(Sink, 1) -> {host, Sink};
output(Pid) when is_pid(Pid) -> {host, {Pid, wasmbeam_output}};
output({Pid, Tag}) when is_pid(Pid) -> {host, {Pid, Tag}};
output(_) -> {bad, "inherit, capture, {capture, Limit}, logger, {logger, Level}, "
                  "{logger, Level, Metadata}, a fun of arity 1, a pid or {pid, Tag}"}.

logger(Stream, Level, Metadata) ->
    case wasmbeam_output:is_level(Level) andalso is_map(Metadata) of
        true ->
            {ok, Sink} = wasmbeam_output:sink(Stream, Level, Metadata),
            {host, Sink};
        false ->
            {bad, "logger, with one of its levels and a map of metadata"}
    end.

quotas(Given) ->
    OfNode = wasmbeam_limits:quotas(),
    case {are_quotas(Given), are_quotas(OfNode)} of
        {true, true} ->
            Standard = #{files => 65536, bytes => 1 bsl 30, descriptors => 1024},
            #{files := Files, bytes := Bytes, descriptors := Descriptors} =
                maps:merge(maps:merge(Standard, OfNode), Given),
            {native, {Files, Bytes, Descriptors}};
        {false, _} ->
            {bad, "a map of: files (at most 2^24), bytes (64 GiB), descriptors (2^16)"};
        {true, false} ->
            {bad, "the setting wasi_quotas of the application to be such a map as well"}
    end.

are_quotas(Quotas) ->
    Greatest = #{files => 1 bsl 24, bytes => 64 bsl 30, descriptors => 1 bsl 16},
    is_map(Quotas) andalso lists:all(fun({Name, Value}) ->
        is_integer(Value) andalso Value >= 0 andalso Value =< maps:get(Name, Greatest, -1)
    end, maps:to_list(Quotas)).

bad_option(Key, Expected, Value) ->
    Message = io_lib:format("option ~ts: expected ~ts", [Key, Expected]),
    {error, wasmbeam_error:reason(bad_argument, Message,
                                  #{key => Key, expected => list_to_binary(Expected),
                                    value => Value})}.

%% @doc Options of `start', with those of WASI that stand among them in their place.
-spec gathered(Options) -> Options when Options :: map() | term().
gathered(Options) when is_map(Options) ->
    case maps:with(?OPTIONS, Options) of
        None when map_size(None) =:= 0 ->
            Options;
        Given ->
            case maps:get(wasi, Options, #{}) of
                Wasi when is_map(Wasi) ->
                    (maps:without(?OPTIONS, Options))#{wasi => maps:merge(Wasi, Given)};
                _ ->
                    Options
            end
    end;
gathered(Options) ->
    Options.

unknown_option(Key) ->
    Known = lists:join(", ", [atom_to_list(Option) || Option <- ?OPTIONS]),
    Message = io_lib:format("~0tp is no option of wasi, which are: ~ts", [Key, Known]),
    {error, wasmbeam_error:reason(bad_argument, Message,
                                  #{key => Key, value => Key,
                                    expected => list_to_binary(["an option of: ", Known])})}.

%% @doc Does what the guest waits for, unless the message with that ticket says that it need not, or
%% so many milliseconds are over. Exceptions of the embedder's functions are let through.
-spec answer(question(), host(), Ticket :: pos_integer(), timeout()) -> reply().
answer({wait, Ns, true}, #{stdin := Source}, Ticket, Left) ->
    await_input(Source, Ticket, min_ms(Ns, Left));
answer({wait, Ns, _Stdin}, _Host, Ticket, Left) ->
    receive {?TAG, Ticket, wake} -> elapsed after min_ms(Ns, Left) -> elapsed end;
answer({stdin, Max, _Nonblocking}, #{stdin := Source}, Ticket, Left) ->
    read(Source, Max, Ticket, Left);
answer({output, Stream, Bytes}, Host, _Ticket, _Left) ->
    _ = case Host of
        #{Stream := {Pid, Tag}} -> Pid ! {Tag, Stream, Bytes};
        #{Stream := {lines, _, _} = Lines} -> wasmbeam_output:write(Lines, Bytes);
        #{Stream := Sink} -> Sink(Bytes)
    end,
    {written, byte_size(Bytes)};
answer({clock, Id}, #{clock := Clock}, _Ticket, _Left) ->
    case Clock(Id) of
        Ns when is_integer(Ns), Ns >= 0, Ns =< ?MAX_U64 -> {time, Ns};
        Other -> error({bad_result, Other})
    end;
answer({random, Size}, #{random := Random}, _Ticket, _Left) ->
    case Random(Size) of
        Bytes when byte_size(Bytes) =:= Size -> {random, Bytes};
        Other -> error({bad_result, Other})
    end.

%% @doc Has all of the output that was written reach its end.
-spec flush(host()) -> ok.
flush(Host) ->
    lists:foreach(fun
        ({lines, _, _} = Lines) -> wasmbeam_output:flush(Lines);
        (_) -> ok
    end, maps:values(maps:with([stdout, stderr], Host))).

min_ms(infinity, Left) -> Left;
min_ms(Ns, Left) ->
    Ms = min(?MAX_MS, (Ns + ?NS_PER_MS - 1) div ?NS_PER_MS),
    case Left of
        infinity -> Ms;
        _ -> min(Ms, Left)
    end.

%% A function is asked when the guest reads, not before: that cannot be taken back.
await_input(Source, _Ticket, _Ms) when is_function(Source) ->
    readable;
await_input(Pid, Ticket, Ms) ->
    case ask(Pid, 0, Ticket, Ms) of
        none -> elapsed;
        {ok, <<>>} -> readable;
        again -> readable;
        Answer -> input(Answer)
    end.

read(Source, Max, _Ticket, _Left) when is_function(Source) ->
    input(Source(Max));
read(Pid, Max, Ticket, Left) ->
    case ask(Pid, Max, Ticket, Left) of
        none -> {errno, again};
        Answer -> input(Answer)
    end.

input({ok, Bytes}) when is_binary(Bytes) -> {stdin, Bytes};
input(eof) -> {stdin, <<>>};
input(again) -> {errno, again};
input(Other) -> error({bad_result, Other}).

%% Asks a process for input. An answer that is late finds no way here.
ask(Pid, Max, Ticket, Ms) ->
    Ref = monitor(process, Pid, [{alias, reply_demonitor}]),
    Pid ! {wasmbeam_input, Ref, Max},
    Answer = receive
        {Ref, Given} -> Given;
        {'DOWN', Ref, process, _, _} -> eof;
        {?TAG, Ticket, wake} -> none
    after Ms -> none
    end,
    true = demonitor(Ref, [flush]),
    receive {Ref, _} -> Answer after 0 -> Answer end.
