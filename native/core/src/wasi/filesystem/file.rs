//! Reading and writing regular files.

use std::sync::Arc;

use super::{Filesystem, InodeId, Kind};
use crate::wasi::content::Content;
use crate::wasi::errno::{Errno, Result};

impl Filesystem {
    pub(crate) fn content(&self, id: InodeId) -> Result<&Content> {
        match &self.inode(id)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Directory(_) => Err(Errno::Isdir),
            Kind::Symlink(_) | Kind::Device(_) => Err(Errno::Inval),
        }
    }

    fn content_mut(&mut self, id: InodeId) -> Result<&mut Content> {
        match &mut self.inode_mut(id)?.kind {
            Kind::File(content) => Ok(Arc::make_mut(content)),
            Kind::Directory(_) => Err(Errno::Isdir),
            Kind::Symlink(_) | Kind::Device(_) => Err(Errno::Inval),
        }
    }

    pub(crate) fn symlink_target(&self, id: InodeId) -> Result<&[u8]> {
        match &self.inode(id)?.kind {
            Kind::Symlink(target) => Ok(target),
            _ => Err(Errno::Inval),
        }
    }

    /// How many bytes can be written at `offset` within the quota; an error if there is no room
    /// for even one.
    pub(crate) fn room_at(&self, id: InodeId, offset: u64, wanted: u64) -> Result<u64> {
        self.check_writable(id)?;
        let len = self.content(id)?.len();
        let limit = len + self.quotas.bytes.saturating_sub(self.used_bytes);
        if wanted == 0 {
            return Ok(0);
        }
        if offset > i64::MAX as u64 - wanted {
            return Err(Errno::Fbig);
        }
        match limit.saturating_sub(offset).min(wanted) {
            0 => Err(Errno::Nospc),
            room => Ok(room),
        }
    }

    /// Writes at `offset`, where [`Filesystem::room_at`] has told that there is room.
    pub(crate) fn write_at(&mut self, id: InodeId, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check_writable(id)?;
        let len = self.content(id)?.len();
        let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::Fbig)?;
        if !bytes.is_empty() {
            self.charge(end.saturating_sub(len))?;
            self.content_mut(id)?.write_at(offset, bytes);
        }
        Ok(())
    }

    /// Marks a file as written at `now`.
    pub(crate) fn written(&mut self, id: InodeId, now: u64) -> Result<()> {
        self.touch(id, now)
    }

    /// Marks a file as read at `now`.
    pub(crate) fn read(&mut self, id: InodeId, now: u64) -> Result<()> {
        self.inode_mut(id)?.times.accessed = now;
        Ok(())
    }

    /// Whether a read changes the time of access: as with `relatime` on Linux, only the first
    /// one after a change does, so that readers need not copy what they share.
    pub(crate) fn read_is_marked(&self, id: InodeId) -> Result<bool> {
        let inode = self.inode(id)?;
        let times = &inode.times;
        let first = times.accessed <= times.modified || times.accessed <= times.changed;
        Ok(first && !inode.read_only)
    }

    pub(crate) fn set_size(&mut self, id: InodeId, size: u64, now: u64) -> Result<()> {
        self.check_writable(id)?;
        let len = self.content(id)?.len();
        if size > i64::MAX as u64 {
            return Err(Errno::Fbig);
        }
        self.charge(size.saturating_sub(len))?;
        self.used_bytes = self.used_bytes.saturating_sub(len.saturating_sub(size));
        self.content_mut(id)?.set_len(size);
        self.touch(id, now)
    }

    /// Extends a file so that it holds `len` bytes from `offset`.
    pub(crate) fn allocate(&mut self, id: InodeId, offset: u64, len: u64, now: u64) -> Result<()> {
        self.check_writable(id)?;
        let present = self.content(id)?.len();
        if len == 0 {
            return Err(Errno::Inval);
        }
        let end = offset
            .checked_add(len)
            .filter(|end| *end <= i64::MAX as u64);
        let end = end.ok_or(Errno::Fbig)?;
        if end > present {
            self.set_size(id, end, now)?;
        }
        Ok(())
    }
}
