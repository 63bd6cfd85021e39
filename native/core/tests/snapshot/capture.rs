//! What can be captured, and what cannot.

use std::sync::Arc;

use wasmbeam_core::Value;
use wasmbeam_core::snapshot::format::Compression;
use wasmbeam_core::store::{Begin, Binding, Instantiate, Step, Target, UnknownImports, Wasi};

use crate::support::{Guest, finish, settle};

#[test]
fn a_live_externref_is_named() {
    let mut guest = Guest::start(
        r#"(module
             (table $t 3 externref)
             (global $g (mut externref) (ref.null extern))
             (func (export "set") (param externref) (table.set $t (i32.const 2) (local.get 0)))
             (func (export "keep") (param externref) (global.set $g (local.get 0))))"#,
    );
    let object = || [Value::Extern(Arc::new("an object"))];
    guest.call("set", &object()).expect("no trap");
    assert_eq!(guest.refusal(), "element 2 of table 0, a live externref");
    guest.call("set", &[Value::Null]).expect("no trap");
    guest.capture();
    guest.call("keep", &object()).expect("no trap");
    assert_eq!(guest.refusal(), "global 0, a live externref");
}

#[test]
fn garbage_collected_objects_are_named() {
    let mut guest = Guest::start(
        r#"(module
             (type $s (struct (field (mut i32))))
             (global $g (mut (ref null $s)) (ref.null $s))
             (func (export "make") (global.set $g (struct.new $s (i32.const 1)))))"#,
    );
    guest.capture();
    guest.outcome("make", &[]);
    assert_eq!(guest.refusal(), "global 0, which refers to an object");
    let mut guest = Guest::start(
        r#"(module
             (type $s (struct (field (mut i32))))
             (global i32 (i32.const 0))
             (global $g (ref $s) (struct.new $s (i32.const 1))))"#,
    );
    assert_eq!(guest.refusal(), "global 1, which refers to an object");
    let mut guest = Guest::start(
        r#"(module
             (type $s (struct (field (mut i32))))
             (elem $e (ref $s) (struct.new $s (i32.const 1)))
             (table $t 1 (ref null $s))
             (func (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))))"#,
    );
    assert_eq!(guest.refusal(), "element segments that hold objects");
}

#[test]
fn a_store_with_several_instances_is_refused() {
    let mut guest = Guest::start(r#"(module (func (export "f")))"#);
    guest.capture();
    let step = guest.coroutine.instantiate(Instantiate {
        index: 1,
        module: Arc::clone(&guest.module),
        imports: Vec::<Binding>::new(),
        unknown_imports: UnknownImports::Call,
        wasi: Wasi::default(),
        begin: Begin::Start,
    });
    finish(&mut guest.coroutine, step).expect("a second instance");
    assert_eq!(guest.refusal(), "a store with several instances");
}

#[test]
fn calls_in_progress_are_refused() {
    let mut guest = Guest::start(
        r#"(module (import "host" "f" (func $f (result i32)))
             (func (export "call") (result i32) (call $f)))"#,
    );
    let export = guest.module.export_index("call").expect("an export");
    let target = Target::Export {
        instance: 0,
        export,
    };
    let step = guest.coroutine.call(target, Vec::new(), None);
    let step = settle(&mut guest.coroutine, step);
    assert!(matches!(step, Step::Import(_)), "{step:?}");
    assert_eq!(guest.refusal(), "calls in progress");
    let step = guest.coroutine.import_return(vec![Value::I32(1)]);
    finish(&mut guest.coroutine, step).expect("a return");
    guest.capture();
}

#[test]
fn imported_items_are_part_of_the_state() {
    let mut guest = Guest::start(
        r#"(module
             (import "host" "memory" (memory 2))
             (import "host" "table" (table 2 funcref))
             (import "host" "global" (global $g (mut i32)))
             (func $f (export "f") (result i32) (global.get $g))
             (func (export "change")
               (global.set $g (i32.const 8))
               (i32.store (i32.const 70000) (i32.const 9))
               (table.set (i32.const 1) (ref.func $f)))
             (func (export "read") (result i32 i32)
               (i32.load (i32.const 70000))
               (call_indirect (result i32) (i32.const 1))))"#,
    );
    guest.outcome("change", &[]);
    assert_eq!(guest.fork().outcome("read", &[]), "[i32 9, i32 8]");
}

#[test]
fn zero_pages_take_no_space() {
    let mut guest = Guest::start(r#"(module (memory 1000) (data (i32.const 9000000) "x"))"#);
    assert!(guest.snapshot(Compression::None).len() < 5_000);
}

#[test]
fn a_memory_that_was_written_from_outside_is_captured_anew() {
    let mut guest = Guest::start("(module (memory 1))");
    let before = guest.capture();
    let memory = wasmbeam_core::MemorySelector::Index(0);
    guest
        .coroutine
        .memory_write(0, memory, 5, b"new".to_vec())
        .expect("in bounds");
    assert!(*guest.capture() != *before);
}

/// A module with ten functions in a table and an export of so many names, each of a thousand
/// parameters.
fn with_large_functions(names: usize) -> String {
    format!(
        r#"(module
             (type $large (func (param {})))
             (table $table 10 funcref)
             (elem (i32.const 0) func {})
             {}
             (func (export "clear")
               (table.fill $table (i32.const 0) (ref.null func) (i32.const 10)))
             (func (export "f") (result i32) (i32.const 5))
             (func {} (type $large)))"#,
        "i32 ".repeat(1000),
        (0..10).fold(String::new(), |all, f| all + &format!("$f{f} ")),
        (0..10).fold(String::new(), |all, f| all
            + &format!("(func $f{f} (type $large))")),
        (0..names).fold(String::new(), |all, name| all
            + &format!("(export \"{name}\")")),
    )
}

#[test]
fn functions_in_tables_are_part_of_the_state_however_many_parameters_there_are() {
    let mut guest = Guest::start(&with_large_functions(980));
    let snapshot = guest.snapshot(Compression::None);
    let state = guest.decode(&snapshot).expect("a state");
    Guest::restore(&guest.module, state).expect("an instance");
}

/// Were these exported, to be told apart, the module would have too many parameters to be valid.
#[test]
fn functions_that_cannot_be_told_apart_are_named_while_they_are_in_a_table() {
    let mut guest = Guest::start(&with_large_functions(990));
    assert_eq!(guest.outcome("f", &[]), "[i32 5]");
    let why = guest.refusal();
    assert!(
        why.starts_with("element 0 of table 0, one of more functions than can be told apart"),
        "{why}"
    );
    guest.outcome("clear", &[]);
    for mut copy in [guest.fork(), guest.restart()] {
        assert_eq!(copy.outcome("f", &[]), "[i32 5]");
    }
}
