//! The virtual filesystem: inodes in a table, directories that name them.
//!
//! Blocks of the table are shared by clones until one of them writes; so are blocks of directories
//! and chunks of files. Inode numbers are taken from the lowest free place, so that equal histories give
//! equal filesystems.
//!
//! Everything is in memory. A folder of the real machine is read into it when the guest starts: see
//! [`mounts`](crate::mounts).

mod blocks;
mod directory;
mod entries;
mod file;
mod resolve;
mod restore;
mod tree;

use std::sync::Arc;

use blocks::{BlockMap, BlockVec};
pub(crate) use directory::{Directory, PARENT_COOKIE, SELF_COOKIE};
pub(crate) use resolve::{Follow, Scope, Target, check_path};
pub(crate) use tree::check_name;

use super::config::Quotas;
use super::content::Content;
use super::errno::{Errno, Result};
use super::node::Stat;
use super::types::{Device, FileType};

/// The place of an inode in the table.
pub(crate) type InodeId = u32;

/// The root directory, which always exists.
pub(crate) const ROOT: InodeId = 0;

/// The longest path, as `PATH_MAX` on Linux without its terminator.
pub(crate) const MAX_PATH: usize = 4095;

/// The longest name, as `NAME_MAX` on Linux.
pub(crate) const MAX_NAME: usize = 255;

/// How deep directories nest: recursion over a tree, here and in the embedder, stays bounded.
pub(crate) const MAX_DEPTH: usize = 256;

/// When a file was used, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
}

impl Times {
    fn all(now: u64) -> Self {
        Times {
            accessed: now,
            modified: now,
            changed: now,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Directory(Arc<Directory>),
    File(Arc<Content>),
    Symlink(Arc<[u8]>),
    /// Whoever opens it has the standard stream.
    Device(Device),
}

impl Kind {
    /// The bytes that count against the quota.
    fn charged_bytes(&self) -> u64 {
        match self {
            Kind::Directory(_) | Kind::Device(_) => 0,
            Kind::File(content) => content.len(),
            Kind::Symlink(target) => target.len() as u64,
        }
    }

    fn file_type(&self) -> FileType {
        match self {
            Kind::Directory(_) => FileType::Directory,
            Kind::File(_) => FileType::RegularFile,
            Kind::Symlink(_) => FileType::SymbolicLink,
            Kind::Device(_) => FileType::CharacterDevice,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Inode {
    pub(crate) kind: Kind,
    /// Directory entries that lead here; the root counts as having one.
    pub(crate) links: u32,
    /// Open descriptors and working directories that keep it though nothing leads here.
    pub(crate) opens: u32,
    pub(crate) times: Times,
    /// It stays as it is.
    pub(crate) read_only: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Filesystem {
    inodes: BlockVec<Option<Inode>>,
    free: BlockMap<InodeId, ()>,
    pub(crate) quotas: Quotas,
    used_bytes: u64,
    used_entries: u64,
}

impl Filesystem {
    pub(crate) fn new(quotas: Quotas, now: u64) -> Self {
        let root = Inode {
            kind: Kind::Directory(Arc::new(Directory::new(ROOT))),
            links: 1,
            opens: 0,
            times: Times::all(now),
            read_only: false,
        };
        Filesystem {
            inodes: BlockVec::new(vec![Some(root)]),
            free: BlockMap::default(),
            quotas,
            used_bytes: 0,
            used_entries: 0,
        }
    }

    /// The inode at `id`. Ids come from this filesystem, so a missing one would be a fault of
    /// its own; it is an error all the same, never a panic.
    pub(crate) fn inode(&self, id: InodeId) -> Result<&Inode> {
        self.inodes
            .get(id as usize)
            .and_then(Option::as_ref)
            .ok_or(Errno::Io)
    }

    fn inode_mut(&mut self, id: InodeId) -> Result<&mut Inode> {
        self.inodes
            .get_mut(id as usize)
            .and_then(Option::as_mut)
            .ok_or(Errno::Io)
    }

    /// Refuses to change what is read-only.
    pub(crate) fn check_writable(&self, id: InodeId) -> Result<()> {
        if self.inode(id)?.read_only {
            return Err(Errno::Rofs);
        }
        Ok(())
    }

    /// Has an inode, and everything beneath it, stay as it is.
    pub(crate) fn set_read_only(&mut self, id: InodeId) -> Result<()> {
        let inode = self.inode_mut(id)?;
        inode.read_only = true;
        if let Kind::Directory(directory) = &inode.kind {
            let directory = Arc::clone(directory);
            for (_, child) in directory.entries() {
                self.set_read_only(child)?;
            }
        }
        Ok(())
    }

    pub(crate) fn directory(&self, id: InodeId) -> Result<&Directory> {
        match &self.inode(id)?.kind {
            Kind::Directory(directory) => Ok(directory),
            _ => Err(Errno::Notdir),
        }
    }

    fn directory_mut(&mut self, id: InodeId) -> Result<&mut Directory> {
        match &mut self.inode_mut(id)?.kind {
            Kind::Directory(directory) => Ok(Arc::make_mut(directory)),
            _ => Err(Errno::Notdir),
        }
    }

    pub(crate) fn file_type(&self, id: InodeId) -> Result<FileType> {
        Ok(self.inode(id)?.kind.file_type())
    }

    pub(crate) fn stat(&self, id: InodeId) -> Result<Stat> {
        let inode = self.inode(id)?;
        Ok(Stat {
            file_type: inode.kind.file_type(),
            inode: inode_number(id),
            links: u64::from(inode.links),
            size: inode.kind.charged_bytes(),
            accessed: inode.times.accessed,
            modified: inode.times.modified,
            changed: inode.times.changed,
        })
    }

    pub(crate) fn set_times(
        &mut self,
        id: InodeId,
        accessed: Option<u64>,
        modified: Option<u64>,
        now: u64,
    ) -> Result<()> {
        self.check_writable(id)?;
        let times = &mut self.inode_mut(id)?.times;
        times.accessed = accessed.unwrap_or(times.accessed);
        times.modified = modified.unwrap_or(times.modified);
        times.changed = now;
        Ok(())
    }

    /// Inodes in the order of their ids.
    pub(crate) fn inodes(&self) -> impl Iterator<Item = (InodeId, &Inode)> {
        (0..)
            .zip(self.inodes.iter())
            .filter_map(|(id, inode)| Some((id, inode.as_ref()?)))
    }

    /// The bytes of all files and link targets.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// The entries of all directories.
    pub(crate) fn used_entries(&self) -> u64 {
        self.used_entries
    }

    /// How many inodes there are.
    pub(crate) fn used_files(&self) -> u64 {
        (self.inodes.len() - self.free.len()) as u64
    }

    /// Keeps an inode for as long as it is open.
    pub(crate) fn retain(&mut self, id: InodeId) -> Result<()> {
        let inode = self.inode_mut(id)?;
        inode.opens = inode.opens.checked_add(1).ok_or(Errno::Mfile)?;
        Ok(())
    }

    /// Takes back one [`Filesystem::retain`].
    pub(crate) fn release(&mut self, id: InodeId) {
        if let Ok(inode) = self.inode_mut(id) {
            inode.opens = inode.opens.saturating_sub(1);
            self.collect(id);
        }
    }

    /// Frees an inode that nothing leads to and nobody has open.
    fn collect(&mut self, id: InodeId) {
        let unused = self
            .inode(id)
            .is_ok_and(|inode| inode.links == 0 && inode.opens == 0);
        if !unused {
            return;
        }
        if let Some(inode) = self.inodes.get_mut(id as usize).and_then(Option::take) {
            self.used_bytes = self.used_bytes.saturating_sub(inode.kind.charged_bytes());
            self.free.insert(id, ());
        }
    }

    fn insert(&mut self, inode: Inode) -> Result<InodeId> {
        if self.used_files() >= self.quotas.files {
            return Err(Errno::Nospc);
        }
        self.charge(inode.kind.charged_bytes())?;
        let vacant = self.free.first().copied();
        if let Some(id) = vacant {
            self.free.remove(&id);
        }
        match vacant.and_then(|id| Some((id, self.inodes.get_mut(id as usize)?))) {
            Some((id, slot)) => {
                *slot = Some(inode);
                Ok(id)
            }
            None => {
                let id = InodeId::try_from(self.inodes.len()).map_err(|_| Errno::Nospc)?;
                self.inodes.push(Some(inode));
                Ok(id)
            }
        }
    }

    /// Counts `bytes` against the quota.
    fn charge(&mut self, bytes: u64) -> Result<()> {
        let used = self.used_bytes.checked_add(bytes).ok_or(Errno::Nospc)?;
        if used > self.quotas.bytes {
            return Err(Errno::Nospc);
        }
        self.used_bytes = used;
        Ok(())
    }
}

/// The number that the guest sees for an inode; never zero, which some take for «no file».
pub(crate) fn inode_number(id: InodeId) -> u64 {
    u64::from(id) + 1
}
