//! Pages in a sealed file in memory.

use std::ffi::c_void;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::pwrite;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use wasmtime::{AsContext, AsContextMut, Memory};

use super::PAGE;
use super::image::Run;
use crate::error::{Error, Result};
use crate::store::Context;

const MAX_SPANS: usize = 2;
/// Bytes that are written at once.
const WRITE: usize = 256 << 10;

/// A file that is written, then sealed, then mapped.
#[derive(Debug)]
pub(super) struct PageFile {
    fd: OwnedFd,
    len: usize,
    /// Bytes that are still to be written, one run, and where.
    pending: Vec<u8>,
    pending_at: u64,
    /// The whole file, readable, once it is sealed.
    view: Option<NonNull<c_void>>,
    /// What of it is mapped into memories. The rest is zero: reading it there would fill the file.
    spans: Vec<Run>,
}

// SAFETY: the view is a mapping of a file that nobody can change any more, and it belongs to this
// value alone: it may be read from any thread, and unmapped by the one that drops it.
unsafe impl Send for PageFile {}
// SAFETY: as above; a shared reference allows reading only.
unsafe impl Sync for PageFile {}

impl PageFile {
    /// A file for `len` bytes, all zero: what is not written takes no memory. None if the process
    /// has no more files.
    pub fn new(len: u64) -> Option<Self> {
        let len = usize::try_from(len).ok()?.checked_next_multiple_of(PAGE)?;
        let fd = memfd_create(c"wasmbeam", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).ok()?;
        ftruncate(&fd, len as u64).ok()?;
        Some(Self {
            fd,
            len,
            pending: Vec::new(),
            pending_at: 0,
            view: None,
            spans: Vec::new(),
        })
    }

    /// Writes, at ascending offsets, before sealing.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let follows = offset == self.pending_at + self.pending.len() as u64;
        if !follows || self.pending.len() >= WRITE {
            self.flush()?;
            self.pending_at = offset;
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let mut offset = self.pending_at;
        let mut bytes = self.pending.as_slice();
        while !bytes.is_empty() {
            let written = pwrite(&self.fd, bytes, offset).map_err(Error::internal)?;
            if written == 0 {
                return Err(Error::internal("a file in memory cannot be written"));
            }
            bytes = bytes.get(written..).unwrap_or_default();
            offset += written as u64;
        }
        self.pending.clear();
        Ok(())
    }

    /// Makes the file unchangeable and readable. `runs` are the pages that were written.
    pub fn seal(&mut self, runs: &[Run]) -> Result<()> {
        self.spans = spans(runs);
        self.flush()?;
        self.pending = Vec::new();
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
        fcntl_add_seals(&self.fd, seals).map_err(Error::internal)?;
        // SAFETY: a new mapping at a place that the kernel chooses touches nothing that exists.
        let view = unsafe {
            mmap(
                std::ptr::null_mut(),
                self.len,
                ProtFlags::READ,
                MapFlags::PRIVATE,
                &self.fd,
                0,
            )
        }
        .map_err(Error::internal)?;
        self.view = NonNull::new(view);
        Ok(())
    }

    /// Where the last of what is mapped into memories ends.
    pub fn mapped_bytes(&self) -> u64 {
        self.spans.last().map_or(0, |span| span.end() * PAGE as u64)
    }

    /// All of it, once it is sealed.
    pub fn bytes(&self) -> &[u8] {
        match self.view {
            // SAFETY: the view is a readable mapping of `len` bytes that lives as long as `self`;
            // the file has been sealed before, so that it can neither change nor shrink.
            Some(view) => unsafe { std::slice::from_raw_parts(view.as_ptr().cast(), self.len) },
            None => &[],
        }
    }

    /// Has `memory` show the file's contents from its beginning on. They are copied page by page
    /// when the guest writes to them. False if it shows what it did, because it is smaller or the two
    /// do not lie on the machine's pages; or if the machine has no more mappings to give, and then it
    /// has a copy of the contents.
    pub fn map_over(&self, context: &mut Context<'_>, memory: Memory) -> Result<bool> {
        let size = memory.data_size(context.as_context());
        let start = memory.data_ptr(context.as_context());
        let page = rustix::param::page_size();
        let fits = self.len <= size;
        if !fits || !self.len.is_multiple_of(page) || !start.addr().is_multiple_of(page) {
            return Ok(false);
        }
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: these bytes are in the accessible part of a linear memory, which wasmtime holds in
        // a private mapping of its own and uses as bytes only, so that it may be replaced by
        // another private mapping with the same access. `context` is the exclusive access to the
        // store: no slice of the memory exists and no guest code runs. wasmtime unmaps the whole
        // range when it frees the memory, and changes the access of what follows when it grows it,
        // both of which work for any mapping.
        unsafe { mmap_anonymous(start.cast(), self.len, access, flags) }
            .map_err(Error::internal)?;
        for span in &self.spans {
            let range = span.range();
            // The last one may end after the file.
            let len = range.end.min(self.len).saturating_sub(range.start);
            if len == 0 || !range.start.is_multiple_of(page) {
                return Err(Error::internal("pages out of their file"));
            }
            // SAFETY: as above; the span lies in the bytes that were just mapped.
            let mapped = unsafe {
                mmap(
                    start.wrapping_add(range.start).cast(),
                    len,
                    access,
                    flags,
                    &self.fd,
                    range.start as u64,
                )
            };
            if mapped.is_err() {
                // What was there is gone by now.
                self.copy_over(context, memory);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies what of the file is not zero over the beginning of a memory that is zero there, or has
    /// it.
    fn copy_over(&self, context: &mut Context<'_>, memory: Memory) {
        let data = memory.data_mut(context.as_context_mut());
        for span in &self.spans {
            let range = span.range();
            let range = range.start..range.end.min(self.len);
            if let (Some(target), Some(bytes)) =
                (data.get_mut(range.clone()), self.bytes().get(range))
            {
                target.copy_from_slice(bytes);
            }
        }
    }
}

/// Few spans that have all pages: each takes an entry in the process's table of mappings, which is
/// limited. They begin and end where the largest pages of any machine do.
fn spans(runs: &[Run]) -> Vec<Run> {
    const ALIGNMENT: u64 = (64 << 10) / PAGE as u64;
    const GAP: u64 = (1 << 20) / PAGE as u64;
    let mut spans: Vec<Run> = Vec::new();
    for run in runs {
        let first = run.first / ALIGNMENT * ALIGNMENT;
        let end = run.end().next_multiple_of(ALIGNMENT);
        let full = spans.len() == MAX_SPANS;
        match spans.last_mut() {
            Some(span) if full || first < span.end() + GAP => span.pages = end - span.first,
            _ => spans.push(Run {
                first,
                pages: end - first,
            }),
        }
    }
    spans
}

impl Drop for PageFile {
    fn drop(&mut self) {
        if let Some(view) = self.view {
            // SAFETY: the view is this value's own mapping of `len` bytes, and borrows of it end
            // with the value. A failure leaves it mapped, which harms nobody.
            let _ = unsafe { munmap(view.as_ptr(), self.len) };
        }
    }
}
