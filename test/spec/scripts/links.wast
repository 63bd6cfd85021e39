;; What is left in a store after an instance could not be made in it.

(module $exporter
  (type $answer (func (result i32)))
  (memory (export "memory") 1)
  (table (export "table") 2 funcref)
  (tag (export "tag"))
  (func (export "load") (result i32) (i32.load8_u (i32.const 0)))
  (func (export "call") (param i32) (result i32)
    (call_indirect (type $answer) (local.get 0))))
(register "exporter" $exporter)

(assert_unlinkable (module (import "exporter" "nothing" (func))) "unknown import")
(assert_unlinkable (module (import "exporter" "nothing" (tag))) "unknown import")
(assert_unlinkable (module (import "nobody" "g" (global i32))) "unknown import")
(assert_unlinkable (module (import "exporter" "tag" (tag (param i32)))) "incompatible import type")
(assert_unlinkable (module (import "exporter" "memory" (memory 2))) "incompatible import type")
(assert_unlinkable (module (import "exporter" "load" (memory 1))) "incompatible import type")

;; An instance that follows them is the one that is called.
(module (func (export "first") (result i32) (i32.const 1)))
(assert_return (invoke "first") (i32.const 1))
(assert_return (invoke $exporter "load") (i32.const 0))

;; The first segment is written before the second one traps, and the function
;; stays callable through the table.
(assert_trap
  (module
    (memory (import "exporter" "memory") 1)
    (table (import "exporter" "table") 2 funcref)
    (func $answer (result i32) (i32.const 42))
    (elem (i32.const 0) $answer)
    (data (i32.const 0) "\07")
    (data (i32.const 0x10000) "\00"))
  "out of bounds memory access")
(assert_return (invoke $exporter "load") (i32.const 7))
(assert_return (invoke $exporter "call" (i32.const 0)) (i32.const 42))
(assert_trap (invoke $exporter "call" (i32.const 1)) "uninitialized element 1")
(assert_trap (invoke $exporter "call" (i32.const 2)) "undefined element")

(assert_trap (module (func $start unreachable) (start $start)) "unreachable")
(module definition $counter
  (global $n (mut i32) (i32.const 0))
  (func (export "next") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (global.get $n)))
(module instance $one $counter)
(module instance $two $counter)
(assert_return (invoke $one "next") (i32.const 1))
(assert_return (invoke $one "next") (i32.const 2))
(assert_return (invoke $two "next") (i32.const 1))
