//! Making, removing, linking and renaming directory entries.

use std::sync::Arc;

use super::{Directory, Filesystem, Inode, InodeId, Kind, MAX_DEPTH, ROOT, Target, Times};
use crate::wasi::content::Content;
use crate::wasi::errno::{Errno, Result};
use crate::wasi::types::Device;

impl Filesystem {
    /// The entry that a new file is to have.
    fn vacant(target: &Target) -> Result<(InodeId, &[u8])> {
        match (&target.entry, target.inode) {
            (Some((directory, name)), None) => Ok((*directory, name)),
            _ => Err(Errno::Exist),
        }
    }

    pub(crate) fn create_file(&mut self, target: &Target, now: u64) -> Result<InodeId> {
        let (directory, name) = Self::vacant(target)?;
        if target.trailing_slash {
            return Err(Errno::Isdir);
        }
        self.create(
            directory,
            name,
            Kind::File(Arc::new(Content::default())),
            now,
        )
    }

    pub(crate) fn create_directory(&mut self, target: &Target, now: u64) -> Result<InodeId> {
        let (parent, name) = Self::vacant(target)?;
        if self.depth(parent)? + 1 > MAX_DEPTH {
            return Err(Errno::Nametoolong);
        }
        self.create(
            parent,
            name,
            Kind::Directory(Arc::new(Directory::new(parent))),
            now,
        )
    }

    pub(crate) fn create_symlink(
        &mut self,
        target: &Target,
        destination: &[u8],
        now: u64,
    ) -> Result<InodeId> {
        let (directory, name) = Self::vacant(target)?;
        if target.trailing_slash {
            return Err(Errno::Noent);
        }
        self.create(directory, name, Kind::Symlink(destination.into()), now)
    }

    pub(crate) fn create(
        &mut self,
        directory: InodeId,
        name: &[u8],
        kind: Kind,
        now: u64,
    ) -> Result<InodeId> {
        self.check_writable(directory)?;
        self.check_entries()?;
        let inode = self.insert(Inode {
            kind,
            links: 1,
            opens: 0,
            times: Times::all(now),
            read_only: false,
        })?;
        self.enter(directory, name, inode, now)?;
        Ok(inode)
    }

    /// Makes a file be a standard stream, whatever bytes it has.
    pub(crate) fn make_device(&mut self, id: InodeId, device: Device) {
        if let Ok(Inode { kind, .. }) = self.inode_mut(id)
            && matches!(kind, Kind::File(_))
        {
            let bytes = kind.charged_bytes();
            *kind = Kind::Device(device);
            self.used_bytes = self.used_bytes.saturating_sub(bytes);
        }
    }

    /// Refuses one more directory entry beyond the quota.
    fn check_entries(&self) -> Result<()> {
        if self.used_entries >= self.quotas.files {
            return Err(Errno::Nospc);
        }
        Ok(())
    }

    fn enter(&mut self, directory: InodeId, name: &[u8], inode: InodeId, now: u64) -> Result<()> {
        self.directory_mut(directory)?.insert(name, inode);
        self.used_entries += 1;
        if let Ok(entered) = self.directory(inode) {
            let height = entered.height();
            self.change_height(directory, None, Some(height))?;
        }
        self.touch(directory, now)
    }

    pub(super) fn leave(&mut self, directory: InodeId, name: &[u8], now: u64) -> Result<()> {
        if let Some(inode) = self.directory_mut(directory)?.remove(name) {
            self.used_entries = self.used_entries.saturating_sub(1);
            if let Ok(left) = self.directory(inode) {
                let height = left.height();
                self.change_height(directory, Some(height), None)?;
            }
        }
        self.touch(directory, now)
    }

    /// Notes in a directory, and in those above as far as it matters to them, that a directory in
    /// it has come, gone or changed in height.
    fn change_height(
        &mut self,
        mut id: InodeId,
        mut old: Option<usize>,
        mut new: Option<usize>,
    ) -> Result<()> {
        for _ in 0..=MAX_DEPTH {
            let directory = self.directory_mut(id)?;
            let (before, parent) = (directory.height(), directory.parent);
            if let Some(height) = old {
                directory.remove_height(height);
            }
            if let Some(height) = new {
                directory.add_height(height);
            }
            let after = directory.height();
            if before == after || parent == id {
                break;
            }
            (id, old, new) = (parent, Some(before), Some(after));
        }
        Ok(())
    }

    /// Marks contents as changed.
    pub(super) fn touch(&mut self, id: InodeId, now: u64) -> Result<()> {
        let times = &mut self.inode_mut(id)?.times;
        times.modified = now;
        times.changed = now;
        Ok(())
    }

    /// Adds a second entry for what `source` leads to.
    pub(crate) fn link(&mut self, source: &Target, target: &Target, now: u64) -> Result<()> {
        let inode = source.existing()?;
        if matches!(self.inode(inode)?.kind, Kind::Directory(_)) {
            return Err(Errno::Perm);
        }
        let (directory, name) = Self::vacant(target)?;
        if target.trailing_slash {
            return Err(Errno::Noent);
        }
        self.check_writable(inode)?;
        self.check_writable(directory)?;
        self.check_entries()?;
        let linked = self.inode_mut(inode)?;
        linked.links = linked.links.checked_add(1).ok_or(Errno::Mlink)?;
        linked.times.changed = now;
        self.enter(directory, name, inode, now)
    }

    /// Refuses to remove or to move a standard stream, or the directory that it is in.
    fn check_movable(&self, id: InodeId) -> Result<()> {
        let is_device = |id| Ok(matches!(self.inode(id)?.kind, Kind::Device(_)));
        let fixed = match &self.inode(id)?.kind {
            Kind::Directory(directory) => {
                let mut entries = directory.entries();
                entries.try_fold(false, |found, (_, child)| Ok(found || is_device(child)?))?
            }
            Kind::File(_) | Kind::Symlink(_) | Kind::Device(_) => is_device(id)?,
        };
        if fixed { Err(Errno::Busy) } else { Ok(()) }
    }

    /// Removes an entry that is no directory.
    pub(crate) fn unlink(&mut self, target: &Target, now: u64) -> Result<()> {
        let inode = target.existing()?;
        if matches!(self.inode(inode)?.kind, Kind::Directory(_)) {
            return Err(Errno::Isdir);
        }
        self.check_movable(inode)?;
        let (directory, name) = target.entry.as_ref().ok_or(Errno::Busy)?;
        self.check_writable(*directory)?;
        self.leave(*directory, name, now)?;
        self.drop_link(inode, now)
    }

    /// Removes an empty directory.
    pub(crate) fn remove_directory(&mut self, target: &Target, now: u64) -> Result<()> {
        let inode = target.existing()?;
        let empty = self.directory(inode)?.is_empty();
        let (parent, name) = target.entry.as_ref().ok_or(Errno::Inval)?;
        self.check_writable(*parent)?;
        self.check_writable(inode)?;
        if !empty {
            return Err(Errno::Notempty);
        }
        self.leave(*parent, name, now)?;
        self.drop_link(inode, now)
    }

    /// Takes back one entry that led to an inode. A directory that thereby leaves the tree has
    /// no other parent than itself: what was its parent may go, and its place be taken.
    pub(super) fn drop_link(&mut self, id: InodeId, now: u64) -> Result<()> {
        let inode = self.inode_mut(id)?;
        inode.links = inode.links.saturating_sub(1);
        inode.times.changed = now;
        if let Kind::Directory(directory) = &mut inode.kind {
            Arc::make_mut(directory).parent = id;
        }
        self.collect(id);
        Ok(())
    }

    /// Renames `source` to `target`, replacing what is there, as POSIX has it.
    pub(crate) fn rename(&mut self, source: &Target, target: &Target, now: u64) -> Result<()> {
        let moved = source.existing()?;
        let (from, old_name) = source.entry.as_ref().ok_or(Errno::Busy)?;
        let (to, new_name) = target.entry.as_ref().ok_or(Errno::Busy)?;
        if target.inode == Some(moved) {
            return Ok(());
        }
        for changed in [Some(moved), Some(*from), Some(*to), target.inode] {
            changed.map_or(Ok(()), |id| self.check_writable(id))?;
        }
        self.check_movable(moved)?;
        if let Some(replaced) = target.inode {
            self.check_movable(replaced)?;
        }
        let is_directory = matches!(self.inode(moved)?.kind, Kind::Directory(_));
        if is_directory {
            self.check_move(moved, *from, *to)?;
        } else if target.trailing_slash {
            return Err(Errno::Notdir);
        }
        if let Some(replaced) = target.inode {
            self.check_replace(replaced, is_directory)?;
            self.leave(*to, new_name, now)?;
            self.drop_link(replaced, now)?;
        }
        self.leave(*from, old_name, now)?;
        self.enter(*to, new_name, moved, now)?;
        self.inode_mut(moved)?.times.changed = now;
        if is_directory {
            self.directory_mut(moved)?.parent = *to;
        }
        Ok(())
    }

    fn check_replace(&self, replaced: InodeId, by_directory: bool) -> Result<()> {
        match (&self.inode(replaced)?.kind, by_directory) {
            (Kind::Directory(directory), true) if directory.is_empty() => Ok(()),
            (Kind::Directory(_), true) => Err(Errno::Notempty),
            (Kind::Directory(_), false) => Err(Errno::Isdir),
            (_, true) => Err(Errno::Notdir),
            (_, false) => Ok(()),
        }
    }

    /// Refuses to move a directory into itself, or to where its contents would be too deep.
    fn check_move(&self, moved: InodeId, from: InodeId, to: InodeId) -> Result<()> {
        let mut ancestor = to;
        for _ in 0..=MAX_DEPTH {
            if ancestor == moved {
                return Err(Errno::Inval);
            }
            if ancestor == ROOT {
                break;
            }
            ancestor = self.directory(ancestor)?.parent;
        }
        let depth = self.depth(to)?;
        if depth > self.depth(from)? && depth + self.directory(moved)?.height() > MAX_DEPTH {
            return Err(Errno::Nametoolong);
        }
        Ok(())
    }

    /// How many directories are above this one.
    fn depth(&self, mut id: InodeId) -> Result<usize> {
        let mut depth = 0;
        while id != ROOT && depth <= MAX_DEPTH {
            id = self.directory(id)?.parent;
            depth += 1;
        }
        Ok(depth)
    }
}
