//! The state of an instance apart from the instance.

mod support;

mod capture;
mod damaged;
mod equivalence;
mod incremental;
#[cfg(target_os = "linux")]
mod mappings;
mod restore;
mod touched;
