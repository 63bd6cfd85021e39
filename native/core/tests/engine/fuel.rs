//! Fuel: what a store has, and what a call may use of it.

use wasmbeam_core::store::StoreConfig;
use wasmbeam_core::{EngineConfig, Error, Limits, Value};

use crate::support::{Guest, finish};

const GUEST: &str = r#"(module
    (import "host" "ask" (func $ask))
    (func (export "endless") (loop $l (br $l)))
    (func (export "ask") (call $ask))
    (func (export "one") (result i32) (i32.const 1)))"#;

fn fuelled(fuel: u64) -> Guest {
    let engine = EngineConfig {
        fuel: true,
        ..EngineConfig::default()
    };
    let config = StoreConfig {
        limits: Limits::default(),
        fuel: Some(fuel),
    };
    let mut guest = Guest::empty(engine, &config);
    guest.add(GUEST, None).unwrap();
    guest
}

fn call(guest: &mut Guest, name: &str, fuel: Option<u64>) -> Result<Vec<Value>, Error> {
    let target = guest.target_in(0, name);
    let step = guest.store.call(target, Vec::new(), fuel);
    finish(&mut guest.store, step)
}

fn left(guest: &mut Guest) -> u64 {
    guest.store.fuel().unwrap().unwrap()
}

#[test]
fn a_call_uses_what_the_store_has_until_nothing_is_left() {
    let mut guest = fuelled(10_000);
    call(&mut guest, "one", None).unwrap();
    assert!(left(&mut guest) < 10_000);
    assert!(matches!(
        call(&mut guest, "endless", None),
        Err(Error::OutOfFuel)
    ));
    assert_eq!(left(&mut guest), 0);
    assert!(matches!(
        call(&mut guest, "one", None),
        Err(Error::OutOfFuel)
    ));
}

#[test]
fn a_ration_ends_its_call_alone() {
    let mut guest = fuelled(10_000);
    assert!(matches!(
        call(&mut guest, "endless", Some(1_000)),
        Err(Error::OutOfFuel)
    ));
    assert_eq!(left(&mut guest), 9_000);
    call(&mut guest, "one", None).unwrap();
}

#[test]
fn what_a_call_leaves_of_its_ration_stays_in_the_store() {
    let mut with = fuelled(10_000);
    let mut without = fuelled(10_000);
    call(&mut with, "one", Some(5_000)).unwrap();
    call(&mut without, "one", None).unwrap();
    assert_eq!(left(&mut with), left(&mut without));
}

#[test]
fn a_ration_is_no_more_than_what_there_is() {
    let mut guest = fuelled(1_000);
    assert!(matches!(
        call(&mut guest, "endless", Some(u64::MAX)),
        Err(Error::OutOfFuel)
    ));
    assert_eq!(left(&mut guest), 0);
}

#[test]
fn a_nested_ration_leaves_the_outer_call_the_rest() {
    let mut guest = fuelled(10_000);
    guest.until_import("ask", &[]);
    let before = left(&mut guest);
    assert!(matches!(
        call(&mut guest, "endless", Some(500)),
        Err(Error::OutOfFuel)
    ));
    assert_eq!(left(&mut guest), before - 500);
    let step = guest.store.import_return(Vec::new());
    finish(&mut guest.store, step).unwrap();
}

#[test]
fn a_ration_where_fuel_is_not_counted_is_a_bad_argument() {
    let mut guest = Guest::new(GUEST);
    assert_eq!(guest.store.fuel().unwrap(), None);
    assert!(matches!(
        call(&mut guest, "one", Some(1_000)),
        Err(Error::BadArgument { .. })
    ));
}
