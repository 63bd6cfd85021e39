//! Ending what runs from outside, and dropping it.

use std::sync::{Arc, Weak};

use wasmbeam_core::store::Step;
use wasmbeam_core::{Error, HostObject, Interruption, Result, Value};

use crate::support::{Guest, finish};

const GUEST: &str = r#"(module
    (import "host" "ask" (func $ask (result i32)))
    (func (export "endless") (loop $l (br $l)))
    (func (export "ask") (result i32) (call $ask))
    (func (export "hold_and_ask") (param externref) (result externref)
        (drop (call $ask)) (local.get 0))
    (func (export "hold_and_loop") (param externref) (result externref)
        (loop $l (br $l)) (local.get 0))
    (func (export "one") (result i32) (i32.const 1)))"#;

fn assert_interrupted(outcome: Result<Vec<Value>>, expected: Interruption) {
    match outcome {
        Err(Error::Interrupted(why)) => assert_eq!(why, expected),
        outcome => panic!("expected an interruption, got {outcome:?}"),
    }
}

#[test]
fn a_loop_ends_at_its_next_slice() {
    let mut guest = Guest::new(GUEST);
    assert!(matches!(guest.begin("endless", &[]), Step::Yielded));
    guest.store.interrupt_flag().set(Interruption::Cancelled);
    let step = guest.store.resume();
    assert_interrupted(finish(&mut guest.store, step), Interruption::Cancelled);
}

#[test]
fn a_loop_ends_while_it_runs_on_another_thread() {
    let mut guest = Guest::new(GUEST);
    let flag = guest.store.interrupt_flag().clone();
    let runner = std::thread::spawn(move || {
        let step = guest.begin("endless", &[]);
        finish(&mut guest.store, step)
    });
    flag.set(Interruption::Timeout);
    assert_interrupted(runner.join().unwrap(), Interruption::Timeout);
}

#[test]
fn a_guest_at_an_import_ends_when_it_is_answered() {
    let mut guest = Guest::new(GUEST);
    guest.until_import("ask", &[]);
    guest.store.interrupt_flag().set(Interruption::Timeout);
    let step = guest.store.import_return(vec![Value::I32(1)]);
    assert_interrupted(finish(&mut guest.store, step), Interruption::Timeout);
}

#[test]
fn nested_calls_end_one_after_the_other() {
    let mut guest = Guest::new(GUEST);
    guest.until_import("ask", &[]);
    assert!(matches!(guest.begin("endless", &[]), Step::Yielded));
    guest.store.interrupt_flag().set(Interruption::CallerDied);
    let step = guest.store.resume();
    assert_interrupted(finish(&mut guest.store, step), Interruption::CallerDied);
    let step = guest.store.import_fail(Error::ImportFailed);
    assert_interrupted(finish(&mut guest.store, step), Interruption::CallerDied);
}

#[test]
fn with_the_flag_cleared_the_store_is_usable_again() {
    let mut guest = Guest::new(GUEST);
    assert!(matches!(guest.begin("endless", &[]), Step::Yielded));
    guest.store.interrupt_flag().set(Interruption::Cancelled);
    let step = guest.store.resume();
    finish(&mut guest.store, step).unwrap_err();
    guest.store.interrupt_flag().clear();
    assert_eq!(guest.int("one", &[]), 1);
}

#[test]
fn dropping_a_guest_at_an_import_frees_what_it_held() {
    let (mut guest, object) = holding();
    guest
        .0
        .until_import("hold_and_ask", &[guest.1.take().unwrap()]);
    assert!(object.upgrade().is_some());
    drop(guest);
    assert!(object.upgrade().is_none());
}

#[test]
fn dropping_a_guest_in_a_loop_frees_what_it_held() {
    let (mut guest, object) = holding();
    let value = guest.1.take().unwrap();
    assert!(matches!(
        guest.0.begin("hold_and_loop", &[value]),
        Step::Yielded
    ));
    assert!(object.upgrade().is_some());
    drop(guest);
    assert!(object.upgrade().is_none());
}

#[test]
fn dropping_a_guest_in_a_loop_in_an_import_frees_what_both_held() {
    let (mut guest, object) = holding();
    let value = guest.1.take().unwrap();
    guest
        .0
        .until_import("hold_and_ask", std::slice::from_ref(&value));
    assert!(matches!(
        guest.0.begin("hold_and_loop", &[value]),
        Step::Yielded
    ));
    drop(guest);
    assert!(object.upgrade().is_none());
}

#[test]
fn a_suspended_guest_can_be_dropped_on_another_thread() {
    let (mut guest, object) = holding();
    guest
        .0
        .until_import("hold_and_ask", &[guest.1.take().unwrap()]);
    std::thread::spawn(move || drop(guest)).join().unwrap();
    assert!(object.upgrade().is_none());
}

/// A guest, and an object for it to hold.
fn holding() -> (
    (Guest, Option<Value>),
    Weak<dyn std::any::Any + Send + Sync>,
) {
    let object: HostObject = Arc::new(String::from("held"));
    let weak = Arc::downgrade(&object);
    ((Guest::new(GUEST), Some(Value::Extern(object))), weak)
}
