pub mod folded;
pub mod generated;
pub mod script;

use std::path::PathBuf;

use wasmparser::{Validator, WasmFeatures};
use wasmtime::{Config, Engine};

pub fn engine() -> Engine {
    let mut config = Config::new();
    config
        .wasm_exceptions(true)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_tail_call(true)
        .wasm_memory64(true)
        .wasm_multi_memory(true);
    Engine::new(&config).expect("a valid configuration")
}

pub fn wat(text: &str) -> Vec<u8> {
    let buffer = wast::parser::ParseBuffer::new(text).expect("tokens");
    let mut wat: wast::Wat<'_> = wast::parser::parse(&buffer).expect("a module");
    wat.encode().expect("an encodable module")
}

/// Validates by the standard, without the legacy instructions.
pub fn validate_standard(wasm: &[u8]) -> Result<(), String> {
    let features = WasmFeatures::WASM3
        .union(WasmFeatures::CUSTOM_PAGE_SIZES)
        .union(WasmFeatures::WIDE_ARITHMETIC);
    match Validator::new_with_features(features).validate_all(wasm) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// A file of the shared test material, or none, with a note, where that is absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("WASMBEAM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let path = folder.join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "skipped: {} is absent (set WASMBEAM_SHARED)",
        path.display()
    );
    None
}
