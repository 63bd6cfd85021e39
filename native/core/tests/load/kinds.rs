use std::borrow::Cow;

use wasmbeam_core::load::{Kind, LoadError, Prepare, prepare};

use crate::support::wat;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

#[test]
fn bytes_are_told_apart_by_their_beginning() {
    for (bytes, kind) in [
        (wat("(module)").as_slice(), Kind::Module),
        (COMPONENT, Kind::Component),
        (b"(module)", Kind::Text),
        (b" \n\t(module)", Kind::Text),
        (b";; a comment\n(module)", Kind::Text),
        (b"(; a comment ;) (component)", Kind::Text),
        (b"", Kind::Unknown),
        (b"\0asm", Kind::Unknown),
        (b"\0asm\x02\0\0\0", Kind::Unknown),
        (b"\x7fELF\x02\x01\x01\0", Kind::Unknown),
    ] {
        assert_eq!(Kind::of(bytes), kind, "{bytes:?}");
    }
}

#[test]
fn only_modules_are_prepared() {
    for bytes in [COMPONENT, b"(module)", b"", b"\0asm\x02\0\0\0"] {
        let error = prepare(bytes, Prepare::default()).expect_err("no module");
        assert_eq!(error, LoadError::NotAModule(Kind::of(bytes)));
        assert_eq!(error.offset(), None);
    }
    let text = prepare(b"(module)", Prepare::default()).expect_err("text");
    assert_eq!(
        text.to_string(),
        "expected a binary WebAssembly module, found the text format"
    );
}

#[test]
fn a_module_that_needs_nothing_is_borrowed() {
    let wasm = wat("(module (memory 1) (func (drop (i32.const 6))))");
    let prepared = prepare(&wasm, Prepare::default()).expect("a module");
    assert!(matches!(prepared.wasm, Cow::Borrowed(_)));
    assert!(!prepared.validated);
}

#[test]
fn both_transformations_are_applied() {
    let wasm = wat("(module (memory 1) (func (export \"f\") try catch_all end))");
    let options = Prepare {
        expose_internals: true,
    };
    let prepared = prepare(&wasm, options).expect("a module");
    assert!(prepared.validated);
    let module =
        wasmtime::Module::new(&crate::support::engine(), &prepared.wasm).expect("a module");
    let names: Vec<_> = module.exports().map(|e| e.name().to_owned()).collect();
    assert_eq!(names, ["f", "\0wasmbeam/memory/0"]);
}
