//! Compilation in the background, once for each image.
//!
//! Compiling takes long and recurses deeply, so it has threads of its own with large stacks.
//! Images are told apart by their whole contents: a hash finds the candidates, comparing the
//! bytes decides.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use foldhash::quality::RandomState;
use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::engine::{Engine, EngineConfig};
use crate::error::{Error, Result};
use crate::module::Module;

const STACK: usize = 64 << 20;
/// Bytes of images whose code is kept although nobody uses it at the moment.
const CACHE_BYTES: usize = 256 << 20;

/// Called once with the outcome, on a compiler thread.
pub type OnCompiled = Box<dyn FnOnce(Result<Arc<Module>>) + Send>;

static POOL: OnceCell<ThreadPool> = OnceCell::new();

/// The compiler's threads. Where they cannot be started, the next use tries again.
fn pool() -> Result<&'static ThreadPool> {
    POOL.get_or_try_init(|| {
        ThreadPoolBuilder::new()
            .thread_name(|index| format!("wasmbeam-compiler-{index}"))
            .stack_size(STACK)
            .build()
            .map_err(|e| Error::internal(format!("the compiler cannot be started: {e}")))
    })
}

static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);

/// What the cache did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    pub hits: u64,
    pub misses: u64,
    pub modules: usize,
    /// Bytes of the images whose code is held.
    pub bytes: usize,
}

#[derive(Default)]
struct Cache {
    hasher: RandomState,
    /// Held for look-ups only, never while compiling.
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_hash: HashMap<u64, Vec<Entry>>,
    clock: u64,
    stats: CacheStats,
}

struct Entry {
    source: Arc<[u8]>,
    config: EngineConfig,
    used: u64,
    state: State,
}

enum State {
    Compiling(Vec<OnCompiled>),
    Ready(Arc<Module>),
}

impl Entries {
    fn find(&mut self, hash: u64, config: EngineConfig, source: &[u8]) -> Option<&mut Entry> {
        self.clock += 1;
        let entry = self
            .by_hash
            .get_mut(&hash)?
            .iter_mut()
            .find(|entry| entry.config == config && *entry.source == *source)?;
        entry.used = self.clock;
        Some(entry)
    }

    fn remove(&mut self, hash: u64, config: EngineConfig, source: &[u8]) -> Option<Entry> {
        let bucket = self.by_hash.get_mut(&hash)?;
        let index = bucket
            .iter()
            .position(|entry| entry.config == config && *entry.source == *source)?;
        let entry = bucket.swap_remove(index);
        if bucket.is_empty() {
            self.by_hash.remove(&hash);
        }
        self.stats.modules -= 1;
        self.stats.bytes -= entry.source.len();
        Some(entry)
    }

    /// Takes out what was not used for longest until the rest fits.
    fn evict(&mut self) -> Vec<Entry> {
        let mut evicted = Vec::new();
        while self.stats.bytes > CACHE_BYTES {
            let oldest = self
                .by_hash
                .iter()
                .flat_map(|(hash, bucket)| bucket.iter().map(move |entry| (*hash, entry)))
                .filter(|(_, entry)| matches!(entry.state, State::Ready(_)))
                .min_by_key(|(_, entry)| entry.used)
                .map(|(hash, entry)| (hash, entry.config, Arc::clone(&entry.source)));
            let Some((hash, config, source)) = oldest else {
                break;
            };
            evicted.extend(self.remove(hash, config, &source));
        }
        evicted
    }
}

/// The compiled module of an image, if it is at hand.
#[must_use]
pub fn cached(config: EngineConfig, source: &[u8]) -> Option<Arc<Module>> {
    let hash = hash(config, source);
    let mut entries = CACHE.entries.lock();
    let module = match &entries.find(hash, config, source)?.state {
        State::Ready(module) => Arc::clone(module),
        State::Compiling(_) => return None,
    };
    entries.stats.hits += 1;
    Some(module)
}

/// The compiled module of an image if it is at hand. Otherwise it is compiled in the background,
/// and `done` is called with the outcome. An image that is being compiled already is not compiled
/// again.
///
/// # Errors
/// `Internal` if the compiler's threads cannot be started.
pub fn compile(
    config: EngineConfig,
    source: Arc<[u8]>,
    done: OnCompiled,
) -> Result<Option<Arc<Module>>> {
    let pool = pool()?;
    let hash = hash(config, &source);
    let mut entries = CACHE.entries.lock();
    match entries.find(hash, config, &source).map(|e| &mut e.state) {
        Some(State::Compiling(waiting)) => {
            waiting.push(done);
            entries.stats.hits += 1;
            return Ok(None);
        }
        Some(State::Ready(module)) => {
            let module = Arc::clone(module);
            entries.stats.hits += 1;
            return Ok(Some(module));
        }
        None => {}
    }
    entries.stats.misses += 1;
    entries.stats.modules += 1;
    entries.stats.bytes += source.len();
    let used = entries.clock;
    entries.by_hash.entry(hash).or_default().push(Entry {
        source: Arc::clone(&source),
        config,
        used,
        state: State::Compiling(vec![done]),
    });
    drop(entries);
    pool.spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            Engine::get(config).and_then(|engine| Module::compile(&engine, &source))
        }))
        .unwrap_or_else(|_| Err(Error::internal("the compiler panicked")));
        finish(hash, config, &source, outcome);
    });
    Ok(None)
}

#[must_use]
pub fn cache_stats() -> CacheStats {
    CACHE.entries.lock().stats
}

fn finish(hash: u64, config: EngineConfig, source: &[u8], outcome: Result<Module>) {
    let outcome = outcome.map(Arc::new);
    let mut entries = CACHE.entries.lock();
    let mut unused = Vec::new();
    let waiting = match &outcome {
        Ok(module) => match entries.find(hash, config, source) {
            Some(entry) => {
                match std::mem::replace(&mut entry.state, State::Ready(Arc::clone(module))) {
                    State::Compiling(waiting) => waiting,
                    State::Ready(_) => Vec::new(),
                }
            }
            None => Vec::new(),
        },
        Err(_) => match entries.remove(hash, config, source).map(|e| e.state) {
            Some(State::Compiling(waiting)) => waiting,
            _ => Vec::new(),
        },
    };
    unused.extend(entries.evict());
    drop(entries);
    drop(unused);
    for done in waiting {
        done(outcome.clone());
    }
}

fn hash(config: EngineConfig, source: &[u8]) -> u64 {
    let mut hasher = CACHE.hasher.build_hasher();
    hasher.write(source);
    std::hash::Hash::hash(&config, &mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn compile_now(source: &str) -> Result<Arc<Module>> {
        let (sender, receiver) = mpsc::channel();
        let ready = compile(
            EngineConfig::default(),
            source.as_bytes().into(),
            Box::new(move |outcome| sender.send(outcome).unwrap()),
        )?;
        ready.map_or_else(|| receiver.recv().unwrap(), Ok)
    }

    #[test]
    fn an_image_is_compiled_once() {
        let source = r#"(module (func (export "once")))"#;
        assert!(cached(EngineConfig::default(), source.as_bytes()).is_none());
        let first = compile_now(source).unwrap();
        let second = compile_now(source).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        let third = cached(EngineConfig::default(), source.as_bytes()).unwrap();
        assert!(Arc::ptr_eq(&first, &third));
    }

    #[test]
    fn a_hundred_requests_for_a_new_image_share_one_compilation() {
        let source: Arc<[u8]> = r#"(module (func (export "shared")))"#.as_bytes().into();
        let (sender, receiver) = mpsc::channel();
        for _ in 0..100 {
            let done = sender.clone();
            let ready = compile(
                EngineConfig::default(),
                Arc::clone(&source),
                Box::new(move |outcome| done.send(outcome).unwrap()),
            )
            .unwrap();
            if let Some(module) = ready {
                sender.send(Ok(module)).unwrap();
            }
        }
        let modules: Vec<_> = (0..100)
            .map(|_| receiver.recv().unwrap().unwrap())
            .collect();
        assert!(modules.iter().all(|m| Arc::ptr_eq(m, &modules[0])));
    }

    #[test]
    fn a_failure_is_reported_and_not_kept() {
        for _ in 0..2 {
            assert!(matches!(
                compile_now("(module (func (result i32)))"),
                Err(Error::InvalidModule { .. })
            ));
        }
        assert!(cached(EngineConfig::default(), b"(module (func (result i32)))").is_none());
    }
}
