(module
  (import "env" "echo" (func $echo (param i32) (result i32)))
  (memory (export "memory") 32)

  (func (export "identity") (param i32) (result i32) local.get 0)
  ;; With a loop, which could be long for all that anybody knows.
  (func (export "identity_looping") (param i32) (result i32) (loop) local.get 0)

  ;; Calls the import that many times.
  (func (export "relay") (param $times i32) (result i32)
    (loop $again (result i32)
      (drop (call $echo (local.get $times)))
      (local.set $times (i32.sub (local.get $times) (i32.const 1)))
      (br_if $again (local.get $times))
      local.get $times))

  (func $fib (export "fib") (param $n i32) (result i32)
    (if (result i32) (i32.lt_s (local.get $n) (i32.const 2))
      (then (local.get $n))
      (else
        (i32.add
          (call $fib (i32.sub (local.get $n) (i32.const 1)))
          (call $fib (i32.sub (local.get $n) (i32.const 2)))))))

  ;; A chain of dependent operations, one for each round.
  (func (export "mix") (param $rounds i64) (result i64)
    (local $state i64)
    (loop $again (result i64)
      (local.set $state
        (i64.add
          (i64.xor (local.get $state) (local.get $rounds))
          (i64.rotl (local.get $state) (i64.const 7))))
      (local.set $rounds (i64.sub (local.get $rounds) (i64.const 1)))
      (br_if $again (i64.ne (local.get $rounds) (i64.const 0)))
      local.get $state))

  (func (export "spin") (loop $forever (br $forever))))
