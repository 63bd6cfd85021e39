;; Throwing, without any try in the function, and within one.
(module
  (tag $e0)
  (tag $i32 (param i32))
  (tag $f32 (param f32))
  (tag $i64 (param i64))
  (tag $f64 (param f64))
  (tag $pair (param i32 i32))
  (tag $many (param i32 i64 f32 f64 externref))

  (func $throw_if (export "throw_if") (param i32) (result i32)
    (if (i32.ne (local.get 0) (i32.const 0)) (then (throw $e0)))
    (i32.const 0))
  (func (export "throw_i32") (throw $i32 (i32.const 5)))
  (func (export "throw_f32") (param f32) (throw $f32 (local.get 0)))
  (func (export "throw_i64") (param i64) (throw $i64 (local.get 0)))
  (func (export "throw_f64") (param f64) (throw $f64 (local.get 0)))
  (func $throw_pair (throw $pair (i32.const 1) (i32.const 2)))

  (func (export "throw_polymorphic") (throw $e0) (i32.const 1) (drop))
  (func (export "throw_polymorphic_block") (result i32)
    (block (result i32) (throw $e0)))
  (func (export "throw_with_operands_beneath") (result i32)
    (i32.const 1) (i32.const 2) (throw $i32 (i32.const 3)))

  (func (export "catch_pair") (result i32)
    try (result i32)
      i32.const 9
      i32.const 8
      call $throw_pair
      drop
    catch $pair
      i32.sub
    end)

  (func (export "catch_many") (param externref) (result i32 i64 f32 f64 externref)
    try (result i32 i64 f32 f64 externref)
      i32.const 1
      i64.const 2
      f32.const 3
      f64.const 4
      local.get 0
      throw $many
    catch $many
    end)

  (func (export "catch_many_caught_by_all") (result i32)
    try (result i32)
      i32.const 1
      i64.const 2
      f32.const 3
      f64.const 4
      ref.null extern
      throw $many
    catch_all
      i32.const 7
    end)

  ;; An exception thrown in a handler is not that handler's.
  (func (export "throw_in_catch") (result i32)
    try (result i32)
      try (result i32)
        throw $e0
      catch $e0
        throw $e0
      catch_all
        i32.const 1
      end
    catch $e0
      i32.const 2
    end)

  (func (export "throw_in_catch_all_leaves") 
    try
      throw $e0
    catch_all
      i32.const 4
      throw $i32
    end)

  (func (export "deep_callee") (param i32) (result i32)
    try (result i32)
      local.get 0
      call $descend
      i32.const -1
    catch $i32
    end)
  (func $descend (param i32)
    (if (i32.eqz (local.get 0)) (then (throw $i32 (i32.const 77))))
    (call $descend (i32.sub (local.get 0) (i32.const 1)))))

(assert_return (invoke "throw_if" (i32.const 0)) (i32.const 0))
(assert_exception (invoke "throw_if" (i32.const 10)))
(assert_exception (invoke "throw_if" (i32.const -1)))
(assert_exception (invoke "throw_i32"))
(assert_exception (invoke "throw_f32" (f32.const 5.0)))
(assert_exception (invoke "throw_i64" (i64.const 5)))
(assert_exception (invoke "throw_f64" (f64.const 5.0)))
(assert_exception (invoke "throw_polymorphic"))
(assert_exception (invoke "throw_polymorphic_block"))
(assert_exception (invoke "throw_with_operands_beneath"))
(assert_return (invoke "catch_pair") (i32.const -1))
(assert_return (invoke "catch_many" (ref.extern 6))
  (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (ref.extern 6))
(assert_return (invoke "catch_many_caught_by_all") (i32.const 7))
(assert_return (invoke "throw_in_catch") (i32.const 2))
(assert_exception (invoke "throw_in_catch_all_leaves"))
(assert_return (invoke "deep_callee" (i32.const 100)) (i32.const 77))

(assert_invalid (module (func (throw 0))) "unknown tag 0")
(assert_invalid (module (tag (param i32)) (func (throw 0))) "type mismatch")
(assert_invalid (module (tag (param i32)) (func (i64.const 5) (throw 0))) "type mismatch")
(assert_invalid (module (func try throw 0 catch_all end)) "unknown tag 0")
(assert_invalid (module (tag (param i32)) (func try throw 0 catch_all end)) "type mismatch")
(assert_invalid (module (func try catch 0 end)) "unknown tag")
