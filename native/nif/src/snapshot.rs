//! The state of instances: taking it, and instances that go on from it.
//!
//! Answers `{queued, Ticket}` and `again` mean the same as in `call`.

use std::sync::Arc;

use rustler::{Atom, Binary, Encoder, Env, ResourceArc, Term};
use wasmbeam_core::snapshot::State;
use wasmbeam_core::snapshot::format::{self, Base, Compression, ReadLimits, SnapshotId};
use wasmbeam_core::store::{Begin, Coroutine};
use wasmbeam_core::{Error, ModuleId};

use crate::atoms;
use crate::call::{self, refused};
use crate::error::Failure;
use crate::instance::{self, InstanceRes};
use crate::recent::Recent;
use crate::store::{Refusal, SharedStore};
use crate::term;

type Instance = ResourceArc<InstanceRes>;

/// To make tables with more elements takes longer than a scheduler may be kept.
const FEW_ELEMENTS: u64 = 16 << 10;

/// The state as bytes: `{ok, Snapshot}`. `base` is the chain of snapshots that it is based on, which
/// may be empty.
#[rustler::nif(schedule = "DirtyCpu")]
fn instance_serialize<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    compression: Atom,
    base: Term<'a>,
) -> Term<'a> {
    answer(env, || {
        let instance = instance::decode(instance)?;
        let chain = chain(base)?;
        let base_id = chain
            .last()
            .map(|last| SnapshotId::of(last).ok_or_else(|| Failure::from(too_short())))
            .transpose()?;
        let compression = if compression == atoms::lz4() {
            Compression::Lz4
        } else if compression == atoms::zstd() {
            Compression::Zstd
        } else {
            Compression::None
        };
        let written = usable(env, &instance).and_then(|()| {
            instance.store.hold(env, &instance, |coroutine| {
                let known = match base_id {
                    Some(id) => coroutine.remembered(id)?,
                    None => None,
                };
                let known = match (known, base_id) {
                    (None, Some(_)) => Some(read(&instance, base, &chain)?),
                    (known, _) => known,
                };
                let base = known.as_deref().zip(base_id);
                let base = base.map(|(state, id)| Base { id, state });
                let state = coroutine.capture_to_encode(instance.index)?;
                let bytes = format::encode(&state, compression, base)?;
                if let Some(id) = SnapshotId::of(&bytes) {
                    coroutine.remember(id, state)?;
                }
                Ok(bytes)
            })
        });
        match written {
            Ok(bytes) => Ok((atoms::ok(), term::binary(env, &bytes)).encode(env)),
            Err(refusal) => Ok(refused(env, refusal)),
        }
    })
}

/// Makes an instance that has the snapshot's state in place of running its start function; `later` if
/// the snapshot has to be read.
#[rustler::nif]
fn instance_restore<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    bindings: Term<'a>,
    unknown_imports: Atom,
    wasi: Term<'a>,
    snapshot: Term<'a>,
) -> Term<'a> {
    answer(env, || {
        let target = instance::decode(instance)?;
        match known(&target, &chain(snapshot)?) {
            Some(begin) => Ok(call::make(
                env,
                instance,
                bindings,
                unknown_imports,
                wasi,
                begin.into(),
            )),
            None => Ok(atoms::later().encode(env)),
        }
    })
}

/// As `instance_restore`, however long it takes.
#[rustler::nif(schedule = "DirtyCpu")]
fn instance_restore_dirty<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    bindings: Term<'a>,
    unknown_imports: Atom,
    wasi: Term<'a>,
    snapshot: Term<'a>,
) -> Term<'a> {
    answer(env, || {
        let target = instance::decode(instance)?;
        let chain = chain(snapshot)?;
        let begin = Beginning::new(read(&target, snapshot, &chain)?, &chain);
        Ok(call::make(
            env,
            instance,
            bindings,
            unknown_imports,
            wasi,
            begin.into(),
        ))
    })
}

/// Gives an instance the state of a snapshot of its module: `ok`; `later` if the snapshot has to be
/// read.
#[rustler::nif]
fn instance_deserialize<'a>(env: Env<'a>, instance: Term<'a>, snapshot: Term<'a>) -> Term<'a> {
    answer(env, || {
        let instance = instance::decode(instance)?;
        match known(&instance, &chain(snapshot)?) {
            Some(begin) => Ok(begin.replace(env, &instance)),
            None => Ok(atoms::later().encode(env)),
        }
    })
}

/// As `instance_deserialize`, however long it takes.
#[rustler::nif(schedule = "DirtyCpu")]
fn instance_deserialize_dirty<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    snapshot: Term<'a>,
) -> Term<'a> {
    answer(env, || {
        let instance = instance::decode(instance)?;
        let chain = chain(snapshot)?;
        let begin = Beginning::new(read(&instance, snapshot, &chain)?, &chain);
        Ok(begin.replace(env, &instance))
    })
}

/// What an instance begins with that was a snapshot.
struct Beginning {
    state: Arc<State>,
    snapshot: Option<SnapshotId>,
}

impl Beginning {
    fn new(state: Arc<State>, chain: &[Binary<'_>]) -> Self {
        Self {
            state,
            snapshot: chain.last().and_then(|last| SnapshotId::of(last)),
        }
    }

    fn replace<'a>(self, env: Env<'a>, instance: &Instance) -> Term<'a> {
        let index = instance.index;
        replace(env, instance, |coroutine| {
            coroutine.revive(index, index, self.state, self.snapshot)
        })
    }
}

impl From<Beginning> for Begin {
    fn from(beginning: Beginning) -> Self {
        Self::State {
            state: beginning.state,
            start: None,
            snapshot: beginning.snapshot,
        }
    }
}

/// Gives an instance the state that it had right after its start: `ok`; `later` if there is more to
/// do than a scheduler has time for.
#[rustler::nif]
fn instance_reset<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    let slowly = instance::decode(instance).is_ok_and(|instance| {
        // Tables do not shrink: at the start there were no more elements.
        let elements = instance.store.status(instance.index).table_elements;
        instance.module().starts_slowly() || elements > FEW_ELEMENTS
    });
    if slowly {
        return atoms::later().encode(env);
    }
    reset(env, instance)
}

/// As `instance_reset`, however long it takes.
#[rustler::nif(schedule = "DirtyCpu")]
fn instance_reset_dirty<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    reset(env, instance)
}

fn reset<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    answer(env, || {
        let instance = instance::decode(instance)?;
        let index = instance.index;
        Ok(replace(env, &instance, |c| c.restart(index, index)))
    })
}

/// Says that the instance has started only now: what follows is what it is reset to.
#[rustler::nif(schedule = "DirtyCpu")]
fn instance_mark_start<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    answer(env, || {
        let instance = instance::decode(instance)?;
        let index = instance.index;
        let marked = instance
            .store
            .hold(env, &instance, |coroutine| coroutine.mark_start(index));
        match marked {
            Ok(()) => Ok(atoms::ok().encode(env)),
            Err(refusal) => Ok(refused(env, refusal)),
        }
    })
}

/// A new instance with the same state and imports: `{ok, Instance}`; `later` if there is more to do
/// than a scheduler has time for.
#[rustler::nif]
fn instance_fork<'a>(env: Env<'a>, instance: Term<'a>, owner: Term<'a>) -> Term<'a> {
    answer(env, || fork(env, instance, owner, true))
}

/// As `instance_fork`, however long it takes.
#[rustler::nif(schedule = "DirtyCpu")]
fn instance_fork_dirty<'a>(env: Env<'a>, instance: Term<'a>, owner: Term<'a>) -> Term<'a> {
    answer(env, || fork(env, instance, owner, false))
}

fn fork<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    owner: Term<'a>,
    quickly: bool,
) -> Result<Term<'a>, Failure<'a>> {
    let instance = instance::decode(instance)?;
    let index = instance.index;
    let (module, imports) = instance.store.instance(index).ok_or(Error::Stopped)?;
    let made = usable(env, &instance).and_then(|()| {
        instance.store.hold(env, &instance, |coroutine| {
            let elements = coroutine.gauge().table_elements();
            let slowly = module.starts_slowly() || elements > FEW_ELEMENTS;
            if quickly && (slowly || !coroutine.is_captured()?) {
                return Ok(None);
            }
            let state = coroutine.capture(index)?;
            coroutine.revive(index, 0, state, None).map(Some)
        })
    });
    match made {
        Ok(Some(coroutine)) => {
            let store = SharedStore::new(coroutine, instance.store.usable_after_interrupt());
            let index = store.add_instance(Arc::clone(&module), imports);
            let fork = instance::hand_over(env, store, module, index, owner)?;
            Ok((atoms::ok(), fork).encode(env))
        }
        Ok(None) => Ok(atoms::later().encode(env)),
        Err(refusal) => Ok(refused(env, refusal)),
    }
}

fn usable(env: Env<'_>, instance: &Instance) -> Result<(), Refusal> {
    instance.store.check_usable(env, instance)
}

/// A snapshot, or several of which each is based on the one before.
fn chain<'a>(snapshots: Term<'a>) -> Result<Vec<Binary<'a>>, Failure<'a>> {
    if let Ok(one) = snapshots.decode::<Binary>() {
        return Ok(vec![one]);
    }
    term::list(snapshots)
        .ok_or_else(|| Failure::bad("a snapshot, or a list of snapshots", snapshots))
}

/// States that were read not long ago: many instances can begin with one snapshot.
static STATES: Recent<(ModuleId, ReadLimits), Arc<State>> = Recent::new(64 << 20);

fn key(instance: &Instance) -> (ModuleId, ReadLimits) {
    let limits = ReadLimits::from(instance.store.limits());
    (instance.module().id(), limits)
}

/// What was read from these binaries not long ago; none if to begin with it would take long.
fn known(instance: &Instance, chain: &[Binary<'_>]) -> Option<Beginning> {
    if instance.module().starts_slowly() {
        return None;
    }
    let state = STATES
        .find(chain, &key(instance))
        .filter(|state| state.table_elements() <= FEW_ELEMENTS)?;
    Some(Beginning::new(state, chain))
}

/// `term` is what the chain was decoded from.
fn read(instance: &Instance, term: Term<'_>, chain: &[Binary<'_>]) -> Result<Arc<State>, Error> {
    let key = key(instance);
    if let Some(state) = STATES.find(chain, &key) {
        return Ok(state);
    }
    let bytes: Vec<_> = chain.iter().map(Binary::as_slice).collect();
    let (module, limits) = key;
    let state = Arc::new(format::decode_chain(&bytes, module, limits)?);
    STATES.keep(term, chain, key, Arc::clone(&state), state.stored_bytes());
    Ok(state)
}

fn too_short() -> Error {
    Error::BadSnapshot {
        message: "the base is too short".into(),
    }
}

fn replace<'a>(
    env: Env<'a>,
    instance: &Instance,
    make: impl FnOnce(&mut Coroutine) -> Result<Coroutine, Error>,
) -> Term<'a> {
    match instance.store.replace(env, instance, make) {
        Ok(()) => atoms::ok().encode(env),
        Err(refusal) => refused(env, refusal),
    }
}

fn answer<'a>(env: Env<'a>, run: impl FnOnce() -> Result<Term<'a>, Failure<'a>>) -> Term<'a> {
    match run() {
        Ok(term) => term,
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}
