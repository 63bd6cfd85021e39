//! The call engine as an embedder sees it: stores driven step by step.

mod brief;
mod calls;
mod emscripten;
mod fuel;
mod imports;
mod interrupts;
mod limits;
mod linking;
mod longjmp;
mod panics;
mod references;
mod slices;
mod start;
mod support;
mod threads;
mod validation;
mod values;
mod wasi;
mod wasi_host;
