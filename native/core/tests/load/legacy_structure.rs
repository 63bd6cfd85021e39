//! What the translation leaves alone.

use std::borrow::Cow;

use wasmbeam_core::load::LoadError;
use wasmbeam_core::load::legacy_exceptions::{translate, uses_legacy_exceptions};
use wasmparser::{Parser, Payload};

use crate::support::wat;

const TYPE: u8 = 1;
const CODE: u8 = 10;

/// The sections in order, each as its bytes, but for those that the translation writes.
fn untouched(wasm: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Some((id, range)) = payload.expect("a valid module").as_section() {
            let contents = match id {
                TYPE | CODE => Vec::new(),
                _ => wasm[range].to_vec(),
            };
            sections.push((id, contents));
        }
    }
    sections
}

fn bodies(wasm: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload.expect("a valid module") {
            bodies.push(body.as_bytes().to_vec());
        }
    }
    bodies
}

#[test]
fn a_module_without_legacy_instructions_is_borrowed() {
    for text in [
        "(module)",
        "(module (tag) (func (throw 0)))",
        // Bytes that are those of legacy instructions, but stand for numbers.
        "(module (func (drop (i32.const 6)) (drop (i32.const 7)) (drop (i32.const 25))))",
        "(module (tag) (func (block (try_table (catch 0 0) (throw 0)))))",
    ] {
        let wasm = wat(text);
        assert_eq!(uses_legacy_exceptions(&wasm), Ok(false));
        assert!(matches!(translate(&wasm), Ok(Cow::Borrowed(_))), "{text}");
    }
}

#[test]
fn a_try_without_any_tag_is_found() {
    let wasm = wat("(module (func) (func try catch_all end))");
    assert_eq!(uses_legacy_exceptions(&wasm), Ok(true));
}

#[test]
fn other_sections_and_functions_are_copied() {
    let wasm = wat(r#"
        (module $named
          (@custom "first" (before first) "1")
          (type $t (func (param $a i32) (result i32)))
          (import "m" "f" (func $f (type $t)))
          (@custom "middle" (before code) "2")
          (tag $e (param i32))
          (memory 1)
          (table 1 funcref)
          (global $g (mut i32) (i32.const 0))
          (elem declare func $h)
          (func $plain (type $t) (local $x i64) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 4)) (i32.const 6))
          (func $h (export "h") (type $t) (local $l i32)
            local.get 0
            try $label (param i32) (result i32)
              throw $e
            catch $e
              drop
              rethrow $label
            end)
          (func $plain_too (export "p"))
          (data $d "1234")
          (@custom "last" (after last) "3"))"#);
    let translated = translate(&wasm).expect("a translation");
    assert_eq!(untouched(&wasm), untouched(&translated));
    let (before, after) = (bodies(&wasm), bodies(&translated));
    assert_eq!(before.len(), after.len());
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
    assert_eq!(before[2], after[2]);
}

#[test]
fn types_are_added_only_where_the_module_has_none_that_fit() {
    let types = |text: &str| {
        let wasm = wat(text);
        let translated = translate(&wasm).expect("a translation").into_owned();
        let count = |wasm: &[u8]| {
            Parser::new(0)
                .parse_all(wasm)
                .find_map(|payload| match payload.expect("a valid module") {
                    Payload::TypeSection(types) => Some(types.count()),
                    _ => None,
                })
                .expect("a type section")
        };
        (count(&wasm), count(&translated))
    };
    let (before, after) = types(
        "(module (tag (param i32)) (func try catch 0 drop end) (func try catch_all rethrow 0 end))",
    );
    assert_eq!(before, after);
    let (before, after) = types(
        "(module (tag (param i32 i64)) (func try catch 0 drop drop end) (func try catch 0 drop drop end))",
    );
    assert_eq!(before + 1, after);
    let (before, after) = types(
        "(module (type (func (result i32 i64))) (tag (param i32 i64)) (func try catch 0 drop drop end))",
    );
    assert_eq!(before, after);
}

#[test]
fn sections_with_padded_sizes_are_understood() {
    // The code section's size, the body's size and the number of locals take five bytes each.
    let mut wasm = b"\0asm\x01\0\0\0\x01\x84\x80\x80\x80\x00\x01\x60\0\0\x03\x02\x01\0".to_vec();
    wasm.extend(b"\x0a\x90\x80\x80\x80\x00\x01\x8a\x80\x80\x80\x00");
    wasm.extend(b"\x80\x80\x80\x80\x00\x06\x40\x19\x0b\x0b");
    let translated = translate(&wasm).expect("a translation");
    crate::support::validate_standard(&translated).expect("a valid module");
}

#[test]
fn an_invalid_module_is_refused_with_its_offset() {
    let wasm = wat("(module (func try catch_all end) (func i32.add))");
    match translate(&wasm) {
        Err(LoadError::Invalid { offset, message }) => {
            assert!(message.contains("type mismatch"), "{message}");
            assert_eq!(wasm[offset], 0x6a);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn stack_switching_beside_legacy_instructions_is_refused() {
    let wasm = wat(
        "(module (type $f (func)) (type $c (cont $f)) (func (param (ref $c)) try catch_all end))",
    );
    assert!(matches!(translate(&wasm), Err(LoadError::Invalid { .. })));
}
