;; Standard and legacy instructions in one function.
(module
  (tag $e0)
  (tag $i (param i32))
  (tag $j (param i32))

  (func (export "legacy_within_standard") (param i32) (result i32)
    block $caught (result i32)
      (try_table (result i32) (catch $i $caught)
        try (result i32)
          (if (i32.eqz (local.get 0)) (then (throw $e0)))
          (throw $i (i32.const 2))
        catch $e0
          i32.const 1
        end)
      i32.const 100
      i32.add
    end)

  (func (export "standard_within_legacy") (param i32) (result i32)
    try (result i32)
      block $caught (result i32)
        (try_table (catch $i $caught)
          (if (i32.eqz (local.get 0)) (then (throw $i (i32.const 1))))
          (throw $j (i32.const 2)))
        unreachable
      end
      i32.const 10
      i32.add
    catch $j
      i32.const 20
      i32.add
    end)

  ;; The catches of a standard try_table that stands in a body and in handlers.
  (func (export "catches_to_outer_labels") (param i32) (result i32)
    block $outer (result i32)
      try $t (result i32)
        (if (local.get 0) (then (throw $e0)))
        (try_table (catch $i $t) (catch $j $outer)
          (throw $i (i32.const 1)))
        unreachable
      catch $e0
        (if (i32.eq (local.get 0) (i32.const 1)) (then
          (try_table (catch $i $t) (catch $j $outer)
            (throw $i (i32.const 2)))))
        (try_table (catch $i $t) (catch $j $outer)
          (throw $j (i32.const 3)))
        unreachable
      end
      i32.const 10
      i32.add
    end)

  (func (export "delegate_to_a_try_table") (param i32) (result i32)
    block $caught (result i32)
      (try_table $standard (catch $i $caught)
        try
          try
            (if (local.get 0) (then (throw $i (i32.const 5))))
          delegate $standard
        catch_all
          unreachable
        end)
      i32.const 6
    end)

  (func (export "delegate_to_a_try_table_with_parameters") (param i32) (result i32 i32)
    block $caught (result i32)
      i32.const 7
      (try_table $standard (param i32) (result i32 i32) (catch $i $caught)
        try
          try
            (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $i (i32.const 5))))
            (br_if 4 (i32.const 11) (i32.const 12) (i32.eq (local.get 0) (i32.const 2)))
            drop
            drop
          delegate $standard
        catch_all
          unreachable
        end
        i32.const 8)
      return
    end
    i32.const 9)

  (func (export "delegate_past_a_try_table") (result i32)
    try $outer (result i32)
      block $caught (result i32)
        (try_table (catch $i $caught)
          try
            (throw $i (i32.const 5))
          delegate $outer)
        unreachable
      end
      i32.const 100
      i32.add
    catch $i
      i32.const 1
      i32.add
    end)

  ;; A try_table that catches nothing does not stop a delegate either.
  (func (export "delegate_to_an_empty_try_table") (result i32)
    try (result i32)
      (try_table $nothing
        try
          try
            (throw $i (i32.const 15))
          delegate $nothing
        catch_all
          unreachable
        end)
      unreachable
    catch $i
    end)

  (func (export "delegate_to_a_try_table_that_does_not_match") (result i32)
    try (result i32)
      block $caught (result i32)
        (try_table $standard (catch $j $caught)
          try
            try
              (throw $i (i32.const 16))
            delegate $standard
          catch_all
            unreachable
          end)
        unreachable
      end
    catch $i
    end)

  (func (export "throw_ref_caught_by_legacy") (result i32)
    (local $exn exnref)
    block $caught (result exnref)
      (try_table (catch_all_ref $caught)
        (throw $i (i32.const 17)))
      unreachable
    end
    local.set $exn
    try (result i32)
      local.get $exn
      throw_ref
    catch $i
    end)

  (func (export "legacy_rethrow_caught_by_reference") (result i32)
    (local $exn exnref)
    block $again (result i32)
      block $caught (result exnref)
        (try_table (catch_all_ref $caught)
          try $t
            (throw $i (i32.const 18))
          catch_all
            rethrow $t
          end)
        unreachable
      end
      local.set $exn
      (try_table (catch $i $again)
        local.get $exn
        throw_ref)
      unreachable
    end)

  (func (export "null_exception") (result i32)
    try (result i32)
      ref.null exn
      throw_ref
    catch_all
      i32.const 1
    end)

  (func (export "untouched") (result i32)
    block $caught (result i32)
      (try_table (catch $i $caught) (throw $i (i32.const 19)))
      i32.const 6
    end))

(assert_return (invoke "legacy_within_standard" (i32.const 0)) (i32.const 101))
(assert_return (invoke "legacy_within_standard" (i32.const 1)) (i32.const 2))
(assert_return (invoke "standard_within_legacy" (i32.const 0)) (i32.const 11))
(assert_return (invoke "standard_within_legacy" (i32.const 1)) (i32.const 22))
(assert_return (invoke "catches_to_outer_labels" (i32.const 0)) (i32.const 11))
(assert_return (invoke "catches_to_outer_labels" (i32.const 1)) (i32.const 12))
(assert_return (invoke "catches_to_outer_labels" (i32.const 2)) (i32.const 3))
(assert_return (invoke "delegate_to_a_try_table" (i32.const 1)) (i32.const 5))
(assert_return (invoke "delegate_to_a_try_table" (i32.const 0)) (i32.const 6))
(assert_return (invoke "delegate_to_a_try_table_with_parameters" (i32.const 0)) (i32.const 7) (i32.const 8))
(assert_return (invoke "delegate_to_a_try_table_with_parameters" (i32.const 1)) (i32.const 5) (i32.const 9))
(assert_return (invoke "delegate_to_a_try_table_with_parameters" (i32.const 2)) (i32.const 11) (i32.const 12))
(assert_return (invoke "delegate_past_a_try_table") (i32.const 6))
(assert_return (invoke "delegate_to_an_empty_try_table") (i32.const 15))
(assert_return (invoke "delegate_to_a_try_table_that_does_not_match") (i32.const 16))
(assert_return (invoke "throw_ref_caught_by_legacy") (i32.const 17))
(assert_return (invoke "legacy_rethrow_caught_by_reference") (i32.const 18))
(assert_trap (invoke "null_exception") "null reference")
(assert_return (invoke "untouched") (i32.const 19))
