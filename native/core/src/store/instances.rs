//! The instances of a store.

use std::sync::Arc;

use wasmtime::{AsContextMut, Caller, Extern, Instance, Memory};

use super::{Context, Instantiate, StoreData, frames, imports};
use crate::error::{Error, Result};
use crate::module::Module;
use crate::value::{FuncRef, Signature};
use crate::wasi::{WasiConfig, WasiState};

pub(crate) struct InstanceState {
    module: Arc<Module>,
    /// None while its start function runs, and after instantiation failed.
    instance: Option<Instance>,
    /// Exports that were asked for before, by their index in the module.
    exports: Vec<Option<Extern>>,
    wasi: Wasi,
}

/// What an instance finds behind WASI.
#[derive(Debug, Clone)]
pub enum Wasi {
    /// The state is made from this when it is first used: most instances never do.
    Config(Box<WasiConfig>),
    State(Box<WasiState>),
}

impl Default for Wasi {
    fn default() -> Self {
        Self::Config(Box::default())
    }
}

/// Makes an instance and runs its start function. The index is its own even if that fails:
/// functions of it may be in tables by then.
pub(super) async fn instantiate(context: &mut Context<'_>, request: Instantiate) -> Result<()> {
    let Instantiate {
        index,
        module,
        imports,
        unknown_imports,
        wasi,
    } = request;
    if state(context.data(), index).is_some() {
        return Err(Error::internal("the instance exists"));
    }
    if imports.len() != module.imports().len() {
        return Err(Error::internal("not one binding for each import"));
    }
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
    instances[index] = Some(InstanceState {
        exports: vec![None; module.all_exports().len()],
        module: Arc::clone(&module),
        instance: None,
        wasi,
    });
    context.data_mut().limiter.take_denied();
    match Instance::new_async(&mut *context, module.inner(), &externs).await {
        Ok(instance) => {
            if let Some(state) = state_mut(context.data_mut(), index) {
                state.instance = Some(instance);
            }
            Ok(())
        }
        Err(error) => Err(refusal(context, &module, &error)),
    }
}

/// What an instance's module calls one of its imports.
pub(super) fn import_name(data: &StoreData, instance: usize, import: usize) -> (String, String) {
    state(data, instance)
        .and_then(|state| state.module.imports().get(import))
        .map(|import| (import.module.clone(), import.name.clone()))
        .unwrap_or_default()
}

fn state(data: &StoreData, index: usize) -> Option<&InstanceState> {
    data.instances.get(index)?.as_ref()
}

fn state_mut(data: &mut StoreData, index: usize) -> Option<&mut InstanceState> {
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
    if let Some(known) = state.exports.get(index)? {
        return Some(known.clone());
    }
    let handle = state.module.all_exports().get(index)?.handle;
    let found = state
        .instance?
        .get_module_export(context.as_context_mut(), &handle)?;
    let slot = state_mut(context.data_mut(), instance)?
        .exports
        .get_mut(index)?;
    *slot = Some(found.clone());
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

/// The instance's WASI state.
pub(crate) fn wasi(data: &mut StoreData, instance: usize) -> Result<&mut WasiState> {
    let state = state_mut(data, instance).ok_or(Error::Stopped)?;
    if let Wasi::Config(config) = &mut state.wasi {
        let made = WasiState::new(std::mem::take(&mut **config))
            .map_err(|error| Error::bad_argument(error.to_string()))?;
        state.wasi = Wasi::State(Box::new(made));
    }
    match &mut state.wasi {
        Wasi::State(state) => Ok(state),
        Wasi::Config(_) => Err(Error::internal("no WASI state")),
    }
}

/// While its start function runs, an instance can be reached only through a caller: makes its
/// exports known, so that a handler can use its memory already.
pub(super) fn note_exports(caller: &mut Caller<'_, StoreData>, instance: usize) {
    let Some(state) = state(caller.data(), instance) else {
        return;
    };
    if state.instance.is_some() || state.exports.iter().all(Option::is_some) {
        return;
    }
    let module = Arc::clone(&state.module);
    let found: Vec<_> = module
        .all_exports()
        .iter()
        .map(|export| caller.get_module_export(&export.handle))
        .collect();
    if let Some(state) = state_mut(caller.data_mut(), instance) {
        state.exports = found;
    }
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
    let signature: Option<Arc<Signature>> = state(context.data(), instance)
        .and_then(|state| state.module.all_exports().get(export))
        .and_then(|export| export.signature.clone());
    Ok(FuncRef {
        store: context.data().id,
        func,
        signature: signature.ok_or_else(unknown)?,
    })
}
