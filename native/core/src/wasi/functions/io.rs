//! `fd_read`, `fd_write`, `fd_pread` and `fd_pwrite`.

use super::Call;
use crate::wasi::abi::Abi;
use crate::wasi::config::OutputSink;
use crate::wasi::descriptor::Resource;
use crate::wasi::errno::{Errno, Result};
use crate::wasi::filesystem::InodeId;
use crate::wasi::memory::{Buffers, Guest};
use crate::wasi::outcome::{
    Outcome, OutputRequest, Request, StdinRequest, YieldRequest, YieldResume,
};
use crate::wasi::state::WasiState;
use crate::wasi::types::{FdFlags, OutputStream, Rights};

/// The most bytes that one call moves, as on Linux; it then reports that it moved fewer than asked
/// for.
const MAX_TRANSFER: u64 = 0x7fff_f000;

/// Bytes that are moved at once; between two such pieces others may run. Moving one takes a
/// fraction of a millisecond.
const PIECE: u64 = 256 << 10;

/// The most bytes of input or output that the embedder gives or gets at once.
const MAX_STREAMED: u64 = 1 << 20;

/// The bytes that all buffers hold, as far as they count.
fn total(buffers: &Buffers, limit: u64) -> u64 {
    let sum = buffers
        .iter()
        .fold(0u64, |sum, range| sum.saturating_add(range.len() as u64));
    sum.min(limit)
}

/// The parts of all buffers that hold the bytes from `skip` on, `len` of them at most.
fn window(buffers: &Buffers, mut skip: u64, mut len: u64) -> Buffers {
    let mut window = Buffers::new();
    for range in buffers {
        let skipped = skip.min(range.len() as u64);
        skip -= skipped;
        let start = range.start + skipped as usize;
        let taken = len.min((range.end - start) as u64);
        len -= taken;
        if taken > 0 {
            window.push(start..start + taken as usize);
        }
        if len == 0 {
            break;
        }
    }
    window
}

impl Call<'_, '_> {
    pub(super) fn fd_read(
        &mut self,
        fd: u32,
        pointer: u64,
        count: u64,
        at: Option<u64>,
        result: u64,
    ) -> Outcome {
        self.try_read(fd, pointer, count, at, result, 0)
            .unwrap_or_else(|errno| Err(errno).into())
    }

    /// Reads the next piece; `moved` bytes have been read before.
    fn try_read(
        &mut self,
        fd: u32,
        pointer: u64,
        count: u64,
        at: Option<u64>,
        result: u64,
        moved: u64,
    ) -> Result<Outcome> {
        let needed = match at {
            Some(_) => Rights::FD_READ | Rights::FD_SEEK,
            None => Rights::FD_READ,
        };
        let file = self.file(fd, needed)?;
        let (resource, flags, offset) = (file.resource, file.flags, file.offset);
        let buffers = self.guest.buffers(pointer, count)?;
        self.guest.check_size(result)?;
        let read = match resource {
            Resource::Output(_) => return Err(Errno::Badf),
            Resource::Stdin => match self.read_stdin(&buffers) {
                Some(read) => read,
                None => return Ok(self.ask_stdin(&buffers, flags)),
            },
            Resource::Inode(inode) => {
                let piece = window(&buffers, moved, PIECE.min(MAX_TRANSFER - moved));
                let position = at.map_or(offset, |at| at.saturating_add(moved));
                let read = self.read_inode(inode, position, &piece)?;
                if at.is_none() {
                    self.state.descriptors.get_mut(fd)?.offset = offset + read;
                }
                if read > 0 && read == total(&piece, PIECE) {
                    return Ok(self.moved(&buffers, moved + read, result));
                }
                moved + read
            }
        };
        Ok(self.guest.write_size(result, read).into())
    }

    /// Goes on after so many bytes, or ends there if that was all.
    fn moved(&mut self, buffers: &Buffers, moved: u64, result: u64) -> Outcome {
        if moved == total(buffers, MAX_TRANSFER) {
            return self.guest.write_size(result, moved).into();
        }
        let resume = YieldResume::Transfer {
            invocation: Box::new(self.invocation),
            moved,
        };
        Outcome::Pending(Request::Yield(YieldRequest { resume }))
    }

    fn read_inode(&mut self, inode: InodeId, offset: u64, buffers: &Buffers) -> Result<u64> {
        let content = self.state.filesystem.content(inode)?;
        let mut read = 0;
        for range in buffers {
            let buffer = self.guest.slice_mut(range.clone());
            let copied = content.read_at(offset.saturating_add(read), buffer);
            read += copied as u64;
            if copied < range.len() {
                break;
            }
        }
        if read > 0 && self.state.filesystem.read_is_marked(inode)? {
            let now = self.state.clocks.timestamp();
            self.filesystem().read(inode, now)?;
        }
        Ok(read)
    }

    /// Reads what has arrived; nothing if the embedder has to be asked first.
    fn read_stdin(&mut self, buffers: &Buffers) -> Option<u64> {
        let stdin = &mut self.state.stdin;
        let available = stdin.available();
        let wanted = total(buffers, MAX_STREAMED);
        if available.is_empty() && stdin.live && wanted > 0 {
            return None;
        }
        let mut rest = available.get(..wanted as usize).unwrap_or(available);
        let read = rest.len();
        for range in buffers {
            let (piece, beyond) = rest.split_at(range.len().min(rest.len()));
            self.guest
                .slice_mut(range.start..range.start + piece.len())
                .copy_from_slice(piece);
            rest = beyond;
        }
        stdin.consume(read);
        Some(read as u64)
    }

    fn ask_stdin(&self, buffers: &Buffers, flags: FdFlags) -> Outcome {
        Outcome::Pending(Request::Stdin(StdinRequest {
            max_len: total(buffers, MAX_STREAMED),
            nonblocking: flags.contains(FdFlags::NONBLOCK),
            resume: Box::new(self.invocation),
        }))
    }

    pub(super) fn fd_write(
        &mut self,
        fd: u32,
        pointer: u64,
        count: u64,
        at: Option<u64>,
        result: u64,
    ) -> Outcome {
        self.try_write(fd, pointer, count, at, result, 0)
            .unwrap_or_else(|errno| Err(errno).into())
    }

    /// Writes the next piece; `moved` bytes have been written before.
    fn try_write(
        &mut self,
        fd: u32,
        pointer: u64,
        count: u64,
        at: Option<u64>,
        result: u64,
        moved: u64,
    ) -> Result<Outcome> {
        let needed = match at {
            Some(_) => Rights::FD_WRITE | Rights::FD_SEEK,
            None => Rights::FD_WRITE,
        };
        let file = self.file(fd, needed)?;
        let (resource, flags, offset) = (file.resource, file.flags, file.offset);
        let buffers = self.guest.buffers(pointer, count)?;
        self.guest.check_size(result)?;
        let piece = window(&buffers, moved, PIECE.min(MAX_TRANSFER - moved));
        let written = match resource {
            Resource::Stdin => return Err(Errno::Badf),
            Resource::Output(stream) => match self.state.output(stream).sink {
                OutputSink::Embedder if total(&buffers, 1) > 0 => {
                    return Ok(self.ask_output(stream, &buffers, result));
                }
                OutputSink::Embedder => 0,
                OutputSink::Capture { limit } => self.capture(stream, &piece, limit),
            },
            Resource::Inode(inode) => {
                let content = self.state.filesystem.content(inode)?;
                let position = match at {
                    Some(position) => position.saturating_add(moved),
                    None if flags.contains(FdFlags::APPEND) => content.len(),
                    None => offset,
                };
                let written = self.write_inode(inode, position, &piece)?;
                if at.is_none() {
                    self.state.descriptors.get_mut(fd)?.offset = position + written;
                }
                written
            }
        };
        if written > 0 && written == total(&piece, PIECE) {
            return Ok(self.moved(&buffers, moved + written, result));
        }
        Ok(self.guest.write_size(result, moved + written).into())
    }

    /// Goes on with a transfer of which a part is done. What is done is not taken back: if the rest
    /// cannot be moved, the call reports what was.
    pub(super) fn resume_transfer(&mut self, moved: u64) -> Outcome {
        use crate::wasi::abi::Function::{FdPread, FdPwrite, FdRead, FdWrite};
        let [a, pointer, count, d, e, ..] = self.invocation.args;
        let fd = a as u32;
        let (result, outcome) = match self.invocation.function {
            FdRead => (d, self.try_read(fd, pointer, count, None, d, moved)),
            FdPread => (e, self.try_read(fd, pointer, count, Some(d), e, moved)),
            FdWrite => (d, self.try_write(fd, pointer, count, None, d, moved)),
            FdPwrite => (e, self.try_write(fd, pointer, count, Some(d), e, moved)),
            _ => return Outcome::Return(Err(Errno::Io)),
        };
        outcome.unwrap_or_else(|_| self.guest.write_size(result, moved).into())
    }

    fn write_inode(&mut self, inode: InodeId, offset: u64, buffers: &Buffers) -> Result<u64> {
        let wanted = total(buffers, PIECE);
        if wanted == 0 {
            return Ok(0);
        }
        let room = self.state.filesystem.room_at(inode, offset, wanted)?;
        let now = self.state.clocks.timestamp();
        let filesystem = self.state.filesystem_mut();
        let mut written = 0;
        for range in buffers {
            let len = (range.len() as u64).min(room - written) as usize;
            let bytes = self.guest.slice(range.start..range.start + len);
            filesystem.write_at(inode, offset + written, bytes)?;
            written += len as u64;
        }
        filesystem.written(inode, now)?;
        Ok(written)
    }

    fn capture(&mut self, stream: OutputStream, buffers: &Buffers, limit: u64) -> u64 {
        let output = self.state.output_mut(stream);
        let mut written = 0;
        for range in buffers {
            output.capture(self.guest.slice(range.clone()), limit);
            written += range.len() as u64;
        }
        written
    }

    fn ask_output(&self, stream: OutputStream, buffers: &Buffers, result: u64) -> Outcome {
        let wanted = total(buffers, MAX_STREAMED) as usize;
        let mut bytes = Vec::with_capacity(wanted);
        for range in buffers {
            let len = range.len().min(wanted - bytes.len());
            bytes.extend_from_slice(self.guest.slice(range.start..range.start + len));
        }
        let abi = self.guest.abi;
        Outcome::Pending(Request::Output(OutputRequest {
            stream,
            bytes,
            abi,
            result,
        }))
    }
}

/// Reads again, now that the embedder has supplied input; if it supplied none, the end is read.
pub(super) fn resume_stdin(
    state: &mut WasiState,
    memory: &mut [u8],
    request: StdinRequest,
    bytes: &[u8],
) -> Outcome {
    let invocation = *request.resume;
    let guest = Guest::new(memory, invocation.abi);
    state.stdin.push(bytes);
    let live = core::mem::replace(&mut state.stdin.live, false);
    let outcome = Call {
        state: &mut *state,
        guest,
        invocation,
    }
    .run();
    state.stdin.live = live;
    outcome
}

pub(super) fn resume_output(memory: &mut [u8], request: &OutputRequest, len: u64) -> Result<()> {
    if len > request.bytes.len() as u64 {
        return Err(Errno::Io);
    }
    let abi: Abi = request.abi;
    Guest::new(memory, abi).write_size(request.result, len)
}
