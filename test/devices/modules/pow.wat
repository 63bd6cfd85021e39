;; Calls an import for every step, and counts its calls in memory.
(module
  (import "my_lib" "mul" (func $mul (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "pow") (param $base i32) (param $exponent i32) (result i32)
    (local $result i32)
    (local.set $result (i32.const 1))
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (loop $next
      (if (i32.gt_s (local.get $exponent) (i32.const 0))
        (then
          (local.set $result (call $mul (local.get $result) (local.get $base)))
          (local.set $exponent (i32.sub (local.get $exponent) (i32.const 1)))
          (br $next))))
    (local.get $result))
  (func (export "calls") (result i32) (i32.load (i32.const 0)))
  (func (export "fail") unreachable))
