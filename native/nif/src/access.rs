//! Memories, globals and tables as seen from Erlang.
//!
//! Answers `{queued, Ticket}` and `again` mean the same as in `call`.

use rustler::{Atom, Binary, Encoder, Env, OwnedBinary, Term, TermType};
use wasmbeam_core::store::Coroutine;
use wasmbeam_core::{Error, MemorySelector, TableSelector, ValType, Value};

use crate::atoms;
use crate::call::refused;
use crate::error::Failure;
use crate::instance;
use crate::store::Refusal;
use crate::term::{self, Name};

/// Ends in what a NIF returns: an answer, or what to do before asking again.
fn finish<'a>(env: Env<'a>, outcome: Result<Result<Term<'a>, Refusal>, Failure<'a>>) -> Term<'a> {
    match outcome {
        Ok(Ok(term)) => term,
        Ok(Err(refusal)) => refused(env, refusal),
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

/// A place: what is negative, or more than any machine has, is as far out of bounds as can be.
fn offset(term: Term<'_>) -> Result<u64, Failure<'_>> {
    match term.decode::<u64>() {
        Ok(value) => Ok(value),
        Err(_) if term.get_type() == TermType::Integer => Ok(u64::MAX),
        Err(_) => Err(Failure::bad("an integer", term)),
    }
}

/// A number of things, from 0 on, however large.
fn count(term: Term<'_>) -> Result<u64, Failure<'_>> {
    match term.decode::<u64>() {
        Ok(value) => Ok(value),
        Err(_) if term.get_type() == TermType::Integer && !term::is_negative(term) => Ok(u64::MAX),
        Err(_) => Err(Failure::bad("a non-negative integer", term)),
    }
}

fn memory(term: Term<'_>) -> Result<MemorySelector, Failure<'_>> {
    match term.decode() {
        Ok(index) => Ok(MemorySelector::Index(index)),
        Err(_) => name(term, "memory", "the name or index of a memory").map(MemorySelector::Name),
    }
}

fn table(term: Term<'_>) -> Result<TableSelector, Failure<'_>> {
    match term.decode() {
        Ok(index) => Ok(TableSelector::Index(index)),
        Err(_) => name(term, "table", "the name or index of a table").map(TableSelector::Name),
    }
}

fn global(term: Term<'_>) -> Result<String, Failure<'_>> {
    name(term, "global", "a name, as a binary")
}

fn name<'a>(term: Term<'a>, kind: &'static str, expected: &str) -> Result<String, Failure<'a>> {
    match Name::of(term) {
        Some(Name::Text(name)) => Ok(name.to_owned()),
        Some(Name::TooLong(name)) => Err(Error::UnknownExport { name, kind }.into()),
        Some(Name::NoText(_)) | None => Err(Failure::bad(expected, term)),
    }
}

#[rustler::nif]
fn memory_size<'a>(env: Env<'a>, instance: Term<'a>, which: Term<'a>) -> Term<'a> {
    finish(
        env,
        (|| {
            let instance = instance::decode(instance)?;
            let which = memory(which)?;
            Ok(instance
                .store
                .visit(env, &instance, |c| c.memory_size(instance.index, which))
                .map(|size| (atoms::ok(), size).encode(env)))
        })(),
    )
}

fn read<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    which: Term<'a>,
    start: Term<'a>,
    size: Term<'a>,
) -> Term<'a> {
    finish(
        env,
        (|| {
            let instance = instance::decode(instance)?;
            let which = memory(which)?;
            let (start, size) = (offset(start)?, count(size)?);
            let bytes = instance.store.visit(env, &instance, |coroutine| {
                copy(coroutine, instance.index, which, start, size)
            });
            Ok(bytes.map(|bytes| (atoms::ok(), bytes.into_term(env)).encode(env)))
        })(),
    )
}

/// Bytes of a memory, on the way to a term. A term cannot be made while the store is visited.
enum Copied {
    Few([u8; Self::FEW], usize),
    Many(OwnedBinary),
}

impl Copied {
    /// So many bytes are part of the process's heap, as a term.
    const FEW: usize = 64;

    fn into_term(self, env: Env<'_>) -> Term<'_> {
        match self {
            Self::Few(bytes, size) => term::binary(env, bytes.get(..size).unwrap_or_default()),
            Self::Many(bytes) => Binary::from_owned(bytes, env).to_term(env),
        }
    }
}

fn copy(
    coroutine: &mut Coroutine,
    instance: usize,
    which: MemorySelector,
    start: u64,
    size: u64,
) -> Result<Copied, Error> {
    let mut few = [0; Copied::FEW];
    let count = usize::try_from(size).unwrap_or(usize::MAX);
    if let Some(target) = few.get_mut(..count) {
        coroutine.memory_read(instance, which, start, target)?;
        return Ok(Copied::Few(few, count));
    }
    if size > coroutine.gauge().memory() {
        coroutine.memory_check(instance, which.clone(), start, size)?;
    }
    // No larger than memory that exists.
    let mut many = OwnedBinary::new(count);
    coroutine.memory_read(instance, which, start, many.as_mut_slice())?;
    Ok(Copied::Many(many))
}

#[rustler::nif]
fn memory_read<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    which: Term<'a>,
    start: Term<'a>,
    size: Term<'a>,
) -> Term<'a> {
    read(env, instance, which, start, size)
}

/// For what takes longer than a scheduler may be kept.
#[rustler::nif(schedule = "DirtyCpu")]
fn memory_read_dirty<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    which: Term<'a>,
    start: Term<'a>,
    size: Term<'a>,
) -> Term<'a> {
    read(env, instance, which, start, size)
}

fn write<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    which: Term<'a>,
    start: Term<'a>,
    bytes: Term<'a>,
) -> Term<'a> {
    finish(
        env,
        (|| {
            let instance = instance::decode(instance)?;
            let which = memory(which)?;
            let start = offset(start)?;
            let bytes: Binary = bytes
                .decode()
                .map_err(|_| Failure::bad("a binary", bytes))?;
            let index = instance.index;
            Ok(instance
                .store
                .visit(env, &instance, |coroutine| {
                    coroutine.memory_write(index, which, start, bytes.as_slice())
                })
                .map(|()| atoms::ok().encode(env)))
        })(),
    )
}

#[rustler::nif]
fn memory_write<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    which: Term<'a>,
    start: Term<'a>,
    bytes: Term<'a>,
) -> Term<'a> {
    write(env, instance, which, start, bytes)
}

/// For what takes longer than a scheduler may be kept.
#[rustler::nif(schedule = "DirtyCpu")]
fn memory_write_dirty<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    which: Term<'a>,
    start: Term<'a>,
    bytes: Term<'a>,
) -> Term<'a> {
    write(env, instance, which, start, bytes)
}

/// Everything, in place of what was there. Takes as long as the memory is large.
#[rustler::nif(schedule = "DirtyCpu")]
fn memory_replace<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    which: Term<'a>,
    image: Term<'a>,
) -> Term<'a> {
    finish(
        env,
        (|| {
            let instance = instance::decode(instance)?;
            let which = memory(which)?;
            let image: Binary = image
                .decode()
                .map_err(|_| Failure::bad("a binary", image))?;
            Ok(instance
                .store
                .visit(env, &instance, |coroutine| {
                    coroutine.memory_replace(instance.index, which, image.as_slice())
                })
                .map(|()| {
                    instance.store.clear_interrupted();
                    atoms::ok().encode(env)
                }))
        })(),
    )
}

/// The bytes before the next zero byte; the search may take long.
#[rustler::nif(schedule = "DirtyCpu")]
fn memory_read_string<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    which: Term<'a>,
    start: Term<'a>,
) -> Term<'a> {
    finish(
        env,
        (|| {
            let instance = instance::decode(instance)?;
            let which = memory(which)?;
            let start = offset(start)?;
            Ok(instance
                .store
                .visit(env, &instance, |c| {
                    c.memory_read_string(instance.index, which, start)
                })
                .map(|bytes| (atoms::ok(), term::binary(env, &bytes)).encode(env)))
        })(),
    )
}

#[rustler::nif]
fn memory_grow<'a>(env: Env<'a>, instance: Term<'a>, which: Term<'a>, pages: Term<'a>) -> Term<'a> {
    finish(
        env,
        (|| {
            let instance = instance::decode(instance)?;
            let which = memory(which)?;
            let pages = count(pages)?;
            Ok(instance
                .store
                .visit(env, &instance, |c| {
                    c.memory_grow(instance.index, which, pages)
                })
                .map(|before| (atoms::ok(), before).encode(env)))
        })(),
    )
}

#[rustler::nif]
fn global_get<'a>(env: Env<'a>, instance: Term<'a>, which: Term<'a>) -> Term<'a> {
    finish(
        env,
        (|| {
            let instance = instance::decode(instance)?;
            let global = global(which)?;
            Ok(instance
                .store
                .visit(env, &instance, |c| c.global_get(instance.index, global))
                .map(|value| (atoms::ok(), term::encode(env, &value)).encode(env)))
        })(),
    )
}

#[rustler::nif]
fn global_set<'a>(env: Env<'a>, instance: Term<'a>, which: Term<'a>, value: Term<'a>) -> Term<'a> {
    finish(
        env,
        (|| {
            let instance = instance::decode(instance)?;
            let global = global(which)?;
            let index = instance.index;
            let set = instance.store.visit(env, &instance, |c| {
                let ty = c.global_type(index, global.clone())?;
                typed(value, &ty, |value| c.global_set(index, global, value))
            });
            answer(env, set)
        })(),
    )
}

#[rustler::nif]
fn table_size<'a>(env: Env<'a>, instance: Term<'a>, which: Term<'a>) -> Term<'a> {
    finish(
        env,
        (|| {
            let instance = instance::decode(instance)?;
            let which = table(which)?;
            Ok(instance
                .store
                .visit(env, &instance, |c| c.table_size(instance.index, which))
                .map(|size| (atoms::ok(), size).encode(env)))
        })(),
    )
}

#[rustler::nif]
fn table_get<'a>(env: Env<'a>, instance: Term<'a>, which: Term<'a>, index: Term<'a>) -> Term<'a> {
    finish(
        env,
        (|| {
            let instance = instance::decode(instance)?;
            let which = table(which)?;
            let index = offset(index)?;
            Ok(instance
                .store
                .visit(env, &instance, |c| {
                    c.table_get(instance.index, which, index)
                })
                .map(|value| (atoms::ok(), term::encode(env, &value)).encode(env)))
        })(),
    )
}

#[rustler::nif]
fn table_set<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    which: Term<'a>,
    index: Term<'a>,
    value: Term<'a>,
) -> Term<'a> {
    finish(
        env,
        (|| {
            let instance = instance::decode(instance)?;
            let which = table(which)?;
            let index = offset(index)?;
            let set = instance.store.visit(env, &instance, |c| {
                let ty = c.table_type(instance.index, which.clone())?;
                typed(value, &ty, |value| {
                    c.table_set(instance.index, which, index, value)
                })
            });
            answer(env, set)
        })(),
    )
}

#[rustler::nif]
fn table_grow<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    which: Term<'a>,
    delta: Term<'a>,
    value: Term<'a>,
) -> Term<'a> {
    grow(env, instance, which, delta, value)
}

/// For what takes longer than a scheduler may be kept.
#[rustler::nif(schedule = "DirtyCpu")]
fn table_grow_dirty<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    which: Term<'a>,
    delta: Term<'a>,
    value: Term<'a>,
) -> Term<'a> {
    grow(env, instance, which, delta, value)
}

fn grow<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    which: Term<'a>,
    delta: Term<'a>,
    value: Term<'a>,
) -> Term<'a> {
    finish(
        env,
        (|| {
            let instance = instance::decode(instance)?;
            let which = table(which)?;
            let delta = count(delta)?;
            let grown = instance.store.visit(env, &instance, |c| {
                let ty = c.table_type(instance.index, which.clone())?;
                typed(value, &ty, |value| {
                    c.table_grow(instance.index, which, delta, value)
                })
            });
            Ok(match grown {
                Ok(before) => Ok((atoms::ok(), before?).encode(env)),
                Err(refusal) => Err(refusal),
            })
        })(),
    )
}

/// Has `write` put a value into a place of that type, if it is one.
fn typed<'a, R>(
    value: Term<'a>,
    ty: &ValType,
    write: impl FnOnce(Value) -> Result<R, Error>,
) -> Result<Result<R, Failure<'a>>, wasmbeam_core::Error> {
    match term::decode(value, ty) {
        Some(value) => write(value).map(Ok),
        None => Ok(Err(Failure::bad(
            format!("a value of type {}", term::type_name(ty)),
            value,
        ))),
    }
}

fn answer<'a>(
    env: Env<'a>,
    done: Result<Result<(), Failure<'a>>, Refusal>,
) -> Result<Result<Term<'a>, Refusal>, Failure<'a>> {
    match done {
        Ok(outcome) => outcome.map(|()| Ok(atoms::ok().encode(env))),
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// Does nothing: what calling any NIF costs.
#[rustler::nif]
fn noop(_instance: Term<'_>, _function: Term<'_>, _args: Term<'_>, _fuel: Term<'_>) -> Atom {
    atoms::ok()
}
