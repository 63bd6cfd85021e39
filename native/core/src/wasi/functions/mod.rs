//! The functions of preview 1, each a method of [`Call`].
//!
//! A function checks all its arguments before it changes anything: a pointer out of bounds is
//! `EFAULT` and nothing has happened.

mod clock;
mod descriptor;
mod directory;
mod io;
mod path;
mod poll;
mod process;
mod socket;
mod strings;

use super::abi::{Function, MAX_PARAMS};
use super::descriptor::{OpenFile, Resource};
use super::errno::{Errno, Result};
use super::filesystem::{Filesystem, InodeId};
use super::memory::Guest;
use super::outcome::{Answer, Invocation, Outcome, Request, YieldResume};
use super::state::WasiState;
use super::types::{FileType, Rights};

/// One call in progress.
pub(crate) struct Call<'a, 'm> {
    pub(crate) state: &'a mut WasiState,
    pub(crate) guest: Guest<'m>,
    pub(crate) invocation: Invocation,
}

impl<'a, 'm> Call<'a, 'm> {
    fn new(state: &'a mut WasiState, memory: &'m mut [u8], invocation: Invocation) -> Self {
        let guest = Guest::new(memory, invocation.abi);
        Call {
            state,
            guest,
            invocation,
        }
    }
}

impl Call<'_, '_> {
    /// Runs the function.
    pub(crate) fn run(&mut self) -> Outcome {
        let [a, b, c, d, e, f, g, h, i] = self.invocation.args;
        let int = |raw: u64| raw as u32;
        match self.invocation.function {
            Function::ArgsGet => self.args_get(a, b).into(),
            Function::ArgsSizesGet => self.args_sizes_get(a, b).into(),
            Function::EnvironGet => self.environ_get(a, b).into(),
            Function::EnvironSizesGet => self.environ_sizes_get(a, b).into(),
            Function::ClockResGet => self.clock_res_get(int(a), b).into(),
            Function::ClockTimeGet => self.clock_time_get(int(a), c),
            Function::FdAdvise => self.fd_advise(int(a), b, c, int(d)).into(),
            Function::FdAllocate => self.fd_allocate(int(a), b, c).into(),
            Function::FdClose => self.state.close(int(a)).into(),
            Function::FdDatasync => self.fd_sync(int(a), Rights::FD_DATASYNC).into(),
            Function::FdFdstatGet => self.fd_fdstat_get(int(a), b).into(),
            Function::FdFdstatSetFlags => self.fd_fdstat_set_flags(int(a), int(b)).into(),
            Function::FdFdstatSetRights => self.fd_fdstat_set_rights(int(a), b, c).into(),
            Function::FdFilestatGet => self.fd_filestat_get(int(a), b).into(),
            Function::FdFilestatSetSize => self.fd_filestat_set_size(int(a), b).into(),
            Function::FdFilestatSetTimes => self.fd_filestat_set_times(int(a), b, c, int(d)).into(),
            Function::FdPread => self.fd_read(int(a), b, c, Some(d), e),
            Function::FdPrestatGet => self.fd_prestat_get(int(a), b).into(),
            Function::FdPrestatDirName => self.fd_prestat_dir_name(int(a), b, c).into(),
            Function::FdPwrite => self.fd_write(int(a), b, c, Some(d), e),
            Function::FdRead => self.fd_read(int(a), b, c, None, d),
            Function::FdReaddir => self.fd_readdir(d),
            Function::FdRenumber => self.state.renumber(int(a), int(b)).into(),
            Function::FdSeek => self.fd_seek(int(a), b as i64, int(c), d).into(),
            Function::FdSync => self.fd_sync(int(a), Rights::FD_SYNC).into(),
            Function::FdTell => self.fd_tell(int(a), b).into(),
            Function::FdWrite => self.fd_write(int(a), b, c, None, d),
            Function::PathCreateDirectory => self.path_create_directory(int(a), (b, c)).into(),
            Function::PathFilestatGet => self.path_filestat_get(int(a), int(b), (c, d), e).into(),
            Function::PathFilestatSetTimes => self
                .path_filestat_set_times(int(a), int(b), (c, d), e, f, int(g))
                .into(),
            Function::PathLink => self
                .path_link(int(a), int(b), (c, d), int(e), (f, g))
                .into(),
            Function::PathOpen => self
                .path_open(int(a), int(b), (c, d), int(e), (f, g), int(h), i)
                .into(),
            Function::PathReadlink => self.path_readlink(int(a), (b, c), d, e, f).into(),
            Function::PathRemoveDirectory => self.path_remove_directory(int(a), (b, c)).into(),
            Function::PathRename => self.path_rename(int(a), (b, c), int(d), (e, f)).into(),
            Function::PathSymlink => self.path_symlink((a, b), int(c), (d, e)).into(),
            Function::PathUnlinkFile => self.path_unlink_file(int(a), (b, c)).into(),
            Function::PollOneoff => self.poll_oneoff(),
            Function::ProcExit => Outcome::Exit(int(a)),
            Function::ProcRaise => self.proc_raise(int(a)),
            Function::SchedYield => self.sched_yield(),
            Function::RandomGet => self.random_get(a, b),
            Function::SockAccept => self.sock(int(a)).into(),
            Function::SockRecv => self.sock(int(a)).into(),
            Function::SockSend => self.sock(int(a)).into(),
            Function::SockShutdown => self.sock(int(a)).into(),
        }
    }

    fn filesystem(&mut self) -> &mut Filesystem {
        self.state.filesystem_mut()
    }

    /// The open file of a descriptor that has all these rights.
    fn file(&self, fd: u32, needed: Rights) -> Result<&OpenFile> {
        let file = self.state.descriptors.get(fd)?;
        if !file.base.contains(needed) {
            return Err(self.denied(file, needed.difference(file.base)));
        }
        Ok(file)
    }

    /// The inode of a descriptor that has all these rights.
    fn inode(&self, fd: u32, needed: Rights) -> Result<InodeId> {
        match self.file(fd, needed)?.resource {
            Resource::Inode(inode) => Ok(inode),
            Resource::Stdin | Resource::Output(_) => Err(Errno::Spipe),
        }
    }

    /// The directory that a path starts from.
    fn directory(&self, fd: u32, needed: Rights) -> Result<InodeId> {
        let file = self.state.descriptors.get(fd)?;
        match file.resource {
            Resource::Inode(inode)
                if self.state.filesystem.file_type(inode)? == FileType::Directory =>
            {
                if !file.base.contains(needed) {
                    return Err(Errno::Notcapable);
                }
                Ok(inode)
            }
            _ => Err(Errno::Notdir),
        }
    }

    /// Why a file that lacks these rights refuses: because of what it is, if that is the reason,
    /// as POSIX has it.
    fn denied(&self, file: &OpenFile, lacking: Rights) -> Errno {
        let io = Rights::FD_READ
            | Rights::FD_WRITE
            | Rights::FD_SEEK
            | Rights::FD_TELL
            | Rights::FD_ALLOCATE
            | Rights::FD_FILESTAT_SET_SIZE;
        let file_type = match file.resource {
            Resource::Inode(inode) => self.state.filesystem.file_type(inode).ok(),
            Resource::Stdin | Resource::Output(_) => None,
        };
        match file_type {
            Some(FileType::Directory) if lacking.intersects(io) => Errno::Isdir,
            _ if lacking.intersects(Rights::FD_READ | Rights::FD_WRITE) => Errno::Badf,
            None if lacking.intersects(io) => Errno::Spipe,
            Some(FileType::RegularFile) if lacking.contains(Rights::FD_READDIR) => Errno::Notdir,
            _ => Errno::Notcapable,
        }
    }
}

/// Makes a call with raw arguments, of which missing ones are zero.
pub(crate) fn invocation(function: Function, abi: super::abi::Abi, raw: &[u64]) -> Invocation {
    let mut args = [0; MAX_PARAMS];
    for ((arg, param), raw) in args.iter_mut().zip(function.params()).zip(raw) {
        *arg = param.normalize(abi.width, *raw);
    }
    Invocation {
        function,
        abi,
        args,
    }
}

/// Goes on with a call whose request was answered.
pub(crate) fn complete(
    state: &mut WasiState,
    memory: &mut [u8],
    request: Request,
    answer: &Answer<'_>,
) -> Outcome {
    if let Answer::Error(errno) = answer {
        return Outcome::Return(Err(*errno));
    }
    match (request, answer) {
        (Request::Wait(request), answer) => poll::resume_wait(state, memory, request, answer),
        (Request::Stdin(request), Answer::Stdin(bytes)) => {
            io::resume_stdin(state, memory, request, bytes)
        }
        (Request::Output(request), Answer::Written(len)) => {
            io::resume_output(memory, &request, *len).into()
        }
        (Request::Clock(request), Answer::Time(time)) => {
            clock::resume_clock(state, memory, request, *time)
        }
        (Request::Random(request), Answer::Random(bytes)) => {
            process::resume_random(state, memory, &request, bytes)
        }
        (Request::Yield(request), Answer::Elapsed) => match request.resume {
            YieldResume::Return => Outcome::Return(Ok(())),
            YieldResume::Random {
                abi,
                pointer,
                remaining,
            } => process::fill_random(state, &mut Guest::new(memory, abi), pointer, remaining),
            YieldResume::Transfer { invocation, moved } => {
                Call::new(state, memory, *invocation).resume_transfer(moved)
            }
            YieldResume::Listing {
                invocation,
                used,
                cookie,
            } => Call::new(state, memory, *invocation).resume_listing(used, cookie),
        },
        _ => Outcome::Return(Err(Errno::Io)),
    }
}
