//! Taking the state of an idle instance.

use wasmtime::{AnyRef, AsContext, AsContextMut, Extern, Func, Mutability, Ref, Rooted, Val};

use super::{Content, GlobalState, MemoryState, Purpose, Reference, State, TableState, Tracked};
use crate::error::{Error, Result};
use crate::layout::{Item, Layout};
use crate::module::Module;
use crate::store::{
    Context, Functions, instance_export_at, instance_functions, instance_module, instance_tracked,
    instance_wasi, set_instance_tracked,
};

/// The state of the store's only instance.
///
/// # Errors
/// `NotCapturable` names what cannot be part of it.
pub(crate) fn capture(
    context: &mut Context<'_>,
    instance: usize,
    purpose: Purpose,
) -> Result<State> {
    if context.data().instance_count() != 1 {
        return refuse("a store with several instances");
    }
    let module = instance_module(context, instance).ok_or(Error::Stopped)?;
    let layout = module.layout();
    if layout.has_objects_in_segments {
        return refuse("element segments that hold objects");
    }
    let functions = instance_functions(context, instance)?;
    let mut source = Source {
        context,
        instance,
        functions: &functions,
    };
    Ok(State {
        module: module.id(),
        memories: collect(&layout.memories, |item| source.memory(item, purpose))?,
        globals: source.globals(&module)?,
        tables: collect(&layout.tables, |item| source.table(item))?,
        dropped_data: source.flagged(&layout.dropped_data)?,
        dropped_elements: source.flagged(&layout.dropped_elements)?,
        wasi: instance_wasi(context, instance)
            .or_else(refuse)?
            .map(Box::new),
    })
}

/// What the tables of an instance hold.
///
/// # Errors
/// As [`capture`].
pub(super) fn tables(
    context: &mut Context<'_>,
    instance: usize,
    layout: &Layout,
) -> Result<Vec<TableState>> {
    let functions = instance_functions(context, instance)?;
    let mut source = Source {
        context,
        instance,
        functions: &functions,
    };
    collect(&layout.tables, |item| source.table(item))
}

fn refuse<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::NotCapturable { what: what.into() })
}

fn collect<T>(items: &[Item], get: impl FnMut(&Item) -> Result<T>) -> Result<Vec<T>> {
    items.iter().map(get).collect()
}

struct Source<'a, 'b> {
    context: &'a mut Context<'b>,
    instance: usize,
    functions: &'a Functions,
}

impl Source<'_, '_> {
    fn export(&mut self, item: &Item) -> Result<Extern> {
        instance_export_at(self.context, self.instance, item.export)
            .ok_or_else(|| Error::internal("the instance lacks an item"))
    }

    fn memory(&mut self, item: &Item, purpose: Purpose) -> Result<MemoryState> {
        let Extern::Memory(memory) = self.export(item)? else {
            return refuse(format!("memory {}, which is shared", item.index));
        };
        let page_size_log2 = memory.ty(self.context.as_context()).page_size_log2();
        let tracked = instance_tracked(self.context, self.instance, item.index);
        let (image, tracked) = Tracked::capture(tracked, self.context, memory, purpose)?;
        set_instance_tracked(self.context, self.instance, item.index, tracked);
        Ok(MemoryState {
            page_size_log2,
            image,
        })
    }

    fn globals(&mut self, module: &Module) -> Result<Vec<GlobalState>> {
        let mut states = Vec::new();
        for item in &module.layout().globals {
            let Extern::Global(global) = self.export(item)? else {
                return Err(Error::internal("a global of another kind"));
            };
            let mutability = global.ty(self.context.as_context()).mutability();
            let val = global.get(self.context.as_context_mut());
            if mutability == Mutability::Const {
                self.check_constant(item.index, &val)?;
                continue;
            }
            let content = match val {
                Val::I32(value) => Content::I32(value.cast_unsigned()),
                Val::I64(value) => Content::I64(value.cast_unsigned()),
                Val::F32(bits) => Content::F32(bits),
                Val::F64(bits) => Content::F64(bits),
                Val::V128(bits) => Content::V128(bits.as_u128()),
                val => {
                    let reference = val.ref_().ok_or(Error::Stopped)?;
                    let name = || format!("global {}", item.index);
                    Content::Ref(self.reference(&reference, name)?)
                }
            };
            states.push(GlobalState {
                index: item.index,
                content,
            });
        }
        Ok(states)
    }

    /// An immutable global is not part of the state, but an object that it refers to is.
    fn check_constant(&mut self, index: u32, val: &Val) -> Result<()> {
        let object = match val {
            Val::AnyRef(Some(any)) => !self.is_i31(*any)?,
            Val::ExnRef(Some(_)) => true,
            // It is given by the embedder.
            _ => false,
        };
        if object {
            return refuse(format!("global {index}, which refers to an object"));
        }
        Ok(())
    }

    fn table(&mut self, item: &Item) -> Result<TableState> {
        let Extern::Table(table) = self.export(item)? else {
            return Err(Error::internal("a table of another kind"));
        };
        let mut state = TableState::default();
        for index in 0..table.size(self.context.as_context()) {
            let element = table
                .get(self.context.as_context_mut(), index)
                .ok_or_else(|| Error::internal("a table without an element"))?;
            let name = || format!("element {index} of table {}", item.index);
            state.push(self.reference(&element, name)?);
        }
        Ok(state)
    }

    fn flagged(&mut self, flags: &[Item]) -> Result<Vec<u32>> {
        let mut set = Vec::new();
        for item in flags {
            let Extern::Global(flag) = self.export(item)? else {
                return Err(Error::internal("a flag of another kind"));
            };
            if flag.get(self.context.as_context_mut()).i32() != Some(0) {
                set.push(item.index);
            }
        }
        Ok(set)
    }

    fn reference(&mut self, reference: &Ref, place: impl Fn() -> String) -> Result<Reference> {
        match reference {
            Ref::Func(Some(func)) => self.function(*func, place),
            Ref::Any(Some(any)) if self.is_i31(*any)? => {
                let value = any
                    .as_i31(self.context.as_context())
                    .map_err(Error::internal)?;
                Ok(value.map_or(Reference::Null, |value| Reference::I31(value.get_u32())))
            }
            Ref::Any(Some(_)) | Ref::Exn(Some(_)) => {
                refuse(format!("{}, which refers to an object", place()))
            }
            Ref::Extern(Some(_)) => refuse(format!("{}, a live externref", place())),
            reference if reference.is_null() => Ok(Reference::Null),
            _ => refuse(place()),
        }
    }

    fn function(&mut self, func: Func, place: impl Fn() -> String) -> Result<Reference> {
        match self.functions.index(self.context, func) {
            Some(index) => Ok(Reference::Func(index)),
            None if self.functions.are_unlisted() => refuse(format!(
                "{}, one of more functions than can be told apart: the module's exports and functions in \
                 tables have too many parameters in all",
                place()
            )),
            None => refuse(format!("{}, a function of another instance", place())),
        }
    }

    fn is_i31(&mut self, any: Rooted<AnyRef>) -> Result<bool> {
        any.is_i31(self.context.as_context())
            .map_err(Error::internal)
    }
}
