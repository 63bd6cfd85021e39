//! WebAssembly instances for an embedder with its own scheduler.
//!
//! This crate knows nothing of Erlang: it holds the engine, modules, instances and the call
//! engine, and is tested by `cargo test` alone.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod wasi;
