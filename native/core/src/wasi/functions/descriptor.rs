//! `fd_*` about the descriptor and the file behind it, but not its bytes.

use super::Call;
use crate::wasi::abi::Version;
use crate::wasi::descriptor::Resource;
use crate::wasi::errno::{Errno, Result};
use crate::wasi::memory::Guest;
use crate::wasi::node::Stat;
use crate::wasi::types::{FdFlags, FileType, Rights, TimeFlags, Whence};

/// The only device.
const DEVICE: u64 = 1;

/// The greatest advice (`noreuse`).
const MAX_ADVICE: u32 = 5;

/// Bytes of an `fdstat`.
const FDSTAT: u64 = 24;

impl Call<'_, '_> {
    pub(super) fn fd_advise(&self, fd: u32, offset: u64, len: u64, advice: u32) -> Result<()> {
        self.inode(fd, Rights::FD_ADVISE)?;
        if advice > MAX_ADVICE || offset > i64::MAX as u64 || len > i64::MAX as u64 {
            return Err(Errno::Inval);
        }
        Ok(())
    }

    pub(super) fn fd_allocate(&mut self, fd: u32, offset: u64, len: u64) -> Result<()> {
        let inode = self.inode(fd, Rights::FD_ALLOCATE)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().allocate(inode, offset, len, now)
    }

    /// There is nothing to be synchronized, but the descriptor must be able to.
    pub(super) fn fd_sync(&self, fd: u32, right: Rights) -> Result<()> {
        match self.state.descriptors.get(fd)?.resource {
            Resource::Stdin => Err(Errno::Inval),
            Resource::Output(_) | Resource::Inode(_) => self.file(fd, right).map(drop),
        }
    }

    pub(super) fn fd_fdstat_get(&mut self, fd: u32, pointer: u64) -> Result<()> {
        let file = self.state.descriptors.get(fd)?;
        let mut stat = [0; FDSTAT as usize];
        stat[0] = match file.resource {
            Resource::Inode(inode) => self.state.filesystem.file_type(inode)?,
            Resource::Stdin | Resource::Output(_) => self.state.stream_type(),
        } as u8;
        stat[2..4].copy_from_slice(&file.flags.bits().to_le_bytes());
        stat[8..16].copy_from_slice(&file.base.bits().to_le_bytes());
        stat[16..24].copy_from_slice(&file.inheriting.bits().to_le_bytes());
        self.guest.write(pointer, &stat)
    }

    pub(super) fn fd_fdstat_set_flags(&mut self, fd: u32, flags: u32) -> Result<()> {
        self.file(fd, Rights::FD_FDSTAT_SET_FLAGS)?;
        let flags = FdFlags::from_guest(flags)?;
        self.state.descriptors.get_mut(fd)?.flags = flags;
        Ok(())
    }

    /// Rights can be given up, never gained.
    pub(super) fn fd_fdstat_set_rights(
        &mut self,
        fd: u32,
        base: u64,
        inheriting: u64,
    ) -> Result<()> {
        let file = self.state.descriptors.get_mut(fd)?;
        let rights = |raw| Rights::from_bits(raw).ok_or(Errno::Notcapable);
        let (base, inheriting) = (rights(base)?, rights(inheriting)?);
        if !file.base.contains(base) || !file.inheriting.contains(inheriting) {
            return Err(Errno::Notcapable);
        }
        file.base = base;
        file.inheriting = inheriting;
        Ok(())
    }

    pub(super) fn fd_filestat_get(&mut self, fd: u32, pointer: u64) -> Result<()> {
        let stat = match self.file(fd, Rights::FD_FILESTAT_GET)?.resource {
            Resource::Inode(inode) => self.state.filesystem.stat(inode)?,
            Resource::Stdin | Resource::Output(_) => stream_stat(self.state.stream_type()),
        };
        write_filestat(&mut self.guest, pointer, &stat)
    }

    pub(super) fn fd_filestat_set_size(&mut self, fd: u32, size: u64) -> Result<()> {
        let inode = self.inode(fd, Rights::FD_FILESTAT_SET_SIZE)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().set_size(inode, size, now)
    }

    pub(super) fn fd_filestat_set_times(
        &mut self,
        fd: u32,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Result<()> {
        let flags = TimeFlags::from_guest(flags)?;
        let now = self.state.clocks.timestamp();
        let (accessed, modified) = chosen_times(flags, accessed, modified, now)?;
        let inode = self.inode(fd, Rights::FD_FILESTAT_SET_TIMES)?;
        self.filesystem().set_times(inode, accessed, modified, now)
    }

    pub(super) fn fd_prestat_get(&mut self, fd: u32, pointer: u64) -> Result<()> {
        let size = self.guest.size_bytes();
        let file = self.state.descriptors.get(fd)?;
        let preopen = file.preopen.as_ref().ok_or(Errno::Badf)?;
        // The tag of a directory is zero, and the length is aligned to its own size.
        self.guest.range(pointer, 2 * size)?;
        self.guest.write(pointer, &[0])?;
        self.guest
            .write_size(pointer + size, preopen.name.len() as u64)
    }

    pub(super) fn fd_prestat_dir_name(&mut self, fd: u32, pointer: u64, len: u64) -> Result<()> {
        let file = self.state.descriptors.get(fd)?;
        let preopen = file.preopen.as_ref().ok_or(Errno::Badf)?;
        self.guest.range(pointer, len)?;
        if len < preopen.name.len() as u64 {
            return Err(Errno::Nametoolong);
        }
        self.guest.write(pointer, &preopen.name)
    }

    pub(super) fn fd_seek(&mut self, fd: u32, delta: i64, whence: u32, pointer: u64) -> Result<()> {
        let whence = whence_from_guest(self.guest.abi.version, whence)?;
        let telling = whence == Whence::Current && delta == 0;
        let right = if telling {
            Rights::FD_TELL
        } else {
            Rights::FD_SEEK
        };
        let inode = self.inode(fd, right)?;
        self.guest.range(pointer, 8)?;
        let origin = match whence {
            Whence::Set => 0,
            Whence::Current => self.state.descriptors.get(fd)?.offset,
            Whence::End => self.state.filesystem.content(inode)?.len(),
        };
        let offset = origin.checked_add_signed(delta).ok_or(Errno::Inval)?;
        if offset > i64::MAX as u64 {
            return Err(Errno::Overflow);
        }
        self.state.descriptors.get_mut(fd)?.offset = offset;
        self.guest.write(pointer, &offset.to_le_bytes())
    }

    pub(super) fn fd_tell(&mut self, fd: u32, pointer: u64) -> Result<()> {
        self.inode(fd, Rights::FD_TELL)?;
        let offset = self.state.descriptors.get(fd)?.offset;
        self.guest.write(pointer, &offset.to_le_bytes())
    }
}

fn whence_from_guest(version: Version, raw: u32) -> Result<Whence> {
    match (version, raw) {
        (Version::Preview1, 0) | (Version::Unstable, 2) => Ok(Whence::Set),
        (Version::Preview1, 1) | (Version::Unstable, 0) => Ok(Whence::Current),
        (Version::Preview1, 2) | (Version::Unstable, 1) => Ok(Whence::End),
        _ => Err(Errno::Inval),
    }
}

/// The times of access and of modification that the flags ask for.
pub(super) fn chosen_times(
    flags: TimeFlags,
    accessed: u64,
    modified: u64,
    now: u64,
) -> Result<(Option<u64>, Option<u64>)> {
    let choose = |given: TimeFlags, current: TimeFlags, time: u64| match (
        flags.contains(given),
        flags.contains(current),
    ) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(Some(time)),
        (false, true) => Ok(Some(now)),
        (false, false) => Ok(None),
    };
    Ok((
        choose(TimeFlags::ACCESSED, TimeFlags::ACCESSED_NOW, accessed)?,
        choose(TimeFlags::MODIFIED, TimeFlags::MODIFIED_NOW, modified)?,
    ))
}

fn stream_stat(file_type: FileType) -> Stat {
    Stat {
        file_type,
        inode: 0,
        links: 1,
        size: 0,
        accessed: 0,
        modified: 0,
        changed: 0,
    }
}

/// Writes a `filestat` in the layout of the guest's version.
pub(super) fn write_filestat(guest: &mut Guest<'_>, pointer: u64, stat: &Stat) -> Result<()> {
    let device = if stat.inode == 0 { 0 } else { DEVICE };
    let mut bytes = [0; 64];
    bytes[0..8].copy_from_slice(&device.to_le_bytes());
    bytes[8..16].copy_from_slice(&stat.inode.to_le_bytes());
    bytes[16] = stat.file_type as u8;
    let times = [stat.size, stat.accessed, stat.modified, stat.changed];
    let start = match guest.abi.version {
        Version::Preview1 => {
            bytes[24..32].copy_from_slice(&stat.links.to_le_bytes());
            32
        }
        Version::Unstable => {
            let links = u32::try_from(stat.links).unwrap_or(u32::MAX);
            bytes[20..24].copy_from_slice(&links.to_le_bytes());
            24
        }
    };
    for (field, value) in bytes[start..].chunks_exact_mut(8).zip(times) {
        field.copy_from_slice(&value.to_le_bytes());
    }
    guest.write(pointer, &bytes[..start + 32])
}
