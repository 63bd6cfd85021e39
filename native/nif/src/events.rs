//! Telling those who watch from outside.
//!
//! What happens where no Erlang code runs, an instance's end, is told to the process that is
//! registered as `wasmbeam_events`. Calls are told by Erlang code, which is on another path while
//! somebody wants to know.

use std::sync::atomic::{AtomicBool, Ordering};

use rustler::{Atom, Encoder, Env, LocalPid, Term};

use crate::atoms;

static CALLS: AtomicBool = AtomicBool::new(false);
static ENDS: AtomicBool = AtomicBool::new(false);

/// Whether somebody wants to know of each call.
pub fn of_calls() -> bool {
    CALLS.load(Ordering::Relaxed)
}

/// Whether somebody wants to know of each instance's end.
pub fn of_ends() -> bool {
    ENDS.load(Ordering::Relaxed)
}

/// Says what is to be told.
#[rustler::nif]
fn events_want(calls: bool, ends: bool) -> Atom {
    CALLS.store(calls, Ordering::Relaxed);
    ENDS.store(ends, Ordering::Relaxed);
    atoms::ok()
}

/// Tells it, if the process is there. `env` is that of the scheduler we are on.
pub fn tell<'a>(env: Env<'a>, what: Atom, details: impl FnOnce(Env<'a>) -> Term<'a>) {
    if let Some(listener) = listener(env) {
        let message = (atoms::wasmbeam_event(), what, details(env)).encode(env);
        // It may have ended since.
        let _ = env.send(&listener, message);
    }
}

fn listener(env: Env<'_>) -> Option<LocalPid> {
    env.whereis_pid(atoms::wasmbeam_events().encode(env))
}
