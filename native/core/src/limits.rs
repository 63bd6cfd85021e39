//! Limits on what the instances of a store may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

use crate::error::{Error, Result};
use crate::node::{self, Exceeded, Share, Taken};

/// Upper bounds for one store, all of its instances together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all linear memories together (garbage-collected heaps count as memory).
    pub memory: u64,
    /// Number of linear memories.
    pub memories: usize,
    /// Number of tables.
    pub tables: usize,
    /// Elements of all tables together.
    pub table_elements: u64,
    /// Number of instances.
    pub instances: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 4 << 30,
            memories: 1_000,
            tables: 1_000,
            table_elements: 10_000_000,
            instances: 10_000,
        }
    }
}

/// How much a store takes, for those outside.
#[derive(Debug, Default)]
pub struct Gauge {
    memory: AtomicU64,
    table_elements: AtomicU64,
    heap: AtomicU64,
}

impl Gauge {
    /// The bytes of all memories together.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// The bytes of the heap of garbage-collected objects, when the guest last let others run.
    #[must_use]
    pub fn heap(&self) -> u64 {
        self.heap.load(Ordering::Relaxed)
    }

    /// The elements of all tables together.
    #[must_use]
    pub fn table_elements(&self) -> u64 {
        self.table_elements.load(Ordering::Relaxed)
    }
}

/// Counts what a store takes, of its own limits and of those of all stores together.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: Limits,
    gauge: Arc<Gauge>,
    memory: Share,
    table_elements: Share,
    instances: Share,
    /// What the last permitted growth added, to take back if it fails all the same.
    last_growth: u64,
    denied: Option<Error>,
}

impl Limiter {
    /// `taken` is what a store has given up whose place the new one takes.
    pub(crate) fn new(limits: Limits, gauge: Arc<Gauge>, taken: Taken) -> Self {
        Self {
            limits,
            gauge,
            memory: Share::new(&node::MEMORY, taken.memory),
            table_elements: Share::new(&node::TABLE_ELEMENTS, taken.table_elements),
            instances: Share::new(&node::INSTANCES, taken.instances),
            last_growth: 0,
            denied: None,
        }
    }

    /// Counts an instance that is about to be made; it counts as long as the store lives.
    pub(crate) fn add_instance(&mut self) -> Result<()> {
        self.instances
            .grow(1)
            .map_err(|exceeded| on_node("instances", &exceeded))
    }

    /// Gives up all that is taken, for the store that takes this one's place.
    pub(crate) fn give_up(&mut self) -> Taken {
        Taken {
            memory: self.memory.give_up(),
            table_elements: self.table_elements.give_up(),
            instances: self.instances.give_up(),
        }
    }

    /// Takes back what was given up.
    pub(crate) fn take_again(&mut self) {
        self.memory.take_again();
        self.table_elements.take_again();
        self.instances.take_again();
    }

    /// Lets go of what was inherited and is not needed.
    pub(crate) fn settle(&mut self) {
        self.memory.settle();
        self.table_elements.settle();
        self.instances.settle();
    }

    /// The bytes of all memories, and of the heap, together.
    pub(crate) fn memory(&self) -> u64 {
        self.memory.used()
    }

    /// Tells those outside how large the heap is.
    pub(crate) fn tell_heap(&self, bytes: u64) {
        self.gauge.heap.store(bytes, Ordering::Relaxed);
    }

    /// The last growth that was refused, once.
    pub(crate) fn take_denied(&mut self) -> Option<Error> {
        self.denied.take()
    }

    /// Reads a refusal to make one more instance, memory or table, which wasmtime explains in its
    /// message only.
    pub(crate) fn count_denied(&self, message: &str) -> Option<Error> {
        let (kind, count) = message
            .strip_prefix("resource limit exceeded: ")?
            .split_once(" count too high at ")?;
        let (what, limit) = match kind {
            "instance" => ("instances", self.limits.instances),
            "memory" => ("memories", self.limits.memories),
            "table" => ("tables", self.limits.tables),
            _ => return None,
        };
        Some(Error::Limit {
            what,
            limit: limit as u64,
            requested: count.parse().ok()?,
        })
    }

    fn publish(&self) {
        let Gauge {
            memory,
            table_elements,
            ..
        } = &*self.gauge;
        memory.store(self.memory.used(), Ordering::Relaxed);
        table_elements.store(self.table_elements.used(), Ordering::Relaxed);
    }

    /// Whether the growth is permitted, which then has been counted.
    fn permit(&mut self, grown: Result<u64>) -> bool {
        match grown {
            Ok(growth) => {
                self.last_growth = growth;
                self.publish();
                true
            }
            Err(error) => {
                self.denied = Some(error);
                false
            }
        }
    }
}

fn grow(share: &mut Share, growth: u64, limit: u64, what: &'static str) -> Result<u64> {
    let requested = share.used().saturating_add(growth);
    if requested > limit {
        return Err(Error::Limit {
            what,
            limit,
            requested,
        });
    }
    share
        .grow(growth)
        .map_err(|exceeded| on_node(what, &exceeded))?;
    Ok(growth)
}

/// Whether wasmtime had asked for permission of a growth that has failed. What no memory or table
/// could ever be it refuses without asking, which its message tells only: nothing was counted then,
/// and what was counted before is not to be taken back.
fn was_asked_about(failure: &wasmtime::Error) -> bool {
    const UNASKED: [&str; 2] = [
        "memory growth exceeds memory type's limits",
        "overflow calculating new table size",
    ];
    let message = failure.to_string();
    !UNASKED.contains(&message.as_str())
}

fn on_node(what: &'static str, exceeded: &Exceeded) -> Error {
    Error::NodeLimit {
        what,
        limit: exceeded.limit,
        requested: exceeded.requested,
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let growth = desired.saturating_sub(current) as u64;
        let limit = self.limits.memory;
        let grown = grow(&mut self.memory, growth, limit, "bytes of memory");
        Ok(self.permit(grown))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if was_asked_about(&error) {
            self.memory.shrink(std::mem::take(&mut self.last_growth));
            self.publish();
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let growth = desired.saturating_sub(current) as u64;
        let limit = self.limits.table_elements;
        let grown = grow(&mut self.table_elements, growth, limit, "table elements");
        Ok(self.permit(grown))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if was_asked_about(&error) {
            self.table_elements
                .shrink(std::mem::take(&mut self.last_growth));
            self.publish();
        }
        Ok(())
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }
}
