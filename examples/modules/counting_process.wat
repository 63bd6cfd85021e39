;; An AO process that counts its messages: it answers each with the count, and sends that to a listener.
;; All of its state is the count, at address 0.
(module
  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 1024))

  ;; What a message is written to is free again when it has been handled.
  (func (export "malloc") (param $size i32) (result i32)
    (local $address i32)
    (local.set $address (global.get $top))
    (global.set $top (i32.add (global.get $top) (local.get $size)))
    (local.get $address))

  (func (export "handle") (param $message i32) (param $environment i32) (result i32)
    (global.set $top (i32.const 1024))
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (call $write_count (i32.const 105))
    (call $write_count (i32.const 155))
    (i32.const 64))

  ;; Six digits, the last one first.
  (func $write_count (param $address i32)
    (local $rest i32) (local $digit i32)
    (local.set $rest (i32.load (i32.const 0)))
    (local.set $digit (i32.const 5))
    (loop $next
      (i32.store8 (i32.add (local.get $address) (local.get $digit))
        (i32.add (i32.const 48) (i32.rem_u (local.get $rest) (i32.const 10))))
      (local.set $rest (i32.div_u (local.get $rest) (i32.const 10)))
      (local.set $digit (i32.sub (local.get $digit) (i32.const 1)))
      (br_if $next (i32.ge_s (local.get $digit) (i32.const 0)))))

  (data (i32.const 64) "{\"ok\":true,\"response\":{\"Output\":{\"data\":\"000000\"},\"Messages\":[{\"Target\":\"LISTENER\",\"Data\":\"000000\",\"Tags\":[{\"name\":\"Action\",\"value\":\"Count\"}]}]}}\00"))
