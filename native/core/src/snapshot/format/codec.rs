//! Compression of pages, in blocks.

use super::super::PAGE;
use crate::error::{Error, Result};

/// Pages that are compressed together: few bytes cannot stand for more than this.
pub(super) const BLOCK: usize = 64 * PAGE;
/// A block that compression did not make smaller is stored as it is, and marked.
const RAW: u32 = 1 << 31;

/// How the pages of a snapshot are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    #[default]
    None,
    Lz4,
    Zstd,
}

impl Compression {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Lz4 => 1,
            Self::Zstd => 2,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::None),
            1 => Some(Self::Lz4),
            2 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Compresses blocks one after the other.
pub(super) struct Compressor {
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Compressor {
    /// None where nothing is to be compressed.
    pub fn new(compression: Compression) -> Result<Option<Self>> {
        match compression {
            Compression::None => Ok(None),
            Compression::Lz4 => Ok(Some(Self { zstd: None })),
            Compression::Zstd => {
                let zstd = zstd::bulk::Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)
                    .map_err(Error::internal)?;
                Ok(Some(Self { zstd: Some(zstd) }))
            }
        }
    }

    /// Appends a block with its header.
    pub fn append(&mut self, out: &mut Vec<u8>, block: &[u8]) -> Result<()> {
        let compressed = match &mut self.zstd {
            None => lz4_flex::block::compress(block),
            Some(zstd) => zstd.compress(block).map_err(Error::internal)?,
        };
        let (mark, bytes) = if compressed.len() < block.len() {
            (0, compressed.as_slice())
        } else {
            (RAW, block)
        };
        let len = u32::try_from(bytes.len()).map_err(Error::internal)?;
        out.extend_from_slice(&(len | mark).to_le_bytes());
        out.extend_from_slice(bytes);
        Ok(())
    }
}

/// What a block's header says.
pub(super) struct BlockHeader {
    pub stored: usize,
    pub raw: bool,
}

impl BlockHeader {
    pub fn of(header: u32) -> Self {
        Self {
            stored: (header & !RAW) as usize,
            raw: header & RAW != 0,
        }
    }
}

/// Decompresses a block that must fill `block`.
pub(super) fn decompress(compression: Compression, stored: &[u8], block: &mut [u8]) -> bool {
    let len = match compression {
        Compression::None => return false,
        Compression::Lz4 => lz4_flex::block::decompress_into(stored, block).ok(),
        Compression::Zstd => zstd::bulk::decompress_to_buffer(stored, block).ok(),
    };
    len == Some(block.len())
}
