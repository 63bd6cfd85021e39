//! Calls of functions that are over in a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use wasmbeam_core::store::{Step, StoreConfig};
use wasmbeam_core::{EngineConfig, Error, Interruption, Limits, Value};

use crate::support::{Guest, finish, import, int, trap_code};

/// Each function twice: as it is, and with a loop that ends at once.
const GUEST: &str = r#"(module
    (import "host" "ask" (func $ask))
    (memory (export "memory") 1)
    (global $counter (mut i64) (i64.const 0))
    (func $divide (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))

    (func (export "values") (param i32 i64 f32 f64 v128) (result v128 f64 f32 i64 i32)
        (local.get 4) (local.get 3) (local.get 2) (local.get 1) (local.get 0))
    (func (export "values long") (param i32 i64 f32 f64 v128) (result v128 f64 f32 i64 i32) (loop)
        (local.get 4) (local.get 3) (local.get 2) (local.get 1) (local.get 0))

    (func (export "none"))
    (func (export "none long") (loop))

    (func (export "quotient") (param i32 i32) (result i32)
        (call $divide (local.get 0) (local.get 1)))
    (func (export "quotient long") (param i32 i32) (result i32) (loop)
        (call $divide (local.get 0) (local.get 1)))

    (func (export "word") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "word long") (param i32) (result i32) (loop) (i32.load (local.get 0)))

    (func (export "unreachable") (unreachable))
    (func (export "unreachable long") (loop) (unreachable))

    (func (export "count") (result i64)
        (global.set $counter (i64.add (global.get $counter) (i64.const 1))) (global.get $counter))
    (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "ask") (call $ask)))"#;

fn guest() -> Guest {
    Guest::new(GUEST)
}

fn outcome(guest: &mut Guest, name: &str, args: &[Value]) -> String {
    match guest.call(name, args) {
        Ok(values) => format!("{values:?}"),
        Err(Error::Trap(info)) => {
            let functions = info.backtrace.iter().map(|frame| frame.function_index);
            format!("{} in {} frames", info.code, functions.count())
        }
        Err(error) => format!("{error:?}"),
    }
}

fn same_as_long(guest: &mut Guest, name: &str, args: &[Value]) {
    let long = outcome(guest, &format!("{name} long"), args);
    assert_eq!(outcome(guest, name, args), long, "{name} {args:?}");
}

#[test]
fn they_give_what_they_would_give_as_long_ones() {
    let numbers = [
        Value::I32(i32::MIN),
        Value::I64(i64::MIN),
        Value::F32(0x7fa0_0001),
        Value::F64(0xfff4_0000_0000_0002),
        Value::V128(u128::MAX - 7),
    ];
    let int = Value::I32;
    let cases: &[(&str, &[Value])] = &[
        ("values", &numbers),
        ("none", &[]),
        ("quotient", &[int(-7), int(2)]),
        ("quotient", &[int(1), int(0)]),
        ("quotient", &[int(i32::MIN), int(-1)]),
        ("word", &[int(65_532)]),
        ("unreachable", &[]),
        // Wrong arguments.
        ("quotient", &[int(1)]),
        ("quotient", &[int(1), Value::I64(1)]),
        ("none", &[Value::Null]),
        ("word", &[Value::Null]),
    ];
    let mut guest = guest();
    for (name, args) in cases {
        same_as_long(&mut guest, name, args);
    }
    assert_eq!(
        outcome(&mut guest, "quotient", &[int(1), int(0)]),
        "integer_divide_by_zero in 2 frames"
    );
}

#[test]
fn they_trap_out_of_bounds_as_long_ones_do() {
    let mut guest = guest();
    for offset in [65_533, -1] {
        same_as_long(&mut guest, "word", &[Value::I32(offset)]);
    }
    let read = guest.call("word", &[Value::I32(-1)]);
    assert_eq!(trap_code(&read.unwrap_err()), "memory_out_of_bounds");
}

#[test]
fn they_are_known_as_such_and_others_are_not() {
    let guest = guest();
    for export in guest.module(0).exports() {
        let is_brief =
            export.signature.is_some() && !export.name.ends_with(" long") && export.name != "ask";
        assert_eq!(export.is_brief, is_brief, "{}", export.name);
    }
}

#[test]
fn they_are_done_however_many_slices_are_over() {
    let mut guest = guest();
    let engine = guest.module(0).engine().clone();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Each of these ends the slices of all guests.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                engine.inner().increment_epoch();
            }
        });
        let args = [Value::I32(1), Value::I32(1)];
        let odd = (0..50_000)
            .map(|_| guest.begin("quotient", &args))
            .find(|step| !matches!(step, Step::Done(Ok(_))));
        is_over.store(true, Ordering::Relaxed);
        assert!(odd.is_none(), "{odd:?}");
    });
}

#[test]
fn one_that_is_interrupted_before_it_begins_ends_so_or_is_done() {
    let mut guest = guest();
    guest.store.interrupt_flag().set(Interruption::Cancelled);
    match guest.call("count", &[]) {
        Ok(values) => assert_eq!(int(&values), 1),
        Err(error) => assert!(matches!(error, Error::Interrupted(Interruption::Cancelled))),
    }
}

#[test]
fn they_can_be_called_from_within_an_import() {
    let mut guest = guest();
    guest.until_import("ask", &[]);
    assert_eq!(guest.int("count", &[]), 1);
    let divided = guest.call("quotient", &[Value::I32(1), Value::I32(0)]);
    assert_eq!(trap_code(&divided.unwrap_err()), "integer_divide_by_zero");
    guest
        .call("store", &[Value::I32(8), Value::I32(77)])
        .unwrap();
    assert_eq!(guest.int("word", &[Value::I32(8)]), 77);
    let step = guest.store.import_return(Vec::new());
    assert!(finish(&mut guest.store, step).unwrap().is_empty());
    assert_eq!(guest.int("count", &[]), 2);
}

#[test]
fn a_suspended_call_is_not_disturbed_by_one_that_traps() {
    let mut guest = guest();
    for _ in 0..3 {
        let step = guest.begin("ask", &[]);
        import(&mut guest.store, step);
        guest.call("unreachable", &[]).unwrap_err();
        let step = guest.store.import_return(Vec::new());
        finish(&mut guest.store, step).unwrap();
        guest.call("unreachable", &[]).unwrap_err();
        assert_eq!(guest.int("quotient", &[Value::I32(6), Value::I32(3)]), 2);
    }
}

#[test]
fn they_use_fuel_as_others_do_and_end_without_it() {
    let engine = EngineConfig {
        fuel: true,
        ..EngineConfig::default()
    };
    let config = StoreConfig {
        limits: Limits::default(),
        fuel: Some(100),
    };
    let mut guest = Guest::empty(engine, &config);
    guest.add(GUEST, None).unwrap();
    let mut left = vec![guest.store.fuel().unwrap().unwrap()];
    let error = loop {
        match guest.call("count", &[]) {
            Ok(_) => left.push(guest.store.fuel().unwrap().unwrap()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::OutOfFuel), "{error:?}");
    let used: Vec<_> = left.windows(2).map(|pair| pair[0] - pair[1]).collect();
    assert!(used.len() > 1 && used[0] > 0, "{used:?}");
    // The engine looks at the fuel when a function begins: the last call may have had less than it took.
    let (_last, used) = used.split_last().unwrap();
    assert!(used.iter().all(|units| *units == used[0]), "{used:?}");
}

#[test]
fn what_they_change_is_in_the_next_snapshot() {
    let mut guest = guest();
    let before = guest.store.capture(0).unwrap();
    assert!(Arc::ptr_eq(&before, &guest.store.capture(0).unwrap()));
    guest.call("count", &[]).unwrap();
    assert!(!Arc::ptr_eq(&before, &guest.store.capture(0).unwrap()));
}
