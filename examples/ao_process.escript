#!/usr/bin/env escript
%% -*- erlang -*-
%% A whole AO process on the embedded host, which survives that its VM is killed.
%%
%%   ERL_LIBS=_build/default/lib escript examples/ao_process.escript [IMAGE]
%%
%% IMAGE is the module of a process, such as AOS; without it the one in examples/modules is used. The
%% process computes messages slot by slot and stores itself every few slots. One run is left alone;
%% another is killed in the middle (kill -9) and started again, goes on from what it stored last, and
%% must come to the same results.
%%
%% The two runs are VMs of their own: `escript examples/ao_process.escript run FOLDER IMAGE', which
%% computes a slot for every line `next' that it reads.
-mode(compile).

-define(SLOTS, 20).
-define(SNAPSHOT_EVERY, 5).
-define(KILLED_AFTER, 13).

main(["run", Folder, Image]) ->
    {ok, _} = application:ensure_all_started(wasmbeam),
    Opts = #{cache => {disk, filename:join(Folder, "cache")}},
    {Process, Slot} = resumed_or_new(Folder, Image, Opts),
    io:format("from ~b~n", [Slot]),
    compute(Process, Slot + 1, Folder, Opts);
main(["run" | _]) ->
    usage();
main([]) ->
    demonstrate(filename:join([filename:dirname(escript:script_name()), "modules",
                               "counting_process.wat"]));
main([Image]) ->
    demonstrate(Image);
main(_) ->
    usage().

usage() ->
    io:format(standard_error, "usage: ao_process.escript [IMAGE]~n", []),
    halt(2).

%% The stack that computes: files, JSON, the guest, and a second pass for the guest's answer.
new_process(Image, Opts) ->
    {ok, Bytes} = file:read_file(Image),
    {ok, Id} = wasmbeam_host:cache_write(Bytes, Opts),
    {ok, Process} = wasmbeam_host:resolve(#{
        <<"device">> => <<"stack@1.0">>,
        <<"device-stack">> => [<<"WASI@1.0">>, <<"JSON-Iface@1.0">>, <<"WASM-64@1.0">>,
                               <<"Multipass@1.0">>],
        <<"passes">> => 2,
        <<"stack-keys">> => [<<"init">>, <<"compute">>, <<"snapshot">>, <<"normalize">>],
        <<"input-prefix">> => <<"process">>, <<"output-prefix">> => <<"wasm">>,
        <<"process">> => #{<<"image">> => Id, <<"owner">> => <<"OWNER">>,
                           <<"authority">> => <<"OWNER">>, <<"name">> => <<"example">>}
    }, <<"init">>, Opts),
    Process.

compute(_Process, Slot, _Folder, _Opts) when Slot > ?SLOTS ->
    ok;
compute(Process, Slot, Folder, Opts) ->
    "next\n" = io:get_line(""),
    Message = #{<<"action">> => <<"Eval">>, <<"owner">> => <<"OWNER">>, <<"from">> => <<"OWNER">>,
                <<"target">> => wasmbeam_host:get(<<"process/id">>, Process, Opts),
                %% For AOS; the process of this folder counts whatever it is told.
                <<"data">> => <<"count = (count or 0) + 1; ",
                                "ao.send({Target = 'LISTENER', Data = tostring(count)}); ",
                                "return count">>},
    {ok, Computed} = wasmbeam_host:resolve(Process, #{<<"path">> => <<"compute">>,
                                                      <<"block-height">> => Slot,
                                                      <<"body">> => Message}, Opts),
    Data = wasmbeam_host:get(<<"results/data">>, Computed, Opts),
    Sent = wasmbeam_host:get(<<"results/outbox/1/data">>, Computed, Opts),
    _ = Slot rem ?SNAPSHOT_EVERY =:= 0 andalso store(Computed, Slot, Folder, Opts),
    io:format("slot ~b: ~ts, sent ~ts~n", [Slot, Data, Sent]),
    compute(Computed, Slot + 1, Folder, Opts).

%% The message with the state of its instance is all that is needed to go on; where it is found is
%% written last, and appears at once or not at all.
store(Process, Slot, Folder, Opts) ->
    {ok, Snapshot} = wasmbeam_host:resolve(Process, #{<<"path">> => <<"snapshot">>,
                                                      <<"mode">> => <<"Map">>}, Opts),
    {ok, Id} = wasmbeam_host:cache_write(Process#{<<"snapshot">> => Snapshot}, Opts),
    ok = file:write_file(latest(Folder) ++ ".new", [Id, " ", integer_to_list(Slot)]),
    ok = file:rename(latest(Folder) ++ ".new", latest(Folder)).

resumed_or_new(Folder, Image, Opts) ->
    case file:read_file(latest(Folder)) of
        {ok, <<Id:43/binary, " ", Slot/binary>>} ->
            {ok, Stored} = wasmbeam_host:cache_read(Id, Opts),
            {ok, Process} = wasmbeam_host:resolve(Stored, <<"normalize">>, Opts),
            {Process, binary_to_integer(Slot)};
        {error, enoent} ->
            {new_process(Image, Opts), 0}
    end.

latest(Folder) ->
    filename:join(Folder, "latest").

demonstrate(Image) ->
    Folder = filename:join(os:getenv("TMPDIR", "/tmp"), "wasmbeam-ao-process-" ++ os:getpid()),
    try
        {finished, 0, Whole} = run(filename:join(Folder, "whole"), Image, never),
        say("one run:        ~b slots, the last one ~ts", [length(Whole), lists:last(Whole)]),
        Broken = filename:join(Folder, "broken"),
        {killed, 0, First} = run(Broken, Image, ?KILLED_AFTER),
        say("another one:    killed after ~ts", [lists:last(First)]),
        {finished, From, Rest} = run(Broken, Image, never),
        say("started again:  from slot ~b, the last one ~ts", [From, lists:last(Rest)]),
        Whole = lists:sublist(First, From) ++ Rest,
        say("The results of all slots are the same.", [])
    after
        _ = file:del_dir_r(Folder)
    end.

%% Runs a process in another VM, and kills that after a slot.
run(Folder, Image, KilledAfter) ->
    ok = filelib:ensure_dir(latest(Folder)),
    Port = open_port({spawn_executable, os:find_executable("escript")},
                     [{args, [escript:script_name(), "run", Folder, Image]}, {line, 1000}, binary,
                      use_stdio, exit_status]),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    receive {Port, {data, {eol, <<"from ", From/binary>>}}} -> ok end,
    Slot = binary_to_integer(From),
    Slots = slots(Port, min(KilledAfter, ?SLOTS - Slot), []),
    _ = KilledAfter =/= never andalso os:cmd("kill -9 " ++ integer_to_list(Pid)),
    receive
        {Port, {exit_status, 0}} when KilledAfter =:= never -> {finished, Slot, Slots};
        {Port, {exit_status, _}} when KilledAfter =/= never -> {killed, Slot, Slots}
    end.

slots(Port, Wanted, Slots) when length(Slots) < Wanted ->
    true = port_command(Port, <<"next\n">>),
    receive {Port, {data, {eol, Line}}} -> slots(Port, Wanted, [Line | Slots]) end;
slots(_Port, _Wanted, Slots) ->
    lists:reverse(Slots).

say(Format, Arguments) ->
    io:format(Format ++ "~n", Arguments).
