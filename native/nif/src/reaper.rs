//! A thread for what would keep a scheduler too long: giving back a store's memory, and unwinding
//! the calls of processes that died.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock};
use std::thread;

use parking_lot::{Condvar, Mutex};
use rustler::{Atom, LocalPid};
use wasmbeam_core::store::Coroutine;

use crate::atoms;
use crate::store::{SharedStore, tell_from_outside};
use crate::term::free_dropped;

/// With more jobs than this ahead, those who stop instances wait: they could otherwise be faster
/// than memory is given back.
const MAX_BACKLOG: usize = 256;

enum Job {
    Free(Coroutine),
    Unwind(Arc<SharedStore>),
    Tell(LocalPid, u64, Atom),
}

static BACKLOG: Mutex<usize> = Mutex::new(0);
static LESS: Condvar = Condvar::new();

static REAPER: LazyLock<Option<Sender<Job>>> = LazyLock::new(|| {
    let (sender, jobs) = channel();
    thread::Builder::new()
        .name("wasmbeam-reaper".into())
        .spawn(move || {
            for job in jobs {
                match job {
                    Job::Free(coroutine) => drop(coroutine),
                    Job::Unwind(store) => store.unwind(),
                    Job::Tell(pid, ticket, what) => tell_from_outside(&pid, ticket, what),
                }
                free_dropped();
                *BACKLOG.lock() -= 1;
                LESS.notify_all();
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

/// Sends a message that could not be sent where it came up.
pub fn tell(pid: LocalPid, ticket: u64, what: Atom) {
    send(Job::Tell(pid, ticket, what));
}

/// Whether those who make work should wait by `await_reaper`.
pub fn is_behind() -> bool {
    *BACKLOG.lock() > MAX_BACKLOG
}

/// Waits until the memory of most stopped instances is given back.
#[rustler::nif(schedule = "DirtyIo")]
fn await_reaper() -> Atom {
    let mut backlog = BACKLOG.lock();
    while *backlog > MAX_BACKLOG / 2 {
        LESS.wait(&mut backlog);
    }
    atoms::ok()
}

fn send(job: Job) {
    // Without a thread the job is dropped, and with it the memory is freed, here.
    if let Some(reaper) = REAPER.as_ref() {
        *BACKLOG.lock() += 1;
        let _ = reaper.send(job);
    }
}
