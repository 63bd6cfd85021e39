;; Asks the embedder for the price of each article.
(module $shop
  (import "prices" "price" (func $price (param $article i32) (result i32)))

  ;; The price of the articles from 1 to $last together.
  (func (export "total") (param $last i32) (result i32)
    (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (call $price (local.get $last))))
      (local.set $last (i32.sub (local.get $last) (i32.const 1)))
      (br_if $next (i32.gt_s (local.get $last) (i32.const 0))))
    (local.get $sum)))
