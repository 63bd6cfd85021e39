//! Reading a snapshot.

use super::chain;
use super::codec::{BLOCK, BlockHeader, Compression, decompress};
use super::reader::Reader;
use super::{
    CHECKSUM_LEN, DROPPED, GLOBALS, HEADER_LEN, INCREMENTAL, MAGIC, MEMORIES, REPEATED, SnapshotId,
    TABLES, VERSION, WASI, checksum, content, row,
};
use crate::error::{Error, Result};
use crate::module::ModuleId;
use crate::snapshot::image::{Builder, Image, Run, is_zero};
use crate::snapshot::{Content, GlobalState, PAGE, Reference, State, TableState, Tag, bad};
use crate::wasi::{Quotas, WasiState};

/// What a snapshot may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes of all memories together.
    pub memory: u64,
    /// Elements of all tables together.
    pub table_elements: u64,
}

impl From<&crate::Limits> for ReadLimits {
    fn from(limits: &crate::Limits) -> Self {
        Self {
            memory: limits.memory,
            table_elements: limits.table_elements,
        }
    }
}

/// The state that a snapshot holds, which is one of `module`.
///
/// # Errors
/// `BadSnapshot` if the bytes are no snapshot, or a damaged one, or one of another module, or one
/// that is based on another; `Limit` if the state is larger than allowed; `Internal` if there is no
/// memory for it.
pub fn decode(snapshot: &[u8], module: ModuleId, limits: ReadLimits) -> Result<State> {
    decode_chain(&[snapshot], module, limits)
}

/// The state that the last of some snapshots holds. The first is complete, and each other is based
/// on the one before it.
///
/// # Errors
/// As [`decode`]; which of several snapshots is to blame is said.
pub fn decode_chain(snapshots: &[&[u8]], module: ModuleId, limits: ReadLimits) -> Result<State> {
    let mut links: Vec<Link> = Vec::with_capacity(snapshots.len());
    let mut stored = 0_u64;
    for (number, snapshot) in (1..).zip(snapshots) {
        let link = link(snapshot, number, module, limits).and_then(|link| {
            let before = links.last().map(|link| link.id);
            if link.base == before {
                return Ok(link);
            }
            bad(match link.base {
                Some(base) => format!("it is based on snapshot {base}, which is missing before it"),
                None => "it is complete, and not based on the one before it".into(),
            })
        });
        match link {
            Ok(link) => {
                stored = stored.saturating_add(link.stored_bytes());
                links.push(link);
            }
            Err(Error::BadSnapshot { message }) if snapshots.len() > 1 => {
                return bad(format!(
                    "snapshot {number} of {}: {message}",
                    snapshots.len()
                ));
            }
            Err(error) => return Err(error),
        }
        // However many there are, what they hold is not in memory at once.
        if stored > limits.memory && links.len() > 1 {
            let joined = chain::join(std::mem::take(&mut links))?;
            stored = joined.stored_bytes();
            links.push(joined);
        }
    }
    chain::merge(links)
}

/// One of the snapshots of a chain.
pub(super) struct Link {
    /// Which of the chain it is, from 1 on.
    pub number: usize,
    pub id: SnapshotId,
    pub base: Option<SnapshotId>,
    pub memories: Vec<Part>,
    /// Everything but the memories.
    pub state: State,
}

impl Link {
    fn stored_bytes(&self) -> u64 {
        self.memories
            .iter()
            .map(|part| part.changed.stored_bytes())
            .sum()
    }
}

/// What a snapshot holds of a memory.
pub(super) struct Part {
    /// Which of the chain it is of.
    pub number: usize,
    pub page_size_log2: u8,
    pub compression: Compression,
    pub changed: Image,
    pub zeroed: Vec<Run>,
}

fn link(bytes: &[u8], number: usize, module: ModuleId, limits: ReadLimits) -> Result<Link> {
    let (body, id) = check(bytes)?;
    let mut reader = Reader::new(body, 0);
    let Header {
        sections,
        module: of,
        base,
    } = header(&mut reader, bytes.len())?;
    if of != module {
        return reader.bad("it is of another module");
    }
    let mut state = State {
        module,
        memories: Vec::new(),
        globals: Vec::new(),
        tables: Vec::new(),
        dropped_data: Vec::new(),
        dropped_elements: Vec::new(),
        wasi: None,
    };
    let mut parts = Vec::new();
    each_section(reader, sections, |tag, body| {
        match tag {
            MEMORIES => parts = memories(body, number, limits.memory, base.is_some())?,
            GLOBALS => state.globals = globals(body)?,
            TABLES => state.tables = tables(body, limits.table_elements)?,
            DROPPED => {
                state.dropped_data = indices(body)?;
                state.dropped_elements = indices(body)?;
            }
            _ => state.wasi = Some(Box::new(wasi(body)?)),
        }
        Ok(())
    })?;
    Ok(Link {
        number,
        id,
        base,
        memories: parts,
        state,
    })
}

/// What the checksum is of, and the checksum.
pub(super) fn check(bytes: &[u8]) -> Result<(&[u8], SnapshotId)> {
    let reader = Reader::new(bytes, 0);
    if !bytes.starts_with(&MAGIC) {
        return reader.bad("it does not begin as a snapshot does");
    }
    if bytes.len() < HEADER_LEN + CHECKSUM_LEN {
        return reader.bad("it is too short");
    }
    let (body, sum) = bytes.split_at(bytes.len() - CHECKSUM_LEN);
    let id = checksum(body);
    if id.0 != sum {
        return reader.bad("its checksum is wrong: it is damaged or incomplete");
    }
    Ok((body, id))
}

/// What comes before the sections.
pub(super) struct Header {
    /// How many there are.
    pub sections: u32,
    pub module: ModuleId,
    pub base: Option<SnapshotId>,
}

pub(super) fn header(reader: &mut Reader<'_>, len: usize) -> Result<Header> {
    reader.array::<8>()?;
    let version = reader.u16()?;
    if version != VERSION {
        return reader.bad(&format!("it has version {version}, which is not known"));
    }
    let flags = reader.u16()?;
    reader.zero((flags & !INCREMENTAL).into())?;
    let sections = reader.u32()?;
    if reader.u64()? != len as u64 {
        return reader.bad("its length is not what it says");
    }
    let module = ModuleId(reader.array()?);
    let base: [u8; CHECKSUM_LEN] = reader.array()?;
    let base = if flags & INCREMENTAL != 0 {
        Some(SnapshotId(base))
    } else {
        reader.zero(u64::from(base != [0; CHECKSUM_LEN]))?;
        None
    };
    Ok(Header {
        sections,
        module,
        base,
    })
}

/// All but the last are always there.
const SECTIONS: [Tag; 5] = [MEMORIES, GLOBALS, TABLES, DROPPED, WASI];

pub(super) fn wasi(reader: &mut Reader<'_>) -> Result<WasiState> {
    let bytes = reader.take(reader.remaining())?;
    WasiState::decode(bytes, Quotas::MAX).or_else(|error| reader.bad(&error.to_string()))
}

/// Reads `count` sections, which are the known ones in their order, to the end of the snapshot. The
/// last of the known ones, and it alone, may be missing.
pub(super) fn each_section(
    mut reader: Reader<'_>,
    count: u32,
    mut read: impl FnMut(Tag, &mut Reader<'_>) -> Result<()>,
) -> Result<()> {
    let mut known = SECTIONS.iter();
    for _ in 0..count {
        let (tag, mut body) = section(&mut reader)?;
        if known.next() != Some(&tag) {
            let tag = tag.escape_ascii();
            return reader.bad(&format!(
                "its section {tag} is not known, or not in its place"
            ));
        }
        read(tag, &mut body)?;
        body.end()?;
    }
    if known.len() > 1 {
        return reader.bad("it lacks a section");
    }
    reader.end()
}

fn section<'a>(reader: &mut Reader<'a>) -> Result<(Tag, Reader<'a>)> {
    let tag = reader.array()?;
    let reserved = reader.u32()?;
    reader.zero(reserved.into())?;
    let len = reader.u64()?;
    let Ok(len) = usize::try_from(len) else {
        return reader.bad("a section is too long");
    };
    let offset = reader.offset();
    Ok((tag, Reader::new(reader.take(len)?, offset)))
}

fn memories(
    reader: &mut Reader<'_>,
    number: usize,
    limit: u64,
    incremental: bool,
) -> Result<Vec<Part>> {
    let count = reader.count(20)?;
    let mut memories: Vec<Part> = Vec::with_capacity(count);
    let mut total = 0_u64;
    for _ in 0..count {
        let size = reader.u64()?;
        total = total.saturating_add(size);
        if total > limit {
            return Err(Error::Limit {
                what: "bytes of memory",
                limit,
                requested: total,
            });
        }
        let part = memory(reader, number, size, incremental)?;
        let other = |last: &Part| last.compression != part.compression;
        if memories.last().is_some_and(other) {
            return reader.bad("its memories are not compressed in one way");
        }
        memories.push(part);
    }
    Ok(memories)
}

/// Everything about a memory but the pages, which follow.
pub(super) struct MemoryHeader {
    pub page_size_log2: u8,
    pub compression: Compression,
    pub changed: Vec<Run>,
    pub zeroed: Vec<Run>,
}

pub(super) fn memory_header(
    reader: &mut Reader<'_>,
    size: u64,
    incremental: bool,
) -> Result<MemoryHeader> {
    let page_size_log2 = reader.u8()?;
    let Some(compression) = Compression::from_code(reader.u8()?) else {
        return reader.bad("its compression is not known");
    };
    if page_size_log2 > 16 || !size.is_multiple_of(1 << page_size_log2) {
        return reader.bad("the size of a memory is not one of whole pages");
    }
    let reserved = reader.u16()?;
    reader.zero(reserved.into())?;
    let changed = reader.count(16)?;
    let zeroed = reader.count(16)?;
    if zeroed > 0 && !incremental {
        return reader.bad("it lists pages of zeros");
    }
    Ok(MemoryHeader {
        page_size_log2,
        compression,
        changed: runs(reader, changed, size)?,
        zeroed: runs(reader, zeroed, size)?,
    })
}

fn memory(reader: &mut Reader<'_>, number: usize, size: u64, incremental: bool) -> Result<Part> {
    let header = memory_header(reader, size, incremental)?;
    Ok(Part {
        number,
        page_size_log2: header.page_size_log2,
        compression: header.compression,
        changed: pages(reader, size, &header.changed, header.compression)?,
        zeroed: header.zeroed,
    })
}

fn runs(reader: &mut Reader<'_>, count: usize, size: u64) -> Result<Vec<Run>> {
    reader.announce(count, 16)?;
    let all = size.div_ceil(PAGE as u64);
    let mut runs: Vec<Run> = Vec::with_capacity(count);
    for _ in 0..count {
        let run = Run {
            first: reader.u64()?,
            pages: reader.u64()?,
        };
        let follows = runs.last().is_none_or(|last| last.end() < run.first);
        let fits = run
            .first
            .checked_add(run.pages)
            .is_some_and(|end| end <= all);
        if !follows || !fits || run.pages == 0 {
            return reader.bad("its runs of pages are out of order or of bounds");
        }
        runs.push(run);
    }
    Ok(runs)
}

fn pages(
    reader: &mut Reader<'_>,
    size: u64,
    runs: &[Run],
    compression: Compression,
) -> Result<Image> {
    let mut missing = runs.iter().map(|run| run.pages * PAGE as u64).sum::<u64>();
    let mut builder = Builder::new(size);
    // A lie about how many bytes follow may choose the place for them, and no more.
    builder.expect_bytes(missing);
    let mut placing = runs.iter().flat_map(|run| run.first..run.end());
    let mut buffer = vec![0; BLOCK.min(usize::try_from(missing).unwrap_or(BLOCK))];
    while missing > 0 {
        let len = BLOCK.min(usize::try_from(missing).unwrap_or(BLOCK));
        let block = if compression == Compression::None {
            reader.take(len)?
        } else {
            let header = BlockHeader::of(reader.u32()?);
            let stored = reader.take(header.stored)?;
            if header.raw {
                if stored.len() != len {
                    return reader.bad("a block of pages is not of its size");
                }
                stored
            } else {
                let Some(target) = buffer.get_mut(..len) else {
                    return reader.bad("a block of pages is not of its size");
                };
                if !decompress(compression, stored, target) {
                    return reader.bad("a block of pages cannot be decompressed");
                }
                target
            }
        };
        place(reader, &mut builder, &mut placing, block, size)?;
        missing -= len as u64;
    }
    builder.finish()
}

/// Adds the pages of a block, each to where it belongs.
fn place(
    reader: &Reader<'_>,
    builder: &mut Builder,
    places: &mut impl Iterator<Item = u64>,
    block: &[u8],
    size: u64,
) -> Result<()> {
    for page in block.chunks(PAGE) {
        let Some(place) = places.next() else {
            return reader.bad("it has more pages than places for them");
        };
        if is_zero(page) {
            return reader.bad("it holds a page of zeros");
        }
        // The memory may end within its last page.
        let used = usize::try_from(size.saturating_sub(place * PAGE as u64)).unwrap_or(PAGE);
        if page.get(used..).is_some_and(|rest| !is_zero(rest)) {
            return reader.bad("a page has contents after the memory's end");
        }
        builder.push_page(place, page)?;
    }
    Ok(())
}

pub(super) fn globals(reader: &mut Reader<'_>) -> Result<Vec<GlobalState>> {
    let count = reader.count(5)?;
    let mut globals: Vec<GlobalState> = Vec::with_capacity(count);
    for _ in 0..count {
        let index = reader.u32()?;
        if globals.last().is_some_and(|last| last.index >= index) {
            return reader.bad("its globals are out of order");
        }
        let content = match reader.u8()? {
            content::I32 => Content::I32(reader.u32()?),
            content::I64 => Content::I64(reader.u64()?),
            content::F32 => Content::F32(reader.u32()?),
            content::F64 => Content::F64(reader.u64()?),
            content::V128 => Content::V128(u128::from_le_bytes(reader.array()?)),
            content::NULL => Content::Ref(Reference::Null),
            content::FUNC => Content::Ref(Reference::Func(reader.u32()?)),
            content::I31 => Content::Ref(Reference::I31(reader.u32()?)),
            _ => return reader.bad("the type of a global is not known"),
        };
        globals.push(GlobalState { index, content });
    }
    Ok(globals)
}

pub(super) fn tables(reader: &mut Reader<'_>, limit: u64) -> Result<Vec<TableState>> {
    let count = reader.count(12)?;
    let mut tables = Vec::with_capacity(count);
    let mut total = 0_u64;
    for _ in 0..count {
        let size = reader.u64()?;
        total = total.saturating_add(size);
        if total > limit {
            return Err(Error::Limit {
                what: "table elements",
                limit,
                requested: total,
            });
        }
        tables.push(table(reader, size)?);
    }
    Ok(tables)
}

fn table(reader: &mut Reader<'_>, size: u64) -> Result<TableState> {
    let rows = reader.count(9)?;
    let mut table = TableState::default();
    let mut missing = size;
    let mut listed_before = false;
    for _ in 0..rows {
        let kind = reader.u8()?;
        let count = reader.u64()?;
        let left = missing.checked_sub(count).filter(|_| count > 0);
        let Some(left) = left else {
            return reader.bad("a table has another number of elements than it says");
        };
        missing = left;
        let reference = match kind {
            row::NULL => Reference::Null,
            row::FUNC if count >= REPEATED => Reference::Func(reader.u32()?),
            row::I31 => Reference::I31(reader.u32()?),
            row::FUNCS if !listed_before => {
                listed(reader, count, &mut table)?;
                listed_before = true;
                continue;
            }
            _ => return reader.bad("a row of elements is of a kind that is not known"),
        };
        listed_before = false;
        if table
            .runs
            .last()
            .is_some_and(|(_, last)| *last == reference)
        {
            return reader.bad("a row of elements goes on with the one before");
        }
        table.runs.push((count, reference));
    }
    if missing > 0 {
        return reader.bad("a table has another number of elements than it says");
    }
    Ok(table)
}

fn listed(reader: &mut Reader<'_>, count: u64, table: &mut TableState) -> Result<()> {
    if count.saturating_mul(4) > reader.remaining() as u64 {
        return reader.bad("it ends before all elements that it announces");
    }
    let before = table.runs.last().map(|(_, last)| *last);
    let first = table.runs.len();
    for _ in 0..count {
        let index = reader.u32()?;
        if table.runs.len() == first && before == Some(Reference::Func(index)) {
            return reader.bad("a row of elements goes on with the one before");
        }
        table.push(Reference::Func(index));
    }
    let listed = table.runs.get(first..).unwrap_or_default();
    if listed.iter().any(|(count, _)| *count >= REPEATED) {
        return reader.bad("a row of elements should be one that repeats");
    }
    Ok(())
}

/// In ascending order.
pub(super) fn indices(reader: &mut Reader<'_>) -> Result<Vec<u32>> {
    let count = reader.count(4)?;
    let mut indices: Vec<u32> = Vec::with_capacity(count);
    for _ in 0..count {
        let index = reader.u32()?;
        if indices.last().is_some_and(|last| *last >= index) {
            return reader.bad("its dropped segments are out of order");
        }
        indices.push(index);
    }
    Ok(indices)
}
