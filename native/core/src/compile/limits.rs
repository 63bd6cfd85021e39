//! Limits on what may be compiled.

use crate::error::{Error, Result};
use crate::load::Size;

/// Upper bounds for one module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Bytes of the image, in its binary form or as text.
    pub bytes: u64,
    /// Functions that it defines.
    pub functions: u64,
    /// Bytes of each of them.
    pub function_bytes: u64,
}

/// As many functions and bytes of a function as the engine takes at all.
impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            functions: 1_000_000,
            function_bytes: 7_654_321,
        }
    }
}

impl CompileLimits {
    /// # Errors
    /// `Limit` if the image is too large, whatever is in it.
    pub fn check_bytes(&self, bytes: u64) -> Result<()> {
        within("bytes of a module", self.bytes, bytes)
    }

    /// # Errors
    /// `Limit`, for the first limit that the module exceeds.
    pub fn check(&self, size: &Size) -> Result<()> {
        self.check_bytes(size.bytes)?;
        within(
            "functions of a module",
            self.functions,
            size.functions.into(),
        )?;
        within(
            "bytes of a function",
            self.function_bytes,
            size.longest_function.into(),
        )
    }
}

fn within(what: &'static str, limit: u64, requested: u64) -> Result<()> {
    if requested <= limit {
        return Ok(());
    }
    Err(Error::Limit {
        what,
        limit,
        requested,
    })
}
