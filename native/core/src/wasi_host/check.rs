//! Checks of a call's arguments before anything is done: a pointer out of bounds is `EFAULT`, and
//! nothing has happened.

use crate::wasi::errno::{Errno, Result};
use crate::wasi::filesystem::MAX_PATH;
use crate::wasi::memory::Guest;
use crate::wasi::{Function, MAX_PARAMS, Version};

/// Bytes of an `fdstat`.
const FDSTAT: u64 = 24;
/// Bytes of a `prestat`.
const PRESTAT: u64 = 8;
/// Bytes of a descriptor's number.
const DESCRIPTOR: u64 = 4;
/// Bytes of an offset in a file.
const OFFSET: u64 = 8;

/// Bytes of a `filestat`.
pub(super) fn filestat(version: Version) -> u64 {
    match version {
        Version::Preview1 => 64,
        Version::Unstable => 56,
    }
}

pub(super) fn arguments(
    guest: &Guest<'_>,
    function: Function,
    args: &[u64; MAX_PARAMS],
) -> Result<()> {
    let [a, b, c, d, e, f, g, _, i] = *args;
    let bytes = |pointer, len| guest.range(pointer, len).map(drop);
    let path = |pointer, len| match bytes(pointer, len) {
        Ok(()) if len > MAX_PATH as u64 => Err(Errno::Nametoolong),
        checked => checked,
    };
    match function {
        Function::FdFdstatGet => bytes(b, FDSTAT),
        Function::FdFilestatGet => bytes(b, filestat(guest.abi.version)),
        Function::FdPrestatGet => bytes(b, PRESTAT),
        Function::FdPrestatDirName => bytes(b, c),
        Function::FdReaddir => bytes(b, c).and_then(|()| guest.check_size(e)),
        Function::FdSeek => bytes(d, OFFSET),
        Function::FdTell => bytes(b, OFFSET),
        Function::PathCreateDirectory
        | Function::PathRemoveDirectory
        | Function::PathUnlinkFile => path(b, c),
        Function::PathFilestatGet => {
            path(c, d).and_then(|()| bytes(e, filestat(guest.abi.version)))
        }
        Function::PathFilestatSetTimes => path(c, d),
        Function::PathLink => path(c, d).and_then(|()| path(f, g)),
        Function::PathOpen => path(c, d).and_then(|()| bytes(i, DESCRIPTOR)),
        Function::PathReadlink => path(b, c)
            .and_then(|()| bytes(d, e))
            .and_then(|()| guest.check_size(f)),
        Function::PathRename => path(b, c).and_then(|()| path(e, f)),
        Function::PathSymlink => path(a, b).and_then(|()| path(d, e)),
        Function::SockAccept => bytes(c, DESCRIPTOR),
        _ => Ok(()),
    }
}
