//! Numbers that match messages to whom they are for.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that no other wait of this VM has.
pub fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
