//! What modules made by Emscripten import beside WASI.

pub mod syscalls;
