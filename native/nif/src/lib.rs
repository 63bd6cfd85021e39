//! The Erlang face of `wasmbeam-core`: terms, resources and scheduling.
//!
//! The functions here are those of the Erlang module `wasmbeam_nif`. Each decodes, does one thing,
//! and encodes; policy is in Erlang.
#![deny(unsafe_op_in_unsafe_fn)]

mod access;
mod atoms;
mod bell;
mod call;
mod compile;
mod error;
mod events;
mod files;
mod info;
mod inspect;
mod instance;
mod json;
mod ledger;
mod line;
mod lines;
mod mirrors;
mod module;
mod reaper;
mod recent;
mod snapshot;
mod store;
mod term;
mod tickets;
mod wasi;
mod world;

rustler::init!("wasmbeam_nif");
