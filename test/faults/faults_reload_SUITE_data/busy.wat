;; Guests that take their time, or wait in an import.
(module
  (import "env" "wait" (func $wait (param i32) (result i32)))
  (memory (export "memory") 16 4096)
  (func (export "loop") (loop $again (br $again)))
  (func (export "wait") (param i32) (result i32)
    (i32.add (call $wait (local.get 0)) (i32.const 1)))
  (func (export "wait_in_loop") (param i32) (result i32)
    (loop $again (drop (call $wait (local.get 0))) (br $again))
    (unreachable))
  (func (export "add_one") (param i32) (result i32)
    (i32.add (local.get 0) (i32.const 1)))
  (func (export "count") (param $n i32) (result i32)
    (local $i i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $i)))
