//! States that were read not long ago, so that many instances can begin with one snapshot.
//!
//! A snapshot is known again by where its bytes are: each entry holds on to its binaries, which do not
//! change, so that nothing else can be there.

use std::sync::Arc;

use parking_lot::Mutex;
use rustler::{Binary, OwnedEnv, Term};
use wasmbeam_core::ModuleId;
use wasmbeam_core::snapshot::State;
use wasmbeam_core::snapshot::format::ReadLimits;

const MOST: usize = 8;
/// Of all snapshots and states that are held on to.
const MOST_BYTES: u64 = 64 << 20;

#[derive(PartialEq)]
struct Key {
    /// Where the snapshots of a chain begin, and how long they are.
    chain: Vec<(usize, usize)>,
    module: ModuleId,
    limits: ReadLimits,
}

struct Recent {
    key: Key,
    state: Arc<State>,
    bytes: u64,
    /// Has the binaries.
    _env: OwnedEnv,
}

/// The last one that was used comes first. Nothing is locked, freed or allocated by others under it.
static RECENT: Mutex<Vec<Recent>> = Mutex::new(Vec::new());

fn key(chain: &[Binary<'_>], module: ModuleId, limits: ReadLimits) -> Key {
    let place = |binary: &Binary<'_>| (binary.as_slice().as_ptr().addr(), binary.len());
    Key {
        chain: chain.iter().map(place).collect(),
        module,
        limits,
    }
}

/// The state of a chain of snapshots, if it was read not long ago for the same module and limits.
pub fn find(chain: &[Binary<'_>], module: ModuleId, limits: ReadLimits) -> Option<Arc<State>> {
    let key = key(chain, module, limits);
    let mut recent = RECENT.lock();
    let place = recent.iter().position(|entry| entry.key == key)?;
    recent.get_mut(..=place)?.rotate_right(1);
    recent.first().map(|entry| Arc::clone(&entry.state))
}

/// Keeps a state that was read from the binaries, which `term` is or has in a list.
pub fn keep(
    term: Term<'_>,
    chain: &[Binary<'_>],
    module: ModuleId,
    limits: ReadLimits,
    state: &Arc<State>,
) {
    let size: u64 = chain.iter().map(|binary| binary.len() as u64).sum();
    let bytes = size.saturating_add(state.stored_bytes());
    if bytes > MOST_BYTES {
        return;
    }
    let key = key(chain, module, limits);
    let env = OwnedEnv::new();
    // A small binary is copied, and then it is another one.
    let is_shared = env.run(|env| {
        let held = term.in_env(env);
        let binaries = match held.decode::<Binary<'_>>() {
            Ok(one) => vec![one],
            Err(_) => held.decode().unwrap_or_default(),
        };
        self::key(&binaries, module, limits) == key
    });
    if !is_shared {
        return;
    }
    let entry = Recent {
        key,
        state: Arc::clone(state),
        bytes,
        _env: env,
    };
    let mut dropped = Vec::new();
    let mut recent = RECENT.lock();
    recent.insert(0, entry);
    let mut total = 0_u64;
    let kept = recent.iter().take(MOST).take_while(|entry| {
        total = total.saturating_add(entry.bytes);
        total <= MOST_BYTES
    });
    let kept = kept.count();
    dropped.extend(recent.drain(kept..));
    drop(recent);
    // Freed when nobody waits for it.
    drop(dropped);
}
