//! A thread for what would keep a scheduler too long: giving back a store's memory, what it held and
//! trees of files, and unwinding the calls of processes that died.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::{io, thread};

use once_cell::sync::OnceCell;
use parking_lot::{Condvar, Mutex};
use rustler::{Atom, LocalPid};
use wasmbeam_core::store::Coroutine;

use crate::atoms;
use crate::line::Line;
use crate::store::{SharedStore, tell_from_outside};
use crate::term::take_dropped;

/// With more jobs than this ahead, those who stop instances wait: they could otherwise be faster
/// than memory is given back.
const MAX_BACKLOG: usize = 256;

enum Job {
    Free(Coroutine),
    Unwind(Arc<SharedStore>),
    Discard(Box<dyn Send>),
    Tell(LocalPid, u64, Atom),
    TellAll(Line),
}

static BACKLOG: Mutex<usize> = Mutex::new(0);
/// Jobs that are done, changed under the lock of the backlog.
static DONE: AtomicU64 = AtomicU64::new(0);
static LESS: Condvar = Condvar::new();

static REAPER: OnceCell<Sender<Job>> = OnceCell::new();

/// Starts the thread if it does not run yet: before there is anything that it has to free.
///
/// # Errors
/// If no thread can be started. The next use tries again.
pub fn start() -> io::Result<()> {
    REAPER.get_or_try_init(|| {
        let (sender, jobs) = channel();
        thread::Builder::new()
            .name("wasmbeam-reaper".into())
            .spawn(move || jobs.into_iter().for_each(reap))?;
        io::Result::Ok(sender)
    })?;
    Ok(())
}

fn reap(job: Job) {
    // What cannot be freed in order is leaked; others must not wait for it.
    let _ = catch_unwind(AssertUnwindSafe(|| match job {
        Job::Free(coroutine) => drop(coroutine),
        Job::Unwind(store) => store.unwind(),
        Job::Discard(it) => drop(it),
        Job::Tell(pid, ticket, what) => tell_from_outside(&pid, ticket, what),
        Job::TellAll(line) => line.tell_all(None),
    }));
    drop(take_dropped());
    let mut backlog = BACKLOG.lock();
    *backlog -= 1;
    DONE.fetch_add(1, Ordering::Relaxed);
    drop(backlog);
    LESS.notify_all();
}

/// Frees a store that nobody drives any more.
pub fn free(coroutine: Coroutine) {
    send(Job::Free(coroutine));
}

/// Drops what nobody needs any more, and may take long to be dropped.
pub fn discard(it: impl Send + 'static) {
    send(Job::Discard(Box::new(it)));
}

/// Ends the calls that a dead process left open.
pub fn unwind(store: Arc<SharedStore>) {
    send(Job::Unwind(store));
}

/// Sends a message that could not be sent where it came up.
pub fn tell(pid: LocalPid, ticket: u64, what: Atom) {
    send(Job::Tell(pid, ticket, what));
}

/// Has those who waited in a line ask again.
pub fn tell_all(line: Line) {
    send(Job::TellAll(line));
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

/// Waits until all that has been stopped by now is given back, and all calls of processes that have
/// died by now are unwound.
#[rustler::nif(schedule = "DirtyIo")]
fn await_freed() -> Atom {
    let mut backlog = BACKLOG.lock();
    let until = DONE.load(Ordering::Relaxed) + *backlog as u64;
    while DONE.load(Ordering::Relaxed) < until {
        LESS.wait(&mut backlog);
    }
    atoms::ok()
}

fn send(job: Job) {
    // There is no store without the thread; if there were, the job would be dropped here, and with
    // it the memory freed.
    if let Some(reaper) = REAPER.get() {
        *BACKLOG.lock() += 1;
        if reaper.send(job).is_err() {
            *BACKLOG.lock() -= 1;
        }
    }
}
