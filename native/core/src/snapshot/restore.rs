//! Giving a new instance its state.

use std::sync::Arc;

use wasmtime::{
    AnyRef, AsContext, AsContextMut, Extern, Global, HeapType, I31, Ref, RootScope, Table, Val,
    ValType,
};

use super::{Content, MemoryState, Reference, State, TableState, Tracked, bad, capture};
use crate::error::{Error, Result};
use crate::layout::{Item, Layout};
use crate::memory;
use crate::module::Module;
use crate::store::{
    Context, Functions, instance_export_at, instance_functions, instance_module,
    set_instance_tracked, set_instance_wasi,
};
use crate::table;

/// Gives an instance that was just made, and has not run, the state. If that fails the instance
/// is of no use.
///
/// # Errors
/// `BadSnapshot` if the state is not one of an instance of this module; `Limit`.
pub(crate) async fn apply(context: &mut Context<'_>, instance: usize, state: &State) -> Result<()> {
    let module = instance_module(context, instance).ok_or(Error::Stopped)?;
    if module.id() != state.module {
        return bad("it is of another module");
    }
    let layout = module.layout();
    {
        let mut scope = RootScope::new(&mut *context);
        let mut target = Target {
            context: &mut scope.as_context_mut(),
            instance,
        };
        target.memories(layout, state)?;
        target.globals(layout, state)?;
        target.tables(&module, state)?;
        target.flag(&layout.dropped_data, &state.dropped_data)?;
        target.flag(&layout.dropped_elements, &state.dropped_elements)?;
    }
    if let Some(wasi) = &state.wasi {
        set_instance_wasi(context, instance, (**wasi).clone())?;
    }
    let Some(drop) = layout.drop else {
        return Ok(());
    };
    match instance_export_at(context, instance, drop) {
        Some(Extern::Func(drop)) => drop
            .call_async(context, &[], &mut [])
            .await
            .map_err(|error| Error::from_wasmtime(&error)),
        _ => Err(Error::internal("the instance lacks an item")),
    }
}

struct Target<'a, 'b> {
    context: &'a mut Context<'b>,
    instance: usize,
}

impl Target<'_, '_> {
    fn export(&mut self, item: &Item) -> Result<Extern> {
        instance_export_at(self.context, self.instance, item.export)
            .ok_or_else(|| Error::internal("the instance lacks an item"))
    }

    fn memories(&mut self, layout: &Layout, state: &State) -> Result<()> {
        if layout.memories.len() != state.memories.len() {
            return bad("the module has another number of memories");
        }
        for (item, state) in layout.memories.iter().zip(&state.memories) {
            self.memory(item, state)?;
        }
        Ok(())
    }

    fn memory(&mut self, item: &Item, state: &MemoryState) -> Result<()> {
        let index = item.index;
        let Extern::Memory(memory) = self.export(item)? else {
            return bad(format!("memory {index} is shared"));
        };
        let ty = memory.ty(self.context.as_context());
        if ty.page_size_log2() != state.page_size_log2 {
            return bad(format!("memory {index} has pages of another size"));
        }
        let size = memory.data_size(self.context.as_context()) as u64;
        let Some(missing) = state.image.len().checked_sub(size) else {
            return bad(format!("memory {index} is smaller than at the start"));
        };
        if missing % ty.page_size() != 0 {
            return bad(format!("memory {index} does not end with a page"));
        }
        if missing > 0 {
            memory::grow(self.context, memory, missing / ty.page_size())?;
        }
        let mapped = state.image.put_into(self.context, memory)?;
        let tracked = mapped.map(|image| Tracked::new(image, self.context, memory));
        set_instance_tracked(self.context, self.instance, index, tracked);
        Ok(())
    }

    fn globals(&mut self, layout: &Layout, state: &State) -> Result<()> {
        let mut states = state.globals.iter();
        for item in &layout.globals {
            let Extern::Global(global) = self.export(item)? else {
                return Err(Error::internal("a global of another kind"));
            };
            let ty = global.ty(self.context.as_context());
            if !ty.mutability().is_var() {
                continue;
            }
            let Some(state) = states.next().filter(|state| state.index == item.index) else {
                return bad(format!("it lacks global {}", item.index));
            };
            self.set_global(global, ty.content(), item.index, state.content)?;
        }
        match states.next() {
            Some(state) => bad(format!("there is no mutable global {}", state.index)),
            None => Ok(()),
        }
    }

    fn set_global(
        &mut self,
        global: Global,
        ty: &ValType,
        index: u32,
        content: Content,
    ) -> Result<()> {
        let val = match content {
            Content::I32(value) => Val::I32(value.cast_signed()),
            Content::I64(value) => Val::I64(value.cast_signed()),
            Content::F32(bits) => Val::F32(bits),
            Content::F64(bits) => Val::F64(bits),
            Content::V128(bits) => Val::V128(bits.into()),
            Content::Ref(reference) => match ty {
                ValType::Ref(ty) => self.reference(reference, ty.heap_type())?.into(),
                _ => return bad(format!("global {index} is not of that type")),
            },
        };
        global
            .set(self.context.as_context_mut(), val)
            .or_else(|_| bad(format!("global {index} is not of that type")))
    }

    fn tables(&mut self, module: &Module, state: &State) -> Result<()> {
        let layout = module.layout();
        if layout.tables.len() != state.tables.len() {
            return bad("the module has another number of tables");
        }
        let fresh = module.fresh_tables(|| capture::tables(self.context, self.instance, layout));
        for (number, (item, state)) in layout.tables.iter().zip(&state.tables).enumerate() {
            // Looking at the elements takes longer than everything else.
            if fresh.get(number) != Some(state) {
                self.table(item, state)?;
            }
        }
        Ok(())
    }

    /// Elements that are already what they should be are left alone.
    fn table(&mut self, item: &Item, state: &TableState) -> Result<()> {
        let index = item.index;
        let Extern::Table(table) = self.export(item)? else {
            return Err(Error::internal("a table of another kind"));
        };
        let ty = table.ty(self.context.as_context());
        let heap = ty.element().heap_type().clone();
        let size = table.size(self.context.as_context());
        if state.size() < size {
            return bad(format!("table {index} is smaller than at the start"));
        }
        let mismatch = || bad(format!("an element of table {index} is not of its type"));
        let functions = self.functions()?;
        let mut position = 0;
        for (count, reference) in &state.runs {
            let end = position + count;
            let element = self.reference(*reference, &heap)?;
            for place in position..end.min(size) {
                if !self.holds(&functions, table, place, *reference) {
                    table
                        .set(self.context.as_context_mut(), place, element.clone())
                        .or_else(|_| mismatch())?;
                }
            }
            if end > size {
                let delta = end - position.max(size);
                if !element
                    .matches_ty(self.context.as_context(), ty.element())
                    .unwrap_or(false)
                {
                    return mismatch();
                }
                table::grow(self.context, table, delta, element)?;
            }
            position = end;
        }
        Ok(())
    }

    fn holds(
        &mut self,
        functions: &Functions,
        table: Table,
        place: u64,
        reference: Reference,
    ) -> bool {
        match (table.get(self.context.as_context_mut(), place), reference) {
            (Some(element), Reference::Null) => element.is_null(),
            (Some(Ref::Func(Some(func))), Reference::Func(index)) => {
                functions.index(self.context, func) == Some(index)
            }
            _ => false,
        }
    }

    fn flag(&mut self, flags: &[Item], dropped: &[u32]) -> Result<()> {
        let mut dropped = dropped.iter().peekable();
        for item in flags {
            if dropped.next_if_eq(&&item.index).is_none() {
                continue;
            }
            let Extern::Global(flag) = self.export(item)? else {
                return Err(Error::internal("a flag of another kind"));
            };
            flag.set(self.context.as_context_mut(), Val::I32(1))
                .map_err(Error::internal)?;
        }
        match dropped.next() {
            Some(index) => bad(format!("nothing drops segment {index}")),
            None => Ok(()),
        }
    }

    fn reference(&mut self, reference: Reference, ty: &HeapType) -> Result<Ref> {
        match reference {
            Reference::Null => Ok(Ref::null(ty)),
            Reference::Func(index) => match self.functions()?.get(index) {
                Some(func) => Ok(Ref::Func(Some(func))),
                None => bad(format!("nothing refers to function {index}")),
            },
            Reference::I31(value) => match I31::new_u32(value) {
                Some(value) => Ok(Ref::Any(Some(AnyRef::from_i31(
                    self.context.as_context_mut(),
                    value,
                )))),
                None => bad(format!("{value} is out of range of i31")),
            },
        }
    }

    fn functions(&mut self) -> Result<Arc<Functions>> {
        instance_functions(self.context, self.instance)
    }
}
