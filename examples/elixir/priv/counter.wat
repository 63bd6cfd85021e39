;; A state that lasts from call to call.
(module $counter
  (memory (export "memory") 1 4)
  (table (export "functions") 2 funcref)
  (elem (i32.const 0) $up $down)
  (global $value (export "value") (mut i32) (i32.const 0))
  (func $up (export "up") (result i32)
    (global.set $value (i32.add (global.get $value) (i32.const 1)))
    (global.get $value))
  (func $down (export "down") (result i32)
    (global.set $value (i32.sub (global.get $value) (i32.const 1)))
    (global.get $value))
  (func (export "grow") (param $pages i32) (result i32)
    (memory.grow (local.get $pages))))
