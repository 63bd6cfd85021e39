(module
  (tag $e0)
  (tag $e1)
  (tag $value (param i32))

  (func (export "catch_rethrow_0")
    try
      throw $e0
    catch $e0
      rethrow 0
    end)

  (func (export "catch_rethrow_1") (param i32) (result i32)
    try (result i32)
      throw $e0
    catch $e0
      (if (i32.eqz (local.get 0)) (then (rethrow 1)))
      i32.const 23
    end)

  (func (export "catch_all_rethrow_0")
    try
      throw $e0
    catch_all
      rethrow 0
    end)

  (func (export "catch_all_rethrow_1") (param i32) (result i32)
    try (result i32)
      throw $e0
    catch_all
      (if (i32.eqz (local.get 0)) (then (rethrow 1)))
      i32.const 23
    end)

  (func (export "rethrow_nested") (param i32) (result i32)
    try (result i32)
      throw $e1
    catch $e1
      try (result i32)
        throw $e0
      catch $e0
        (if (i32.eqz (local.get 0)) (then (rethrow 1)))
        (if (i32.eq (local.get 0) (i32.const 1)) (then (rethrow 2)))
        i32.const 23
      end
    end)

  ;; The same, telling which of both it was.
  (func (export "rethrow_nested_caught") (param i32) (result i32)
    try (result i32)
      try (result i32)
        throw $e1
      catch $e1
        try (result i32)
          throw $e0
        catch $e0
          (if (i32.eqz (local.get 0)) (then (rethrow 1)))
          (if (i32.eq (local.get 0) (i32.const 1)) (then (rethrow 2)))
          i32.const 23
        end
      end
    catch $e0
      i32.const 100
    catch $e1
      i32.const 101
    end)

  (func (export "rethrow_recatch") (param i32) (result i32)
    try (result i32)
      throw $e0
    catch $e0
      try (result i32)
        (if (i32.eqz (local.get 0)) (then (rethrow 2)))
        i32.const 42
      catch $e0
        i32.const 23
      end
    end)

  (func (export "rethrow_stack_polymorphism")
    try
      throw $e0
    catch $e0
      i32.const 1
      rethrow 0
    end)

  (func (export "rethrow_keeps_values") (param i32) (result i32)
    try (result i32)
      try (result i32)
        local.get 0
        throw $value
      catch $value
        drop
        rethrow 0
      end
    catch $value
      i32.const 1
      i32.add
    end)

  (func (export "rethrow_in_a_loop") (param i32) (result i32)
    (local $caught i32)
    loop $again
      try $outer
        try $inner
          local.get 0
          throw $value
        catch $value
          local.get $caught
          i32.add
          local.set $caught
          rethrow $inner
        end
      catch $value
        drop
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br_if $again (local.get 0))
      end
    end
    local.get $caught)

  ;; An inner handler that is entered and left does not touch the outer one's exception.
  (func (export "rethrow_after_inner_catch") (result i32)
    try (result i32)
      try $outer (result i32)
        i32.const 1
        throw $value
      catch $value
        drop
        try $first
          i32.const 2
          throw $value
        catch $value
          drop
          try
            rethrow $first
          catch $value
            drop
          end
        end
        try $second
          i32.const 3
          throw $value
        catch_all
          try
            rethrow $second
          catch_all
          end
        end
        rethrow $outer
      end
    catch $value
    end)

  ;; Five levels, each of which may be thrown again from the innermost handler.
  (func (export "rethrow_any_of_five") (param i32) (result i32)
    try (result i32)
      try $l0 (result i32)
        (throw $value (i32.const 10))
      catch $value
        drop
        try $l1 (result i32)
          (throw $value (i32.const 11))
        catch_all
          try $l2 (result i32)
            (throw $value (i32.const 12))
          catch $e0
            i32.const -1
          catch $value
            drop
            try $l3 (result i32)
              (throw $value (i32.const 13))
            catch_all
              try $l4 (result i32)
                (throw $value (i32.const 14))
              catch $value
                drop
                block $b4
                  block $b3
                    block $b2
                      block $b1
                        block $b0
                          (br_table $b0 $b1 $b2 $b3 $b4 (local.get 0))
                        end
                        rethrow $l0
                      end
                      rethrow $l1
                    end
                    rethrow $l2
                  end
                  rethrow $l3
                end
                rethrow $l4
              end
            end
          end
        end
      end
    catch $value
    end)

  ;; The handler calls itself: each activation has its own exception.
  (func $recursive (export "recursive") (param i32) (result i32)
    try $t (result i32)
      try $inner (result i32)
        local.get 0
        throw $value
      catch $value
        drop
        (if (local.get 0)
          (then (drop (call $recursive (i32.sub (local.get 0) (i32.const 1))))))
        rethrow $inner
      end
    catch $value
    end)

  ;; Leaving a handler by a branch and entering another.
  (func (export "rethrow_after_branch") (result i32)
    try (result i32)
      block $out
        try $t
          (throw $value (i32.const 1))
        catch $value
          br_if $out
          rethrow $t
        end
      end
      try $u (result i32)
        (throw $value (i32.const 2))
      catch $value
        drop
        rethrow $u
      end
    catch $value
    end)

  (func (export "rethrow_in_unreachable_code") (result i32)
    try $t (result i32)
      throw $e0
    catch_all
      i32.const 5
      return
      rethrow $t
    end))

(assert_exception (invoke "catch_rethrow_0"))
(assert_exception (invoke "catch_rethrow_1" (i32.const 0)))
(assert_return (invoke "catch_rethrow_1" (i32.const 1)) (i32.const 23))
(assert_exception (invoke "catch_all_rethrow_0"))
(assert_exception (invoke "catch_all_rethrow_1" (i32.const 0)))
(assert_return (invoke "catch_all_rethrow_1" (i32.const 1)) (i32.const 23))
(assert_exception (invoke "rethrow_nested" (i32.const 0)))
(assert_exception (invoke "rethrow_nested" (i32.const 1)))
(assert_return (invoke "rethrow_nested" (i32.const 2)) (i32.const 23))
(assert_return (invoke "rethrow_nested_caught" (i32.const 0)) (i32.const 100))
(assert_return (invoke "rethrow_nested_caught" (i32.const 1)) (i32.const 101))
(assert_return (invoke "rethrow_nested_caught" (i32.const 2)) (i32.const 23))
(assert_return (invoke "rethrow_recatch" (i32.const 0)) (i32.const 23))
(assert_return (invoke "rethrow_recatch" (i32.const 1)) (i32.const 42))
(assert_exception (invoke "rethrow_stack_polymorphism"))
(assert_return (invoke "rethrow_keeps_values" (i32.const 41)) (i32.const 42))
(assert_return (invoke "rethrow_in_a_loop" (i32.const 4)) (i32.const 10))
(assert_return (invoke "rethrow_after_inner_catch") (i32.const 1))
(assert_return (invoke "rethrow_any_of_five" (i32.const 0)) (i32.const 10))
(assert_return (invoke "rethrow_any_of_five" (i32.const 1)) (i32.const 11))
(assert_return (invoke "rethrow_any_of_five" (i32.const 2)) (i32.const 12))
(assert_return (invoke "rethrow_any_of_five" (i32.const 3)) (i32.const 13))
(assert_return (invoke "rethrow_any_of_five" (i32.const 4)) (i32.const 14))
(assert_return (invoke "recursive" (i32.const 6)) (i32.const 6))
(assert_return (invoke "rethrow_after_branch") (i32.const 2))
(assert_return (invoke "rethrow_in_unreachable_code") (i32.const 5))

(assert_invalid (module (func (rethrow 0))) "invalid rethrow label")
(assert_invalid (module (func (block (rethrow 0)))) "invalid rethrow label")
(assert_invalid (module (func try rethrow 0 delegate 0)) "invalid rethrow label")
(assert_invalid (module (func try rethrow 0 catch_all end)) "invalid rethrow label")
(assert_invalid (module (func try catch_all block rethrow 0 end end)) "invalid rethrow label")
(assert_invalid (module (func try catch_all rethrow 1 end)) "invalid rethrow label")
(assert_invalid (module (func try catch_all rethrow 2 end)) "unknown label")
