//! What a snapshot says of itself, without the module that it is of.

use super::codec::{BLOCK, BlockHeader, Compression};
use super::decode::{
    Header, MemoryHeader, check, each_section, globals, header, indices, memory_header, tables,
    wasi,
};
use super::reader::Reader;
use super::{DROPPED, GLOBALS, MEMORIES, SnapshotId, TABLES, VERSION};
use crate::error::Result;
use crate::module::ModuleId;
use crate::snapshot::image::Run;
use crate::snapshot::{PAGE, Tag};

/// What is in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub version: u16,
    pub id: SnapshotId,
    pub module: ModuleId,
    /// None if it is complete.
    pub base: Option<SnapshotId>,
    /// With the number of bytes of their contents.
    pub sections: Vec<(Tag, u64)>,
    pub memories: Vec<MemoryDescription>,
    pub globals: usize,
    /// How many elements each has.
    pub tables: Vec<u64>,
    pub dropped_data: usize,
    pub dropped_elements: usize,
}

/// What a snapshot holds of one memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryDescription {
    pub bytes: u64,
    /// In bytes.
    pub page_size: u32,
    pub compression: Compression,
    /// Units of 4,096 bytes that are there.
    pub stored_pages: u64,
    /// What they take.
    pub stored_bytes: u64,
    /// Units of 4,096 bytes that have become zero since the base.
    pub zeroed_pages: u64,
}

/// Reads a snapshot as strictly as `decode`, but for what is in compressed pages: they are skipped.
/// Takes no more memory than the snapshot has.
///
/// # Errors
/// `BadSnapshot` if the bytes are no snapshot, or a damaged one.
pub fn describe(snapshot: &[u8]) -> Result<Description> {
    let (body, id) = check(snapshot)?;
    let mut reader = Reader::new(body, 0);
    let Header {
        sections,
        module,
        base,
    } = header(&mut reader, snapshot.len())?;
    let mut description = Description {
        version: VERSION,
        id,
        module,
        base,
        sections: Vec::new(),
        memories: Vec::new(),
        globals: 0,
        tables: Vec::new(),
        dropped_data: 0,
        dropped_elements: 0,
    };
    each_section(reader, sections, |tag, body| {
        description.sections.push((tag, body.remaining() as u64));
        match tag {
            MEMORIES => description.memories = memories(body, base.is_some())?,
            GLOBALS => description.globals = globals(body)?.len(),
            TABLES => {
                let tables = tables(body, u64::MAX)?;
                description.tables = tables.iter().map(|table| table.size()).collect();
            }
            DROPPED => {
                description.dropped_data = indices(body)?.len();
                description.dropped_elements = indices(body)?.len();
            }
            _ => drop(wasi(body)?),
        }
        Ok(())
    })?;
    Ok(description)
}

fn memories(reader: &mut Reader<'_>, incremental: bool) -> Result<Vec<MemoryDescription>> {
    let count = reader.count(20)?;
    (0..count).map(|_| memory(reader, incremental)).collect()
}

fn memory(reader: &mut Reader<'_>, incremental: bool) -> Result<MemoryDescription> {
    let bytes = reader.u64()?;
    let MemoryHeader {
        page_size_log2,
        compression,
        changed,
        zeroed,
    } = memory_header(reader, bytes, incremental)?;
    let stored_pages = pages(&changed);
    let before = reader.remaining();
    skip(reader, stored_pages, compression)?;
    Ok(MemoryDescription {
        bytes,
        page_size: 1 << page_size_log2,
        compression,
        stored_pages,
        stored_bytes: (before - reader.remaining()) as u64,
        zeroed_pages: pages(&zeroed),
    })
}

/// Runs do not overlap and end with a memory, so that their sum is no more than it has.
fn pages(runs: &[Run]) -> u64 {
    runs.iter().map(|run| run.pages).sum()
}

fn skip(reader: &mut Reader<'_>, pages: u64, compression: Compression) -> Result<()> {
    let mut missing = u128::from(pages) * PAGE as u128;
    while missing > 0 {
        let len = BLOCK.min(usize::try_from(missing).unwrap_or(BLOCK));
        if compression == Compression::None {
            reader.take(len)?;
        } else {
            let header = BlockHeader::of(reader.u32()?);
            if header.raw && header.stored != len {
                return reader.bad("a block of pages is not of its size");
            }
            reader.take(header.stored)?;
        }
        missing -= len as u128;
    }
    Ok(())
}
