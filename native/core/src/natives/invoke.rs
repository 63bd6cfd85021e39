//! Emscripten's `invoke_*`: a call through the table that a `longjmp` may come out of.
//!
//! Built without exceptions, Emscripten's `setjmp` calls every function that might jump through an
//! import `invoke_<signature>(index, args ...)`. If the callee jumps, the import restores the stack
//! pointer, notes it by `setThrew(1, 0)`, and returns zero; the caller then looks where to.

use wasmtime::{AsContextMut, Extern, FuncType, Ref, Val, ValType};

use super::{NativeCall, raw};
use crate::error::{Error, Result};
use crate::load::instrument::Internal;
use crate::store::{Context, frames, instances};
use crate::value::{FuncRef, Signature, Value};
use crate::wasi::Width;

pub(super) fn accepts(ty: &FuncType) -> bool {
    ty.params()
        .next()
        .is_some_and(|ty| ty.is_i32() || ty.is_i64())
        && ty.params().chain(ty.results()).all(|ty| {
            matches!(
                ty,
                ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64
            )
        })
}

pub(super) async fn run(
    context: &mut Context<'_>,
    call: &NativeCall<'_>,
    results: &mut [Val],
) -> Result<()> {
    let (index, args) = call
        .params
        .split_first()
        .ok_or_else(|| Error::internal("an invoke without an index"))?;
    let callee = callee(context, call.instance, raw(index))?;
    if !fits(call.signature, &callee.signature) {
        return Err(Error::trap(wasmtime::Trap::BadSignature));
    }
    let stack = get_stack(context, call).await?;
    let args = args
        .iter()
        .map(|arg| Value::from_val(context, arg))
        .collect::<Result<Vec<_>>>()?;
    match frames::call(context, &callee, args)
        .await
        .map_err(|error| *error)
    {
        Ok(values) => {
            for ((slot, value), ty) in results.iter_mut().zip(values).zip(&call.signature.results) {
                *slot = value.into_val(context, ty)?;
            }
            Ok(())
        }
        Err(Error::LongJump) => {
            let zero = match call.width {
                Width::W32 => Value::I32(0),
                Width::W64 => Value::I64(0),
            };
            helper(
                context,
                call,
                &["_emscripten_stack_restore", "stackRestore"],
                vec![stack],
            )
            .await?;
            helper(
                context,
                call,
                &["setThrew", "_setThrew"],
                vec![same_width(&zero, 1), zero],
            )
            .await?;
            for (slot, ty) in results.iter_mut().zip(&call.signature.results) {
                *slot = Value::zero(ty);
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Whether the callee's type is that of the import without the index.
fn fits(import: &Signature, callee: &Signature) -> bool {
    let same = |a: &[ValType], b: &[ValType]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| ValType::eq(a, b))
    };
    let params = import.params.get(1..).unwrap_or_default();
    same(params, &callee.params) && same(&import.results, &callee.results)
}

fn same_width(like: &Value, value: i32) -> Value {
    match like {
        Value::I64(_) => Value::I64(i64::from(value)),
        _ => Value::I32(value),
    }
}

fn callee(context: &mut Context<'_>, instance: usize, index: u64) -> Result<FuncRef> {
    let table = match instances::export(context, instance, "__indirect_function_table") {
        Some(Extern::Table(table)) => table,
        _ => match instances::export(context, instance, &Internal::Table(0).export_name()) {
            Some(Extern::Table(table)) => table,
            _ => return Err(missing("a table")),
        },
    };
    match table.get(context.as_context_mut(), index) {
        Some(Ref::Func(Some(func))) => Ok(FuncRef::new(context, func)),
        Some(_) => Err(Error::trap(wasmtime::Trap::IndirectCallToNull)),
        None => Err(Error::trap(wasmtime::Trap::TableOutOfBounds)),
    }
}

async fn get_stack(context: &mut Context<'_>, call: &NativeCall<'_>) -> Result<Value> {
    helper(
        context,
        call,
        &["emscripten_stack_get_current", "stackSave"],
        Vec::new(),
    )
    .await?
    .pop()
    .ok_or_else(|| missing("emscripten_stack_get_current"))
}

/// Calls a function that Emscripten exports for its imports, under one of its names.
async fn helper(
    context: &mut Context<'_>,
    call: &NativeCall<'_>,
    names: &[&str],
    args: Vec<Value>,
) -> Result<Vec<Value>> {
    let function = names
        .iter()
        .find_map(
            |name| match instances::export(context, call.instance, name) {
                Some(Extern::Func(func)) => Some(FuncRef::new(context, func)),
                _ => None,
            },
        )
        .ok_or_else(|| missing(names.first().copied().unwrap_or_default()))?;
    let args = args
        .into_iter()
        .zip(&function.signature.params)
        .map(|(arg, ty)| convert(arg, ty))
        .collect();
    frames::call(context, &function, args)
        .await
        .map_err(|error| *error)
}

/// An integer in the width that the callee takes: `setThrew` has taken both in its time.
fn convert(value: Value, ty: &ValType) -> Value {
    match (value, ty) {
        (Value::I64(value), ValType::I32) => Value::I32(value as i32),
        (Value::I32(value), ValType::I64) => Value::I64(i64::from(value)),
        (value, _) => value,
    }
}

fn missing(what: &str) -> Error {
    Error::UnknownExport {
        name: what.to_owned(),
        kind: "func",
    }
}
