//! Which parts of WebAssembly a module makes use of.

use wasmparser::{Validator, WasmFeatures};

use super::LoadError;

/// Everything beyond the first version of the standard, by the names of the proposals.
const FEATURES: [(&str, WasmFeatures); 20] = [
    ("mutable-global", WasmFeatures::MUTABLE_GLOBAL),
    ("sign-extension", WasmFeatures::SIGN_EXTENSION),
    (
        "saturating-float-to-int",
        WasmFeatures::SATURATING_FLOAT_TO_INT,
    ),
    ("multi-value", WasmFeatures::MULTI_VALUE),
    ("bulk-memory", WasmFeatures::BULK_MEMORY),
    ("reference-types", WasmFeatures::REFERENCE_TYPES),
    ("simd", WasmFeatures::SIMD),
    ("relaxed-simd", WasmFeatures::RELAXED_SIMD),
    ("tail-call", WasmFeatures::TAIL_CALL),
    ("extended-const", WasmFeatures::EXTENDED_CONST),
    ("multi-memory", WasmFeatures::MULTI_MEMORY),
    ("memory64", WasmFeatures::MEMORY64),
    ("custom-page-sizes", WasmFeatures::CUSTOM_PAGE_SIZES),
    ("threads", WasmFeatures::THREADS),
    ("exceptions", WasmFeatures::EXCEPTIONS),
    ("legacy-exceptions", WasmFeatures::LEGACY_EXCEPTIONS),
    ("function-references", WasmFeatures::FUNCTION_REFERENCES),
    ("gc", WasmFeatures::GC),
    ("wide-arithmetic", WasmFeatures::WIDE_ARITHMETIC),
    ("stack-switching", WasmFeatures::STACK_SWITCHING),
];

/// The features without which a binary module would not be valid.
///
/// # Errors
/// `Invalid` if it is not valid with all of them.
pub fn features(wasm: &[u8]) -> Result<Vec<&'static str>, LoadError> {
    validate(wasm, WasmFeatures::all())?;
    let needed = FEATURES
        .iter()
        .filter(|(_, feature)| validate(wasm, WasmFeatures::all().difference(*feature)).is_err())
        .map(|(name, _)| *name);
    Ok(needed.collect())
}

fn validate(wasm: &[u8], features: WasmFeatures) -> Result<(), LoadError> {
    Validator::new_with_features(features)
        .validate_all(wasm)
        .map(drop)
        .map_err(LoadError::from)
}
