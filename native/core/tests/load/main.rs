//! What happens to a module before it is compiled.

mod support;

mod dropped_segments;
mod effort;
mod hostile_modules;
mod internal_items;
mod kinds;
mod legacy_scripts;
mod legacy_structure;
mod long_operations;
mod mutations;
mod nesting;
