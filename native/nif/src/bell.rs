//! Telling a process that its guest can go on.
//!
//! A guest that waits for the machine is woken on some thread of the pool that works for it. Whoever
//! drives the guest either asks whether that has happened, or has a message sent.

use std::sync::Arc;
use std::task::{Wake, Waker};

use parking_lot::Mutex;
use rustler::{Env, LocalPid};

use crate::atoms;
use crate::reaper;
use crate::store::{tell, tell_from_outside};

#[derive(Default)]
pub struct Bell(Mutex<State>);

#[derive(Default)]
enum State {
    /// Nobody waits.
    #[default]
    Silent,
    /// It rang, and nobody has heard it.
    Rang,
    /// The process is to be told, by a message with this ticket, once.
    Armed(LocalPid, u64),
}

impl Bell {
    pub fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Forgets what was: the guest is driven now. The message that was asked for, if it was not
    /// sent by now, is not sent any more.
    pub fn silence(&self) {
        *self.0.lock() = State::Silent;
    }

    /// Has the process told when the bell rings. False, and it is not told, if the bell has rung
    /// since it was silenced.
    #[must_use]
    pub fn arm(&self, pid: LocalPid, ticket: u64) -> bool {
        let mut state = self.0.lock();
        match *state {
            State::Rang => false,
            State::Silent | State::Armed(..) => {
                *state = State::Armed(pid, ticket);
                true
            }
        }
    }

    /// Rings, on a scheduler if there is an `env`, or on a thread of ours.
    pub fn ring(&self, env: Option<Env<'_>>) {
        self.ring_by(|pid, ticket| tell(env, &pid, ticket, atoms::wake()));
    }

    fn ring_by(&self, send: impl FnOnce(LocalPid, u64)) {
        let mut state = self.0.lock();
        if let State::Armed(pid, ticket) = std::mem::replace(&mut *state, State::Rang) {
            // Under the lock, so that after `silence` there is either a message or none.
            send(pid, ticket);
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring_by(|pid, ticket| {
            if rustler::thread::is_scheduler_thread() {
                // There is no environment to send from.
                reaper::tell(pid, ticket, atoms::wake());
            } else {
                tell_from_outside(&pid, ticket, atoms::wake());
            }
        });
    }
}
