%% @doc What can be said of modules and snapshots without running them.
-module(wasmbeam_describe_tests).

-include_lib("eunit/include/eunit.hrl").

features_are_named_by_their_proposals_test_() ->
    [{Name, ?_assertEqual({ok, Features}, wasmbeam:features(Text))}
     || {Name, Features, Text} <-
         [{"none", [], <<"(module (func (export \"f\")))">>},
          {"simd", [<<"simd">>], <<"(module (func (result v128) (v128.const i64x2 0 0)))">>},
          {"memory64", [<<"memory64">>], <<"(module (memory i64 1))">>},
          {"threads", [<<"threads">>], <<"(module (memory 1 1 shared))">>},
          {"memories", [<<"multi-memory">>], <<"(module (memory 1) (memory 1))">>},
          {"tail calls", [<<"tail-call">>], <<"(module (func (return_call 0)))">>},
          {"sign extension", [<<"sign-extension">>],
           <<"(module (func (drop (i32.extend8_s (i32.const 1)))))">>},
          {"exceptions", [<<"exceptions">>], <<"(module (tag))">>}]].

features_of_what_is_no_module_are_an_error_test() ->
    ?assertMatch({error, {invalid_module, #{message := _}}}, wasmbeam:features(<<0, "asm", 9>>)),
    ?assertMatch({error, {bad_argument, _}}, wasmbeam:features("(module)")).

providers_are_told_for_each_import_test() ->
    Text = <<"(module (import \"shop\" \"price\" (func))"
             " (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32)))"
             " (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i64)))"
             " (import \"env\" \"emscripten_notify_memory_growth\" (func (param i32)))"
             " (memory (export \"memory\") 1))">>,
    {ok, Module} = wasmbeam:compile(Text),
    ?assertEqual({ok, [none, wasi, none, emscripten]}, wasmbeam:providers(Text)),
    ?assertEqual({ok, [none, wasi, none, emscripten]}, wasmbeam:providers(Module)),
    ?assertMatch({error, {bad_argument, _}}, wasmbeam:providers(none)),
    ?assertMatch({error, {invalid_module, _}}, wasmbeam:providers(<<"(">>)).

%% Snapshots

-define(STATEFUL, <<"(module
    (memory (export \"memory\") 2 4) (memory 1)
    (global (export \"g\") (mut i32) (i32.const 1)) (global (mut i64) (i64.const 2))
    (table 3 funcref)
    (data $d \"passive\")
    (func (export \"drop\") (data.drop $d)))">>).

a_snapshot_tells_what_is_in_it_test() ->
    {I, Snapshot} = stateful(#{compression => lz4}),
    {ok, Info} = wasmbeam:snapshot_info(Snapshot),
    #{id := Id, memories := [First, Second], sections := Sections} = Info,
    ?assertMatch(#{version := 1, base := none, globals := 2, tables := [3], dropped_data := 1,
                   dropped_elements := 0}, Info),
    ?assertEqual(string:lowercase(binary:encode_hex(crypto:hash(sha256, ?STATEFUL))),
                 map_get(module, Info)),
    %% The last 16 bytes are the id.
    ?assertEqual(string:lowercase(binary:encode_hex(binary:part(Snapshot, byte_size(Snapshot), -16))),
                 Id),
    ?assertMatch([{<<"MEMS">>, _}, {<<"GLOB">>, _}, {<<"TABL">>, _}, {<<"DROP">>, _}], Sections),
    %% A header of 72 bytes, one of 16 for each section, the checksum.
    ?assertEqual(byte_size(Snapshot),
                 72 + lists:sum([16 + Bytes || {_, Bytes} <- Sections]) + 16),
    ?assertMatch(#{bytes := 131072, page_size := 65536, compression := lz4, stored_pages := 2,
                   zeroed_pages := 0}, First),
    ?assert(map_get(stored_bytes, First) < 2 * 4096),
    ?assertMatch(#{bytes := 65536, stored_pages := 0, stored_bytes := 0}, Second),
    ok = wasmbeam:stop(I).

an_incremental_snapshot_names_its_base_test() ->
    {I, Base} = stateful(#{}),
    ok = wasmbeam:memory_write(I, 0, <<0:4096/unit:8>>),
    {ok, Next} = wasmbeam:serialize(I, #{base => Base}),
    {ok, #{id := Id, memories := [#{stored_pages := 2, stored_bytes := 8192} | _]}} =
        wasmbeam:snapshot_info(Base),
    ?assertMatch({ok, #{base := Id, memories := [#{stored_pages := 0, zeroed_pages := 1} | _]}},
                 wasmbeam:snapshot_info(Next)),
    ok = wasmbeam:stop(I).

what_is_no_snapshot_is_an_error_test() ->
    [?assertMatch({error, {bad_snapshot, #{message := _}}}, wasmbeam:snapshot_info(Bytes))
     || Bytes <- [<<>>, <<"text">>, binary:copy(<<0>>, 1000)]],
    ?assertMatch({error, {bad_argument, _}}, wasmbeam:snapshot_info([<<>>])).

%% Every prefix, and every byte changed.
a_damaged_snapshot_is_an_error_test_() ->
    {timeout, 60, fun() ->
        {I, Snapshot} = stateful(#{compression => zstd}),
        ok = wasmbeam:stop(I),
        Cut = [binary:part(Snapshot, 0, Size) || Size <- lists:seq(0, byte_size(Snapshot) - 1)],
        Changed = [change(Snapshot, At) || At <- lists:seq(0, byte_size(Snapshot) - 1)],
        [?assertMatch({error, {bad_snapshot, _}}, wasmbeam:snapshot_info(Bytes))
         || Bytes <- Cut ++ Changed]
    end}.

change(Bytes, At) ->
    <<Before:At/binary, Byte, After/binary>> = Bytes,
    <<Before/binary, (Byte bxor 16#41), After/binary>>.

stateful(Options) ->
    {ok, I} = wasmbeam:start(?STATEFUL),
    ok = wasmbeam:memory_write(I, 0, <<"first page">>),
    ok = wasmbeam:memory_write(I, 100000, <<"another page">>),
    {ok, []} = wasmbeam:call(I, <<"drop">>, []),
    {ok, Snapshot} = wasmbeam:serialize(I, Options),
    {I, Snapshot}.
