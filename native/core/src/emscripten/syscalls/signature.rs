//! The names and the parameters of the system calls.

use crate::wasi::{Param, ValueType, Width};

/// The most parameters that a system call has.
pub(super) const MAX_PARAMS: usize = 6;

macro_rules! syscalls {
    ($($variant:ident $name:literal ($($param:ident),*);)*) => {
        /// A system call of Emscripten's C library.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Syscall {
            $(#[doc = concat!("`__syscall_", $name, "`")] $variant,)*
        }

        impl Syscall {
            /// Every system call.
            pub const ALL: &[Syscall] = &[$(Syscall::$variant),*];

            /// The system call that is imported under this name, such as `__syscall_openat`.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name.strip_prefix("__syscall_")? {
                    $($name => Some(Syscall::$variant),)*
                    _ => None,
                }
            }

            /// The name under which it is imported.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Syscall::$variant => concat!("__syscall_", $name),)*
                }
            }

            /// The types of its parameters. It returns an `i32`.
            #[must_use]
            pub const fn params(self) -> &'static [Param] {
                match self {
                    $(Syscall::$variant => &[$(Param::$param),*],)*
                }
            }
        }
    };
}

syscalls! {
    Accept4 "accept4" (I32, Size, Size, I32, I32, I32);
    Bind "bind" (I32, Size, Size, I32, I32, I32);
    Chdir "chdir" (Size);
    Chmod "chmod" (Size, I32);
    Connect "connect" (I32, Size, Size, I32, I32, I32);
    Dup "dup" (I32);
    Dup3 "dup3" (I32, I32, I32);
    Faccessat "faccessat" (I32, Size, I32, I32);
    Fadvise64 "fadvise64" (I32, I64, I64, I32);
    Fallocate "fallocate" (I32, I32, I64, I64);
    Fchdir "fchdir" (I32);
    Fchmod "fchmod" (I32, I32);
    Fchmodat "fchmodat" (I32, Size, I32, Size);
    Fchmodat2 "fchmodat2" (I32, Size, I32, I32);
    Fchown32 "fchown32" (I32, I32, I32);
    Fchownat "fchownat" (I32, Size, I32, I32, I32);
    Fcntl64 "fcntl64" (I32, I32, Size);
    Fdatasync "fdatasync" (I32);
    Fstat64 "fstat64" (I32, Size);
    Fstatfs64 "fstatfs64" (I32, Size, Size);
    Ftruncate64 "ftruncate64" (I32, I64);
    Getcwd "getcwd" (Size, Size);
    Getdents64 "getdents64" (I32, Size, Size);
    Getpeername "getpeername" (I32, Size, Size, I32, I32, I32);
    Getsockname "getsockname" (I32, Size, Size, I32, I32, I32);
    Getsockopt "getsockopt" (I32, I32, I32, Size, Size, I32);
    Ioctl "ioctl" (I32, I32, Size);
    Linkat "linkat" (I32, Size, I32, Size, I32);
    Listen "listen" (I32, I32, I32, I32, I32, I32);
    Lstat64 "lstat64" (Size, Size);
    Mkdirat "mkdirat" (I32, Size, I32);
    Mknodat "mknodat" (I32, Size, I32, I32);
    Newfstatat "newfstatat" (I32, Size, Size, I32);
    Newselect "_newselect" (I32, Size, Size, Size, Size);
    Openat "openat" (I32, Size, I32, Size);
    Pipe "pipe" (Size);
    Pipe2 "pipe2" (Size, I32);
    Poll "poll" (Size, I32, I32);
    Readlinkat "readlinkat" (I32, Size, Size, Size);
    Recvfrom "recvfrom" (I32, Size, Size, I32, Size, Size);
    Recvmsg "recvmsg" (I32, Size, I32, I32, I32, I32);
    Renameat "renameat" (I32, Size, I32, Size);
    Rmdir "rmdir" (Size);
    Sendmsg "sendmsg" (I32, Size, I32, Size, Size, I32);
    Sendto "sendto" (I32, Size, Size, I32, Size, Size);
    Shutdown "shutdown" (I32, I32, I32, I32, I32, I32);
    Socket "socket" (I32, I32, I32, I32, I32, I32);
    Stat64 "stat64" (Size, Size);
    Statfs64 "statfs64" (Size, Size, Size);
    Symlinkat "symlinkat" (Size, I32, Size);
    Truncate64 "truncate64" (Size, I64);
    Unlinkat "unlinkat" (I32, Size, I32);
    Utimensat "utimensat" (I32, Size, Size, I32);
}

impl Syscall {
    /// The WebAssembly types of its parameters in a guest of this width.
    pub fn value_types(self, width: Width) -> impl ExactSizeIterator<Item = ValueType> {
        self.params()
            .iter()
            .map(move |param| param.value_type(width))
    }

    /// The arguments that raw values stand for; missing ones are zero.
    pub(super) fn arguments(self, width: Width, raw: &[u64]) -> [u64; MAX_PARAMS] {
        let mut args = [0; MAX_PARAMS];
        for ((arg, param), raw) in args.iter_mut().zip(self.params()).zip(raw) {
            *arg = param.normalize(width, *raw);
        }
        args
    }
}
