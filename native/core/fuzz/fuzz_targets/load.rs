#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wasmbeam_core_fuzz::load::run(data));
