(module
  (tag $e0)
  (tag $e1)
  (tag $i (param i32))

  (func (export "past_a_catch_all") (result i32)
    try $outer (result i32)
      try (result i32)
        try
          (throw $i (i32.const 3))
        delegate $outer
        i32.const 0
      catch_all
        i32.const -1
      end
    catch $i
    end)

  ;; A delegate to a label that is no try goes to the next try around that label.
  (func (export "to_a_block") (param i32) (result i32)
    try (result i32)
      block $b
        try
          try
            (throw $i (i32.const 4))
          delegate $b
        catch_all
          unreachable
        end
      end
      i32.const 0
    catch $i
      local.get 0
      i32.add
    end)

  (func (export "to_a_loop") (result i32)
    try (result i32)
      loop $l
        try
          try
            (throw $i (i32.const 5))
          delegate $l
        catch_all
          unreachable
        end
      end
      i32.const 0
    catch $i
    end)

  (func (export "to_an_if") (param i32) (result i32)
    try (result i32)
      (if $f (local.get 0)
        (then
          try
            try
              (throw $i (i32.const 6))
            delegate $f
          catch_all
            unreachable
          end)
        (else
          try
            try
              (throw $i (i32.const 7))
            delegate $f
          catch_all
            unreachable
          end))
      i32.const 0
    catch $i
    end)

  (func (export "to_the_function")
    try
      try
        throw $e0
      delegate 1
    catch_all
      unreachable
    end)

  (func (export "to_the_function_with_result") (param i32) (result i32)
    try (result i32)
      try
        (if (local.get 0) (then (throw $e0)))
      delegate 1
      i32.const 12
    catch_all
      unreachable
    end)

  (func (export "to_a_block_of_the_function")
    block $b
      try
        try
          throw $e0
        delegate $b
      catch_all
        unreachable
      end
    end)

  ;; The label of a try in whose handler we are: that try no longer catches.
  (func (export "to_a_try_from_its_handler") (result i32)
    try (result i32)
      try $t (result i32)
        throw $e0
      catch $e0
        try (result i32)
          try
            (throw $i (i32.const 8))
          delegate $t
          i32.const 0
        catch_all
          i32.const -1
        end
      catch $i
        drop
        i32.const -2
      end
    catch $i
    end)

  (func (export "from_handler_past_a_try") (result i32)
    try $outer (result i32)
      try (result i32)
        throw $e0
      catch_all
        try (result i32)
          try
            (throw $i (i32.const 9))
          delegate $outer
          i32.const 0
        catch_all
          i32.const -1
        end
      end
    catch $i
    end)

  ;; A delegate to a try that itself delegates goes where that one goes.
  (func (export "chain") (param i32) (result i32)
    try $a (result i32)
      try (result i32)
        try $b (result i32)
          try (result i32)
            try (result i32)
              (throw $i (local.get 0))
              i32.const 0
            delegate $b
          catch_all
            i32.const -1
          end
        delegate $a
      catch_all
        i32.const -2
      end
    catch $i
    end)

  (func (export "chain_to_the_caller") (result i32)
    try (result i32)
      try $b (result i32)
        try (result i32)
          try (result i32)
            throw $e0
          delegate $b
        catch_all
          i32.const -1
        end
      delegate 1
    catch_all
      i32.const -2
    end)

  ;; A try without handlers is nowhere to stop.
  (func (export "to_a_try_without_handlers") (result i32)
    try (result i32)
      try $bare (result i32)
        try (result i32)
          try
            (throw $i (i32.const 13))
          delegate $bare
          i32.const 0
        catch_all
          i32.const -1
        end
      end
    catch $i
    end)

  (func (export "to_the_next_try") (result i32)
    try $t (result i32)
      try
        (throw $i (i32.const 14))
      delegate $t
      i32.const 0
    catch $i
    end)

  ;; Several delegates to one try, and that try's handlers tell them apart.
  (func (export "merge") (param i32) (result i32)
    try $t (result i32)
      try (result i32)
        (if (i32.eqz (local.get 0)) (then
          try (throw $i (i32.const 20)) delegate $t))
        (if (i32.eq (local.get 0) (i32.const 1)) (then
          try throw $e0 delegate $t))
        (if (i32.eq (local.get 0) (i32.const 2)) (then
          try throw $e1 delegate $t))
        (if (i32.eq (local.get 0) (i32.const 3)) (then
          throw $e1))
        i32.const 24
      catch_all
        i32.const 23
      end
    catch $e0
      i32.const 21
    catch $i
    catch_all
      i32.const 22
    end)

  ;; The delegated exception can still be rethrown where it is caught.
  (func (export "rethrown_where_caught") (result i32)
    try (result i32)
      try $t (result i32)
        try (result i32)
          try (result i32)
            (throw $i (i32.const 30))
            i32.const 0
          delegate $t
        catch_all
          i32.const -1
        end
      catch_all
        rethrow $t
      end
    catch $i
    end)

  (func (export "no_exception") (param i32) (result i32)
    try $t (result i32)
      try (result i32)
        local.get 0
        try (param i32) (result i32)
          i32.const 1
          i32.add
        delegate $t
        i32.const 10
        i32.mul
      catch_all
        i32.const -1
      end
    catch_all
      i32.const -2
    end)

  (func (export "in_a_loop") (param i32) (result i32)
    (local $sum i32)
    loop $again
      try $t
        try
          try
            (throw $i (local.get 0))
          delegate $t
        catch_all
          unreachable
        end
      catch $i
        local.get $sum
        i32.add
        local.set $sum
      end
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
    end
    local.get $sum)

  (func $thrower (param i32) (throw $i (local.get 0)))
  (func (export "of_a_call") (param i32) (result i32)
    try $t (result i32)
      try (result i32)
        local.get 0
        try (param i32)
          call $thrower
        delegate $t
        i32.const 0
      catch_all
        i32.const -1
      end
    catch $i
    end)

  (func (export "trap_is_not_delegated") (param i32) (result i32)
    try $t (result i32)
      try (result i32)
        try (result i32)
          (i32.div_u (i32.const 1) (local.get 0))
        delegate $t
      catch_all
        i32.const -1
      end
    catch_all
      i32.const -2
    end))

(assert_return (invoke "past_a_catch_all") (i32.const 3))
(assert_return (invoke "to_a_block" (i32.const 10)) (i32.const 14))
(assert_return (invoke "to_a_loop") (i32.const 5))
(assert_return (invoke "to_an_if" (i32.const 1)) (i32.const 6))
(assert_return (invoke "to_an_if" (i32.const 0)) (i32.const 7))
(assert_exception (invoke "to_the_function"))
(assert_exception (invoke "to_the_function_with_result" (i32.const 1)))
(assert_return (invoke "to_the_function_with_result" (i32.const 0)) (i32.const 12))
(assert_exception (invoke "to_a_block_of_the_function"))
(assert_return (invoke "to_a_try_from_its_handler") (i32.const 8))
(assert_return (invoke "from_handler_past_a_try") (i32.const 9))
(assert_return (invoke "chain" (i32.const 10)) (i32.const 10))
(assert_exception (invoke "chain_to_the_caller"))
(assert_return (invoke "to_a_try_without_handlers") (i32.const 13))
(assert_return (invoke "to_the_next_try") (i32.const 14))
(assert_return (invoke "merge" (i32.const 0)) (i32.const 20))
(assert_return (invoke "merge" (i32.const 1)) (i32.const 21))
(assert_return (invoke "merge" (i32.const 2)) (i32.const 22))
(assert_return (invoke "merge" (i32.const 3)) (i32.const 23))
(assert_return (invoke "merge" (i32.const 4)) (i32.const 24))
(assert_return (invoke "rethrown_where_caught") (i32.const 30))
(assert_return (invoke "no_exception" (i32.const 4)) (i32.const 50))
(assert_return (invoke "in_a_loop" (i32.const 4)) (i32.const 10))
(assert_return (invoke "of_a_call" (i32.const 15)) (i32.const 15))
(assert_return (invoke "trap_is_not_delegated" (i32.const 1)) (i32.const 1))
(assert_trap (invoke "trap_is_not_delegated" (i32.const 0)) "integer divide by zero")

(assert_invalid (module (func try delegate 1)) "unknown label")
(assert_invalid (module (func try catch_all delegate 0)) "delegate")
(assert_invalid (module (func block delegate 0)) "delegate")
