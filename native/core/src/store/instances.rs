//! The instances of a store.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wasmtime::{AsContextMut, Extern, Instance, Memory};

use super::revive::{Begin, Initial, Origin, Start};
use super::{Binding, Context, Functions, Instantiate, StoreData, frames, imports};
use crate::error::{Error, Result};
use crate::module::Module;
use crate::natives::{self, Native};
use crate::snapshot::{self, Image, Purpose, Tracked};
use crate::value::FuncRef;
use crate::wasi::{WasiConfig, WasiState, Width};
use crate::wasi_host::{HostWasi, HostWorld};

/// How many WASI states wait for their owners, who are about to take them.
const MAX_SET_ASIDE: usize = 64;

pub(crate) struct InstanceState {
    pub(super) module: Arc<Module>,
    /// None before it is made, and after that failed.
    instance: Option<Instance>,
    /// Exports that were asked for before, by their index in the module; those that name functions
    /// for references are not among them.
    exports: Vec<Option<Extern>>,
    wasi: World,
    /// The WASI state is somebody else's, who has this token.
    lent: Option<u64>,
    /// States whose owners have not yet taken them out when the next one came.
    set_aside: VecDeque<(u64, Box<WasiState>)>,
    pub(super) functions: Option<Arc<Functions>>,
    /// What the memories are mappings of, by their indices.
    tracked: BTreeMap<u32, Tracked>,
    /// How to make another one.
    pub(super) origin: Option<Origin>,
}

/// What an instance finds behind WASI.
#[derive(Debug, Clone)]
pub enum Wasi {
    /// The state is made from this when it is first used: most instances never do.
    Config(Box<WasiConfig>),
    State(Box<WasiState>),
    /// With folders of the machine.
    Host(Box<HostWasi>),
}

/// What an instance that exists has behind WASI.
enum World {
    Config(Box<WasiConfig>),
    State(Box<WasiState>),
    Host(Box<HostWorld>),
}

impl World {
    fn new(wasi: Wasi) -> Result<Self> {
        Ok(match wasi {
            Wasi::Config(config) => Self::Config(config),
            Wasi::State(state) => Self::State(state),
            Wasi::Host(host) => Self::Host(Box::new(host.world()?)),
        })
    }
}

impl Default for Wasi {
    fn default() -> Self {
        Self::Config(Box::default())
    }
}

/// Makes an instance and has it begin. The index is its own even if that fails: functions of it may
/// be in tables by then.
pub(super) async fn instantiate(context: &mut Context<'_>, request: Instantiate) -> Result<()> {
    let origin = Origin::new(&request);
    let Instantiate {
        index,
        module,
        imports,
        unknown_imports,
        wasi,
        begin,
    } = request;
    if state(context.data(), index).is_some() {
        return Err(Error::internal("the instance exists"));
    }
    if imports.len() != module.imports().len() {
        return Err(Error::internal("not one binding for each import"));
    }
    if matches!(wasi, Wasi::Host(_)) {
        check_host(&module, &imports)?;
    }
    let wasi = World::new(wasi)?;
    context.data_mut().limiter.add_instance()?;
    let mut externs = Vec::with_capacity(imports.len());
    for (import, binding) in imports.into_iter().enumerate() {
        externs.push(imports::bind(
            context,
            &module,
            index,
            import,
            binding,
            unknown_imports,
        )?);
    }
    let instances = &mut context.data_mut().instances;
    if instances.len() <= index {
        instances.resize_with(index + 1, || None);
    }
    let functions_for_references = module.layout().functions.len();
    instances[index] = Some(InstanceState {
        exports: vec![None; module.all_exports().len() - functions_for_references],
        module: Arc::clone(&module),
        instance: None,
        wasi,
        lent: None,
        set_aside: VecDeque::new(),
        functions: None,
        tracked: BTreeMap::new(),
        origin: Some(origin),
    });
    context.data_mut().limiter.take_denied();
    match Instance::new_async(&mut *context, module.inner(), &externs).await {
        Ok(instance) => {
            if let Some(state) = state_mut(context.data_mut(), index) {
                state.instance = Some(instance);
            }
        }
        Err(error) => return Err(refusal(context, &module, &error)),
    }
    let begun = self::begin(context, index, &module, begin).await;
    if begun.is_err()
        && let Some(state) = state_mut(context.data_mut(), index)
    {
        state.instance = None;
        state.exports.fill(None);
    }
    begun
}

/// The machine's files are there for 32-bit guests, through preview 1 alone.
fn check_host(module: &Module, imports: &[Binding]) -> Result<()> {
    if natives::width(module) == Width::W64 {
        return Err(Error::bad_argument(
            "the world of the machine is for modules with a 32-bit memory, and this one has a \
             64-bit memory",
        ));
    }
    let provided = imports.iter().zip(module.imports());
    let needy = provided
        .filter(|(binding, _)| matches!(binding, Binding::Default | Binding::Host))
        .map(|(_, import)| import)
        .find(|import| import.native.is_some_and(Native::needs_virtual_files));
    match needy {
        Some(import) => Err(Error::bad_argument(format!(
            "the world of the machine has no import {:?} {:?}, which needs a virtual one",
            import.module, import.name
        ))),
        None => Ok(()),
    }
}

/// What an instance's module calls one of its imports.
pub(super) fn import_name(data: &StoreData, instance: usize, import: usize) -> (String, String) {
    state(data, instance)
        .and_then(|state| state.module.imports().get(import))
        .map(|import| (import.module.clone(), import.name.clone()))
        .unwrap_or_default()
}

/// Runs the start function, or gives the instance the state that it begins with instead.
async fn begin(
    context: &mut Context<'_>,
    index: usize,
    module: &Module,
    begin: Begin,
) -> Result<()> {
    let start = match begin {
        Begin::Start => {
            let state = match module.layout().start {
                None => Initial::Fresh,
                Some(start) => {
                    run(context, index, start).await?;
                    let captured = snapshot::capture(context, index, Purpose::Sharing);
                    captured.map(Arc::new).into()
                }
            };
            started(context, state)
        }
        Begin::State {
            state,
            start,
            snapshot,
        } => {
            snapshot::apply(context, index, &state).await?;
            if let Some(id) = snapshot {
                context.data_mut().remember(id, Arc::clone(&state));
            }
            if context.data().instance_count() == 1 {
                context.data_mut().captured = Some(Arc::clone(&state));
            }
            match start {
                None if module.layout().start.is_some() => started(context, Initial::State(state)),
                None => started(context, Initial::Fresh),
                Some(start) => start,
            }
        }
    };
    if let Some(origin) = state_mut(context.data_mut(), index).and_then(|s| s.origin.as_mut()) {
        origin.start = start;
    }
    Ok(())
}

fn started(context: &Context<'_>, state: Initial) -> Start {
    Start {
        state,
        fuel: context.get_fuel().ok(),
    }
}

/// Runs a function without parameters and results.
async fn run(context: &mut Context<'_>, index: usize, export: usize) -> Result<()> {
    let Some(Extern::Func(function)) = export_at(context, index, export) else {
        return Err(Error::internal("the instance lacks a function"));
    };
    let called = function.call_async(&mut *context, &[], &mut []).await;
    called.map_err(|error| frames::failure(context, &error))
}

pub(super) fn state(data: &StoreData, index: usize) -> Option<&InstanceState> {
    data.instances.get(index)?.as_ref()
}

pub(super) fn state_mut(data: &mut StoreData, index: usize) -> Option<&mut InstanceState> {
    data.instances.get_mut(index)?.as_mut()
}

fn refusal(context: &mut Context<'_>, module: &Module, error: &wasmtime::Error) -> Error {
    let failure = frames::failure(context, error);
    if !matches!(failure, Error::Internal { .. }) {
        return failure;
    }
    let limiter = &mut context.data_mut().limiter;
    if let Some(limit) = limiter
        .take_denied()
        .or_else(|| limiter.count_denied(&error.root_cause().to_string()))
    {
        return limit;
    }
    // wasmtime names the import in its message only.
    let message = error.to_string();
    let culprit = module.imports().iter().find(|import| {
        message
            == format!(
                "incompatible import type for `{}::{}`",
                import.module, import.name
            )
    });
    match culprit {
        Some(import) => Error::IncompatibleImport {
            module: import.module.clone(),
            name: import.name.clone(),
            message: error.root_cause().to_string(),
        },
        None => Error::internal(format!("{error:#}")),
    }
}

/// What an instance was made from.
pub(crate) fn module(context: &Context<'_>, instance: usize) -> Option<Arc<Module>> {
    state(context.data(), instance).map(|state| Arc::clone(&state.module))
}

/// What a memory is a mapping of.
pub(crate) fn tracked(context: &Context<'_>, instance: usize, memory: u32) -> Option<Tracked> {
    state(context.data(), instance)?
        .tracked
        .get(&memory)
        .cloned()
}

/// What the memory at that address is a mapping of.
pub(crate) fn tracked_at<'a>(context: &'a Context<'_>, address: usize) -> Option<&'a Arc<Image>> {
    let instances = context.data().instances.iter().flatten();
    instances
        .flat_map(|state| state.tracked.values())
        .find_map(|tracked| tracked.at(address))
}

pub(crate) fn set_tracked(
    context: &mut Context<'_>,
    instance: usize,
    memory: u32,
    tracked: Option<Tracked>,
) {
    if let Some(state) = state_mut(context.data_mut(), instance) {
        match tracked {
            Some(tracked) => state.tracked.insert(memory, tracked),
            None => state.tracked.remove(&memory),
        };
    }
}

/// Looks up an export by name.
pub(crate) fn export(context: &mut Context<'_>, instance: usize, name: &str) -> Option<Extern> {
    let index = state(context.data(), instance)?
        .module
        .any_export_index(name)?;
    export_at(context, instance, index)
}

/// Looks up an export by its index in the module.
pub(crate) fn export_at(
    context: &mut Context<'_>,
    instance: usize,
    index: usize,
) -> Option<Extern> {
    let state = state(context.data(), instance)?;
    if let Some(Some(known)) = state.exports.get(index) {
        return Some(known.clone());
    }
    let handle = state.module.all_exports().get(index)?.handle;
    let found = state
        .instance?
        .get_module_export(context.as_context_mut(), &handle)?;
    if let Some(slot) = state_mut(context.data_mut(), instance)?
        .exports
        .get_mut(index)
    {
        *slot = Some(found.clone());
    }
    Some(found)
}

/// The first memory, exported or not.
pub(crate) fn first_memory(context: &mut Context<'_>, instance: usize) -> Option<Memory> {
    let index = state(context.data(), instance)?.module.first_memory()?;
    match export_at(context, instance, index)? {
        Extern::Memory(memory) => Some(memory),
        _ => None,
    }
}

/// The instance's own WASI state, if it has one already.
///
/// # Errors
/// Names what of the machine is in it.
pub(crate) fn wasi_state(
    context: &Context<'_>,
    instance: usize,
) -> Result<Option<WasiState>, String> {
    let state = state(context.data(), instance);
    match state.map(|state| (&state.wasi, state.lent)) {
        Some((World::State(state), None)) => Ok(Some((**state).clone())),
        Some((World::Host(world), _)) => world.capture().map(Some),
        Some((World::Config(_) | World::State(_), _)) | None => Ok(None),
    }
}

/// Gives the instance a WASI state.
///
/// # Errors
/// `BadArgument` if the instance has files of the machine.
pub(crate) fn set_wasi_state(
    context: &mut Context<'_>,
    instance: usize,
    wasi: WasiState,
) -> Result<()> {
    if let Some(state) = state_mut(context.data_mut(), instance) {
        match &mut state.wasi {
            World::Host(world) => world.restore(wasi)?,
            world => *world = World::State(Box::new(wasi)),
        }
    }
    Ok(())
}

/// Why a virtual world's files are not there.
pub(super) const NOT_VIRTUAL: &str = "the files of this instance are those of the machine";

/// Whether the instance's files are those of the machine.
pub(crate) fn is_host(data: &StoreData, instance: usize) -> bool {
    state(data, instance).is_some_and(|state| matches!(state.wasi, World::Host(_)))
}

/// The instance's world of the machine.
pub(crate) fn host_world(data: &mut StoreData, instance: usize) -> Option<&mut HostWorld> {
    data.touch();
    match &mut state_mut(data, instance)?.wasi {
        World::Host(world) => Some(world),
        World::Config(_) | World::State(_) => None,
    }
}

/// The instance's WASI state, to be changed.
pub(crate) fn wasi(data: &mut StoreData, instance: usize) -> Result<&mut WasiState> {
    data.touch();
    let state = state_mut(data, instance).ok_or(Error::Stopped)?;
    if let World::Config(config) = &mut state.wasi {
        let made = WasiState::new(std::mem::take(&mut **config))
            .map_err(|error| Error::bad_argument(error.to_string()))?;
        state.wasi = World::State(Box::new(made));
    }
    match &mut state.wasi {
        World::State(state) => Ok(state),
        World::Host(world) => Ok(world.inner()),
        World::Config(_) => Err(Error::internal("no WASI state")),
    }
}

pub(super) fn lend_wasi(
    data: &mut StoreData,
    instance: usize,
    wasi: WasiState,
    token: u64,
) -> Result<()> {
    data.touch();
    let state = state_mut(data, instance).ok_or(Error::Stopped)?;
    if matches!(state.wasi, World::Host(_)) {
        return Err(Error::bad_argument(NOT_VIRTUAL));
    }
    let before = std::mem::replace(&mut state.wasi, World::State(Box::new(wasi)));
    if let (Some(owner), World::State(before)) = (state.lent.replace(token), before) {
        // Those who died never come for theirs.
        if state.set_aside.len() == MAX_SET_ASIDE {
            state.set_aside.pop_front();
        }
        state.set_aside.push_back((owner, before));
    }
    Ok(())
}

pub(super) fn return_wasi(
    data: &mut StoreData,
    instance: usize,
    token: u64,
) -> Result<Option<WasiState>> {
    data.touch();
    let state = state_mut(data, instance).ok_or(Error::Stopped)?;
    if state.lent.take_if(|lent| *lent == token).is_none() {
        let mut aside = state.set_aside.iter();
        let position = aside.position(|(owner, _)| *owner == token);
        let found = position.and_then(|position| state.set_aside.remove(position));
        return Ok(found.map(|(_, wasi)| *wasi));
    }
    match std::mem::replace(&mut state.wasi, World::Config(Box::default())) {
        World::State(state) => Ok(Some(*state)),
        World::Config(_) | World::Host(_) => Ok(None),
    }
}

/// Runs `visit` on the first memory, or on no bytes.
pub(super) fn with_memory<R>(
    context: &mut Context<'_>,
    instance: usize,
    visit: impl FnOnce(&mut [u8], Width) -> R,
) -> Result<R> {
    let module = &state(context.data(), instance)
        .ok_or(Error::Stopped)?
        .module;
    let width = natives::width(module);
    context.data_mut().touch();
    Ok(match first_memory(context, instance) {
        Some(memory) => visit(memory.data_mut(&mut *context), width),
        None => visit(&mut [], width),
    })
}

pub(super) fn function(
    context: &mut Context<'_>,
    instance: usize,
    export: usize,
) -> Result<FuncRef> {
    let unknown = || Error::UnknownExport {
        name: format!("number {export}"),
        kind: "func",
    };
    let Some(Extern::Func(func)) = export_at(context, instance, export) else {
        return Err(unknown());
    };
    let export = state(context.data(), instance)
        .and_then(|state| state.module.all_exports().get(export))
        .ok_or_else(unknown)?;
    Ok(FuncRef {
        store: context.data().id,
        func,
        signature: export.signature.clone().ok_or_else(unknown)?,
        is_brief: export.is_brief,
    })
}
