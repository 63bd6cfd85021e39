//! Calls of exports.

use wasmbeam_core::store::Target;
use wasmbeam_core::{Error, Value};

use crate::support::{Guest, finish, import, int, trap_code};

const ARITHMETIC: &str = r#"(module $arithmetic
    (import "host" "ask" (func $ask (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "add") (param i32 i32) (result i32)
        (i32.add (local.get 0) (local.get 1)))
    (func (export "swap") (param i32 i64) (result i64 i32)
        (local.get 1) (local.get 0))
    (func $divide (export "divide") (param i32 i32) (result i32)
        (i32.div_s (local.get 0) (local.get 1)))
    (func (export "outer") (param i32) (result i32)
        (call $divide (i32.const 1) (local.get 0)))
    (func (export "ask_and_add") (param i32) (result i32)
        (i32.add (i32.const 1) (call $ask (local.get 0))))
    (func $deep (export "deep") (call $deep)))"#;

#[test]
fn a_call_gives_its_results() {
    let mut guest = Guest::new(ARITHMETIC);
    assert_eq!(guest.int("add", &[Value::I32(40), Value::I32(2)]), 42);
}

#[test]
fn several_results_come_in_order() {
    let mut guest = Guest::new(ARITHMETIC);
    let results = guest.call("swap", &[Value::I32(1), Value::I64(2)]).unwrap();
    assert!(matches!(results[..], [Value::I64(2), Value::I32(1)]));
}

#[test]
fn a_trap_names_its_code_and_the_frames_innermost_first() {
    let mut guest = Guest::new(ARITHMETIC);
    let Err(Error::Trap(info)) = guest.call("outer", &[Value::I32(0)]) else {
        panic!("expected a trap");
    };
    assert_eq!(info.code, "integer_divide_by_zero");
    let names: Vec<_> = info
        .backtrace
        .iter()
        .map(|f| f.function.as_deref())
        .collect();
    assert_eq!(names[0], Some("divide"));
    assert_eq!(names.len(), 2);
    assert_eq!(info.backtrace[0].function_index, 3);
    assert_eq!(info.backtrace[0].module.as_deref(), Some("arithmetic"));
}

#[test]
fn an_instance_is_usable_after_a_trap() {
    let mut guest = Guest::new(ARITHMETIC);
    guest
        .call("divide", &[Value::I32(1), Value::I32(0)])
        .unwrap_err();
    assert_eq!(guest.int("divide", &[Value::I32(6), Value::I32(2)]), 3);
}

#[test]
fn endless_recursion_is_a_stack_overflow() {
    let mut guest = Guest::new(ARITHMETIC);
    assert_eq!(
        trap_code(&guest.call("deep", &[]).unwrap_err()),
        "stack_overflow"
    );
    assert_eq!(guest.int("add", &[Value::I32(1), Value::I32(1)]), 2);
}

#[test]
fn a_call_with_too_few_arguments_is_a_bad_argument() {
    let mut guest = Guest::new(ARITHMETIC);
    assert!(matches!(
        guest.call("add", &[Value::I32(1)]),
        Err(Error::BadArgument { .. })
    ));
}

#[test]
fn a_call_with_an_argument_of_another_type_is_a_bad_argument() {
    let mut guest = Guest::new(ARITHMETIC);
    assert!(matches!(
        guest.call("add", &[Value::I32(1), Value::I64(1)]),
        Err(Error::BadArgument { .. })
    ));
}

#[test]
fn an_export_that_is_no_function_cannot_be_called() {
    let mut guest = Guest::new(ARITHMETIC);
    let target = guest.target_in(0, "memory");
    let step = guest.store.call(target, Vec::new(), None);
    assert!(matches!(
        finish(&mut guest.store, step),
        Err(Error::UnknownExport { .. })
    ));
}

#[test]
fn a_call_of_an_instance_that_is_not_there_is_an_error() {
    let mut guest = Guest::new(ARITHMETIC);
    let target = Target::Export {
        instance: 7,
        export: 0,
    };
    let step = guest.store.call(target, Vec::new(), None);
    assert!(finish(&mut guest.store, step).is_err());
    assert_eq!(guest.int("add", &[Value::I32(1), Value::I32(1)]), 2);
}

#[test]
fn calls_nest_in_imports_and_end_innermost_first() {
    let mut guest = Guest::new(ARITHMETIC);
    guest.until_import("ask_and_add", &[Value::I32(3)]);
    for level in (0..3).rev() {
        let call = guest.until_import("ask_and_add", &[Value::I32(level)]);
        assert_eq!(int(&call.args), i64::from(level));
    }
    // Each level adds one on the way out.
    for level in 1..=4 {
        let step = guest.store.import_return(vec![Value::I32(level - 1)]);
        assert_eq!(
            int(&finish(&mut guest.store, step).unwrap()),
            i64::from(level)
        );
    }
}

#[test]
fn calls_nest_up_to_a_limit_that_is_an_error() {
    let mut guest = Guest::new(ARITHMETIC);
    let mut open = 0;
    let refusal = loop {
        let step = guest.begin("ask_and_add", &[Value::I32(open)]);
        match crate::support::settle(&mut guest.store, step) {
            wasmbeam_core::store::Step::Import(_) => open += 1,
            wasmbeam_core::store::Step::Done(Err(error)) => break error,
            step => panic!("{step:?}"),
        }
    };
    assert!(matches!(
        refusal,
        Error::Limit { what: "nested calls", limit, .. } if limit == open as u64
    ));
    for _ in 0..open {
        let step = guest.store.import_return(vec![Value::I32(0)]);
        assert_eq!(int(&finish(&mut guest.store, step).unwrap()), 1);
    }
    assert_eq!(guest.int("add", &[Value::I32(1), Value::I32(1)]), 2);
}

#[test]
fn a_nested_call_that_traps_leaves_the_import_waiting() {
    let mut guest = Guest::new(ARITHMETIC);
    guest.until_import("ask_and_add", &[Value::I32(0)]);
    guest
        .call("divide", &[Value::I32(1), Value::I32(0)])
        .unwrap_err();
    let step = guest.store.import_return(vec![Value::I32(41)]);
    assert_eq!(int(&finish(&mut guest.store, step).unwrap()), 42);
}

#[test]
fn an_answer_that_nobody_waits_for_is_an_error() {
    let mut guest = Guest::new(ARITHMETIC);
    let step = guest.store.import_return(Vec::new());
    assert!(matches!(
        finish(&mut guest.store, step),
        Err(Error::Internal { .. })
    ));
    let step = guest.begin("ask_and_add", &[Value::I32(0)]);
    import(&mut guest.store, step);
}
