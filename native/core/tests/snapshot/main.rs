//! The state of an instance apart from the instance.

mod support;

mod capture;
mod damaged;
mod equivalence;
mod incremental;
mod restore;
