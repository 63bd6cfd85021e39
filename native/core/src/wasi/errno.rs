//! The error codes of WASI preview 1.

/// An error code as the guest sees it; `0` is success and has no variant here.
///
/// Emscripten's C library uses the same numbers, so the same type serves its system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Errno {
    /// Permission denied.
    Acces = 2,
    /// Resource unavailable, or the operation would block.
    Again = 6,
    /// Bad file descriptor.
    Badf = 8,
    /// Device or resource busy.
    Busy = 10,
    /// Directory or file exists.
    Exist = 20,
    /// Bad address.
    Fault = 21,
    /// File too large.
    Fbig = 22,
    /// Illegal byte sequence.
    Ilseq = 25,
    /// Invalid argument.
    Inval = 28,
    /// Input or output error.
    Io = 29,
    /// Is a directory.
    Isdir = 31,
    /// Too many levels of symbolic links.
    Loop = 32,
    /// File descriptor table is full.
    Mfile = 33,
    /// Too many links.
    Mlink = 34,
    /// File name too long.
    Nametoolong = 37,
    /// No such file or directory.
    Noent = 44,
    /// Not enough space.
    Nomem = 48,
    /// No space left on the device.
    Nospc = 51,
    /// Function not supported.
    Nosys = 52,
    /// Not a directory.
    Notdir = 54,
    /// Directory not empty.
    Notempty = 55,
    /// Not a socket.
    Notsock = 57,
    /// Not supported.
    Notsup = 58,
    /// Not a terminal.
    Notty = 59,
    /// Value too large to be stored.
    Overflow = 61,
    /// Operation not permitted.
    Perm = 63,
    /// Broken pipe.
    Pipe = 64,
    /// Result too large.
    Range = 68,
    /// Read-only file system.
    Rofs = 69,
    /// Invalid seek.
    Spipe = 70,
    /// Cross-device link.
    Xdev = 75,
    /// The descriptor lacks the right.
    Notcapable = 76,
}

impl Errno {
    /// The number that the guest sees.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }
}

/// The result of one WASI operation.
pub(crate) type Result<T> = core::result::Result<T, Errno>;
