;; Types are added after recursion groups, subtypes and structs, and name those.
(module
  (rec
    (type $list (sub (struct (field $value i32) (field $next (ref null $list)))))
    (type $visit (func (param (ref $list)) (result i32))))
  (type $longer (sub $list (struct (field i32) (field (ref null $list)) (field i64))))
  (rec (type $array (array (mut i8))) (type $unused (struct (field (ref $array)))))
  (tag $list_tag (param (ref $list)))
  (tag $nullable (param (ref null $list) i32))
  (tag $e0)

  (func $sum (type $visit)
    (i32.add (struct.get $list $value (local.get 0))
      (if (result i32) (ref.is_null (struct.get $list $next (local.get 0)))
        (then (i32.const 0))
        (else (call $sum (ref.as_non_null (struct.get $list $next (local.get 0))))))))

  (func (export "reference_to_a_group") (result i32)
    try (result (ref $list))
      (throw $list_tag (struct.new $longer (i32.const 4)
        (struct.new $list (i32.const 3) (ref.null $list)) (i64.const 0)))
    catch $list_tag
    end
    call $sum)

  (func (export "parameters_of_reference_type") (param i32) (result i32)
    (struct.new $list (i32.const 7) (ref.null $list))
    i32.const 1
    try $t (param (ref $list) i32) (result (ref $list))
      drop
      (if (i32.eq (local.get 0) (i32.const 1))
        (then (throw $list_tag (struct.new $list (i32.const 8) (ref.null $list)))))
      (if (i32.eq (local.get 0) (i32.const 2))
        (then (throw $nullable (struct.new $list (i32.const 9) (ref.null $list)) (i32.const 5))))
    catch $list_tag
    catch $nullable
      drop
      ref.as_non_null
    end
    call $sum)

  (func (export "rethrown_reference") (result i32)
    try $outer (result (ref $list))
      (struct.new $list (i32.const 7) (ref.null $list))
      try $t (param (ref $list)) (result (ref $list))
        throw $list_tag
      catch $list_tag
        drop
        rethrow $t
      end
    catch $list_tag
    end
    call $sum)

  ;; A local without a default is set before each use on each path.
  (func (export "local_without_default") (param i32) (result i32)
    (local $l (ref $list))
    try $t (result i32)
      (local.set $l (struct.new $list (i32.const 1) (ref.null $list)))
      try
        try
          (if (local.get 0) (then (throw $e0)))
        delegate $t
      catch_all
      end
      (call $sum (local.get $l))
    catch $e0
      (local.set $l (struct.new $list (i32.const 2) (ref.null $list)))
      (call $sum (local.get $l))
    catch_all
      (local.set $l (struct.new $list (i32.const 3) (ref.null $list)))
      (call $sum (local.get $l))
    end)

  (func (export "vectors") (result i32)
    (v128.const i32x4 1 2 3 4)
    try (param v128) (result v128)
      drop
      throw $e0
    catch_all
      (v128.const i32x4 5 6 7 8)
    end
    i32x4.extract_lane 2)

  (elem declare func $sum)
  (func (export "call_ref_in_try") (result i32)
    try (result i32)
      (call_ref $visit (struct.new $list (i32.const 6) (ref.null $list)) (ref.func $sum))
    catch_all
      i32.const -1
    end))

(assert_return (invoke "reference_to_a_group") (i32.const 7))
(assert_return (invoke "parameters_of_reference_type" (i32.const 0)) (i32.const 7))
(assert_return (invoke "parameters_of_reference_type" (i32.const 1)) (i32.const 8))
(assert_return (invoke "parameters_of_reference_type" (i32.const 2)) (i32.const 9))
(assert_return (invoke "rethrown_reference") (i32.const 7))
(assert_return (invoke "local_without_default" (i32.const 0)) (i32.const 1))
(assert_return (invoke "local_without_default" (i32.const 1)) (i32.const 2))
(assert_return (invoke "vectors") (i32.const 7))
(assert_return (invoke "call_ref_in_try") (i32.const 6))

;; Set in the body only: not set in the handler.
(assert_invalid
  (module (type $s (struct))
    (func (local (ref $s))
      try
        (local.set 0 (struct.new $s))
      catch_all
        (drop (local.get 0))
      end))
  "uninitialized local")
