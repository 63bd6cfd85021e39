//! The secret that seals are made with.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::flags;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::module::ModuleId;
use crate::shared_file;

/// What a key has to have at least.
pub const MIN_KEY_BYTES: usize = 32;
/// A file that is longer is no key.
const MAX_KEY_BYTES: u64 = 4096;

/// What a seal is for: one made for one purpose does not serve another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An image that users hand around.
    Image,
    /// An entry of a cache folder.
    Cache,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Image => b"wasmbeam image",
            Self::Cache => b"wasmbeam cache",
        }
    }
}

/// Where a key is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum KeySource {
    /// Nowhere.
    Absent,
    Bytes(Arc<[u8]>),
    /// A file, which is made with a random key if there is none.
    File(PathBuf),
}

/// Does not show the key.
impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Bytes(_) => f.write_str("Bytes(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

pub struct Key(Vec<u8>);

impl KeySource {
    /// The key.
    ///
    /// # Errors
    /// `NotPermitted` if it is too short, or if others can read or change the file.
    pub fn key(&self) -> Result<Key> {
        match self {
            Self::Absent => Err(refused("there is no key for compiled code")),
            Self::Bytes(bytes) => Key::new(bytes.to_vec()),
            Self::File(path) => read(path),
        }
    }
}

impl Key {
    fn new(bytes: Vec<u8>) -> Result<Self> {
        if bytes.len() < MIN_KEY_BYTES {
            return Err(refused(format!(
                "the key for compiled code has fewer than {MIN_KEY_BYTES} bytes"
            )));
        }
        Ok(Self(bytes))
    }

    pub(super) fn seal(&self, purpose: Purpose, bytes: &[u8]) -> Result<[u8; 32]> {
        Ok(self.mac(purpose, bytes)?.finalize().into_bytes().into())
    }

    /// In a time that does not depend on how wrong the seal is.
    pub(super) fn verify(&self, purpose: Purpose, bytes: &[u8], seal: &[u8]) -> bool {
        self.mac(purpose, bytes)
            .is_ok_and(|mac| mac.verify_slice(seal).is_ok())
    }

    /// Tells entries of a cache apart, those that were made with other keys included.
    pub(crate) fn name(&self, engine: &Engine, id: ModuleId) -> Result<[u8; 32]> {
        let config = flags(engine.config()).to_le_bytes();
        let mac = hmac(&self.0)?
            .chain_update(b"wasmbeam name")
            .chain_update(engine.identity().to_le_bytes())
            .chain_update(config)
            .chain_update(id.0);
        Ok(mac.finalize().into_bytes().into())
    }

    fn mac(&self, purpose: Purpose, bytes: &[u8]) -> Result<Hmac<Sha256>> {
        let derived = hmac(&self.0)?.chain_update(purpose.label()).finalize();
        Ok(hmac(&derived.into_bytes())?.chain_update(bytes))
    }
}

fn hmac(key: &[u8]) -> Result<Hmac<Sha256>> {
    Hmac::new_from_slice(key).map_err(Error::internal)
}

fn read(path: &Path) -> Result<Key> {
    let failed = |error: std::io::Error| {
        refused(format!(
            "the key file {} cannot be used: {error}",
            path.display()
        ))
    };
    let file = match open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create(path).map_err(failed)?;
            open(path).map_err(failed)?
        }
        opened => opened.map_err(failed)?,
    };
    check(&file).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_KEY_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_KEY_BYTES {
        return Err(failed(ErrorKind::FileTooLarge.into()));
    }
    Key::new(bytes)
}

/// Without waiting for the other end of what is no file.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    options.open(path)
}

/// A key is worth nothing if others can read it, or put their own in its place.
fn check(file: &File) -> std::io::Result<()> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        if metadata.uid() != rustix::process::geteuid().as_raw() && metadata.uid() != 0 {
            return Err(std::io::Error::other("it belongs to another user"));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(std::io::Error::other(
                "others have access to it (its mode should be 0600)",
            ));
        }
    }
    Ok(())
}

/// Makes a key of which everybody who asks at the same time gets the same one: the file appears
/// whole, and only if there is none.
fn create(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    shared_file::create_folder(folder)?;
    tidy(folder, path);
    let mut key = [0; MIN_KEY_BYTES];
    fill(&mut key)?;
    let temporary = temporary(path)?;
    let written = shared_file::write(&temporary, &key).and_then(|file| {
        file.sync_all()?;
        std::fs::hard_link(&temporary, path)
    });
    let _ = std::fs::remove_file(&temporary);
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        written => written,
    }
}

/// Removes what writers have left that died before there was a key.
fn tidy(folder: &Path, key: &Path) {
    let Some(name) = key.file_name() else { return };
    // What cannot be looked at cannot be tidied.
    for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let found = file.file_name();
        let number = found
            .as_encoded_bytes()
            .strip_prefix(name.as_encoded_bytes())
            .and_then(|rest| rest.strip_prefix(b"."));
        if number.is_some_and(|it| it.len() == 16 && it.iter().all(u8::is_ascii_hexdigit)) {
            shared_file::remove_abandoned(&file.path());
        }
    }
}

fn temporary(path: &Path) -> std::io::Result<PathBuf> {
    let mut number = [0; 8];
    fill(&mut number)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:016x}", u64::from_le_bytes(number)));
    Ok(name.into())
}

fn fill(bytes: &mut [u8]) -> std::io::Result<()> {
    getrandom::fill(bytes).map_err(|error| std::io::Error::other(error.to_string()))
}

fn refused(message: impl Into<String>) -> Error {
    Error::NotPermitted {
        message: message.into(),
    }
}
