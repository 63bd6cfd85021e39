//! Which pages of a private mapping are no longer those of its file, and which are there at all.

use std::ops::Range;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::pread;

/// The bits of an entry of `/proc/self/pagemap`.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;
const ENTRY: usize = 8;

/// The indices, from the first of `addresses` on, of the machine's pages that have been written to;
/// at least those. None if the system does not tell.
pub(super) fn written(addresses: Range<usize>) -> Option<Vec<u64>> {
    select(addresses, |entry| entry & OF_FILE == 0)
}

/// The indices of those that are in memory or on a disk instead: where there is no file, all that can
/// be other than zero.
pub(super) fn resident(addresses: Range<usize>) -> Option<Vec<u64>> {
    select(addresses, |_| true)
}

fn select(addresses: Range<usize>, is_meant: impl Fn(u64) -> bool) -> Option<Vec<u64>> {
    let page = rustix::param::page_size();
    let file = open(
        c"/proc/self/pagemap",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()?;
    let first = addresses.start / page;
    let last = addresses.end.div_ceil(page);
    let mut selected = Vec::new();
    let mut buffer = vec![0; (last - first).min(8192) * ENTRY];
    let mut next = first;
    while next < last {
        let wanted = buffer.get_mut(..(last - next).min(8192) * ENTRY)?;
        let got = pread(&file, &mut *wanted, (next * ENTRY) as u64).ok()?;
        let entries = wanted.get(..got)?.chunks_exact(ENTRY);
        if entries.len() == 0 {
            return None;
        }
        for entry in entries {
            let entry = u64::from_ne_bytes(entry.try_into().ok()?);
            if entry & (PRESENT | SWAPPED) != 0 && is_meant(entry) {
                selected.push((next - first) as u64);
            }
            next += 1;
        }
    }
    Some(selected)
}
