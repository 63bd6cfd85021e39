//! Compilation in the background, once for each image, and what is kept of it.
//!
//! A module that was asked for is looked for in memory, then in a cache folder if there is one, and
//! is compiled only then. Whoever asks while that goes on gets the same outcome.

mod folder;
mod lanes;
mod limits;
mod memory;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use foldhash::quality::RandomState;
use parking_lot::Mutex;

use crate::engine::{Engine, EngineConfig};
use crate::error::{Error, Result};
use crate::image::{self, KeySource, Purpose};
use crate::module::{Module, ModuleId, Phase};
use memory::{Entries, Key, State};

pub use folder::{DEFAULT_FOLDER_BYTES, Folder, FolderStats, Rejected};
pub use lanes::MAX_LANES;
pub use limits::CompileLimits;
pub use memory::{DEFAULT_BYTES, MemoryStats, Place};

/// What the bytes of an image are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Form {
    /// A module, binary or text, that is to be compiled in that way.
    Module(EngineConfig),
    /// Compiled code, sealed with that key.
    Code(KeySource),
}

/// What is to be compiled, and within which bounds.
pub struct Request {
    pub form: Form,
    pub source: Arc<[u8]>,
    pub limits: CompileLimits,
    /// Bytes that the cache in memory may hold from now on.
    pub memory_bytes: usize,
    /// Where compiled code is kept beyond the life of this process.
    pub folder: Option<Folder>,
    /// Told of an entry of the folder that was removed.
    pub on_rejected: Option<OnRejected>,
}

/// Called once with the outcome, on a compiler thread.
pub type OnCompiled = Box<dyn FnOnce(Result<Arc<Module>>) + Send>;
/// Called with an entry of a folder that was no good, on a compiler thread.
pub type OnRejected = Box<dyn Fn(Rejected) + Send>;
/// Called at the beginning of each phase that is still to come, on a compiler thread.
pub type OnPhase = Arc<dyn Fn(Phase) + Send + Sync>;

/// Somebody who waits for a module.
pub struct Waiter {
    pub limits: CompileLimits,
    pub progress: Option<OnPhase>,
    pub done: OnCompiled,
}

/// What the caches did so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheStats {
    pub memory: MemoryStats,
    pub folder: FolderStats,
}

static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);

#[derive(Default)]
struct Cache {
    hasher: RandomState,
    /// Held for look-ups only, never while compiling.
    entries: Mutex<Entries>,
}

/// The compiled module of an image, if it is at hand, and where.
///
/// # Errors
/// `Limit` if it is larger than allowed.
pub fn cached(
    form: &Form,
    source: &[u8],
    limits: &CompileLimits,
) -> Result<Option<(Arc<Module>, Place)>> {
    if matches!(form, Form::Module(_)) {
        limits.check_bytes(source.len() as u64)?;
    }
    let hash = memory::hash(&CACHE.hasher, form, source);
    let Some(place) = place(hash, form, source) else {
        return Ok(None);
    };
    Ok(cached_at(place, limits)?.map(|module| (module, place)))
}

/// Where the entry of an image is, if there is one.
fn place(hash: u64, form: &Form, source: &[u8]) -> Option<Place> {
    let candidates = CACHE.entries.lock().candidates(hash, form);
    let found = candidates.into_iter().find(|(_, known)| **known == *source);
    found.map(|(place, _)| place)
}

/// As [`cached`], for the image that was there before: nothing of it is read.
///
/// # Errors
/// As `cached`.
pub fn cached_at(place: Place, limits: &CompileLimits) -> Result<Option<Arc<Module>>> {
    let mut entries = CACHE.entries.lock();
    let Some(entry) = entries.find_at(place) else {
        return Ok(None);
    };
    let form = entry.key().form().clone();
    if matches!(form, Form::Module(_)) {
        limits.check_bytes(entry.key().source().len() as u64)?;
    }
    let State::Ready(module) = &entry.state else {
        return Ok(None);
    };
    let module = Arc::clone(module);
    entries.stats.hits += 1;
    drop(entries);
    permit(&form, limits, &module)?;
    Ok(Some(module))
}

/// Loading code is no compiling.
fn permit(form: &Form, limits: &CompileLimits, module: &Module) -> Result<()> {
    match form {
        Form::Module(_) => limits.check(&module.size()),
        Form::Code(_) => Ok(()),
    }
}

/// The compiled module of an image if it is at hand. Otherwise it is compiled in the background,
/// and `done` of the waiter is called with the outcome. An image that is being compiled already is
/// not compiled again.
///
/// # Errors
/// `Limit` if the image is larger than allowed; `Internal` if the compiler's threads cannot be
/// started.
pub fn compile(request: Request, waiter: Waiter) -> Result<Option<Arc<Module>>> {
    if matches!(request.form, Form::Module(_)) {
        waiter.limits.check_bytes(request.source.len() as u64)?;
    }
    let hash = memory::hash(&CACHE.hasher, &request.form, &request.source);
    let known = place(hash, &request.form, &request.source);
    let mut entries = CACHE.entries.lock();
    entries.set_limit(request.memory_bytes);
    let known = known
        .filter(|place| entries.find_at(*place).is_some())
        // It may have come in the meantime.
        .or_else(|| {
            let entry = entries.find(hash, &request.form, &request.source);
            entry.map(|entry| entry.place())
        });
    match known
        .and_then(|place| entries.find_at(place))
        .map(|entry| &mut entry.state)
    {
        Some(State::Compiling(waiting)) => {
            waiting.push(waiter);
            entries.stats.hits += 1;
            return Ok(None);
        }
        Some(State::Ready(module)) => {
            let module = Arc::clone(module);
            entries.stats.hits += 1;
            drop(entries);
            permit(&request.form, &waiter.limits, &module)?;
            return Ok(Some(module));
        }
        None => {}
    }
    let waiting = State::Compiling(vec![waiter]);
    let source = Arc::clone(&request.source);
    let key = entries.insert(hash, request.form.clone(), source, waiting);
    let job_key = key.clone();
    let job = Box::new(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&job_key, &request)))
            .unwrap_or_else(|_| Err(Error::internal("the compiler panicked")));
        finish(&job_key, outcome);
    });
    // Nobody else can have begun to wait before it is known whether there are threads.
    if let Err(error) = lanes::spawn(job) {
        entries.remove(&key);
        return Err(error);
    }
    entries.stats.misses += 1;
    Ok(None)
}

#[must_use]
pub fn cache_stats() -> CacheStats {
    CacheStats {
        memory: CACHE.entries.lock().stats,
        folder: folder::stats(),
    }
}

fn run(key: &Key, request: &Request) -> Result<Module> {
    match &request.form {
        Form::Code(source) => image::open(key.source(), &source.key()?, Purpose::Image),
        Form::Module(config) => {
            let engine = Engine::get(*config)?;
            let Some(folder) = &request.folder else {
                return compile_now(&engine, key);
            };
            let id = ModuleId::of(key.source());
            let tell = |rejected| {
                if let Some(on_rejected) = &request.on_rejected {
                    on_rejected(rejected);
                }
            };
            if let Some(module) = folder.load(&engine, id, tell) {
                return Ok(module);
            }
            let module = compile_now(&engine, key)?;
            folder.store(&module);
            Ok(module)
        }
    }
}

fn compile_now(engine: &Engine, key: &Key) -> Result<Module> {
    Module::compile_in_phases(engine, key.source(), &mut |phase| begin(key, phase))
}

/// Tells those who wait. Fails if there is nobody left for whom the module is not too large.
fn begin(key: &Key, phase: Phase) -> Result<()> {
    let mut entries = CACHE.entries.lock();
    let Some(State::Compiling(waiting)) = entries.get(key) else {
        return Ok(());
    };
    let mut refused = Vec::new();
    let mut reason = None;
    if let Phase::Translating { size, .. } = phase {
        let mut index = 0;
        while let Some(waiter) = waiting.get(index) {
            match waiter.limits.check(&size) {
                Ok(()) => index += 1,
                Err(error) => {
                    reason = Some(error.clone());
                    refused.push((waiting.swap_remove(index), error));
                }
            }
        }
    }
    let progress: Vec<OnPhase> = waiting
        .iter()
        .filter_map(|waiter| waiter.progress.clone())
        .collect();
    let is_wanted = !waiting.is_empty();
    if !is_wanted {
        // Whoever comes now may allow more.
        entries.remove(key);
    }
    drop(entries);
    for tell in progress {
        tell(phase);
    }
    for (waiter, error) in refused {
        (waiter.done)(Err(error));
    }
    match reason {
        Some(error) if !is_wanted => Err(error),
        _ => Ok(()),
    }
}

fn finish(key: &Key, outcome: Result<Module>) {
    let outcome = outcome.map(Arc::new);
    let mut entries = CACHE.entries.lock();
    let state = match &outcome {
        Ok(module) => entries.complete(key, module),
        Err(_) => entries.remove(key),
    };
    let evicted = entries.evict();
    drop(entries);
    drop(evicted);
    let Some(State::Compiling(waiting)) = state else {
        return;
    };
    for waiter in waiting {
        let limits = waiter.limits;
        (waiter.done)(outcome.clone().and_then(|module| {
            // Nobody has looked yet if it was in the folder, or somebody came late.
            permit(key.form(), &limits, &module)?;
            Ok(module)
        }));
    }
}
