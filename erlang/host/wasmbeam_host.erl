%% @doc What devices know of the node that they run in.
%%
%% A device reads and writes messages through this module alone, so the same device runs wherever
%% there is a host: in HyperBEAM, or alone on the embedded host ({@link wasmbeam_host_embedded}).
%% People at a shell use the same functions.
%%
%% The host is chosen once: the module in the application's environment variable `host', else
%% HyperBEAM if it is in the code path, else the embedded one.
-module(wasmbeam_host).

-export([get/3, get/4, device/2, set/3, replace/3, resolve/3, load/2]).
-export([private_get/3, private_set/3, cache_write/2, cache_read/2, option/3, is_device/3]).
-export([current/0, choose/1]).

%% Every access goes through it.
-compile({inline, [current/0]}).

-export_type([message/0, base/0, path/0, request/0, opts/0, device/0, id/0, updates/0, outcome/0]).

-type message() :: #{binary() => term()}.
-type device() :: binary() | module() | #{binary() => fun()}.
-type base() :: message() | [term()] | id() | {as, device(), base()}.
-type key() :: binary() | atom() | non_neg_integer().
-type path() :: binary() | atom() | [key()].
%% `a/b/c', or the list of its keys.
-type request() :: path() | message() | {as, device(), path() | message()}.
%% A message has its path in `path'. With another device than the one that the base names.
-type id() :: binary().
%% The SHA-256 of what it names, in base64url: 43 bytes.
-type updates() :: #{path() => term() | unset}.
-type opts() :: #{devices => #{binary() => device()}, cache => memory | {disk, file:filename_all()},
                  term() => term()}.
-type outcome() :: {ok | skip | pass, term()} | {error, term()}.

-callback get(path(), base(), Default :: term(), opts()) -> term().
-callback set(message(), updates(), opts()) -> message().
-callback replace(message(), updates(), opts()) -> message().
-callback resolve(base(), request(), opts()) -> outcome().
-callback load(term(), opts()) -> term().
-callback private_get(path(), message(), opts()) -> term() | not_found.
-callback private_set(message(), updates(), opts()) -> message().
-callback cache_write(message() | binary(), opts()) -> {ok, id()} | {error, term()}.
-callback cache_read(id(), opts()) -> {ok, message() | binary()} | not_found | {error, term()}.
-callback option(atom(), Default :: term(), opts()) -> term().
-callback is_device(Name :: binary(), module(), opts()) -> boolean().

-define(HOST, {wasmbeam, host}).

%% @equiv get(Path, Base, not_found, Opts)
-spec get(path(), base(), opts()) -> term() | not_found.
get(Path, Base, Opts) ->
    (current()):get(Path, Base, not_found, Opts).

%% @doc The value that a path leads to, or the default where it leads nowhere.
-spec get(path(), base(), Default :: term(), opts()) -> term().
get(Path, Base, Default, Opts) ->
    (current()):get(Path, Base, Default, Opts).

%% @doc The device that a message names, or `unset'. Not even as another device's message does it
%% have that in a key.
-spec device(message(), opts()) -> device() | unset.
device(#{<<"device">> := Device}, Opts) -> load(Device, Opts);
device(#{device := Device}, Opts) -> load(Device, Opts);
device(Message, _Opts) when is_map(Message) -> unset.

%% @doc The message with other values at these paths. A message is merged into the one that is
%% there, see {@link replace/3}; `unset' removes.
-spec set(message(), updates(), opts()) -> message().
set(Message, Updates, Opts) ->
    (current()):set(Message, Updates, Opts).

%% @doc As {@link set/3}, but nothing of what was there remains.
-spec replace(message(), updates(), opts()) -> message().
replace(Message, Updates, Opts) ->
    (current()):replace(Message, Updates, Opts).

%% @doc Follows the path of a request, key by key: each is resolved by the device of the message
%% that the one before led to.
-spec resolve(base(), request(), opts()) -> outcome().
resolve(Base, Request, Opts) ->
    (current()):resolve(Base, Request, Opts).

%% @doc A value with all that is in it, where the host loads the parts of messages as they are
%% asked for.
-spec load(term(), opts()) -> term().
load(Value, Opts) ->
    (current()):load(Value, Opts).

%% @doc A value in the private part of a message, which never leaves the node.
-spec private_get(path(), message(), opts()) -> term() | not_found.
private_get(Path, Message, Opts) ->
    (current()):private_get(Path, Message, Opts).

%% @doc The message with other values at these paths of its private part.
-spec private_set(message(), updates(), opts()) -> message().
private_set(Message, Updates, Opts) ->
    (current()):private_set(Message, Updates, Opts).

%% @doc Stores a message without its private parts, or a binary.
-spec cache_write(message() | binary(), opts()) -> {ok, id()} | {error, term()}.
cache_write(Message, Opts) ->
    (current()):cache_write(Message, Opts).

%% @doc Reads what was stored.
-spec cache_read(id(), opts()) -> {ok, message() | binary()} | not_found | {error, term()}.
cache_read(Id, Opts) ->
    (current()):cache_read(Id, Opts).

%% @doc An option: from `Opts', else the node's.
-spec option(atom(), Default :: term(), opts()) -> term().
option(Key, Default, Opts) ->
    (current()):option(Key, Default, Opts).

%% @doc Whether the device of that name is this module, and not another one that the node or the call
%% has put in its place.
-spec is_device(Name :: binary(), module(), opts()) -> boolean().
is_device(Name, Module, Opts) ->
    (current()):is_device(Name, Module, Opts).

%% @doc The host that was chosen.
-spec current() -> module().
current() ->
    case persistent_term:get(?HOST, undefined) of
        undefined -> choose(application:get_env(wasmbeam, host, auto));
        Host -> Host
    end.

%% @doc Chooses a host; `auto' looks for HyperBEAM.
-spec choose(module() | auto) -> module().
choose(auto) ->
    case wasmbeam_host_hyperbeam:find() of
        true -> choose(wasmbeam_host_hyperbeam);
        false -> choose(wasmbeam_host_embedded)
    end;
choose(Host) ->
    persistent_term:put(?HOST, Host),
    Host.
