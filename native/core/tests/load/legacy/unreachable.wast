;; Legacy instructions where no code is reached.
(module
  (tag $e0)
  (tag $i (param i32))

  (func (export "after_return") (result i32)
    (return (i32.const 1))
    try (result i32)
      throw $e0
    catch $i
    catch_all
      i32.const 2
    end)

  (func (export "after_br") (result i32)
    block (result i32)
      i32.const 2
      br 0
      try $t (param i32 i32) (result i32)
        try (param i32)
          throw $i
        delegate $t
      catch $i
        rethrow $t
      catch_all
        unreachable
      end
    end)

  (func (export "after_throw") (result i32)
    try (result i32)
      throw $e0
      try $t (param i32) (result i32)
        i32.const 0
        br_table $t $t 1
      catch_all
        rethrow $t
      end
    catch $e0
      i32.const 3
      return
      try $u (result i32)
        i32.const 0
      catch $i
      catch_all
        rethrow $u
      end
    end)

  (func (export "after_rethrow") (result i32)
    try (result i32)
      try $t (result i32)
        throw $e0
      catch_all
        rethrow $t
        try
          rethrow $t
        delegate $t
        i32.add
      end
    catch $e0
      i32.const 4
    end)

  (func (export "unreachable_body") (result i32)
    try (result i32)
      unreachable
    catch_all
      i32.const 1
    end)

  (func (export "unreachable_handler") (param i32) (result i32)
    try (result i32)
      (if (local.get 0) (then (throw $e0)))
      i32.const 5
    catch_all
      unreachable
    end)

  (func (export "unreachable_end") (param i32) (result i32)
    try
      (if (local.get 0) (then (throw $e0)))
      (return (i32.const 6))
    catch_all
      (return (i32.const 7))
    end
    unreachable))

(assert_return (invoke "after_return") (i32.const 1))
(assert_return (invoke "after_br") (i32.const 2))
(assert_return (invoke "after_throw") (i32.const 3))
(assert_return (invoke "after_rethrow") (i32.const 4))
(assert_trap (invoke "unreachable_body") "unreachable")
(assert_return (invoke "unreachable_handler" (i32.const 0)) (i32.const 5))
(assert_trap (invoke "unreachable_handler" (i32.const 1)) "unreachable")
(assert_return (invoke "unreachable_end" (i32.const 0)) (i32.const 6))
(assert_return (invoke "unreachable_end" (i32.const 1)) (i32.const 7))
