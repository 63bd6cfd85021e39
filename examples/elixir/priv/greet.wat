;; Strings in and out: zero-terminated, in memory from the guest's own allocator.
(module $greet
  (memory (export "memory") 1)
  (data $hello "Hello, ")
  (global $top (mut i32) (i32.const 1024))

  ;; Blocks lie one behind the other. To free one frees those after it as well.
  (func $malloc (export "malloc") (param $size i32) (result i32)
    (local $block i32)
    (local.set $block (global.get $top))
    (global.set $top
      (i32.and (i32.const -8) (i32.add (i32.const 7) (i32.add (local.get $block) (local.get $size)))))
    (loop $grow
      (if (i32.gt_u (global.get $top) (i32.mul (memory.size) (i32.const 65536)))
        (then
          (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1))
            (then
              (global.set $top (local.get $block))
              (return (i32.const 0))))
          (br $grow))))
    (local.get $block))

  (func (export "free") (param $block i32)
    (global.set $top (local.get $block)))

  (func $length (param $string i32) (result i32)
    (local $end i32)
    (local.set $end (local.get $string))
    (loop $next
      (if (i32.load8_u (local.get $end))
        (then
          (local.set $end (i32.add (local.get $end) (i32.const 1)))
          (br $next))))
    (i32.sub (local.get $end) (local.get $string)))

  ;; "Hello, NAME!" in a new block.
  (func (export "greet") (param $name i32) (result i32)
    (local $length i32)
    (local $greeting i32)
    (local.set $length (call $length (local.get $name)))
    (local.set $greeting (call $malloc (i32.add (local.get $length) (i32.const 9))))
    (if (i32.eqz (local.get $greeting)) (then unreachable))
    (memory.init $hello (local.get $greeting) (i32.const 0) (i32.const 7))
    (memory.copy
      (i32.add (local.get $greeting) (i32.const 7)) (local.get $name) (local.get $length))
    ;; An exclamation mark and the zero behind it.
    (i32.store16
      (i32.add (local.get $greeting) (i32.add (local.get $length) (i32.const 7)))
      (i32.const 0x21))
    (local.get $greeting)))
