//! A module as a row of sections, so that one is rewritten and the others copied as they are.

use std::ops::Range;

use wasm_encoder::{Encode, SectionId};
use wasmparser::Payload;

use super::LoadError;

/// The magic number and the version.
pub const HEADER_LEN: usize = 8;

/// Where a section lies in the module.
#[derive(Debug, Clone)]
pub struct Section {
    pub id: u8,
    /// The section with its id and size.
    pub whole: Range<usize>,
    pub contents: Range<usize>,
}

/// Collects the sections of a module from the payloads of a parser that is run over it.
#[derive(Debug, Default)]
pub struct Sections(Vec<Section>);

impl Sections {
    pub fn note(&mut self, payload: &Payload<'_>) {
        if let Some((id, contents)) = payload.as_section() {
            let start = self.0.last().map_or(HEADER_LEN, |last| last.whole.end);
            let whole = start..contents.end;
            self.0.push(Section {
                id,
                whole,
                contents,
            });
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Section> {
        self.0.iter()
    }

    /// Where a section that is not there has to begin.
    fn position_of(&self, id: u8) -> usize {
        self.iter()
            .filter(|section| rank(section.id).is_some_and(|rank_of| Some(rank_of) < rank(id)))
            .last()
            .map_or(HEADER_LEN, |section| section.whole.end)
    }
}

/// The order that the standard prescribes; custom sections may be anywhere.
const ORDER: [SectionId; 13] = [
    SectionId::Type,
    SectionId::Import,
    SectionId::Function,
    SectionId::Table,
    SectionId::Memory,
    SectionId::Tag,
    SectionId::Global,
    SectionId::Export,
    SectionId::Start,
    SectionId::Element,
    SectionId::DataCount,
    SectionId::Code,
    SectionId::Data,
];

fn rank(id: u8) -> Option<usize> {
    ORDER.iter().position(|known| u8::from(*known) == id)
}

/// What becomes of a section.
pub enum Edit {
    /// It has these contents; where there is none, one is added.
    Replace(Vec<u8>),
    Remove,
}

/// A section that is a counted row of entries.
#[derive(Default, Clone, Copy)]
pub struct Entries<'a> {
    pub count: u32,
    pub bytes: &'a [u8],
}

impl Entries<'_> {
    /// The section's contents with more entries after its own.
    pub fn extended(&self, more: usize, bytes: &[u8]) -> Result<Edit, LoadError> {
        let mut contents = Vec::with_capacity(self.bytes.len() + bytes.len() + 5);
        encode_len(&mut contents, self.count as usize + more, 0)?;
        contents.extend_from_slice(self.bytes);
        contents.extend_from_slice(bytes);
        Ok(Edit::Replace(contents))
    }
}

/// The module with some of its sections replaced, added or removed, and the others copied as they
/// are.
pub fn rewrite(
    wasm: &[u8],
    sections: &Sections,
    mut edits: Vec<(SectionId, Edit)>,
) -> Result<Vec<u8>, LoadError> {
    edits.sort_by_key(|(id, _)| rank(u8::from(*id)));
    let added: usize = edits
        .iter()
        .map(|(_, edit)| match edit {
            Edit::Replace(contents) => contents.len() + 8,
            Edit::Remove => 0,
        })
        .sum();
    let mut out = Vec::with_capacity(wasm.len() + added);
    let mut copied = 0;
    for (id, edit) in edits {
        let id = u8::from(id);
        let whole = match sections.iter().find(|section| section.id == id) {
            Some(section) => section.whole.clone(),
            None => {
                let position = sections.position_of(id);
                position..position
            }
        };
        out.extend_from_slice(slice(wasm, copied..whole.start)?);
        if let Edit::Replace(contents) = edit {
            append_section(&mut out, id, &contents, whole.start)?;
        }
        copied = whole.end;
    }
    out.extend_from_slice(slice(wasm, copied..wasm.len())?);
    Ok(out)
}

/// Appends a section with a header of its own.
pub fn append_section(
    out: &mut Vec<u8>,
    id: u8,
    contents: &[u8],
    offset: usize,
) -> Result<(), LoadError> {
    out.push(id);
    append_sized(out, contents, offset)
}

/// Appends bytes preceded by their number.
pub fn append_sized(out: &mut Vec<u8>, bytes: &[u8], offset: usize) -> Result<(), LoadError> {
    encode_len(out, bytes.len(), offset)?;
    out.extend_from_slice(bytes);
    Ok(())
}

pub fn encode_len(out: &mut Vec<u8>, len: usize, offset: usize) -> Result<(), LoadError> {
    let len = u32::try_from(len).map_err(|_| LoadError::Limit {
        offset,
        what: "bytes in a section",
        limit: u32::MAX as usize,
    })?;
    len.encode(out);
    Ok(())
}

/// The bytes of `range`, which a parser found in this very module.
pub fn slice(wasm: &[u8], range: Range<usize>) -> Result<&[u8], LoadError> {
    let offset = range.start;
    wasm.get(range)
        .ok_or_else(|| LoadError::invalid(offset, "unexpected end of the module"))
}
