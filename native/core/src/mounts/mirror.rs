//! A folder that follows a directory of a virtual tree.

use std::path::PathBuf;
use std::sync::Arc;

use super::load::open_folder;
use super::{Result, write};
use crate::wasi::WasiState;
use crate::wasi::filesystem::{Filesystem, Follow};

/// All files of a guest, as they were at some time.
#[derive(Clone)]
pub struct Tree(Arc<Filesystem>);

impl Tree {
    /// Those of a state.
    #[must_use]
    pub fn of(state: &WasiState) -> Self {
        Self(Arc::clone(&state.filesystem))
    }
}

/// A folder of the machine, and the directory of a guest's tree that it follows.
pub struct Mirror {
    folder: PathBuf,
    /// The path of the directory.
    directory: Vec<u8>,
    /// What the folder has, as far as it came from here.
    written: Tree,
}

impl Mirror {
    /// A folder that has been read into a tree, where it is `directory`.
    #[must_use]
    pub fn new(folder: PathBuf, directory: Vec<u8>, tree: Tree) -> Self {
        Self {
            folder,
            directory,
            written: tree,
        }
    }

    /// Makes the folder what it is in `tree`: whatever has changed since the last time is written,
    /// and nothing else is touched. If the directory is gone from the tree, the folder stays as it
    /// is.
    ///
    /// # Errors
    /// Names what cannot be written. The next time tries all of it again.
    pub fn write(&mut self, tree: &Tree) -> Result<()> {
        if Arc::ptr_eq(&self.written.0, &tree.0) {
            return Ok(());
        }
        let find = |filesystem: &Filesystem| {
            let target = filesystem.resolve_from_root(&self.directory, Follow::Entry);
            let directory = target.and_then(|target| target.existing()).ok()?;
            filesystem.directory(directory).is_ok().then_some(directory)
        };
        if let Some(now) = find(&tree.0) {
            let folder = open_folder(&self.folder)?;
            let before = find(&self.written.0).map(|directory| (&*self.written.0, directory));
            write::directory(&folder, &self.folder, before, (&tree.0, now), 0)?;
        }
        self.written = tree.clone();
        Ok(())
    }
}
