//! The entries of one directory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::InodeId;
use super::blocks::BlockMap;

/// The name of an entry.
pub(crate) type Name = Arc<[u8]>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) inode: InodeId,
    pub(crate) cookie: u64,
}

/// A directory: entries by name, and by cookie for reading it.
///
/// An entry keeps its cookie as long as it exists, and a later one gets a greater cookie: a
/// reader who goes on from a cookie sees every entry that was there all the time exactly once,
/// whatever is added or removed meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Directory {
    pub(crate) parent: InodeId,
    entries: BlockMap<Name, Entry>,
    order: BlockMap<u64, (Name, InodeId)>,
    next_cookie: u64,
    /// How many directories in here there are of each height, so that moving one to where it would
    /// nest too deep can be refused without looking at all that is in it.
    heights: BTreeMap<usize, u32>,
}

/// The cookies of `.` and `..`; entries follow.
pub(crate) const SELF_COOKIE: u64 = 1;
pub(crate) const PARENT_COOKIE: u64 = 2;

impl Directory {
    pub(crate) fn new(parent: InodeId) -> Self {
        Directory {
            parent,
            entries: BlockMap::default(),
            order: BlockMap::default(),
            next_cookie: PARENT_COOKIE + 1,
            heights: BTreeMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<InodeId> {
        self.entries.get(name).map(|entry| entry.inode)
    }

    pub(crate) fn insert(&mut self, name: &[u8], inode: InodeId) {
        self.remove(name);
        let cookie = self.next_cookie;
        self.next_cookie += 1;
        self.insert_at(name, inode, cookie);
    }

    /// Inserts under a known cookie.
    pub(crate) fn insert_at(&mut self, name: &[u8], inode: InodeId, cookie: u64) {
        let name: Name = name.into();
        self.order.insert(cookie, (name.clone(), inode));
        self.entries.insert(name, Entry { inode, cookie });
    }

    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<InodeId> {
        let entry = self.entries.remove(name)?;
        self.order.remove(&entry.cookie);
        Some(entry.inode)
    }

    /// Entries by name.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Name, InodeId)> {
        self.entries.iter().map(|(name, entry)| (name, entry.inode))
    }

    /// Entries beyond a cookie, in the order in which they were made.
    pub(crate) fn after(&self, cookie: u64) -> impl Iterator<Item = (u64, &Name, InodeId)> {
        self.order
            .after(&cookie)
            .map(|(cookie, (name, inode))| (*cookie, name, *inode))
    }

    pub(crate) fn next_cookie(&self) -> u64 {
        self.next_cookie
    }

    pub(crate) fn set_next_cookie(&mut self, cookie: u64) {
        self.next_cookie = cookie;
    }

    /// How many directories nest from this one on, itself included.
    pub(crate) fn height(&self) -> usize {
        1 + self.heights.keys().next_back().copied().unwrap_or(0)
    }

    /// Takes note of a directory in here that has that height now.
    pub(crate) fn add_height(&mut self, height: usize) {
        *self.heights.entry(height).or_default() += 1;
    }

    /// Forgets one that had that height.
    pub(crate) fn remove_height(&mut self, height: usize) {
        if let Some(count) = self.heights.get_mut(&height) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.heights.remove(&height);
            }
        }
    }
}
