//! WASI preview 1 as a guest and as an embedder see it, in both widths of memory.

mod clocks;
mod codec;
mod descriptors;
mod directories;
mod embedder;
mod files;
mod format;
mod hostile;
mod model;
mod paths;
mod plain;
mod poll;
mod quotas;
mod rights;
mod streams;
mod strings;
mod unstable;
mod world;
