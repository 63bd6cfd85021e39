//! Functions by their index, and back.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use wasmtime::{AsContextMut, Extern, Func};

use super::Context;
use super::instances::{export_at, state, state_mut};
use crate::error::{Error, Result};

/// The functions of an instance that something may refer to.
#[derive(Default)]
pub(crate) struct Functions {
    by_index: HashMap<u32, Func, RandomState>,
    by_reference: HashMap<usize, u32, RandomState>,
    unlisted: bool,
}

impl Functions {
    pub fn get(&self, index: u32) -> Option<Func> {
        self.by_index.get(&index).copied()
    }

    /// Whether there are others, which are not known.
    pub fn are_unlisted(&self) -> bool {
        self.unlisted
    }

    /// None if it is no function of this instance.
    pub fn index(&self, context: &mut Context<'_>, func: Func) -> Option<u32> {
        self.by_reference.get(&reference(context, func)).copied()
    }
}

/// What is the same for all references to one function.
fn reference(context: &mut Context<'_>, func: Func) -> usize {
    func.to_raw(context.as_context_mut()).addr()
}

/// Those of an instance; they are looked up once.
pub(crate) fn functions(context: &mut Context<'_>, instance: usize) -> Result<Arc<Functions>> {
    let known = state(context.data(), instance).ok_or(Error::Stopped)?;
    if let Some(functions) = &known.functions {
        return Ok(Arc::clone(functions));
    }
    let module = Arc::clone(&known.module);
    let mut functions = Functions {
        unlisted: module.layout().functions_unlisted,
        ..Functions::default()
    };
    for item in &module.layout().functions {
        let Some(Extern::Func(func)) = export_at(context, instance, item.export) else {
            return Err(Error::internal("the instance lacks a function"));
        };
        functions.by_index.insert(item.index, func);
        let reference = reference(context, func);
        functions.by_reference.insert(reference, item.index);
    }
    let functions = Arc::new(functions);
    if let Some(known) = state_mut(context.data_mut(), instance) {
        known.functions = Some(Arc::clone(&functions));
    }
    Ok(functions)
}
