//! A panic ends a store, and nothing else.

use wasmbeam_core::Error;
use wasmbeam_core::store::Coroutine;

use crate::support::{Guest, finish};

const GUEST: &str = r#"(module
    (import "host" "ask" (func $ask))
    (func (export "ask") (call $ask))
    (func (export "one") (result i32) (i32.const 1)))"#;

fn panic_in(store: &mut Coroutine) -> Error {
    store
        .visit::<(), _>(|_| panic!("a panic that a test wants"))
        .unwrap_err()
}

fn assert_ended(guest: &mut Guest) {
    let step = guest.begin("one", &[]);
    assert!(matches!(
        finish(&mut guest.store, step),
        Err(Error::Stopped)
    ));
    assert!(matches!(
        guest.store.memory_size(0, crate::support::MEMORY),
        Err(Error::Stopped)
    ));
}

#[test]
fn a_panic_at_the_base_is_an_internal_error_and_ends_the_store() {
    let mut guest = Guest::new(GUEST);
    assert!(matches!(panic_in(&mut guest.store), Error::Internal { .. }));
    assert_ended(&mut guest);
}

#[test]
fn a_panic_under_frames_of_the_guest_ends_the_store_too() {
    let mut guest = Guest::new(GUEST);
    guest.until_import("ask", &[]);
    assert!(matches!(panic_in(&mut guest.store), Error::Internal { .. }));
    assert_ended(&mut guest);
}

#[test]
fn other_stores_go_on_after_a_panic() {
    let mut other = Guest::new(GUEST);
    panic_in(&mut Guest::new(GUEST).store);
    assert_eq!(other.int("one", &[]), 1);
}
