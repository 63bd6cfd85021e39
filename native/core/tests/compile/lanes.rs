use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use wasmbeam_core::Phase;
use wasmbeam_core::compile::MAX_LANES;

use crate::support::{compile, module, request, start};

#[test]
fn a_compilation_that_never_ends_does_not_keep_others_from_ending() {
    let (open, gate) = channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let (begun, beginning) = channel();
    let endless: Vec<_> = (0..MAX_LANES - 1)
        .map(|index| {
            let gate = Arc::clone(&gate);
            let begun = begun.clone();
            let wait = move |phase| {
                if matches!(phase, Phase::Compiling { .. }) {
                    let _ = begun.send(());
                    let _ = gate.lock().unwrap().recv();
                }
            };
            start(
                request(&module(&format!("endless{index}"))),
                Some(Arc::new(wait)),
            )
            .unwrap()
        })
        .collect();
    for _ in 0..MAX_LANES - 1 {
        beginning.recv().unwrap();
    }
    for index in 0..20 {
        assert!(compile(request(&module(&format!("quick{index}")))).is_ok());
    }
    drop(open);
    for outcome in endless {
        assert!(outcome.recv().unwrap().is_ok());
    }
}

#[test]
fn phases_are_told_in_their_order() {
    let source = module("phases");
    let phases = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&phases);
    let outcome = start(
        request(&source),
        Some(Arc::new(move |phase| seen.lock().unwrap().push(phase))),
    )
    .unwrap();
    assert!(outcome.recv().unwrap().is_ok());
    let phases = phases.lock().unwrap();
    let [
        Phase::Reading { bytes },
        Phase::Translating {
            bytes: binary,
            size,
        },
        Phase::Compiling {
            bytes: instrumented,
            ..
        },
    ] = phases.as_slice()
    else {
        panic!("{phases:?}");
    };
    assert_eq!(*bytes, source.len());
    assert!(binary < bytes);
    assert!(instrumented >= binary);
    assert_eq!(size.functions, 1);
}
