//! Taking a snapshot's bytes one by one.

use crate::error::{Error, Result};

/// What is left to read.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// `offset` is where in the snapshot the bytes begin.
    pub fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, offset }
    }

    pub fn offset(&self) -> usize {
        self.offset
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let Some((head, tail)) = self.bytes.split_at_checked(len) else {
            return self.bad("it ends too early");
        };
        self.bytes = tail;
        self.offset += len;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((head, tail)) = self.bytes.split_first_chunk() else {
            return self.bad("it ends too early");
        };
        self.bytes = tail;
        self.offset += N;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number of items of which each takes at least `least` bytes.
    pub fn count(&mut self, least: usize) -> Result<usize> {
        let count = self.u32()? as usize;
        self.announce(count, least)?;
        Ok(count)
    }

    /// Fails if so many items, of which each takes at least `least` bytes, cannot follow.
    pub fn announce(&self, count: usize, least: usize) -> Result<()> {
        if count.saturating_mul(least) > self.remaining() {
            return self.bad("it ends before all items that it announces");
        }
        Ok(())
    }

    pub fn zero(&mut self, value: u64) -> Result<()> {
        if value != 0 {
            return self.bad("a reserved field is not zero");
        }
        Ok(())
    }

    pub fn end(&self) -> Result<()> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            self.bad("it goes on where it should end")
        }
    }

    pub fn bad<T>(&self, message: &str) -> Result<T> {
        Err(Error::BadSnapshot {
            message: format!("{message} (at offset {})", self.offset),
        })
    }
}
