//! `fd_readdir`.

use super::Call;
use crate::wasi::errno::Result;
use crate::wasi::filesystem::{InodeId, PARENT_COOKIE, SELF_COOKIE, inode_number};
use crate::wasi::types::{FileType, Rights};

/// Bytes of a `dirent`.
const DIRENT: usize = 24;

/// A buffer that takes entries until it is full; the last one may be cut.
struct Listing<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

impl Listing<'_> {
    fn push(&mut self, bytes: &[u8]) {
        let room = self.buffer.get_mut(self.used..).unwrap_or_default();
        let len = bytes.len().min(room.len());
        for (target, source) in room.iter_mut().zip(bytes) {
            *target = *source;
        }
        self.used += len;
    }

    /// Adds an entry; `false` if there is no room for more.
    fn entry(&mut self, cookie: u64, inode: InodeId, file_type: FileType, name: &[u8]) -> bool {
        let mut dirent = [0; DIRENT];
        dirent[0..8].copy_from_slice(&cookie.to_le_bytes());
        dirent[8..16].copy_from_slice(&inode_number(inode).to_le_bytes());
        dirent[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
        dirent[20] = file_type as u8;
        self.push(&dirent);
        self.push(name);
        self.used < self.buffer.len()
    }
}

impl Call<'_, '_> {
    pub(super) fn fd_readdir(
        &mut self,
        fd: u32,
        pointer: u64,
        len: u64,
        cookie: u64,
        result: u64,
    ) -> Result<()> {
        let inode = self.inode(fd, Rights::FD_READDIR)?;
        let filesystem = &*self.state.filesystem;
        let directory = filesystem.directory(inode)?;
        self.guest.check_size(result)?;
        let range = self.guest.range(pointer, len)?;
        let mut listing = Listing {
            buffer: self.guest.slice_mut(range),
            used: 0,
        };
        let own = [
            (SELF_COOKIE, inode, b".".as_slice()),
            (PARENT_COOKIE, directory.parent, b".."),
        ];
        let mut room = len > 0;
        for (entry, id, name) in own {
            room = room && (entry <= cookie || listing.entry(entry, id, FileType::Directory, name));
        }
        let mut entries = directory.after(cookie);
        while room {
            let Some((entry, name, id)) = entries.next() else {
                break;
            };
            room = listing.entry(entry, id, filesystem.file_type(id)?, name);
        }
        let used = listing.used as u64;
        self.guest.write_size(result, used)
    }
}
