//! Imports that the embedder answers.

use wasmbeam_core::store::Binding;
use wasmbeam_core::{Error, Value};

use crate::support::{Guest, MEMORY, finish, import, int};

const ASKING: &str = r#"(module
    (import "host" "pair" (func $pair (param i32 f64) (result i32 i64)))
    (import "host" "note" (func $note (param i32)))
    (memory (export "memory") 1)
    (table (export "table") 2 funcref)
    (global (export "counter") (mut i32) (i32.const 5))
    (func (export "pair") (result i64)
        (local i64)
        (call $pair (i32.const 7) (f64.const 1.5))
        (local.set 0)
        (i64.add (i64.extend_i32_s) (local.get 0)))
    (func (export "note_and_load") (result i32)
        (call $note (i32.const 16))
        (i32.load (i32.const 16)))
    (func (export "note_twice")
        (call $note (i32.const 1))
        (call $note (i32.const 2)))
    (func (export "malloc") (param i32) (result i32) (i32.const 32)))"#;

#[test]
fn an_import_is_named_by_its_index_and_gets_its_arguments() {
    let mut guest = Guest::new(ASKING);
    let call = guest.until_import("pair", &[]);
    assert_eq!((call.instance, call.import), (0, 0));
    assert!(matches!(call.args[..], [Value::I32(7), Value::F64(bits)]
        if f64::from_bits(bits) == 1.5));
    let step = guest
        .store
        .import_return(vec![Value::I32(2), Value::I64(40)]);
    assert_eq!(int(&finish(&mut guest.store, step).unwrap()), 42);
}

#[test]
fn a_guest_may_call_one_import_after_the_other() {
    let mut guest = Guest::new(ASKING);
    assert_eq!(int(&guest.until_import("note_twice", &[]).args), 1);
    let step = guest.store.import_return(Vec::new());
    assert_eq!(int(&import(&mut guest.store, step).args), 2);
    let step = guest.store.import_return(Vec::new());
    assert!(finish(&mut guest.store, step).unwrap().is_empty());
}

#[test]
fn memory_globals_and_tables_are_at_hand_in_an_import() {
    let mut guest = Guest::new(ASKING);
    guest.until_import("note_and_load", &[]);
    guest.write(16, &1234_i32.to_le_bytes());
    assert_eq!(guest.store.memory_grow(0, MEMORY, 1).unwrap(), 1);
    let counter = guest.store.global_get(0, "counter".into()).unwrap();
    assert_eq!(int(&[counter]), 5);
    guest
        .store
        .global_set(0, "counter".into(), Value::I32(6))
        .unwrap();
    assert_eq!(
        guest
            .store
            .table_size(0, wasmbeam_core::TableSelector::Index(0))
            .unwrap(),
        2
    );
    assert_eq!(guest.int("malloc", &[Value::I32(8)]), 32);
    let step = guest.store.import_return(Vec::new());
    assert_eq!(int(&finish(&mut guest.store, step).unwrap()), 1234);
}

#[test]
fn an_import_that_fails_ends_the_call_with_that_error() {
    let mut guest = Guest::new(ASKING);
    guest.until_import("note_twice", &[]);
    let step = guest.store.import_fail(Error::ImportFailed);
    assert!(matches!(
        finish(&mut guest.store, step),
        Err(Error::ImportFailed)
    ));
    assert_eq!(guest.int("malloc", &[Value::I32(8)]), 32);
}

fn assert_wrong_result_of(error: &Error, import: &str) {
    match error {
        Error::ImportResult { module, name, .. } => {
            assert_eq!((&**module, &**name), ("host", import))
        }
        error => panic!("expected a wrong result of an import, got {error:?}"),
    }
}

#[test]
fn too_few_results_are_an_error_that_names_the_import() {
    let mut guest = Guest::new(ASKING);
    guest.until_import("pair", &[]);
    let step = guest.store.import_return(vec![Value::I32(1)]);
    assert_wrong_result_of(&finish(&mut guest.store, step).unwrap_err(), "pair");
}

#[test]
fn a_result_of_another_type_is_an_error_that_names_the_import() {
    let mut guest = Guest::new(ASKING);
    guest.until_import("pair", &[]);
    let step = guest
        .store
        .import_return(vec![Value::I64(1), Value::I64(1)]);
    assert_wrong_result_of(&finish(&mut guest.store, step).unwrap_err(), "pair");
}

#[test]
fn asked_for_a_default_that_there_is_not_the_import_waits_further() {
    let mut guest = Guest::new(ASKING);
    guest.until_import("note_and_load", &[]);
    assert!(guest.store.import_default().is_none());
    guest.write(16, &[9]);
    let step = guest.store.import_return(Vec::new());
    assert_eq!(int(&finish(&mut guest.store, step).unwrap()), 9);
}

#[test]
fn the_embedder_may_answer_what_is_provided_or_leave_it_to_the_library() {
    let wat = r#"(module
        (import "env" "_emscripten_system" (func $system (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "system") (result i32) (call $system (i32.const 1))))"#;
    let mut guest = Guest::empty(Default::default(), &Default::default());
    guest.add(wat, Some(vec![Binding::Host])).unwrap();

    guest.until_import("system", &[]);
    let step = guest.store.import_return(vec![Value::I32(7)]);
    assert_eq!(int(&finish(&mut guest.store, step).unwrap()), 7);

    guest.until_import("system", &[]);
    let step = guest.store.import_default().unwrap();
    assert_eq!(int(&finish(&mut guest.store, step).unwrap()), -52);
}
