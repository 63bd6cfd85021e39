//! What all stores of this process may take together.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds for all stores together; `u64::MAX` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLimits {
    /// Bytes of all linear memories (garbage-collected heaps count as memory).
    pub memory: u64,
    /// Elements of all tables.
    pub table_elements: u64,
    /// Number of instances.
    pub instances: u64,
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self {
            memory: u64::MAX,
            table_elements: u64::MAX,
            instances: u64::MAX,
        }
    }
}

/// What all stores take at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeUsage {
    pub memory: u64,
    pub table_elements: u64,
    pub instances: u64,
}

/// Sets the limits from now on. What is taken already stays, even if it is more.
pub fn set_limits(limits: NodeLimits) {
    MEMORY.limit.store(limits.memory, Ordering::Relaxed);
    TABLE_ELEMENTS
        .limit
        .store(limits.table_elements, Ordering::Relaxed);
    INSTANCES.limit.store(limits.instances, Ordering::Relaxed);
}

#[must_use]
pub fn limits() -> NodeLimits {
    NodeLimits {
        memory: MEMORY.limit.load(Ordering::Relaxed),
        table_elements: TABLE_ELEMENTS.limit.load(Ordering::Relaxed),
        instances: INSTANCES.limit.load(Ordering::Relaxed),
    }
}

#[must_use]
pub fn usage() -> NodeUsage {
    NodeUsage {
        memory: MEMORY.taken.load(Ordering::Relaxed),
        table_elements: TABLE_ELEMENTS.taken.load(Ordering::Relaxed),
        instances: INSTANCES.taken.load(Ordering::Relaxed),
    }
}

pub(crate) static MEMORY: Resource = Resource::new();
pub(crate) static TABLE_ELEMENTS: Resource = Resource::new();
pub(crate) static INSTANCES: Resource = Resource::new();

#[derive(Debug)]
pub(crate) struct Resource {
    taken: AtomicU64,
    limit: AtomicU64,
}

/// What a resource would come to, beyond its limit.
#[derive(Debug)]
pub(crate) struct Exceeded {
    pub limit: u64,
    pub requested: u64,
}

impl Resource {
    const fn new() -> Self {
        Self {
            taken: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
        }
    }

    fn take(&self, amount: u64) -> Result<(), Exceeded> {
        let limit = self.limit.load(Ordering::Relaxed);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                taken.checked_add(amount).filter(|after| *after <= limit)
            })
            .map(drop)
            .map_err(|taken| Exceeded {
                limit,
                requested: taken.saturating_add(amount),
            })
    }

    fn give_back(&self, amount: u64) {
        self.taken.fetch_sub(amount, Ordering::Relaxed);
    }
}

/// One store's part of a resource, which it gives back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    resource: &'static Resource,
    used: u64,
    /// At least what is used.
    taken: u64,
}

impl Share {
    /// A part of which `taken`, taken by somebody who has given it up, is not used yet.
    pub(crate) fn new(resource: &'static Resource, taken: u64) -> Self {
        Self {
            resource,
            used: 0,
            taken,
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    pub(crate) fn grow(&mut self, amount: u64) -> Result<(), Exceeded> {
        let used = self.used.saturating_add(amount);
        if used > self.taken {
            self.resource.take(used - self.taken)?;
            self.taken = used;
        }
        self.used = used;
        Ok(())
    }

    pub(crate) fn shrink(&mut self, amount: u64) {
        self.used = self.used.saturating_sub(amount);
        self.settle();
    }

    /// Gives back what is not used.
    pub(crate) fn settle(&mut self) {
        self.resource
            .give_back(self.taken.saturating_sub(self.used));
        self.taken = self.used;
    }

    /// Gives up all of it for the sake of a store that takes this one's place.
    pub(crate) fn give_up(&mut self) -> u64 {
        std::mem::take(&mut self.taken)
    }

    /// Takes it again, because it came to nothing: by then others may have it, too.
    pub(crate) fn take_again(&mut self) {
        self.resource
            .taken
            .fetch_add(self.used - self.taken.min(self.used), Ordering::Relaxed);
        self.taken = self.taken.max(self.used);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resource.give_back(self.taken);
    }
}

/// What a store has taken of each resource and given up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    pub memory: u64,
    pub table_elements: u64,
    pub instances: u64,
}
