//! A tree of files as the embedder sees it.

use std::collections::BTreeMap;

/// A file, a directory or a symbolic link, by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory: its entries by name.
    Directory(BTreeMap<Vec<u8>, Node>),
    /// A regular file: its bytes.
    File(Vec<u8>),
    /// A symbolic link: its target.
    Symlink(Vec<u8>),
}

impl Node {
    /// An empty directory.
    #[must_use]
    pub fn empty_directory() -> Self {
        Node::Directory(BTreeMap::new())
    }
}

impl Default for Node {
    fn default() -> Self {
        Node::empty_directory()
    }
}

/// What the filesystem knows of a file without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its kind.
    pub file_type: super::FileType,
    /// A number that no other file of this filesystem has at the same time.
    pub inode: u64,
    /// How many directory entries lead to it.
    pub links: u64,
    /// Bytes, for a file or a symbolic link.
    pub size: u64,
    /// When it was last read, in nanoseconds since 1970.
    pub accessed: u64,
    /// When its contents last changed.
    pub modified: u64,
    /// When anything about it last changed.
    pub changed: u64,
}
