use std::borrow::Cow;

use wasmbeam_core::load::LoadError;
use wasmbeam_core::load::instrument::{Internal, RESERVED_PREFIX, expose_internals, is_reserved};
use wasmparser::{Parser, Payload};
use wasmtime::{Extern, Instance, Module, Store};

use crate::support::{engine, wat};

fn sections(wasm: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Some((id, range)) = payload.expect("a valid module").as_section() {
            sections.push((id, wasm[range].to_vec()));
        }
    }
    sections
}

fn exports(wasm: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ExportSection(exports) = payload.expect("a valid module") {
            names.extend(exports.into_iter().map(|e| e.expect("one").name.to_owned()));
        }
    }
    names
}

const EVERYTHING: &str = r#"
    (module
      (import "m" "memory" (memory 1))
      (import "m" "fixed" (global i32))
      (import "m" "mutable" (global (mut i64)))
      (import "m" "table" (table 1 funcref))
      (import "m" "f" (func $f))
      (import "m" "tag" (tag))
      (memory i64 2 3)
      (global i32 (i32.const 1))
      (global (mut i32) (i32.const 2))
      (global (mut externref) (ref.null extern))
      (table 2 externref)
      (tag)
      (func (export "own"))
      (export "own memory" (memory 1))
      (data (memory 1) (i64.const 0) "data")
      (@custom "late" (after last) "kept"))"#;

#[test]
fn everything_that_holds_state_is_exported_after_the_own_exports() {
    let wasm = wat(EVERYTHING);
    let exposed = expose_internals(&wasm).expect("a module");
    let names = exports(&exposed);
    assert_eq!(&names[..2], ["own", "own memory"]);
    let internals: Option<Vec<_>> = names[2..]
        .iter()
        .map(|name| Internal::from_export_name(name))
        .collect();
    assert_eq!(
        internals.expect("reserved names"),
        [
            Internal::Memory(0),
            Internal::Memory(1),
            Internal::Global(1),
            Internal::Global(3),
            Internal::Global(4),
            Internal::Table(0),
            Internal::Table(1),
            Internal::Func(1),
        ]
    );
    Module::new(&engine(), &exposed).expect("a module that compiles");
}

#[test]
fn all_other_sections_stay_as_they_are() {
    const EXPORT: u8 = 7;
    let wasm = wat(EVERYTHING);
    let exposed = expose_internals(&wasm).expect("a module");
    let others = |wasm: &[u8]| {
        let mut sections = sections(wasm);
        sections.retain(|(id, _)| *id != EXPORT);
        sections
    };
    assert_eq!(others(&wasm), others(&exposed));
    let order = |wasm: &[u8]| sections(wasm).iter().map(|s| s.0).collect::<Vec<_>>();
    assert_eq!(order(&wasm), order(&exposed));
}

#[test]
fn an_export_section_is_added_where_it_belongs() {
    for (text, ids) in [
        ("(module (memory 1))", vec![5, 7]),
        (
            "(module (memory 1) (global (mut i32) (i32.const 0)) (func) (start 0) (data (i32.const 0) \"\"))",
            vec![1, 3, 5, 6, 7, 10, 11],
        ),
        (
            "(module (@custom \"a\" (before first) \"\") (import \"\" \"\" (memory 1)) (@custom \"b\" (after last) \"\"))",
            vec![0, 2, 7, 0],
        ),
    ] {
        let exposed = expose_internals(&wat(text)).expect("a module").into_owned();
        let found: Vec<_> = sections(&exposed).iter().map(|s| s.0).collect();
        assert_eq!(found, ids, "{text}");
        Module::new(&engine(), &exposed).expect("a module that compiles");
    }
}

#[test]
fn a_module_without_state_is_borrowed() {
    let wasm = wat("(module (global i32 (i32.const 1)) (tag) (func (export \"f\")))");
    assert!(matches!(expose_internals(&wasm), Ok(Cow::Borrowed(_))));
}

#[test]
fn items_of_every_type_can_be_exported() {
    let wasm = wat(r#"
        (module
          (type $s (struct (field i32)))
          (memory 1 2 shared)
          (memory i64 0)
          (global (mut v128) (v128.const i64x2 1 2))
          (global (mut exnref) (ref.null exn))
          (global (mut (ref null $s)) (ref.null $s))
          (global (mut (ref i31)) (ref.i31 (i32.const 1)))
          (table 1 exnref)
          (table i64 1 (ref null $s))
          (table 1 anyref))"#);
    let exposed = expose_internals(&wasm).expect("a module");
    let mut config = wasmtime::Config::new();
    config.shared_memory(true);
    let engine = wasmtime::Engine::new(&config).expect("an engine");
    let module = Module::new(&engine, &exposed).expect("a module that compiles");
    assert_eq!(module.exports().len(), 9);
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    for internal in [Internal::Global(1), Internal::Table(0), Internal::Memory(0)] {
        let export = instance.get_export(&mut store, &internal.export_name());
        assert!(export.is_some(), "{internal:?}");
    }
}

#[test]
fn functions_are_exported_where_a_reference_to_them_can_be_kept() {
    let functions = |text: &str| {
        let exposed = expose_internals(&wat(text)).expect("a module").into_owned();
        Module::new(&engine(), &exposed).expect("a module that compiles");
        exports(&exposed)
            .iter()
            .filter_map(|name| match Internal::from_export_name(name)? {
                Internal::Func(index) => Some(index),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let with = |place: &str| {
        functions(&format!(
            r#"(module {place} (func) (func) (func) (func $e (export "e")) (func)
                 (elem declare func 1) (elem func 4) (global funcref (ref.func 2)))"#
        ))
    };
    assert_eq!(with("(table 1 funcref)"), [1, 2, 3, 4]);
    assert_eq!(with("(global (mut funcref) (ref.null func))"), [1, 2, 3, 4]);
    assert_eq!(with("(table 1 externref)"), []);
    assert_eq!(with("(memory 1)"), []);
}

#[test]
fn a_start_function_is_exported_instead_of_run() {
    let wasm = wat(
        "(module (global $g (mut i32) (i32.const 0)) (func (global.set $g (i32.const 1))) (start 0))",
    );
    let exposed = expose_internals(&wasm).expect("a module");
    let engine = engine();
    let module = Module::new(&engine, &exposed).expect("a module that compiles");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    let value = |store: &mut Store<()>| {
        let name = Internal::Global(0).export_name();
        let global = instance.get_global(&mut *store, &name).expect("the global");
        global.get(store).i32()
    };
    assert_eq!(value(&mut store), Some(0));
    let start = instance
        .get_typed_func::<(), ()>(&mut store, &Internal::Start.export_name())
        .expect("the start function");
    start.call(&mut store, ()).expect("no trap");
    assert_eq!(value(&mut store), Some(1));
}

#[test]
fn exposed_items_are_the_items() {
    let wasm = wat(r#"
        (module
          (memory 1)
          (global (mut i32) (i32.const 7))
          (table 3 funcref)
          (func (export "f") (result i32)
            (i32.add (i32.load8_u (i32.const 5)) (global.get 0))))"#);
    let exposed = expose_internals(&wasm).expect("a module");
    let engine = engine();
    let module = Module::new(&engine, &exposed).expect("a module");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    let mut get = |internal: Internal| {
        instance
            .get_export(&mut store, &internal.export_name())
            .expect("an export")
    };
    let Extern::Memory(memory) = get(Internal::Memory(0)) else {
        panic!("no memory")
    };
    let Extern::Global(global) = get(Internal::Global(0)) else {
        panic!("no global")
    };
    let Extern::Table(table) = get(Internal::Table(0)) else {
        panic!("no table")
    };
    assert_eq!(table.size(&store), 3);
    memory.write(&mut store, 5, &[100]).expect("in bounds");
    global.set(&mut store, 1.into()).expect("an i32");
    let f = instance
        .get_typed_func::<(), i32>(&mut store, "f")
        .expect("f");
    assert_eq!(f.call(&mut store, ()).expect("a result"), 101);
}

#[test]
fn a_module_that_exports_a_reserved_name_is_refused() {
    let wasm = wat("(module (memory (export \"\\00wasmbeam/x\") 1))");
    let error = expose_internals(&wasm).expect_err("a reserved name");
    assert_eq!(
        error,
        LoadError::ReservedExport {
            offset: error.offset().expect("an offset"),
            name: "\0wasmbeam/x".to_owned()
        }
    );
    let wasm = wat("(module (memory 1))");
    let once = expose_internals(&wasm).expect("a module");
    assert!(matches!(
        expose_internals(&once),
        Err(LoadError::ReservedExport { .. })
    ));
}

#[test]
fn reserved_names_are_parsed_strictly() {
    for internal in [
        Internal::Memory(0),
        Internal::Global(u32::MAX),
        Internal::Table(17),
        Internal::DroppedData(3),
        Internal::DroppedElement(0),
        Internal::Func(8),
        Internal::Drop,
        Internal::Start,
    ] {
        let name = internal.export_name();
        assert!(is_reserved(&name));
        assert_eq!(Internal::from_export_name(&name), Some(internal));
    }
    for rest in [
        "memory/01",
        "memory/+1",
        "memory/",
        "memory",
        "funcs/0",
        "start/0",
        "func",
        "table/4294967296",
        "",
    ] {
        let name = format!("{RESERVED_PREFIX}{rest}");
        assert!(is_reserved(&name));
        assert_eq!(Internal::from_export_name(&name), None, "{rest}");
    }
    assert!(!is_reserved("wasmbeam/memory/0"));
    assert_eq!(Internal::from_export_name("memory/0"), None);
}

#[test]
fn a_number_of_items_that_is_a_lie_is_an_error() {
    // A memory section that claims four billion entries in one byte.
    let wasm = b"\0asm\x01\0\0\0\x05\x06\xff\xff\xff\xff\x0f\x00";
    assert!(matches!(
        expose_internals(wasm),
        Err(LoadError::Invalid { .. })
    ));
}
