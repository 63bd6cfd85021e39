//! The functions on the machine's files.

use std::future::Future;
use std::pin::pin;
use std::task::{self, Poll, Waker};

use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as p1, WasiSnapshotPreview1 as _};
use wiggle::GuestMemory;

use super::check;
use super::world::{HostWorld, Machine};
use crate::error::{Error, Result};
use crate::wasi::errno::Errno;
use crate::wasi::memory::{Buffers, Guest};
use crate::wasi::{Abi, Function, MAX_PARAMS, Version};

type Args = [u64; MAX_PARAMS];

/// The most bytes that one call moves; it then reports that it moved fewer than asked for.
const MAX_TRANSFER: usize = 1 << 20;

/// The bytes that wasmtime-wasi may copy out of the guest in one call.
const COPY_LIMIT: usize = 32 << 20;

/// An error number; 0 is success.
type Code = u16;

/// A failure of the function itself, as the guest sees it.
pub(super) enum Failure {
    Errno(Errno),
    Code(Code),
    Error(Error),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl HostWorld {
    /// Runs a function of the guest whose memory is `memory`, and gives its error number.
    pub(crate) async fn call(
        &mut self,
        memory: &mut [u8],
        function: Function,
        abi: Abi,
        args: &Args,
    ) -> Result<Code> {
        let Self {
            inner,
            machine: Some(machine),
        } = self
        else {
            return Ok(Errno::Badf.code());
        };
        let mut guest = Guest::new(memory, abi);
        match machine.run(&mut guest, function, args).await {
            Ok(closed) => {
                if let Some(stream) = closed {
                    // It is open as long as something leads to it.
                    let _ = inner.close(stream);
                }
                Ok(0)
            }
            Err(Failure::Errno(errno)) => Ok(errno.code()),
            Err(Failure::Code(code)) => Ok(code),
            Err(Failure::Error(error)) => Err(error),
        }
    }

    /// As [`call`](Self::call), on this thread, however long the disk takes.
    pub(crate) fn call_in_place(
        &mut self,
        memory: &mut [u8],
        function: Function,
        abi: Abi,
        args: &Args,
    ) -> Result<Code> {
        let [fd, ..] = *args;
        self.switch(fd as u32);
        let called = at_once(self.call(memory, function, abi, args));
        self.switch(fd as u32);
        called?
    }

    fn switch(&mut self, fd: u32) {
        if let Some(machine) = &mut self.machine {
            machine.local.switch(&mut machine.context, fd);
        }
    }
}

/// What a future gives that waits for nothing.
fn at_once<F: Future>(future: F) -> Result<F::Output> {
    match pin!(future).poll(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err(Error::internal("a file that is waited for in place")),
    }
}

/// The stream of the inner world that nothing leads to any more, if there is one.
type Closed = Option<u32>;

impl Machine {
    async fn run(
        &mut self,
        guest: &mut Guest<'_>,
        function: Function,
        args: &Args,
    ) -> Result<Closed, Failure> {
        check::arguments(guest, function, args)?;
        let [a, b, c, d, e, ..] = *args;
        match function {
            Function::FdRead => self.read(guest, function, args, (b, c), d).await?,
            Function::FdPread => self.read(guest, function, args, (b, c), e).await?,
            Function::FdWrite => self.write(guest, function, args, (b, c), d).await?,
            Function::FdPwrite => self.write(guest, function, args, (b, c), e).await?,
            Function::FdFilestatGet | Function::PathFilestatGet
                if guest.abi.version == Version::Unstable =>
            {
                self.unstable_filestat(guest, function, args).await?;
            }
            Function::FdSeek if guest.abi.version == Version::Unstable => {
                let mut args = *args;
                args[2] = preview1_whence(c);
                self.pass_on(guest, function, &args).await?;
            }
            Function::PathOpen => {
                if self.open >= self.limit {
                    return Err(Errno::Mfile.into());
                }
                let place = self.local.next_place(&mut self.context);
                self.pass_on(guest, function, args).await?;
                self.open += 1;
                let [.., fd] = *args;
                let fd = word(guest.slice(guest.range(fd, 4)?));
                if let Some(place) = place {
                    self.local.opened(&mut self.context, fd, place);
                }
            }
            Function::FdClose => {
                self.pass_on(guest, function, args).await?;
                return Ok(self.closed(a as u32));
            }
            Function::FdRenumber => {
                self.pass_on(guest, function, args).await?;
                return Ok(self.renumbered(a as u32, b as u32));
            }
            function => self.pass_on(guest, function, args).await?,
        }
        Ok(None)
    }

    async fn pass_on(
        &mut self,
        guest: &mut Guest<'_>,
        function: Function,
        args: &Args,
    ) -> Result<(), Failure> {
        preview1(&mut self.context, guest.bytes_mut(), function, args).await
    }

    fn closed(&mut self, fd: u32) -> Closed {
        self.open = self.open.saturating_sub(1);
        let stream = self.stream(fd);
        self.streams.retain(|(outer, _)| *outer != fd);
        self.local.closed(fd);
        stream
    }

    fn renumbered(&mut self, from: u32, to: u32) -> Closed {
        if from == to {
            return None;
        }
        let closed = self.closed(to);
        self.local.renumbered(from, to);
        for (outer, _) in &mut self.streams {
            if *outer == from {
                *outer = to;
            }
        }
        closed
    }

    /// Reads into all buffers at once.
    async fn read(
        &mut self,
        guest: &mut Guest<'_>,
        function: Function,
        args: &Args,
        (pointer, count): (u64, u64),
        result: u64,
    ) -> Result<(), Failure> {
        let buffers = guest.buffers(pointer, count)?;
        guest.check_size(result)?;
        let mut bytes = Transfer::new(total(&buffers));
        let read = bytes.run(&mut self.context, function, args).await?;
        let mut rest = bytes.data(read);
        for range in buffers {
            let (piece, beyond) = rest.split_at(range.len().min(rest.len()));
            guest
                .slice_mut(range.start..range.start + piece.len())
                .copy_from_slice(piece);
            rest = beyond;
        }
        Ok(guest.write_size(result, read as u64)?)
    }

    /// Writes all buffers at once.
    async fn write(
        &mut self,
        guest: &mut Guest<'_>,
        function: Function,
        args: &Args,
        (pointer, count): (u64, u64),
        result: u64,
    ) -> Result<(), Failure> {
        let buffers = guest.buffers(pointer, count)?;
        guest.check_size(result)?;
        let mut bytes = Transfer::new(total(&buffers));
        bytes.fill(guest, &buffers);
        let written = bytes.run(&mut self.context, function, args).await?;
        Ok(guest.write_size(result, written as u64)?)
    }

    /// A `filestat` in the layout of `wasi_unstable`.
    async fn unstable_filestat(
        &mut self,
        guest: &mut Guest<'_>,
        function: Function,
        args: &Args,
    ) -> Result<(), Failure> {
        const SIZE: usize = 64;
        let mut args = *args;
        let mut scratch = vec![0; SIZE];
        let target = match function {
            Function::PathFilestatGet => {
                let [_, _, pointer, len, target, ..] = args;
                scratch.extend_from_slice(guest.slice(guest.range(pointer, len)?));
                args[2] = SIZE as u64;
                args[4] = 0;
                target
            }
            _ => {
                let [_, target, ..] = args;
                args[1] = 0;
                target
            }
        };
        preview1(&mut self.context, &mut scratch, function, &args).await?;
        // The link count has half the size, and what follows it comes so much earlier.
        let (head, tail) = (scratch.get(..20), scratch.get(32..SIZE));
        let links = scratch.get(24..28);
        let stat = [head, links, tail].map(Option::unwrap_or_default).concat();
        Ok(guest.write(target, &stat)?)
    }
}

/// `wasi_unstable` counts the origins of a seek from the current offset on.
fn preview1_whence(unstable: u64) -> u64 {
    match unstable {
        0 => 1,
        1 => 2,
        2 => 0,
        other => other,
    }
}

fn total(buffers: &Buffers) -> usize {
    buffers
        .iter()
        .fold(0, |sum: usize, range| sum.saturating_add(range.len()))
        .min(MAX_TRANSFER)
}

/// Bytes on their way between guest and machine, laid out as a memory with a single buffer.
struct Transfer(Vec<u8>);

impl Transfer {
    const RESULT: u64 = 8;
    const DATA: usize = 16;

    fn new(len: usize) -> Self {
        let mut bytes = vec![0; Self::DATA + len];
        let header = [Self::DATA as u32, len as u32];
        for (target, value) in bytes.chunks_exact_mut(4).zip(header) {
            target.copy_from_slice(&value.to_le_bytes());
        }
        Self(bytes)
    }

    fn fill(&mut self, guest: &Guest<'_>, buffers: &Buffers) {
        let mut rest = self.0.get_mut(Self::DATA..).unwrap_or_default();
        for range in buffers {
            let (piece, beyond) = rest.split_at_mut(range.len().min(rest.len()));
            piece.copy_from_slice(guest.slice(range.start..range.start + piece.len()));
            rest = beyond;
        }
    }

    fn data(&self, len: usize) -> &[u8] {
        self.0
            .get(Self::DATA..)
            .and_then(|data| data.get(..len))
            .unwrap_or_default()
    }

    /// Has `function` done with this buffer instead of the guest's, and gives how many bytes it
    /// moved.
    async fn run(
        &mut self,
        context: &mut WasiP1Ctx,
        function: Function,
        args: &Args,
    ) -> Result<usize, Failure> {
        let [fd, _, _, offset, ..] = *args;
        let args = match function {
            Function::FdPread | Function::FdPwrite => [fd, 0, 1, offset, Self::RESULT, 0, 0, 0, 0],
            _ => [fd, 0, 1, Self::RESULT, 0, 0, 0, 0, 0],
        };
        preview1(context, &mut self.0, function, &args).await?;
        let moved = self.0.get(Self::RESULT as usize..);
        Ok(word(moved.unwrap_or_default()) as usize)
    }
}

/// What four bytes are the first of.
fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().copied().map_or(0, u32::from_le_bytes)
}

/// Calls wasmtime-wasi. What the inner world does never comes here.
pub(super) async fn preview1(
    context: &mut WasiP1Ctx,
    memory: &mut [u8],
    function: Function,
    args: &Args,
) -> Result<(), Failure> {
    context.set_hostcall_fuel(COPY_LIMIT);
    let memory = &mut GuestMemory::Unshared(memory);
    let int = |raw: u64| (raw as u32).cast_signed();
    let long = |raw: u64| raw.cast_signed();
    let [a, b, c, d, e, f, g, h, i] = *args;
    let fd = int(a);
    let called = match function {
        Function::FdAdvise => p1::fd_advise(context, memory, fd, long(b), long(c), int(d)).await,
        Function::FdAllocate => p1::fd_allocate(context, memory, fd, long(b), long(c)),
        Function::FdClose => p1::fd_close(context, memory, fd).await,
        Function::FdDatasync => p1::fd_datasync(context, memory, fd).await,
        Function::FdFdstatGet => p1::fd_fdstat_get(context, memory, fd, int(b)).await,
        Function::FdFdstatSetFlags => p1::fd_fdstat_set_flags(context, memory, fd, int(b)),
        Function::FdFdstatSetRights => {
            p1::fd_fdstat_set_rights(context, memory, fd, long(b), long(c))
        }
        Function::FdFilestatGet => p1::fd_filestat_get(context, memory, fd, int(b)).await,
        Function::FdFilestatSetSize => p1::fd_filestat_set_size(context, memory, fd, long(b)).await,
        Function::FdFilestatSetTimes => {
            p1::fd_filestat_set_times(context, memory, fd, long(b), long(c), int(d)).await
        }
        Function::FdPread => {
            p1::fd_pread(context, memory, fd, int(b), int(c), long(d), int(e)).await
        }
        Function::FdPrestatGet => p1::fd_prestat_get(context, memory, fd, int(b)),
        Function::FdPrestatDirName => p1::fd_prestat_dir_name(context, memory, fd, int(b), int(c)),
        Function::FdPwrite => {
            p1::fd_pwrite(context, memory, fd, int(b), int(c), long(d), int(e)).await
        }
        Function::FdRead => p1::fd_read(context, memory, fd, int(b), int(c), int(d)).await,
        Function::FdReaddir => {
            p1::fd_readdir(context, memory, fd, int(b), int(c), long(d), int(e)).await
        }
        Function::FdRenumber => p1::fd_renumber(context, memory, fd, int(b)).await,
        Function::FdSeek => p1::fd_seek(context, memory, fd, long(b), int(c), int(d)).await,
        Function::FdSync => p1::fd_sync(context, memory, fd).await,
        Function::FdTell => p1::fd_tell(context, memory, fd, int(b)),
        Function::FdWrite => p1::fd_write(context, memory, fd, int(b), int(c), int(d)).await,
        Function::PathCreateDirectory => {
            p1::path_create_directory(context, memory, fd, int(b), int(c)).await
        }
        Function::PathFilestatGet => {
            p1::path_filestat_get(context, memory, fd, int(b), int(c), int(d), int(e)).await
        }
        Function::PathFilestatSetTimes => {
            p1::path_filestat_set_times(
                context,
                memory,
                fd,
                int(b),
                int(c),
                int(d),
                long(e),
                long(f),
                int(g),
            )
            .await
        }
        Function::PathLink => {
            p1::path_link(
                context,
                memory,
                fd,
                int(b),
                int(c),
                int(d),
                int(e),
                int(f),
                int(g),
            )
            .await
        }
        Function::PathOpen => {
            p1::path_open(
                context,
                memory,
                fd,
                int(b),
                int(c),
                int(d),
                int(e),
                long(f),
                long(g),
                int(h),
                int(i),
            )
            .await
        }
        Function::PathReadlink => {
            p1::path_readlink(context, memory, fd, int(b), int(c), int(d), int(e), int(f)).await
        }
        Function::PathRemoveDirectory => {
            p1::path_remove_directory(context, memory, fd, int(b), int(c)).await
        }
        Function::PathRename => {
            p1::path_rename(context, memory, fd, int(b), int(c), int(d), int(e), int(f)).await
        }
        Function::PathSymlink => {
            p1::path_symlink(context, memory, int(a), int(b), int(c), int(d), int(e)).await
        }
        Function::PathUnlinkFile => p1::path_unlink_file(context, memory, fd, int(b), int(c)).await,
        Function::SockAccept => p1::sock_accept(context, memory, fd, int(b), int(c)),
        Function::SockRecv => {
            p1::sock_recv(context, memory, fd, int(b), int(c), int(d), int(e), int(f))
        }
        Function::SockSend => p1::sock_send(context, memory, fd, int(b), int(c), int(d), int(e)),
        Function::SockShutdown => p1::sock_shutdown(context, memory, fd, int(b)),
        Function::ArgsGet
        | Function::ArgsSizesGet
        | Function::EnvironGet
        | Function::EnvironSizesGet
        | Function::ClockResGet
        | Function::ClockTimeGet
        | Function::PollOneoff
        | Function::ProcExit
        | Function::ProcRaise
        | Function::SchedYield
        | Function::RandomGet => Ok(i32::from(Errno::Nosys.code())),
    };
    match called {
        Ok(0) => Ok(()),
        Ok(code) => Err(Failure::Code(code as Code)),
        // A pointer that leads nowhere, or is not aligned.
        Err(error) if error.is::<wiggle::GuestError>() => Err(Errno::Fault.into()),
        Err(error) => Err(Error::internal(error.root_cause()).into()),
    }
}
