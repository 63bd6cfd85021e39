//! The whole state of an instance, apart from the instance.
//!
//! A [`State`] is taken from an idle instance, and another instance of the same module can begin
//! with it. It is immutable: any number of instances share its pages until they write to them. Its
//! [`format`] makes it bytes and back.
//!
//! What is in it: every memory at its size, every mutable global, every table, and which segments
//! are dropped. Functions are known by their index. What exists in one store only cannot be in it:
//! host objects, garbage-collected objects and functions of other instances.

mod capture;
#[cfg(target_os = "linux")]
mod file;
pub mod format;
mod image;
#[cfg(target_os = "linux")]
mod pagemap;
mod restore;
mod touched;
mod tracked;

use std::sync::Arc;

pub(crate) use capture::capture;
pub(crate) use image::Image;
pub(crate) use restore::apply;
pub(crate) use touched::{clear, touched};
pub(crate) use tracked::{Purpose, Tracked};

use crate::error::{Error, Result};
use crate::module::ModuleId;
use crate::wasi::WasiState;

/// The unit in which memory is stored and shared, whatever the size of the machine's pages or the
/// module's.
pub const PAGE: usize = 4096;

/// The state of an instance of one module.
#[derive(Debug, Clone)]
pub struct State {
    pub(crate) module: ModuleId,
    /// In the order of their indices, imported ones first.
    pub(crate) memories: Vec<MemoryState>,
    /// The mutable ones, in the order of their indices.
    pub(crate) globals: Vec<GlobalState>,
    pub(crate) tables: Vec<TableState>,
    /// The passive segments that are dropped, in ascending order.
    pub(crate) dropped_data: Vec<u32>,
    pub(crate) dropped_elements: Vec<u32>,
    /// None if the guest has not used WASI, and nothing was prepared for it.
    pub(crate) wasi: Option<Box<WasiState>>,
}

/// Names a section of a snapshot.
pub type Tag = [u8; 4];

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MemoryState {
    /// The size of a page of this memory, as a power of two.
    pub page_size_log2: u8,
    pub image: Arc<Image>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GlobalState {
    pub index: u32,
    pub content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    I32(u32),
    I64(u64),
    F32(u32),
    F64(u64),
    V128(u128),
    Ref(Reference),
}

/// A reference that means the same in every instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reference {
    Null,
    /// The function with that index.
    Func(u32),
    I31(u32),
}

/// A table's elements: each run is a reference and how often it follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TableState {
    pub runs: Vec<(u64, Reference)>,
}

impl TableState {
    pub fn push(&mut self, reference: Reference) {
        match self.runs.last_mut() {
            Some((count, last)) if *last == reference => *count += 1,
            _ => self.runs.push((1, reference)),
        }
    }

    pub fn size(&self) -> u64 {
        self.runs
            .iter()
            .fold(0, |size, (count, _)| size.saturating_add(*count))
    }
}

fn bad<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::BadSnapshot {
        message: message.into(),
    })
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.module == other.module
            && self.memories == other.memories
            && self.globals == other.globals
            && self.tables == other.tables
            && self.dropped_data == other.dropped_data
            && self.dropped_elements == other.dropped_elements
            && self.encoded_wasi() == other.encoded_wasi()
    }
}

impl State {
    /// The bytes of memory that it stores: pages that are zero are not.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.memories
            .iter()
            .map(|memory| memory.image.stored_bytes())
            .sum()
    }

    /// The elements of all tables.
    #[must_use]
    pub fn table_elements(&self) -> u64 {
        self.tables
            .iter()
            .map(TableState::size)
            .fold(0, u64::saturating_add)
    }

    /// Whether instances that begin with it share nearly all of its pages.
    pub(crate) fn is_shared(&self) -> bool {
        self.memories.iter().all(|memory| memory.image.is_shared())
    }

    fn encoded_wasi(&self) -> Option<Vec<u8>> {
        self.wasi.as_ref().map(|wasi| wasi.encode())
    }
}
