//! A linear memory from outside.

use wasmtime::{AsContext, AsContextMut, Extern, Memory, MemoryType};

use crate::error::{Error, Result};
use crate::load::instrument::Internal;
use crate::snapshot::{clear, touched};
use crate::store::{Context, Coroutine, instances};

/// Which of an instance's memories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemorySelector {
    /// By its index in the module, imported ones first; exported or not.
    Index(u32),
    /// By the name that it is exported under.
    Name(String),
}

impl Coroutine {
    /// The memory's size in bytes.
    ///
    /// # Errors
    /// `UnknownExport` if there is no such memory.
    pub fn memory_size(&mut self, instance: usize, which: MemorySelector) -> Result<u64> {
        self.visit(move |context| {
            Ok(find(context, instance, &which)?.data_size(context.as_context()) as u64)
        })
    }

    /// Fails unless `size` bytes from `offset` on are inside the memory: to be asked before a
    /// buffer of that size is made.
    ///
    /// # Errors
    /// `UnknownExport`, `OutOfBounds`.
    pub fn memory_check(
        &mut self,
        instance: usize,
        which: MemorySelector,
        offset: u64,
        size: u64,
    ) -> Result<()> {
        self.visit(move |context| {
            let memory = find(context, instance, &which)?;
            range(memory.data(context.as_context()), offset, size).map(drop)
        })
    }

    /// Fills `buffer` from the memory and gives it back.
    ///
    /// # Errors
    /// `UnknownExport`, `OutOfBounds`.
    pub fn memory_read<B>(
        &mut self,
        instance: usize,
        which: MemorySelector,
        offset: u64,
        mut buffer: B,
    ) -> Result<B>
    where
        B: AsMut<[u8]> + Send,
    {
        self.visit(move |context| {
            let memory = find(context, instance, &which)?;
            let target = buffer.as_mut();
            let data = memory.data(context.as_context());
            target.copy_from_slice(&data[range(data, offset, target.len() as u64)?]);
            Ok(buffer)
        })
    }

    /// Copies `bytes` into the memory, all of them or none.
    ///
    /// # Errors
    /// `UnknownExport`, `OutOfBounds`.
    pub fn memory_write<B>(
        &mut self,
        instance: usize,
        which: MemorySelector,
        offset: u64,
        bytes: B,
    ) -> Result<()>
    where
        B: AsRef<[u8]> + Send,
    {
        self.visit(move |context| {
            let memory = find(context, instance, &which)?;
            let source = bytes.as_ref();
            context.data_mut().touch();
            let data = memory.data_mut(context.as_context_mut());
            let range = range(data, offset, source.len() as u64)?;
            data[range].copy_from_slice(source);
            Ok(())
        })
    }

    /// The bytes from `offset` up to the first zero byte, which is not among them.
    ///
    /// # Errors
    /// `UnknownExport`; `OutOfBounds` if no zero byte follows.
    pub fn memory_read_string(
        &mut self,
        instance: usize,
        which: MemorySelector,
        offset: u64,
    ) -> Result<Vec<u8>> {
        self.visit(move |context| {
            let memory = find(context, instance, &which)?;
            let data = memory.data(context.as_context());
            let rest = &data[range(data, offset, 0)?.start..];
            let end = memchr::memchr(0, rest).ok_or(Error::OutOfBounds {
                what: "memory",
                offset,
                size: rest.len() as u64 + 1,
                bound: data.len() as u64,
            })?;
            Ok(rest[..end].to_vec())
        })
    }

    /// Grows the memory by `pages` and gives its former size in pages.
    ///
    /// # Errors
    /// `UnknownExport`; `Limit` if it cannot grow that much.
    pub fn memory_grow(
        &mut self,
        instance: usize,
        which: MemorySelector,
        pages: u64,
    ) -> Result<u64> {
        self.visit(move |context| {
            let memory = find(context, instance, &which)?;
            context.data_mut().touch();
            grow(context, memory, pages)
        })
    }

    /// Makes the memory's contents equal to `image`, growing it first where it is too small.
    /// What lies behind the image becomes zero.
    ///
    /// # Errors
    /// `UnknownExport`, `Limit`.
    pub fn memory_replace<B>(
        &mut self,
        instance: usize,
        which: MemorySelector,
        image: B,
    ) -> Result<()>
    where
        B: AsRef<[u8]> + Send,
    {
        self.visit(move |context| {
            let memory = find(context, instance, &which)?;
            let image = image.as_ref();
            context.data_mut().touch();
            let page = memory.page_size(context.as_context());
            let missing =
                (image.len() as u64).saturating_sub(memory.data_size(context.as_context()) as u64);
            if missing > 0 {
                grow(context, memory, missing.div_ceil(page))?;
            }
            let touched = touched(context, memory);
            let data = memory.data_mut(context.as_context_mut());
            clear(data, &touched, image.len());
            if let Some(head) = data.get_mut(..image.len()) {
                head.copy_from_slice(image);
            }
            Ok(())
        })
    }
}

/// Grows a memory, and says which limit forbids it.
pub(crate) fn grow(context: &mut Context<'_>, memory: Memory, pages: u64) -> Result<u64> {
    context.data_mut().limiter.take_denied();
    let before = memory.size(context.as_context());
    memory.grow(context.as_context_mut(), pages).map_err(|_| {
        match context.data_mut().limiter.take_denied() {
            Some(denied) => denied,
            None => {
                let greatest = max_pages(&memory.ty(context.as_context()));
                let requested = before.saturating_add(pages);
                Error::Limit {
                    what: "pages of memory",
                    // What the type permits, the machine may still not have.
                    limit: if requested > greatest {
                        greatest
                    } else {
                        before
                    },
                    requested,
                }
            }
        }
    })
}

/// The most pages that a memory of that type can have.
fn max_pages(ty: &MemoryType) -> u64 {
    let addressable = if ty.is_64() { u64::MAX } else { 1 << 32 };
    ty.maximum().unwrap_or(addressable / ty.page_size())
}

fn range(data: &[u8], offset: u64, size: u64) -> Result<std::ops::Range<usize>> {
    let end = offset
        .checked_add(size)
        .filter(|end| *end <= data.len() as u64);
    match end {
        // Both fit a usize, being no larger than the slice.
        Some(end) => Ok(offset as usize..end as usize),
        None => Err(Error::OutOfBounds {
            what: "memory",
            offset,
            size,
            bound: data.len() as u64,
        }),
    }
}

fn find(context: &mut Context<'_>, instance: usize, which: &MemorySelector) -> Result<Memory> {
    let found = match which {
        MemorySelector::Index(0) => {
            return instances::first_memory(context, instance).ok_or_else(|| unknown(which));
        }
        MemorySelector::Index(index) => {
            instances::export(context, instance, &Internal::Memory(*index).export_name())
        }
        MemorySelector::Name(name) => instances::export(context, instance, name),
    };
    match found {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(unknown(which)),
    }
}

fn unknown(which: &MemorySelector) -> Error {
    let kind = "memory";
    match which {
        MemorySelector::Index(index) => Error::UnknownIndex {
            index: *index,
            kind,
        },
        MemorySelector::Name(name) => Error::UnknownExport {
            name: name.clone(),
            kind,
        },
    }
}
