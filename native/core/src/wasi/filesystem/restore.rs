//! A filesystem from inodes that were read from somewhere.

use super::{BlockMap, BlockVec, Filesystem, Inode, InodeId, Kind, MAX_DEPTH, ROOT};
use crate::wasi::config::Quotas;

impl Filesystem {
    /// The filesystem that has these inodes. Links are counted anew; whatever does not fit
    /// together is refused, and named.
    pub(crate) fn restore(
        inodes: Vec<Option<Inode>>,
        quotas: Quotas,
    ) -> Result<Self, &'static str> {
        let mut free = BlockMap::default();
        for (id, inode) in (0..).zip(&inodes) {
            if inode.is_none() {
                free.insert(id, ());
            }
        }
        let mut filesystem = Filesystem {
            free,
            inodes: BlockVec::new(inodes),
            quotas,
            used_bytes: 0,
            used_entries: 0,
        };
        let live = filesystem.used_files();
        let bytes = filesystem
            .inodes()
            .map(|(_, inode)| inode.kind.charged_bytes());
        filesystem.used_bytes = bytes.fold(0, u64::saturating_add);
        filesystem.used_entries = filesystem.count_links()?;
        let most = quotas.files.max(1);
        if live > most || filesystem.used_entries > most || filesystem.used_bytes > quotas.bytes {
            return Err("more than the quota");
        }
        filesystem.check_directories()?;
        Ok(filesystem)
    }

    /// Counts the entries that lead to each inode; returns how many there are.
    fn count_links(&mut self) -> Result<u64, &'static str> {
        let mut links = vec![0u32; self.inodes.len()];
        let mut entries = 0u64;
        for (id, inode) in self.inodes() {
            let Kind::Directory(directory) = &inode.kind else {
                continue;
            };
            for (_, child) in directory.entries() {
                entries += 1;
                let target = self
                    .inode(child)
                    .map_err(|_| "an entry that leads nowhere")?;
                if matches!(&target.kind, Kind::Directory(moved) if moved.parent != id) {
                    return Err("a directory that is not where it says");
                }
                let count = links
                    .get_mut(child as usize)
                    .ok_or("an entry that leads nowhere")?;
                *count = count.checked_add(1).ok_or("too many links")?;
            }
        }
        for (id, count) in (0..).zip(links) {
            if let Ok(inode) = self.inode_mut(id) {
                inode.links = count;
            }
        }
        match self.inode_mut(ROOT) {
            Ok(Inode {
                kind: Kind::Directory(root),
                links,
                ..
            }) if *links == 0 && root.parent == ROOT => {
                *links = 1;
                Ok(entries)
            }
            _ => Err("the root"),
        }
    }

    /// Checks that each directory has one place in the tree, or none and no entries.
    fn check_directories(&mut self) -> Result<(), &'static str> {
        let mut reached = 0;
        let mut level: Vec<InodeId> = vec![ROOT];
        let mut levels = Vec::new();
        for _ in 0..=MAX_DEPTH {
            let mut next = Vec::new();
            for id in &level {
                reached += 1;
                let directory = self.directory(*id).map_err(|_| "a directory")?;
                next.extend(directory.entries().map(|(_, child)| child).filter(|child| {
                    matches!(
                        self.inode(*child),
                        Ok(Inode {
                            kind: Kind::Directory(_),
                            ..
                        })
                    )
                }));
            }
            levels.push(std::mem::replace(&mut level, next));
        }
        if !level.is_empty() {
            return Err("directories that nest too deep");
        }
        let mut linked = 0;
        for (id, inode) in self.inodes() {
            if let Kind::Directory(directory) = &inode.kind {
                match inode.links {
                    0 if directory.is_empty() && directory.parent == id => {}
                    1 => linked += 1,
                    _ => return Err("a directory with more than one place"),
                }
            }
        }
        if reached != linked {
            return Err("a directory outside of the tree");
        }
        // From the lowest level upwards, so that each height is known when it is noted.
        for id in levels.into_iter().skip(1).rev().flatten() {
            let directory = self.directory(id).map_err(|_| "a directory")?;
            let (parent, height) = (directory.parent, directory.height());
            self.directory_mut(parent)
                .map_err(|_| "a directory")?
                .add_height(height);
        }
        Ok(())
    }

    /// Whether every file can be reached, or is open.
    pub(crate) fn has_no_orphans(&self) -> bool {
        self.inodes()
            .all(|(_, inode)| inode.links > 0 || inode.opens > 0)
    }
}
