//! System calls that take paths.

use super::{Call, Outcome, descriptor_number};
use crate::wasi::Errno;
use crate::wasi::descriptor::{OpenFile, Resource};
use crate::wasi::errno::Result;
use crate::wasi::filesystem::{Follow, InodeId, MAX_DEPTH, MAX_PATH, ROOT, Scope, Target};
use crate::wasi::types::{FdFlags, FileType, OpenFlags, Rights};

/// Stands for the working directory where a directory is asked for (`AT_FDCWD`).
pub(super) const WORKING_DIRECTORY: i32 = -100;

pub(super) const AT_SYMLINK_NOFOLLOW: i32 = 0x100;
const AT_REMOVEDIR: i32 = 0x200;
const AT_EACCESS: i32 = 0x200;
const AT_SYMLINK_FOLLOW: i32 = 0x400;
const AT_NO_AUTOMOUNT: i32 = 0x800;
const AT_EMPTY_PATH: i32 = 0x1000;

const O_WRONLY: i32 = 0o1;
const O_RDWR: i32 = 0o2;
const O_ACCMODE: i32 = 0o3;
const O_CREAT: i32 = 0o100;
const O_EXCL: i32 = 0o200;
const O_TRUNC: i32 = 0o1000;
const O_APPEND: i32 = 0o2000;
const O_NONBLOCK: i32 = 0o4000;
const O_DIRECTORY: i32 = 0o200_000;
const O_NOFOLLOW: i32 = 0o400_000;

const S_IFMT: i32 = 0o170_000;
const S_IFREG: i32 = 0o100_000;

/// The nanoseconds that stand for «now» and for «leave it».
const UTIME_NOW: u32 = 0x3fff_ffff;
const UTIME_OMIT: u32 = 0x3fff_fffe;

/// All of `access`' modes: read, write, execute.
const ACCESS_MODES: i32 = 7;

/// The flags by which a descriptor was opened, as far as `F_GETFL` tells them.
pub(super) fn status_flags(file: &OpenFile) -> i32 {
    let (read, write) = (
        file.base.contains(Rights::FD_READ),
        file.base.contains(Rights::FD_WRITE),
    );
    let mut flags = match (read, write) {
        (true, true) => O_RDWR,
        (false, true) => O_WRONLY,
        (_, false) => 0,
    };
    if file.flags.contains(FdFlags::APPEND) {
        flags |= O_APPEND;
    }
    if file.flags.contains(FdFlags::NONBLOCK) {
        flags |= O_NONBLOCK;
    }
    flags
}

/// The mode that flags ask for.
pub(super) fn fd_flags(flags: i32) -> FdFlags {
    let mut mode = FdFlags::empty();
    mode.set(FdFlags::APPEND, flags & O_APPEND != 0);
    mode.set(FdFlags::NONBLOCK, flags & O_NONBLOCK != 0);
    mode
}

/// What opening by these flags lets a descriptor do with a file, and with a directory: of that
/// one, `rewinddir` and `seekdir` set the offset.
fn rights(flags: i32, directory: bool) -> Rights {
    if directory {
        return Rights::DIRECTORY | Rights::FD_SEEK | Rights::FD_TELL;
    }
    let writing = Rights::FD_WRITE | Rights::FD_ALLOCATE | Rights::FD_FILESTAT_SET_SIZE;
    match flags & O_ACCMODE {
        O_WRONLY => Rights::FILE.difference(Rights::FD_READ),
        O_RDWR => Rights::FILE,
        _ => Rights::FILE.difference(writing),
    }
}

impl Call<'_, '_> {
    /// The bytes of a C string, as far as a path can be long.
    fn string(&self, pointer: u64) -> Result<&[u8]> {
        let longest = MAX_PATH as u64 + 1;
        let end = self.guest.len();
        let available = end
            .checked_sub(pointer)
            .filter(|len| *len > 0)
            .ok_or(Errno::Fault)?;
        let bytes = self
            .guest
            .slice(self.guest.range(pointer, available.min(longest))?);
        match bytes.iter().position(|byte| *byte == 0) {
            Some(len) => Ok(bytes.get(..len).unwrap_or_default()),
            None if available < longest => Err(Errno::Fault),
            None => Err(Errno::Nametoolong),
        }
    }

    fn resolve(&self, dirfd: i32, pointer: u64, follow: Follow) -> Result<Target> {
        let path = self.string(pointer)?;
        let absolute = path.first() == Some(&b'/');
        let start = match dirfd {
            _ if absolute => ROOT,
            WORKING_DIRECTORY => self.state.working_directory,
            fd => match self.file(fd)?.resource {
                Resource::Inode(inode) => inode,
                Resource::Stdin | Resource::Output(_) => return Err(Errno::Notdir),
            },
        };
        self.state
            .filesystem
            .resolve(start, path, Scope::Root, follow)
    }

    /// The file that a path leads to, or the one behind a descriptor if there is no path.
    pub(super) fn lookup(&self, dirfd: i32, pointer: u64, flags: i32) -> Result<Resource> {
        let known = AT_SYMLINK_NOFOLLOW | AT_EACCESS | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
        if flags & !known != 0 {
            return Err(Errno::Inval);
        }
        let empty =
            flags & AT_EMPTY_PATH != 0 && (pointer == 0 || self.string(pointer)?.is_empty());
        if empty && dirfd == WORKING_DIRECTORY {
            return Ok(Resource::Inode(self.state.working_directory));
        }
        if empty {
            return Ok(self.file(dirfd)?.resource);
        }
        let follow = match flags & AT_SYMLINK_NOFOLLOW {
            0 => Follow::Always,
            _ => Follow::TrailingSlash,
        };
        Ok(Resource::Inode(
            self.resolve(dirfd, pointer, follow)?.existing()?,
        ))
    }

    pub(super) fn exists(&self, dirfd: i32, pointer: u64, flags: i32) -> Result<()> {
        self.lookup(dirfd, pointer, flags).map(drop)
    }

    pub(super) fn faccessat(&self, dirfd: i32, pointer: u64, modes: i32, flags: i32) -> Result<()> {
        if modes & !ACCESS_MODES != 0 {
            return Err(Errno::Inval);
        }
        self.exists(dirfd, pointer, flags)
    }

    pub(super) fn openat(&mut self, dirfd: i32, pointer: u64, flags: i32) -> Result<i32> {
        let has = |flag: i32| flags & flag != 0;
        if flags & O_ACCMODE == O_ACCMODE {
            return Err(Errno::Inval);
        }
        let mut open = OpenFlags::empty();
        open.set(OpenFlags::CREATE, has(O_CREAT));
        open.set(OpenFlags::EXCLUSIVE, has(O_EXCL));
        open.set(OpenFlags::TRUNCATE, has(O_TRUNC));
        open.set(OpenFlags::DIRECTORY, has(O_DIRECTORY));
        let nofollow = has(O_NOFOLLOW) || has(O_CREAT) && has(O_EXCL);
        let follow = if nofollow {
            Follow::TrailingSlash
        } else {
            Follow::Always
        };
        let target = self.resolve(dirfd, pointer, follow)?;
        let inode = self
            .state
            .open_inode(&target, open, flags & O_ACCMODE != 0)?;
        let directory = self.state.filesystem.file_type(inode)? == FileType::Directory;
        let rights = rights(flags, directory);
        let resource = self.state.resource(inode)?;
        let file = OpenFile::new(resource, rights, Rights::FILE | Rights::DIRECTORY);
        let fd = self.state.open(OpenFile {
            flags: fd_flags(flags),
            ..file
        })?;
        i32::try_from(fd).map_err(|_| Errno::Mfile)
    }

    pub(super) fn mkdirat(&mut self, dirfd: i32, pointer: u64) -> Result<()> {
        let target = self.resolve(dirfd, pointer, Follow::Entry)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().create_directory(&target, now).map(drop)
    }

    pub(super) fn mknodat(&mut self, dirfd: i32, pointer: u64, mode: i32) -> Result<()> {
        let target = self.resolve(dirfd, pointer, Follow::Entry)?;
        if !matches!(mode & S_IFMT, 0 | S_IFREG) {
            return Err(Errno::Perm);
        }
        let now = self.state.clocks.timestamp();
        self.filesystem().create_file(&target, now).map(drop)
    }

    pub(super) fn rmdir(&mut self, dirfd: i32, pointer: u64) -> Result<()> {
        let target = self.resolve(dirfd, pointer, Follow::Entry)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().remove_directory(&target, now)
    }

    pub(super) fn unlinkat(&mut self, dirfd: i32, pointer: u64, flags: i32) -> Result<()> {
        match flags {
            AT_REMOVEDIR => self.rmdir(dirfd, pointer),
            0 => {
                let target = self.resolve(dirfd, pointer, Follow::Entry)?;
                let now = self.state.clocks.timestamp();
                self.filesystem().unlink(&target, now)
            }
            _ => Err(Errno::Inval),
        }
    }

    pub(super) fn renameat(
        &mut self,
        old_dirfd: i32,
        old_pointer: u64,
        new_dirfd: i32,
        new_pointer: u64,
    ) -> Result<()> {
        let source = self.resolve(old_dirfd, old_pointer, Follow::Entry)?;
        let target = self.resolve(new_dirfd, new_pointer, Follow::Entry)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().rename(&source, &target, now)
    }

    pub(super) fn linkat(
        &mut self,
        old_dirfd: i32,
        old_pointer: u64,
        new_dirfd: i32,
        new_pointer: u64,
        flags: i32,
    ) -> Result<()> {
        let follow = match flags {
            0 => Follow::TrailingSlash,
            AT_SYMLINK_FOLLOW => Follow::Always,
            _ => return Err(Errno::Inval),
        };
        let source = self.resolve(old_dirfd, old_pointer, follow)?;
        let target = self.resolve(new_dirfd, new_pointer, Follow::Entry)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().link(&source, &target, now)
    }

    pub(super) fn symlinkat(&mut self, destination: u64, dirfd: i32, pointer: u64) -> Result<()> {
        let destination = self.string(destination)?.to_vec();
        crate::wasi::filesystem::check_path(&destination)?;
        let target = self.resolve(dirfd, pointer, Follow::Entry)?;
        let now = self.state.clocks.timestamp();
        self.filesystem()
            .create_symlink(&target, &destination, now)
            .map(drop)
    }

    pub(super) fn readlinkat(
        &mut self,
        dirfd: i32,
        pointer: u64,
        buffer: u64,
        len: u64,
    ) -> Result<i32> {
        let range = self.guest.range(buffer, len)?;
        let inode = self
            .resolve(dirfd, pointer, Follow::TrailingSlash)?
            .existing()?;
        if len == 0 {
            return Err(Errno::Inval);
        }
        let text = self.state.filesystem.symlink_target(inode)?;
        let text = text.get(..range.len()).unwrap_or(text);
        self.guest.write(buffer, text)?;
        Ok(text.len() as i32)
    }

    pub(super) fn truncate64(&mut self, pointer: u64, len: i64) -> Result<()> {
        let inode = self
            .resolve(WORKING_DIRECTORY, pointer, Follow::Always)?
            .existing()?;
        let len = u64::try_from(len).map_err(|_| Errno::Inval)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().set_size(inode, len, now)
    }

    pub(super) fn utimensat(
        &mut self,
        dirfd: i32,
        pointer: u64,
        times: u64,
        flags: i32,
    ) -> Result<()> {
        let now = self.state.clocks.timestamp();
        let (accessed, modified) = match times {
            0 => (Some(now), Some(now)),
            _ => {
                self.guest.range(times, 32)?;
                (
                    self.chosen_time(times, now)?,
                    self.chosen_time(times + 16, now)?,
                )
            }
        };
        match self.lookup(dirfd, pointer, flags | AT_EMPTY_PATH)? {
            Resource::Inode(inode) => self.filesystem().set_times(inode, accessed, modified, now),
            Resource::Stdin | Resource::Output(_) => Ok(()),
        }
    }

    /// The time that a `timespec` within the memory stands for.
    fn chosen_time(&self, pointer: u64, now: u64) -> Result<Option<u64>> {
        let nanoseconds = self.guest.read_u32(pointer + 8)?;
        let seconds = self.guest.read_u64(pointer)?;
        match nanoseconds {
            UTIME_NOW => Ok(Some(now)),
            UTIME_OMIT => Ok(None),
            0..1_000_000_000 => {
                let time = seconds.checked_mul(1_000_000_000);
                let time = time.and_then(|time| time.checked_add(u64::from(nanoseconds)));
                time.map(Some).ok_or(Errno::Inval)
            }
            _ => Err(Errno::Inval),
        }
    }

    pub(super) fn chdir(&mut self, pointer: u64) -> Result<()> {
        let inode = self
            .resolve(WORKING_DIRECTORY, pointer, Follow::Always)?
            .existing()?;
        self.enter(inode)
    }

    pub(super) fn fchdir(&mut self, fd: i32) -> Result<()> {
        match self.state.descriptors.get(descriptor_number(fd)?)?.resource {
            Resource::Inode(inode) => self.enter(inode),
            Resource::Stdin | Resource::Output(_) => Err(Errno::Notdir),
        }
    }

    fn enter(&mut self, inode: InodeId) -> Result<()> {
        self.state.filesystem.directory(inode)?;
        self.filesystem().retain(inode)?;
        let left = core::mem::replace(&mut self.state.working_directory, inode);
        self.filesystem().release(left);
        Ok(())
    }

    pub(super) fn getcwd(&mut self, buffer: u64, len: u64) -> Result<i32> {
        self.guest.range(buffer, len)?;
        let mut path = self.path_to(self.state.working_directory)?;
        path.push(0);
        if len == 0 {
            return Err(Errno::Inval);
        }
        if path.len() as u64 > len {
            return Err(Errno::Range);
        }
        self.guest.write(buffer, &path)?;
        Ok(path.len() as i32)
    }

    fn path_to(&self, mut inode: InodeId) -> Result<Vec<u8>> {
        let filesystem = &self.state.filesystem;
        let mut names: Vec<&[u8]> = Vec::new();
        while inode != ROOT && names.len() <= MAX_DEPTH {
            let parent = filesystem.directory(inode)?.parent;
            let mut entries = filesystem.directory(parent)?.entries();
            let (name, _) = entries
                .find(|(_, child)| *child == inode)
                .ok_or(Errno::Noent)?;
            names.push(name);
            inode = parent;
        }
        names.push(b"");
        names.reverse();
        let path = names.join(&b'/');
        Ok(if path.is_empty() { b"/".to_vec() } else { path })
    }

    pub(super) fn fallocate(&mut self, fd: i32, mode: i32, offset: i64, len: i64) -> Outcome {
        if mode != 0 {
            return Outcome::Return(-super::EOPNOTSUPP);
        }
        super::done(self.allocate(fd, offset, len))
    }
}
