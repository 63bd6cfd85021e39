//! An exported global from outside.

use wasmtime::{AsContext, AsContextMut, Extern, Global, Mutability, ValType};

use crate::error::{Error, Result};
use crate::store::{Context, Coroutine, instances};
use crate::value::Value;

impl Coroutine {
    /// The global's value.
    ///
    /// # Errors
    /// `UnknownExport`.
    pub fn global_get(&mut self, instance: usize, name: String) -> Result<Value> {
        self.visit(move |context| {
            let val = find(context, instance, &name)?.get(context.as_context_mut());
            Value::from_val(context, &val)
        })
    }

    /// The type that a new value must have.
    ///
    /// # Errors
    /// `UnknownExport`; `BadArgument` if the global is immutable.
    pub fn global_type(&mut self, instance: usize, name: String) -> Result<ValType> {
        self.visit(move |context| {
            let ty = find(context, instance, &name)?.ty(context.as_context());
            match ty.mutability() {
                Mutability::Var => Ok(ty.content().clone()),
                Mutability::Const => Err(Error::BadArgument {
                    message: format!("the global {name:?} is immutable"),
                }),
            }
        })
    }

    /// Sets the global.
    ///
    /// # Errors
    /// `UnknownExport`; `BadArgument` if the global is immutable or of another type.
    pub fn global_set(&mut self, instance: usize, name: String, value: Value) -> Result<()> {
        self.visit(move |context| {
            let global = find(context, instance, &name)?;
            context.data_mut().touch();
            let ty = global.ty(context.as_context());
            let val = value.into_val(context, ty.content())?;
            global
                .set(context.as_context_mut(), val)
                .map_err(|error| Error::bad_argument(error.root_cause().to_string()))
        })
    }
}

fn find(context: &mut Context<'_>, instance: usize, name: &str) -> Result<Global> {
    match instances::export(context, instance, name) {
        Some(Extern::Global(global)) => Ok(global),
        _ => Err(Error::UnknownExport {
            name: name.to_owned(),
            kind: "global",
        }),
    }
}
