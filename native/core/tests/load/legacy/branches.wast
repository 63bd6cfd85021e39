;; Every instruction with a label, from bodies and handlers, to labels within and without.
(module
  (type $struct (struct (field i32)))
  (tag $e0)
  (tag $i (param i32))

  ;; One path for each target: the values say which label was reached.
  (func (export "br_table_in_body") (param i32) (result i32)
    block $outer (result i32)
      block $middle (result i32)
        try $t (result i32)
          block $inner (result i32)
            i32.const 1
            (br_table $inner $t $middle $outer (local.get 0))
          end
          i32.const 10
          i32.add
        catch_all
          i32.const -1
        end
        i32.const 100
        i32.add
      end
      i32.const 1000
      i32.add
    end)

  (func (export "br_table_in_catch") (param i32) (result i32)
    block $outer (result i32)
      block $middle (result i32)
        try $t (result i32)
          throw $e0
        catch $i
        catch $e0
          block $inner (result i32)
            i32.const 1
            (br_table $inner $t $middle $outer (local.get 0))
          end
          i32.const 10
          i32.add
        catch_all
          i32.const -1
        end
        i32.const 100
        i32.add
      end
      i32.const 1000
      i32.add
    end)

  (func (export "br_table_in_last_catch") (param i32) (result i32)
    block $outer (result i32)
      block $middle (result i32)
        try $t (result i32)
          throw $e0
        catch $i
        catch_all
          block $inner (result i32)
            i32.const 1
            (br_table $inner $t $middle $outer (local.get 0))
          end
          i32.const 10
          i32.add
        end
        i32.const 100
        i32.add
      end
      i32.const 1000
      i32.add
    end)

  (func (export "br_table_in_delegating_try") (param i32) (result i32)
    try $skipped (result i32)
      block $outer (result i32)
        block $middle (result i32)
          try $t (result i32)
            block $inner (result i32)
              i32.const 1
              (br_table $inner $t $middle $outer (local.get 0))
            end
            i32.const 10
            i32.add
          delegate 3
          i32.const 100
          i32.add
        end
        i32.const 1000
        i32.add
      end
    catch_all
      unreachable
    end)

  (func (export "br_to_function") (param i32) (result i32)
    try $t (result i32)
      (if (i32.eqz (local.get 0)) (then (br 2 (i32.const 7))))
      throw $e0
    catch_all
      (if (i32.eq (local.get 0) (i32.const 1)) (then (br 2 (i32.const 8))))
      (br 1 (i32.const 9))
    end)

  ;; The same with a delegate to the caller, for which the whole body is wrapped.
  (func (export "br_to_wrapped_function") (param i32) (result i32)
    try $t (result i32)
      (if (i32.eqz (local.get 0)) (then (br 2 (i32.const 7))))
      (if (i32.eq (local.get 0) (i32.const 3)) (then
        try
          (throw $i (i32.const 3))
        delegate 2))
      throw $e0
    catch_all
      (if (i32.eq (local.get 0) (i32.const 1)) (then (br 2 (i32.const 8))))
      (br 1 (i32.const 9))
    end)

  (func (export "return_from_everywhere") (param i32) (result i32)
    try $t (result i32)
      (if (i32.eqz (local.get 0)) (then (return (i32.const 7))))
      try (result i32)
        (if (i32.eq (local.get 0) (i32.const 1)) (then (return (i32.const 8))))
        throw $e0
      delegate $t
    catch $e0
      (return (i32.const 9))
    end
    i32.const -1
    i32.add)

  (func (export "loop_from_catch") (param i32) (result i32)
    (local $count i32)
    loop $again (result i32)
      try $t (result i32)
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (if (i32.lt_u (local.get $count) (local.get 0)) (then (throw $e0)))
        local.get $count
      catch $e0
        br $again
      end
    end)

  (func (export "loop_with_parameter_from_catch") (param i32) (result i32)
    local.get 0
    loop $again (param i32) (result i32)
      try $t (param i32) (result i32)
        throw $i
      catch $i
        i32.const 1
        i32.sub
        local.tee 0
        local.get 0
        br_if $again
      end
    end)

  (func (export "try_in_loop_leaves_by_br_if") (param i32) (result i32)
    (local $sum i32)
    block $done
      loop $again
        try
          local.get 0
          i32.eqz
          br_if $done
          local.get 0
          throw $i
        catch $i
          local.get $sum
          i32.add
          local.set $sum
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          br $again
        catch_all
          unreachable
        end
      end
    end
    local.get $sum)

  (func (export "br_if_to_try_with_results") (param i32) (result i32 i64)
    try $t (result i32 i64)
      i32.const 1
      i64.const 2
      local.get 0
      br_if $t
      drop
      drop
      throw $e0
    catch_all
      i32.const 3
      i64.const 4
      local.get 0
      br_if $t
    end)

  (func (export "br_on_null") (param externref) (result i32)
    block $outer
      try $t
        block
          local.get 0
          br_on_null $outer
          drop
        end
        throw $e0
      catch $e0
        local.get 0
        br_on_null $t
        drop
        i32.const 2
        return
      end
      unreachable
    end
    i32.const 1)

  (func (export "br_on_non_null") (param externref) (result externref)
    block $outer (result (ref extern))
      try $t
        throw $e0
      catch $e0
        try
          throw $e0
        catch_all
          local.get 0
          br_on_non_null $outer
        end
      end
      ref.null extern
      return
    end)

  (func (export "br_on_cast") (param i32) (result i32)
    (local $any anyref)
    (local.set $any (if (result anyref) (local.get 0)
      (then (struct.new $struct (i32.const 31)))
      (else (ref.i31 (i32.const 32)))))
    block $outer (result (ref $struct))
      try $t (result (ref $struct))
        throw $e0
      catch $e0
        local.get $any
        br_on_cast $outer anyref (ref $struct)
        try $cast (param anyref) (result anyref)
          br_on_cast $cast anyref (ref i31)
          throw $e0
        catch_all
          unreachable
        end
        ref.cast (ref i31)
        i31.get_s
        return
      end
    end
    struct.get $struct 0)

  (func (export "br_on_cast_fail") (param i32) (result i32)
    (local $any anyref)
    (local.set $any (if (result anyref) (local.get 0)
      (then (struct.new $struct (i32.const 31)))
      (else (ref.i31 (i32.const 32)))))
    block $outer (result anyref)
      try $t
        throw $e0
      catch $e0
        local.get $any
        br_on_cast_fail $outer anyref (ref $struct)
        struct.get $struct 0
        return
      end
      unreachable
    end
    ref.cast (ref i31)
    i31.get_s)

  (func (export "if_else_around_and_within") (param i32) (result i32)
    (if (result i32) (i32.and (local.get 0) (i32.const 1))
      (then
        try (result i32)
          (if (result i32) (i32.and (local.get 0) (i32.const 2))
            (then (throw $e0))
            (else (i32.const 1)))
        catch_all
          (if (result i32) (i32.and (local.get 0) (i32.const 4))
            (then (br 2 (i32.const 6)))
            (else (i32.const 3)))
        end)
      (else
        try $t (result i32)
          (throw $i (i32.const 5))
        catch $i
        end))))

(assert_return (invoke "br_table_in_body" (i32.const 0)) (i32.const 1111))
(assert_return (invoke "br_table_in_body" (i32.const 1)) (i32.const 1101))
(assert_return (invoke "br_table_in_body" (i32.const 2)) (i32.const 1001))
(assert_return (invoke "br_table_in_body" (i32.const 3)) (i32.const 1))
(assert_return (invoke "br_table_in_body" (i32.const -1)) (i32.const 1))
(assert_return (invoke "br_table_in_catch" (i32.const 0)) (i32.const 1111))
(assert_return (invoke "br_table_in_catch" (i32.const 1)) (i32.const 1101))
(assert_return (invoke "br_table_in_catch" (i32.const 2)) (i32.const 1001))
(assert_return (invoke "br_table_in_catch" (i32.const 3)) (i32.const 1))
(assert_return (invoke "br_table_in_last_catch" (i32.const 0)) (i32.const 1111))
(assert_return (invoke "br_table_in_last_catch" (i32.const 1)) (i32.const 1101))
(assert_return (invoke "br_table_in_last_catch" (i32.const 2)) (i32.const 1001))
(assert_return (invoke "br_table_in_last_catch" (i32.const 3)) (i32.const 1))
(assert_return (invoke "br_table_in_delegating_try" (i32.const 0)) (i32.const 1111))
(assert_return (invoke "br_table_in_delegating_try" (i32.const 1)) (i32.const 1101))
(assert_return (invoke "br_table_in_delegating_try" (i32.const 2)) (i32.const 1001))
(assert_return (invoke "br_table_in_delegating_try" (i32.const 3)) (i32.const 1))
(assert_return (invoke "br_to_function" (i32.const 0)) (i32.const 7))
(assert_return (invoke "br_to_function" (i32.const 1)) (i32.const 8))
(assert_return (invoke "br_to_function" (i32.const 2)) (i32.const 9))
(assert_return (invoke "br_to_wrapped_function" (i32.const 0)) (i32.const 7))
(assert_return (invoke "br_to_wrapped_function" (i32.const 1)) (i32.const 8))
(assert_return (invoke "br_to_wrapped_function" (i32.const 2)) (i32.const 9))
(assert_exception (invoke "br_to_wrapped_function" (i32.const 3)))
(assert_return (invoke "return_from_everywhere" (i32.const 0)) (i32.const 7))
(assert_return (invoke "return_from_everywhere" (i32.const 1)) (i32.const 8))
(assert_return (invoke "return_from_everywhere" (i32.const 2)) (i32.const 9))
(assert_return (invoke "loop_from_catch" (i32.const 5)) (i32.const 5))
(assert_return (invoke "loop_with_parameter_from_catch" (i32.const 5)) (i32.const 0))
(assert_return (invoke "try_in_loop_leaves_by_br_if" (i32.const 4)) (i32.const 10))
(assert_return (invoke "br_if_to_try_with_results" (i32.const 0)) (i32.const 3) (i64.const 4))
(assert_return (invoke "br_if_to_try_with_results" (i32.const 1)) (i32.const 1) (i64.const 2))
(assert_return (invoke "br_on_null" (ref.null extern)) (i32.const 1))
(assert_return (invoke "br_on_null" (ref.extern 1)) (i32.const 2))
(assert_return (invoke "br_on_non_null" (ref.null extern)) (ref.null extern))
(assert_return (invoke "br_on_non_null" (ref.extern 9)) (ref.extern 9))
(assert_return (invoke "br_on_cast" (i32.const 1)) (i32.const 31))
(assert_return (invoke "br_on_cast" (i32.const 0)) (i32.const 32))
(assert_return (invoke "br_on_cast_fail" (i32.const 1)) (i32.const 31))
(assert_return (invoke "br_on_cast_fail" (i32.const 0)) (i32.const 32))
(assert_return (invoke "if_else_around_and_within" (i32.const 0)) (i32.const 5))
(assert_return (invoke "if_else_around_and_within" (i32.const 1)) (i32.const 1))
(assert_return (invoke "if_else_around_and_within" (i32.const 3)) (i32.const 3))
(assert_return (invoke "if_else_around_and_within" (i32.const 7)) (i32.const 6))
