;; A start function that does not return.
(module
  (memory (export "memory") 16)
  (func $start (loop $again (br $again)))
  (start $start))
