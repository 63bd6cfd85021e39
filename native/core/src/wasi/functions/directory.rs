//! `fd_readdir`.

use super::Call;
use crate::wasi::errno::Result;
use crate::wasi::filesystem::{InodeId, PARENT_COOKIE, SELF_COOKIE, inode_number};
use crate::wasi::outcome::{Outcome, Request, YieldRequest, YieldResume};
use crate::wasi::types::{FileType, Rights};

/// Bytes of a `dirent`.
const DIRENT: usize = 24;

/// Entries that are listed at once; between two such pieces others may run. It cannot be a part
/// only: a buffer that is not full means the end of the directory.
const PIECE: usize = 512;

/// How far a listing has come.
enum Listed {
    /// So many bytes of the buffer are used, and that was all that there is or has room.
    All(usize),
    Part {
        used: usize,
        cookie: u64,
    },
}

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
    /// Lists from the cookie on.
    pub(super) fn fd_readdir(&mut self, cookie: u64) -> Outcome {
        self.resume_listing(0, cookie)
    }

    /// Lists on, in a buffer of which a part is used.
    pub(super) fn resume_listing(&mut self, used: usize, cookie: u64) -> Outcome {
        match self.list(used, cookie) {
            Ok(Listed::All(used)) => {
                let [_, _, _, _, result, ..] = self.invocation.args;
                self.guest.write_size(result, used as u64).into()
            }
            Ok(Listed::Part { used, cookie }) => {
                let resume = YieldResume::Listing {
                    invocation: Box::new(self.invocation),
                    used,
                    cookie,
                };
                Outcome::Pending(Request::Yield(YieldRequest { resume }))
            }
            Err(errno) => Outcome::Return(Err(errno)),
        }
    }

    fn list(&mut self, used: usize, cookie: u64) -> Result<Listed> {
        let [fd, pointer, len, _, result, ..] = self.invocation.args;
        let inode = self.inode(fd as u32, Rights::FD_READDIR)?;
        let filesystem = &*self.state.filesystem;
        let directory = filesystem.directory(inode)?;
        self.guest.check_size(result)?;
        let range = self.guest.range(pointer, len)?;
        let mut listing = Listing {
            buffer: self.guest.slice_mut(range),
            used,
        };
        let own = [
            (SELF_COOKIE, inode, b".".as_slice()),
            (PARENT_COOKIE, directory.parent, b".."),
        ];
        let mut room = len > used as u64;
        for (entry, id, name) in own {
            room = room && (entry <= cookie || listing.entry(entry, id, FileType::Directory, name));
        }
        let mut last = cookie;
        let mut entries = directory.after(cookie);
        for _ in 0..PIECE {
            if !room {
                break;
            }
            let Some((entry, name, id)) = entries.next() else {
                room = false;
                break;
            };
            room = listing.entry(entry, id, filesystem.file_type(id)?, name);
            last = entry;
        }
        let used = listing.used;
        Ok(if room {
            Listed::Part { used, cookie: last }
        } else {
            Listed::All(used)
        })
    }
}
