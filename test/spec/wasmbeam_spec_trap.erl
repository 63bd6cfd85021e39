%% @doc What the scripts' texts for traps mean as `code's of wasmbeam's errors.
-module(wasmbeam_spec_trap).

-export([codes/1]).

%% @doc The codes that a trap of this text may have; none for an unknown text.
-spec codes(binary()) -> [atom()].
codes(Text) ->
    case re:run(Text, "^(.*) \\d+$", [{capture, all_but_first, binary}]) of
        %% "uninitialized element 2" names the element as well.
        {match, [Kind]} -> meaning(Kind);
        nomatch -> meaning(Text)
    end.

meaning(<<"unreachable">>) -> [unreachable];
meaning(<<"integer divide by zero">>) -> [integer_divide_by_zero];
meaning(<<"integer overflow">>) -> [integer_overflow];
meaning(<<"invalid conversion to integer">>) -> [bad_conversion_to_integer];
meaning(<<"out of bounds memory access">>) -> [memory_out_of_bounds];
meaning(<<"out of bounds table access">>) -> [table_out_of_bounds];
meaning(<<"out of bounds array access">>) -> [array_out_of_bounds];
meaning(<<"undefined element">>) -> [table_out_of_bounds];
meaning(<<"uninitialized element">>) -> [indirect_call_to_null];
meaning(<<"indirect call type mismatch">>) -> [bad_signature];
meaning(<<"call stack exhausted">>) -> [stack_overflow];
meaning(<<"cast failure">>) -> [cast_failure];
meaning(<<"null reference">>) -> [null_reference];
meaning(<<"null structure reference">>) -> [null_reference];
meaning(<<"null array reference">>) -> [null_reference];
meaning(<<"null i31 reference">>) -> [null_reference];
meaning(<<"null exception reference">>) -> [null_reference];
%% A call of null is one code for a reference and for a table's element.
meaning(<<"null function reference">>) -> [null_reference, indirect_call_to_null];
meaning(<<"unaligned atomic">>) -> [heap_misaligned];
meaning(<<"expected shared memory">>) -> [atomic_wait_non_shared_memory];
meaning(_) -> [].
