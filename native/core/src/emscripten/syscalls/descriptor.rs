//! System calls that take a descriptor.

use super::path::{fd_flags, status_flags};
use super::{Call, descriptor_number};
use crate::wasi::Errno;
use crate::wasi::descriptor::Resource;
use crate::wasi::errno::Result;
use crate::wasi::types::{FileType, Rights};

const F_DUPFD: i32 = 0;
const F_GETFD: i32 = 1;
const F_SETFD: i32 = 2;
const F_GETFL: i32 = 3;
const F_SETFL: i32 = 4;
const F_GETLK: i32 = 5;
const F_SETLK: i32 = 6;
const F_SETLKW: i32 = 7;
const F_DUPFD_CLOEXEC: i32 = 1030;

/// The type of a lock that nobody holds.
const F_UNLCK: u16 = 2;

const TCGETA: i32 = 0x5405;
const TCGETS: i32 = 0x5401;
const TCSETS: i32 = 0x5402;
const TCSETSF: i32 = 0x5404;
const TCFLSH: i32 = 0x540b;
const TIOCGPGRP: i32 = 0x540f;
const TIOCGWINSZ: i32 = 0x5413;
const TIOCSWINSZ: i32 = 0x5414;
const FIONREAD: i32 = 0x541b;

/// Bytes of a `termios`.
const TERMIOS: usize = 60;

/// Rows and columns of a terminal.
const WINDOW: [u16; 4] = [24, 80, 0, 0];

impl Call<'_, '_> {
    /// A file that can be written, to change its size.
    fn writable_inode(&self, fd: i32) -> Result<u32> {
        let file = self.file(fd)?;
        match file.resource {
            Resource::Inode(inode) if file.base.contains(Rights::FD_WRITE) => Ok(inode),
            Resource::Inode(inode) => match self.state.filesystem.file_type(inode)? {
                FileType::Directory => Err(Errno::Isdir),
                _ => Err(Errno::Inval),
            },
            Resource::Stdin | Resource::Output(_) => Err(Errno::Inval),
        }
    }

    pub(super) fn ftruncate64(&mut self, fd: i32, len: i64) -> Result<()> {
        let inode = self.writable_inode(fd)?;
        let len = u64::try_from(len).map_err(|_| Errno::Inval)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().set_size(inode, len, now)
    }

    pub(super) fn allocate(&mut self, fd: i32, offset: i64, len: i64) -> Result<()> {
        let inode = self.writable_inode(fd)?;
        let unsigned = |value: i64| u64::try_from(value).map_err(|_| Errno::Inval);
        let (offset, len) = (unsigned(offset)?, unsigned(len)?);
        let now = self.state.clocks.timestamp();
        self.filesystem().allocate(inode, offset, len, now)
    }

    pub(super) fn dup(&mut self, fd: i32) -> Result<i32> {
        self.duplicate(fd, 0)
    }

    fn duplicate(&mut self, fd: i32, lowest: i32) -> Result<i32> {
        let lowest = u32::try_from(lowest).map_err(|_| Errno::Inval)?;
        let duplicate = self
            .state
            .descriptors
            .duplicate(descriptor_number(fd)?, lowest)?;
        i32::try_from(duplicate).map_err(|_| Errno::Mfile)
    }

    pub(super) fn dup3(&mut self, fd: i32, to: i32) -> Result<i32> {
        if fd == to {
            return Err(Errno::Inval);
        }
        let (from, number) = (descriptor_number(fd)?, descriptor_number(to)?);
        let closed = self.state.descriptors.duplicate_to(from, number)?;
        self.state.closed(closed);
        Ok(to)
    }

    pub(super) fn fcntl64(&mut self, fd: i32, command: i32, varargs: u64) -> Result<i32> {
        let file = self.file(fd)?;
        match command {
            F_DUPFD | F_DUPFD_CLOEXEC => {
                let lowest = self.guest.read_u32(varargs)? as i32;
                self.duplicate(fd, lowest)
            }
            F_GETFD | F_SETFD | F_SETLK | F_SETLKW => Ok(0),
            F_GETFL => Ok(status_flags(file)),
            F_SETFL => {
                let flags = fd_flags(self.guest.read_u32(varargs)? as i32);
                self.state
                    .descriptors
                    .get_mut(descriptor_number(fd)?)?
                    .flags = flags;
                Ok(0)
            }
            F_GETLK => {
                let lock = self.guest.read_size(varargs)?;
                self.guest.write(lock, &F_UNLCK.to_le_bytes())?;
                Ok(0)
            }
            _ => Err(Errno::Inval),
        }
    }

    pub(super) fn ioctl(&mut self, fd: i32, operation: i32, varargs: u64) -> Result<i32> {
        let resource = self.file(fd)?.resource;
        if operation == FIONREAD {
            let available = self.readable_bytes(fd)?;
            let pointer = self.guest.read_size(varargs)?;
            self.guest.write(pointer, &available.to_le_bytes())?;
            return Ok(0);
        }
        let stream = matches!(resource, Resource::Stdin | Resource::Output(_));
        if !stream || !self.state.terminal {
            return Err(Errno::Notty);
        }
        match operation {
            TCGETS => {
                let pointer = self.guest.read_size(varargs)?;
                self.guest.write(pointer, &[0; TERMIOS])?;
                Ok(0)
            }
            TIOCGWINSZ => {
                let pointer = self.guest.read_size(varargs)?;
                let window: Vec<u8> = WINDOW.into_iter().flat_map(u16::to_le_bytes).collect();
                self.guest.write(pointer, &window)?;
                Ok(0)
            }
            TIOCGPGRP => {
                let pointer = self.guest.read_size(varargs)?;
                self.guest.write(pointer, &[0; 4])?;
                Ok(0)
            }
            TCGETA..=TCFLSH | TCSETS..=TCSETSF | TIOCSWINSZ => Ok(0),
            _ => Err(Errno::Inval),
        }
    }

    fn readable_bytes(&self, fd: i32) -> Result<u32> {
        let file = self.file(fd)?;
        let available = match file.resource {
            Resource::Stdin => self.state.stdin.available().len() as u64,
            Resource::Output(_) => return Err(Errno::Notty),
            Resource::Inode(inode) => {
                let content = self
                    .state
                    .filesystem
                    .content(inode)
                    .map_err(|_| Errno::Notty)?;
                content.len().saturating_sub(file.offset)
            }
        };
        Ok(u32::try_from(available)
            .unwrap_or(i32::MAX as u32)
            .min(i32::MAX as u32))
    }
}
