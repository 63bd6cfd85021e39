;; Says something on each output, and exits with status 1000, or with what `exit` is given.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\04\00\00\00")
  (data (i32.const 16) "out\n")
  (data (i32.const 32) "\30\00\00\00\04\00\00\00")
  (data (i32.const 48) "err\n")
  (func (export "exit") (param $status i32)
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))
    (drop (call $fd_write (i32.const 2) (i32.const 32) (i32.const 1) (i32.const 64)))
    (call $proc_exit (local.get $status)))
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))
    (drop (call $fd_write (i32.const 2) (i32.const 32) (i32.const 1) (i32.const 64)))
    (call $proc_exit (i32.const 1000))))
