(module
  (memory (export "memory") 1)
  (func (export "identity") (param i32) (result i32) local.get 0))
