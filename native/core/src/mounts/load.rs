//! Reading a folder.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::{FolderError, Result};
use crate::wasi::Node;
use crate::wasi::filesystem::{MAX_DEPTH, check_name};

pub(super) const OPEN_DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// How much may be read.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub files: u64,
    pub bytes: u64,
}

/// Reads a folder and everything in it: directories, files and symbolic links. Anything else is left
/// out.
///
/// # Errors
/// Names what cannot be read or has no room.
pub fn load(folder: &Path, room: &mut Room) -> Result<Node> {
    directory(open_folder(folder)?, folder, room, 0)
}

/// Opens a folder, to which links may lead.
pub(super) fn open_folder(folder: &Path) -> Result<OwnedFd> {
    let flags = OPEN_DIRECTORY.difference(OFlags::NOFOLLOW);
    openat(CWD, folder, flags, Mode::empty()).map_err(|errno| FolderError::new(folder, errno))
}

fn directory(fd: OwnedFd, path: &Path, room: &mut Room, depth: usize) -> Result<Node> {
    let failed = |errno: Errno| FolderError::new(path, errno);
    if depth > MAX_DEPTH {
        return Err(FolderError::new(path, "too many directories deep"));
    }
    let mut entries = BTreeMap::new();
    for entry in Dir::read_from(&fd).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let path = path.join(OsStr::from_bytes(name));
        if let Some(node) = node(fd.as_fd(), name, &path, room, depth)? {
            entries.insert(name.to_vec(), node);
        }
    }
    Ok(Node::Directory(entries))
}

/// What an entry is. None if it is nothing that a guest can have, or is gone by now.
fn node(
    parent: impl AsFd,
    name: &[u8],
    path: &Path,
    room: &mut Room,
    depth: usize,
) -> Result<Option<Node>> {
    match look(parent.as_fd(), name, path, room)? {
        Opened::Directory(fd) => directory(fd, path, room, depth + 1).map(Some),
        Opened::File(fd) => file(fd, path, room).map(Some),
        Opened::Symlink(target) => {
            take(room, path, target.len())?;
            Ok(Some(Node::Symlink(target)))
        }
        Opened::Other => Ok(None),
    }
}

/// Opens an entry that there is room for. Not a part of the functions that call each other for each
/// level: what it needs of the stack is needed once.
#[inline(never)]
fn look(parent: BorrowedFd<'_>, name: &[u8], path: &Path, room: &mut Room) -> Result<Opened> {
    let found = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .and_then(|stat| open(parent, name, FileType::from_raw_mode(stat.st_mode)));
    let opened = match found {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Ok(Opened::Other),
        Err(errno) => return Err(FolderError::new(path, errno)),
    };
    if matches!(opened, Opened::Other) {
        return Ok(opened);
    }
    check_name(name).map_err(|_| FolderError::new(path, "a name that no guest can have"))?;
    room.files = room
        .files
        .checked_sub(1)
        .ok_or_else(|| FolderError::new(path, "more files than the quota allows"))?;
    Ok(opened)
}

enum Opened {
    Directory(OwnedFd),
    File(OwnedFd),
    Symlink(Vec<u8>),
    Other,
}

fn open(parent: impl AsFd, name: &[u8], file_type: FileType) -> rustix::io::Result<Opened> {
    // Whatever it is by now: no link is followed, and no pipe waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match file_type {
        FileType::Directory => {
            openat(parent, name, OPEN_DIRECTORY, Mode::empty()).map(Opened::Directory)
        }
        FileType::RegularFile => {
            let fd = openat(parent, name, flags, Mode::empty())?;
            let is_file = FileType::from_raw_mode(fstat(&fd)?.st_mode).is_file();
            Ok(if is_file {
                Opened::File(fd)
            } else {
                Opened::Other
            })
        }
        FileType::Symlink => {
            readlinkat(parent, name, Vec::new()).map(|target| Opened::Symlink(target.into_bytes()))
        }
        _ => Ok(Opened::Other),
    }
}

#[inline(never)]
fn file(fd: OwnedFd, path: &Path, room: &mut Room) -> Result<Node> {
    let failed = |error: std::io::Error| FolderError::new(path, error);
    let mut bytes = Vec::new();
    // It may be longer than it says.
    let mut file = std::fs::File::from(fd).take(room.bytes.saturating_add(1));
    file.read_to_end(&mut bytes).map_err(failed)?;
    take(room, path, bytes.len())?;
    Ok(Node::File(bytes))
}

fn take(room: &mut Room, path: &Path, len: usize) -> Result<()> {
    room.bytes = room
        .bytes
        .checked_sub(len as u64)
        .ok_or_else(|| FolderError::new(path, "more bytes than the quota allows"))?;
    Ok(())
}
