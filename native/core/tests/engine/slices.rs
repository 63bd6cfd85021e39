//! Time slices. Nothing here waits for the time to pass: an endless loop yields for as long as it
//! is resumed.

use wasmbeam_core::store::Step;
use wasmbeam_core::{Interruption, Value};

use crate::support::{Guest, finish, import, int, settle};

const LOOPS: &str = r#"(module
    (import "host" "ask" (func $ask (result i32)))
    (memory (export "memory") 1)
    (func (export "endless") (loop $l (br $l)))
    (func (export "sum") (param $n i64) (result i64)
        (local $sum i64)
        (loop $l
            (local.set $sum (i64.add (local.get $sum) (local.get $n)))
            (local.set $n (i64.sub (local.get $n) (i64.const 1)))
            (br_if $l (i64.ne (local.get $n) (i64.const 0))))
        (local.get $sum))
    (memory $large 2048)
    (func (export "fill")
        (memory.fill $large (i32.const 0) (i32.const 1) (i32.const 0x8000000)))
    (func (export "ask_forever") (loop $l (drop (call $ask)) (br $l)))
    (func (export "ask_then_loop") (drop (call $ask)) (loop $l (br $l))))"#;

#[test]
fn an_endless_loop_yields_again_and_again() {
    let mut guest = Guest::new(LOOPS);
    let mut step = guest.begin("endless", &[]);
    for _ in 0..5 {
        assert!(matches!(step, Step::Yielded), "{step:?}");
        step = guest.store.resume();
    }
}

#[test]
fn a_long_loop_ends_with_its_result_however_often_it_yields() {
    let mut guest = Guest::new(LOOPS);
    let n = 20_000_000_i64;
    assert_eq!(guest.int("sum", &[Value::I64(n)]), n * (n + 1) / 2);
}

#[test]
fn a_loop_in_a_nested_call_yields_and_returns_to_the_import() {
    let mut guest = Guest::new(LOOPS);
    guest.until_import("ask_forever", &[]);
    let n = 20_000_000_i64;
    assert_eq!(guest.int("sum", &[Value::I64(n)]), n * (n + 1) / 2);
    let step = guest.store.import_return(vec![Value::I32(0)]);
    import(&mut guest.store, step);
}

#[test]
fn a_guest_that_only_asks_gets_a_slice_for_each_answer() {
    let mut guest = Guest::new(LOOPS);
    guest.until_import("ask_forever", &[]);
    for _ in 0..1_000 {
        let step = guest.store.import_return(vec![Value::I32(0)]);
        import(&mut guest.store, step);
    }
}

#[test]
fn a_loop_after_an_import_yields() {
    let mut guest = Guest::new(LOOPS);
    guest.until_import("ask_then_loop", &[]);
    let step = guest.store.import_return(vec![Value::I32(0)]);
    assert!(matches!(step, Step::Yielded));
}

#[test]
fn many_guests_take_turns() {
    let mut guests: Vec<_> = (0..8).map(|_| Guest::new(LOOPS)).collect();
    for guest in &mut guests {
        assert!(matches!(guest.begin("endless", &[]), Step::Yielded));
    }
    for _ in 0..3 {
        for guest in &mut guests {
            assert!(matches!(guest.store.resume(), Step::Yielded));
        }
    }
    for guest in &mut guests {
        guest.store.interrupt_flag().set(Interruption::Cancelled);
        let step = guest.store.resume();
        assert!(finish(&mut guest.store, step).is_err());
    }
}

#[test]
fn a_store_can_go_on_in_another_thread() {
    let mut guest = Guest::new(LOOPS);
    let n = 20_000_000_i64;
    let mut step = guest.begin("sum", &[Value::I64(n)]);
    while let Step::Yielded = step {
        (guest, step) = std::thread::spawn(move || {
            let step = guest.store.resume();
            (guest, step)
        })
        .join()
        .unwrap();
    }
    let step = settle(&mut guest.store, step);
    assert_eq!(
        int(&finish(&mut guest.store, step).unwrap()),
        n * (n + 1) / 2
    );
}

#[test]
fn a_long_fill_yields_on_its_way() {
    let mut guest = Guest::new(LOOPS);
    let mut step = guest.begin("fill", &[]);
    let mut yields = 0;
    while let Step::Yielded = step {
        yields += 1;
        step = guest.store.resume();
    }
    assert!(matches!(step, Step::Done(Ok(_))), "{step:?}");
    // No machine fills 128 MiB within two slices.
    assert!(yields > 2, "{yields}");
}
