//! How much was compiled, and how long that took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

static COUNT: AtomicU64 = AtomicU64::new(0);
static TIME_NS: AtomicU64 = AtomicU64::new(0);

/// Counts a compilation as long as it lives.
pub(crate) struct Timing(Instant);

impl Timing {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Drop for Timing {
    fn drop(&mut self) {
        let ns = u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        COUNT.fetch_add(1, Ordering::Relaxed);
        TIME_NS.fetch_add(ns, Ordering::Relaxed);
    }
}

/// Compilations that came to an end so far, in an error or not, and the nanoseconds that they took
/// together.
#[must_use]
pub fn compilations() -> (u64, u64) {
    (
        COUNT.load(Ordering::Relaxed),
        TIME_NS.load(Ordering::Relaxed),
    )
}
