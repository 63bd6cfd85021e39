//! Frees much memory on a thread of its own.
//!
//! Giving back a gigabyte takes tens of milliseconds, and whoever closes, cuts or removes a file
//! may be on a thread that has to be prompt.

use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use super::content::Chunks;

/// So many chunks are freed at once in a fraction of a millisecond.
const FEW: usize = 64;

/// Frees chunks, elsewhere if they are many.
pub(super) fn free(chunks: Chunks) {
    if chunks.len() <= FEW {
        return;
    }
    if let Some(thread) = thread() {
        // Without the thread they come back with the error, and are freed here.
        let _ = thread.send(chunks);
    }
}

/// The thread, which is started when it is first needed; none if the machine has no more threads.
fn thread() -> Option<&'static Sender<Chunks>> {
    static THREAD: OnceLock<Option<Sender<Chunks>>> = OnceLock::new();
    THREAD
        .get_or_init(|| {
            let (sender, receiver) = channel();
            thread::Builder::new()
                .name("wasmbeam-litter".into())
                .spawn(move || receiver.into_iter().for_each(drop))
                .ok()
                .map(|_| sender)
        })
        .as_ref()
}
