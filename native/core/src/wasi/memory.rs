//! Checked access to the guest's memory.

use core::ops::Range;

use smallvec::SmallVec;

use super::abi::{Abi, Width};
use super::errno::{Errno, Result};

/// The most buffers that one call takes, as `IOV_MAX` on Linux.
pub(crate) const MAX_IOVECS: u64 = 1024;

/// Buffers in guest memory, every one within bounds.
pub(crate) type Buffers = SmallVec<[Range<usize>; 4]>;

/// The memory of a guest during one call: every access is checked against its bounds.
pub(crate) struct Guest<'a> {
    bytes: &'a mut [u8],
    pub(crate) abi: Abi,
}

impl<'a> Guest<'a> {
    pub(crate) fn new(bytes: &'a mut [u8], abi: Abi) -> Self {
        Guest { bytes, abi }
    }

    /// The whole memory.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }

    /// The bytes that the memory has.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The bytes that a pointer or a size takes.
    #[inline]
    pub(crate) fn size_bytes(&self) -> u64 {
        self.abi.width.bytes()
    }

    /// The range of `len` bytes at `pointer`, if it is within the memory.
    #[inline]
    pub(crate) fn range(&self, pointer: u64, len: u64) -> Result<Range<usize>> {
        let end = pointer.checked_add(len).ok_or(Errno::Fault)?;
        if end > self.bytes.len() as u64 {
            return Err(Errno::Fault);
        }
        Ok(pointer as usize..end as usize)
    }

    /// The range of `count` items of `stride` bytes.
    #[inline]
    pub(crate) fn array(&self, pointer: u64, count: u64, stride: u64) -> Result<Range<usize>> {
        self.range(pointer, count.checked_mul(stride).ok_or(Errno::Fault)?)
    }

    #[inline]
    pub(crate) fn slice(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn slice_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.bytes.get_mut(range).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn read<const N: usize>(&self, pointer: u64) -> Result<[u8; N]> {
        let range = self.range(pointer, N as u64)?;
        self.slice(range).try_into().map_err(|_| Errno::Fault)
    }

    #[inline]
    pub(crate) fn write(&mut self, pointer: u64, bytes: &[u8]) -> Result<()> {
        let range = self.range(pointer, bytes.len() as u64)?;
        self.slice_mut(range).copy_from_slice(bytes);
        Ok(())
    }

    #[inline]
    pub(crate) fn read_u16(&self, pointer: u64) -> Result<u16> {
        self.read(pointer).map(u16::from_le_bytes)
    }

    #[inline]
    pub(crate) fn read_u32(&self, pointer: u64) -> Result<u32> {
        self.read(pointer).map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn read_u64(&self, pointer: u64) -> Result<u64> {
        self.read(pointer).map(u64::from_le_bytes)
    }

    /// Reads a pointer or a size.
    #[inline]
    pub(crate) fn read_size(&self, pointer: u64) -> Result<u64> {
        match self.abi.width {
            Width::W32 => self.read_u32(pointer).map(u64::from),
            Width::W64 => self.read_u64(pointer),
        }
    }

    /// Writes a pointer or a size.
    #[inline]
    pub(crate) fn write_size(&mut self, pointer: u64, value: u64) -> Result<()> {
        match self.abi.width {
            Width::W32 => {
                let value = u32::try_from(value).map_err(|_| Errno::Overflow)?;
                self.write(pointer, &value.to_le_bytes())
            }
            Width::W64 => self.write(pointer, &value.to_le_bytes()),
        }
    }

    /// Checks that a pointer or a size can be written at `pointer`.
    #[inline]
    pub(crate) fn check_size(&self, pointer: u64) -> Result<()> {
        self.range(pointer, self.size_bytes()).map(drop)
    }

    /// The buffers of an array of `iovec`s, copied so that later writes cannot change them.
    #[inline]
    pub(crate) fn buffers(&self, pointer: u64, count: u64) -> Result<Buffers> {
        let size = self.size_bytes();
        self.array(pointer, count, 2 * size)?;
        if count > MAX_IOVECS {
            return Err(Errno::Inval);
        }
        let mut buffers = Buffers::new();
        for index in 0..count {
            let entry = pointer + index * 2 * size;
            buffers.push(self.range(self.read_size(entry)?, self.read_size(entry + size)?)?);
        }
        Ok(buffers)
    }
}
