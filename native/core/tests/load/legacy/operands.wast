;; What is on the operand stack around, beneath and within a try.
(module
  (tag $e0)
  (tag $i (param i32))
  (tag $ii (param i32 i32))
  (tag $wide (param i64 f32))

  (func (export "values_beneath") (param i32) (result i32)
    i32.const 100
    i32.const 20
    try (result i32)
      (if (local.get 0) (then (throw $e0)))
      i32.const 3
    catch_all
      i32.const 4
    end
    i32.add
    i32.add)

  (func (export "parameters") (param i32) (result i32)
    i32.const 1000
    i32.const 10
    i32.const 3
    try (param i32 i32) (result i32)
      (if (local.get 0) (then (throw $e0)))
      i32.sub
    catch $e0
      i32.const -1
    end
    i32.add)

  (func (export "parameters_and_tag_values") (param i32) (result i32 i64 f32)
    i32.const 5
    i64.const 6
    f32.const 7
    try (param i32 i64 f32) (result i32 i64 f32)
      (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $wide (i64.const 16) (f32.const 17))))
      (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $i (i32.const 25))))
      (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $e0)))
    catch $wide
      (return (i32.const 15) (i64.const 16) (f32.const 18))
      unreachable
    catch $i
      i64.const 26
      f32.const 27
    catch_all
      i32.const 35
      i64.const 36
      f32.const 37
    end)

  (func (export "parameters_with_rethrow") (param i32) (result i32)
    try (result i32)
      i32.const 5
      i32.const 6
      try $t (param i32 i32) (result i32)
        throw $ii
      catch $ii
        i32.sub
        drop
        rethrow $t
      end
    catch $ii
      i32.sub
    end
    local.get 0
    i32.add)

  (func (export "parameters_to_delegate") (result i32)
    try $outer (result i32)
      i32.const 5
      i32.const 6
      try (param i32 i32) (result i32)
        i32.const 7
        try (param i32 i32 i32) (result i32)
          throw $i
        delegate $outer
      catch_all
        i32.const -1
      end
    catch $i
    end)

  (func (export "delegated_to_with_parameters") (param i32) (result i32)
    i32.const 40
    i32.const 2
    try $outer (param i32 i32) (result i32)
      i32.add
      try
        try
          (if (local.get 0) (then (throw $i (i32.const 11))))
        delegate $outer
      catch_all
        unreachable
      end
    catch $i
    end)

  (func (export "only_parameters") (param i32) (result i32)
    local.get 0
    try (param i32)
      throw $i
    catch $i
      local.set 0
    end
    (i32.add (local.get 0) (i32.const 1)))

  (func (export "results_of_the_catch_come_from_the_tag") (result i32 i32)
    try (result i32 i32)
      i32.const 1
      i32.const 2
      throw $ii
    catch $ii
    end)

  (func (export "swapped_through_three_clauses") (param i32) (result i32 i32)
    try (result i32 i32)
      block $c
        block $b
          block $a
            (br_table $a $b $c (local.get 0))
          end
          (throw $ii (i32.const 1) (i32.const 2))
        end
        (throw $i (i32.const 3))
      end
      throw $e0
    catch $i
      i32.const 4
    catch $e0
      i32.const 5
      i32.const 6
    catch $ii
    end)

  ;; The first clause for a tag is the one.
  (func (export "repeated_tag") (result i32)
    try (result i32)
      throw $e0
    catch $e0
      i32.const 1
    catch $e0
      i32.const 2
    catch_all
      i32.const 3
    end)

  (func (export "try_as_operand") (param i32) (result i32)
    i32.const 1
    i32.const 1
    i32.const 1
    try (param i32 i32) (result i32 i32)
      try (param i32) (result i32)
        (if (local.get 0) (then (throw $ii (i32.const 30) (i32.const 20))))
      catch $e0
        i32.const 0
      end
    catch $ii
    end
    i32.sub
    i32.sub))

(assert_return (invoke "values_beneath" (i32.const 0)) (i32.const 123))
(assert_return (invoke "values_beneath" (i32.const 1)) (i32.const 124))
(assert_return (invoke "parameters" (i32.const 0)) (i32.const 1007))
(assert_return (invoke "parameters" (i32.const 1)) (i32.const 999))
(assert_return (invoke "parameters_and_tag_values" (i32.const 0)) (i32.const 5) (i64.const 6) (f32.const 7))
(assert_return (invoke "parameters_and_tag_values" (i32.const 1)) (i32.const 15) (i64.const 16) (f32.const 18))
(assert_return (invoke "parameters_and_tag_values" (i32.const 2)) (i32.const 25) (i64.const 26) (f32.const 27))
(assert_return (invoke "parameters_and_tag_values" (i32.const 3)) (i32.const 35) (i64.const 36) (f32.const 37))
(assert_return (invoke "parameters_with_rethrow" (i32.const 100)) (i32.const 99))
(assert_return (invoke "parameters_to_delegate") (i32.const 7))
(assert_return (invoke "delegated_to_with_parameters" (i32.const 0)) (i32.const 42))
(assert_return (invoke "delegated_to_with_parameters" (i32.const 1)) (i32.const 11))
(assert_return (invoke "only_parameters" (i32.const 8)) (i32.const 9))
(assert_return (invoke "results_of_the_catch_come_from_the_tag") (i32.const 1) (i32.const 2))
(assert_return (invoke "swapped_through_three_clauses" (i32.const 0)) (i32.const 1) (i32.const 2))
(assert_return (invoke "swapped_through_three_clauses" (i32.const 1)) (i32.const 3) (i32.const 4))
(assert_return (invoke "swapped_through_three_clauses" (i32.const 2)) (i32.const 5) (i32.const 6))
(assert_return (invoke "repeated_tag") (i32.const 1))
(assert_return (invoke "try_as_operand" (i32.const 0)) (i32.const 1))
(assert_return (invoke "try_as_operand" (i32.const 1)) (i32.const -9))

(assert_invalid (module (func try (param i32) drop catch_all end)) "type mismatch")
(assert_invalid (module (func (result i32) try (result i32) i32.const 1 catch_all end)) "type mismatch")
(assert_invalid (module (func (i32.const 1) try drop catch_all end)) "type mismatch")
(assert_invalid (module (func (i32.const 1) try catch_all drop end)) "type mismatch")
