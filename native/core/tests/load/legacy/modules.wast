;; Imports, memories of 64 bits, data, tables, start functions, tail calls.
(module $lib
  (tag $shared (export "shared") (param i64))
  (tag $other (export "other") (param i64))
  (func (export "throw_shared") (param i64) (throw $shared (local.get 0)))
  (func (export "catch_other") (param i64) (result i64)
    try (result i64)
      (throw $other (local.get 0))
    catch $other
    end))
(register "lib" $lib)

(module
  (import "lib" "throw_shared" (func $throw_shared (param i64)))
  (import "lib" "shared" (tag $imported (param i64)))
  (import "lib" "other" (tag $imported_other (param i64)))
  (tag $local (param i64))
  (memory $m i64 1 2)
  (data $d "\01\02\03\04\05\06\07\08")
  (global $started (mut i32) (i32.const 0))
  (table $t 4 funcref)
  (elem (table $t) (i32.const 1) func $throw_shared $thrower)
  (type $thrower (func (param i64)))
  (start $start)

  (func $start
    try
      (throw $local (i64.const 1))
    catch $local
      drop
      (global.set $started (i32.const 1))
    end)
  (func (export "started") (result i32) (global.get $started))

  (func (export "imported_tag") (result i64)
    try (result i64)
      (call $throw_shared (i64.const 5))
      i64.const 0
    catch $imported_other
      drop
      i64.const -1
    catch $local
      drop
      i64.const -2
    catch $imported
    end)

  (func (export "memory_of_64_bits") (param i64) (result i64)
    try (result i64)
      (memory.init $d (i64.const 16) (i32.const 0) (i32.const 8))
      (i64.load offset=8 (local.get 0))
      throw $local
    catch $local
      local.set 0
      (i64.store (i64.const 64) (i64.add (local.get 0) (i64.const 1)))
      (i64.load (i64.const 64))
      (drop (memory.grow (i64.const 1)))
    end)

  (func (export "out_of_bounds_is_a_trap") (result i64)
    try (result i64)
      (i64.load (i64.const 0x1_0000_0000))
    catch_all
      i64.const -1
    end)

  (func $thrower (param i64) (throw $local (local.get 0)))
  (func (export "call_indirect_in_try") (param i32) (result i64)
    try (result i64)
      (call_indirect $t (type $thrower) (i64.const 3) (local.get 0))
      i64.const 0
    catch $local
      i64.const 1
      i64.add
    catch_all
      i64.const 2
    end)

  ;; A tail call leaves the try before the callee runs.
  (func (export "tail_call") (result i64)
    try (result i64)
      call $tail
    catch $local
    end)
  (func $tail (result i64)
    try (result i64)
      (return_call $throws_a_result (i64.const 6))
    catch_all
      i64.const -1
    end)
  (func (export "tail_call_from_handler") (result i64)
    try (result i64)
      call $tail_from_handler
    catch $local
    end)
  (func $tail_from_handler (result i64)
    try $t (result i64)
      (throw $imported (i64.const 6))
    catch $imported
      return_call $throws_a_result
    end)
  (func (export "tail_call_from_delegating_try") (result i64)
    try (result i64)
      call $tail_from_delegating_try
    catch $local
    end)
  (func $tail_from_delegating_try (result i64)
    try $t (result i64)
      try (result i64)
        try (result i64)
          (return_call $throws_a_result (i64.const 9))
        delegate $t
      catch_all
        i64.const -1
      end
    catch_all
      i64.const -2
    end)
  (func $throws_a_result (param i64) (result i64) (throw $local (local.get 0)))
  (func (export "tail_call_through_a_table") (result i64)
    try (result i64)
      call $tail_through_a_table
      i64.const 0
    catch $local
    end)
  (func $tail_through_a_table
    try
      (return_call_indirect $t (type $thrower) (i64.const 8) (i32.const 2))
    catch_all
    end)

  ;; Locals of many groups; those that are added come last.
  (func (export "locals") (param i32 i64) (result i64)
    (local f32 f32 i64) (local $a i64) (local v128) (local $b i32)
    try $outer (result i64)
      try $t (result i64)
        (local.set $a (i64.const 40))
        (throw $local (i64.const 2))
      catch $local
        local.get $a
        i64.add
        local.set $a
        (local.set $b (i32.const 1))
        rethrow $t
      end
    catch_all
      (i64.add (local.get $a) (i64.extend_i32_u (local.get $b)))
      local.get 1
      i64.add
    end))

(assert_return (invoke "started") (i32.const 1))
(assert_return (invoke "imported_tag") (i64.const 5))
(assert_return (invoke "memory_of_64_bits" (i64.const 8)) (i64.const 0x0807060504030202))
(assert_trap (invoke "out_of_bounds_is_a_trap") "out of bounds")
(assert_return (invoke "call_indirect_in_try" (i32.const 2)) (i64.const 4))
(assert_return (invoke "call_indirect_in_try" (i32.const 1)) (i64.const 2))
(assert_trap (invoke "call_indirect_in_try" (i32.const 0)) "uninitialized element")
(assert_return (invoke "tail_call") (i64.const 6))
(assert_return (invoke "tail_call_from_handler") (i64.const 6))
(assert_return (invoke "tail_call_from_delegating_try") (i64.const 9))
(assert_return (invoke "tail_call_through_a_table") (i64.const 8))
(assert_return (invoke "locals" (i32.const 0) (i64.const 100)) (i64.const 143))
(assert_return (invoke $lib "catch_other" (i64.const 3)) (i64.const 3))

;; No tag at all.
(module
  (func (export "no_tags") (result i32)
    try (result i32)
      i32.const 1
    catch_all
      i32.const 2
    end)
  (func (export "bare_try") (result i32)
    try (result i32)
      i32.const 3
    end))
(assert_return (invoke "no_tags") (i32.const 1))
(assert_return (invoke "bare_try") (i32.const 3))
