//! Exports for what a module keeps to itself.
//!
//! The state of an instance is in its memories, its mutable globals and its tables, most of which
//! a module does not export. This pass adds an export for each of them under a reserved name, and
//! changes nothing else: no index, no code.

use std::borrow::Cow;
use std::fmt;

use wasm_encoder::{Encode, ExportKind, SectionId};
use wasmparser::{
    ExportSectionReader, GlobalSectionReader, ImportSectionReader, Parser, Payload, TypeRef,
};

use super::sections::{HEADER_LEN, Section, Sections, append_section, encode_len, slice};
use super::{LoadError, require_module};

/// How the name of each added export begins. No module may export such a name itself.
pub const RESERVED_PREFIX: &str = "\u{0}wasmbeam/";

const MAX_EXPORTS: usize = 1_000_000;

/// Whether `name` is kept for the exports that [`expose_internals`] adds.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    name.starts_with(RESERVED_PREFIX)
}

/// An item that is exported under a reserved name, by its index in the module's index space of
/// that kind (imports first).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Internal {
    /// A memory.
    Memory(u32),
    /// A mutable global.
    Global(u32),
    /// A table.
    Table(u32),
}

impl Internal {
    /// The item that an export's name stands for, if it is one that [`expose_internals`] added.
    #[must_use]
    pub fn from_export_name(name: &str) -> Option<Self> {
        let (kind, index) = name.strip_prefix(RESERVED_PREFIX)?.split_once('/')?;
        let internal = match kind {
            "memory" => Self::Memory(index.parse().ok()?),
            "global" => Self::Global(index.parse().ok()?),
            "table" => Self::Table(index.parse().ok()?),
            _ => return None,
        };
        // One name for each item: `parse` takes "+1" and "01" too.
        (internal.export_name() == name).then_some(internal)
    }

    /// The reserved name.
    #[must_use]
    pub fn export_name(self) -> String {
        self.to_string()
    }

    fn export_kind(self) -> (ExportKind, u32) {
        match self {
            Self::Memory(index) => (ExportKind::Memory, index),
            Self::Global(index) => (ExportKind::Global, index),
            Self::Table(index) => (ExportKind::Table, index),
        }
    }
}

/// Writes the reserved name.
impl fmt::Display for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, index) = match self {
            Self::Memory(index) => ("memory", index),
            Self::Global(index) => ("global", index),
            Self::Table(index) => ("table", index),
        };
        write!(f, "{RESERVED_PREFIX}{kind}/{index}")
    }
}

/// Exports every memory, mutable global and table of the module, imported or defined, under its
/// [reserved name](Internal::export_name), after the module's own exports.
///
/// All sections but the export section are copied as they are. The answer is borrowed where there
/// is nothing to export.
///
/// # Errors
///
/// [`LoadError::ReservedExport`] where the module exports a reserved name itself, and
/// [`LoadError::Invalid`] where it does not decode.
pub fn expose_internals(wasm: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    require_module(wasm)?;
    let survey = Survey::of(wasm)?;
    let internals = survey.internals();
    if internals.is_empty() {
        return Ok(Cow::Borrowed(wasm));
    }
    let position = survey.export_position();
    let exports = survey.own_exports as usize + internals.len();
    if exports > MAX_EXPORTS {
        return Err(LoadError::Limit {
            offset: position,
            what: "exports",
            limit: MAX_EXPORTS,
        });
    }

    let mut contents = Vec::new();
    encode_len(&mut contents, exports, position)?;
    contents.extend_from_slice(survey.own_export_entries);
    for internal in &internals {
        let (kind, index) = internal.export_kind();
        internal.export_name().as_str().encode(&mut contents);
        kind.encode(&mut contents);
        index.encode(&mut contents);
    }

    let mut out = Vec::with_capacity(wasm.len() + contents.len() + 8);
    out.extend_from_slice(slice(wasm, 0..position)?);
    append_section(&mut out, SectionId::Export.into(), &contents, position)?;
    let rest = survey.export_section().map_or(position, |s| s.whole.end);
    out.extend_from_slice(slice(wasm, rest..wasm.len())?);
    Ok(Cow::Owned(out))
}

/// The number of items that are really there: the number that a section claims may be a lie.
fn count<T>(items: impl IntoIterator<Item = wasmparser::Result<T>>) -> Result<u32, LoadError> {
    items.into_iter().try_fold(0, |count, item| {
        item?;
        Ok(count + 1)
    })
}

/// The index spaces and exports of a module.
#[derive(Default)]
struct Survey<'a> {
    sections: Sections,
    memories: u32,
    tables: u32,
    globals: u32,
    mutable_globals: Vec<u32>,
    own_exports: u32,
    /// The encoded exports without their number.
    own_export_entries: &'a [u8],
}

impl<'a> Survey<'a> {
    fn of(wasm: &'a [u8]) -> Result<Self, LoadError> {
        let mut survey = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            survey.sections.note(&payload);
            match payload {
                Payload::ImportSection(imports) => survey.imports(imports)?,
                Payload::TableSection(tables) => survey.tables += count(tables)?,
                Payload::MemorySection(memories) => survey.memories += count(memories)?,
                Payload::GlobalSection(globals) => survey.globals(globals)?,
                Payload::ExportSection(exports) => survey.exports(wasm, exports)?,
                _ => {}
            }
        }
        Ok(survey)
    }

    fn imports(&mut self, imports: ImportSectionReader<'_>) -> Result<(), LoadError> {
        for import in imports.into_imports() {
            match import?.ty {
                TypeRef::Memory(_) => self.memories += 1,
                TypeRef::Table(_) => self.tables += 1,
                TypeRef::Global(global) => self.global(global.mutable),
                TypeRef::Func(_) | TypeRef::FuncExact(_) | TypeRef::Tag(_) => {}
            }
        }
        Ok(())
    }

    fn globals(&mut self, globals: GlobalSectionReader<'_>) -> Result<(), LoadError> {
        for global in globals {
            self.global(global?.ty.mutable);
        }
        Ok(())
    }

    fn global(&mut self, mutable: bool) {
        if mutable {
            self.mutable_globals.push(self.globals);
        }
        self.globals += 1;
    }

    fn exports(
        &mut self,
        wasm: &'a [u8],
        exports: ExportSectionReader<'_>,
    ) -> Result<(), LoadError> {
        let contents = exports.range();
        if self.export_sections() > 1 {
            return Err(LoadError::invalid(
                contents.start,
                "duplicate export section",
            ));
        }
        self.own_exports = exports.count();
        let entries = exports.original_position();
        for export in exports.into_iter_with_offsets() {
            let (offset, export) = export?;
            if is_reserved(export.name) {
                return Err(LoadError::ReservedExport {
                    offset,
                    name: export.name.to_owned(),
                });
            }
        }
        self.own_export_entries = slice(wasm, entries..contents.end)?;
        Ok(())
    }

    fn export_sections(&self) -> usize {
        let is_export = |s: &&Section| s.id == u8::from(SectionId::Export);
        self.sections.iter().filter(is_export).count()
    }

    fn export_section(&self) -> Option<&Section> {
        self.sections
            .iter()
            .find(|section| section.id == u8::from(SectionId::Export))
    }

    /// Where the export section begins, or has to begin.
    fn export_position(&self) -> usize {
        if let Some(section) = self.export_section() {
            return section.whole.start;
        }
        let before_exports = |section: &&Section| {
            [
                SectionId::Type,
                SectionId::Import,
                SectionId::Function,
                SectionId::Table,
                SectionId::Memory,
                SectionId::Tag,
                SectionId::Global,
            ]
            .into_iter()
            .any(|id| section.id == u8::from(id))
        };
        self.sections
            .iter()
            .filter(before_exports)
            .last()
            .map_or(HEADER_LEN, |section| section.whole.end)
    }

    fn internals(&self) -> Vec<Internal> {
        let memories = (0..self.memories).map(Internal::Memory);
        let globals = self.mutable_globals.iter().copied().map(Internal::Global);
        let tables = (0..self.tables).map(Internal::Table);
        memories.chain(globals).chain(tables).collect()
    }
}
