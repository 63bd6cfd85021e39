//! The first pass over a function: which handlers there are, and which exceptions go where.
//!
//! What a `try` becomes depends on what follows its body (`catch` or `delegate`, and whether a
//! `rethrow` needs the exception again), so a function is read once before it is written.

use wasmparser::{FunctionBody, Operator, OperatorsReader};

use crate::load::LoadError;

/// A stretch of code whose exceptions go to one handler, as an index into [`Plan::regions`], in
/// the order in which they begin. The first is the function itself.
pub type RegionId = usize;

pub const FUNCTION: RegionId = 0;

/// What happens to an exception that is thrown in a region.
#[derive(Debug)]
pub enum Handler {
    /// It leaves the function.
    Caller,
    /// A standard `try_table` with catches.
    TryTable,
    /// A legacy `try` with its clauses in order.
    Clauses(Vec<Clause>),
    /// A legacy `try` that delegates to a region further out.
    Delegate(RegionId),
    /// Whatever happens to it in the region around: the `try` or `try_table` handles nothing.
    Around,
}

/// A `catch` or `catch_all`.
#[derive(Debug)]
pub struct Clause {
    /// None for `catch_all`.
    pub tag: Option<u32>,
    /// Whether a `rethrow` refers to it.
    pub rethrown: bool,
}

#[derive(Debug)]
pub struct Region {
    pub handler: Handler,
    /// The region around this one.
    around: RegionId,
    /// Whether an inner `delegate` leads here.
    pub delegated_to: bool,
}

/// The regions of a function that uses legacy instructions.
#[derive(Debug)]
pub struct Plan {
    pub regions: Vec<Region>,
}

impl Plan {
    /// Reads a function. None where it uses no legacy instruction.
    pub fn of(body: &FunctionBody<'_>) -> Result<Option<Self>, LoadError> {
        if !may_be_legacy(body) {
            return Ok(None);
        }
        let mut planner = Planner::new();
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            planner
                .operator(operator)
                .ok_or_else(|| unbalanced(offset))?;
        }
        operators.finish()?;
        Ok(planner.finish())
    }
}

pub fn unbalanced(offset: usize) -> LoadError {
    LoadError::invalid(
        offset,
        "instruction outside of the block that it belongs to",
    )
}

/// Whether a function uses legacy instructions, reading no more of it than that takes.
pub fn is_legacy(body: &FunctionBody<'_>) -> Result<bool, LoadError> {
    if !may_be_legacy(body) {
        return Ok(false);
    }
    let mut operators: OperatorsReader<'_> = body.get_operators_reader()?;
    while !operators.eof() {
        if matches!(operators.read()?, Operator::Try { .. }) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Every other legacy instruction stands within a `try`, so code without that byte has none.
fn may_be_legacy(body: &FunctionBody<'_>) -> bool {
    const TRY: u8 = 0x06;
    body.as_bytes().contains(&TRY)
}

struct Planner {
    regions: Vec<Region>,
    blocks: Vec<Block>,
    legacy: bool,
}

/// An open block.
#[derive(Clone, Copy)]
struct Block {
    /// The region of the code within.
    region: RegionId,
    kind: BlockKind,
}

#[derive(Clone, Copy)]
enum BlockKind {
    Plain,
    /// The body of a legacy `try`, which is also its region.
    Try,
    /// A clause of the legacy `try` of that region.
    Clause {
        of: RegionId,
        index: usize,
    },
}

impl Planner {
    fn new() -> Self {
        let function = Region {
            handler: Handler::Caller,
            around: FUNCTION,
            delegated_to: false,
        };
        Self {
            regions: vec![function],
            blocks: vec![Block {
                region: FUNCTION,
                kind: BlockKind::Plain,
            }],
            legacy: false,
        }
    }

    /// None where the operator does not fit the open blocks.
    fn operator(&mut self, operator: Operator<'_>) -> Option<()> {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                let region = self.blocks.last()?.region;
                self.open(region, BlockKind::Plain);
            }
            Operator::TryTable { try_table } => {
                let handler = match try_table.catches.as_slice() {
                    [] => Handler::Around,
                    _ => Handler::TryTable,
                };
                let region = self.region(handler)?;
                self.open(region, BlockKind::Plain);
            }
            Operator::Try { .. } => {
                self.legacy = true;
                let region = self.region(Handler::Around)?;
                self.open(region, BlockKind::Try);
            }
            Operator::Catch { tag_index } => self.clause(Some(tag_index))?,
            Operator::CatchAll => self.clause(None)?,
            Operator::Delegate { relative_depth } => self.delegate(relative_depth)?,
            Operator::Rethrow { relative_depth } => self.rethrow(relative_depth)?,
            Operator::End => {
                self.blocks.pop()?;
            }
            _ => {}
        }
        Some(())
    }

    fn region(&mut self, handler: Handler) -> Option<RegionId> {
        self.regions.push(Region {
            handler,
            around: self.blocks.last()?.region,
            delegated_to: false,
        });
        Some(self.regions.len() - 1)
    }

    fn open(&mut self, region: RegionId, kind: BlockKind) {
        self.blocks.push(Block { region, kind });
    }

    fn label(&self, relative_depth: u32) -> Option<Block> {
        let last = self.blocks.len().checked_sub(1)?;
        let index = last.checked_sub(relative_depth as usize)?;
        self.blocks.get(index).copied()
    }

    fn clause(&mut self, tag: Option<u32>) -> Option<()> {
        let block = self.blocks.last_mut()?;
        let (of, index) = match block.kind {
            BlockKind::Try => (block.region, 0),
            BlockKind::Clause { of, index } => (of, index + 1),
            BlockKind::Plain => return None,
        };
        let region = self.regions.get_mut(of)?;
        block.region = region.around;
        block.kind = BlockKind::Clause { of, index };
        let clause = Clause {
            tag,
            rethrown: false,
        };
        match &mut region.handler {
            Handler::Clauses(clauses) => clauses.push(clause),
            handler => *handler = Handler::Clauses(vec![clause]),
        }
        Some(())
    }

    /// By the legacy proposal's rule an exception in the body goes on as if it were thrown in the
    /// block of that label: to its own handler where it is a `try`, or else to the next around it.
    fn delegate(&mut self, relative_depth: u32) -> Option<()> {
        let closed = self.blocks.pop()?;
        let BlockKind::Try = closed.kind else {
            return None;
        };
        let target = self.label(relative_depth)?.region;
        self.regions.get_mut(closed.region)?.handler = Handler::Delegate(target);
        Some(())
    }

    fn rethrow(&mut self, relative_depth: u32) -> Option<()> {
        let BlockKind::Clause { of, index } = self.label(relative_depth)?.kind else {
            return None;
        };
        let Handler::Clauses(clauses) = &mut self.regions.get_mut(of)?.handler else {
            return None;
        };
        clauses.get_mut(index)?.rethrown = true;
        Some(())
    }

    /// Follows delegates to where they end. A region's `around` and the region that it delegates
    /// to began before it, so one pass in order finds each already resolved.
    fn finish(self) -> Option<Plan> {
        if !self.legacy {
            return None;
        }
        let mut regions = self.regions;
        // The region whose handler gets what is thrown in each.
        let mut effective: Vec<RegionId> = Vec::with_capacity(regions.len());
        let mut delegated_to = Vec::new();
        for (id, region) in regions.iter_mut().enumerate() {
            let around = effective.get(region.around).copied().unwrap_or(FUNCTION);
            effective.push(match region.handler {
                Handler::Caller | Handler::TryTable | Handler::Clauses(_) => id,
                Handler::Around => around,
                Handler::Delegate(target) => {
                    let target = effective.get(target).copied().unwrap_or(FUNCTION);
                    region.handler = if target == around {
                        Handler::Around
                    } else {
                        delegated_to.push(target);
                        Handler::Delegate(target)
                    };
                    target
                }
            });
        }
        for id in delegated_to {
            if let Some(region) = regions.get_mut(id) {
                region.delegated_to = true;
            }
        }
        Some(Plan { regions })
    }
}
