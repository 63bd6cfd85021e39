//! The meaning of translated modules: the scripts beside this file, and those of the official
//! suite where it is at hand. That programs made at random do what they should is tested by
//! `fuzz.rs`.

use std::path::Path;

use wasmbeam_core::load::legacy_exceptions::{translate, uses_legacy_exceptions};
use wasmtime::{Instance, Linker, Module, Store, ThrownException, Val};

use crate::support::{engine, generated, script, shared, validate_standard, wat};

fn own(name: &str) -> usize {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/load/legacy"));
    script::run(&folder.join(name))
}

#[test]
fn throw_finds_its_handler() {
    assert_eq!(own("throw.wast"), 22);
}

#[test]
fn rethrow_throws_the_exception_of_the_named_handler() {
    assert_eq!(own("rethrow.wast"), 33);
}

#[test]
fn operands_are_kept_around_and_passed_through_a_try() {
    assert_eq!(own("operands.wast"), 24);
}

#[test]
fn branches_reach_their_labels() {
    assert_eq!(own("branches.wast"), 44);
}

#[test]
fn delegate_goes_to_the_try_at_or_around_its_label() {
    assert_eq!(own("delegate.wast"), 29);
}

#[test]
fn standard_and_legacy_instructions_mix() {
    assert_eq!(own("mixed.wast"), 19);
}

#[test]
fn types_are_added_beside_recursion_groups() {
    assert_eq!(own("types.wast"), 10);
}

#[test]
fn imports_memories_tables_and_tail_calls_work() {
    assert_eq!(own("modules.wast"), 15);
}

#[test]
fn unreachable_legacy_code_is_translated_to_valid_code() {
    assert_eq!(own("unreachable.wast"), 9);
}

#[test]
fn official_try_catch() {
    if let Some(path) = shared("spec-testsuite/legacy/try_catch.wast") {
        assert_eq!(script::run(&path), 39);
    }
}

#[test]
fn official_try_delegate() {
    if let Some(path) = shared("spec-testsuite/legacy/try_delegate.wast") {
        assert_eq!(script::run(&path), 25);
    }
}

#[test]
fn a_whole_application_compiles_after_translation() {
    let Some(path) = shared("modules/aos-2-pure-xs.wasm") else {
        return;
    };
    let wasm = std::fs::read(path).expect("a readable module");
    assert_eq!(uses_legacy_exceptions(&wasm), Ok(true));
    let translated = translate(&wasm).expect("a translation");
    validate_standard(&translated).expect("a valid module");
    let engine = engine();
    let module = Module::new(&engine, &translated).expect("a module that compiles");
    let mut linker = Linker::new(&engine);
    linker
        .define_unknown_imports_as_traps(&module)
        .expect("imports");
    let mut store = Store::new(&engine, ());
    let instance = linker
        .instantiate(&mut store, &module)
        .expect("an instance");
    assert!(instance.get_func(&mut store, "handle").is_some());
}

#[test]
fn generated_modules_are_valid_before_and_after() {
    let mut legacy = 0;
    for seed in 0..3_000 {
        let wasm = generated::module(seed);
        let translated = translate(&wasm).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        validate_standard(&translated).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        legacy += usize::from(uses_legacy_exceptions(&wasm) == Ok(true));
    }
    assert!(legacy > 1_500, "only {legacy} of them had a try");
}

#[test]
fn an_uncaught_exception_leaves_with_its_values() {
    let wasm = wat(r#"
        (module (tag $t (export "t") (param i32 i64))
          (func (export "f")
            try $l
              (throw $t (i32.const 3) (i64.const 4))
            catch_all
              rethrow $l
            end))"#);
    let translated = translate(&wasm).expect("a translation");
    let engine = engine();
    let module = Module::new(&engine, &translated).expect("a module");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    let f = instance.get_func(&mut store, "f").expect("f");
    let error = f.call(&mut store, &[], &mut []).expect_err("an exception");
    assert!(error.is::<ThrownException>());
    let exception = store.take_pending_exception().expect("an exception");
    let tag = instance.get_tag(&mut store, "t").expect("t");
    let thrown = exception.tag(&mut store).expect("a tag");
    assert!(wasmtime::Tag::eq(&thrown, &tag, &store));
    assert!(matches!(exception.field(&mut store, 0), Ok(Val::I32(3))));
    assert!(matches!(exception.field(&mut store, 1), Ok(Val::I64(4))));
}
