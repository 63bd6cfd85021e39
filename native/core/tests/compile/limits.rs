use std::sync::Arc;
use std::sync::mpsc::channel;

use wasmbeam_core::compile::{self, CompileLimits, Form};
use wasmbeam_core::{EngineConfig, Error};

use crate::support::{compile, module, request, start};

fn exceeded(source: &[u8], limits: CompileLimits) -> (&'static str, u64, u64) {
    let mut request = request(source);
    request.limits = limits;
    match compile(request).map(|module| module.size()) {
        Err(Error::Limit {
            what,
            limit,
            requested,
        }) => (what, limit, requested),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bytes_are_limited() {
    let source = module("bytes");
    let bytes = source.len() as u64;
    let mut limits = CompileLimits {
        bytes: bytes - 1,
        ..CompileLimits::default()
    };
    let expected = ("bytes of a module", bytes - 1, bytes);
    assert_eq!(exceeded(&source, limits), expected);
    limits.bytes = bytes;
    let mut allowed = request(&source);
    allowed.limits = limits;
    assert!(compile(allowed).is_ok());
    // Nor is it given to those who do not allow it when it is at hand.
    limits.bytes = bytes - 1;
    assert_eq!(exceeded(&source, limits), expected);
    let form = Form::Module(EngineConfig::default());
    assert!(matches!(
        compile::cached(&form, &source, &limits),
        Err(Error::Limit { .. })
    ));
    limits.bytes = bytes;
    let found = compile::cached(&form, &source, &limits).expect("within the limits");
    let (module, place) = found.expect("a module at hand");
    let again = compile::cached_at(place, &limits).expect("within the limits");
    assert!(Arc::ptr_eq(&module, &again.expect("a module at hand")));
    limits.bytes = bytes - 1;
    assert!(matches!(
        compile::cached_at(place, &limits),
        Err(Error::Limit { .. })
    ));
}

#[test]
fn functions_are_limited() {
    let source = b"(module (func) (func) (func (export \"functions are limited\")))";
    for at_hand in [false, true] {
        let limits = CompileLimits {
            functions: 2,
            ..CompileLimits::default()
        };
        assert_eq!(
            exceeded(source, limits),
            ("functions of a module", 2, 3),
            "{at_hand}"
        );
        let module = compile(request(source)).expect("within the limits");
        assert_eq!(module.size().functions, 3);
    }
}

#[test]
fn bytes_of_a_function_are_limited() {
    let nops = "nop ".repeat(100);
    let source = format!("(module (func) (func (export \"long\") {nops}))");
    let limits = CompileLimits {
        function_bytes: 101,
        ..CompileLimits::default()
    };
    // Its locals and its end count.
    let expected = ("bytes of a function", 101, 102);
    assert_eq!(exceeded(source.as_bytes(), limits), expected);
}

#[test]
fn what_is_nested_too_deep_exceeds_a_limit() {
    let loops = "loop ".repeat(1_001) + &"end ".repeat(1_001);
    let source = format!("(module (func {loops}))");
    let expected = ("loops within each other", 1_000, 1_001);
    assert_eq!(
        exceeded(source.as_bytes(), CompileLimits::default()),
        expected
    );
}

#[test]
fn those_who_wait_for_the_same_image_have_limits_of_their_own() {
    let source = module("own_limits");
    // The first compilation does not begin before the others wait.
    let (open, gate) = channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let first = start(
        request(&source),
        Some(std::sync::Arc::new(move |phase| {
            if matches!(phase, wasmbeam_core::Phase::Reading { .. }) {
                let _ = gate.lock().unwrap().recv();
            }
        })),
    )
    .unwrap();
    let mut strict = request(&source);
    strict.limits.functions = 0;
    let strict = start(strict, None).unwrap();
    let lax = start(request(&source), None).unwrap();
    open.send(()).unwrap();
    assert!(matches!(
        strict.recv().unwrap(),
        Err(Error::Limit { limit: 0, .. })
    ));
    assert!(first.recv().unwrap().is_ok());
    assert!(lax.recv().unwrap().is_ok());
}
