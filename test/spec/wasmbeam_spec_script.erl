%% @doc Runs the directives of one test script through the `wasmbeam' API.
%%
%% All modules of a script share one store, that of its `spectest' instance, so
%% that they can import each other's functions, memories, tables and globals.
%% The instances belong to the calling process and are freed when it ends.
-module(wasmbeam_spec_script).

-export([run/2]).

-export_type([directive/0, outcome/0, result/0]).

-type name() :: binary() | undefined.
-type source() :: {binary | text, binary()}.
-type action() ::
    {invoke, name(), Function :: binary(), [wasmbeam_spec_value:argument()]}
    | {get, name(), Global :: binary()}
    | {instantiate, source()}.
-type directive() ::
    {module | module_definition, name(), source()}
    | {module_instance, name(), Definition :: name()}
    | {register, As :: binary(), name()}
    | {action, action()}
    | {assert_return, action(), [wasmbeam_spec_value:pattern()]}
    | {assert_trap | assert_exhaustion | assert_suspension, action(), Message :: binary()}
    | {assert_exception, action()}
    | {assert_invalid
        | assert_malformed
        | assert_invalid_custom
        | assert_malformed_custom
        | assert_unlinkable,
        source(), Message :: binary()}
    | {unsupported | unparsable, binary()}.
-type outcome() :: passed | {failed, Reason :: term()} | {skipped, Reason :: term()}.
-type result() :: {Line :: pos_integer(), Kind :: atom(), outcome()}.

-record(script, {
    spectest :: term(),
    %% By name, and `undefined' for the newest; a module that failed is absent.
    definitions = #{} :: #{name() => source()},
    instances = #{} :: #{name() => term()},
    registered :: #{binary() => term()}
}).

%% @doc Runs the directives in order; `Folder' holds `spectest.wat'.
-spec run([{pos_integer(), directive()}], file:filename_all()) -> [result()].
run(Directives, Folder) ->
    {Results, _} = lists:mapfoldl(fun step/2, new(Folder), Directives),
    Results.

new(Folder) ->
    {ok, Text} = file:read_file(filename:join(Folder, "spectest.wat")),
    {ok, Spectest} = wasmbeam:start(Text, #{imports => #{<<"host">> => host_functions()}}),
    #script{spectest = Spectest, registered = #{<<"spectest">> => Spectest}}.

host_functions() ->
    Print = fun(_Args) -> [] end,
    maps:from_keys(
        [
            <<"print">>,
            <<"print_i32">>,
            <<"print_i64">>,
            <<"print_f32">>,
            <<"print_f64">>,
            <<"print_i32_f32">>,
            <<"print_f64_f64">>
        ],
        Print
    ).

%% A crash of the runner or of the API counts as the directive's failure.
step({Line, Directive}, Script) ->
    {Outcome, Next} =
        try
            directive(Directive, Script)
        catch
            Class:Reason:Stack -> {{failed, {Class, Reason, Stack}}, Script}
        end,
    {{Line, element(1, Directive), Outcome}, Next}.

directive({module, Name, Source}, Script) ->
    Defined = define(Name, Source, Script),
    instantiate(Name, Source, Defined);
directive({module_definition, Name, Source}, Script) ->
    {compiled(Source), define(Name, Source, Script)};
directive({module_instance, Name, Definition}, #script{definitions = Definitions} = Script) ->
    case Definitions of
        #{Definition := Source} -> instantiate(Name, Source, Script);
        #{} -> {{failed, {no_definition, Definition}}, Script}
    end;
directive({register, As, Name}, #script{registered = Registered} = Script) ->
    case instance(Name, Script) of
        {ok, Instance} -> {passed, Script#script{registered = Registered#{As => Instance}}};
        {error, Reason} -> {{failed, Reason}, Script}
    end;
directive({unparsable, Message}, Script) ->
    {{failed, {unparsable, Message}}, Script};
directive({unsupported, Keyword}, Script) ->
    {{skipped, {unsupported, Keyword}}, Script};
directive({assert_suspension, _Action, _Message}, Script) ->
    {{skipped, {unsupported, <<"assert_suspension">>}}, Script};
directive(Assertion, Script) ->
    {assertion(Assertion, Script), Script}.

define(Name, Source, #script{definitions = Definitions} = Script) ->
    Script#script{definitions = Definitions#{undefined => Source, Name => Source}}.

instantiate(Name, Source, #script{instances = Instances} = Script) ->
    case start(Source, Script) of
        {ok, Instance} ->
            {passed, Script#script{instances = Instances#{undefined => Instance, Name => Instance}}};
        {error, Error} ->
            %% Later assertions must not fall back on an older instance.
            Left = maps:without([undefined, Name], Instances),
            {{failed, Error}, Script#script{instances = Left}}
    end.

start({_Form, Bytes}, #script{spectest = Spectest, registered = Registered}) ->
    wasmbeam:start(Bytes, #{
        imports => Registered,
        store => Spectest,
        unknown_imports => error
    }).

compiled({_Form, Bytes}) ->
    case wasmbeam:compile(Bytes) of
        {ok, _Module} -> passed;
        {error, Error} -> {failed, Error}
    end.

instance(Name, #script{instances = Instances}) ->
    case Instances of
        #{Name := Instance} -> {ok, Instance};
        #{} -> {error, {no_instance, Name}}
    end.

assertion({action, Action}, Script) ->
    case perform(Action, Script) of
        {ok, _Values} -> passed;
        {error, Error} -> {failed, Error}
    end;
assertion({assert_return, Action, Patterns}, Script) ->
    case perform(Action, Script) of
        {ok, Values} -> returned(Patterns, Values);
        {error, Error} -> {failed, Error}
    end;
assertion({assert_trap, Action, Text}, Script) ->
    trapped(wasmbeam_spec_trap:codes(Text), Text, perform(Action, Script));
assertion({assert_exhaustion, Action, Text}, Script) ->
    trapped([stack_overflow], Text, perform(Action, Script));
assertion({assert_exception, Action}, Script) ->
    failed_with(exception, perform(Action, Script));
assertion({assert_unlinkable, Source, <<"unknown import", _/binary>>}, Script) ->
    failed_with(unknown_import, start(Source, Script));
assertion({assert_unlinkable, Source, <<"incompatible import", _/binary>>}, Script) ->
    failed_with(incompatible_import, start(Source, Script));
assertion({Kind, {_Form, Bytes}, _Text}, _Script) when
    Kind =:= assert_invalid;
    Kind =:= assert_malformed;
    Kind =:= assert_invalid_custom;
    Kind =:= assert_malformed_custom
->
    failed_with(invalid_module, wasmbeam:compile(Bytes)).

perform({invoke, Name, Function, Arguments}, Script) ->
    case instance(Name, Script) of
        {ok, Instance} ->
            Values = lists:map(fun wasmbeam_spec_value:from_argument/1, Arguments),
            wasmbeam:call(Instance, Function, Values);
        {error, _} = Error ->
            Error
    end;
perform({get, Name, Global}, Script) ->
    case instance(Name, Script) of
        {ok, Instance} -> one_value(wasmbeam:global_get(Instance, Global));
        {error, _} = Error -> Error
    end;
perform({instantiate, Source}, Script) ->
    case start(Source, Script) of
        {ok, _Instance} -> {ok, []};
        {error, _} = Error -> Error
    end.

one_value({ok, Value}) -> {ok, [Value]};
one_value({error, _} = Error) -> Error.

returned(Patterns, Values) ->
    Matches = fun({Pattern, Value}) -> wasmbeam_spec_value:matches(Pattern, Value) end,
    SameLength = length(Patterns) =:= length(Values),
    case SameLength andalso lists:all(Matches, lists:zip(Patterns, Values)) of
        true -> passed;
        false -> {failed, {expected, Patterns, got, Values}}
    end.

trapped(Codes, Text, {error, {trap, #{code := Code}}} = Got) ->
    case lists:member(Code, Codes) of
        true -> passed;
        false -> {failed, {expected_trap, Text, got, Got}}
    end;
trapped(_Codes, Text, Got) ->
    {failed, {expected_trap, Text, got, Got}}.

failed_with(Class, {error, {Class, #{message := _}}}) -> passed;
failed_with(Class, Got) -> {failed, {expected, Class, got, Got}}.
