;; Loops: one that ends, and one that does not.
(module $spin
  (func (export "count") (param $n i64) (result i64)
    (local $i i64)
    (loop $next
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $next (i64.lt_s (local.get $i) (local.get $n))))
    (local.get $i))

  (func (export "forever") (loop $again (br $again))))
