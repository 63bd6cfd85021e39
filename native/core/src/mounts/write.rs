//! Writing what has changed in a tree to a folder.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fchmod, mkdirat, openat, renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::load::OPEN_DIRECTORY;
use super::{FolderError, Result};
use crate::wasi::content::Content;
use crate::wasi::filesystem::{Filesystem, InodeId, Kind};

/// A directory of a tree.
type Place<'a> = (&'a Filesystem, InodeId);

/// Writes what differs between a directory as it was and as it is. `depth` is how many directories
/// of the folder are above it.
pub(super) fn directory(
    fd: &OwnedFd,
    path: &Path,
    before: Option<Place<'_>>,
    now: Place<'_>,
    depth: usize,
) -> Result<()> {
    let failed = |_| FolderError::new(path, "a tree that is damaged");
    if let Some((old, id)) = before {
        let present = now.0.directory(now.1).map_err(failed)?;
        for (name, child) in old.directory(id).map_err(failed)?.entries() {
            let kept = present
                .get(name)
                .is_some_and(|new| is_directory(now.0, new) == is_directory(old, child));
            if !kept {
                remove(fd.as_fd(), name, &below(path, name), (old, child))?;
            }
        }
    }
    for (name, child) in now.0.directory(now.1).map_err(failed)?.entries() {
        let before = before.and_then(|(old, id)| Some((old, old.directory(id).ok()?.get(name)?)));
        entry(fd, name, &below(path, name), before, (now.0, child), depth)?;
    }
    Ok(())
}

fn below(path: &Path, name: &[u8]) -> std::path::PathBuf {
    path.join(OsStr::from_bytes(name))
}

fn is_directory(filesystem: &Filesystem, id: InodeId) -> bool {
    filesystem.directory(id).is_ok()
}

fn entry(
    parent: &OwnedFd,
    name: &[u8],
    path: &Path,
    before: Option<Place<'_>>,
    (filesystem, id): Place<'_>,
    depth: usize,
) -> Result<()> {
    let failed = |errno: Errno| FolderError::new(path, errno);
    let old = before.and_then(|(old, id)| Some(&old.inode(id).ok()?.kind));
    let inode = filesystem
        .inode(id)
        .map_err(|_| FolderError::new(path, "a tree that is damaged"))?;
    match (&inode.kind, old) {
        (Kind::Directory(_), _) if before.is_some_and(|old| same(old, (filesystem, id))) => Ok(()),
        (Kind::Directory(_), old) => {
            let fd = open_or_make(parent, name).map_err(failed)?;
            let before = before.filter(|_| matches!(old, Some(Kind::Directory(_))));
            directory(&fd, path, before, (filesystem, id), depth + 1)
        }
        (Kind::File(new), Some(Kind::File(old))) if Arc::ptr_eq(new, old) => Ok(()),
        (Kind::File(content), _) => {
            file(parent, name, content).map_err(|error| FolderError::new(path, error))
        }
        // The standard streams are the guest's alone.
        (Kind::Device(_), _) => Ok(()),
        (Kind::Symlink(new), Some(Kind::Symlink(old))) if new == old => Ok(()),
        // Others who use the folder would be led out of it.
        (Kind::Symlink(target), _) if leads_out(target, depth) => match old {
            Some(_) => gone(unlinkat(parent, name, AtFlags::empty())).map_err(failed),
            None => Ok(()),
        },
        (Kind::Symlink(target), _) => link(parent, name, target).map_err(failed),
    }
}

/// Whether there is nothing to write. What others have made of it does not matter then.
fn same((old, old_id): Place<'_>, (now, id): Place<'_>) -> bool {
    let (Ok(before), Ok(present)) = (old.inode(old_id), now.inode(id)) else {
        return false;
    };
    match (&before.kind, &present.kind) {
        (Kind::Directory(before), Kind::Directory(present)) => {
            before.len() == present.len()
                && present.entries().all(|(name, child)| {
                    before
                        .get(name)
                        .is_some_and(|old_child| same((old, old_child), (now, child)))
                })
        }
        (Kind::File(before), Kind::File(present)) => Arc::ptr_eq(before, present),
        (Kind::Symlink(before), Kind::Symlink(present)) => before == present,
        (Kind::Device(_), Kind::Device(_)) => true,
        _ => false,
    }
}

// What these need of the stack is needed once, and not for each level of a tree.

#[inline(never)]
fn open_or_make(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    match openat(parent, name, OPEN_DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => {
            mkdirat(parent, name, Mode::from_raw_mode(0o777))?;
            openat(parent, name, OPEN_DIRECTORY, Mode::empty())
        }
        opened => opened,
    }
}

#[inline(never)]
fn link(parent: &OwnedFd, name: &[u8], target: &[u8]) -> rustix::io::Result<()> {
    replace(parent, name, |temporary| {
        symlinkat(target, parent, temporary)
    })
}

/// Whether a link could lead out of the folder: `..` is allowed only at its beginning, and only as
/// often as there are directories.
fn leads_out(target: &[u8], depth: usize) -> bool {
    let parts = || {
        target
            .split(|byte| *byte == b'/')
            .filter(|part| !matches!(*part, b"" | b"."))
    };
    let up = parts().take_while(|part| *part == b"..").count();
    target.starts_with(b"/") || up > depth || parts().skip(up).any(|part| part == b"..")
}

/// Puts a whole new file in place of what is there.
#[inline(never)]
fn file(parent: &OwnedFd, name: &[u8], content: &Content) -> std::io::Result<()> {
    const PIECE: usize = 64 << 10;
    let mode = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .ok()
        .filter(|stat| FileType::from_raw_mode(stat.st_mode).is_file())
        .map(|stat| Mode::from_raw_mode(stat.st_mode));
    replace(parent, name, |temporary| {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = openat(parent, temporary, flags, Mode::from_raw_mode(0o666))?;
        if let Some(mode) = mode {
            fchmod(&fd, mode)?;
        }
        let mut file = std::fs::File::from(fd);
        let mut piece = vec![0; PIECE];
        let mut offset = 0;
        loop {
            let len = content.read_at(offset, &mut piece);
            let Some(bytes) = piece.get(..len).filter(|bytes| !bytes.is_empty()) else {
                return Ok(());
            };
            file.write_all(bytes)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            offset += len as u64;
        }
    })
    .map_err(Into::into)
}

/// Has something made under another name, and then put in place of what is there at once.
fn replace(
    parent: &OwnedFd,
    name: &[u8],
    make: impl Fn(&[u8]) -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".wasmbeam-{}-{number}", std::process::id()).into_bytes();
        match make(&temporary) {
            // Somebody's file has this name.
            Err(Errno::EXIST) => {}
            made => {
                let put = made.and_then(|()| renameat(parent, &*temporary, parent, name));
                if put.is_err() {
                    let _ = unlinkat(parent, &*temporary, AtFlags::empty());
                }
                return put;
            }
        }
    }
}

/// Removes what the tree had at a place. What others have put into a directory stays, and so does then
/// the directory.
fn remove(
    parent: BorrowedFd<'_>,
    name: &[u8],
    path: &Path,
    (filesystem, id): Place<'_>,
) -> Result<()> {
    let failed = |errno: Errno| FolderError::new(path, errno);
    let Ok(directory) = filesystem.directory(id) else {
        return gone(unlinkat(parent, name, AtFlags::empty())).map_err(failed);
    };
    match openat(parent, name, OPEN_DIRECTORY, Mode::empty()) {
        Ok(fd) => {
            for (name, child) in directory.entries() {
                remove(fd.as_fd(), name, &below(path, name), (filesystem, child))?;
            }
        }
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        Err(errno) => return Err(failed(errno)),
    }
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
        removed => gone(removed).map_err(failed),
    }
}

/// Whether it is away, whoever did that.
fn gone(removed: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        // Somebody has put a directory there.
        Err(Errno::ISDIR | Errno::PERM) => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::leads_out;

    #[test]
    fn links_that_lead_out_are_told_from_others() {
        for (target, depth) in [
            ("/etc/passwd", 5),
            ("..", 0),
            ("../x", 0),
            ("../../x", 1),
            ("a/../x", 3),
            ("./../..", 1),
            ("../a/..", 4),
        ] {
            assert!(leads_out(target.as_bytes(), depth), "{target} at {depth}");
        }
        for (target, depth) in [("a", 0), ("a/b", 0), ("./a", 0), ("..", 1), ("../../a", 2)] {
            assert!(!leads_out(target.as_bytes(), depth), "{target} at {depth}");
        }
    }
}
