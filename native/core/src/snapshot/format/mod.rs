//! States as bytes.
//!
//! `docs/snapshot-format.md` describes every byte. Equal states have equal bytes, for one
//! compression. Reading is strict: what is read is a state that [`encode`] could have written, or an
//! error, and reading takes no more memory than what is stored and the limits allow.

mod chain;
mod codec;
mod decode;
mod describe;
mod encode;
mod reader;

pub use codec::Compression;
pub use decode::{ReadLimits, decode, decode_chain};
pub use describe::{Description, MemoryDescription, describe};
pub use encode::{Base, encode};

use std::fmt;

use xxhash_rust::xxh3::xxh3_128;

use super::Tag;

const MAGIC: [u8; 8] = *b"\x89WBS\r\n\x1a\n";
const VERSION: u16 = 1;
/// Before the sections.
const HEADER_LEN: usize = 72;
const CHECKSUM_LEN: usize = 16;
/// The flag of a snapshot that holds what differs from another.
const INCREMENTAL: u16 = 1;

const MEMORIES: Tag = *b"MEMS";
const GLOBALS: Tag = *b"GLOB";
const TABLES: Tag = *b"TABL";
const DROPPED: Tag = *b"DROP";
/// Only where there is something in it.
const WASI: Tag = *b"WASI";

/// Types of the contents of globals.
mod content {
    pub const I32: u8 = 0;
    pub const I64: u8 = 1;
    pub const F32: u8 = 2;
    pub const F64: u8 = 3;
    pub const V128: u8 = 4;
    pub const NULL: u8 = 5;
    pub const FUNC: u8 = 6;
    pub const I31: u8 = 7;
}

/// Kinds of rows of elements.
mod row {
    /// So many null references.
    pub const NULL: u8 = 0;
    /// So often the same function.
    pub const FUNC: u8 = 1;
    /// So often the same i31.
    pub const I31: u8 = 2;
    /// So many functions.
    pub const FUNCS: u8 = 3;
}

/// Functions that follow each other less often than this are listed.
const REPEATED: u64 = 4;

/// Tells snapshots apart: the checksum that each ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SnapshotId([u8; CHECKSUM_LEN]);

impl SnapshotId {
    /// What the snapshot says, which is not checked. None if it is too short.
    #[must_use]
    pub fn of(snapshot: &[u8]) -> Option<Self> {
        snapshot.last_chunk().copied().map(Self)
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Of everything before it.
fn checksum(bytes: &[u8]) -> SnapshotId {
    SnapshotId(xxh3_128(bytes).to_le_bytes())
}
