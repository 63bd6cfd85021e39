use thiserror::Error;

use super::Kind;

/// Why a module could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are something other than a binary module.
    #[error("expected a binary WebAssembly module, found {0}")]
    NotAModule(Kind),
    /// The module does not decode or does not validate.
    #[error("{message} (at offset {offset:#x})")]
    Invalid {
        /// Where in the given bytes.
        offset: usize,
        /// What is wrong there.
        message: String,
    },
    /// The module exports a name that is kept for [internal
    /// items](super::instrument::Internal).
    #[error("the module exports {name:?}, a name that is reserved (at offset {offset:#x})")]
    ReservedExport {
        /// Where the export is.
        offset: usize,
        /// The name as exported.
        name: String,
    },
    /// The module is valid, but it or its transformed form exceeds a limit: one that engines agree on,
    /// or one that keeps compiling short.
    #[error(
        "the module needs more {what} than the {limit} that are allowed (at offset {offset:#x})"
    )]
    Limit {
        /// Where in the given bytes the limit was reached.
        offset: usize,
        /// What there are too many of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
}

impl LoadError {
    /// The offset in the given bytes that the error is about.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        match self {
            Self::NotAModule(_) => None,
            Self::Invalid { offset, .. }
            | Self::ReservedExport { offset, .. }
            | Self::Limit { offset, .. } => Some(*offset),
        }
    }

    pub(super) fn invalid(offset: usize, message: impl Into<String>) -> Self {
        Self::Invalid {
            offset,
            message: message.into(),
        }
    }
}

impl From<wasmparser::BinaryReaderError> for LoadError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::invalid(error.offset(), error.message())
    }
}
