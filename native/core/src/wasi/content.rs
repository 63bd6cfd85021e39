//! The bytes of a file, in chunks that copies share until they are written.

use std::sync::Arc;

use super::litter;

/// Bytes in a chunk.
pub(crate) const CHUNK: usize = 64 * 1024;

pub(super) type Chunks = Vec<Option<Arc<Vec<u8>>>>;

/// The bytes of a file.
///
/// A chunk may be absent or shorter than [`CHUNK`]; what is missing reads as zeros. A clone
/// shares all chunks, and a write copies at most the chunks that it touches, so that neither
/// copying a file nor writing small pieces to it costs what the file is long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    chunks: Chunks,
    len: u64,
}

impl Drop for Content {
    fn drop(&mut self) {
        litter::free(std::mem::take(&mut self.chunks));
    }
}

/// Calls `piece(chunk index, offset in the chunk, range of the buffer)` for each chunk touched.
fn for_each_piece(
    offset: u64,
    len: usize,
    mut piece: impl FnMut(usize, usize, core::ops::Range<usize>),
) {
    let mut done = 0;
    while done < len {
        let position = offset + done as u64;
        let within = (position % CHUNK as u64) as usize;
        let size = (CHUNK - within).min(len - done);
        piece(
            (position / CHUNK as u64) as usize,
            within,
            done..done + size,
        );
        done += size;
    }
}

impl Content {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut content = Content::default();
        content.write_at(0, bytes);
        content
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Copies from `offset` into `buffer`; returns the bytes copied, fewer only at the end.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let available = self.len.saturating_sub(offset).min(buffer.len() as u64) as usize;
        for_each_piece(offset, available, |index, within, range| {
            let Some(target) = buffer.get_mut(range) else {
                return;
            };
            let present = match self.chunks.get(index) {
                Some(Some(chunk)) => chunk.get(within..).unwrap_or_default(),
                _ => &[],
            };
            let copied = present.len().min(target.len());
            let (filled, zeroed) = target.split_at_mut(copied);
            filled.copy_from_slice(&present[..copied]);
            zeroed.fill(0);
        });
        available
    }

    /// Writes at `offset`, growing the content as needed. The caller has checked the size.
    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        for_each_piece(offset, bytes.len(), |index, within, range| {
            let Some(source) = bytes.get(range) else {
                return;
            };
            if self.chunks.len() <= index {
                self.chunks.resize(index + 1, None);
            }
            let Some(slot) = self.chunks.get_mut(index) else {
                return;
            };
            let chunk = Arc::make_mut(slot.get_or_insert_default());
            write_chunk(chunk, within, source, index > 0);
        });
        if !bytes.is_empty() {
            self.len = self.len.max(offset + bytes.len() as u64);
        }
    }

    /// Cuts the content, or extends it by zeros.
    pub(crate) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let kept = len.div_ceil(CHUNK as u64) as usize;
            if kept < self.chunks.len() {
                litter::free(self.chunks.split_off(kept));
            }
            let last = (len / CHUNK as u64) as usize;
            if let Some(Some(chunk)) = self.chunks.get_mut(last) {
                let within = (len % CHUNK as u64) as usize;
                if chunk.len() > within {
                    Arc::make_mut(chunk).truncate(within);
                }
            }
        }
        self.len = len;
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len as usize];
        self.read_at(0, &mut bytes);
        bytes
    }

    /// The chunks that hold anything but zeros, without their trailing zeros: the one form that
    /// equal contents share, however they were written.
    pub(crate) fn canonical_chunks(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.chunks.iter().enumerate().filter_map(|(index, chunk)| {
            let chunk = chunk.as_ref()?;
            let end = chunk.iter().rposition(|byte| *byte != 0)? + 1;
            Some((index, &chunk[..end]))
        })
    }
}

/// Writes into one chunk. A chunk grows by doubling; beyond the first of a file it is made whole
/// at once, since such a file is likely to fill it.
fn write_chunk(chunk: &mut Vec<u8>, within: usize, source: &[u8], whole: bool) {
    let end = within + source.len();
    if chunk.capacity() < end {
        let capacity = if whole {
            CHUNK
        } else {
            end.max((2 * chunk.capacity()).min(CHUNK))
        };
        chunk.reserve_exact(capacity - chunk.len());
    }
    if chunk.len() < within {
        chunk.resize(within, 0);
    }
    let overlap = (chunk.len() - within).min(source.len());
    let (over, beyond) = source.split_at(overlap);
    chunk[within..within + overlap].copy_from_slice(over);
    chunk.extend_from_slice(beyond);
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.canonical_chunks().eq(other.canonical_chunks())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_across_chunks_read_back() {
        let mut content = Content::default();
        let piece: Vec<u8> = (0..251).collect();
        let mut expected = Vec::new();
        while expected.len() < 3 * CHUNK {
            content.write_at(expected.len() as u64, &piece);
            expected.extend_from_slice(&piece);
        }
        assert_eq!(content.to_vec(), expected);
        content.write_at(CHUNK as u64 - 3, b"across");
        expected[CHUNK - 3..CHUNK + 3].copy_from_slice(b"across");
        assert_eq!(content.to_vec(), expected);
    }

    #[test]
    fn what_was_cut_off_reads_as_zeros_when_extended() {
        let mut content = Content::from_bytes(&[7; 100]);
        content.set_len(10);
        content.set_len(20);
        let mut expected = vec![7; 10];
        expected.resize(20, 0);
        assert_eq!(content.to_vec(), expected);
    }

    #[test]
    fn holes_read_as_zeros() {
        let mut content = Content::default();
        content.write_at(5 * CHUNK as u64 + 1, b"x");
        assert_eq!(content.len(), 5 * CHUNK as u64 + 2);
        let bytes = content.to_vec();
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 1);
        assert_eq!(bytes.last(), Some(&b'x'));
    }

    #[test]
    fn a_copy_shares_chunks_until_written() {
        let mut content = Content::from_bytes(&[1; 2 * CHUNK]);
        let copy = content.clone();
        content.write_at(0, &[2]);
        assert_eq!(copy.to_vec(), [1; 2 * CHUNK]);
        let shared = |index: usize| match (&content.chunks[index], &copy.chunks[index]) {
            (Some(left), Some(right)) => Arc::ptr_eq(left, right),
            _ => false,
        };
        assert_eq!([shared(0), shared(1)], [false, true]);
    }

    #[test]
    fn contents_are_equal_whatever_the_way_they_were_written() {
        let mut sparse = Content::default();
        sparse.set_len(CHUNK as u64 * 2);
        let mut zeros = Content::from_bytes(&[0; 2 * CHUNK]);
        assert_eq!(sparse, zeros);
        zeros.write_at(9, b"x");
        assert_ne!(sparse, zeros);
    }
}
