//! The second pass over a function: writing it with the standard instructions.
//!
//! A `try` with clauses
//!
//! ```wat
//! try $l (param ..p) (result ..r)
//!   body
//! catch $t
//!   handler with (rethrow $l)
//! catch_all
//!   last handler
//! end
//! ```
//!
//! becomes
//!
//! ```wat
//! block $l (param ..p) (result ..r)
//!   block $all (param ..p)
//!     block $one (param ..p) (result ..values of $t, exnref)
//!       try_table (param ..p) (result ..r) (catch_ref $t $one) (catch_all $all)
//!         body
//!       end
//!       br $l
//!     end
//!     local.set $exception
//!     handler with (local.get $exception) (throw_ref)
//!     br $l
//!   end
//!   last handler
//! end
//! ```
//!
//! and one that delegates becomes a `try_table (catch_all_ref $rethrow)`, where `$rethrow` is a
//! block that was opened first thing in the region delegated to, and is followed by `throw_ref`.
//! One that has no effect on exceptions becomes a `block`.
//!
//! All else is copied as it stands, but for the depths of branches.

use std::borrow::Cow;

use wasm_encoder::{Catch, Encode, Instruction};
use wasmparser::{BlockType, BrTable, Catch as Original, FunctionBody, Operator, TryTable};

use super::encode::{block_type, ref_type};
use super::locals::Locals;
use super::plan::{Clause, FUNCTION, Handler, Plan, RegionId, unbalanced};
use super::types::Types;
use crate::load::LoadError;
use crate::load::sections::slice;

const MAX_CATCHES: usize = 10_000;
const MAX_FUNCTION_SIZE: usize = 7_654_321;

/// The translated body, without its size.
pub fn translate_function(
    wasm: &[u8],
    body: &FunctionBody<'_>,
    params: usize,
    plan: &Plan,
    types: &mut Types,
) -> Result<Vec<u8>, LoadError> {
    let locals = Locals::read(body, params)?;
    let mut operators = body.get_operators_reader()?;
    let start = operators.original_position();
    let mut emitter = Emitter::new(wasm, start, locals.total, plan, types)?;
    while !operators.eof() {
        let (operator, offset) = operators.read_with_offset()?;
        emitter.at = offset..operators.original_position();
        emitter.operator(operator)?;
    }
    let end = operators.original_position();
    emitter.copy_until(end)?;

    let exceptions = emitter.max_exceptions;
    let code = emitter.out;
    let mut out = locals.with_exceptions(wasm, start, exceptions)?;
    out.extend_from_slice(&code);
    if out.len() > MAX_FUNCTION_SIZE {
        return Err(LoadError::Limit {
            offset: body.range().start,
            what: "bytes in a function",
            limit: MAX_FUNCTION_SIZE,
        });
    }
    Ok(out)
}

struct Emitter<'a> {
    wasm: &'a [u8],
    plan: &'a Plan,
    types: &'a mut Types,
    out: Vec<u8>,
    /// Everything before this offset has been copied or replaced.
    copied: usize,
    /// The operator at hand.
    at: std::ops::Range<usize>,
    /// How many blocks are open in the translated code, without the function's own.
    height: u32,
    /// The blocks that are open in the original code.
    blocks: Vec<Block>,
    next_region: RegionId,
    /// By region, the height of the block to which exceptions delegated to it branch.
    rethrow_labels: Vec<u32>,
    locals: usize,
    /// How many enclosing clauses keep their exception in a local.
    exceptions: u32,
    max_exceptions: u32,
}

struct Block {
    /// The height of the translated block that a branch to this one goes to.
    label: u32,
    kind: BlockKind,
}

#[derive(Clone, Copy)]
enum BlockKind {
    /// One block in the translated code.
    Plain,
    /// A standard `try_table` with a block in it for exceptions delegated to it.
    DelegatedTo,
    /// The body of a legacy `try` with clauses.
    Body { region: RegionId },
    Clause {
        region: RegionId,
        index: usize,
        /// The local that holds the exception for a `rethrow`.
        exception: Option<u32>,
    },
}

impl<'a> Emitter<'a> {
    fn new(
        wasm: &'a [u8],
        start: usize,
        locals: usize,
        plan: &'a Plan,
        types: &'a mut Types,
    ) -> Result<Self, LoadError> {
        let mut emitter = Self {
            wasm,
            plan,
            types,
            out: Vec::new(),
            copied: start,
            at: start..start,
            height: 0,
            blocks: vec![Block {
                label: 0,
                kind: BlockKind::Plain,
            }],
            next_region: FUNCTION + 1,
            rethrow_labels: vec![0; plan.regions.len()],
            locals,
            exceptions: 0,
            max_exceptions: 0,
        };
        if emitter.delegated_to(FUNCTION) {
            emitter.open_rethrow_block(FUNCTION, BlockType::Empty)?;
        }
        Ok(emitter)
    }

    fn operator(&mut self, operator: Operator<'_>) -> Result<(), LoadError> {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                self.height += 1;
                self.push(BlockKind::Plain);
            }
            Operator::TryTable { try_table } => self.try_table(&try_table)?,
            Operator::Try { blockty } => self.try_(blockty)?,
            Operator::Catch { .. } | Operator::CatchAll => self.clause()?,
            Operator::Delegate { .. } => self.delegate()?,
            Operator::Rethrow { relative_depth } => self.rethrow(relative_depth)?,
            Operator::End => self.end()?,
            Operator::BrTable { targets } => self.br_table(&targets)?,
            operator => self.branch(&operator)?,
        }
        Ok(())
    }

    /// Copies what precedes the operator at hand, which will be replaced.
    fn replace(&mut self) -> Result<(), LoadError> {
        self.copy_until(self.at.start)?;
        self.copied = self.at.end;
        Ok(())
    }

    fn copy_until(&mut self, end: usize) -> Result<(), LoadError> {
        if self.copied < end {
            self.out
                .extend_from_slice(slice(self.wasm, self.copied..end)?);
            self.copied = end;
        }
        Ok(())
    }

    fn emit(&mut self, instruction: &Instruction<'_>) {
        instruction.encode(&mut self.out);
    }

    fn open(&mut self, instruction: &Instruction<'_>) {
        self.emit(instruction);
        self.height += 1;
    }

    fn close(&mut self) {
        self.emit(&Instruction::End);
        self.height = self.height.saturating_sub(1);
    }

    fn push(&mut self, kind: BlockKind) {
        let label = self.height;
        self.blocks.push(Block { label, kind });
    }

    fn pop(&mut self) -> Result<Block, LoadError> {
        self.blocks.pop().ok_or_else(|| unbalanced(self.at.start))
    }

    fn last(&mut self) -> Result<&mut Block, LoadError> {
        let offset = self.at.start;
        self.blocks.last_mut().ok_or_else(|| unbalanced(offset))
    }

    fn block(&self, relative_depth: u32) -> Result<&Block, LoadError> {
        let depth = relative_depth as usize;
        let index = self.blocks.len().checked_sub(depth.saturating_add(1));
        index
            .and_then(|index| self.blocks.get(index))
            .ok_or_else(|| unbalanced(self.at.start))
    }

    /// The relative depth, here, of the translated block of that height.
    fn depth(&self, height: u32) -> u32 {
        self.height.saturating_sub(height)
    }

    /// The translated depth of a label.
    fn relabel(&self, relative_depth: u32) -> Result<u32, LoadError> {
        Ok(self.depth(self.block(relative_depth)?.label))
    }

    fn encoder_type(&self, ty: BlockType) -> Result<wasm_encoder::BlockType, LoadError> {
        block_type(ty).map_err(|_| unbalanced(self.at.start))
    }

    fn delegated_to(&self, region: RegionId) -> bool {
        let region = self.plan.regions.get(region);
        region.is_some_and(|region| region.delegated_to)
    }

    /// The next region in the order in which both passes meet them.
    fn enter_region(&mut self) -> RegionId {
        let region = self.next_region;
        self.next_region += 1;
        region
    }

    /// Opens the block to which inner `delegate`s branch with their exception. `ty` is that of the
    /// block whose parameters are on the stack.
    fn open_rethrow_block(&mut self, region: RegionId, ty: BlockType) -> Result<(), LoadError> {
        let ty = self.types.handler_block(ty, None, true, self.at.start)?;
        self.open(&Instruction::Block(ty));
        if let Some(label) = self.rethrow_labels.get_mut(region) {
            *label = self.height;
        }
        Ok(())
    }

    /// Throws again what arrives at the block that [`Self::open_rethrow_block`] opened. The
    /// ordinary way out has been taken before.
    fn close_rethrow_block(&mut self) {
        self.close();
        self.emit(&Instruction::ThrowRef);
    }

    fn try_table(&mut self, try_table: &TryTable) -> Result<(), LoadError> {
        self.replace()?;
        let mut catches = Vec::with_capacity(try_table.catches.len());
        for catch in &try_table.catches {
            catches.push(match *catch {
                Original::One { tag, label } => Catch::One {
                    tag,
                    label: self.relabel(label)?,
                },
                Original::OneRef { tag, label } => Catch::OneRef {
                    tag,
                    label: self.relabel(label)?,
                },
                Original::All { label } => Catch::All {
                    label: self.relabel(label)?,
                },
                Original::AllRef { label } => Catch::AllRef {
                    label: self.relabel(label)?,
                },
            });
        }
        let ty = self.encoder_type(try_table.ty)?;
        self.open(&Instruction::TryTable(ty, Cow::Owned(catches)));
        let region = self.enter_region();
        if self.delegated_to(region) {
            self.push(BlockKind::DelegatedTo);
            self.open_rethrow_block(region, try_table.ty)?;
        } else {
            self.push(BlockKind::Plain);
        }
        Ok(())
    }

    fn try_(&mut self, ty: BlockType) -> Result<(), LoadError> {
        self.replace()?;
        let region = self.enter_region();
        let encoded = self.encoder_type(ty)?;
        let plan = self.plan;
        match plan.regions.get(region).map(|region| &region.handler) {
            Some(Handler::Clauses(clauses)) => self.try_with_clauses(region, ty, clauses),
            Some(Handler::Delegate(target)) => {
                let target = self.rethrow_labels.get(*target).copied();
                let label = self.depth(target.unwrap_or_default());
                let catches = vec![Catch::AllRef { label }];
                self.open(&Instruction::TryTable(encoded, Cow::Owned(catches)));
                self.push(BlockKind::Plain);
                Ok(())
            }
            Some(Handler::Around) => {
                self.open(&Instruction::Block(encoded));
                self.push(BlockKind::Plain);
                Ok(())
            }
            Some(Handler::Caller | Handler::TryTable) | None => Err(unbalanced(self.at.start)),
        }
    }

    fn try_with_clauses(
        &mut self,
        region: RegionId,
        ty: BlockType,
        clauses: &[Clause],
    ) -> Result<(), LoadError> {
        let offset = self.at.start;
        if clauses.len() > MAX_CATCHES {
            return Err(LoadError::Limit {
                offset,
                what: "catches of a try",
                limit: MAX_CATCHES,
            });
        }
        let encoded = self.encoder_type(ty)?;
        self.open(&Instruction::Block(encoded));
        self.push(BlockKind::Body { region });
        // The block of the first clause is the innermost: its handler comes first.
        for clause in clauses.iter().rev() {
            let block = self
                .types
                .handler_block(ty, clause.tag, clause.rethrown, offset)?;
            self.open(&Instruction::Block(block));
        }
        let catches: Vec<Catch> = (0..)
            .zip(clauses)
            .map(|(label, clause)| match (clause.tag, clause.rethrown) {
                (Some(tag), false) => Catch::One { tag, label },
                (Some(tag), true) => Catch::OneRef { tag, label },
                (None, false) => Catch::All { label },
                (None, true) => Catch::AllRef { label },
            })
            .collect();
        self.open(&Instruction::TryTable(encoded, Cow::Owned(catches)));
        if self.delegated_to(region) {
            self.open_rethrow_block(region, ty)?;
        }
        Ok(())
    }

    /// Ends the body or the clause before, and begins the next clause.
    fn clause(&mut self) -> Result<(), LoadError> {
        self.replace()?;
        let block = self.last()?;
        let exit = block.label;
        let (region, index) = match block.kind {
            BlockKind::Body { region } => (region, 0),
            BlockKind::Clause { region, index, .. } => (region, index + 1),
            BlockKind::Plain | BlockKind::DelegatedTo => return Err(unbalanced(self.at.start)),
        };
        if index == 0 {
            if self.delegated_to(region) {
                self.emit(&Instruction::Br(self.depth(exit)));
                self.close_rethrow_block();
            }
            self.close();
        } else {
            self.leave_clause()?;
        }
        self.emit(&Instruction::Br(self.depth(exit)));
        self.close();
        let exception = self.enter_clause(region, index);
        self.last()?.kind = BlockKind::Clause {
            region,
            index,
            exception,
        };
        Ok(())
    }

    fn enter_clause(&mut self, region: RegionId, index: usize) -> Option<u32> {
        let handler = &self.plan.regions.get(region)?.handler;
        let Handler::Clauses(clauses) = handler else {
            return None;
        };
        if !clauses.get(index)?.rethrown {
            return None;
        }
        // Clauses that are open at the same time need locals of their own; others share.
        let local = u32::try_from(self.locals)
            .ok()?
            .checked_add(self.exceptions)?;
        self.exceptions += 1;
        self.max_exceptions = self.max_exceptions.max(self.exceptions);
        self.emit(&Instruction::LocalSet(local));
        Some(local)
    }

    fn leave_clause(&mut self) -> Result<(), LoadError> {
        if let BlockKind::Clause {
            exception: Some(_), ..
        } = self.last()?.kind
        {
            self.exceptions = self.exceptions.saturating_sub(1);
        }
        Ok(())
    }

    fn delegate(&mut self) -> Result<(), LoadError> {
        self.replace()?;
        self.pop()?;
        self.close();
        Ok(())
    }

    fn rethrow(&mut self, relative_depth: u32) -> Result<(), LoadError> {
        self.replace()?;
        let BlockKind::Clause {
            exception: Some(local),
            ..
        } = self.block(relative_depth)?.kind
        else {
            return Err(unbalanced(self.at.start));
        };
        self.emit(&Instruction::LocalGet(local));
        self.emit(&Instruction::ThrowRef);
        Ok(())
    }

    fn end(&mut self) -> Result<(), LoadError> {
        self.replace()?;
        self.leave_clause()?;
        let block = self.pop()?;
        if let BlockKind::DelegatedTo = block.kind {
            self.emit(&Instruction::Br(self.depth(block.label)));
            self.close_rethrow_block();
        }
        if self.blocks.is_empty() && self.delegated_to(FUNCTION) {
            self.emit(&Instruction::Return);
            self.close_rethrow_block();
        }
        self.close();
        Ok(())
    }

    fn br_table(&mut self, table: &BrTable<'_>) -> Result<(), LoadError> {
        self.replace()?;
        let mut targets = Vec::with_capacity(table.len() as usize);
        for target in table.targets() {
            targets.push(self.relabel(target?)?);
        }
        let default = self.relabel(table.default())?;
        self.emit(&Instruction::BrTable(Cow::Owned(targets), default));
        Ok(())
    }

    fn branch(&mut self, operator: &Operator<'_>) -> Result<(), LoadError> {
        let unsupported = |_| unbalanced(self.at.start);
        let instruction = match *operator {
            Operator::Br { relative_depth } => Instruction::Br(self.relabel(relative_depth)?),
            Operator::BrIf { relative_depth } => Instruction::BrIf(self.relabel(relative_depth)?),
            Operator::BrOnNull { relative_depth } => {
                Instruction::BrOnNull(self.relabel(relative_depth)?)
            }
            Operator::BrOnNonNull { relative_depth } => {
                Instruction::BrOnNonNull(self.relabel(relative_depth)?)
            }
            Operator::BrOnCast {
                relative_depth,
                from_ref_type,
                to_ref_type,
            } => Instruction::BrOnCast {
                relative_depth: self.relabel(relative_depth)?,
                from_ref_type: ref_type(from_ref_type).map_err(unsupported)?,
                to_ref_type: ref_type(to_ref_type).map_err(unsupported)?,
            },
            Operator::BrOnCastFail {
                relative_depth,
                from_ref_type,
                to_ref_type,
            } => Instruction::BrOnCastFail {
                relative_depth: self.relabel(relative_depth)?,
                from_ref_type: ref_type(from_ref_type).map_err(unsupported)?,
                to_ref_type: ref_type(to_ref_type).map_err(unsupported)?,
            },
            _ => return Ok(()),
        };
        self.replace()?;
        self.emit(&instruction);
        Ok(())
    }
}
