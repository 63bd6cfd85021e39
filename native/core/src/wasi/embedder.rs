//! What the embedder does with a guest's files and streams, while no call is in progress.
//!
//! Paths start at the root of the tree, with or without a leading slash, and follow symbolic
//! links; they can lead nowhere but into this tree.

use super::clock::Reading;
use super::config::OutputSink;
use super::descriptor::Resource;
use super::errno::{Errno, Result};
use super::filesystem::{Filesystem, Follow, InodeId, ROOT};
use super::node::{Node, Stat};
use super::state::WasiState;
use super::types::{ClockId, OutputStream};

/// The directory that a path's last name is in, as text.
fn parent(path: &[u8]) -> &[u8] {
    let end = path
        .iter()
        .rposition(|byte| *byte != b'/')
        .map_or(0, |last| last + 1);
    let path = path.get(..end).unwrap_or_default();
    let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    path.get(..slash).unwrap_or_default()
}

impl WasiState {
    fn lookup(&self, path: &[u8], follow: Follow) -> Result<InodeId> {
        self.filesystem.resolve_from_root(path, follow)?.existing()
    }

    /// Everything at a path, by value; the whole tree at `/`.
    ///
    /// # Errors
    ///
    /// As opening the path for reading.
    pub fn node(&self, path: &[u8]) -> Result<Node> {
        self.filesystem.node(self.lookup(path, Follow::Always)?)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// As opening the path for reading.
    pub fn read_file(&self, path: &[u8]) -> Result<Vec<u8>> {
        let inode = self.lookup(path, Follow::Always)?;
        Ok(self.filesystem.content(inode)?.to_vec())
    }

    /// Writes a file, which is made or replaced; directories above it are made as needed. A
    /// guest that has the file open sees the new bytes.
    ///
    /// # Errors
    ///
    /// If the path names a directory, or the quota does not allow it.
    pub fn write_file(&mut self, path: &[u8], bytes: &[u8]) -> Result<()> {
        let now = self.clocks.timestamp();
        let filesystem = self.filesystem_mut();
        filesystem.create_directories(parent(path), now)?;
        let target = filesystem.resolve_from_root(path, Follow::Always)?;
        let present = match target.inode {
            Some(inode) => filesystem.content(inode)?.len(),
            None => 0,
        };
        let available = filesystem
            .quotas
            .bytes
            .saturating_sub(filesystem.used_bytes());
        if bytes.len() as u64 > available.saturating_add(present) {
            return Err(Errno::Nospc);
        }
        let inode = match target.inode {
            Some(inode) => inode,
            None => filesystem.create_file(&target, now)?,
        };
        filesystem.set_size(inode, 0, now)?;
        filesystem.write_at(inode, 0, bytes)
    }

    /// Makes a directory, and those above it as far as they are missing.
    ///
    /// # Errors
    ///
    /// If something on the path is no directory, or the quota does not allow it.
    pub fn create_directory(&mut self, path: &[u8]) -> Result<()> {
        let now = self.clocks.timestamp();
        self.filesystem_mut()
            .create_directories(path, now)
            .map(drop)
    }

    /// Puts a file, a link or a whole directory at a path, in place of what is there.
    ///
    /// # Errors
    ///
    /// If a name is refused or a quota does not allow it; then nothing has changed.
    pub fn put(&mut self, path: &[u8], node: &Node) -> Result<()> {
        let now = self.clocks.timestamp();
        self.try_change(|filesystem| {
            filesystem.create_directories(parent(path), now)?;
            let target = filesystem.resolve_from_root(path, Follow::Entry)?;
            filesystem.put(&target, node, now)
        })
    }

    /// Removes what is at a path and everything beneath it. A guest that has it open keeps it.
    ///
    /// # Errors
    ///
    /// If there is nothing, or the path is the root.
    pub fn remove(&mut self, path: &[u8]) -> Result<()> {
        let now = self.clocks.timestamp();
        self.try_change(|filesystem| {
            let target = filesystem.resolve_from_root(path, Follow::Entry)?;
            target.existing()?;
            let (parent, name) = target.entry.ok_or(Errno::Busy)?;
            filesystem.remove_all(parent, &name, now)
        })
    }

    /// Has what is at a path, and everything beneath it, stay as it is.
    ///
    /// # Errors
    ///
    /// If there is nothing.
    pub fn set_read_only(&mut self, path: &[u8]) -> Result<()> {
        let inode = self.lookup(path, Follow::Entry)?;
        self.filesystem_mut().set_read_only(inode)
    }

    /// The names in a directory and what they are, in the order of their bytes.
    ///
    /// # Errors
    ///
    /// As opening the path as a directory.
    pub fn list(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Stat)>> {
        let directory = self
            .filesystem
            .directory(self.lookup(path, Follow::Always)?)?;
        directory
            .entries()
            .map(|(name, inode)| Ok((name.to_vec(), self.filesystem.stat(inode)?)))
            .collect()
    }

    /// What is known of a file; a link at the end of the path is not followed.
    ///
    /// # Errors
    ///
    /// If there is no such file.
    pub fn stat(&self, path: &[u8]) -> Result<Stat> {
        self.filesystem
            .stat(self.lookup(path, Follow::TrailingSlash)?)
    }

    /// Replaces the whole tree. Descriptors of preopened directories lead to the same paths in
    /// the new tree (which are made if missing); other open files stay with those who have them.
    ///
    /// # Errors
    ///
    /// If the node is no directory, or the tree is refused; then nothing has changed.
    pub fn replace_tree(&mut self, tree: &Node) -> Result<()> {
        let Node::Directory(entries) = tree else {
            return Err(Errno::Notdir);
        };
        let now = self.clocks.timestamp();
        let preopens: Vec<_> = self
            .descriptors
            .iter()
            .filter_map(|(fd, _, file)| Some((fd, file.preopen.clone()?)))
            .collect();
        let mut moved = Vec::new();
        self.try_change(|filesystem| {
            filesystem.check_tree(tree, 0)?;
            filesystem.clear(ROOT, now)?;
            filesystem.load(ROOT, entries, now)?;
            for (fd, preopen) in preopens {
                let inode = filesystem.create_directories(&preopen.path, now)?;
                filesystem.retain(inode)?;
                moved.push((fd, inode));
            }
            Ok(())
        })?;
        for (fd, inode) in moved {
            let file = self.descriptors.get_mut(fd)?;
            let resource = core::mem::replace(&mut file.resource, Resource::Inode(inode));
            if let Resource::Inode(old) = resource {
                self.filesystem_mut().release(old);
            }
        }
        self.filesystem_mut().retain(ROOT)?;
        let working_directory = core::mem::replace(&mut self.working_directory, ROOT);
        self.filesystem_mut().release(working_directory);
        Ok(())
    }

    /// Makes a change to a copy, which takes the place of the filesystem if all went well.
    fn try_change(&mut self, change: impl FnOnce(&mut Filesystem) -> Result<()>) -> Result<()> {
        let mut filesystem = Filesystem::clone(&self.filesystem);
        change(&mut filesystem)?;
        *self.filesystem_mut() = filesystem;
        Ok(())
    }

    /// What was captured of an output.
    #[must_use]
    pub fn captured(&self, stream: OutputStream) -> Vec<u8> {
        self.output(stream).captured.to_vec()
    }

    /// What was captured of an output, which then is empty and has its whole limit again.
    pub fn take_captured(&mut self, stream: OutputStream) -> Vec<u8> {
        let output = self.output_mut(stream);
        output.discarded = 0;
        core::mem::take(&mut output.captured).to_vec()
    }

    /// Adds to a captured output what the guest says elsewhere than through a descriptor. An output
    /// that goes to the embedder does not get it.
    pub fn note(&mut self, stream: OutputStream, bytes: &[u8]) {
        let output = self.output_mut(stream);
        if let OutputSink::Capture { limit } = output.sink {
            output.capture(bytes, limit);
        }
    }

    /// How many bytes of an output were beyond the limit and are lost.
    #[must_use]
    pub fn discarded(&self, stream: OutputStream) -> u64 {
        self.output(stream).discarded
    }

    /// Adds to what the guest can read from standard input.
    pub fn push_stdin(&mut self, bytes: &[u8]) {
        self.stdin.push(bytes);
    }

    /// The time that a clock shows; `None` if only the embedder knows, who then
    /// [tells](Self::told_time).
    pub(crate) fn time(&mut self, id: ClockId) -> Option<u64> {
        match self.clocks.read(id) {
            Reading::Time(time) => Some(time),
            Reading::Ask => None,
        }
    }

    /// Takes the time that the embedder tells, and gives the one that the guest is to see.
    pub(crate) fn told_time(&mut self, id: ClockId, time: u64) -> u64 {
        self.clocks.told(id, time)
    }

    /// The bytes of all files, which count against the quota.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.filesystem.used_bytes()
    }

    /// The entries of all directories.
    #[must_use]
    pub fn used_entries(&self) -> u64 {
        self.filesystem.used_entries()
    }
}
