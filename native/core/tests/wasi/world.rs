//! A guest without code: memory, a state, and calls made by hand.

use wasmbeam_core::wasi::{
    self, Abi, Answer, ClockSource, Function, Node, Outcome, RandomSource, Request, WasiConfig,
    WasiState, Width,
};

pub const SUCCESS: u16 = 0;
pub const AGAIN: u16 = 6;
pub const BADF: u16 = 8;
pub const BUSY: u16 = 10;
pub const EXIST: u16 = 20;
pub const FAULT: u16 = 21;
pub const FBIG: u16 = 22;
pub const ILSEQ: u16 = 25;
pub const INVAL: u16 = 28;
pub const IO: u16 = 29;
pub const ISDIR: u16 = 31;
pub const LOOP: u16 = 32;
pub const MFILE: u16 = 33;
pub const NAMETOOLONG: u16 = 37;
pub const NOENT: u16 = 44;
pub const NOSPC: u16 = 51;
pub const NOTDIR: u16 = 54;
pub const NOTEMPTY: u16 = 55;
pub const NOTSOCK: u16 = 57;
pub const PERM: u16 = 63;
pub const SPIPE: u16 = 70;
pub const NOTCAPABLE: u16 = 76;

pub const CREATE: u64 = 1;
pub const DIRECTORY: u64 = 2;
pub const EXCLUSIVE: u64 = 4;
pub const TRUNCATE: u64 = 8;

pub const APPEND: u64 = 1;
pub const NONBLOCK: u64 = 4;

pub const SET: u64 = 0;
pub const CURRENT: u64 = 1;
pub const END: u64 = 2;

pub const FD_READ: u64 = 1 << 1;
pub const FD_SEEK: u64 = 1 << 2;
pub const FD_WRITE: u64 = 1 << 6;
pub const ALL_RIGHTS: u64 = (1 << 30) - 1;
pub const DIRECTORY_RIGHTS: u64 = ALL_RIGHTS & !FD_WRITE;

/// The descriptor of the root.
pub const ROOT: u64 = 3;

/// The moment at which the fixed clock of a world stands.
pub const NOW: u64 = 1_700_000_000_000_000_000;

const MEMORY: usize = 4 << 20;
/// Where results are written, where arrays are, where paths are, and where data is.
pub const RESULT: u64 = 0x100;
pub const ARRAY: u64 = 0x1000;
pub const PATH: u64 = 0x10000;
pub const OTHER_PATH: u64 = 0x40000;
pub const DATA: u64 = 0x80000;

pub type Result<T> = core::result::Result<T, u16>;

#[derive(Clone)]
pub struct World {
    pub state: WasiState,
    pub memory: Vec<u8>,
    pub abi: Abi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filestat {
    pub device: u64,
    pub inode: u64,
    pub file_type: u8,
    pub links: u64,
    pub size: u64,
    pub accessed: u64,
    pub modified: u64,
    pub changed: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirent {
    pub next: u64,
    pub inode: u64,
    pub file_type: u8,
    pub name: String,
}

pub fn config() -> WasiConfig {
    WasiConfig {
        clock: ClockSource::Fixed(NOW),
        random: RandomSource::Seed(7),
        ..WasiConfig::default()
    }
}

/// Runs a test in a world of each width.
pub fn in_both(test: impl Fn(&mut World)) {
    in_both_with(config(), test);
}

pub fn in_both_with(config: WasiConfig, test: impl Fn(&mut World)) {
    for width in [Width::W32, Width::W64] {
        test(&mut World::new(Abi::preview1(width), config.clone()));
    }
}

/// A directory of these entries.
pub fn tree<const N: usize>(entries: [(&str, Node); N]) -> Node {
    Node::Directory(
        entries
            .map(|(name, node)| (name.as_bytes().to_vec(), node))
            .into(),
    )
}

pub fn file(bytes: &str) -> Node {
    Node::File(bytes.as_bytes().to_vec())
}

pub fn link(target: &str) -> Node {
    Node::Symlink(target.as_bytes().to_vec())
}

fn check(errno: u16) -> Result<()> {
    if errno == SUCCESS { Ok(()) } else { Err(errno) }
}

impl World {
    pub fn new(abi: Abi, config: WasiConfig) -> Self {
        let state = WasiState::new(config).expect("a good configuration");
        World {
            state,
            memory: vec![0; MEMORY],
            abi,
        }
    }

    pub fn outcome(&mut self, function: Function, args: &[u64]) -> Outcome {
        wasi::call(&mut self.state, &mut self.memory, function, self.abi, args)
    }

    pub fn complete(&mut self, request: Request, answer: &Answer<'_>) -> Outcome {
        wasi::complete(&mut self.state, &mut self.memory, request, answer)
    }

    /// Calls a function that is done at once, or after it has yielded.
    pub fn errno(&mut self, function: Function, args: &[u64]) -> u16 {
        let mut outcome = self.outcome(function, args);
        loop {
            match outcome {
                Outcome::Pending(request @ Request::Yield(_)) => {
                    outcome = self.complete(request, &Answer::Elapsed);
                }
                outcome => return outcome.errno().expect("a function that is done"),
            }
        }
    }

    pub fn call(&mut self, function: Function, args: &[u64]) -> Result<()> {
        check(self.errno(function, args))
    }

    pub fn size(&self) -> u64 {
        self.abi.width.bytes()
    }

    pub fn put(&mut self, pointer: u64, bytes: &[u8]) {
        self.memory[pointer as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    pub fn put_size(&mut self, pointer: u64, value: u64) {
        let bytes = value.to_le_bytes();
        self.put(pointer, &bytes[..self.size() as usize]);
    }

    pub fn get(&self, pointer: u64, len: u64) -> Vec<u8> {
        self.memory[pointer as usize..][..len as usize].to_vec()
    }

    pub fn get_uint(&self, pointer: u64, len: u64) -> u64 {
        let mut bytes = [0; 8];
        bytes[..len as usize].copy_from_slice(&self.get(pointer, len));
        u64::from_le_bytes(bytes)
    }

    pub fn get_size(&self, pointer: u64) -> u64 {
        self.get_uint(pointer, self.size())
    }

    /// Puts an array of buffers of these lengths, one after the other in the data.
    pub fn put_buffers(&mut self, lengths: &[usize]) -> (u64, u64) {
        let mut data = DATA;
        for (index, len) in (0..).zip(lengths) {
            let entry = ARRAY + index * 2 * self.size();
            self.put_size(entry, data);
            self.put_size(entry + self.size(), *len as u64);
            data += *len as u64;
        }
        (ARRAY, lengths.len() as u64)
    }

    pub fn path(&mut self, path: &str) -> (u64, u64) {
        self.put(PATH, path.as_bytes());
        (PATH, path.len() as u64)
    }

    pub fn other_path(&mut self, path: &str) -> (u64, u64) {
        self.put(OTHER_PATH, path.as_bytes());
        (OTHER_PATH, path.len() as u64)
    }

    pub fn open_with(
        &mut self,
        dir: u64,
        lookup: u64,
        path: &str,
        open: u64,
        rights: (u64, u64),
        flags: u64,
    ) -> Result<u64> {
        let (pointer, len) = self.path(path);
        let (base, inheriting) = rights;
        let args = [
            dir, lookup, pointer, len, open, base, inheriting, flags, RESULT,
        ];
        self.call(Function::PathOpen, &args)?;
        Ok(self.get_uint(RESULT, 4))
    }

    /// Opens beneath the root for reading and writing, following links.
    pub fn open(&mut self, path: &str, open: u64) -> Result<u64> {
        self.open_with(ROOT, 1, path, open, (ALL_RIGHTS, ALL_RIGHTS), 0)
    }

    pub fn open_directory(&mut self, path: &str) -> Result<u64> {
        self.open_with(ROOT, 1, path, DIRECTORY, (DIRECTORY_RIGHTS, ALL_RIGHTS), 0)
    }

    pub fn close(&mut self, fd: u64) -> Result<()> {
        self.call(Function::FdClose, &[fd])
    }

    pub fn write(&mut self, fd: u64, bytes: &[u8]) -> Result<u64> {
        self.put(DATA, bytes);
        let (pointer, count) = self.put_buffers(&[bytes.len()]);
        self.call(Function::FdWrite, &[fd, pointer, count, RESULT])?;
        Ok(self.get_size(RESULT))
    }

    pub fn pwrite(&mut self, fd: u64, bytes: &[u8], offset: u64) -> Result<u64> {
        self.put(DATA, bytes);
        let (pointer, count) = self.put_buffers(&[bytes.len()]);
        self.call(Function::FdPwrite, &[fd, pointer, count, offset, RESULT])?;
        Ok(self.get_size(RESULT))
    }

    pub fn read(&mut self, fd: u64, len: usize) -> Result<Vec<u8>> {
        let (pointer, count) = self.put_buffers(&[len]);
        self.call(Function::FdRead, &[fd, pointer, count, RESULT])?;
        Ok(self.get(DATA, self.get_size(RESULT)))
    }

    pub fn pread(&mut self, fd: u64, len: usize, offset: u64) -> Result<Vec<u8>> {
        let (pointer, count) = self.put_buffers(&[len]);
        self.call(Function::FdPread, &[fd, pointer, count, offset, RESULT])?;
        Ok(self.get(DATA, self.get_size(RESULT)))
    }

    pub fn seek(&mut self, fd: u64, delta: i64, whence: u64) -> Result<u64> {
        self.call(Function::FdSeek, &[fd, delta as u64, whence, RESULT])?;
        Ok(self.get_uint(RESULT, 8))
    }

    pub fn tell(&mut self, fd: u64) -> Result<u64> {
        self.call(Function::FdTell, &[fd, RESULT])?;
        Ok(self.get_uint(RESULT, 8))
    }

    fn filestat(&self) -> Filestat {
        let field = |offset| self.get_uint(RESULT + offset, 8);
        Filestat {
            device: field(0),
            inode: field(8),
            file_type: self.get(RESULT + 16, 1)[0],
            links: field(24),
            size: field(32),
            accessed: field(40),
            modified: field(48),
            changed: field(56),
        }
    }

    pub fn fstat(&mut self, fd: u64) -> Result<Filestat> {
        self.call(Function::FdFilestatGet, &[fd, RESULT])?;
        Ok(self.filestat())
    }

    pub fn stat(&mut self, path: &str, lookup: u64) -> Result<Filestat> {
        let (pointer, len) = self.path(path);
        self.call(
            Function::PathFilestatGet,
            &[ROOT, lookup, pointer, len, RESULT],
        )?;
        Ok(self.filestat())
    }

    /// File type, flags, base and inheriting rights of a descriptor.
    pub fn fdstat(&mut self, fd: u64) -> Result<(u8, u64, u64, u64)> {
        self.call(Function::FdFdstatGet, &[fd, RESULT])?;
        let field = |offset, len| self.get_uint(RESULT + offset, len);
        Ok((field(0, 1) as u8, field(2, 2), field(8, 8), field(16, 8)))
    }

    pub fn create_directory(&mut self, path: &str) -> Result<()> {
        let (pointer, len) = self.path(path);
        self.call(Function::PathCreateDirectory, &[ROOT, pointer, len])
    }

    pub fn remove_directory(&mut self, path: &str) -> Result<()> {
        let (pointer, len) = self.path(path);
        self.call(Function::PathRemoveDirectory, &[ROOT, pointer, len])
    }

    pub fn unlink(&mut self, path: &str) -> Result<()> {
        let (pointer, len) = self.path(path);
        self.call(Function::PathUnlinkFile, &[ROOT, pointer, len])
    }

    pub fn symlink(&mut self, target: &str, path: &str) -> Result<()> {
        let (target, target_len) = self.other_path(target);
        let (pointer, len) = self.path(path);
        self.call(
            Function::PathSymlink,
            &[target, target_len, ROOT, pointer, len],
        )
    }

    pub fn readlink(&mut self, path: &str, room: u64) -> Result<Vec<u8>> {
        let (pointer, len) = self.path(path);
        self.call(
            Function::PathReadlink,
            &[ROOT, pointer, len, DATA, room, RESULT],
        )?;
        Ok(self.get(DATA, self.get_size(RESULT)))
    }

    pub fn hard_link(&mut self, lookup: u64, old: &str, new: &str) -> Result<()> {
        let (old, old_len) = self.path(old);
        let (new, new_len) = self.other_path(new);
        self.call(
            Function::PathLink,
            &[ROOT, lookup, old, old_len, ROOT, new, new_len],
        )
    }

    pub fn rename(&mut self, old: &str, new: &str) -> Result<()> {
        let (old, old_len) = self.path(old);
        let (new, new_len) = self.other_path(new);
        self.call(
            Function::PathRename,
            &[ROOT, old, old_len, ROOT, new, new_len],
        )
    }

    /// Entries of a directory from a cookie on, as many as fit wholly into so many bytes, and
    /// whether the buffer was filled.
    pub fn read_entries(&mut self, fd: u64, room: u64, cookie: u64) -> Result<(Vec<Dirent>, bool)> {
        self.call(Function::FdReaddir, &[fd, DATA, room, cookie, RESULT])?;
        let used = self.get_size(RESULT);
        Ok((self.entries(used), used == room))
    }

    /// The whole entries in so many bytes of the data.
    pub fn entries(&self, used: u64) -> Vec<Dirent> {
        let mut entries = Vec::new();
        let mut at = DATA;
        while at + 24 <= DATA + used {
            let len = self.get_uint(at + 16, 4);
            if at + 24 + len > DATA + used {
                break;
            }
            entries.push(Dirent {
                next: self.get_uint(at, 8),
                inode: self.get_uint(at + 8, 8),
                file_type: self.get(at + 20, 1)[0],
                name: String::from_utf8(self.get(at + 24, len)).expect("a name"),
            });
            at += 24 + len;
        }
        entries
    }

    /// The names in a directory but `.` and `..`.
    pub fn list(&mut self, path: &str) -> Result<Vec<String>> {
        let fd = self.open_directory(path)?;
        let (entries, _) = self.read_entries(fd, 65536, 2)?;
        self.close(fd)?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    pub fn contents(&self, path: &str) -> Vec<u8> {
        self.state.read_file(path.as_bytes()).expect("a file")
    }
}
