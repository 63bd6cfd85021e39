//! What a module's imports are bound to.

use std::sync::Arc;

use wasmtime::{
    AsContextMut, Caller, Extern, ExternType, Func, FuncType, Global, Memory, Table, Val,
};

use super::frames::{self, ImportAnswer};
use super::{Context, ImportCall, StoreData, UnknownImports, instances};
use crate::error::{Error, Result};
use crate::module::{Import, Module, kind};
use crate::natives::{self, Native, NativeCall};
use crate::value::{Signature, Value};
use crate::wasi::Width;

/// Where one import of a module comes from.
#[derive(Debug, Clone)]
pub enum Binding {
    /// What this library provides under that name, if anything.
    Default,
    /// A function that the embedder implements.
    Host,
    /// An export of another instance in the same store.
    Export { instance: usize, name: String },
    /// For a global: a new one with this value.
    Value(Value),
    /// For a memory or table: a new one of the least size that the import asks for.
    New,
}

/// Makes what the import with that index is bound to. `instance` is the index that the importing
/// instance will have.
pub(super) fn bind(
    context: &mut Context<'_>,
    module: &Arc<Module>,
    instance: usize,
    index: usize,
    binding: Binding,
    unknown: UnknownImports,
) -> Result<Extern> {
    let import = module
        .imports()
        .get(index)
        .ok_or_else(|| Error::internal("an import without a description"))?;
    match binding {
        Binding::Export {
            instance: exporter,
            name,
        } => instances::export(context, exporter, &name).ok_or_else(|| Error::UnknownImport {
            module: import.module.clone(),
            name: import.name.clone(),
            kind: kind(&import.ty),
        }),
        Binding::Value(value) => bind_value(context, import, value),
        Binding::New => bind_new(context, import),
        Binding::Host => match &import.ty {
            ExternType::Func(ty) => Ok(host_function(context, module, ty, instance, index)),
            ty => Err(incompatible(
                import,
                &format!("a function cannot be a {}", kind(ty)),
            )),
        },
        Binding::Default => match (&import.ty, import.native) {
            (ExternType::Func(ty), Some(native)) => {
                Ok(native_function(context, module, ty, instance, native))
            }
            (ExternType::Func(ty), None) if unknown == UnknownImports::Call => {
                Ok(host_function(context, module, ty, instance, index))
            }
            (ty, _) => Err(Error::UnknownImport {
                module: import.module.clone(),
                name: import.name.clone(),
                kind: kind(ty),
            }),
        },
    }
}

fn bind_value(context: &mut Context<'_>, import: &Import, value: Value) -> Result<Extern> {
    let ExternType::Global(ty) = &import.ty else {
        return Err(incompatible(
            import,
            &format!("a value cannot be a {}", kind(&import.ty)),
        ));
    };
    let val = value
        .into_val(context, ty.content())
        .map_err(|error| incompatible(import, &error.to_string()))?;
    Global::new(context.as_context_mut(), ty.clone(), val)
        .map(Extern::Global)
        .map_err(|error| incompatible(import, &error.root_cause().to_string()))
}

fn bind_new(context: &mut Context<'_>, import: &Import) -> Result<Extern> {
    let made = match &import.ty {
        ExternType::Memory(ty) => {
            Memory::new(context.as_context_mut(), ty.clone()).map(Extern::Memory)
        }
        ExternType::Table(ty) => {
            let null = wasmtime::Ref::null(ty.element().heap_type());
            Table::new(context.as_context_mut(), ty.clone(), null).map(Extern::Table)
        }
        ty => {
            return Err(incompatible(
                import,
                &format!("a new {} needs a value", kind(ty)),
            ));
        }
    };
    made.map_err(|error| {
        let message = error.root_cause().to_string();
        let limiter = &mut context.data_mut().limiter;
        limiter
            .take_denied()
            .or_else(|| limiter.count_denied(&message))
            .unwrap_or_else(|| incompatible(import, &message))
    })
}

fn incompatible(import: &Import, message: &str) -> Error {
    Error::IncompatibleImport {
        module: import.module.clone(),
        name: import.name.clone(),
        message: message.to_owned(),
    }
}

/// A function that suspends the guest and asks the embedder.
fn host_function(
    context: &mut Context<'_>,
    module: &Arc<Module>,
    ty: &FuncType,
    instance: usize,
    import: usize,
) -> Extern {
    let host = Arc::new(HostImport {
        instance,
        import,
        signature: Signature::from(ty),
        native: module.imports().get(import).and_then(|i| i.native),
        width: natives::width(module),
    });
    let func = Func::new_async(
        context.as_context_mut(),
        ty.clone(),
        move |caller, params, results| {
            let host = Arc::clone(&host);
            Box::new(async move { host.call(caller, params, results).await })
        },
    );
    Extern::Func(func)
}

/// A function that this library provides.
fn native_function(
    context: &mut Context<'_>,
    module: &Arc<Module>,
    ty: &FuncType,
    instance: usize,
    native: Native,
) -> Extern {
    let signature = Arc::new(Signature::from(ty));
    let width = natives::width(module);
    let func = Func::new_async(
        context.as_context_mut(),
        ty.clone(),
        move |mut caller, params, results| {
            let signature = Arc::clone(&signature);
            Box::new(async move {
                let call = NativeCall {
                    instance,
                    width,
                    signature: &signature,
                    params,
                };
                native
                    .run(&mut caller.as_context_mut(), call, results)
                    .await?;
                Ok(())
            })
        },
    );
    Extern::Func(func)
}

struct HostImport {
    instance: usize,
    import: usize,
    signature: Signature,
    /// What stands in if the embedder does not want to.
    native: Option<Native>,
    width: Width,
}

impl HostImport {
    async fn call(
        &self,
        mut caller: Caller<'_, StoreData>,
        params: &[Val],
        results: &mut [Val],
    ) -> wasmtime::Result<()> {
        let mut context = caller.as_context_mut();
        let args = params
            .iter()
            .map(|val| Value::from_val(&mut context, val))
            .collect::<Result<_>>()?;
        let call = ImportCall {
            instance: self.instance,
            import: self.import,
            args,
        };
        match frames::import(&mut context, call, self.native.is_some()).await? {
            ImportAnswer::Results(answer) => {
                self.take(&mut context, answer, results)?;
            }
            ImportAnswer::Default => {
                let call = NativeCall {
                    instance: self.instance,
                    width: self.width,
                    signature: &self.signature,
                    params,
                };
                if let Some(native) = self.native {
                    // Boxed, to keep the future of an import small that is answered.
                    Box::pin(native.run(&mut context, call, results)).await?;
                }
            }
        }
        Ok(())
    }

    fn take(
        &self,
        context: &mut Context<'_>,
        answer: Vec<Value>,
        results: &mut [Val],
    ) -> Result<()> {
        if answer.len() != results.len() {
            let message = format!("expected {} results, got {}", results.len(), answer.len());
            return Err(self.bad_result(context, message));
        }
        for ((slot, value), ty) in results.iter_mut().zip(answer).zip(&self.signature.results) {
            *slot = value
                .into_val(context, ty)
                .map_err(|error| self.bad_result(context, error.to_string()))?;
        }
        Ok(())
    }

    fn bad_result(&self, context: &Context<'_>, message: String) -> Error {
        let (module, name) = instances::import_name(context.data(), self.instance, self.import);
        Error::ImportResult {
            module,
            name,
            message,
        }
    }
}
