%% A short soak: what is done a few hundred times leaves no instance, thread, file or process. `make
%% soak' does it many thousand times, and looks at the memory too.
-module(wasmbeam_soak_tests).

-include_lib("eunit/include/eunit.hrl").

nothing_is_left_test_() ->
    {setup, fun() -> {ok, _} = application:ensure_all_started(wasmbeam) end,
     [{Name, {timeout, 300, fun() -> nothing_is_left(Name, max(10, Rounds div 500)) end}}
      || {Name, Rounds, _} <- wasmbeam_soak:workloads(), has_proc()]}.

%% What is counted is in /proc.
has_proc() ->
    filelib:is_regular("/proc/self/maps").

nothing_is_left(Name, Rounds) ->
    #{before := Before, 'after' := After} = wasmbeam_soak:run(Name, Rounds),
    Grown = fun(Key, Allowed) ->
        ?assert({Key, map_get(Key, After)} =< {Key, map_get(Key, Before) + Allowed})
    end,
    Grown(threads, 0),
    Grown(files, 0),
    Grown(processes, 0),
    %% An instance has at least two mappings. The allocators may have a few more than before.
    Grown(mappings, 16).
