//! Divides what a guest does to long ranges in one instruction.
//!
//! `memory.fill` and its like do gigabytes without a look at the clock: whoever shares the thread
//! would wait, and the guest could not be ended. Where such an instruction may be given more than a
//! piece of [`MEMORY_PIECE`] bytes or [`TABLE_PIECE`] elements, it becomes
//!
//! ```wat
//! local.tee $length  (i32.gt_u (local.get $length) (i32.const piece))
//! if (type $operation)
//!   call $divided
//! else
//!   memory.fill
//! end
//! ```
//!
//! with a function `$divided` that does it piece by piece, for each combination of instruction and
//! operands. What it does is the same, traps included: the bounds are checked before anything is
//! written. The types, functions and locals that are added come last in their index spaces, so that
//! no index changes.
//!
//! In a module with debug information it becomes just the call, in as many bytes as there were: lines
//! are found by the offsets of code.

mod divided;
mod survey;

use std::borrow::Cow;
use std::collections::BTreeMap;

use wasm_encoder::{Encode, Instruction, SectionId, ValType};
use wasmparser::FunctionBody;

use self::divided::Shape;
use self::survey::{Site, Survey};
use super::LoadError;
use super::sections::{Edit, append_sized, encode_len, rewrite, slice};

/// Takes about as long as the shortest time slice, on pages that are touched for the first time.
pub const MEMORY_PIECE: u64 = 256 << 10;
/// Likewise.
pub const TABLE_PIECE: u64 = 16 << 10;

const MAX_LOCALS: usize = 50_000;
const MAX_FUNCTION_LEN: usize = 7_654_321;

/// An instruction on a range, with its immediate operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    MemoryFill { memory: u32 },
    MemoryCopy { to: u32, from: u32 },
    MemoryInit { memory: u32, segment: u32 },
    TableFill { table: u32 },
    TableCopy { to: u32, from: u32 },
    TableInit { table: u32, segment: u32 },
}

impl Operation {
    fn instruction(self) -> Instruction<'static> {
        match self {
            Self::MemoryFill { memory } => Instruction::MemoryFill(memory),
            Self::MemoryCopy { to, from } => Instruction::MemoryCopy {
                src_mem: from,
                dst_mem: to,
            },
            Self::MemoryInit { memory, segment } => Instruction::MemoryInit {
                mem: memory,
                data_index: segment,
            },
            Self::TableFill { table } => Instruction::TableFill(table),
            Self::TableCopy { to, from } => Instruction::TableCopy {
                src_table: from,
                dst_table: to,
            },
            Self::TableInit { table, segment } => Instruction::TableInit {
                elem_index: segment,
                table,
            },
        }
    }
}

/// Divides the operations of a module that may be long. The answer is borrowed where it has none.
///
/// # Errors
///
/// [`LoadError::Invalid`] where the module does not decode. What decodes and is invalid stays so.
pub fn divide(wasm: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    let Some(survey) = Survey::of(wasm)? else {
        return Ok(Cow::Borrowed(wasm));
    };
    let mut helpers = BTreeMap::new();
    for site in survey.sites.iter().flatten() {
        helpers.entry(site.operation).or_insert_with(|| Helper {
            shape: site.shape,
            ty: 0,
            function: 0,
        });
    }
    for (index, helper) in (0..).zip(helpers.values_mut()) {
        helper.ty = survey.types + index;
        helper.function = survey.functions + index;
    }

    let mut types = Vec::new();
    let mut functions = Vec::new();
    let mut code = Vec::new();
    encode_len(&mut code, survey.bodies.len() + helpers.len(), 0)?;
    for (index, (body, sites)) in survey.bodies.iter().zip(&survey.sites).enumerate() {
        if sites.is_empty() {
            append_sized(&mut code, body.as_bytes(), body.range().start)?;
        } else {
            let params = survey.params_of(index);
            let body = divided_body(wasm, body, params, sites, &helpers, survey.has_lines)?;
            append_sized(&mut code, &body, 0)?;
        }
    }
    for (operation, helper) in &helpers {
        helper.shape.encode_type(&mut types);
        helper.ty.encode(&mut functions);
        // With its length, as an entry of the section.
        divided::function(*operation, helper.shape).encode(&mut code);
    }
    let edits = vec![
        (
            SectionId::Type,
            survey.type_section.extended(helpers.len(), &types)?,
        ),
        (
            SectionId::Function,
            survey
                .function_section
                .extended(helpers.len(), &functions)?,
        ),
        (SectionId::Code, Edit::Replace(code)),
    ];
    rewrite(wasm, &survey.sections, edits).map(Cow::Owned)
}

/// The function that does an operation piece by piece.
struct Helper {
    shape: Shape,
    ty: u32,
    function: u32,
}

/// A function's body in which its operations are divided, by a call for each operation, however
/// short, where it has no room for more, or is to keep its offsets.
fn divided_body(
    wasm: &[u8],
    body: &FunctionBody<'_>,
    params: usize,
    sites: &[Site],
    helpers: &BTreeMap<Operation, Helper>,
    keep_offsets: bool,
) -> Result<Vec<u8>, LoadError> {
    let mut locals = body.get_locals_reader()?;
    let groups = locals.get_count();
    let declared = locals.original_position();
    let mut total = params;
    for _ in 0..groups {
        total = total.saturating_add(locals.read()?.0 as usize);
    }
    let start = body.get_operators_reader()?.original_position();

    if !keep_offsets
        && total + 2 <= MAX_LOCALS
        && let Ok(length) = u32::try_from(total)
    {
        let mut out = Vec::with_capacity(body.range().len() + 24 * sites.len());
        groups.saturating_add(2).encode(&mut out);
        out.extend_from_slice(slice(wasm, declared..start)?);
        for ty in [ValType::I32, ValType::I64] {
            1_u32.encode(&mut out);
            ty.encode(&mut out);
        }
        replace(
            &mut out,
            wasm,
            start..body.range().end,
            sites,
            |out, site| {
                let Some(helper) = helpers.get(&site.operation) else {
                    return;
                };
                let (local, piece, longer) = if site.shape.has_long_length() {
                    (
                        length + 1,
                        Instruction::I64Const(site.shape.piece().cast_signed()),
                        Instruction::I64GtU,
                    )
                } else {
                    (
                        length,
                        // A piece is far smaller than an i32 can be.
                        Instruction::I32Const(site.shape.piece() as i32),
                        Instruction::I32GtU,
                    )
                };
                for instruction in [
                    Instruction::LocalTee(local),
                    Instruction::LocalGet(local),
                    piece,
                    longer,
                    Instruction::If(wasm_encoder::BlockType::FunctionType(helper.ty)),
                    Instruction::Call(helper.function),
                    Instruction::Else,
                    site.operation.instruction(),
                    Instruction::End,
                ] {
                    instruction.encode(out);
                }
            },
        )?;
        if out.len() <= MAX_FUNCTION_LEN {
            return Ok(out);
        }
    }
    let mut out = slice(wasm, body.range().start..start)?.to_vec();
    replace(
        &mut out,
        wasm,
        start..body.range().end,
        sites,
        |out, site| {
            if let Some(helper) = helpers.get(&site.operation) {
                call_in(site.range.len(), helper.function, out);
            }
        },
    )?;
    Ok(out)
}

/// A call that takes `room` bytes, if it is not longer: a number may have bytes that add nothing.
fn call_in(room: usize, function: u32, out: &mut Vec<u8>) {
    const CALL: u8 = 0x10;
    const NOP: u8 = 0x01;
    const MAX_NUMBER_LEN: usize = 5;
    let start = out.len();
    out.push(CALL);
    function.encode(out);
    let padded = room.min(1 + MAX_NUMBER_LEN);
    while out.len() - start < padded {
        if let Some(last) = out.last_mut() {
            *last |= 0x80;
        }
        out.push(0x00);
    }
    while out.len() - start < room {
        out.push(NOP);
    }
}

/// Copies `code`, with something else in the place of each site.
fn replace(
    out: &mut Vec<u8>,
    wasm: &[u8],
    code: std::ops::Range<usize>,
    sites: &[Site],
    mut instead: impl FnMut(&mut Vec<u8>, &Site),
) -> Result<(), LoadError> {
    let mut copied = code.start;
    for site in sites {
        out.extend_from_slice(slice(wasm, copied..site.range.start)?);
        copied = site.range.end;
        instead(out, site);
    }
    out.extend_from_slice(slice(wasm, copied..code.end)?);
    Ok(())
}
