;; A process that answers every message with the text that is at 64 in its memory.
(module
  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 1024))
  (func (export "malloc") (param $size i32) (result i32)
    (local $address i32)
    (local.set $address (global.get $top))
    (global.set $top (i32.add (global.get $top) (local.get $size)))
    (local.get $address))
  (func (export "handle") (param $message i32) (param $environment i32) (result i32)
    (i32.store (i32.const 0) (local.get $message))
    (i32.store (i32.const 4) (local.get $environment))
    (i32.const 64))
  (data (i32.const 64) "{\"ok\":true,\"response\":{\"Output\":{\"data\":\"heard\"},\"Messages\":[]}}\00"))
