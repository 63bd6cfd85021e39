//! What was made of binaries not long ago, so that it need not be made again.
//!
//! Binaries are known again by where their bytes are: each entry holds on to its binaries, which do not
//! change, so that nothing else can be there.

use parking_lot::Mutex;
use rustler::{Binary, OwnedEnv, Term};

use crate::term;

const MOST: usize = 8;

/// The last few things that were made. The one that was used last comes first.
///
/// Nothing is locked, freed or allocated by others under the lock.
pub struct Recent<K, V> {
    entries: Mutex<Vec<Entry<K, V>>>,
    most_bytes: u64,
}

struct Entry<K, V> {
    /// Where the binaries begin, and how long they are.
    places: Vec<(usize, usize)>,
    key: K,
    value: V,
    bytes: u64,
    /// Has the binaries.
    _env: OwnedEnv,
}

fn place(binary: &Binary<'_>) -> (usize, usize) {
    (binary.as_slice().as_ptr().addr(), binary.len())
}

impl<K: PartialEq, V: Clone> Recent<K, V> {
    /// `most_bytes` is for all binaries that are held on to, and what was made of them.
    pub const fn new(most_bytes: u64) -> Self {
        Self {
            entries: Mutex::new(Vec::new()),
            most_bytes,
        }
    }

    /// What was made of the binaries not long ago under the same key.
    pub fn find(&self, binaries: &[Binary<'_>], key: &K) -> Option<V> {
        let mut entries = self.entries.lock();
        let found = entries.iter().position(|entry| {
            entry.key == *key && entry.places.iter().copied().eq(binaries.iter().map(place))
        })?;
        entries.get_mut(..=found)?.rotate_right(1);
        entries.first().map(|entry| entry.value.clone())
    }

    /// Keeps what was made of the binaries, which `term` is or has in a list. `bytes` is what that
    /// takes besides.
    pub fn keep(&self, term: Term<'_>, binaries: &[Binary<'_>], key: K, value: V, bytes: u64) {
        let size: u64 = binaries.iter().map(|binary| binary.len() as u64).sum();
        let bytes = size.saturating_add(bytes);
        if bytes > self.most_bytes {
            return;
        }
        let places: Vec<_> = binaries.iter().map(place).collect();
        let env = OwnedEnv::new();
        // A small binary is copied, and then it is another one.
        let is_shared = env.run(|env| {
            let held = term.in_env(env);
            let binaries = match held.decode::<Binary<'_>>() {
                Ok(one) => vec![one],
                Err(_) => term::list(held).unwrap_or_default(),
            };
            places.iter().copied().eq(binaries.iter().map(place))
        });
        if !is_shared {
            return;
        }
        let entry = Entry {
            places,
            key,
            value,
            bytes,
            _env: env,
        };
        let mut dropped = Vec::new();
        let mut entries = self.entries.lock();
        // Another one of these binaries is out of date.
        dropped.extend(
            entries.extract_if(.., |old| old.key == entry.key && old.places == entry.places),
        );
        entries.insert(0, entry);
        let mut total = 0_u64;
        let kept = entries.iter().take(MOST).take_while(|entry| {
            total = total.saturating_add(entry.bytes);
            total <= self.most_bytes
        });
        let kept = kept.count();
        dropped.extend(entries.drain(kept..));
        drop(entries);
        // Freed when nobody waits for it.
        drop(dropped);
    }
}
