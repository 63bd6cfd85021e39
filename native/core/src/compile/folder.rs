//! Compiled code in files, for the next process.
//!
//! Any number of processes may [share](crate::shared_file) a folder, and end at any moment. An entry
//! appears whole, by the renaming of a temporary file; one whose writer has died is removed. Entries
//! are believed because of their [seal](crate::image), not because of where they are: whoever can write
//! to the folder can have modules compiled again, and no more than that.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::{self, Key, KeySource, Purpose};
use crate::module::{Module, ModuleId};
use crate::shared_file;

pub const DEFAULT_FOLDER_BYTES: u64 = 1 << 30;

const ENTRY_SUFFIX: &str = ".code";
const TEMPORARY_PREFIX: &str = "tmp-";

/// Where to keep compiled code.
#[derive(Debug, Clone)]
pub struct Folder {
    pub path: PathBuf,
    /// Of all entries together.
    pub max_bytes: u64,
    pub key: KeySource,
}

/// What cache folders were good for so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderStats {
    pub hits: u64,
    pub misses: u64,
    /// Entries that were damaged or forged, and are removed.
    pub rejected: u64,
    /// Entries that could not be read or written.
    pub failures: u64,
    /// Why the last of these could not.
    pub last_failure: Option<String>,
}

/// An entry that was damaged or forged, and is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    pub file: PathBuf,
    pub reason: String,
}

static STATS: LazyLock<Mutex<FolderStats>> = LazyLock::new(Mutex::default);
/// Folders that this process has tidied since it started.
static TIDIED: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

pub fn stats() -> FolderStats {
    STATS.lock().clone()
}

impl Folder {
    /// The code of a module, if it is there. If what is there is something else, that is told.
    pub fn load(
        &self,
        engine: &Engine,
        id: ModuleId,
        on_rejected: impl FnOnce(Rejected),
    ) -> Option<Module> {
        let found = self.find(engine, id);
        let mut stats = STATS.lock();
        if let Ok(Some(module)) = found {
            stats.hits += 1;
            return Some(module);
        }
        stats.misses += 1;
        match found {
            Ok(_) => {}
            Err(Failure::Rejected(rejected)) => {
                stats.rejected += 1;
                drop(stats);
                on_rejected(rejected);
            }
            Err(Failure::Other(message)) => failed(&mut stats, message),
        }
        None
    }

    /// Keeps the code of a module, if that is possible.
    pub fn store(&self, module: &Module) {
        if let Err(Failure::Other(message)) = self.try_store(module) {
            failed(&mut STATS.lock(), message);
        }
    }

    fn find(&self, engine: &Engine, id: ModuleId) -> Result<Option<Module>, Failure> {
        let key = self.key.key()?;
        self.tidy_once()?;
        let path = self.entry(&key, engine, id)?;
        let Some(mut file) = shared_file::open(&path)? else {
            return Ok(None);
        };
        let rejected = |reason: String| {
            let file = path.clone();
            Failure::Rejected(Rejected { file, reason })
        };
        let module = self.read(&mut file).and_then(|bytes| {
            let bytes = bytes.ok_or_else(|| rejected("not a file, or too large".into()))?;
            let module = image::open(&bytes, &key, Purpose::Cache);
            module.map_err(|error| match error {
                Error::BadImage { message } => rejected(message),
                error => error.into(),
            })
        });
        let module = module.and_then(|module| match module.id() == id {
            true if module.engine().config() == engine.config() => Ok(module),
            _ => Err(rejected("the code of another module".into())),
        });
        match module {
            Ok(module) => {
                // The entry that was used last is the last to go.
                let _ = file.set_modified(SystemTime::now());
                Ok(Some(module))
            }
            Err(failure) => {
                let _ = fs::remove_file(&path);
                Err(failure)
            }
        }
    }

    fn read(&self, file: &mut File) -> Result<Option<Vec<u8>>, Failure> {
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > self.max_bytes {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(self.max_bytes).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn try_store(&self, module: &Module) -> Result<(), Failure> {
        let key = self.key.key()?;
        let bytes = image::seal(module, &key, Purpose::Cache)?;
        if bytes.len() as u64 > self.max_bytes {
            return Ok(());
        }
        self.tidy_once()?;
        let path = self.entry(&key, module.engine(), module.id())?;
        let temporary = self.path.join(format!(
            "{TEMPORARY_PREFIX}{:016x}",
            getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?
        ));
        let written = shared_file::write(&temporary, &bytes).and_then(|file| {
            let renamed = fs::rename(&temporary, &path);
            // Locked until it has its name.
            drop(file);
            renamed
        });
        if let Err(error) = written {
            let _ = fs::remove_file(&temporary);
            return Err(error.into());
        }
        self.tidy()?;
        Ok(())
    }

    /// The file for a module's code. Those who have another key have other files.
    fn entry(&self, key: &Key, engine: &Engine, id: ModuleId) -> Result<PathBuf, Failure> {
        let name = key.name(engine, id)?;
        let hex: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(self.path.join(hex + ENTRY_SUFFIX))
    }

    fn tidy_once(&self) -> io::Result<()> {
        if TIDIED.lock().contains(&self.path) {
            return Ok(());
        }
        shared_file::create_folder(&self.path)?;
        self.tidy()?;
        TIDIED.lock().insert(self.path.clone());
        Ok(())
    }

    /// Removes what dead writers have left, and what was not used for longest until the rest fits.
    fn tidy(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.path)? {
            let file = file?;
            let name = file.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(TEMPORARY_PREFIX) {
                shared_file::remove_abandoned(&file.path());
            } else if name.ends_with(ENTRY_SUFFIX) {
                // Another process may have removed it.
                let Ok(metadata) = file.metadata() else {
                    continue;
                };
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                entries.push((used, metadata.len(), file.path()));
            }
        }
        entries.sort();
        let mut bytes: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in entries {
            if bytes <= self.max_bytes {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                bytes -= size;
            }
        }
        Ok(())
    }
}

/// Why there is nothing from a folder.
enum Failure {
    Rejected(Rejected),
    Other(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error.to_string())
    }
}

fn failed(stats: &mut FolderStats, message: String) {
    stats.failures += 1;
    stats.last_failure = Some(message);
}
