//! The locals of a function, and those that are added for exceptions to be thrown again.

use wasm_encoder::{Encode, RefType, ValType};
use wasmparser::FunctionBody;

use crate::load::LoadError;
use crate::load::sections::slice;

const MAX_LOCALS: usize = 50_000;

/// The locals that a function declares.
pub struct Locals {
    groups: u32,
    /// Where the groups begin.
    start: usize,
    /// The parameters and all declared locals.
    pub total: usize,
}

impl Locals {
    pub fn read(body: &FunctionBody<'_>, params: usize) -> Result<Self, LoadError> {
        let mut reader = body.get_locals_reader()?;
        let groups = reader.get_count();
        let start = reader.original_position();
        let mut total = params;
        for _ in 0..groups {
            total = total.saturating_add(reader.read()?.0 as usize);
        }
        Ok(Self {
            groups,
            start,
            total,
        })
    }

    /// The declarations, which end at `end`, and `exceptions` more locals of type exnref.
    pub fn with_exceptions(
        &self,
        wasm: &[u8],
        end: usize,
        exceptions: u32,
    ) -> Result<Vec<u8>, LoadError> {
        if self.total.saturating_add(exceptions as usize) > MAX_LOCALS {
            return Err(LoadError::Limit {
                offset: self.start,
                what: "locals in a function",
                limit: MAX_LOCALS,
            });
        }
        let mut out = Vec::new();
        let declared = slice(wasm, self.start..end)?;
        if exceptions == 0 {
            self.groups.encode(&mut out);
            out.extend_from_slice(declared);
        } else {
            (self.groups.saturating_add(1)).encode(&mut out);
            out.extend_from_slice(declared);
            exceptions.encode(&mut out);
            ValType::Ref(RefType::EXNREF).encode(&mut out);
        }
        Ok(out)
    }
}
