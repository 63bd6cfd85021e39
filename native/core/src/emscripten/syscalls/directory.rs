//! `getdents64`.

use super::{Call, descriptor_number};
use crate::wasi::Errno;
use crate::wasi::descriptor::Resource;
use crate::wasi::errno::Result;
use crate::wasi::filesystem::{InodeId, PARENT_COOKIE, SELF_COOKIE, inode_number};
use crate::wasi::types::FileType;

/// Where the name is in a `dirent`.
const NAME: usize = 19;

/// The most bytes that one call fills, which bounds its time.
const MAX_LEN: u64 = 32 << 10;

fn type_code(file_type: FileType) -> u8 {
    match file_type {
        FileType::Unknown => 0,
        FileType::CharacterDevice => 2,
        FileType::Directory => 4,
        FileType::RegularFile => 8,
        FileType::SymbolicLink => 10,
    }
}

/// A buffer that takes whole entries.
struct Listing<'a> {
    buffer: &'a mut [u8],
    used: usize,
    /// The cookie of the last entry that was taken.
    cookie: u64,
}

impl Listing<'_> {
    /// Takes an entry; `false` if there is no room for it.
    fn entry(&mut self, cookie: u64, inode: InodeId, file_type: FileType, name: &[u8]) -> bool {
        let len = (NAME + name.len() + 1).next_multiple_of(8);
        let Some(entry) = self.buffer.get_mut(self.used..self.used + len) else {
            return false;
        };
        entry.fill(0);
        entry[0..8].copy_from_slice(&inode_number(inode).to_le_bytes());
        entry[8..16].copy_from_slice(&cookie.to_le_bytes());
        entry[16..18].copy_from_slice(&(len as u16).to_le_bytes());
        entry[18] = type_code(file_type);
        entry[NAME..NAME + name.len()].copy_from_slice(name);
        self.used += len;
        self.cookie = cookie;
        true
    }
}

impl Call<'_, '_> {
    /// Entries from the offset of the descriptor on, which is the cookie of the last one read.
    pub(super) fn getdents64(&mut self, fd: i32, pointer: u64, len: u64) -> Result<i32> {
        let file = self.state.descriptors.get(descriptor_number(fd)?)?;
        let Resource::Inode(inode) = file.resource else {
            return Err(Errno::Notdir);
        };
        let cookie = file.offset;
        let filesystem = &*self.state.filesystem;
        let directory = filesystem.directory(inode)?;
        let range = self.guest.range(pointer, len)?;
        let range = range.start..range.end.min(range.start + MAX_LEN as usize);
        let mut listing = Listing {
            buffer: self.guest.slice_mut(range),
            used: 0,
            cookie,
        };
        let own = [
            (SELF_COOKIE, inode, b".".as_slice()),
            (PARENT_COOKIE, directory.parent, b".."),
        ];
        let mut room = true;
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
        if !room && listing.used == 0 {
            return Err(Errno::Inval);
        }
        let (used, cookie) = (listing.used, listing.cookie);
        self.state
            .descriptors
            .get_mut(descriptor_number(fd)?)?
            .offset = cookie;
        Ok(used as i32)
    }
}
