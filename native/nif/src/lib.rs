//! The Erlang face of `wasmbeam-core`: terms, resources and scheduling.
#![deny(unsafe_op_in_unsafe_fn)]
