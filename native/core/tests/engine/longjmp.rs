//! `setjmp` and `longjmp` as Emscripten compiles them without exceptions, in both widths.

use wasmbeam_core::store::Step;
use wasmbeam_core::{Error, Interruption, Value};

use crate::support::{Guest, finish, import, int, trap_code};

/// The functions' indices in the table.
const JUMP: i64 = 1;
const ADD: i64 = 2;
const TRAP: i64 = 3;
const NEST: i64 = 4;
const NEST_AND_JUMP: i64 = 5;
const QUIT: i64 = 6;
const ASK_AND_ADD: i64 = 7;
const LOOP: i64 = 8;

struct Jumper {
    guest: Guest,
    pointer: fn(i64) -> Value,
}

impl Jumper {
    fn index(&self, index: i64) -> Value {
        (self.pointer)(index)
    }

    fn invoke(&mut self, index: i64) -> Result<Vec<Value>, Error> {
        let args = [self.index(index), Value::I32(3)];
        self.guest.call("invoke_vi", &args)
    }

    fn global(&mut self, name: &str) -> i64 {
        int(&[self.guest.store.global_get(0, name.into()).unwrap()])
    }

    fn assert_jumped(&mut self, times: i64) {
        assert_eq!(self.global("jumps"), times);
        assert_eq!(self.global("threw"), 1);
        assert_eq!(self.global("threw_value"), 0);
        assert_eq!(self.global("stack"), 4096);
    }
}

/// Runs a test on guests of both widths.
fn in_both_widths(test: impl Fn(Jumper)) {
    let wat = include_str!("fixtures/longjmp.wat");
    test(Jumper {
        guest: Guest::new(&wat.replace("PTR", "i32").replace("INDEX", "")),
        pointer: |index| Value::I32(index as i32),
    });
    test(Jumper {
        guest: Guest::new(&wat.replace("PTR", "i64").replace("INDEX", "i64")),
        pointer: Value::I64,
    });
}

#[test]
fn an_invoked_function_gives_its_result() {
    in_both_widths(|mut jumper| {
        let args = [jumper.index(ADD), Value::I32(40), Value::I32(2)];
        assert_eq!(jumper.guest.int("invoke_iii", &args), 42);
        assert_eq!(jumper.global("jumps"), 0);
    });
}

#[test]
fn a_jump_ends_at_the_invoke_with_the_stack_restored_and_set_threw_called() {
    in_both_widths(|mut jumper| {
        jumper.invoke(JUMP).unwrap();
        jumper.assert_jumped(1);
    });
}

#[test]
fn a_jump_ends_at_the_innermost_invoke() {
    in_both_widths(|mut jumper| {
        jumper.invoke(NEST).unwrap();
        // The inner invoke restored what it found; the outer one saw no jump.
        assert_eq!(jumper.global("jumps"), 1);
        assert_eq!(jumper.global("stack"), 4096 - 64);
    });
}

#[test]
fn a_jump_after_a_caught_one_ends_at_the_outer_invoke() {
    in_both_widths(|mut jumper| {
        jumper.invoke(NEST_AND_JUMP).unwrap();
        jumper.assert_jumped(2);
    });
}

#[test]
fn a_jump_that_nothing_catches_ends_the_call() {
    in_both_widths(|mut jumper| {
        assert!(matches!(
            jumper.guest.call("jump", &[]),
            Err(Error::LongJump)
        ));
    });
}

#[test]
fn a_trap_goes_through_an_invoke() {
    in_both_widths(|mut jumper| {
        assert_eq!(trap_code(&jumper.invoke(TRAP).unwrap_err()), "unreachable");
        assert_eq!(jumper.global("jumps"), 0);
    });
}

#[test]
fn exit_goes_through_an_invoke() {
    in_both_widths(|mut jumper| {
        assert!(matches!(
            jumper.invoke(QUIT),
            Err(Error::Exit { status: 3 })
        ));
    });
}

#[test]
fn an_index_that_leads_to_no_such_function_traps_as_an_indirect_call_does() {
    in_both_widths(|mut jumper| {
        for (index, code) in [
            (0, "indirect_call_to_null"),
            (16, "table_out_of_bounds"),
            (ADD, "bad_signature"),
        ] {
            assert_eq!(trap_code(&jumper.invoke(index).unwrap_err()), code);
        }
    });
}

#[test]
fn a_function_of_other_types_but_as_many_is_a_bad_signature_too() {
    let wat = r#"(module
        (import "env" "invoke_vi" (func $invoke_vi (param i32 i32)))
        (table (export "__indirect_function_table") 2 funcref)
        (elem (i32.const 1) $takes_a_float)
        (func $takes_a_float (param f32))
        (func (export "emscripten_stack_get_current") (result i32) (i32.const 0))
        (func (export "run") (call $invoke_vi (i32.const 1) (i32.const 2))))"#;
    let error = Guest::new(wat).call("run", &[]).unwrap_err();
    assert_eq!(trap_code(&error), "bad_signature");
}

#[test]
fn the_embedder_can_be_asked_within_an_invoke() {
    in_both_widths(|mut jumper| {
        let args = [jumper.index(ASK_AND_ADD), Value::I32(1), Value::I32(2)];
        let step = jumper.guest.begin("invoke_iii", &args);
        import(&mut jumper.guest.store, step);
        // The same again, in the handler.
        let step = jumper.guest.begin("invoke_iii", &args);
        import(&mut jumper.guest.store, step);
        for answer in [10, 20] {
            let step = jumper.guest.store.import_return(vec![Value::I32(answer)]);
            let results = finish(&mut jumper.guest.store, step).unwrap();
            assert_eq!(int(&results), i64::from(answer) + 3);
        }
    });
}

#[test]
fn a_jump_in_a_nested_call_does_not_leave_that_call() {
    in_both_widths(|mut jumper| {
        let args = [jumper.index(ASK_AND_ADD), Value::I32(1), Value::I32(2)];
        let step = jumper.guest.begin("invoke_iii", &args);
        import(&mut jumper.guest.store, step);
        assert!(matches!(
            jumper.guest.call("jump", &[]),
            Err(Error::LongJump)
        ));
        let step = jumper.guest.store.import_return(vec![Value::I32(4)]);
        let results = finish(&mut jumper.guest.store, step).unwrap();
        assert_eq!(int(&results), 7);
        assert_eq!(jumper.global("jumps"), 0);
    });
}

#[test]
fn a_loop_within_an_invoke_yields_and_can_be_interrupted() {
    in_both_widths(|mut jumper| {
        let index = jumper.index(LOOP);
        assert!(matches!(
            jumper.guest.begin("invoke_v", &[index]),
            Step::Yielded
        ));
        let flag = jumper.guest.store.interrupt_flag().clone();
        flag.set(Interruption::Cancelled);
        let step = jumper.guest.store.resume();
        assert!(matches!(
            finish(&mut jumper.guest.store, step),
            Err(Error::Interrupted(Interruption::Cancelled))
        ));
        assert_eq!(jumper.global("jumps"), 0);
    });
}

#[test]
fn older_names_of_the_helpers_serve_as_well() {
    let wat = include_str!("fixtures/longjmp.wat")
        .replace("PTR", "i32")
        .replace("INDEX", "")
        .replace("emscripten_stack_get_current", "stackSave")
        .replace("_emscripten_stack_restore", "stackRestore")
        .replace("\"setThrew\"", "\"_setThrew\"");
    let mut jumper = Jumper {
        guest: Guest::new(&wat),
        pointer: |index| Value::I32(index as i32),
    };
    jumper.invoke(JUMP).unwrap();
    jumper.assert_jumped(1);
}

#[test]
fn a_guest_without_the_helpers_is_told_which_one_is_missing() {
    let wat = r#"(module
        (import "env" "invoke_v" (func $invoke_v (param i32)))
        (table (export "__indirect_function_table") 2 funcref)
        (elem (i32.const 1) $nothing)
        (func $nothing)
        (func (export "run") (call $invoke_v (i32.const 1))))"#;
    match Guest::new(wat).call("run", &[]) {
        Err(Error::UnknownExport { name, .. }) => {
            assert_eq!(name, "emscripten_stack_get_current");
        }
        outcome => panic!("{outcome:?}"),
    }
}
