%% @doc The native functions of wasmbeam, as they are: see {@link wasmbeam} for the interface.
-module(wasmbeam_nif).

-export([version/0]).

-nifs([version/0]).
-on_load(init/0).

init() ->
    erlang:load_nif(filename:join(priv_dir(), "wasmbeam_nif"), 0).

priv_dir() ->
    case code:priv_dir(wasmbeam) of
        {error, bad_name} ->
            filename:join(filename:dirname(filename:dirname(code:which(?MODULE))), "priv");
        Dir ->
            Dir
    end.

%% @doc The version of the native library.
-spec version() -> {ok, binary()} | {error, native_unavailable}.
version() ->
    erlang:nif_error({not_loaded, ?MODULE}).
