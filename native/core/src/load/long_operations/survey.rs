//! Finds the operations that may be long.

use std::ops::Range;

use wasmparser::{
    CompositeInnerType, ElementItems, FunctionBody, MemoryType, Operator, Parser, Payload,
    TableType, TypeRef, TypeSectionReader,
};

use super::divided::{Place, PlaceKind, Shape, Source};
use super::{MEMORY_PIECE, Operation, TABLE_PIECE};
use crate::load::LoadError;
use crate::load::legacy_exceptions::ref_type;
use crate::load::sections::{Entries, Sections, slice};

const PREFIX: u8 = 0xfc;
/// `memory.init`, `.copy`, `.fill`; `table.init`, `.copy`, `.fill`.
const OPERATIONS: [u8; 6] = [8, 10, 11, 12, 14, 17];

/// An operation that may be long.
pub struct Site {
    pub range: Range<usize>,
    pub operation: Operation,
    pub shape: Shape,
}

/// A memory or table, and how long it can become.
struct Extent {
    place: Place,
    most: u64,
}

/// What there is to know of a module to divide its operations.
#[derive(Default)]
pub struct Survey<'a> {
    pub sections: Sections,
    pub type_section: Entries<'a>,
    pub types: u32,
    pub function_section: Entries<'a>,
    pub functions: u32,
    pub bodies: Vec<FunctionBody<'a>>,
    /// Those of each body.
    pub sites: Vec<Vec<Site>>,
    /// Whether there is debug information.
    pub has_lines: bool,
    /// The number of parameters of each type, if it is one of functions.
    params: Vec<usize>,
    /// The types of the module's own functions.
    function_types: Vec<u32>,
    memories: Vec<Extent>,
    /// None where the type of its elements cannot be named.
    tables: Vec<Option<Extent>>,
    data: Vec<u64>,
    elements: Vec<u64>,
}

impl<'a> Survey<'a> {
    /// None if there is nothing to divide.
    pub fn of(wasm: &'a [u8]) -> Result<Option<Self>, LoadError> {
        if !may_operate(wasm) {
            return Ok(None);
        }
        let mut survey = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            survey.sections.note(&payload);
            survey.read(wasm, payload)?;
        }
        // Data segments come after the code.
        survey.sites = survey
            .bodies
            .iter()
            .map(|body| survey.sites(body))
            .collect::<Result<_, _>>()?;
        let found = survey.sites.iter().any(|sites| !sites.is_empty());
        Ok(found.then_some(survey))
    }

    /// How many parameters a function of the module has.
    pub fn params_of(&self, function: usize) -> usize {
        self.function_types
            .get(function)
            .and_then(|ty| self.params.get(*ty as usize))
            .copied()
            .unwrap_or_default()
    }

    fn read(&mut self, wasm: &'a [u8], payload: Payload<'a>) -> Result<(), LoadError> {
        match payload {
            Payload::TypeSection(types) => self.types(wasm, types)?,
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => self.functions += 1,
                        TypeRef::Memory(memory) => self.memory(memory),
                        TypeRef::Table(table) => self.table(table),
                        TypeRef::Global(_) | TypeRef::Tag(_) => {}
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                self.functions += functions.count();
                self.function_section = Entries {
                    count: functions.count(),
                    bytes: slice(wasm, functions.original_position()..functions.range().end)?,
                };
                self.function_types = functions.into_iter().collect::<Result<_, _>>()?;
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memory(memory?);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    self.table(table?.ty);
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments {
                    self.data.push(segment?.data.len() as u64);
                }
            }
            Payload::ElementSection(segments) => {
                for segment in segments {
                    self.elements.push(match segment?.items {
                        ElementItems::Functions(items) => items.count().into(),
                        ElementItems::Expressions(_, items) => items.count().into(),
                    });
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::CustomSection(section) if section.name() == ".debug_line" => {
                self.has_lines = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn types(&mut self, wasm: &'a [u8], types: TypeSectionReader<'a>) -> Result<(), LoadError> {
        self.type_section = Entries {
            count: types.count(),
            bytes: slice(wasm, types.original_position()..types.range().end)?,
        };
        for group in types {
            for ty in group?.types() {
                self.types += 1;
                self.params.push(match &ty.composite_type.inner {
                    CompositeInnerType::Func(ty) => ty.params().len(),
                    CompositeInnerType::Array(_)
                    | CompositeInnerType::Struct(_)
                    | CompositeInnerType::Cont(_) => 0,
                });
            }
        }
        Ok(())
    }

    fn memory(&mut self, ty: MemoryType) {
        let page_size_log2 = ty.page_size_log2.unwrap_or(16).min(63);
        let most = ty
            .maximum
            .map_or(u64::MAX, |pages| pages.saturating_mul(1 << page_size_log2));
        self.memories.push(Extent {
            place: Place {
                index: u32::try_from(self.memories.len()).unwrap_or(u32::MAX),
                is_64: ty.memory64,
                kind: PlaceKind::Memory { page_size_log2 },
            },
            most,
        });
    }

    fn table(&mut self, ty: TableType) {
        let index = u32::try_from(self.tables.len()).unwrap_or(u32::MAX);
        self.tables
            .push(ref_type(ty.element_type).ok().map(|element| Extent {
                place: Place {
                    index,
                    is_64: ty.table64,
                    kind: PlaceKind::Table { element },
                },
                most: ty.maximum.unwrap_or(u64::MAX),
            }));
    }

    fn sites(&self, body: &FunctionBody<'_>) -> Result<Vec<Site>, LoadError> {
        if !may_operate(body.as_bytes()) {
            return Ok(Vec::new());
        }
        let mut sites: Vec<Site> = Vec::new();
        let mut open = None;
        // What the instruction before leaves on top, if it is a constant.
        let mut constant = None;
        for operator in body.get_operators_reader()?.into_iter_with_offsets() {
            let (operator, offset) = operator?;
            if let Some((start, operation, shape)) = open.take() {
                sites.push(Site {
                    range: start..offset,
                    operation,
                    shape,
                });
            }
            if let Some(operation) = operation(&operator)
                && let Some(shape) = self.long(operation)
                && constant.is_none_or(|length| length > shape.piece())
            {
                open = Some((offset, operation, shape));
            }
            constant = match operator {
                Operator::I32Const { value } => Some(value.cast_unsigned().into()),
                Operator::I64Const { value } => Some(value.cast_unsigned()),
                _ => None,
            };
        }
        Ok(sites)
    }

    /// The operands of an operation, if it may be long.
    fn long(&self, operation: Operation) -> Option<Shape> {
        let memory = |index: u32| self.memories.get(index as usize);
        let table = |index: u32| self.tables.get(index as usize)?.as_ref();
        let (to, source, piece, most) = match operation {
            Operation::MemoryFill { memory: to } => {
                (memory(to)?, Source::Value, MEMORY_PIECE, u64::MAX)
            }
            Operation::MemoryCopy { to, from } => {
                let from = memory(from)?;
                (
                    memory(to)?,
                    Source::Place(from.place),
                    MEMORY_PIECE,
                    from.most,
                )
            }
            Operation::MemoryInit {
                memory: to,
                segment,
            } => {
                let most = *self.data.get(segment as usize)?;
                (memory(to)?, Source::Segment, MEMORY_PIECE, most)
            }
            Operation::TableFill { table: to } => {
                (table(to)?, Source::Value, TABLE_PIECE, u64::MAX)
            }
            Operation::TableCopy { to, from } => {
                let from = table(from)?;
                (
                    table(to)?,
                    Source::Place(from.place),
                    TABLE_PIECE,
                    from.most,
                )
            }
            Operation::TableInit { table: to, segment } => {
                let most = *self.elements.get(segment as usize)?;
                (table(to)?, Source::Segment, TABLE_PIECE, most)
            }
        };
        (to.most.min(most) > piece).then_some(Shape {
            to: to.place,
            source,
        })
    }
}

/// Whether code may hold an operation on a range, judged by its bytes alone.
fn may_operate(bytes: &[u8]) -> bool {
    bytes
        .windows(2)
        .any(|pair| matches!(pair, [PREFIX, op] if OPERATIONS.contains(&(op & 0x7f))))
}

fn operation(operator: &Operator<'_>) -> Option<Operation> {
    Some(match *operator {
        Operator::MemoryFill { mem } => Operation::MemoryFill { memory: mem },
        Operator::MemoryCopy { dst_mem, src_mem } => Operation::MemoryCopy {
            to: dst_mem,
            from: src_mem,
        },
        Operator::MemoryInit { data_index, mem } => Operation::MemoryInit {
            memory: mem,
            segment: data_index,
        },
        Operator::TableFill { table } => Operation::TableFill { table },
        Operator::TableCopy {
            dst_table,
            src_table,
        } => Operation::TableCopy {
            to: dst_table,
            from: src_table,
        },
        Operator::TableInit { elem_index, table } => Operation::TableInit {
            table,
            segment: elem_index,
        },
        _ => return None,
    })
}
