//! Guests on threads that are no schedulers and have hardly a stack.

use wasmbeam_core::Error;

use crate::support::{Guest, finish};

const TRAPS: &str = r#"(module
    (import "host" "wait" (func $wait))
    (type $none (func))
    (memory 1)
    (table 2 funcref)
    (elem (i32.const 1) func $seven)
    (func $seven (export "seven") (result i32) (i32.const 7))
    (func (export "unreachable") (call $wait) (unreachable))
    (func (export "memory_out_of_bounds") (call $wait) (drop (i32.load (i32.const 65536))))
    (func (export "integer_divide_by_zero") (call $wait)
        (drop (i32.div_s (i32.const 1) (i32.const 0))))
    (func (export "integer_overflow") (call $wait)
        (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))))
    (func (export "bad_conversion_to_integer") (call $wait)
        (drop (i32.trunc_f64_s (f64.const nan))))
    (func (export "table_out_of_bounds") (call $wait) (drop (table.get 0 (i32.const 2))))
    (func (export "indirect_call_to_null") (call $wait)
        (call_indirect (type $none) (i32.const 0)))
    (func (export "bad_signature") (call $wait) (call_indirect (type $none) (i32.const 1)))
    (func $deeper (call $deeper) (drop (i32.const 0)))
    (func (export "stack_overflow") (call $wait) (call $deeper)))"#;

const CODES: [&str; 9] = [
    "unreachable",
    "memory_out_of_bounds",
    "integer_divide_by_zero",
    "integer_overflow",
    "bad_conversion_to_integer",
    "table_out_of_bounds",
    "indirect_call_to_null",
    "bad_signature",
    "stack_overflow",
];

fn on_a_small_thread<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> R {
    std::thread::Builder::new()
        .stack_size(128 << 10)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap()
}

/// Each call begins on one thread and traps on another, which is gone when the next begins.
#[test]
fn a_trap_on_a_foreign_thread_is_an_error_of_its_call_alone() {
    let mut guest = Guest::new(TRAPS);
    for code in CODES {
        guest = on_a_small_thread(move || {
            guest.until_import(code, &[]);
            guest
        });
        guest = on_a_small_thread(move || {
            let step = guest.store.import_return(Vec::new());
            match finish(&mut guest.store, step) {
                Err(Error::Trap(trap)) => assert_eq!(trap.code, code),
                other => panic!("{code}: {other:?}"),
            }
            guest
        });
        assert_eq!(guest.int("seven", &[]), 7);
    }
}

#[test]
fn a_suspended_store_can_be_dropped_on_a_foreign_thread() {
    for code in CODES {
        let mut guest = Guest::new(TRAPS);
        guest.until_import(code, &[]);
        on_a_small_thread(move || drop(guest));
    }
}
