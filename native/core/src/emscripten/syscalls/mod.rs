//! The `__syscall_*` functions of Emscripten's C library, over the filesystem of WASI.
//!
//! They are a state machine without input and output, as [`wasi`](crate::wasi) is, and work on
//! the same [`WasiState`]: descriptors are the same, and so are files. Paths are those of a
//! POSIX program: absolute ones start at the root of the tree, relative ones at a working
//! directory, and none leads out of the tree. A call returns a number: what POSIX has it return,
//! or an error negated. The errors are numbered as in WASI, which is how Emscripten's C library
//! numbers them.
//!
//! There are no permissions and no owners: everything is allowed, and changing them changes
//! nothing. There are no pipes, no sockets and no processes.

mod descriptor;
mod directory;
mod path;
mod poll;
mod signature;
mod stat;

pub use poll::PollRequest;
pub use signature::Syscall;

use crate::wasi::descriptor::OpenFile;
use crate::wasi::errno::Result;
use crate::wasi::filesystem::Filesystem;
use crate::wasi::memory::Guest;
use crate::wasi::{Abi, Answer, Errno, WasiState, Width};

/// Errors that Emscripten's C library has and WASI has not, or numbers otherwise.
const EAFNOSUPPORT: i32 = 5;
const EOPNOTSUPP: i32 = 138;

/// What comes of a system call.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It returns this.
    Return(i32),
    /// The embedder has to wait first; then [`complete`] goes on.
    Pending(PollRequest),
}

/// The number that an error is to the guest.
fn code(errno: Errno) -> i32 {
    match errno {
        Errno::Notcapable => i32::from(Errno::Perm.code()),
        Errno::Notsup => EOPNOTSUPP,
        errno => i32::from(errno.code()),
    }
}

impl From<Result<i32>> for Outcome {
    fn from(result: Result<i32>) -> Self {
        Outcome::Return(result.unwrap_or_else(|errno| -code(errno)))
    }
}

/// A system call in progress.
struct Call<'a, 'm> {
    state: &'a mut WasiState,
    guest: Guest<'m>,
}

/// Runs a system call of the guest.
///
/// `memory` is the guest's memory, `args` the raw arguments in order.
pub fn call(
    state: &mut WasiState,
    memory: &mut [u8],
    syscall: Syscall,
    width: Width,
    args: &[u64],
) -> Outcome {
    let guest = Guest::new(memory, Abi::preview1(width));
    Call { state, guest }.run(syscall, syscall.arguments(width, args))
}

/// Goes on with a system call that was pending.
///
/// The answers are those of [`Request::Wait`](crate::wasi::Request::Wait).
pub fn complete(
    state: &mut WasiState,
    memory: &mut [u8],
    request: PollRequest,
    answer: &Answer<'_>,
) -> Outcome {
    poll::resume(state, memory, request, answer)
}

fn done(result: Result<()>) -> Outcome {
    result.map(|()| 0).into()
}

impl Call<'_, '_> {
    fn run(&mut self, syscall: Syscall, args: [u64; signature::MAX_PARAMS]) -> Outcome {
        let [a, b, c, d, e, ..] = args;
        let int = |raw: u64| raw as u32 as i32;
        match syscall {
            Syscall::Chdir => done(self.chdir(a)),
            Syscall::Fchdir => done(self.fchdir(int(a))),
            Syscall::Getcwd => self.getcwd(a, b).into(),
            Syscall::Openat => self.openat(int(a), b, int(c)).into(),
            Syscall::Mkdirat => done(self.mkdirat(int(a), b)),
            Syscall::Mknodat => done(self.mknodat(int(a), b, int(c))),
            Syscall::Rmdir => done(self.rmdir(path::WORKING_DIRECTORY, a)),
            Syscall::Unlinkat => done(self.unlinkat(int(a), b, int(c))),
            Syscall::Renameat => done(self.renameat(int(a), b, int(c), d)),
            Syscall::Linkat => done(self.linkat(int(a), b, int(c), d, int(e))),
            Syscall::Symlinkat => done(self.symlinkat(a, int(b), c)),
            Syscall::Readlinkat => self.readlinkat(int(a), b, c, d).into(),
            Syscall::Truncate64 => done(self.truncate64(a, b as i64)),
            Syscall::Ftruncate64 => done(self.ftruncate64(int(a), b as i64)),
            Syscall::Fallocate => self.fallocate(int(a), int(b), c as i64, d as i64),
            Syscall::Fadvise64 | Syscall::Fdatasync | Syscall::Fchmod | Syscall::Fchown32 => {
                done(self.file(int(a)).map(drop))
            }
            Syscall::Chmod => done(self.exists(path::WORKING_DIRECTORY, a, 0)),
            Syscall::Fchmodat => done(self.exists(int(a), b, 0)),
            Syscall::Fchmodat2 => done(self.exists(int(a), b, int(d))),
            Syscall::Fchownat => done(self.exists(int(a), b, int(e))),
            Syscall::Faccessat => done(self.faccessat(int(a), b, int(c), int(d))),
            Syscall::Utimensat => done(self.utimensat(int(a), b, c, int(d))),
            Syscall::Stat64 => done(self.stat(path::WORKING_DIRECTORY, a, b, 0)),
            Syscall::Lstat64 => {
                done(self.stat(path::WORKING_DIRECTORY, a, b, path::AT_SYMLINK_NOFOLLOW))
            }
            Syscall::Newfstatat => done(self.stat(int(a), b, c, int(d))),
            Syscall::Fstat64 => done(self.fstat(int(a), b)),
            Syscall::Statfs64 => done(self.statfs(a, b, c)),
            Syscall::Fstatfs64 => done(self.fstatfs(int(a), b, c)),
            Syscall::Getdents64 => self.getdents64(int(a), b, c).into(),
            Syscall::Dup => self.dup(int(a)).into(),
            Syscall::Dup3 => self.dup3(int(a), int(b)).into(),
            Syscall::Fcntl64 => self.fcntl64(int(a), int(b), c).into(),
            Syscall::Ioctl => self.ioctl(int(a), int(b), c).into(),
            Syscall::Poll => self.poll(a, b, int(c)),
            Syscall::Newselect => self.select(int(a), [b, c, d], e),
            Syscall::Pipe | Syscall::Pipe2 => done(Err(Errno::Nosys)),
            Syscall::Socket => Outcome::Return(-EAFNOSUPPORT),
            Syscall::Accept4
            | Syscall::Bind
            | Syscall::Connect
            | Syscall::Getpeername
            | Syscall::Getsockname
            | Syscall::Getsockopt
            | Syscall::Listen
            | Syscall::Recvfrom
            | Syscall::Recvmsg
            | Syscall::Sendmsg
            | Syscall::Sendto
            | Syscall::Shutdown => done(self.file(int(a)).and(Err(Errno::Notsock))),
        }
    }

    fn filesystem(&mut self) -> &mut Filesystem {
        self.state.filesystem_mut()
    }

    fn file(&self, fd: i32) -> Result<&OpenFile> {
        self.state.descriptors.get(descriptor_number(fd)?)
    }
}

fn descriptor_number(fd: i32) -> Result<u32> {
    u32::try_from(fd).map_err(|_| Errno::Badf)
}
