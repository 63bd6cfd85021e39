//! The table of descriptors.
//!
//! A descriptor leads to an open file; several (made by `dup`) may lead to the same one and then
//! share its offset and flags.

use std::sync::Arc;

use super::errno::{Errno, Result};
use super::filesystem::InodeId;
use super::types::{FdFlags, OutputStream, Rights};

/// What a descriptor leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Stdin,
    Output(OutputStream),
    Inode(InodeId),
}

/// A directory that was open from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PreopenName {
    pub(crate) name: Vec<u8>,
    pub(crate) path: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OpenFile {
    pub(crate) resource: Resource,
    pub(crate) flags: FdFlags,
    pub(crate) base: Rights,
    pub(crate) inheriting: Rights,
    pub(crate) offset: u64,
    pub(crate) preopen: Option<Arc<PreopenName>>,
}

impl OpenFile {
    pub(crate) fn new(resource: Resource, base: Rights, inheriting: Rights) -> Self {
        OpenFile {
            resource,
            flags: FdFlags::empty(),
            base,
            inheriting,
            offset: 0,
            preopen: None,
        }
    }
}

#[derive(Clone, Debug)]
struct Shared {
    file: OpenFile,
    references: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Descriptors {
    /// The place of the open file of each descriptor.
    slots: Vec<Option<u32>>,
    files: Vec<Option<Shared>>,
    limit: u32,
}

/// The lowest vacant place, which may be one beyond the last.
fn vacant<T>(slots: &[Option<T>], from: usize) -> usize {
    let vacant = slots.iter().skip(from).position(Option::is_none);
    vacant.map_or(slots.len().max(from), |index| from + index)
}

fn put<T>(slots: &mut Vec<Option<T>>, index: usize, value: T) {
    if slots.len() <= index {
        slots.resize_with(index + 1, || None);
    }
    if let Some(slot) = slots.get_mut(index) {
        *slot = Some(value);
    }
}

impl Descriptors {
    pub(crate) fn new(limit: u32) -> Self {
        Descriptors {
            slots: Vec::new(),
            files: Vec::new(),
            limit,
        }
    }

    fn index(&self, fd: u32) -> Result<usize> {
        let slot = self.slots.get(fd as usize).copied().flatten();
        slot.map(|index| index as usize).ok_or(Errno::Badf)
    }

    pub(crate) fn get(&self, fd: u32) -> Result<&OpenFile> {
        let shared = self.files.get(self.index(fd)?).and_then(Option::as_ref);
        shared.map(|shared| &shared.file).ok_or(Errno::Badf)
    }

    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut OpenFile> {
        let index = self.index(fd)?;
        let shared = self.files.get_mut(index).and_then(Option::as_mut);
        shared.map(|shared| &mut shared.file).ok_or(Errno::Badf)
    }

    fn vacant_fd(&self, from: u32) -> Result<usize> {
        let fd = vacant(&self.slots, from as usize);
        if fd >= self.limit as usize {
            return Err(Errno::Mfile);
        }
        Ok(fd)
    }

    /// Checks that one more descriptor can be had, before anything is done for it.
    pub(crate) fn check_vacant(&self) -> Result<()> {
        self.vacant_fd(0).map(drop)
    }

    /// Opens at the lowest vacant descriptor.
    pub(crate) fn open(&mut self, file: OpenFile) -> Result<u32> {
        let fd = self.vacant_fd(0)?;
        let index = vacant(&self.files, 0);
        put(
            &mut self.files,
            index,
            Shared {
                file,
                references: 1,
            },
        );
        put(&mut self.slots, fd, index as u32);
        Ok(fd as u32)
    }

    /// Closes a descriptor; the open file comes back if this was the last one of it.
    pub(crate) fn close(&mut self, fd: u32) -> Result<Option<OpenFile>> {
        let index = self.index(fd)?;
        if let Some(slot) = self.slots.get_mut(fd as usize) {
            *slot = None;
        }
        while matches!(self.slots.last(), Some(None)) {
            self.slots.pop();
        }
        let shared = self.files.get_mut(index).ok_or(Errno::Badf)?;
        match shared {
            Some(Shared { references, .. }) if *references > 1 => {
                *references -= 1;
                Ok(None)
            }
            _ => Ok(shared.take().map(|shared| shared.file)),
        }
    }

    /// Makes `to` what `from` is, and closes `from`; what `to` was comes back as by `close`.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<Option<OpenFile>> {
        let index = self.index(from)?;
        self.index(to)?;
        if from == to {
            return Ok(None);
        }
        let closed = self.close(to)?;
        put(&mut self.slots, to as usize, index as u32);
        if let Some(slot) = self.slots.get_mut(from as usize) {
            *slot = None;
        }
        while matches!(self.slots.last(), Some(None)) {
            self.slots.pop();
        }
        Ok(closed)
    }

    /// A second descriptor, not below `lowest`, for the same open file.
    pub(crate) fn duplicate(&mut self, fd: u32, lowest: u32) -> Result<u32> {
        let index = self.index(fd)?;
        if lowest >= self.limit {
            return Err(Errno::Inval);
        }
        let duplicate = self.vacant_fd(lowest)?;
        self.share(index, duplicate)?;
        Ok(duplicate as u32)
    }

    /// Makes `to` a second descriptor of what `fd` is; what `to` was comes back as by `close`.
    pub(crate) fn duplicate_to(&mut self, fd: u32, to: u32) -> Result<Option<OpenFile>> {
        let index = self.index(fd)?;
        if to >= self.limit {
            return Err(Errno::Badf);
        }
        let closed = if self.index(to).is_ok() {
            self.close(to)?
        } else {
            None
        };
        self.share(index, to as usize)?;
        Ok(closed)
    }

    fn share(&mut self, index: usize, fd: usize) -> Result<()> {
        let shared = self
            .files
            .get_mut(index)
            .and_then(Option::as_mut)
            .ok_or(Errno::Badf)?;
        shared.references += 1;
        put(&mut self.slots, fd, index as u32);
        Ok(())
    }

    /// The open file of each descriptor, by a number that is equal for those that share it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32, &OpenFile)> {
        (0..).zip(&self.slots).filter_map(|(fd, slot)| {
            let index = (*slot)?;
            let shared = self.files.get(index as usize)?.as_ref()?;
            Some((fd, index, &shared.file))
        })
    }

    /// Opens at a vacant descriptor that is known.
    pub(crate) fn open_at(&mut self, fd: u32, file: OpenFile) -> Result<()> {
        if fd >= self.limit || self.index(fd).is_ok() {
            return Err(Errno::Badf);
        }
        let index = vacant(&self.files, 0);
        put(
            &mut self.files,
            index,
            Shared {
                file,
                references: 1,
            },
        );
        put(&mut self.slots, fd as usize, index as u32);
        Ok(())
    }
}
