//! Running guest code.
//!
//! Each function answers with the next thing to do: `{ok, Results}` or `{error, Reason}` when the
//! call is over; `yield` when its time slice is (call `resume/1`); `blocks` when it is to go on on a
//! dirty scheduler (call `resume_blocking/1`); `{import, Import, Args}` or
//! `{import, Import, Args, Instance}` when the guest calls an import (answer by `import_return/2`
//! or `import_fail/1`); `{question, Ticket, Question}` or `{question, Ticket, Question, Instance}`
//! when a provided import needs something from outside (answer by `reply/2` or `import_fail/1`; the
//! message `{'$wasmbeam', Ticket, wake}` ends a wait); `{waiting, Ticket}` when the guest waits for the
//! machine (wait for the message `{'$wasmbeam', Ticket, wake}`, or not, and call `resume/1`);
//! `{sync, Answer}` when the call is over and folders of the machine are to be written first (call
//! `folders_write/1`); `{queued, Ticket}` when others are in line
//! first (wait for the message `{'$wasmbeam', Ticket, turn}` and ask again); `again` when somebody
//! is at it for a moment; `later`, and nothing happened, when a scheduler may not have the time: ask by
//! the function of the same name with `_dirty`.

use std::sync::Arc;

use rustler::schedule::consume_timeslice;
use rustler::types::tuple::get_tuple;
use rustler::{Atom, Encoder, Env, ResourceArc, Term};
use wasmbeam_core::store::{
    Answer, Begin, Binding, Instantiate, Step, Target, UnknownImports, Wasi,
};
use wasmbeam_core::{Error, Export, TableSelector};

use crate::atoms;
use crate::error::{self, Failure};
use crate::events;
use crate::instance::{self, InstanceRes};
use crate::module;
use crate::store::{Entry, Outcome, Refusal, Suspension};
use crate::term::{self, FuncRes, Name};
use crate::wasi;

/// Makes the guest ready and runs its start function. `bindings` has one element for each import:
/// `default`, `host`, `new`, `{export, Instance, Name}` or `{value, Value}`. `wasi` is what `wasi_new/1`
/// gave, or `none`. Answers `later` where a scheduler has no time for that.
#[rustler::nif]
fn instantiate<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    bindings: Term<'a>,
    unknown_imports: Atom,
    wasi: Term<'a>,
) -> Term<'a> {
    if instance::decode(instance).is_ok_and(|instance| instance.module().starts_slowly()) {
        return atoms::later().encode(env);
    }
    make(env, instance, bindings, unknown_imports, wasi, Begin::Start)
}

/// As `instantiate`, however long it takes.
#[rustler::nif(schedule = "DirtyCpu")]
fn instantiate_dirty<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    bindings: Term<'a>,
    unknown_imports: Atom,
    wasi: Term<'a>,
) -> Term<'a> {
    make(env, instance, bindings, unknown_imports, wasi, Begin::Start)
}

/// Makes an instance that begins in one way or the other.
pub fn make<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    bindings: Term<'a>,
    unknown_imports: Atom,
    wasi: Term<'a>,
    begin: Begin,
) -> Term<'a> {
    let prepared = instance::decode(instance).and_then(|instance| {
        let module = Arc::clone(instance.module());
        let terms: Vec<Term> =
            term::list(bindings).ok_or_else(|| Failure::bad("a list of bindings", bindings))?;
        let mut imports = Vec::with_capacity(terms.len());
        for (term, import) in terms.into_iter().zip(module.imports()) {
            imports.push(binding(term, &instance, import)?);
        }
        let request = Instantiate {
            index: instance.index,
            module,
            imports,
            wasi: Wasi::default(),
            unknown_imports: if unknown_imports == atoms::error() {
                UnknownImports::Error
            } else {
                UnknownImports::Call
            },
            begin,
        };
        Ok((instance, request, wasi::decode(wasi)?))
    });
    match prepared {
        Ok((instance, mut request, wasi)) => {
            let outcome = instance
                .store
                .call(env, &instance, Entry::Start, |coroutine| {
                    if let Some((world, mirrors)) = wasi.and_then(|wasi| wasi.take()) {
                        request.wasi = world;
                        instance.store.mirrors().add(instance.index, mirrors);
                    }
                    coroutine.instantiate(request)
                });
            answer(env, &instance, outcome)
        }
        Err(failure) => {
            // What it imports from may have been stopped while it waited in line.
            if let Ok(instance) = instance::decode(instance) {
                instance.store.decline(env, &instance);
            }
            (atoms::error(), failure).encode(env)
        }
    }
}

fn binding<'a>(
    term: Term<'a>,
    instance: &ResourceArc<InstanceRes>,
    import: &wasmbeam_core::Import,
) -> Result<Binding, Failure<'a>> {
    if let Ok(atom) = term.decode::<Atom>() {
        if atom == atoms::default() {
            return Ok(Binding::Default);
        }
        if atom == atoms::host() {
            return Ok(Binding::Host);
        }
        if atom == atoms::new() {
            return Ok(Binding::New);
        }
    }
    let incompatible = |message: String| {
        Failure::from(Error::IncompatibleImport {
            module: import.module.clone(),
            name: import.name.clone(),
            message,
        })
    };
    let parts = get_tuple(term).unwrap_or_default();
    match parts.as_slice() {
        [tag, exporter, name] if tag.decode::<Atom>().is_ok_and(|a| a == atoms::export()) => {
            let exporter = instance::decode(*exporter)?;
            if exporter.is_stopped() {
                return Err(Error::Stopped.into());
            }
            if !Arc::ptr_eq(&exporter.store, &instance.store) {
                return Err(incompatible(
                    "the exporting instance is in another store".into(),
                ));
            }
            Ok(Binding::Export {
                instance: exporter.index,
                name: name
                    .decode()
                    .map_err(|_| Failure::bad("the name of an export", *name))?,
            })
        }
        [tag, value] if tag.decode::<Atom>().is_ok_and(|a| a == atoms::value()) => {
            let ty = import
                .ty
                .global()
                .ok_or_else(|| incompatible("a value is for a global only".into()))?;
            term::decode(*value, ty.content())
                .map(Binding::Value)
                .ok_or_else(|| incompatible(format!("expected a value of type {}", ty.content())))
        }
        _ => Err(Failure::bad("a binding of an import", term)),
    }
}

/// Calls a function: by the name of its export, `{table_index, N}`, or `{funcref, Ref}`. It may
/// use `fuel`, a number or `infinity`. `observed`, and nothing happens, while somebody wants to know
/// of each call: `call_observed` is for that.
#[rustler::nif]
fn call<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    function: Term<'a>,
    arguments: Term<'a>,
    fuel: Term<'a>,
) -> Term<'a> {
    if events::of_calls() {
        return atoms::observed().encode(env);
    }
    enter(env, instance, function, arguments, fuel)
}

/// As `call`, and it happens.
#[rustler::nif]
fn call_observed<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    function: Term<'a>,
    arguments: Term<'a>,
    fuel: Term<'a>,
) -> Term<'a> {
    enter(env, instance, function, arguments, fuel)
}

/// As `call_observed`, however long it takes.
#[rustler::nif(schedule = "DirtyCpu")]
fn call_dirty<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    function: Term<'a>,
    arguments: Term<'a>,
    fuel: Term<'a>,
) -> Term<'a> {
    enter(env, instance, function, arguments, fuel)
}

fn enter<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    function: Term<'a>,
    arguments: Term<'a>,
    fuel: Term<'a>,
) -> Term<'a> {
    match begin(env, instance, function, arguments, fuel) {
        Ok(term) => term,
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

fn begin<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    function: Term<'a>,
    args: Term<'a>,
    fuel: Term<'a>,
) -> Result<Term<'a>, Failure<'a>> {
    let instance = instance::decode(instance)?;
    let module = instance.module();
    let (target, signature) = if let Some(name) = Name::of(function) {
        let unknown = |name| Error::UnknownExport { name, kind: "func" };
        let name = match name {
            Name::Text(name) => name,
            Name::TooLong(name) | Name::NoText(name) => return Err(unknown(name).into()),
        };
        let unknown = || unknown(name.to_owned());
        let export = module.export_index(name).ok_or_else(unknown)?;
        let Some(Export {
            signature: Some(signature),
            ..
        }) = module.exports().get(export)
        else {
            return Err(unknown().into());
        };
        let target = Target::Export {
            instance: instance.index,
            export,
        };
        (target, Arc::clone(signature))
    } else if let Ok((tag, function)) = function.decode::<(Atom, ResourceArc<FuncRes>)>()
        && tag == atoms::funcref()
    {
        let function = function.0.clone();
        let signature = Arc::clone(function.signature());
        (Target::Func(function), signature)
    } else if let Ok((tag, index)) = function.decode::<(Atom, u64)>()
        && tag == atoms::table_index()
    {
        // The turn is for the call: were it used up by looking at the table, two processes that
        // do this would forever make each other wait.
        let found = instance.store.peek(env, &instance, |coroutine| {
            coroutine.table_function(instance.index, TableSelector::Index(0), index)
        });
        let function = match found {
            Ok(function) => function,
            Err(refusal) => {
                if matches!(refusal, Refusal::Error(_)) {
                    instance.store.decline(env, &instance);
                }
                return Ok(refused(env, refusal));
            }
        };
        let signature = Arc::clone(function.signature());
        (Target::Func(function), signature)
    } else {
        return Err(Failure::bad(
            "the name of a function, {table_index, N} or {funcref, Ref}",
            function,
        ));
    };
    let given = term::decode_args(args, &signature).and_then(|args| Ok((args, ration(fuel)?)));
    let (args, fuel) = given.inspect_err(|_| instance.store.decline(env, &instance))?;
    let outcome = instance
        .store
        .call(env, &instance, Entry::Call, |coroutine| {
            coroutine.call(target, args, fuel)
        });
    Ok(answer(env, &instance, outcome))
}

/// How much fuel a call may use, if that is limited.
fn ration(fuel: Term<'_>) -> Result<Option<u64>, Failure<'_>> {
    match fuel.decode::<Atom>() {
        Ok(atom) if atom == atoms::infinity() => Ok(None),
        _ => fuel
            .decode()
            .map(Some)
            .map_err(|_| Failure::bad("a number of units of fuel, or infinity", fuel)),
    }
}

/// Gives the guest its next time slice, or looks whether what it waits for has come.
#[rustler::nif]
fn resume<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    go_on(env, instance)
}

/// As `resume`, however long it takes.
#[rustler::nif(schedule = "DirtyCpu")]
fn resume_dirty<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    go_on(env, instance)
}

fn go_on<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    proceed(env, instance, Suspension::Slice, |coroutine| {
        coroutine.resume()
    })
}

/// As `resume`, where the guest may wait for the machine's disks.
#[rustler::nif(schedule = "DirtyIo")]
fn resume_blocking<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    proceed(env, instance, Suspension::Slice, |coroutine| {
        coroutine.resume_blocking()
    })
}

/// Answers the import that the guest waits in.
#[rustler::nif]
fn import_return<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    sibling: Term<'a>,
    import: usize,
    results: Term<'a>,
) -> Term<'a> {
    hand_over(env, instance, sibling, import, results)
}

/// As `import_return`, however long it takes.
#[rustler::nif(schedule = "DirtyCpu")]
fn import_return_dirty<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    sibling: Term<'a>,
    import: usize,
    results: Term<'a>,
) -> Term<'a> {
    hand_over(env, instance, sibling, import, results)
}

fn hand_over<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    sibling: Term<'a>,
    import: usize,
    results: Term<'a>,
) -> Term<'a> {
    let values = instance::decode(sibling).and_then(|sibling| {
        let module = sibling.module();
        let import = module.imports().get(import).ok_or(Error::Stopped)?;
        let signature = import.signature.as_ref().ok_or(Error::Stopped)?;
        term::decode_list(results, &signature.results, "result")
    });
    match values {
        Ok(values) => proceed(env, instance, Suspension::Import, |coroutine| {
            coroutine.import_return(values)
        }),
        Err(failure) => (atoms::bad_argument(), failure).encode(env),
    }
}

/// Answers the import by what the library itself provides; `undefined` if that is nothing.
#[rustler::nif]
fn import_default<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    provide(env, instance)
}

/// As `import_default`, however long it takes.
#[rustler::nif(schedule = "DirtyCpu")]
fn import_default_dirty<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    provide(env, instance)
}

fn provide<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    match instance::decode(instance) {
        Ok(instance) => match instance.store.import_default(env, &instance) {
            Ok(Some(outcome)) => answer(env, &instance, Ok(outcome)),
            Ok(None) => atoms::undefined().encode(env),
            Err(refusal) => refused(env, refusal),
        },
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

/// The type of an imported function.
#[rustler::nif]
fn import_type<'a>(env: Env<'a>, instance: Term<'a>, import: usize) -> Term<'a> {
    let signature = instance::decode(instance).and_then(|instance| {
        let import = instance.module().imports().get(import);
        let signature = import.and_then(|import| import.signature.clone());
        signature.ok_or_else(|| Error::Stopped.into())
    });
    error::result(
        env,
        signature.map(|signature| module::describe_function(env, &signature)),
    )
}

/// Replies to the question that the guest waits for.
#[rustler::nif]
fn reply<'a>(env: Env<'a>, instance: Term<'a>, answer: Term<'a>) -> Term<'a> {
    give_reply(env, instance, answer)
}

/// As `reply`, however long it takes.
#[rustler::nif(schedule = "DirtyCpu")]
fn reply_dirty<'a>(env: Env<'a>, instance: Term<'a>, answer: Term<'a>) -> Term<'a> {
    give_reply(env, instance, answer)
}

fn give_reply<'a>(env: Env<'a>, instance: Term<'a>, answer: Term<'a>) -> Term<'a> {
    match wasi::reply(answer) {
        Ok(reply) => proceed(env, instance, Suspension::Import, |coroutine| {
            coroutine.reply(reply)
        }),
        Err(failure) => (atoms::bad_argument(), failure).encode(env),
    }
}

/// Lets the import fail that the guest waits in; the guest's call ends with `import_failed`.
#[rustler::nif]
fn import_fail<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    fail(env, instance)
}

/// As `import_fail`, however long it takes.
#[rustler::nif(schedule = "DirtyCpu")]
fn import_fail_dirty<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    fail(env, instance)
}

fn fail<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    proceed(env, instance, Suspension::Import, |coroutine| {
        coroutine.import_fail(Error::ImportFailed)
    })
}

fn proceed<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    from: Suspension,
    step: impl FnOnce(&mut wasmbeam_core::store::Coroutine) -> Step,
) -> Term<'a> {
    match instance::decode(instance) {
        Ok(instance) => {
            let outcome = instance.store.proceed(env, &instance, from, step);
            answer(env, &instance, outcome)
        }
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

fn answer<'a>(
    env: Env<'a>,
    instance: &ResourceArc<InstanceRes>,
    outcome: Result<Outcome, Refusal>,
) -> Term<'a> {
    let is_over = matches!(outcome, Ok(Outcome::Done(_)))
        && !instance.store.mirrors().is_empty()
        && !instance.store.is_caller(env.pid());
    let answer = outcome_as_term(env, instance, outcome);
    if is_over {
        (atoms::sync(), answer).encode(env)
    } else {
        answer
    }
}

fn outcome_as_term<'a>(
    env: Env<'a>,
    instance: &ResourceArc<InstanceRes>,
    outcome: Result<Outcome, Refusal>,
) -> Term<'a> {
    match outcome {
        Ok(Outcome::Done(Ok(Answer::Values(values)))) => {
            (atoms::ok(), term::encode_list(env, &values)).encode(env)
        }
        Ok(Outcome::Done(Ok(Answer::Instantiated))) => {
            (atoms::ok(), Vec::<Term>::new()).encode(env)
        }
        Ok(Outcome::Done(Err(error))) => (atoms::error(), Failure::from(error)).encode(env),
        Ok(Outcome::Import(call)) => {
            let args = term::encode_list(env, &call.args);
            if call.instance == instance.index {
                (atoms::import(), call.import, args).encode(env)
            } else {
                (atoms::import(), call.import, args, call.instance).encode(env)
            }
        }
        Ok(Outcome::Question {
            ticket,
            question,
            instance: asking,
        }) => {
            let question = wasi::question(env, &question);
            if asking == instance.index {
                (atoms::question(), ticket, question).encode(env)
            } else {
                (atoms::question(), ticket, question, asking).encode(env)
            }
        }
        Ok(Outcome::Yielded) => {
            // The slice is used up: let others run before the next.
            consume_timeslice(env, 100);
            atoms::yielded().encode(env)
        }
        Ok(Outcome::Blocks) => atoms::blocks().encode(env),
        Ok(Outcome::Waiting { ticket }) => (atoms::waiting(), ticket).encode(env),
        Err(refusal) => refused(env, refusal),
    }
}

pub fn refused<'a>(env: Env<'a>, refusal: Refusal) -> Term<'a> {
    match refusal {
        Refusal::Queued(ticket) => (atoms::queued(), ticket).encode(env),
        Refusal::Again => atoms::again().encode(env),
        Refusal::Later => atoms::later().encode(env),
        Refusal::Error(error) => (atoms::error(), Failure::from(error)).encode(env),
    }
}
