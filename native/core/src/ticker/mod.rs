//! The thread that ends time slices.
//!
//! A guest runs until the engine's epoch passes its deadline. One thread advances the epochs of
//! all engines, and sleeps while nothing runs. The more guests wait for their next slice, the
//! shorter the slices get, so that the embedder's other work is not kept waiting.

mod clock;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use once_cell::sync::OnceCell;
use wasmtime::{Engine, EngineWeak, StoreContextMut};

use clock::Clock;

const LONGEST_SLICE: Duration = Duration::from_millis(1);
const SHORTEST_SLICE: Duration = Duration::from_micros(100);
/// How long one round over all busy guests of a core should take at most.
const ROUND: Duration = Duration::from_millis(3);
/// Ticks without activity before the thread goes to sleep.
const LINGER_TICKS: u32 = 20;

pub(crate) struct Ticker {
    engines: Mutex<Vec<EngineWeak>>,
    thread: Thread,
}

/// A slice began since the last tick.
static ACTIVE: AtomicBool = AtomicBool::new(false);
static PARKED: AtomicBool = AtomicBool::new(false);
/// Guests that used up a slice and have not finished.
static BUSY: AtomicUsize = AtomicUsize::new(0);

static TICKER: OnceCell<Ticker> = OnceCell::new();

fn start() -> io::Result<Ticker> {
    let thread = thread::Builder::new()
        .name("wasmbeam-ticker".into())
        .spawn(run)?
        .thread()
        .clone();
    Ok(Ticker {
        engines: Mutex::new(Vec::new()),
        thread,
    })
}

/// Starts the thread if need be and has it tick for `engine` too.
///
/// # Errors
/// If no thread can be started. The next use tries again.
pub(crate) fn register(engine: &Engine) -> io::Result<()> {
    TICKER
        .get_or_try_init(start)?
        .engines
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(engine.weak());
    Ok(())
}

/// Begins a slice, which ends at the next tick.
///
/// The thread is woken after the deadline is set. The other way round it could have gone to sleep in
/// between, if the machine let it run for long and not us, and the slice would never end.
pub(crate) fn begin_slice<T>(context: &mut StoreContextMut<'_, T>) {
    context.set_epoch_deadline(1);
    wake();
}

/// Makes sure that the epoch advances, from now on for as many ticks as the thread lingers.
pub(crate) fn wake() {
    // The store and the load must not be reordered: the thread sets PARKED first and looks at
    // ACTIVE afterwards.
    if !ACTIVE.load(Ordering::Relaxed) {
        ACTIVE.store(true, Ordering::SeqCst);
    }
    if PARKED.load(Ordering::SeqCst)
        && let Some(ticker) = TICKER.get()
    {
        ticker.thread.unpark();
    }
}

/// Marks a guest as waiting for its next slice for as long as it lives.
///
/// Meanwhile the thread does not go to sleep: the engine sets the deadline of such a slice by itself,
/// after whoever drives the guest has woken the thread.
pub(crate) struct Busy(());

impl Busy {
    pub(crate) fn new() -> Self {
        BUSY.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.fetch_sub(1, Ordering::SeqCst);
    }
}

fn slice(busy: usize, cores: usize) -> Duration {
    let per_core = busy.div_ceil(cores).max(1);
    (ROUND / u32::try_from(per_core).unwrap_or(u32::MAX)).clamp(SHORTEST_SLICE, LONGEST_SLICE)
}

fn run() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut clock = Clock::new();
    let mut idle_ticks = 0u32;
    loop {
        clock.sleep(slice(BUSY.load(Ordering::Relaxed), cores));
        if let Some(ticker) = TICKER.get() {
            ticker
                .engines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|engine| match engine.upgrade() {
                    Some(engine) => {
                        engine.increment_epoch();
                        true
                    }
                    None => false,
                });
        }
        if ACTIVE.swap(false, Ordering::SeqCst) {
            idle_ticks = 0;
            continue;
        }
        idle_ticks = idle_ticks.saturating_add(1);
        if idle_ticks < LINGER_TICKS || BUSY.load(Ordering::SeqCst) > 0 {
            continue;
        }
        PARKED.store(true, Ordering::SeqCst);
        while !ACTIVE.load(Ordering::SeqCst) {
            thread::park();
        }
        PARKED.store(false, Ordering::SeqCst);
        idle_ticks = 0;
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::{AsContextMut, Instance, Module, Store, Trap};

    use super::*;
    use crate::engine::EngineConfig;

    /// Runs a guest without end on this thread until its slice is over.
    fn spin(begin: impl FnOnce(&mut Store<()>)) {
        let engine = crate::Engine::get(EngineConfig::default()).unwrap();
        let loops = r#"(module (func (export "f") (loop $l (br $l))))"#;
        let module = Module::new(engine.inner(), loops).unwrap();
        let mut store = Store::new(engine.inner(), ());
        store.epoch_deadline_trap();
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let f = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        begin(&mut store);
        let ended = f.call(&mut store, ()).unwrap_err();
        assert_eq!(ended.downcast::<Trap>().unwrap(), Trap::Interrupt);
    }

    #[test]
    fn a_slice_ends_that_began_long_after_the_thread_was_woken() {
        spin(|store| {
            wake();
            while !PARKED.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            begin_slice(&mut store.as_context_mut());
        });
    }

    #[test]
    fn the_slices_of_a_guest_that_has_yielded_end_without_waking_the_thread() {
        let busy = Busy::new();
        spin(|store| {
            wake();
            thread::sleep(LONGEST_SLICE * LINGER_TICKS * 3);
            store.set_epoch_deadline(1);
        });
        drop(busy);
    }

    #[test]
    fn slices_shrink_as_guests_get_busy() {
        assert_eq!(slice(0, 2), LONGEST_SLICE);
        assert_eq!(slice(2, 2), LONGEST_SLICE);
        assert_eq!(slice(12, 2), Duration::from_micros(500));
        assert_eq!(slice(64, 2), SHORTEST_SLICE);
        assert_eq!(slice(100_000, 2), SHORTEST_SLICE);
    }
}
