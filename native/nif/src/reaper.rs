//! A thread for what would keep a scheduler too long: giving back a store's memory, and unwinding
//! the calls of processes that died.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock};
use std::thread;

use wasmbeam_core::store::Coroutine;

use crate::store::SharedStore;

enum Job {
    Free(Coroutine),
    Unwind(Arc<SharedStore>),
}

static REAPER: LazyLock<Option<Sender<Job>>> = LazyLock::new(|| {
    let (sender, jobs) = channel();
    thread::Builder::new()
        .name("wasmbeam-reaper".into())
        .spawn(move || {
            for job in jobs {
                match job {
                    Job::Free(coroutine) => drop(coroutine),
                    Job::Unwind(store) => store.unwind(),
                }
            }
        })
        .ok()?;
    Some(sender)
});

/// Frees a store that nobody drives any more.
pub fn free(coroutine: Coroutine) {
    send(Job::Free(coroutine));
}

/// Ends the calls that a dead process left open.
pub fn unwind(store: Arc<SharedStore>) {
    send(Job::Unwind(store));
}

fn send(job: Job) {
    // Without a thread the job is dropped, and with it the memory is freed, here.
    if let Some(reaper) = REAPER.as_ref() {
        let _ = reaper.send(job);
    }
}
