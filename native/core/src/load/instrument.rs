//! Exports for what a module keeps to itself.
//!
//! The state of an instance is in its memories, its globals and its tables, most of which a module
//! does not export, and in which of its segments it has dropped. This pass adds an export for each
//! item under a reserved name. References are told apart by the functions they refer to, so the
//! functions that a reference can be made to are exported as well, where there is a place that can
//! hold one. Where these are so many, of so many parameters, that the module would be refused for its
//! exports, a single one of them stands for all. No index changes, and no code but that which drops segments.
//!
//! The start function is exported instead of run: an instance whose state is to be restored must
//! not run it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use wasm_encoder::{Encode, ExportKind, SectionId};
use wasmparser::{
    AbstractHeapType, ConstExpr, ElementItems, ElementKind, ElementSectionReader,
    ExportSectionReader, ExternalKind, GlobalSectionReader, GlobalType, HeapType,
    ImportSectionReader, Operator, Parser, Payload, RefType, TableInit, TableSectionReader,
    TypeRef, ValType,
};

use super::drops::{self, Segment};
use super::sections::{Edit, Section, Sections, encode_len, rewrite, slice};
use super::type_sizes::TypeSizes;
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
    /// A mutable global, or one that may refer to an object.
    Global(u32),
    /// A table.
    Table(u32),
    /// A global that tells whether the data segment with this index was dropped.
    DroppedData(u32),
    /// A global that tells whether the element segment with this index was dropped.
    DroppedElement(u32),
    /// A function that drops the segments whose globals are set.
    Drop,
    /// The start function.
    Start,
    /// A function that something may refer to.
    Func(u32),
    /// One of the functions that something may refer to, where these are not exported.
    Unlisted,
}

impl Internal {
    /// The item that an export's name stands for, if it is one that [`expose_internals`] added.
    #[must_use]
    pub fn from_export_name(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(RESERVED_PREFIX)?;
        let internal = match rest.split_once('/') {
            Some((kind, index)) => {
                let index = index.parse().ok()?;
                match kind {
                    "memory" => Self::Memory(index),
                    "global" => Self::Global(index),
                    "table" => Self::Table(index),
                    "dropped_data" => Self::DroppedData(index),
                    "dropped_element" => Self::DroppedElement(index),
                    "func" => Self::Func(index),
                    _ => return None,
                }
            }
            None => match rest {
                "drop" => Self::Drop,
                "start" => Self::Start,
                "unlisted" => Self::Unlisted,
                _ => return None,
            },
        };
        // One name for each item: `parse` takes "+1" and "01" too.
        (internal.export_name() == name).then_some(internal)
    }

    /// The reserved name.
    #[must_use]
    pub fn export_name(self) -> String {
        self.to_string()
    }

    fn export_kind(self) -> ExportKind {
        match self {
            Self::Memory(_) => ExportKind::Memory,
            Self::Global(_) | Self::DroppedData(_) | Self::DroppedElement(_) => ExportKind::Global,
            Self::Table(_) => ExportKind::Table,
            Self::Drop | Self::Start | Self::Func(_) | Self::Unlisted => ExportKind::Func,
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
            Self::DroppedData(index) => ("dropped_data", index),
            Self::DroppedElement(index) => ("dropped_element", index),
            Self::Func(index) => ("func", index),
            Self::Drop => return write!(f, "{RESERVED_PREFIX}drop"),
            Self::Start => return write!(f, "{RESERVED_PREFIX}start"),
            Self::Unlisted => return write!(f, "{RESERVED_PREFIX}unlisted"),
        };
        write!(f, "{RESERVED_PREFIX}{kind}/{index}")
    }
}

/// Makes the whole state of a module's instances reachable: has it note [which segments it
/// drops](super::drops), and [exports](expose_internals) what it keeps to itself.
///
/// # Errors
///
/// As [`expose_internals`].
pub fn instrument(wasm: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    require_module(wasm)?;
    let Some(tracked) = drops::track(wasm)? else {
        return expose(wasm, Vec::new());
    };
    let mut added: Vec<_> = tracked
        .globals
        .iter()
        .map(|(segment, global)| match segment {
            Segment::Data(index) => (Internal::DroppedData(*index), *global),
            Segment::Element(index) => (Internal::DroppedElement(*index), *global),
        })
        .collect();
    added.push((Internal::Drop, tracked.function));
    let exposed = expose(&tracked.wasm, added)?.into_owned();
    Ok(Cow::Owned(exposed))
}

/// Exports every memory, table and mutable global of the module, imported or defined, under its
/// [reserved name](Internal::export_name), after the module's own exports; its start function,
/// which is not called any more; and, where there are places for references, the functions and
/// globals that may be referred to.
///
/// All sections but the export and the start section are copied as they are. The answer is borrowed
/// where there is nothing to export.
///
/// # Errors
///
/// [`LoadError::ReservedExport`] where the module exports a reserved name itself, and
/// [`LoadError::Invalid`] where it does not decode.
pub fn expose_internals(wasm: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    require_module(wasm)?;
    expose(wasm, Vec::new())
}

/// `noted` are globals and functions that another pass has added.
fn expose(wasm: &[u8], noted: Vec<(Internal, u32)>) -> Result<Cow<'_, [u8]>, LoadError> {
    let survey = Survey::of(wasm)?;
    let internals = survey.internals(noted);
    if internals.is_empty() {
        return Ok(Cow::Borrowed(wasm));
    }
    let exports = survey.own_exports as usize + internals.len();
    if exports > MAX_EXPORTS {
        return Err(LoadError::Limit {
            offset: 0,
            what: "exports",
            limit: MAX_EXPORTS,
        });
    }

    let mut contents = Vec::new();
    encode_len(&mut contents, exports, 0)?;
    contents.extend_from_slice(survey.own_export_entries);
    for (internal, index) in &internals {
        internal.export_name().as_str().encode(&mut contents);
        internal.export_kind().encode(&mut contents);
        index.encode(&mut contents);
    }
    let mut edits = vec![(SectionId::Export, Edit::Replace(contents))];
    if survey.start.is_some() {
        edits.push((SectionId::Start, Edit::Remove));
    }
    rewrite(wasm, &survey.sections, edits).map(Cow::Owned)
}

/// Whether a module has a passive element segment that holds objects of its own: they can change,
/// and nothing shows it.
///
/// # Errors
///
/// [`LoadError::Invalid`] where the module does not decode.
pub fn has_objects_in_segments(wasm: &[u8]) -> Result<bool, LoadError> {
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::ElementSection(elements) = payload? else {
            continue;
        };
        for element in elements {
            let element = element?;
            let ElementItems::Expressions(_, expressions) = element.items else {
                continue;
            };
            if !matches!(element.kind, ElementKind::Passive) {
                continue;
            }
            for expression in expressions {
                for operator in expression?.get_operators_reader() {
                    if makes_object(&operator?) {
                        return Ok(true);
                    }
                }
            }
        }
    }
    Ok(false)
}

fn makes_object(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::StructNew { .. }
            | Operator::StructNewDefault { .. }
            | Operator::ArrayNew { .. }
            | Operator::ArrayNewDefault { .. }
            | Operator::ArrayNewFixed { .. }
            | Operator::ArrayNewData { .. }
            | Operator::ArrayNewElem { .. }
    )
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
    /// Those that are part of the state.
    state_globals: Vec<u32>,
    start: Option<u32>,
    /// Functions that something may refer to.
    referable: BTreeSet<u32>,
    /// Whether a reference to a function can be put somewhere.
    holds_functions: bool,
    type_sizes: TypeSizes,
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
                Payload::TypeSection(types) => survey.type_sizes.types(types)?,
                Payload::FunctionSection(functions) => survey.type_sizes.functions(functions)?,
                Payload::TagSection(tags) => survey.type_sizes.tags(tags)?,
                Payload::ImportSection(imports) => survey.imports(imports)?,
                Payload::TableSection(tables) => survey.tables(tables)?,
                Payload::MemorySection(memories) => survey.memories += count(memories)?,
                Payload::GlobalSection(globals) => survey.globals(globals)?,
                Payload::ExportSection(exports) => survey.exports(wasm, exports)?,
                Payload::ElementSection(elements) => survey.elements(elements)?,
                Payload::StartSection { func, .. } => survey.start = Some(func),
                _ => {}
            }
        }
        Ok(survey)
    }

    fn imports(&mut self, imports: ImportSectionReader<'_>) -> Result<(), LoadError> {
        for import in imports.into_imports() {
            let ty = import?.ty;
            self.type_sizes.import(ty);
            match ty {
                TypeRef::Memory(_) => self.memories += 1,
                TypeRef::Table(table) => self.table(table.element_type),
                TypeRef::Global(global) => self.global(global),
                TypeRef::Func(_) | TypeRef::FuncExact(_) | TypeRef::Tag(_) => {}
            }
        }
        Ok(())
    }

    fn tables(&mut self, tables: TableSectionReader<'_>) -> Result<(), LoadError> {
        for table in tables {
            let table = table?;
            self.table(table.ty.element_type);
            if let TableInit::Expr(expression) = table.init {
                self.expression(&expression)?;
            }
        }
        Ok(())
    }

    fn table(&mut self, element: RefType) {
        self.tables += 1;
        self.holds_functions |= may_be_function(element);
    }

    fn globals(&mut self, globals: GlobalSectionReader<'_>) -> Result<(), LoadError> {
        for global in globals {
            let global = global?;
            self.global(global.ty);
            self.expression(&global.init_expr)?;
        }
        Ok(())
    }

    fn global(&mut self, ty: GlobalType) {
        let is_state = match ty.content_type {
            ValType::Ref(content) => {
                self.holds_functions |= ty.mutable && may_be_function(content);
                // What an immutable one refers to may be mutable itself.
                ty.mutable || may_be_object(content)
            }
            _ => ty.mutable,
        };
        if is_state {
            self.state_globals.push(self.globals);
        }
        self.globals += 1;
    }

    fn elements(&mut self, elements: ElementSectionReader<'_>) -> Result<(), LoadError> {
        for element in elements {
            match element?.items {
                ElementItems::Functions(functions) => {
                    for function in functions {
                        self.referable.insert(function?);
                    }
                }
                ElementItems::Expressions(_, expressions) => {
                    for expression in expressions {
                        self.expression(&expression?)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn expression(&mut self, expression: &ConstExpr<'_>) -> Result<(), LoadError> {
        for operator in expression.get_operators_reader() {
            if let Operator::RefFunc { function_index } = operator? {
                self.referable.insert(function_index);
            }
        }
        Ok(())
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
            self.type_sizes.export(export.kind, export.index);
            if export.kind == ExternalKind::Func {
                self.referable.insert(export.index);
            }
        }
        self.own_export_entries = slice(wasm, entries..contents.end)?;
        Ok(())
    }

    fn export_sections(&self) -> usize {
        let is_export = |s: &&Section| s.id == u8::from(SectionId::Export);
        self.sections.iter().filter(is_export).count()
    }

    /// What to export, and the index of each. `noted` globals are known to another pass.
    fn internals(&self, noted: Vec<(Internal, u32)>) -> Vec<(Internal, u32)> {
        let mut internals = Vec::new();
        internals.extend((0..self.memories).map(|index| (Internal::Memory(index), index)));
        let known: BTreeSet<u32> = noted
            .iter()
            .filter(|(item, _)| item.export_kind() == ExportKind::Global)
            .map(|(_, index)| *index)
            .collect();
        let globals = self.state_globals.iter().copied();
        internals.extend(
            globals
                .filter(|index| !known.contains(index))
                .map(|index| (Internal::Global(index), index)),
        );
        internals.extend((0..self.tables).map(|index| (Internal::Table(index), index)));
        internals.extend(noted);
        internals.extend(self.start.map(|index| (Internal::Start, index)));
        if self.holds_functions {
            let functions = || self.referable.iter().copied();
            // The one to start with and the one to drop segments are without parameters.
            if self.type_sizes.have_room(internals.len() + 2, functions()) {
                internals.extend(functions().map(|index| (Internal::Func(index), index)));
            } else {
                let one = functions().min_by_key(|index| self.type_sizes.of_function(*index));
                internals.extend(one.map(|index| (Internal::Unlisted, index)));
            }
        }
        internals
    }
}

fn may_be_function(ty: RefType) -> bool {
    match ty.heap_type() {
        HeapType::Abstract { ty, .. } => ty == AbstractHeapType::Func,
        HeapType::Concrete(_) | HeapType::Exact(_) => true,
    }
}

fn may_be_object(ty: RefType) -> bool {
    match ty.heap_type() {
        HeapType::Abstract { ty, .. } => {
            !matches!(ty, AbstractHeapType::Func | AbstractHeapType::NoFunc)
        }
        HeapType::Concrete(_) | HeapType::Exact(_) => true,
    }
}
