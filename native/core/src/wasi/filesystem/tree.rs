//! The filesystem as a tree of values: loading, reading out, removing whole branches.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Directory, Filesystem, Follow, InodeId, Kind, MAX_DEPTH, MAX_NAME, MAX_PATH, ROOT, Scope,
    Target,
};
use crate::wasi::content::Content;
use crate::wasi::errno::{Errno, Result};
use crate::wasi::node::Node;

/// Refuses what can be no name of an entry.
pub(crate) fn check_name(name: &[u8]) -> Result<()> {
    if name.len() > MAX_NAME {
        return Err(Errno::Nametoolong);
    }
    if core::str::from_utf8(name).is_err() {
        return Err(Errno::Ilseq);
    }
    let reserved = matches!(name, b"" | b"." | b"..");
    if reserved || name.contains(&b'/') || name.contains(&0) {
        return Err(Errno::Inval);
    }
    Ok(())
}

fn check_symlink_target(target: &[u8]) -> Result<()> {
    super::resolve::check_path(target)
}

impl Filesystem {
    /// Resolves an embedder's path: from the root, with or without a leading slash.
    pub(crate) fn resolve_from_root(&self, path: &[u8], follow: Follow) -> Result<Target> {
        let path = if path.is_empty() { b"/" } else { path };
        self.resolve(ROOT, path, Scope::Root, follow)
    }

    /// Refuses a tree that cannot be loaded: bad names, too deep, beyond the quotas.
    pub(crate) fn check_tree(&self, node: &Node, depth: usize) -> Result<()> {
        match node {
            Node::Directory(entries) => {
                if depth > MAX_DEPTH {
                    return Err(Errno::Nametoolong);
                }
                for (name, child) in entries {
                    check_name(name)?;
                    self.check_tree(child, depth + 1)?;
                }
                Ok(())
            }
            Node::File(_) => Ok(()),
            Node::Symlink(target) => check_symlink_target(target),
        }
    }

    /// Puts the entries of a tree that has been checked into a directory.
    pub(crate) fn load(
        &mut self,
        directory: InodeId,
        entries: &BTreeMap<Vec<u8>, Node>,
        now: u64,
    ) -> Result<()> {
        for (name, node) in entries {
            self.load_node(directory, name, node, now)?;
        }
        Ok(())
    }

    fn load_node(&mut self, parent: InodeId, name: &[u8], node: &Node, now: u64) -> Result<()> {
        let kind = match node {
            Node::Directory(_) => Kind::Directory(Arc::new(Directory::new(parent))),
            Node::File(bytes) => {
                if bytes.len() as u64 > self.quotas.bytes.saturating_sub(self.used_bytes) {
                    return Err(Errno::Nospc);
                }
                Kind::File(Arc::new(Content::from_bytes(bytes)))
            }
            Node::Symlink(target) => Kind::Symlink(target.as_slice().into()),
        };
        let id = self.create(parent, name, kind, now)?;
        match node {
            Node::Directory(entries) => self.load(id, entries, now),
            Node::File(_) | Node::Symlink(_) => Ok(()),
        }
    }

    /// Puts a node at `target`, in place of what is there.
    pub(crate) fn put(&mut self, target: &Target, node: &Node, now: u64) -> Result<()> {
        let (parent, name) = target.entry.as_ref().ok_or(Errno::Busy)?;
        self.check_tree(node, self.nesting(*parent)? + 1)?;
        if target.inode.is_some() {
            self.remove_all(*parent, name, now)?;
        }
        self.load_node(*parent, name, node, now)
    }

    fn nesting(&self, mut id: InodeId) -> Result<usize> {
        let mut depth = 0;
        while id != ROOT {
            id = self.directory(id)?.parent;
            depth += 1;
        }
        Ok(depth)
    }

    /// Removes an entry and everything beneath it; what is open stays with those who have it.
    pub(crate) fn remove_all(&mut self, parent: InodeId, name: &[u8], now: u64) -> Result<()> {
        let id = self.directory(parent)?.get(name).ok_or(Errno::Noent)?;
        self.check_writable(parent)?;
        self.check_writable(id)?;
        if matches!(self.inode(id)?.kind, Kind::Directory(_)) {
            self.clear(id, now)?;
        }
        self.leave(parent, name, now)?;
        self.drop_link(id, now)
    }

    /// Removes everything beneath a directory.
    pub(crate) fn clear(&mut self, directory: InodeId, now: u64) -> Result<()> {
        let names: Vec<_> = self
            .directory(directory)?
            .entries()
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.remove_all(directory, &name, now)?;
        }
        Ok(())
    }

    /// What is at an inode and beneath it, by value.
    pub(crate) fn node(&self, id: InodeId) -> Result<Node> {
        match &self.inode(id)?.kind {
            Kind::File(content) => Ok(Node::File(content.to_vec())),
            Kind::Symlink(target) => Ok(Node::Symlink(target.to_vec())),
            Kind::Device(_) => Ok(Node::File(Vec::new())),
            Kind::Directory(directory) => {
                // A loop takes less of the stack for each level than an adapter does.
                let mut entries = BTreeMap::new();
                for (name, child) in directory.entries() {
                    entries.insert(name.to_vec(), self.node(child)?);
                }
                Ok(Node::Directory(entries))
            }
        }
    }

    /// Makes a directory and those above it, as far as they are missing.
    pub(crate) fn create_directories(&mut self, path: &[u8], now: u64) -> Result<InodeId> {
        if path.len() > MAX_PATH {
            return Err(Errno::Nametoolong);
        }
        let mut end = 0;
        loop {
            let rest = path.get(end..).unwrap_or_default();
            let skip = rest
                .iter()
                .position(|byte| *byte != b'/')
                .unwrap_or(rest.len());
            let Some(component) = rest.get(skip..).filter(|text| !text.is_empty()) else {
                let target = self.resolve_from_root(path, Follow::Always)?;
                let id = target.existing()?;
                self.directory(id)?;
                return Ok(id);
            };
            let len = component
                .iter()
                .position(|byte| *byte == b'/')
                .unwrap_or(component.len());
            end += skip + len;
            let prefix = path.get(..end).unwrap_or_default();
            let target = self.resolve_from_root(prefix, Follow::Always)?;
            if target.inode.is_none() {
                self.create_directory(&target, now)?;
            }
        }
    }
}
