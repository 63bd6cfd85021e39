//! Compiling in the background, and what is kept of it.

mod support;

mod folder;
mod images;
mod keys;
mod lanes;
mod limits;
