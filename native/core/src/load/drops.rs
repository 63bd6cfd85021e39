//! Makes it visible which passive segments a guest has dropped.
//!
//! `data.drop` and `elem.drop` change an instance in a way that nothing shows from outside. Each of
//! them gets a mutable global set beside it, one for each segment that is ever dropped, and the
//! module gets a function that drops every segment whose global is set. The globals, the function
//! and its type come last in their index spaces, so that no index changes.

use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::{Encode, SectionId};
use wasmparser::{DataKind, ElementKind, FunctionBody, Operator, Parser, Payload, TypeRef};

use super::LoadError;
use super::sections::{Edit, Entries, Sections, append_sized, encode_len, rewrite, slice};

const PREFIX: u8 = 0xfc;
const DATA_DROP: u8 = 9;
const ELEM_DROP: u8 = 13;

/// A module that notes what it drops.
pub struct Tracked {
    pub wasm: Vec<u8>,
    /// Drops the segments whose globals are set.
    pub function: u32,
    /// The global of each segment that may be dropped.
    pub globals: Vec<(Segment, u32)>,
}

/// A passive segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    Data(u32),
    Element(u32),
}

/// Rewrites a module so that it notes which segments it drops. `None` if it drops none.
pub fn track(wasm: &[u8]) -> Result<Option<Tracked>, LoadError> {
    let may_drop =
        |pair: &[u8]| matches!(pair, [PREFIX, op] if matches!(op & 0x7f, DATA_DROP | ELEM_DROP));
    if !wasm.windows(2).any(may_drop) {
        return Ok(None);
    }
    let survey = Survey::of(wasm)?;
    if survey.drops.iter().all(Vec::is_empty) {
        return Ok(None);
    }
    survey.rewrite(wasm).map(Some)
}

/// A drop instruction: where it ends.
struct Drop {
    end: usize,
    segment: Segment,
}

#[derive(Default)]
struct Survey<'a> {
    sections: Sections,
    type_section: Entries<'a>,
    types: u32,
    function_section: Entries<'a>,
    functions: u32,
    global_section: Entries<'a>,
    globals: u32,
    passive: BTreeSet<Segment>,
    bodies: Vec<FunctionBody<'a>>,
    /// Those of each body.
    drops: Vec<Vec<Drop>>,
}

impl<'a> Survey<'a> {
    fn of(wasm: &'a [u8]) -> Result<Self, LoadError> {
        let mut survey = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            survey.sections.note(&payload);
            survey.read(wasm, payload)?;
        }
        // Data segments come after the code.
        for body in &survey.bodies {
            let drops = drops(body, &survey.passive)?;
            survey.drops.push(drops);
        }
        Ok(survey)
    }

    fn read(&mut self, wasm: &'a [u8], payload: Payload<'a>) -> Result<(), LoadError> {
        match payload {
            Payload::TypeSection(types) => {
                let bytes = slice(wasm, types.original_position()..types.range().end)?;
                self.type_section = Entries {
                    count: types.count(),
                    bytes,
                };
                for group in types {
                    self.types += u32::try_from(group?.types().len()).unwrap_or(u32::MAX);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => self.functions += 1,
                        TypeRef::Global(_) => self.globals += 1,
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                self.functions += functions.count();
                let bytes = slice(wasm, functions.original_position()..functions.range().end)?;
                self.function_section = Entries {
                    count: functions.count(),
                    bytes,
                };
            }
            Payload::GlobalSection(globals) => {
                self.globals += globals.count();
                let bytes = slice(wasm, globals.original_position()..globals.range().end)?;
                self.global_section = Entries {
                    count: globals.count(),
                    bytes,
                };
            }
            Payload::ElementSection(elements) => {
                for (index, element) in (0..).zip(elements) {
                    if matches!(element?.kind, ElementKind::Passive) {
                        self.passive.insert(Segment::Element(index));
                    }
                }
            }
            Payload::DataSection(segments) => {
                for (index, segment) in (0..).zip(segments) {
                    if matches!(segment?.kind, DataKind::Passive) {
                        self.passive.insert(Segment::Data(index));
                    }
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            _ => {}
        }
        Ok(())
    }

    fn rewrite(&self, wasm: &[u8]) -> Result<Tracked, LoadError> {
        let mut globals = BTreeMap::new();
        for drop in self.drops.iter().flatten() {
            globals.insert(drop.segment, 0);
        }
        for (index, global) in (self.globals..).zip(globals.values_mut()) {
            *global = index;
        }

        let mut code = Vec::new();
        encode_len(&mut code, self.bodies.len() + 1, 0)?;
        for (body, drops) in self.bodies.iter().zip(&self.drops) {
            append_body(&mut code, wasm, body, drops, &globals)?;
        }
        append_sized(&mut code, &dropping_body(&globals), 0)?;

        // A mutable i32 that begins as 0.
        const GLOBAL: [u8; 5] = [0x7f, 0x01, 0x41, 0x00, 0x0b];
        // A function type without parameters and results.
        const TYPE: [u8; 3] = [0x60, 0x00, 0x00];
        let mut function = Vec::new();
        self.types.encode(&mut function);
        let edits = vec![
            (SectionId::Type, self.type_section.extended(1, &TYPE)?),
            (
                SectionId::Function,
                self.function_section.extended(1, &function)?,
            ),
            (
                SectionId::Global,
                self.global_section
                    .extended(globals.len(), &GLOBAL.repeat(globals.len()))?,
            ),
            (SectionId::Code, Edit::Replace(code)),
        ];
        Ok(Tracked {
            wasm: rewrite(wasm, &self.sections, edits)?,
            function: self.functions,
            globals: globals.into_iter().collect(),
        })
    }
}

/// The drops of passive segments in a function; others do nothing.
fn drops(body: &FunctionBody<'_>, passive: &BTreeSet<Segment>) -> Result<Vec<Drop>, LoadError> {
    if !body.as_bytes().contains(&PREFIX) {
        return Ok(Vec::new());
    }
    let mut drops = Vec::new();
    let mut open = None;
    for operator in body.get_operators_reader()?.into_iter_with_offsets() {
        let (operator, offset) = operator?;
        if let Some(segment) = open.take() {
            drops.push(Drop {
                end: offset,
                segment,
            });
        }
        open = match operator {
            Operator::DataDrop { data_index } => Some(Segment::Data(data_index)),
            Operator::ElemDrop { elem_index } => Some(Segment::Element(elem_index)),
            _ => None,
        }
        .filter(|segment| passive.contains(segment));
    }
    Ok(drops)
}

/// A function's body with a global set after each drop.
fn append_body(
    out: &mut Vec<u8>,
    wasm: &[u8],
    body: &FunctionBody<'_>,
    drops: &[Drop],
    globals: &BTreeMap<Segment, u32>,
) -> Result<(), LoadError> {
    let range = body.range();
    if drops.is_empty() {
        return append_sized(out, slice(wasm, range.clone())?, range.start);
    }
    let mut bytes = Vec::with_capacity(range.len() + 8 * drops.len());
    let mut copied = range.start;
    for drop in drops {
        bytes.extend_from_slice(slice(wasm, copied..drop.end)?);
        copied = drop.end;
        if let Some(global) = globals.get(&drop.segment) {
            bytes.extend_from_slice(&[0x41, 0x01, 0x24]); // i32.const 1, global.set
            global.encode(&mut bytes);
        }
    }
    bytes.extend_from_slice(slice(wasm, copied..range.end)?);
    append_sized(out, &bytes, range.start)
}

/// The body of the function that drops every segment whose global is set.
fn dropping_body(globals: &BTreeMap<Segment, u32>) -> Vec<u8> {
    let mut body = vec![0x00]; // no locals
    for (segment, global) in globals {
        body.push(0x23); // global.get
        global.encode(&mut body);
        body.extend_from_slice(&[0x04, 0x40]); // if
        let (op, index) = match segment {
            Segment::Data(index) => (DATA_DROP, index),
            Segment::Element(index) => (ELEM_DROP, index),
        };
        body.extend_from_slice(&[PREFIX, op]);
        index.encode(&mut body);
        body.push(0x0b); // end
    }
    body.push(0x0b);
    body
}
