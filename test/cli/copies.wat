;; A command that copies data/in to data/out. If a function fails it exits with the error's number.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "inout")
  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
  ;; 2 and 64 are the rights to read and to write, 1 is the flag to create. The first folder has
  ;; descriptor 3.
  (func (export "_start")
    (call $check (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 2)
      (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
    (call $check (call $path_open (i32.const 3) (i32.const 0) (i32.const 2) (i32.const 3)
      (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 20)))
    (i32.store (i32.const 24) (i32.const 1024))
    (i32.store (i32.const 28) (i32.const 1024))
    (call $check (call $fd_read (i32.load (i32.const 16)) (i32.const 24) (i32.const 1)
      (i32.const 28)))
    (call $check (call $fd_write (i32.load (i32.const 20)) (i32.const 24) (i32.const 1)
      (i32.const 32)))))
