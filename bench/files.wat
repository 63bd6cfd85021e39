;; Writes a file in pieces and reads it back.
(module
  (import "wasi_snapshot_preview1" "path_open" (func $path_open
    (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 64) "file")

  (func $check (param $errno i32)
    (if (local.get $errno) (then (unreachable))))

  ;; Both sizes in bytes; the total is a multiple of the piece.
  (func (export "write_and_read") (param $total i32) (param $piece i32) (result i32)
    (local $fd i32) (local $left i32)
    ;; Created, truncated, and open for everything that files allow.
    (call $check (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4)
      (i32.const 9) (i64.const 0x1fffffff) (i64.const 0) (i32.const 0) (i32.const 16)))
    (local.set $fd (i32.load (i32.const 16)))
    (i32.store (i32.const 0) (i32.const 65536))
    (i32.store (i32.const 4) (local.get $piece))
    (local.set $left (local.get $total))
    (loop $write
      (call $check (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 16)))
      (local.set $left (i32.sub (local.get $left) (i32.load (i32.const 16))))
      (br_if $write (i32.gt_s (local.get $left) (i32.const 0))))
    (call $check (call $fd_seek (local.get $fd) (i64.const 0) (i32.const 0) (i32.const 24)))
    (local.set $left (i32.const 0))
    (loop $read
      (call $check (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 16)))
      (local.set $left (i32.add (local.get $left) (i32.load (i32.const 16))))
      (br_if $read (i32.load (i32.const 16))))
    (call $check (call $fd_close (local.get $fd)))
    (local.get $left)))
