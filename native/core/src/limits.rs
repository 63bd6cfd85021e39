//! Limits on what the instances of a store may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

use crate::error::Error;

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

#[derive(Debug)]
pub(crate) struct Limiter {
    limits: Limits,
    memory: u64,
    /// `memory`, for those outside.
    gauge: Arc<AtomicU64>,
    table_elements: u64,
    /// What the last permitted growth added, to take back if it fails all the same.
    last_growth: u64,
    denied: Option<Error>,
}

impl Limiter {
    pub(crate) fn new(limits: Limits, gauge: Arc<AtomicU64>) -> Self {
        Self {
            limits,
            memory: 0,
            gauge,
            table_elements: 0,
            last_growth: 0,
            denied: None,
        }
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

    fn grow(total: &mut u64, growth: u64, limit: u64) -> Result<(), u64> {
        let after = total.saturating_add(growth);
        if after > limit {
            return Err(after);
        }
        *total = after;
        Ok(())
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
        let limit = self.limits.memory;
        let growth = desired.saturating_sub(current) as u64;
        Ok(match Self::grow(&mut self.memory, growth, limit) {
            Ok(()) => {
                self.last_growth = growth;
                self.gauge.store(self.memory, Ordering::Relaxed);
                true
            }
            Err(requested) => {
                self.denied = Some(Error::Limit {
                    what: "bytes of memory",
                    limit,
                    requested,
                });
                false
            }
        })
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory -= std::mem::take(&mut self.last_growth);
        self.gauge.store(self.memory, Ordering::Relaxed);
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
        let limit = self.limits.table_elements;
        let growth = desired.saturating_sub(current) as u64;
        Ok(match Self::grow(&mut self.table_elements, growth, limit) {
            Ok(()) => {
                self.last_growth = growth;
                true
            }
            Err(requested) => {
                self.denied = Some(Error::Limit {
                    what: "table elements",
                    limit,
                    requested,
                });
                false
            }
        })
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements -= std::mem::take(&mut self.last_growth);
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
