//! Folders of the machine in a virtual tree: read when a guest starts, and, if that is asked for,
//! written back.
//!
//! No symbolic link of the machine is ever followed below the folder: one becomes a link of the
//! virtual tree, which leads nowhere but into that. Every step goes from an open directory to an
//! entry of it, so that nobody can put a link in the way between a check and its use.

mod load;
mod mirror;
mod write;

use std::path::{Path, PathBuf};

pub use load::{Room, load};
pub use mirror::{Mirror, Tree};

/// Something in a folder of the machine that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct FolderError {
    pub path: PathBuf,
    pub reason: String,
}

impl FolderError {
    fn new(path: &Path, reason: impl ToString) -> Self {
        Self {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

type Result<T> = std::result::Result<T, FolderError>;
