;; A program as compilers make them for WASI: it writes a line and exits.
(module $hello
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $buffers i32) (param $count i32) (param $written i32)
      (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param $status i32)))
  (memory (export "memory") 1)
  ;; Two buffers, an address and a length each: "Hello " and "from WASI\n".
  (data (i32.const 0) "\20\00\00\00\06\00\00\00\26\00\00\00\0a\00\00\00")
  (data (i32.const 32) "Hello from WASI\n")
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 64)))
    (call $proc_exit (i32.const 0))))
