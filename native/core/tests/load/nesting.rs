//! Functions that would take the compiler too long.

use wasmbeam_core::load::{LoadError, MAX_HANDLERS_OF_CALLS, MAX_LOOP_DEPTH, Prepare, prepare};

use crate::support::wat;

fn function(code: &str) -> Vec<u8> {
    wat(&format!(
        "(module (func $first) (tag $tag) (func $f (export \"f\") {code}))"
    ))
}

fn load(wasm: &[u8]) -> Result<usize, LoadError> {
    prepare(wasm, Prepare::default()).map(|prepared| prepared.wasm.len())
}

fn limit(wasm: &[u8]) -> (&'static str, usize) {
    match load(wasm) {
        Err(LoadError::Limit {
            what,
            limit,
            offset,
        }) => {
            assert!(offset > 0 && offset < wasm.len());
            (what, limit)
        }
        other => panic!("{other:?}"),
    }
}

/// `depth` handlers within each other, around `calls` calls.
fn handlers(depth: usize, calls: usize, call: &str) -> String {
    let open = "block try_table (catch_all 0) ".repeat(depth);
    let close = "end end ".repeat(depth);
    format!("{open} {} {close}", call.repeat(calls))
}

#[test]
fn as_many_handlers_of_calls_as_are_allowed() {
    for depth in [1, 10, 300] {
        let code = handlers(depth, MAX_HANDLERS_OF_CALLS / depth, "call $first ");
        load(&function(&code)).expect("within the limit");
    }
}

#[test]
fn more_handlers_of_calls_are_refused_however_they_are_arranged() {
    let expected = ("exception handlers around its calls", MAX_HANDLERS_OF_CALLS);
    for (depth, call) in [
        (1, "call $first "),
        (10, "(call_ref 0 (ref.func $f)) "),
        (300, "throw $tag "),
    ] {
        let code = handlers(depth, MAX_HANDLERS_OF_CALLS / depth + 1, call);
        assert_eq!(limit(&function(&code)), expected, "depth {depth}");
    }
}

#[test]
fn handlers_without_calls_are_not_counted() {
    let code = handlers(10_000, 0, "");
    load(&function(&code)).expect("within the limit");
}

#[test]
fn handlers_end_with_their_block() {
    let code = handlers(10, 100, "call $first ").repeat(MAX_HANDLERS_OF_CALLS / 1_000);
    let after = "call $first ".repeat(MAX_HANDLERS_OF_CALLS);
    load(&function(&format!("{code} {after}"))).expect("within the limit");
}

#[test]
fn the_limit_is_for_each_function() {
    let code = handlers(10, MAX_HANDLERS_OF_CALLS / 10, "call $first ");
    let wasm = wat(&format!(
        "(module (func $first) (func {code}) (func {code}) (func {code}))"
    ));
    load(&wasm).expect("within the limit");
}

#[test]
fn legacy_handlers_are_counted_as_what_they_become() {
    let nested = |depth: usize| {
        let open = "try call $first ".repeat(depth);
        function(&format!("{open} {}", "catch_all end ".repeat(depth)))
    };
    load(&nested(200)).expect("within the limit");
    let (what, _) = limit(&nested(400));
    assert_eq!(what, "exception handlers around its calls");
}

#[test]
fn loops_nest_to_a_limit() {
    let nested = |depth: usize| {
        let open = "block loop ".repeat(depth);
        function(&format!("{open} {}", "end end ".repeat(depth)))
    };
    load(&nested(MAX_LOOP_DEPTH)).expect("within the limit");
    assert_eq!(
        limit(&nested(MAX_LOOP_DEPTH + 1)),
        ("loops within each other", MAX_LOOP_DEPTH)
    );
    let beside = "loop end ".repeat(10 * MAX_LOOP_DEPTH);
    load(&function(&beside)).expect("within the limit");
}
