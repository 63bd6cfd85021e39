//! What the instances of a store may take together.

use wasmbeam_core::{Error, Limits, TableSelector, Value};

use crate::support::{Guest, MEMORY, int};

const PAGE: u64 = 1 << 16;

const GROWING: &str = r#"(module
    (memory (export "memory") 1 10)
    (table (export "table") 4 100 funcref)
    (func (export "grow_memory") (param i32) (result i32)
        (memory.grow (local.get 0)))
    (func (export "grow_table") (param i32) (result i32)
        (table.grow (ref.null func) (local.get 0))))"#;

fn memory(limit: u64) -> Limits {
    Limits {
        memory: limit,
        ..Limits::default()
    }
}

fn elements(limit: u64) -> Limits {
    Limits {
        table_elements: limit,
        ..Limits::default()
    }
}

#[test]
fn a_module_whose_memory_exceeds_the_limit_cannot_start() {
    let Err(Error::Limit {
        what,
        limit,
        requested,
    }) = Guest::limited(GROWING, memory(100)).map(drop)
    else {
        panic!("expected a limit");
    };
    assert_eq!((what, limit, requested), ("bytes of memory", 100, PAGE));
}

#[test]
fn a_module_whose_table_exceeds_the_limit_cannot_start() {
    assert!(matches!(
        Guest::limited(GROWING, elements(3)).map(drop),
        Err(Error::Limit {
            what: "table elements",
            limit: 3,
            requested: 4
        })
    ));
}

#[test]
fn a_guest_that_grows_beyond_the_limit_is_told_so_by_minus_one() {
    let mut guest = Guest::limited(GROWING, memory(3 * PAGE)).unwrap();
    assert_eq!(guest.int("grow_memory", &[Value::I32(2)]), 1);
    assert_eq!(guest.int("grow_memory", &[Value::I32(1)]), -1);
    let mut guest = Guest::limited(GROWING, elements(10)).unwrap();
    assert_eq!(guest.int("grow_table", &[Value::I32(6)]), 4);
    assert_eq!(guest.int("grow_table", &[Value::I32(1)]), -1);
}

#[test]
fn the_embedder_is_told_which_limit_was_exceeded() {
    let mut guest = Guest::limited(GROWING, memory(3 * PAGE)).unwrap();
    assert!(matches!(
        guest.store.memory_grow(0, MEMORY, 3),
        Err(Error::Limit { what: "bytes of memory", limit, requested })
            if limit == 3 * PAGE && requested == 4 * PAGE
    ));
    let mut guest = Guest::limited(GROWING, elements(10)).unwrap();
    assert!(matches!(
        guest
            .store
            .table_grow(0, TableSelector::Index(0), 7, Value::Null),
        Err(Error::Limit {
            what: "table elements",
            limit: 10,
            requested: 11
        })
    ));
}

#[test]
fn the_module_s_own_maximum_is_a_limit_as_well() {
    let mut guest = Guest::new(GROWING);
    assert!(matches!(
        guest.store.memory_grow(0, MEMORY, 10),
        Err(Error::Limit {
            limit: 10,
            requested: 11,
            ..
        })
    ));
    assert_eq!(guest.int("grow_memory", &[Value::I32(9)]), 1);
}

#[test]
fn a_memory_without_a_maximum_is_limited_by_its_addresses() {
    let mut guest = Guest::new("(module (memory 1))");
    assert!(matches!(
        guest.store.memory_grow(0, MEMORY, 65_536),
        Err(Error::Limit {
            limit: 65_536,
            requested: 65_537,
            ..
        })
    ));
}

#[test]
fn a_refused_growth_is_not_counted() {
    let mut guest = Guest::limited(GROWING, memory(4 * PAGE)).unwrap();
    assert_eq!(guest.int("grow_memory", &[Value::I32(7)]), -1);
    assert_eq!(guest.int("grow_memory", &[Value::I32(100)]), -1);
    assert_eq!(guest.int("grow_memory", &[Value::I32(3)]), 1);
    assert_eq!(guest.store.gauge().memory(), 4 * PAGE);
}

#[test]
fn a_growth_beyond_what_any_memory_can_have_takes_nothing_back() {
    // With pages of one byte there are sizes that the engine refuses before it asks.
    let mut guest = Guest::limited(
        r#"(module
            (memory $bytes 1 (pagesize 1))
            (memory $pages 1)
            (func (export "grow_pages") (param i32) (result i32)
                (memory.grow $pages (local.get 0)))
            (func (export "grow_bytes") (param i32) (result i32)
                (memory.grow $bytes (local.get 0))))"#,
        memory(4 * PAGE),
    )
    .unwrap();
    assert_eq!(guest.int("grow_pages", &[Value::I32(2)]), 1);
    assert_eq!(guest.int("grow_bytes", &[Value::I32(-1)]), -1);
    assert_eq!(guest.store.gauge().memory(), 3 * PAGE + 1);
    assert_eq!(guest.int("grow_pages", &[Value::I32(1)]), -1);
}

#[test]
fn a_growth_beyond_what_any_table_can_have_takes_nothing_back() {
    let mut guest = Guest::limited(
        r#"(module
            (table i64 1 externref)
            (func (export "grow") (param i64) (result i64)
                (table.grow (ref.null extern) (local.get 0))))"#,
        elements(5),
    )
    .unwrap();
    assert_eq!(guest.int("grow", &[Value::I64(3)]), 1);
    assert_eq!(guest.int("grow", &[Value::I64(-1)]), -1);
    assert_eq!(guest.store.gauge().table_elements(), 4);
    assert_eq!(guest.int("grow", &[Value::I64(2)]), -1);
}

#[test]
fn the_gauge_shows_the_memory_of_all_instances() {
    let mut guest = Guest::new(GROWING);
    assert_eq!(guest.store.gauge().memory(), PAGE);
    guest.add(GROWING, None).unwrap();
    guest.call_in(1, "grow_memory", &[Value::I32(2)]).unwrap();
    assert_eq!(guest.store.gauge().memory(), 4 * PAGE);
}

#[test]
fn the_limit_is_for_all_instances_of_the_store_together() {
    let mut guest = Guest::limited(GROWING, memory(2 * PAGE)).unwrap();
    let second = guest.add(GROWING, None).unwrap();
    let results = guest.call_in(second, "grow_memory", &[Value::I32(1)]);
    assert_eq!(int(&results.unwrap()), -1);
    assert!(matches!(guest.add(GROWING, None), Err(Error::Limit { .. })));
}
