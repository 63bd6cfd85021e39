//! Refuses functions that would keep the compiler busy out of all proportion to their size.
//!
//! Each call has an edge to every handler around it, and what the compiler does for edges and for
//! nested loops grows with the square of their number: a kilobyte of nested `try_table`s with calls
//! in them takes minutes. Compilers do not emit such code, within bounds far below those here.

use wasmparser::{FunctionBody, Operator, Parser, Payload};

use super::LoadError;

/// Pairs of a call and a handler around it, in one function. That many compile in about a second.
pub const MAX_HANDLERS_OF_CALLS: usize = 30_000;
/// Loops within each other.
pub const MAX_LOOP_DEPTH: usize = 1_000;

/// Checks the functions of `compiled`, the form that is to be compiled of the module `given`.
///
/// # Errors
///
/// [`LoadError::Limit`], whose offset is that of the function in `given`, and
/// [`LoadError::Invalid`] where a function does not decode.
pub fn check(given: &[u8], compiled: &[u8]) -> Result<(), LoadError> {
    let mut index = 0;
    for payload in Parser::new(0).parse_all(compiled) {
        let Payload::CodeSectionEntry(body) = payload? else {
            continue;
        };
        if let Err((what, limit)) = check_function(&body)? {
            return Err(LoadError::Limit {
                offset: function_offset(given, index)?,
                what,
                limit,
            });
        }
        index += 1;
    }
    Ok(())
}

/// Where the function with that index, imported ones aside, begins.
pub(super) fn function_offset(wasm: &[u8], index: usize) -> Result<usize, LoadError> {
    let mut left = index;
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload? {
            if left == 0 {
                return Ok(body.range().start);
            }
            left -= 1;
        }
    }
    Ok(0)
}

/// What there is too much of, and the limit.
type Excess = (&'static str, usize);

fn check_function(body: &FunctionBody<'_>) -> Result<Result<(), Excess>, LoadError> {
    if !may_nest(body.as_bytes()) {
        return Ok(Ok(()));
    }
    let mut nesting = Nesting::default();
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        if let Err(excess) = nesting.operator(&operators.read()?) {
            return Ok(Err(excess));
        }
    }
    Ok(Ok(()))
}

/// Whether the opcodes of `try_table`, or of more loops than are allowed, can be among these bytes.
fn may_nest(body: &[u8]) -> bool {
    const LOOP: u8 = 0x03;
    const TRY_TABLE: u8 = 0x1f;
    memchr::memchr(TRY_TABLE, body).is_some()
        || memchr::memchr_iter(LOOP, body).count() > MAX_LOOP_DEPTH
}

#[derive(Default)]
struct Nesting {
    blocks: Vec<Block>,
    handlers: usize,
    loops: usize,
    handlers_of_calls: usize,
}

enum Block {
    Plain,
    Loop,
    TryTable { handlers: usize },
}

impl Nesting {
    fn operator(&mut self, operator: &Operator<'_>) -> Result<(), Excess> {
        match operator {
            Operator::Block { .. } | Operator::If { .. } => self.blocks.push(Block::Plain),
            Operator::Loop { .. } => {
                self.blocks.push(Block::Loop);
                self.loops += 1;
                if self.loops > MAX_LOOP_DEPTH {
                    return Err(("loops within each other", MAX_LOOP_DEPTH));
                }
            }
            Operator::TryTable { try_table } => {
                let handlers = try_table.catches.len();
                self.blocks.push(Block::TryTable { handlers });
                self.handlers += handlers;
            }
            Operator::End => match self.blocks.pop() {
                Some(Block::Loop) => self.loops -= 1,
                Some(Block::TryTable { handlers }) => self.handlers -= handlers,
                Some(Block::Plain) | None => {}
            },
            Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef => {
                self.handlers_of_calls += self.handlers;
                if self.handlers_of_calls > MAX_HANDLERS_OF_CALLS {
                    return Err(("exception handlers around its calls", MAX_HANDLERS_OF_CALLS));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
