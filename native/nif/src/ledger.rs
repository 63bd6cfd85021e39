//! What all stores of this VM did, and which instances there are.
//!
//! Each store counts for itself, at no cost beyond its own; sums are made when somebody asks. What a
//! store did that is gone is kept here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rustler::LocalPid;
use wasmbeam_core::Module;

use crate::store::SharedStore;
use crate::tickets;

/// What a store's instances did. Written by one thread at a time, read by any.
#[derive(Default)]
pub struct Tally {
    pub calls: Counter,
    pub imports: Counter,
    pub traps: Counter,
    pub yields: Counter,
    pub run_time_ns: Counter,
}

/// A number that only whoever holds its store's lock changes: no read-modify-write is needed.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, amount: u64) {
        let sum = self.get().wrapping_add(amount);
        self.0.store(sum, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, Default)]
pub struct Totals {
    pub calls: u64,
    pub imports: u64,
    pub traps: u64,
    pub yields: u64,
    pub run_time_ns: u64,
}

impl Totals {
    pub fn of(tally: &Tally) -> Self {
        let mut totals = Self::default();
        totals.add(tally);
        totals
    }

    fn add(&mut self, tally: &Tally) {
        self.calls += tally.calls.get();
        self.imports += tally.imports.get();
        self.traps += tally.traps.get();
        self.yields += tally.yields.get();
        self.run_time_ns += tally.run_time_ns.get();
    }
}

/// A tally that is entered in the books as long as it lives.
pub struct Entered {
    number: u64,
    tally: Arc<Tally>,
}

impl Entered {
    pub fn new() -> Self {
        let entered = Self {
            number: tickets::next(),
            tally: Arc::default(),
        };
        let mut books = BOOKS.lock();
        books
            .tallies
            .insert(entered.number, Arc::clone(&entered.tally));
        entered
    }
}

impl std::ops::Deref for Entered {
    type Target = Tally;

    fn deref(&self) -> &Tally {
        &self.tally
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut books = BOOKS.lock();
        books.tallies.remove(&self.number);
        books.past.add(&self.tally);
    }
}

#[derive(Default)]
struct Books {
    /// Of the stores that there are.
    tallies: BTreeMap<u64, Arc<Tally>>,
    /// Of those that are gone.
    past: Totals,
}

/// Held for a moment, with no other lock taken meanwhile.
static BOOKS: LazyLock<Mutex<Books>> = LazyLock::new(Mutex::default);

/// What all stores together did so far.
pub fn totals() -> Totals {
    let books = BOOKS.lock();
    let mut totals = books.past;
    for tally in books.tallies.values() {
        totals.add(tally);
    }
    totals
}

static STARTED: AtomicU64 = AtomicU64::new(0);
static STOPPED: AtomicU64 = AtomicU64::new(0);

pub fn count_started() {
    STARTED.fetch_add(1, Ordering::Relaxed);
}

pub fn count_stopped() {
    STOPPED.fetch_add(1, Ordering::Relaxed);
}

pub fn started() -> u64 {
    STARTED.load(Ordering::Relaxed)
}

pub fn stopped() -> u64 {
    STOPPED.load(Ordering::Relaxed)
}

/// What identifies an instance.
pub struct Identity {
    pub id: u64,
    pub module: Arc<Module>,
    /// Which of the store's instances.
    pub index: usize,
    pub store: Weak<SharedStore>,
    pub owner: Mutex<Option<LocalPid>>,
    /// In milliseconds since 1970.
    pub started_at: u64,
}

/// An instance that is listed as long as this lives.
pub struct Listed(Arc<Identity>);

impl Listed {
    pub fn new(id: u64, module: &Arc<Module>, index: usize, store: &Arc<SharedStore>) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let identity = Arc::new(Identity {
            id,
            module: Arc::clone(module),
            index,
            store: Arc::downgrade(store),
            owner: Mutex::new(None),
            started_at: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        });
        LIST.lock().insert(id, Arc::clone(&identity));
        Self(identity)
    }
}

impl std::ops::Deref for Listed {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        LIST.lock().remove(&self.0.id);
    }
}

/// By their numbers, which grow with time. Held for a moment, with no other lock taken meanwhile.
static LIST: LazyLock<Mutex<BTreeMap<u64, Arc<Identity>>>> = LazyLock::new(Mutex::default);

/// All instances that have a handle, those that started first first.
pub fn instances() -> Vec<Arc<Identity>> {
    LIST.lock().values().map(Arc::clone).collect()
}
