//! Compiled modules in memory.
//!
//! Images are told apart by their whole contents: a hash finds the candidates, comparing the bytes
//! decides.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::{Form, Waiter};
use crate::module::Module;

/// Bytes of images and code that are kept although nobody uses them at the moment.
pub const DEFAULT_BYTES: usize = 256 << 20;

/// What the cache did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryStats {
    pub hits: u64,
    pub misses: u64,
    pub modules: usize,
    /// Bytes that are held, of images and of their code.
    pub bytes: usize,
}

/// An image, and what is to be made of it.
#[derive(Clone)]
pub struct Key {
    hash: u64,
    /// Of this entry alone: another one of the same image may take its place.
    token: u64,
    form: Form,
    source: Arc<[u8]>,
}

/// Where an entry is, as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    hash: u64,
    token: u64,
}

pub struct Entry {
    key: Key,
    used: u64,
    bytes: usize,
    pub state: State,
}

pub enum State {
    Compiling(Vec<Waiter>),
    Ready(Arc<Module>),
}

pub struct Entries {
    by_hash: HashMap<u64, Vec<Entry>>,
    clock: u64,
    limit: usize,
    pub stats: MemoryStats,
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            by_hash: HashMap::new(),
            clock: 0,
            limit: DEFAULT_BYTES,
            stats: MemoryStats::default(),
        }
    }
}

impl Key {
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    pub fn form(&self) -> &Form {
        &self.form
    }

    fn place(&self) -> Place {
        Place {
            hash: self.hash,
            token: self.token,
        }
    }
}

impl Entry {
    pub fn key(&self) -> &Key {
        &self.key
    }

    pub fn place(&self) -> Place {
        self.key.place()
    }
}

pub fn hash(state: &RandomState, form: &Form, source: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write(source);
    form.hash(&mut hasher);
    hasher.finish()
}

impl Entries {
    pub fn find(&mut self, hash: u64, form: &Form, source: &[u8]) -> Option<&mut Entry> {
        self.clock += 1;
        let entry = self
            .by_hash
            .get_mut(&hash)?
            .iter_mut()
            .find(|entry| entry.key.form == *form && *entry.key.source == *source)?;
        entry.used = self.clock;
        Some(entry)
    }

    /// Those that have the hash of an image, one of which is its entry if there is one, with what is
    /// to be compared: that may take longer than whoever waits for the lock has time for.
    pub fn candidates(&self, hash: u64, form: &Form) -> Vec<(Place, Arc<[u8]>)> {
        let entries = self.by_hash.get(&hash).map(Vec::as_slice);
        let entries = entries.unwrap_or_default().iter();
        entries
            .filter(|entry| entry.key.form == *form)
            .map(|entry| (entry.place(), Arc::clone(&entry.key.source)))
            .collect()
    }

    /// As [`find`](Self::find), where it was found before.
    pub fn find_at(&mut self, place: Place) -> Option<&mut Entry> {
        self.clock += 1;
        let now = self.clock;
        let entry = self.entry(place)?;
        entry.used = now;
        Some(entry)
    }

    pub fn get(&mut self, key: &Key) -> Option<&mut State> {
        self.entry(key.place()).map(|entry| &mut entry.state)
    }

    fn entry(&mut self, place: Place) -> Option<&mut Entry> {
        self.by_hash
            .get_mut(&place.hash)?
            .iter_mut()
            .find(|entry| entry.key.token == place.token)
    }

    /// Adds an entry for what [`find`](Self::find) has not found.
    pub fn insert(&mut self, hash: u64, form: Form, source: Arc<[u8]>, state: State) -> Key {
        let key = Key {
            hash,
            token: self.clock,
            form,
            source,
        };
        let bytes = key.source.len();
        self.stats.modules += 1;
        self.stats.bytes += bytes;
        self.by_hash.entry(hash).or_default().push(Entry {
            key: key.clone(),
            used: self.clock,
            bytes,
            state,
        });
        key
    }

    /// Makes the module that of the entry, and gives the state before.
    pub fn complete(&mut self, key: &Key, module: &Arc<Module>) -> Option<State> {
        let code = module.code_bytes();
        let entry = self.entry(key.place())?;
        entry.bytes += code;
        let ready = State::Ready(Arc::clone(module));
        let before = std::mem::replace(&mut entry.state, ready);
        self.stats.bytes += code;
        Some(before)
    }

    pub fn remove(&mut self, key: &Key) -> Option<State> {
        let bucket = self.by_hash.get_mut(&key.hash)?;
        let index = bucket
            .iter()
            .position(|entry| entry.key.token == key.token)?;
        let entry = bucket.swap_remove(index);
        if bucket.is_empty() {
            self.by_hash.remove(&key.hash);
        }
        self.stats.modules -= 1;
        self.stats.bytes -= entry.bytes;
        Some(entry.state)
    }

    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Takes out what was not used for longest until the rest fits.
    pub fn evict(&mut self) -> Vec<State> {
        let mut evicted = Vec::new();
        while self.stats.bytes > self.limit {
            let oldest = self
                .by_hash
                .values()
                .flatten()
                .filter(|entry| matches!(entry.state, State::Ready(_)))
                .min_by_key(|entry| entry.used)
                .map(|entry| entry.key.clone());
            let Some(key) = oldest else {
                break;
            };
            evicted.extend(self.remove(&key));
        }
        evicted
    }
}
