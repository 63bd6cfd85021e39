//! Processes that wait for their turn, in the order in which they came.
//!
//! Any of them can leave at any time, and be many: whoever is looked for is found at once.

use std::collections::{BTreeMap, BTreeSet};

use rustler::{Env, LocalPid};

use crate::store::{HandleId, Waiter};

#[derive(Default)]
pub struct Line {
    /// By their tickets, which grow.
    waiters: BTreeMap<u64, Waiter>,
    by_process: BTreeSet<(LocalPid, u64)>,
    by_handle: BTreeSet<(HandleId, u64)>,
}

impl Line {
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    pub fn join(&mut self, waiter: Waiter) {
        self.by_process.insert((waiter.pid, waiter.ticket));
        self.by_handle.insert((waiter.handle, waiter.ticket));
        self.waiters.insert(waiter.ticket, waiter);
    }

    pub fn first(&mut self) -> Option<Waiter> {
        let (_, waiter) = self.waiters.pop_first()?;
        self.forget(&waiter);
        Some(waiter)
    }

    pub fn leave(&mut self, ticket: u64) -> Option<Waiter> {
        let waiter = self.waiters.remove(&ticket)?;
        self.forget(&waiter);
        Some(waiter)
    }

    /// All places of a process are free.
    pub fn leave_process(&mut self, pid: LocalPid) {
        while let Some((_, ticket)) = first_of(&self.by_process, pid) {
            self.by_process.remove(&(pid, ticket));
            self.leave(ticket);
        }
    }

    /// All places of those who came through a handle are free.
    pub fn leave_handle(&mut self, handle: HandleId) {
        while let Some((_, ticket)) = first_of(&self.by_handle, handle) {
            self.by_handle.remove(&(handle, ticket));
            self.leave(ticket);
        }
    }

    /// Has everybody ask again. `env` is that of the scheduler we are on; none if on a thread of our own.
    pub fn tell_all(&self, env: Option<Env<'_>>) {
        self.waiters.values().for_each(|waiter| waiter.tell(env));
    }

    fn forget(&mut self, waiter: &Waiter) {
        self.by_process.remove(&(waiter.pid, waiter.ticket));
        self.by_handle.remove(&(waiter.handle, waiter.ticket));
    }
}

fn first_of<K: Copy + Ord>(places: &BTreeSet<(K, u64)>, key: K) -> Option<(K, u64)> {
    places.range((key, 0)..=(key, u64::MAX)).next().copied()
}
