//! Instances that begin with a state.

use std::sync::Arc;

use wasmbeam_core::snapshot::format::Compression;
use wasmbeam_core::{Engine, EngineConfig, Error, Limits, Module, Value};

use crate::support::Guest;

const COUNTER: &str = r#"
    (module
      (global $count (mut i32) (i32.const 0))
      (func (export "increment") (global.set $count (i32.add (global.get $count) (i32.const 1))))
      (func (export "count") (result i32) (global.get $count)))"#;

const LARGE: &str = r#"
    (module
      (memory 100 1000)
      (func (export "fill") (param i32)
        (memory.fill (i32.const 4096) (local.get 0) (i32.const 1000000)))
      (func (export "poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
      (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

#[test]
fn a_counter_that_is_not_exported_goes_on_counting() {
    let mut guest = Guest::start(COUNTER);
    for _ in 0..3 {
        guest.outcome("increment", &[]);
    }
    let snapshot = guest.snapshot(Compression::None);
    let state = guest.decode(&snapshot).expect("a state");
    let mut restored = Guest::restore(&guest.module, state).expect("an instance");
    assert_eq!(restored.outcome("count", &[]), "[i32 3]");
}

#[test]
fn the_start_function_does_not_run_again() {
    let mut guest = Guest::start(
        r#"(module
             (import "host" "started" (func $started (result i32)))
             (global $starts (mut i32) (i32.const 0))
             (func $start
               (global.set $starts (i32.add (global.get $starts) (call $started))))
             (start $start)
             (func (export "starts") (result i32) (global.get $starts)))"#,
    );
    assert_eq!(guest.outcome("starts", &[]), "[i32 99]");
    assert_eq!(guest.fork().outcome("starts", &[]), "[i32 99]");
    assert_eq!(guest.restart().outcome("starts", &[]), "[i32 99]");
}

#[test]
fn memory_that_is_shared_is_copied_when_one_writes_to_it() {
    let mut guest = Guest::start(LARGE);
    guest.outcome("fill", &[7]);
    let mut forks: Vec<_> = (0..5).map(|_| guest.fork()).collect();
    for (value, fork) in (10..).zip(&mut forks) {
        fork.outcome("poke", &[500_000, value]);
    }
    guest.outcome("poke", &[500_000, 9]);
    for (value, fork) in (10..).zip(&mut forks) {
        assert_eq!(fork.outcome("peek", &[500_000]), format!("[i32 {value}]"));
        assert_eq!(fork.outcome("peek", &[500_001]), "[i32 7]");
        assert_eq!(fork.outcome("peek", &[1_100_000]), "[i32 0]");
    }
    assert_eq!(guest.outcome("peek", &[500_000]), "[i32 9]");
}

#[test]
fn a_memory_that_was_restored_can_grow() {
    let mut guest = Guest::start(LARGE);
    guest.outcome("fill", &[7]);
    guest.outcome("grow", &[3]);
    let mut fork = guest.fork();
    assert_eq!(fork.outcome("grow", &[200]), "[i32 103]");
    let end = 303 * 65536 - 1;
    fork.outcome("poke", &[end, 5]);
    assert_eq!(fork.outcome("peek", &[end]), "[i32 5]");
    assert_eq!(fork.outcome("peek", &[4096]), "[i32 7]");
    assert_eq!(fork.outcome("peek", &[end + 1]), "memory_out_of_bounds");
    assert_eq!(guest.outcome("grow", &[0]), "[i32 103]");
}

#[test]
fn a_fork_outlives_the_original() {
    let mut guest = Guest::start(LARGE);
    guest.outcome("fill", &[7]);
    let mut fork = guest.fork();
    drop(guest);
    assert_eq!(fork.outcome("peek", &[70_000]), "[i32 7]");
}

#[test]
fn memory_that_has_moved_is_captured_where_it_is() {
    // More than the engine reserves, so that growing moves the memory.
    let mut guest = Guest::start(
        r#"(module
             (memory i64 20)
             (func (export "poke") (param i32 i32)
               (i32.store8 (i64.extend_i32_u (local.get 0)) (local.get 1)))
             (func (export "peek") (param i32) (result i32)
               (i32.load8_u (i64.extend_i32_u (local.get 0))))
             (func (export "grow") (param i32) (result i32)
               (i32.wrap_i64 (memory.grow (i64.extend_i32_u (local.get 0))))))"#,
    );
    for page in 0..300 {
        guest.outcome("poke", &[page * 4096, 1]);
    }
    let mut fork = guest.fork();
    fork.outcome("poke", &[4096, 2]);
    assert_eq!(fork.outcome("grow", &[64_000]), "[i32 20]");
    fork.outcome("poke", &[8192, 3]);
    let mut second = fork.fork();
    assert_eq!(second.outcome("peek", &[0]), "[i32 1]");
    assert_eq!(second.outcome("peek", &[4096]), "[i32 2]");
    assert_eq!(second.outcome("peek", &[8192]), "[i32 3]");
}

#[test]
fn a_snapshot_is_of_one_module_only() {
    let mut guest = Guest::start(COUNTER);
    let snapshot = guest.snapshot(Compression::None);
    let other = Guest::start(LARGE);
    let error = other.decode(&snapshot).expect_err("another module");
    assert!(error.to_string().contains("of another module"), "{error}");
    let state = guest.decode(&snapshot).expect("a state");
    assert!(matches!(
        Guest::restore(&other.module, state),
        Err(Error::BadSnapshot { .. })
    ));
}

#[test]
fn the_limits_of_the_new_store_hold() {
    let mut guest = Guest::start(LARGE);
    guest.outcome("grow", &[100]);
    let state = (*guest.capture()).clone();
    let limits = Limits {
        memory: 150 << 16,
        ..Limits::default()
    };
    assert!(matches!(
        Guest::restore_within(&guest.module, state, limits),
        Err(Error::Limit { .. })
    ));
}

#[test]
fn fuel_goes_on_from_what_is_left() {
    let engine = Engine::get(EngineConfig {
        fuel: true,
        ..EngineConfig::default()
    });
    let module = Module::compile(&engine.expect("an engine"), COUNTER.as_bytes());
    let mut guest = Guest::with_fuel(&Arc::new(module.expect("a module")), 1_000);
    guest.outcome("increment", &[]);
    let left = guest.coroutine.fuel().expect("an answer");
    assert!(left.is_some_and(|left| left < 1_000));
    assert_eq!(guest.fork().coroutine.fuel().expect("an answer"), left);
}

#[test]
fn a_reset_brings_back_the_fuel_that_was_left_by_the_start() {
    let engine = Engine::get(EngineConfig {
        fuel: true,
        ..EngineConfig::default()
    });
    let wat = r#"(module
        (func $start (loop))
        (func (export "endless") (loop $l (br $l)))
        (start $start))"#;
    let engine = engine.expect("an engine");
    for (wat, whole) in [(wat, false), (&wat.replace("(start $start)", ""), true)] {
        let module = Module::compile(&engine, wat.as_bytes()).expect("a module");
        let mut guest = Guest::with_fuel(&Arc::new(module), 1_000);
        let started = guest.coroutine.fuel().expect("an answer");
        assert_eq!(started == Some(1_000), whole);
        for _ in 0..2 {
            assert!(matches!(guest.call("endless", &[]), Err(Error::OutOfFuel)));
            guest = guest.fork().restart();
            assert_eq!(guest.coroutine.fuel().expect("an answer"), started);
        }
    }
}

#[test]
fn a_reference_given_out_by_the_original_is_not_valid_in_a_fork() {
    let mut guest = Guest::start(
        r#"(module
             (table 1 funcref)
             (func $f (export "f") (result funcref) (ref.func $f))
             (func (export "set") (param funcref) (table.set (i32.const 0) (local.get 0))))"#,
    );
    let Ok(values) = guest.call("f", &[]) else {
        panic!("no reference")
    };
    let [Value::Func(function)] = &values[..] else {
        panic!("{values:?}")
    };
    let error = guest
        .fork()
        .call("set", &[Value::Func(function.clone())])
        .expect_err("another store's");
    assert!(matches!(error, Error::BadArgument { .. }), "{error}");
}
