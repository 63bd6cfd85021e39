//! A store and the instances in it, driven as a hand-polled coroutine.
//!
//! All of a store's life is one future: a loop that takes commands, runs guest code on a fiber,
//! and leaves events. The driver polls it on whatever thread it likes, one poll at a time; a poll
//! ends when a command is done, when the guest calls an import that the embedder implements, or
//! when its time slice is used up. While an import is suspended its frame takes the commands, so
//! that memory can be read and functions called from within a handler, to any depth.

mod alarm;
mod coroutine;
pub(crate) mod frames;
mod functions;
mod heap;
mod imports;
pub(crate) mod instances;
mod port;
mod revive;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use wasmtime::{StoreContextMut, Val, ValRaw};

pub use coroutine::{Coroutine, Step, StoreConfig};
pub use imports::Binding;
pub use instances::Wasi;
pub use revive::{Begin, Start};

use crate::error::Interruption;
use crate::limits::Limiter;
use crate::module::Module;
use crate::snapshot::State;
use crate::snapshot::format::SnapshotId;
use crate::value::{FuncRef, Value};
pub(crate) use functions::{Functions, functions as instance_functions};
use instances::InstanceState;
pub(crate) use instances::{
    export_at as instance_export_at, module as instance_module,
    set_tracked as set_instance_tracked, set_wasi_state as set_instance_wasi,
    tracked as instance_tracked, tracked_at, wasi_state as instance_wasi,
};
use port::Port;

/// Tells the stores of this process apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreId(u64);

impl StoreId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Access to a store from within one of its frames.
pub type Context<'a> = StoreContextMut<'a, StoreData>;

/// What a store holds besides its instances' own state.
pub struct StoreData {
    pub(crate) id: StoreId,
    pub(crate) port: Port,
    pub(crate) interrupt: InterruptFlag,
    pub(crate) limiter: Limiter,
    pub(crate) instances: Vec<Option<InstanceState>>,
    /// Calls in progress, one within the other.
    pub(crate) depth: u32,
    /// Room for the arguments and results of a call, kept from one to the next.
    pub(crate) vals: Vec<Val>,
    /// As that, of calls that are brief.
    pub(crate) raws: Vec<ValRaw>,
    /// Whether what runs is over in a moment, and cannot be suspended.
    pub(crate) in_brief: bool,
    /// What was counted as memory when the heap was measured last.
    pub(crate) measured: u64,
    /// The state that was captured last, as long as it is what it was.
    pub(crate) captured: Option<Arc<State>>,
    /// The last snapshots that were written, read or based on, which the next may be based on; the
    /// last of them first.
    pub(crate) remembered: Vec<(SnapshotId, Arc<State>)>,
}

impl StoreData {
    /// To be called before anything in the store may change.
    pub(crate) fn touch(&mut self) {
        self.captured = None;
    }

    pub(crate) fn remember(&mut self, snapshot: SnapshotId, state: Arc<State>) {
        // The one before, and one that all are based on.
        const REMEMBERED: usize = 2;
        self.remembered.retain(|(known, _)| *known != snapshot);
        self.remembered.truncate(REMEMBERED - 1);
        self.remembered.insert(0, (snapshot, state));
    }

    pub(crate) fn instance_count(&self) -> usize {
        self.instances.iter().flatten().count()
    }
}

/// What to call.
pub enum Target {
    /// An export of an instance, by its index in the module's exports.
    Export {
        instance: usize,
        export: usize,
    },
    Func(FuncRef),
}

/// A module to be instantiated.
#[derive(Clone)]
pub struct Instantiate {
    /// Which of the store's instances it will be. The embedder counts them.
    pub index: usize,
    pub module: Arc<Module>,
    /// One for each of the module's imports, in order.
    pub imports: Vec<Binding>,
    pub unknown_imports: UnknownImports,
    /// What it finds behind WASI.
    pub wasi: Wasi,
    pub begin: Begin,
}

/// What becomes of a function import that nobody provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownImports {
    /// Calling it reaches the embedder as an import call.
    #[default]
    Call,
    /// The module cannot be instantiated.
    Error,
}

/// What a finished command gives.
#[derive(Debug)]
pub enum Answer {
    Values(Vec<Value>),
    Instantiated,
}

/// A guest's call of a function that the embedder implements.
#[derive(Debug)]
pub struct ImportCall {
    /// The index of the importing instance in its store.
    pub instance: usize,
    /// The index of the import in its module's imports.
    pub import: usize,
    pub args: Vec<Value>,
}

/// Asks whatever runs in a store to end. Can be set from any thread at any time.
#[derive(Debug, Clone, Default)]
pub struct InterruptFlag(Arc<AtomicU8>);

impl InterruptFlag {
    pub fn set(&self, why: Interruption) {
        self.0.store(why as u8, Ordering::Release);
    }

    pub fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }

    #[must_use]
    pub fn get(&self) -> Option<Interruption> {
        match self.0.load(Ordering::Acquire) {
            1 => Some(Interruption::Cancelled),
            2 => Some(Interruption::Timeout),
            3 => Some(Interruption::CallerDied),
            4 => Some(Interruption::Stopped),
            _ => None,
        }
    }
}
