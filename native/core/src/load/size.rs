//! How much there is to compile.

use wasmparser::{Parser, Payload};

use super::LoadError;

/// What compiling a module depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// The image as it was given, in its binary form or as text.
    pub bytes: u64,
    /// The functions that it defines.
    pub functions: u32,
    /// The bytes of the longest of them.
    pub longest_function: u32,
}

impl Size {
    /// The size of a binary module, which was given in that many bytes.
    ///
    /// # Errors
    ///
    /// [`LoadError::Invalid`] where it does not decode.
    pub fn of(wasm: &[u8], bytes: usize) -> Result<Self, LoadError> {
        let mut size = Self {
            bytes: bytes as u64,
            ..Self::default()
        };
        for payload in Parser::new(0).parse_all(wasm) {
            if let Payload::CodeSectionEntry(body) = payload? {
                size.functions = size.functions.saturating_add(1);
                let bytes = u32::try_from(body.range().len()).unwrap_or(u32::MAX);
                size.longest_function = size.longest_function.max(bytes);
            }
        }
        Ok(size)
    }
}
