//! Folders of the machine that a guest finds open.

use std::path::PathBuf;

use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{FsPerms, WasiCtx};

use crate::error::{Error, Result};

/// What a guest may do in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// A folder of the machine, and the name by which the guest knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    pub name: String,
    pub path: PathBuf,
    pub access: Access,
}

impl Folder {
    pub(super) fn describe(&self) -> String {
        format!(
            "the folder {} of the machine, which the guest has as {}",
            self.path.display(),
            self.name
        )
    }
}

/// Opens the folders, in order, from descriptor 3 on.
pub(super) fn open(folders: &[Folder]) -> Result<WasiP1Ctx> {
    // Nothing else of the machine is in it unless it is put there.
    let mut builder = WasiCtx::builder();
    builder.allow_blocking_current_thread(false);
    for folder in folders {
        let access = match folder.access {
            Access::ReadOnly => FsPerms::ReadOnly,
            Access::ReadWrite => FsPerms::ReadWrite,
        };
        builder
            .preopened_dir(&folder.path, &folder.name, access)
            .map_err(|error| {
                Error::bad_argument(format!(
                    "the folder {} cannot be opened: {}",
                    folder.path.display(),
                    error.root_cause()
                ))
            })?;
    }
    Ok(builder.build_p1())
}
