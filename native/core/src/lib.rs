//! WebAssembly instances for an embedder with its own scheduler.
//!
//! This crate knows nothing of Erlang: it holds the engine, modules, instances and the call
//! engine, and is tested by `cargo test` alone.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod compile;
pub mod emscripten;
mod engine;
mod error;
mod global;
pub mod image;
mod layout;
mod limits;
pub mod load;
mod memory;
mod module;
pub mod mounts;
mod natives;
pub mod node;
mod shared_file;
pub mod snapshot;
pub mod store;
mod table;
mod ticker;
pub mod timing;
mod value;
pub mod wasi;
pub mod wasi_host;

pub use engine::{Engine, EngineConfig, GuestStack, Opt};
pub use error::{Error, ExceptionInfo, Frame, Interruption, Result, TrapInfo};
pub use limits::{Gauge, Limits};
pub use memory::MemorySelector;
pub use module::{Export, Import, Module, ModuleId, Phase, kind};
pub use natives::{Provider, Question, Reply};
pub use table::TableSelector;
pub use value::{FuncRef, Hierarchy, HostObject, ObjectKind, ObjectRef, Signature, Value};
pub use wasmtime::{ExternType, HeapType, RefType, ValType};
