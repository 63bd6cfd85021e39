//! The two kinds of frames that take commands: the base of a store, and a suspended import.

use std::future::poll_fn;
use std::task::Poll;

use wasmtime::{AsContextMut, RootScope, Store, Val, ValRaw, ValType};

use super::port::{Command, Event, Port, Visitor};
use super::{Answer, Context, ImportCall, Instantiate, StoreData, Target, heap, instances};
use crate::error::{Error, ExceptionInfo, Result};
use crate::natives::{Question, Reply};
use crate::ticker::begin_slice;
use crate::value::{FuncRef, Signature, Value};

/// Calls in calls: each level has a stack of its own.
const MAX_DEPTH: u32 = 500;

/// The frame that everything else runs on top of. It ends only with the store.
pub(super) async fn base(mut store: Store<StoreData>, port: Port) {
    let mut command = port.next_command().await;
    loop {
        let event = serve(&mut store.as_context_mut(), command).await;
        command = port.exchange(event).await;
    }
}

/// How an import was answered.
pub(super) enum ImportAnswer {
    Results(Vec<Value>),
    /// By what this library provides.
    Default,
}

/// Suspends the guest in an import of the embedder's until that is answered.
pub(super) async fn import(
    context: &mut Context<'_>,
    call: ImportCall,
    has_default: bool,
) -> Result<ImportAnswer> {
    let mut event = Event::Import(call);
    loop {
        match suspend(context, event).await.map_err(|error| *error)? {
            Command::Return(results) => return Ok(ImportAnswer::Results(results)),
            Command::Default if has_default => return Ok(ImportAnswer::Default),
            Command::Default => {
                event = Event::Done(Err(Box::new(Error::UnknownImport {
                    module: String::new(),
                    name: String::new(),
                    kind: "func",
                })));
            }
            _ => return Err(Error::internal("the import was not answered")),
        }
    }
}

/// Suspends the guest until the embedder has replied to a question.
pub(crate) async fn ask(
    context: &mut Context<'_>,
    instance: usize,
    question: Question,
) -> Result<Reply> {
    let event = Event::Question(Box::new((instance, question)));
    match suspend(context, event).await.map_err(|error| *error)? {
        Command::Reply(reply) => Ok(reply),
        _ => Err(Error::internal("the question was not answered")),
    }
}

/// Leaves an event for the driver, and serves its commands until one of them ends the suspension.
async fn suspend(context: &mut Context<'_>, event: Event) -> Result<Command, Box<Error>> {
    heap::measure(context);
    let port = context.data().port.clone();
    let mut command = port.exchange(event).await;
    loop {
        match command {
            Command::Return(_) | Command::Default | Command::Reply(_) | Command::Fail(_) => {
                if let Some(why) = context.data().interrupt.get() {
                    return Err(Box::new(Error::Interrupted(why)));
                }
                // The slice that the guest had when it called is over.
                begin_slice(context);
                return match command {
                    Command::Fail(error) => Err(error),
                    command => Ok(command),
                };
            }
            Command::Visit(visit) => {
                let event = visited(context, visit);
                command = port.exchange(event).await;
            }
            nested => {
                // Boxed, to keep the futures of all imports small.
                let event = Box::pin(serve(context, nested)).await;
                command = port.exchange(event).await;
            }
        }
    }
}

/// Lets others run, as at the end of a time slice.
pub(crate) async fn yield_slice(context: &mut Context<'_>) -> Result<()> {
    if let Some(why) = context.data().interrupt.get() {
        return Err(Error::Interrupted(why));
    }
    heap::measure(context);
    context.data().port.event(Event::Yielded);
    let mut yielded = false;
    poll_fn(|_| {
        if std::mem::replace(&mut yielded, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    begin_slice(context);
    Ok(())
}

/// Has the guest go on on a thread that may wait for a disk, if it is not there.
pub(crate) async fn may_block(context: &mut Context<'_>) -> Result<()> {
    let (port, interrupt) = (
        context.data().port.clone(),
        context.data().interrupt.clone(),
    );
    let mut moved = false;
    poll_fn(|_| match interrupt.get() {
        Some(why) => Poll::Ready(Err(Error::Interrupted(why))),
        None if port.may_block() => Poll::Ready(Ok(())),
        None => {
            moved = true;
            port.event(Event::Blocks);
            Poll::Pending
        }
    })
    .await?;
    if moved {
        begin_slice(context);
    }
    Ok(())
}

async fn serve(context: &mut Context<'_>, command: Command) -> Event {
    match command {
        Command::Visit(visit) => visited(context, visit),
        Command::Call { target, args, fuel } => Event::Done(
            match resolve(context, target) {
                Ok(function) if let Some(fuel) = fuel => {
                    Box::pin(rationed(context, fuel, function, args)).await
                }
                Ok(function) => call(context, &function, args).await,
                Err(error) => Err(Box::new(error)),
            }
            .map(Answer::Values),
        ),
        Command::Instantiate(request) => Event::Done(
            Box::pin(instantiate(context, *request))
                .await
                .map(|()| Answer::Instantiated)
                .map_err(Box::new),
        ),
        Command::Return(_) | Command::Default | Command::Reply(_) | Command::Fail(_) => {
            let error = Error::internal("no import awaits an answer");
            Event::Done(Err(Box::new(error)))
        }
    }
}

fn visited(context: &mut Context<'_>, visit: Visitor) -> Event {
    // References made on the way must not outlive the visit.
    let mut scope = RootScope::new(context);
    visit.run(&mut scope.as_context_mut());
    Event::Visited
}

/// A call that may use no more than `fuel` of what there is.
async fn rationed(
    context: &mut Context<'_>,
    fuel: u64,
    function: FuncRef,
    args: Vec<Value>,
) -> Result<Vec<Value>, Box<Error>> {
    let stock = context
        .get_fuel()
        .map_err(|_| Error::bad_argument("the instance was started without fuel"))?;
    let ration = fuel.min(stock);
    context.set_fuel(ration).map_err(Error::internal)?;
    let result = call(context, &function, args).await;
    let left = context.get_fuel().map_err(Error::internal)?;
    context
        .set_fuel(stock - ration.saturating_sub(left))
        .map_err(Error::internal)?;
    result
}

async fn instantiate(context: &mut Context<'_>, request: Instantiate) -> Result<()> {
    enter(context)?;
    let result = instances::instantiate(context, request).await;
    leave(context);
    result
}

/// Counts the depth and begins a fresh slice.
fn enter(context: &mut Context<'_>) -> Result<()> {
    if context.data().depth >= MAX_DEPTH {
        return Err(Error::Limit {
            what: "nested calls",
            limit: u64::from(MAX_DEPTH),
            requested: u64::from(MAX_DEPTH) + 1,
        });
    }
    context.data_mut().touch();
    context.data_mut().depth += 1;
    begin_slice(context);
    Ok(())
}

fn leave(context: &mut Context<'_>) {
    heap::measure(context);
    context.data_mut().depth -= 1;
}

fn resolve(context: &mut Context<'_>, target: Target) -> Result<FuncRef> {
    match target {
        Target::Export { instance, export } => instances::function(context, instance, export),
        Target::Func(function) if function.store == context.data().id => Ok(function),
        Target::Func(_) => Err(Error::bad_argument(
            "the function belongs to an instance of another store",
        )),
    }
}

/// Calls a function, from outside or from within an import.
pub(crate) async fn call(
    context: &mut Context<'_>,
    function: &FuncRef,
    args: Vec<Value>,
) -> Result<Vec<Value>, Box<Error>> {
    enter(context)?;
    let result = if function.is_brief && context.data().depth == 1 {
        invoke_brief(context, function, args)
    } else if function.signature.has_references {
        let mut scope = RootScope::new(&mut *context);
        invoke(&mut scope.as_context_mut(), function, args).await
    } else {
        invoke(context, function, args).await
    };
    leave(context);
    result
}

/// Calls a function on the stack that this thread has: it takes no longer than entering a fiber does.
/// To be used outside of all other calls only.
fn invoke_brief(
    context: &mut Context<'_>,
    function: &FuncRef,
    mut values: Vec<Value>,
) -> Result<Vec<Value>, Box<Error>> {
    let Signature {
        params, results, ..
    } = &*function.signature;
    check_count(&values, params)?;
    let mut raws = std::mem::take(&mut context.data_mut().raws);
    raws.clear();
    for (value, ty) in values.drain(..).zip(params) {
        raws.push(value.into_raw(ty)?);
    }
    raws.resize(params.len().max(results.len()), ValRaw::i32(0));
    context.data_mut().in_brief = true;
    // SAFETY: the function is of this store. There is room for its parameters and for its results, the
    // parameters are of its types, and none is a reference. No other call is in progress, and this one
    // ends before anything else is done: it calls no host function that would have to be awaited.
    let called = unsafe { function.func.call_unchecked(&mut *context, &raw mut *raws) };
    context.data_mut().in_brief = false;
    called.map_err(|error| Box::new(failure(context, &error)))?;
    for (raw, ty) in raws.iter().zip(results) {
        values.extend(Value::from_raw(*raw, ty));
    }
    context.data_mut().raws = raws;
    Ok(values)
}

fn check_count(values: &[Value], params: &[ValType]) -> Result<()> {
    if values.len() == params.len() {
        return Ok(());
    }
    Err(Error::bad_argument(format!(
        "expected {} arguments, got {}",
        params.len(),
        values.len()
    )))
}

/// Calls a function on a fiber of its own. The list of arguments becomes that of the results.
async fn invoke(
    context: &mut Context<'_>,
    function: &FuncRef,
    mut values: Vec<Value>,
) -> Result<Vec<Value>, Box<Error>> {
    let Signature {
        params, results, ..
    } = &*function.signature;
    check_count(&values, params)?;
    // A nested call finds none and makes its own.
    let mut vals = std::mem::take(&mut context.data_mut().vals);
    vals.clear();
    for (value, ty) in values.drain(..).zip(params) {
        vals.push(value.into_val(context, ty)?);
    }
    vals.extend(results.iter().map(Value::zero));
    let (given, outcome) = vals.split_at_mut(params.len());
    function
        .func
        .call_async(&mut *context, given, outcome)
        .await
        .map_err(|error| Box::new(failure(context, &error)))?;
    for val in outcome {
        values.push(Value::from_val(context, val)?);
    }
    context.data_mut().vals = vals;
    Ok(values)
}

/// Reads why guest code failed, and takes the exception, if there is one, out of the store.
pub(super) fn failure(context: &mut Context<'_>, error: &wasmtime::Error) -> Error {
    let mut error = Error::from_wasmtime(error);
    if let Error::Exception(info) = &mut error {
        let ExceptionInfo { values, .. } = &mut **info;
        *values = exception_values(context).unwrap_or_default();
    }
    error
}

fn exception_values(context: &mut Context<'_>) -> Option<Vec<Value>> {
    let mut scope = RootScope::new(context);
    let exception = scope.as_context_mut().take_pending_exception()?;
    let fields: Vec<Val> = exception.fields(&mut scope).ok()?.collect();
    let mut context = scope.as_context_mut();
    fields
        .iter()
        .map(|val| Value::from_val(&mut context, val).ok())
        .collect()
}
