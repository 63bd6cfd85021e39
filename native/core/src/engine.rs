//! Compiler and runtime configuration.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::LazyLock;

use parking_lot::Mutex;
use wasmtime::{Collector, Config, OptLevel, WasmBacktraceDetails};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};
use crate::load;
use crate::ticker;

/// Room on a fiber's stack for host functions, beside the guest's part.
const HOST_STACK: usize = 512 << 10;
const MAX_BACKTRACE_FRAMES: usize = 64;

/// What code is compiled to and how it runs. Each combination has an engine of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EngineConfig {
    /// Count fuel (costs speed).
    pub fuel: bool,
    /// Equal inputs give equal results on every machine: canonical NaN, one semantics for relaxed
    /// SIMD.
    pub deterministic: bool,
    pub opt: Opt,
    pub stack: GuestStack,
}

/// How much stack a guest's own frames may take. There are few sizes, because each has an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GuestStack(usize);

impl GuestStack {
    pub const MIN: usize = 64 << 10;
    pub const MAX: usize = 16 << 20;

    /// The smallest that has so many bytes; none if that is out of the bounds.
    #[must_use]
    pub fn of(bytes: usize) -> Option<Self> {
        (Self::MIN..=Self::MAX)
            .contains(&bytes)
            .then(|| Self(bytes.next_power_of_two()))
    }

    #[must_use]
    pub fn bytes(self) -> usize {
        self.0
    }
}

impl GuestStack {
    /// Of two.
    pub(crate) fn exponent(self) -> u32 {
        self.0.trailing_zeros()
    }

    pub(crate) fn from_exponent(exponent: u32) -> Option<Self> {
        1_usize.checked_shl(exponent).and_then(Self::of)
    }
}

impl Default for GuestStack {
    fn default() -> Self {
        Self(512 << 10)
    }
}

/// How much work the compiler puts into the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Opt {
    None,
    #[default]
    Speed,
    SpeedAndSize,
}

/// A compiler and the runtime that its code needs. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
    config: EngineConfig,
    identity: u64,
}

static ENGINES: LazyLock<Mutex<HashMap<EngineConfig, Engine>>> = LazyLock::new(Mutex::default);

impl Engine {
    /// The engine for a configuration, made at its first use.
    ///
    /// # Errors
    /// `Internal` if the machine cannot run it.
    pub fn get(config: EngineConfig) -> Result<Self> {
        let mut engines = ENGINES.lock();
        if let Some(engine) = engines.get(&config) {
            return Ok(engine.clone());
        }
        let engine = Self::new(config)?;
        engines.insert(config, engine.clone());
        Ok(engine)
    }

    fn new(config: EngineConfig) -> Result<Self> {
        let inner = wasmtime::Engine::new(&settings(config))
            .map_err(|e| Error::internal(e.root_cause()))?;
        ticker::register(&inner)
            .map_err(|e| Error::internal(format!("the ticker thread cannot be started: {e}")))?;
        let identity = identity(&inner);
        Ok(Self {
            inner,
            config,
            identity,
        })
    }

    pub fn config(&self) -> EngineConfig {
        self.config
    }

    /// Tells code apart that another engine has made: one of another version, with other settings or
    /// for another machine.
    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }

    /// The engine of wasmtime that this one stands on: to measure or to inspect it alone.
    pub fn inner(&self) -> &wasmtime::Engine {
        &self.inner
    }

    /// Pays once for what the first guest call on a thread would have to set up.
    pub fn prepare_thread() {
        wasmtime::Engine::tls_eager_initialize();
    }
}

fn identity(engine: &wasmtime::Engine) -> u64 {
    // An algorithm that does not change from one build to the next.
    let mut hasher = Xxh3::new();
    (env!("CARGO_PKG_VERSION"), load::REVISION).hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn settings(config: EngineConfig) -> Config {
    let mut settings = Config::new();
    settings
        .epoch_interruption(true)
        .consume_fuel(config.fuel)
        .cranelift_nan_canonicalization(config.deterministic)
        .relaxed_simd_deterministic(config.deterministic)
        .cranelift_opt_level(match config.opt {
            Opt::None => OptLevel::None,
            Opt::Speed => OptLevel::Speed,
            Opt::SpeedAndSize => OptLevel::SpeedAndSize,
        })
        // For debuggers and profilers alone. Registering it takes the longer the more modules there
        // are.
        .native_unwind_info(false)
        .max_wasm_stack(config.stack.bytes())
        .async_stack_size(config.stack.bytes() + HOST_STACK)
        // Whatever the environment says.
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(MAX_BACKTRACE_FRAMES))
        .collector(Collector::DeferredReferenceCounting)
        // A garbage-collected heap has the size that it needs, and doubles and moves when it is
        // full. With address space reserved for each, fewer instances would fit.
        .gc_heap_reservation(0)
        .gc_heap_guard_size(0)
        .gc_heap_reservation_for_growth(0)
        .concurrency_support(false)
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_tail_call(true)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_exceptions(true)
        .wasm_extended_const(true)
        .wasm_relaxed_simd(true)
        .wasm_wide_arithmetic(true)
        .wasm_custom_page_sizes(true)
        .wasm_threads(true);
    settings
}
