//! Path resolution.

use smallvec::SmallVec;

use super::{Filesystem, InodeId, Kind, MAX_NAME, MAX_PATH, ROOT};
use crate::wasi::errno::{Errno, Result};

/// How many symbolic links one resolution follows, as on Linux.
const MAX_LINKS: usize = 40;

/// How many bytes one resolution walks: the path and the targets of all links in it. It bounds the
/// work of a call, in which nothing else runs: 41 texts of [`MAX_PATH`] bytes would take milliseconds.
const MAX_WALK: usize = 4 * (MAX_PATH + 1);

/// Where a resolution may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Only beneath the directory where it starts: absolute paths, absolute links and `..`
    /// beyond the start are refused.
    Beneath,
    /// Anywhere in this filesystem: absolute paths start at the root, and `..` stays there.
    Root,
}

/// What to do with a symbolic link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Follow it.
    Always,
    /// Follow it only if a slash comes after it.
    TrailingSlash,
    /// Never: the path names the entry itself, to be made, removed or renamed.
    Entry,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The directory and the name of the entry, unless the path ends in `.`, `..` or the root.
    pub(crate) entry: Option<(InodeId, Vec<u8>)>,
    /// What is there.
    pub(crate) inode: Option<InodeId>,
    /// The path ends in a slash, so it can only mean a directory.
    pub(crate) trailing_slash: bool,
}

impl Target {
    pub(crate) fn existing(&self) -> Result<InodeId> {
        self.inode.ok_or(Errno::Noent)
    }
}

/// Refuses what can be no path in this filesystem.
pub(crate) fn check_path(path: &[u8]) -> Result<()> {
    if path.len() > MAX_PATH {
        return Err(Errno::Nametoolong);
    }
    if path.contains(&0) {
        return Err(Errno::Inval);
    }
    if core::str::from_utf8(path).is_err() {
        return Err(Errno::Ilseq);
    }
    if path.is_empty() {
        return Err(Errno::Noent);
    }
    Ok(())
}

fn trim_slashes(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| *byte != b'/')
        .unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// The first component of a text without leading slashes, and what follows it.
fn split_component(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| *byte == b'/')
        .unwrap_or(text.len());
    text.split_at(end)
}

struct Walk<'a> {
    filesystem: &'a Filesystem,
    scope: Scope,
    current: InodeId,
    /// How many directories beneath the start `current` is.
    depth: usize,
    links: usize,
    /// How many bytes the texts had so far.
    bytes: usize,
    /// Texts still to be walked, the next one last; none is empty or begins with a slash.
    pending: SmallVec<[&'a [u8]; 4]>,
}

impl<'a> Walk<'a> {
    /// Puts a text before what is left to be walked.
    fn push(&mut self, text: &'a [u8]) -> Result<()> {
        self.bytes += text.len();
        if self.bytes > MAX_WALK {
            return Err(Errno::Nametoolong);
        }
        if text.first() == Some(&b'/') {
            match self.scope {
                Scope::Beneath => return Err(Errno::Perm),
                Scope::Root => self.current = ROOT,
            }
        }
        let text = trim_slashes(text);
        if !text.is_empty() {
            self.pending.push(text);
        }
        Ok(())
    }

    /// Takes the next component; also tells whether slashes follow it.
    fn next(&mut self) -> Option<(&'a [u8], bool)> {
        let text = self.pending.pop()?;
        let (component, rest) = split_component(text);
        let remaining = trim_slashes(rest);
        if !remaining.is_empty() {
            self.pending.push(remaining);
        }
        Some((component, !rest.is_empty()))
    }

    fn follow(&mut self, target: &'a [u8]) -> Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::Loop);
        }
        self.push(target)
    }

    fn ascend(&mut self) -> Result<()> {
        match self.scope {
            Scope::Beneath => self.depth = self.depth.checked_sub(1).ok_or(Errno::Perm)?,
            Scope::Root => {}
        }
        self.current = self.filesystem.directory(self.current)?.parent;
        Ok(())
    }

    fn run(mut self, follow: Follow) -> Result<Target> {
        let mut trailing_slash = false;
        while let Some((component, slash)) = self.next() {
            let last = self.pending.is_empty();
            trailing_slash |= last && slash;
            match component {
                b"." => {}
                b".." => self.ascend()?,
                _ => {
                    if component.len() > MAX_NAME {
                        return Err(Errno::Nametoolong);
                    }
                    let found = self.filesystem.directory(self.current)?.get(component);
                    let kind = found
                        .map(|id| Ok(&self.filesystem.inode(id)?.kind))
                        .transpose()?;
                    let follow_this = match follow {
                        _ if !last => true,
                        Follow::Always => true,
                        Follow::TrailingSlash => trailing_slash,
                        Follow::Entry => false,
                    };
                    match (found, kind) {
                        (_, Some(Kind::Symlink(target))) if follow_this => self.follow(target)?,
                        (Some(id), Some(Kind::Directory(_))) if !last => {
                            self.current = id;
                            self.depth += 1;
                        }
                        (None, _) if !last => return Err(Errno::Noent),
                        (Some(_), _) if !last => return Err(Errno::Notdir),
                        (inode, kind) => {
                            let directory = matches!(kind, Some(Kind::Directory(_)) | None);
                            if trailing_slash && !directory {
                                return Err(Errno::Notdir);
                            }
                            let entry = Some((self.current, component.to_vec()));
                            return Ok(Target {
                                entry,
                                inode,
                                trailing_slash,
                            });
                        }
                    }
                }
            }
        }
        Ok(Target {
            entry: None,
            inode: Some(self.current),
            trailing_slash,
        })
    }
}

impl Filesystem {
    /// Finds where `path` leads from the directory `start`.
    pub(crate) fn resolve(
        &self,
        start: InodeId,
        path: &[u8],
        scope: Scope,
        follow: Follow,
    ) -> Result<Target> {
        check_path(path)?;
        let start_inode = self.inode(start)?;
        if !matches!(start_inode.kind, Kind::Directory(_)) {
            return Err(Errno::Notdir);
        }
        let absolute = scope == Scope::Root && path.first() == Some(&b'/');
        if start_inode.links == 0 && !absolute {
            return Err(Errno::Noent);
        }
        let mut walk = Walk {
            filesystem: self,
            scope,
            current: start,
            depth: 0,
            links: 0,
            bytes: 0,
            pending: SmallVec::new(),
        };
        walk.push(path)?;
        walk.run(follow)
    }
}
