//! A table from outside.

use wasmtime::{AsContext, AsContextMut, Extern, Ref, Table, Val, ValType};

use crate::error::{Error, Result};
use crate::load::instrument::Internal;
use crate::store::{Context, Coroutine, instances};
use crate::value::{FuncRef, Value};

/// Which of an instance's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableSelector {
    /// By its index in the module, imported ones first; exported or not.
    Index(u32),
    /// By the name that it is exported under.
    Name(String),
}

impl Coroutine {
    /// The number of elements.
    ///
    /// # Errors
    /// `UnknownExport`.
    pub fn table_size(&mut self, instance: usize, which: TableSelector) -> Result<u64> {
        self.visit(move |context| Ok(find(context, instance, &which)?.size(context.as_context())))
    }

    /// The type of the elements.
    ///
    /// # Errors
    /// `UnknownExport`.
    pub fn table_type(&mut self, instance: usize, which: TableSelector) -> Result<ValType> {
        self.visit(move |context| {
            let ty = find(context, instance, &which)?.ty(context.as_context());
            Ok(ValType::Ref(ty.element().clone()))
        })
    }

    /// One element.
    ///
    /// # Errors
    /// `UnknownExport`, `OutOfBounds`.
    pub fn table_get(
        &mut self,
        instance: usize,
        which: TableSelector,
        index: u64,
    ) -> Result<Value> {
        self.visit(move |context| {
            let table = find(context, instance, &which)?;
            let element = element(context, table, index)?;
            Value::from_val(context, &element.into())
        })
    }

    /// The function at an index, for calling it.
    ///
    /// # Errors
    /// `UnknownExport`; the traps of `call_indirect` if there is no function there.
    pub fn table_function(
        &mut self,
        instance: usize,
        which: TableSelector,
        index: u64,
    ) -> Result<FuncRef> {
        self.visit(move |context| {
            let table = find(context, instance, &which)?;
            match element(context, table, index) {
                Ok(Ref::Func(Some(func))) => Ok(FuncRef::new(context, func)),
                Ok(_) => Err(Error::trap(wasmtime::Trap::IndirectCallToNull)),
                Err(_) => Err(Error::trap(wasmtime::Trap::TableOutOfBounds)),
            }
        })
    }

    /// Sets one element.
    ///
    /// # Errors
    /// `UnknownExport`, `OutOfBounds`; `BadArgument` if the value is of another type.
    pub fn table_set(
        &mut self,
        instance: usize,
        which: TableSelector,
        index: u64,
        value: Value,
    ) -> Result<()> {
        self.visit(move |context| {
            let table = find(context, instance, &which)?;
            element(context, table, index)?;
            let value = reference(context, table, value)?;
            context.data_mut().touch();
            table
                .set(context.as_context_mut(), index, value)
                .map_err(|error| Error::bad_argument(error.root_cause().to_string()))
        })
    }

    /// Grows the table by `delta` elements, each set to `value`, and gives its former size.
    ///
    /// # Errors
    /// `UnknownExport`; `Limit` if it cannot grow that much; `BadArgument` if the value is of
    /// another type.
    pub fn table_grow(
        &mut self,
        instance: usize,
        which: TableSelector,
        delta: u64,
        value: Value,
    ) -> Result<u64> {
        self.visit(move |context| {
            let table = find(context, instance, &which)?;
            let value = reference(context, table, value)?;
            context.data_mut().touch();
            grow(context, table, delta, value)
        })
    }
}

/// Grows a table by elements of its type, and says which limit forbids it.
pub(crate) fn grow(
    context: &mut Context<'_>,
    table: Table,
    delta: u64,
    element: Ref,
) -> Result<u64> {
    context.data_mut().limiter.take_denied();
    let before = table.size(context.as_context());
    table
        .grow(context.as_context_mut(), delta, element)
        .map_err(|_| match context.data_mut().limiter.take_denied() {
            Some(denied) => denied,
            None => Error::Limit {
                what: "table elements",
                limit: table.ty(context.as_context()).maximum().unwrap_or(before),
                requested: before.saturating_add(delta),
            },
        })
}

fn element(context: &mut Context<'_>, table: Table, index: u64) -> Result<Ref> {
    table
        .get(context.as_context_mut(), index)
        .ok_or_else(|| Error::OutOfBounds {
            what: "table",
            offset: index,
            size: 1,
            bound: table.size(context.as_context()),
        })
}

fn reference(context: &mut Context<'_>, table: Table, value: Value) -> Result<Ref> {
    let ty = ValType::Ref(table.ty(context.as_context()).element().clone());
    let val: Val = value.into_val(context, &ty)?;
    val.ref_()
        .ok_or_else(|| Error::bad_argument("tables hold references"))
}

fn find(context: &mut Context<'_>, instance: usize, which: &TableSelector) -> Result<Table> {
    let name = match which {
        TableSelector::Index(index) => &Internal::Table(*index).export_name(),
        TableSelector::Name(name) => name,
    };
    match instances::export(context, instance, name) {
        Some(Extern::Table(table)) => Ok(table),
        _ => Err(unknown(which)),
    }
}

fn unknown(which: &TableSelector) -> Error {
    let kind = "table";
    match which {
        TableSelector::Index(index) => Error::UnknownIndex {
            index: *index,
            kind,
        },
        TableSelector::Name(name) => Error::UnknownExport {
            name: name.clone(),
            kind,
        },
    }
}
