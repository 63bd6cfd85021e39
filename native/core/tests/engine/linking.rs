//! Instances in one store that import from each other.

use wasmbeam_core::store::Binding;
use wasmbeam_core::{EngineConfig, Error, Value};

use crate::support::{Guest, MEMORY, finish, import, int};

const LIBRARY: &str = r#"(module
    (import "host" "log" (func $log (param i32)))
    (memory (export "memory") 1)
    (table (export "table") 2 funcref)
    (global (export "counter") (mut i32) (i32.const 10))
    (func (export "store") (param i32 i32)
        (call $log (local.get 1))
        (i32.store (local.get 0) (local.get 1)))
    (func (export "peek") (param i32) (result i32) (i32.load (local.get 0))))"#;

const PROGRAM: &str = r#"(module
    (import "library" "memory" (memory 1))
    (import "library" "counter" (global $counter (mut i32)))
    (import "library" "table" (table $table 1 funcref))
    (import "library" "store" (func $store (param i32 i32)))
    (elem (table $table) (i32.const 0) func $seven)
    (func $seven (result i32) (i32.const 7))
    (func (export "run") (result i32)
        (global.set $counter (i32.add (global.get $counter) (i32.const 1)))
        (call $store (i32.const 100) (global.get $counter))
        (i32.load (i32.const 100)))
    (func (export "indirect") (result i32)
        (call_indirect $table (result i32) (i32.const 0))))"#;

fn of_library(name: &str) -> Binding {
    Binding::Export {
        instance: 0,
        name: name.into(),
    }
}

fn linked() -> (Guest, usize) {
    let mut guest = Guest::new(LIBRARY);
    let names = ["memory", "counter", "table", "store"];
    let program = guest
        .add(PROGRAM, Some(names.into_iter().map(of_library).collect()))
        .unwrap();
    (guest, program)
}

#[test]
fn memories_globals_and_functions_are_shared() {
    let (mut guest, program) = linked();
    let target = guest.target_in(program, "run");
    let step = guest.store.call(target, Vec::new(), None);
    let call = import(&mut guest.store, step);
    // The import belongs to the library, whose function the program called.
    assert_eq!((call.instance, int(&call.args)), (0, 11));
    let step = guest.store.import_return(Vec::new());
    assert_eq!(int(&finish(&mut guest.store, step).unwrap()), 11);
    assert_eq!(guest.int("peek", &[Value::I32(100)]), 11);
    let counter = guest.store.global_get(0, "counter".into()).unwrap();
    assert_eq!(int(&[counter]), 11);
}

#[test]
fn an_imported_memory_is_the_program_s_first() {
    let (mut guest, program) = linked();
    guest
        .store
        .memory_write(program, MEMORY, 8, vec![5])
        .unwrap();
    assert_eq!(guest.int("peek", &[Value::I32(8)]), 5);
}

#[test]
fn tables_are_shared() {
    let (mut guest, program) = linked();
    let results = guest.call_in(program, "indirect", &[]).unwrap();
    assert_eq!(int(&results), 7);
}

#[test]
fn an_export_that_is_missing_is_an_unknown_import() {
    let mut guest = Guest::new(LIBRARY);
    let wat = r#"(module (import "library" "nothing" (func)))"#;
    let Err(Error::UnknownImport { module, name, .. }) =
        guest.add(wat, Some(vec![of_library("nothing")]))
    else {
        panic!("expected an unknown import");
    };
    assert_eq!((&*module, &*name), ("library", "nothing"));
}

#[test]
fn an_export_of_another_type_is_an_incompatible_import() {
    let mut guest = Guest::new(LIBRARY);
    let wat = r#"(module (import "library" "peek" (func (param i64) (result i32))))"#;
    let Err(Error::IncompatibleImport { module, name, .. }) =
        guest.add(wat, Some(vec![of_library("peek")]))
    else {
        panic!("expected an incompatible import");
    };
    assert_eq!((&*module, &*name), ("library", "peek"));
}

#[test]
fn globals_memories_and_tables_can_be_made_for_an_import() {
    let mut guest = Guest::empty(EngineConfig::default(), &Default::default());
    let wat = r#"(module
        (import "env" "base" (global $base i32))
        (import "env" "memory" (memory 2))
        (import "env" "table" (table 3 funcref))
        (func (export "sum") (result i32)
            (i32.add (global.get $base) (i32.add (memory.size) (table.size)))))"#;
    let bindings = vec![Binding::Value(Value::I32(1000)), Binding::New, Binding::New];
    guest.add(wat, Some(bindings)).unwrap();
    assert_eq!(guest.int("sum", &[]), 1005);
}

#[test]
fn what_cannot_be_made_for_an_import_is_incompatible() {
    for (wat, binding) in [
        (
            r#"(module (import "a" "b" (global i32)))"#,
            Binding::Value(Value::I64(1)),
        ),
        (r#"(module (import "a" "b" (global i32)))"#, Binding::New),
        (
            r#"(module (import "a" "b" (memory 1)))"#,
            Binding::Value(Value::I32(1)),
        ),
        (r#"(module (import "a" "b" (memory 1)))"#, Binding::Host),
    ] {
        let mut guest = Guest::empty(EngineConfig::default(), &Default::default());
        assert!(matches!(
            guest.add(wat, Some(vec![binding])),
            Err(Error::IncompatibleImport { .. })
        ));
    }
}
