//! Writing a snapshot.

use super::codec::{BLOCK, Compression, Compressor};
use super::{
    CHECKSUM_LEN, DROPPED, GLOBALS, HEADER_LEN, INCREMENTAL, MAGIC, MEMORIES, REPEATED, SnapshotId,
    TABLES, VERSION, WASI, checksum, content, row,
};
use crate::error::{Error, Result};
use crate::snapshot::image::{Difference, Run};
use crate::snapshot::{Content, GlobalState, MemoryState, PAGE, Reference, State, TableState, Tag};

/// A snapshot that is known to whoever will read the one that is written.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    pub id: SnapshotId,
    pub state: &'a State,
}

/// A state's snapshot; with a base, one that holds of the memories just what differs from it.
///
/// # Errors
/// `BadSnapshot` if the base is of another module; `Internal` if compression fails.
pub fn encode(state: &State, compression: Compression, base: Option<Base<'_>>) -> Result<Vec<u8>> {
    if base.is_some_and(|base| !is_comparable(base.state, state)) {
        return Err(Error::BadSnapshot {
            message: "the base is of another module".into(),
        });
    }
    let mut out = Vec::with_capacity(match base {
        Some(_) => 64 << 10,
        None => capacity(state, compression),
    });
    out.extend_from_slice(&MAGIC);
    put_u16(&mut out, VERSION);
    put_u16(&mut out, if base.is_some() { INCREMENTAL } else { 0 });
    put_u32(&mut out, 4 + u32::from(state.wasi.is_some()));
    let total = out.len();
    put_u64(&mut out, 0);
    out.extend_from_slice(&state.module.0);
    out.extend_from_slice(&base.map_or([0; CHECKSUM_LEN], |base| base.id.0));
    debug_assert_eq!(out.len(), HEADER_LEN);

    section(&mut out, MEMORIES, |out| {
        put_len(out, state.memories.len())?;
        for (index, memory) in state.memories.iter().enumerate() {
            let before = base.and_then(|base| base.state.memories.get(index));
            put_memory(out, memory, before, compression)?;
        }
        Ok(())
    })?;
    section(&mut out, GLOBALS, |out| {
        put_len(out, state.globals.len())?;
        state
            .globals
            .iter()
            .for_each(|global| put_global(out, global));
        Ok(())
    })?;
    section(&mut out, TABLES, |out| {
        put_len(out, state.tables.len())?;
        state
            .tables
            .iter()
            .try_for_each(|table| put_table(out, table))
    })?;
    section(&mut out, DROPPED, |out| {
        for dropped in [&state.dropped_data, &state.dropped_elements] {
            put_len(out, dropped.len())?;
            dropped.iter().for_each(|index| put_u32(out, *index));
        }
        Ok(())
    })?;
    if let Some(bytes) = state.encoded_wasi() {
        section(&mut out, WASI, |out| {
            out.extend_from_slice(&bytes);
            Ok(())
        })?;
    }
    let len = (out.len() + CHECKSUM_LEN) as u64;
    fill_u64(&mut out, total, len);
    let id = checksum(&out);
    out.extend_from_slice(&id.0);
    Ok(out)
}

fn is_comparable(base: &State, state: &State) -> bool {
    base.module == state.module && base.memories.len() == state.memories.len()
}

fn capacity(state: &State, compression: Compression) -> usize {
    let stored = usize::try_from(state.stored_bytes()).unwrap_or(0);
    match compression {
        Compression::None => stored + (16 << 10),
        Compression::Lz4 | Compression::Zstd => stored / 2 + (16 << 10),
    }
}

fn section(
    out: &mut Vec<u8>,
    tag: Tag,
    body: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    out.extend_from_slice(&tag);
    put_u32(out, 0);
    let len = out.len();
    put_u64(out, 0);
    let start = out.len();
    body(out)?;
    let size = (out.len() - start) as u64;
    fill_u64(out, len, size);
    Ok(())
}

fn put_memory(
    out: &mut Vec<u8>,
    memory: &MemoryState,
    before: Option<&MemoryState>,
    compression: Compression,
) -> Result<()> {
    let image = &memory.image;
    let Difference { changed, zeroed } = match before {
        Some(before) => image.difference(&before.image),
        None => Difference {
            changed: image.pages().collect(),
            zeroed: Vec::new(),
        },
    };
    let mut runs = Vec::new();
    for (page, _) in &changed {
        Run::append(&mut runs, *page);
    }
    put_u64(out, image.len());
    out.push(memory.page_size_log2);
    out.push(compression.code());
    put_u16(out, 0);
    put_len(out, runs.len())?;
    put_len(out, zeroed.len())?;
    for run in runs.iter().chain(&zeroed) {
        put_u64(out, run.first);
        put_u64(out, run.pages);
    }
    let Some(mut compressor) = Compressor::new(compression)? else {
        out.reserve(changed.len() * PAGE);
        for (_, bytes) in changed {
            out.extend_from_slice(bytes);
        }
        return Ok(());
    };
    // Blocks go across runs, and hold whole pages.
    let mut block = Vec::with_capacity(BLOCK);
    for (_, bytes) in changed {
        block.extend_from_slice(bytes);
        if block.len() == BLOCK {
            compressor.append(out, &block)?;
            block.clear();
        }
    }
    if !block.is_empty() {
        compressor.append(out, &block)?;
    }
    Ok(())
}

fn put_global(out: &mut Vec<u8>, global: &GlobalState) {
    put_u32(out, global.index);
    match global.content {
        Content::I32(value) => put_tagged(out, content::I32, &value.to_le_bytes()),
        Content::I64(value) => put_tagged(out, content::I64, &value.to_le_bytes()),
        Content::F32(bits) => put_tagged(out, content::F32, &bits.to_le_bytes()),
        Content::F64(bits) => put_tagged(out, content::F64, &bits.to_le_bytes()),
        Content::V128(bits) => put_tagged(out, content::V128, &bits.to_le_bytes()),
        Content::Ref(Reference::Null) => out.push(content::NULL),
        Content::Ref(Reference::Func(index)) => {
            put_tagged(out, content::FUNC, &index.to_le_bytes());
        }
        Content::Ref(Reference::I31(value)) => put_tagged(out, content::I31, &value.to_le_bytes()),
    }
}

fn put_tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn put_table(out: &mut Vec<u8>, table: &TableState) -> Result<()> {
    put_u64(out, table.size());
    let rows_at = out.len();
    put_u32(out, 0);
    let mut rows = 0;
    let mut listed = Vec::new();
    for (count, reference) in &table.runs {
        if let Reference::Func(index) = reference
            && *count < REPEATED
        {
            (0..*count).for_each(|_| listed.push(*index));
            continue;
        }
        put_listed(out, &mut listed, &mut rows);
        rows += 1;
        match reference {
            Reference::Null => put_row(out, row::NULL, *count, &[]),
            Reference::Func(index) => put_row(out, row::FUNC, *count, &[*index]),
            Reference::I31(value) => put_row(out, row::I31, *count, &[*value]),
        }
    }
    put_listed(out, &mut listed, &mut rows);
    let rows: u32 = rows.try_into().map_err(Error::internal)?;
    if let Some(place) = out.get_mut(rows_at..rows_at + 4) {
        place.copy_from_slice(&rows.to_le_bytes());
    }
    Ok(())
}

fn put_listed(out: &mut Vec<u8>, listed: &mut Vec<u32>, rows: &mut usize) {
    if !listed.is_empty() {
        *rows += 1;
        put_row(out, row::FUNCS, listed.len() as u64, listed);
        listed.clear();
    }
}

fn put_row(out: &mut Vec<u8>, kind: u8, count: u64, values: &[u32]) {
    out.push(kind);
    put_u64(out, count);
    values.iter().for_each(|value| put_u32(out, *value));
}

fn put_len(out: &mut Vec<u8>, len: usize) -> Result<()> {
    put_u32(out, u32::try_from(len).map_err(Error::internal)?);
    Ok(())
}

fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn fill_u64(out: &mut [u8], at: usize, value: u64) {
    if let Some(place) = out.get_mut(at..at + 8) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}
