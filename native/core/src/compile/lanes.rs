//! The compiler's threads.
//!
//! Compiling recurses deeply, so the threads have large stacks, and it cannot be interrupted, so
//! a module that takes very long must not keep others from being compiled. Each compilation
//! therefore runs in a *lane* with threads of its own, and shares the processor with those in
//! other lanes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

const STACK: usize = 64 << 20;
/// Compilations at the same time; others wait for the first of these to end.
pub const MAX_LANES: usize = 8;
/// Of one lane.
const MAX_THREADS: usize = 16;
/// Lanes whose threads are kept while they have nothing to do.
const KEPT: usize = 1;

pub type Job = Box<dyn FnOnce() + Send>;

static LANES: Mutex<Lanes> = Mutex::new(Lanes {
    busy: 0,
    idle: Vec::new(),
    waiting: VecDeque::new(),
});

struct Lanes {
    busy: usize,
    idle: Vec<Arc<ThreadPool>>,
    waiting: VecDeque<Job>,
}

/// Runs a job, which must not panic, as soon as there is a lane for it.
///
/// # Errors
/// `Internal` if no thread can be started.
pub fn spawn(job: Job) -> Result<()> {
    let mut lanes = LANES.lock();
    if lanes.busy == MAX_LANES {
        lanes.waiting.push_back(job);
        return Ok(());
    }
    let lane = match lanes.idle.pop() {
        Some(lane) => lane,
        None => Arc::new(start()?),
    };
    lanes.busy += 1;
    drop(lanes);
    let kept = Arc::clone(&lane);
    lane.spawn(move || run(kept, job));
    Ok(())
}

fn start() -> Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .thread_name(|index| format!("wasmbeam-compiler-{index}"))
        .stack_size(STACK)
        .num_threads(threads())
        .build()
        .map_err(|e| Error::internal(format!("the compiler cannot be started: {e}")))
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_THREADS))
}

fn run(lane: Arc<ThreadPool>, first: Job) {
    let mut job = first;
    loop {
        job();
        let mut lanes = LANES.lock();
        match lanes.waiting.pop_front() {
            Some(next) => job = next,
            None => {
                lanes.busy -= 1;
                if lanes.idle.len() < KEPT {
                    lanes.idle.push(lane);
                    return;
                }
                drop(lanes);
                // Its threads end when the last job has, this one.
                drop(lane);
                return;
            }
        }
    }
}
