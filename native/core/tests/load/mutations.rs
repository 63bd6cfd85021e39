//! Damaged modules: whatever happens, it is an error or a valid module, and no panic.

use wasmbeam_core::load::legacy_exceptions::translate;
use wasmbeam_core::load::{Prepare, prepare};
use wasmparser::{Validator, WasmFeatures};

use crate::support::generated::{Random, module};
use crate::support::{validate_standard, wat};

const EXAMPLE: &str = r#"
    (module
      (rec (type $s (struct (field (ref null $s)))) (type $f (func (param (ref null $s) i32) (result i32))))
      (import "m" "t" (tag $t (param (ref null $s))))
      (memory 1)
      (table 1 funcref)
      (global (mut i32) (i32.const 0))
      (func $f (export "f") (type $f) (local i64 f32)
        try $outer (result i32)
          local.get 0
          local.get 1
          try $inner (param (ref null $s) i32) (result i32)
            block $b (param i32) (result i32)
              local.get 1
              br_table $b $inner $outer 3
            end
            drop
            throw $t
          catch $t
            drop
            try
              block $caught (result (ref null $s))
                (try_table (catch $t $caught)
                  (rethrow 3))
                unreachable
              end
              drop
            delegate $outer
            rethrow $inner
          catch_all
            i32.const 25
          end
          try (param i32) (result i32)
            drop
            local.get 0
            try (param (ref null $s)) (result i32)
              throw $t
            delegate 2
          delegate 1
        catch_all
          i32.const 7
        end)
      (data (i32.const 0) "data"))"#;

fn originals() -> Vec<Vec<u8>> {
    let mut originals: Vec<_> = (0..60).map(module).collect();
    for _ in 0..20 {
        originals.push(wat(EXAMPLE));
    }
    originals
}

fn check(wasm: &[u8], what: &str) -> bool {
    let options = Prepare {
        expose_internals: true,
    };
    let Ok(prepared) = prepare(wasm, options) else {
        return false;
    };
    let features = WasmFeatures::WASM3 | WasmFeatures::LEGACY_EXCEPTIONS;
    let valid = Validator::new_with_features(features)
        .validate_all(wasm)
        .is_ok();
    // What has no legacy instruction is left for the compiler to validate, as it was given.
    if prepared.validated || valid {
        assert_eq!(validate_standard(&prepared.wasm).is_ok(), valid, "{what}");
    }
    valid
}

#[test]
fn changed_bytes() {
    let mut random = Random::new(7);
    let mut valid = 0;
    for (index, original) in originals().iter().enumerate() {
        translate(original).unwrap_or_else(|e| panic!("module {index}: {e}"));
        assert!(check(original, "the original"));
        for round in 0..80 {
            let mut wasm = original.clone();
            for _ in 0..=random.below(3) {
                let at = 8 + random.below(wasm.len() - 8);
                wasm[at] = match random.below(3) {
                    0 => wasm[at] ^ (1 << random.below(8)),
                    1 => [0x06, 0x07, 0x09, 0x0b, 0x18, 0x19, 0x1f, 0x0e][random.below(8)],
                    _ => random.next() as u8,
                };
            }
            valid += usize::from(check(&wasm, &format!("module {index}, round {round}")));
        }
    }
    assert!(valid > 200, "only {valid} of them were valid");
}

#[test]
fn truncations() {
    for (index, original) in originals().iter().enumerate().step_by(7) {
        for len in 0..original.len() {
            check(&original[..len], &format!("module {index}, {len} bytes"));
        }
    }
}

#[test]
fn moved_and_repeated_parts() {
    let mut random = Random::new(11);
    for (index, original) in originals().iter().enumerate() {
        for round in 0..40 {
            let mut wasm = original.clone();
            let from = 8 + random.below(wasm.len() - 8);
            let len = random.below(12).min(wasm.len() - from);
            let to = 8 + random.below(wasm.len() - 8);
            let part = wasm[from..from + len].to_vec();
            if random.below(2) == 0 {
                wasm.drain(from..from + len);
            }
            let to = to.min(wasm.len());
            wasm.splice(to..to, part);
            check(&wasm, &format!("module {index}, round {round}"));
        }
    }
}
