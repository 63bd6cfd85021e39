//! What is fuzzed, each as a function of some bytes that panics if it finds a fault.
//!
//! `fuzz_targets` runs these with inputs that a fuzzer chooses for what they reach, and `tests/fuzz.rs`
//! of the core with inputs from a seed.

mod guest;
pub mod legacy_exceptions;
pub mod load;
pub mod snapshot;
pub mod values;
pub mod wasi;
