//! `path_*`.

use super::Call;
use super::descriptor::{chosen_times, write_filestat};
use crate::wasi::descriptor::OpenFile;
use crate::wasi::errno::{Errno, Result};
use crate::wasi::filesystem::{Follow, MAX_PATH, Scope, Target};
use crate::wasi::types::{FdFlags, LookupFlags, OpenFlags, Rights, TimeFlags};

/// Where a path is in guest memory, and its length.
type PathArg = (u64, u64);

fn follow(lookup: LookupFlags) -> Follow {
    if lookup.contains(LookupFlags::SYMLINK_FOLLOW) {
        Follow::Always
    } else {
        Follow::TrailingSlash
    }
}

impl Call<'_, '_> {
    /// The bytes of a path. A longer one than can be resolved is cut one byte beyond the
    /// longest, so that looking at it takes bounded time and it is still refused as too long.
    fn path(&self, (pointer, len): PathArg) -> Result<&[u8]> {
        let range = self.guest.range(pointer, len)?;
        let end = range.end.min(range.start + MAX_PATH + 1);
        Ok(self.guest.slice(range.start..end))
    }

    fn resolve(&self, fd: u32, right: Rights, path: PathArg, follow: Follow) -> Result<Target> {
        let path = self.path(path)?;
        let directory = self.directory(fd, right)?;
        self.state
            .filesystem
            .resolve(directory, path, Scope::Beneath, follow)
    }

    pub(super) fn path_create_directory(&mut self, fd: u32, path: PathArg) -> Result<()> {
        let target = self.resolve(fd, Rights::PATH_CREATE_DIRECTORY, path, Follow::Entry)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().create_directory(&target, now).map(drop)
    }

    pub(super) fn path_filestat_get(
        &mut self,
        fd: u32,
        lookup: u32,
        path: PathArg,
        pointer: u64,
    ) -> Result<()> {
        let lookup = LookupFlags::from_guest(lookup)?;
        let target = self.resolve(fd, Rights::PATH_FILESTAT_GET, path, follow(lookup))?;
        let stat = self.state.filesystem.stat(target.existing()?)?;
        write_filestat(&mut self.guest, pointer, &stat)
    }

    pub(super) fn path_filestat_set_times(
        &mut self,
        fd: u32,
        lookup: u32,
        path: PathArg,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Result<()> {
        let lookup = LookupFlags::from_guest(lookup)?;
        let flags = TimeFlags::from_guest(flags)?;
        let now = self.state.clocks.timestamp();
        let (accessed, modified) = chosen_times(flags, accessed, modified, now)?;
        let target = self.resolve(fd, Rights::PATH_FILESTAT_SET_TIMES, path, follow(lookup))?;
        let inode = target.existing()?;
        self.filesystem().set_times(inode, accessed, modified, now)
    }

    pub(super) fn path_link(
        &mut self,
        old_fd: u32,
        lookup: u32,
        old_path: PathArg,
        new_fd: u32,
        new_path: PathArg,
    ) -> Result<()> {
        let lookup = LookupFlags::from_guest(lookup)?;
        self.check_links()?;
        self.path(new_path)?;
        let source = self.resolve(old_fd, Rights::PATH_LINK_SOURCE, old_path, follow(lookup))?;
        let target = self.resolve(new_fd, Rights::PATH_LINK_TARGET, new_path, Follow::Entry)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().link(&source, &target, now)
    }

    pub(super) fn path_readlink(
        &mut self,
        fd: u32,
        path: PathArg,
        buffer: u64,
        len: u64,
        result: u64,
    ) -> Result<()> {
        let range = self.guest.range(buffer, len)?;
        self.guest.check_size(result)?;
        let target = self.resolve(fd, Rights::PATH_READLINK, path, Follow::TrailingSlash)?;
        let text = self.state.filesystem.symlink_target(target.existing()?)?;
        let text = text.get(..range.len()).unwrap_or(text);
        self.guest.write(buffer, text)?;
        self.guest.write_size(result, text.len() as u64)
    }

    pub(super) fn path_remove_directory(&mut self, fd: u32, path: PathArg) -> Result<()> {
        let target = self.resolve(fd, Rights::PATH_REMOVE_DIRECTORY, path, Follow::Entry)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().remove_directory(&target, now)
    }

    pub(super) fn path_rename(
        &mut self,
        old_fd: u32,
        old_path: PathArg,
        new_fd: u32,
        new_path: PathArg,
    ) -> Result<()> {
        self.path(new_path)?;
        let source = self.resolve(old_fd, Rights::PATH_RENAME_SOURCE, old_path, Follow::Entry)?;
        let target = self.resolve(new_fd, Rights::PATH_RENAME_TARGET, new_path, Follow::Entry)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().rename(&source, &target, now)
    }

    pub(super) fn path_symlink(
        &mut self,
        destination: PathArg,
        fd: u32,
        path: PathArg,
    ) -> Result<()> {
        self.check_links()?;
        let destination = self.path(destination)?;
        let target = self.resolve(fd, Rights::PATH_SYMLINK, path, Follow::Entry)?;
        crate::wasi::filesystem::check_path(destination)?;
        if destination.first() == Some(&b'/') {
            return Err(Errno::Perm);
        }
        let destination = destination.to_vec();
        let now = self.state.clocks.timestamp();
        self.filesystem()
            .create_symlink(&target, &destination, now)
            .map(drop)
    }

    pub(super) fn path_unlink_file(&mut self, fd: u32, path: PathArg) -> Result<()> {
        let target = self.resolve(fd, Rights::PATH_UNLINK_FILE, path, Follow::Entry)?;
        let now = self.state.clocks.timestamp();
        self.filesystem().unlink(&target, now)
    }

    #[expect(clippy::too_many_arguments, reason = "the function has as many")]
    pub(super) fn path_open(
        &mut self,
        fd: u32,
        lookup: u32,
        path: PathArg,
        open: u32,
        (base, inheriting): (u64, u64),
        flags: u32,
        result: u64,
    ) -> Result<()> {
        let lookup = LookupFlags::from_guest(lookup)?;
        let open = OpenFlags::from_guest(open)?;
        let flags = FdFlags::from_guest(flags)?;
        self.guest.range(result, 4)?;
        self.path(path)?;
        // What applies to no file is not granted, and it is no error to ask for it: some ask for
        // everything.
        let base = Rights::from_bits_truncate(base) & (Rights::FILE | Rights::DIRECTORY);
        let inheriting =
            Rights::from_bits_truncate(inheriting) & (Rights::FILE | Rights::DIRECTORY);
        let grantable = self.grantable(fd, open)?;
        if !grantable.contains(base | inheriting) {
            return Err(Errno::Notcapable);
        }
        let exclusive = open.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
        let follow = if exclusive {
            Follow::TrailingSlash
        } else {
            follow(lookup)
        };
        let target = self.resolve(fd, Rights::PATH_OPEN, path, follow)?;
        let file = OpenFile {
            flags,
            ..self.open_target(&target, open, base, inheriting)?
        };
        let opened = self.state.open(file)?;
        self.guest.write(result, &opened.to_le_bytes())
    }

    /// What a file opened beneath a directory may be given, if it may be opened like this.
    fn grantable(&self, fd: u32, open: OpenFlags) -> Result<Rights> {
        let mut needed = Rights::PATH_OPEN;
        needed.set(Rights::PATH_CREATE_FILE, open.contains(OpenFlags::CREATE));
        needed.set(
            Rights::PATH_FILESTAT_SET_SIZE,
            open.contains(OpenFlags::TRUNCATE),
        );
        self.directory(fd, needed)?;
        Ok(self.state.descriptors.get(fd)?.inheriting)
    }

    fn open_target(
        &mut self,
        target: &Target,
        open: OpenFlags,
        base: Rights,
        inheriting: Rights,
    ) -> Result<OpenFile> {
        let inode = self
            .state
            .open_inode(target, open, base.contains(Rights::FD_WRITE))?;
        let resource = self.state.resource(inode)?;
        let applicable = self.state.applicable(resource)?;
        Ok(OpenFile::new(resource, base & applicable, inheriting))
    }

    fn check_links(&self) -> Result<()> {
        if self.state.plain {
            return Err(Errno::Notsup);
        }
        Ok(())
    }
}
