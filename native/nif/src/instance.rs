//! Instances as terms: their life, and what can be asked about them.

use std::sync::Arc;

use parking_lot::Mutex;
use rustler::{Atom, Encoder, Env, LocalPid, Monitor, Resource, ResourceArc, Term};
use wasmbeam_core::store::{Coroutine, StoreConfig};
use wasmbeam_core::{Error, Interruption, Limits, Module};

use crate::atoms;
use crate::call::refused;
use crate::error::{self, Failure};
use crate::events;
use crate::info;
use crate::ledger::Listed;
use crate::module::{self, describe_exports, describe_imports};
use crate::reaper;
use crate::store::{HandleId, SharedStore, State};
use crate::term::SavedTerms;

/// A handle of an instance.
///
/// The Erlang runtime guarantees that `down` runs once for each monitored process that ends, and
/// `destructor` once, after the last reference is gone, each on some scheduler.
pub struct InstanceRes {
    pub store: Arc<SharedStore>,
    module: Arc<Module>,
    /// Which of the store's instances.
    pub index: usize,
    pub id: HandleId,
    /// The instance lives as long as this handle; without it the handle is just another way to it.
    listed: Option<Listed>,
    owner: Mutex<Option<(LocalPid, Monitor)>>,
    /// A process with calls open that is not the owner.
    caller: Mutex<Option<(LocalPid, Monitor)>>,
}

#[rustler::resource_impl]
impl Resource for InstanceRes {
    const IMPLEMENTS_DESTRUCTOR: bool = true;
    const IMPLEMENTS_DOWN: bool = true;

    fn destructor(self, env: Env<'_>) {
        self.store.handle_dropped(env, self.id);
        if self.listed.is_some() {
            self.end(env, atoms::unreferenced(), None);
        }
    }

    fn down<'a>(&'a self, env: Env<'a>, pid: LocalPid, monitor: Monitor) {
        let owner = self.owner.lock().take_if(|(_, owner)| *owner == monitor);
        self.caller.lock().take_if(|(_, caller)| *caller == monitor);
        if let Some((owner, _)) = owner {
            self.end(env, atoms::owner_died(), Some(owner));
        }
        self.store.process_died(env, pid);
    }
}

impl InstanceRes {
    fn new(store: Arc<SharedStore>, module: Arc<Module>, index: usize, primary: bool) -> Self {
        let id = HandleId::next();
        let listed = primary.then(|| Listed::new(id.number(), &module, index, &store));
        Self {
            store,
            module,
            index,
            id,
            listed,
            owner: Mutex::new(None),
            caller: Mutex::new(None),
        }
    }

    pub fn module(&self) -> &Arc<Module> {
        &self.module
    }

    pub fn owner(&self) -> Option<LocalPid> {
        self.owner.lock().as_ref().map(|(pid, _)| *pid)
    }

    /// In milliseconds since 1970; of another way to an instance it is not known.
    pub fn started_at(&self) -> Option<u64> {
        self.listed.as_ref().map(|listed| listed.started_at)
    }

    fn list_owner(&self, owner: Option<LocalPid>) {
        if let Some(listed) = &self.listed {
            *listed.owner.lock() = owner;
        }
    }

    /// Stops the instance, and tells why whoever wants to know; everybody is told of an owner that
    /// died while the instance was busy. False if it is stopped already.
    fn end(&self, env: Env<'_>, reason: Atom, owner: Option<LocalPid>) -> bool {
        let before = self.store.status(self.index);
        if !self.store.stop(Some(env), self.index) {
            return false;
        }
        let busy = matches!(before.state, State::Running | State::Suspended);
        if events::of_ends() || (busy && reason == atoms::owner_died()) {
            events::tell(env, atoms::stopped(), |env| {
                info::describe_end(env, self, reason, &before, owner)
            });
        }
        true
    }

    /// Its store may go on for the sake of others.
    pub fn is_stopped(&self) -> bool {
        matches!(self.store.status(self.index).state, State::Stopped)
    }
}

/// What needs the handle as the runtime knows it.
pub trait Watch {
    fn watch(&self, env: Env<'_>, pid: LocalPid) -> bool;
}

impl Watch for ResourceArc<InstanceRes> {
    /// Makes sure that the death of a process with open calls is noticed. False if it is dead
    /// already.
    fn watch(&self, env: Env<'_>, pid: LocalPid) -> bool {
        let is = |slot: &Option<(LocalPid, Monitor)>| slot.is_some_and(|(known, _)| known == pid);
        if is(&self.owner.lock()) {
            return true;
        }
        let mut caller = self.caller.lock();
        if is(&caller) {
            return true;
        }
        if let Some((_, monitor)) = caller.take() {
            self.demonitor(Some(env), &monitor);
        }
        *caller = self.monitor(Some(env), &pid).map(|monitor| (pid, monitor));
        caller.is_some()
    }
}

pub fn decode(term: Term<'_>) -> Result<ResourceArc<InstanceRes>, Failure<'_>> {
    term.decode().map_err(|_| Failure::bad("an instance", term))
}

/// Does something with an instance when it is its turn; answers `{queued, Ticket}` and `again` mean
/// the same as in `call`.
pub fn visit<'a, R>(
    env: Env<'a>,
    instance: Term<'a>,
    visit: impl FnOnce(&mut Coroutine, usize) -> Result<R, Error>,
    encode: impl FnOnce(R) -> Term<'a>,
) -> Term<'a> {
    let visited = decode(instance).map(|instance| {
        instance
            .store
            .visit(env, &instance, |coroutine| visit(coroutine, instance.index))
    });
    match visited {
        Ok(Ok(answer)) => encode(answer),
        Ok(Err(refusal)) => refused(env, refusal),
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

/// An instance that is not instantiated yet: `{ok, Instance}`. `store` is another instance whose
/// store it shares, or `none`.
#[rustler::nif]
fn instance_new<'a>(
    env: Env<'a>,
    module: Term<'a>,
    imports: Term<'a>,
    store: Term<'a>,
    options: Term<'a>,
) -> Term<'a> {
    error::result(env, create(env, module, imports, store, options))
}

fn create<'a>(
    env: Env<'a>,
    module: Term<'a>,
    imports: Term<'a>,
    store: Term<'a>,
    options: Term<'a>,
) -> Result<ResourceArc<InstanceRes>, Failure<'a>> {
    let module = module::decode(module)?;
    reaper::start().map_err(|error| wasmbeam_core::Error::Internal {
        message: format!("the reaper thread cannot be started: {error}"),
    })?;
    let imports = Arc::new(SavedTerms::new(imports));
    let store = if store.decode::<Atom>().is_ok_and(|a| a == atoms::none()) {
        let config = StoreConfig {
            limits: limits(options)?,
            fuel: number(options, atoms::fuel())?,
        };
        let coroutine = Coroutine::new(module.engine(), &config)?;
        let keep = options
            .map_get(atoms::on_interrupt())
            .is_ok_and(|term| term.decode::<Atom>().is_ok_and(|a| a == atoms::keep()));
        SharedStore::new(coroutine, keep)
    } else {
        let other = decode(store)?;
        if other.is_stopped() {
            return Err(wasmbeam_core::Error::Stopped.into());
        }
        if other.module.engine().config() != module.engine().config() {
            return Err(Failure::bad(
                "an instance started with the same fuel, deterministic and compiler options",
                store,
            ));
        }
        Arc::clone(&other.store)
    };
    let index = store.add_instance(Arc::clone(&module), imports);
    match options.map_get(atoms::owner()) {
        Ok(owner) => hand_over(env, store, module, index, owner),
        Err(_) => Ok(ResourceArc::new(InstanceRes::new(
            store, module, index, true,
        ))),
    }
}

/// A handle that its owner, a process or `none`, has from now on.
pub fn hand_over<'a>(
    env: Env<'a>,
    store: Arc<SharedStore>,
    module: Arc<Module>,
    index: usize,
    owner: Term<'a>,
) -> Result<ResourceArc<InstanceRes>, Failure<'a>> {
    let instance = ResourceArc::new(InstanceRes::new(store, module, index, true));
    if let Ok(pid) = owner.decode::<LocalPid>()
        && !set_owner(env, &instance, pid)
    {
        return Err(Failure::bad("a process that is alive", owner));
    }
    Ok(instance)
}

fn set_owner(env: Env<'_>, instance: &ResourceArc<InstanceRes>, pid: LocalPid) -> bool {
    // Locked before, so that it is there when the monitor fires.
    let mut owner = instance.owner.lock();
    let Some(monitor) = instance.monitor(Some(env), &pid) else {
        return false;
    };
    let former = owner.replace((pid, monitor));
    drop(owner);
    instance.list_owner(Some(pid));
    retire_owner(env, instance, former);
    true
}

/// The former owner's death matters no more, unless it has calls open.
fn retire_owner(
    env: Env<'_>,
    instance: &ResourceArc<InstanceRes>,
    former: Option<(LocalPid, Monitor)>,
) {
    let Some((pid, monitor)) = former else {
        return;
    };
    let unneeded = if instance.store.is_caller(pid) {
        instance.caller.lock().replace((pid, monitor))
    } else {
        Some((pid, monitor))
    };
    if let Some((_, monitor)) = unneeded {
        instance.demonitor(Some(env), &monitor);
    }
}

/// A whole number from the options, if it is there and not `infinity`.
pub fn number(options: Term<'_>, key: Atom) -> Result<Option<u64>, Failure<'_>> {
    match options.map_get(key) {
        Ok(term) if term.decode::<Atom>().is_ok_and(|a| a == atoms::infinity()) => Ok(None),
        Ok(term) => term
            .decode()
            .map(Some)
            .map_err(|_| Failure::bad("a non-negative integer", term)),
        Err(_) => Ok(None),
    }
}

fn limits(options: Term<'_>) -> Result<Limits, Failure<'_>> {
    let mut limits = Limits::default();
    let Ok(given) = options.map_get(atoms::limits()) else {
        return Ok(limits);
    };
    let as_usize = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    if let Some(value) = number(given, atoms::memory())? {
        limits.memory = value;
    }
    if let Some(value) = number(given, atoms::table_elements())? {
        limits.table_elements = value;
    }
    if let Some(value) = number(given, atoms::memories())? {
        limits.memories = as_usize(value);
    }
    if let Some(value) = number(given, atoms::tables())? {
        limits.tables = as_usize(value);
    }
    if let Some(value) = number(given, atoms::instances())? {
        limits.instances = as_usize(value);
    }
    Ok(limits)
}

/// Ends the instance. Its memory is given back at once. `wait` instead of `ok` asks to call
/// `await_reaper/0`.
#[rustler::nif]
fn instance_stop<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    let stopped = decode(instance).and_then(|instance| {
        let owner = instance.owner();
        if instance.end(env, atoms::stop(), owner) {
            Ok(())
        } else {
            Err(wasmbeam_core::Error::Stopped.into())
        }
    });
    match stopped {
        Ok(()) if reaper::is_behind() => atoms::wait().encode(env),
        stopped => error::done(env, stopped),
    }
}

/// Makes another process, or none, the owner.
#[rustler::nif]
fn instance_give_away<'a>(env: Env<'a>, instance: Term<'a>, owner: Term<'a>) -> Term<'a> {
    error::done(
        env,
        decode(instance).and_then(|instance| {
            if instance.is_stopped() {
                return Err(wasmbeam_core::Error::Stopped.into());
            }
            if owner.decode::<Atom>().is_ok_and(|a| a == atoms::none()) {
                let former = instance.owner.lock().take();
                instance.list_owner(None);
                retire_owner(env, &instance, former);
                return Ok(());
            }
            match owner.decode() {
                Ok(pid) if set_owner(env, &instance, pid) => Ok(()),
                _ => Err(Failure::bad("a process that is alive", owner)),
            }
        }),
    )
}

/// Asks the call that runs to end: with `cancelled`, or with `timeout` for a call of the asking
/// process itself.
#[rustler::nif]
fn instance_interrupt<'a>(env: Env<'a>, instance: Term<'a>, why: Atom) -> Term<'a> {
    error::done(
        env,
        decode(instance).and_then(|instance| {
            if instance.is_stopped() {
                return Err(wasmbeam_core::Error::Stopped.into());
            }
            let why = if why == atoms::timeout() {
                Interruption::Timeout
            } else {
                Interruption::Cancelled
            };
            instance.store.interrupt(env, why);
            Ok(())
        }),
    )
}

/// Gives up a place in the line of a busy instance.
#[rustler::nif]
fn instance_leave_line<'a>(env: Env<'a>, instance: Term<'a>, ticket: u64) -> Term<'a> {
    error::done(
        env,
        decode(instance).map(|instance| instance.store.leave_line(env, &instance, ticket)),
    )
}

/// `{ok, Ticket}`: the calling process gets `{'$wasmbeam', Ticket, stopped | interrupted}` once the
/// instance can no longer be called.
#[rustler::nif]
fn instance_watch<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    error::result(
        env,
        decode(instance)
            .and_then(|instance| Ok(instance.store.watch(instance.index, env.pid())?)),
    )
}

/// The embedder's implementations of another instance's imports, and a handle of that instance:
/// for its imports that are called in the course of a call of `instance`.
#[rustler::nif]
fn instance_sibling<'a>(env: Env<'a>, instance: Term<'a>, index: usize) -> Term<'a> {
    error::result(
        env,
        decode(instance).and_then(|instance| {
            let (module, imports) = instance
                .store
                .instance(index)
                .ok_or(wasmbeam_core::Error::Stopped)?;
            let sibling = InstanceRes::new(Arc::clone(&instance.store), module, index, false);
            Ok((ResourceArc::new(sibling), imports.load(env)))
        }),
    )
}

/// As `module_imports/2`, for an instance.
#[rustler::nif]
fn instance_imports<'a>(env: Env<'a>, instance: Term<'a>, from: usize) -> Term<'a> {
    error::result(
        env,
        decode(instance).map(|instance| describe_imports(env, &instance.module, from)),
    )
}

/// As `module_exports/2`, for an instance.
#[rustler::nif]
fn instance_exports<'a>(env: Env<'a>, instance: Term<'a>, from: usize) -> Term<'a> {
    error::result(
        env,
        decode(instance).map(|instance| describe_exports(env, &instance.module, from)),
    )
}
