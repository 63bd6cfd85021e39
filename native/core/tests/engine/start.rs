//! Start functions.

use wasmbeam_core::store::{Binding, Coroutine, Instantiate, UnknownImports};
use wasmbeam_core::{Engine, EngineConfig, Error, Interruption, Module, Value};

use crate::support::{Guest, finish, import, int, trap_code};

const STARTING: &str = r#"(module
    (import "host" "init" (func $init (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "from the data segment")
    (global $got (mut i32) (i32.const 0))
    (func $start
        (call $init (i32.const 8))
        (global.set $got (i32.load (i32.const 64))))
    (func (export "double") (param i32) (result i32)
        (i32.mul (i32.const 2) (local.get 0)))
    (func (export "got") (result i32) (global.get $got))
    (start $start))"#;

fn starting() -> Guest {
    let mut guest = Guest::empty(EngineConfig::default(), &Default::default());
    let step = guest.begin_add(STARTING, None, Default::default());
    assert_eq!(int(&import(&mut guest.store, step).args), 8);
    guest
}

#[test]
fn the_handler_of_a_start_function_reaches_the_memory_and_the_exports() {
    let mut guest = starting();
    assert_eq!(guest.read(8, 8), b"from the");
    let answer = guest.int("double", &[Value::I32(21)]);
    guest.write(64, &(answer as i32).to_le_bytes());
    let step = guest.store.import_return(Vec::new());
    finish(&mut guest.store, step).unwrap();
    assert_eq!(guest.int("got", &[]), 42);
}

#[test]
fn a_start_function_whose_import_fails_gives_that_error() {
    let mut guest = starting();
    let step = guest.store.import_fail(Error::ImportFailed);
    assert!(matches!(
        finish(&mut guest.store, step),
        Err(Error::ImportFailed)
    ));
}

#[test]
fn a_start_function_that_traps_gives_the_trap() {
    let mut guest = Guest::empty(EngineConfig::default(), &Default::default());
    let wat = "(module (func $start unreachable) (start $start))";
    assert_eq!(trap_code(&guest.add(wat, None).unwrap_err()), "unreachable");
}

#[test]
fn an_endless_start_function_yields_and_can_be_interrupted() {
    let mut guest = Guest::empty(EngineConfig::default(), &Default::default());
    let wat = "(module (func $start (loop $l (br $l))) (start $start))";
    let step = guest.begin_add(wat, None, Default::default());
    assert!(matches!(step, wasmbeam_core::store::Step::Yielded));
    guest.store.interrupt_flag().set(Interruption::Timeout);
    let step = guest.store.resume();
    assert!(matches!(
        finish(&mut guest.store, step),
        Err(Error::Interrupted(Interruption::Timeout))
    ));
}

#[test]
fn imports_that_nobody_provides_can_be_refused() {
    let engine = Engine::get(EngineConfig::default()).unwrap();
    let mut store = Coroutine::new(&engine, &Default::default()).unwrap();
    let module = Module::compile(&engine, STARTING.as_bytes()).unwrap();
    let step = store.instantiate(Instantiate {
        index: 0,
        module: module.into(),
        imports: vec![Binding::Default],
        unknown_imports: UnknownImports::Error,
        begin: Default::default(),
        wasi: Default::default(),
    });
    let Err(Error::UnknownImport { module, name, kind }) = finish(&mut store, step) else {
        panic!("expected an unknown import");
    };
    assert_eq!((&*module, &*name, kind), ("host", "init", "func"));
}

#[test]
fn a_failed_instance_leaves_the_store_to_others() {
    let mut guest = Guest::empty(EngineConfig::default(), &Default::default());
    let trapping = "(module (func $start unreachable) (start $start))";
    guest.add(trapping, None).unwrap_err();
    let index = guest
        .add(
            r#"(module (func (export "one") (result i32) (i32.const 1)))"#,
            None,
        )
        .unwrap();
    assert_eq!(int(&guest.call_in(index, "one", &[]).unwrap()), 1);
}
