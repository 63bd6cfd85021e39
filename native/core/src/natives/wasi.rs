//! WASI preview 1 as imports of a guest.

use wasmtime::{FuncType, Val, ValType};

use super::{NativeCall, Question, raw};
use crate::error::{Error, Result};
use crate::store::{Context, frames, instances};
use crate::wasi::{self, Abi, Answer, Function, Outcome, ValueType, Version, WasiState, Width};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Import {
    function: Function,
    abi: Abi,
}

impl Import {
    pub(super) fn find(namespace: &str, name: &str, ty: &FuncType, width: Width) -> Option<Self> {
        let version = Version::from_module(namespace)?;
        let function = Function::from_name(name)?;
        let returns = usize::from(function.returns_errno());
        let matches = same_types(ty.params(), function.value_types(width))
            && ty.results().len() == returns
            && ty.results().all(|ty| ty.is_i32());
        matches.then_some(Self {
            function,
            abi: Abi { width, version },
        })
    }

    pub(super) async fn run(
        self,
        context: &mut Context<'_>,
        call: &NativeCall<'_>,
        results: &mut [Val],
    ) -> Result<()> {
        let args: smallvec::SmallVec<[u64; 9]> = call.params.iter().map(raw).collect();
        let mut outcome = with_state(context, call.instance, |state, memory| {
            wasi::call(state, memory, self.function, self.abi, &args)
        })?;
        loop {
            let request = match outcome {
                Outcome::Return(_) => {
                    if let (Some(result), Some(errno)) = (results.first_mut(), outcome.errno()) {
                        *result = Val::I32(i32::from(errno));
                    }
                    return Ok(());
                }
                Outcome::Exit(status) => return Err(Error::Exit { status }),
                Outcome::Raise(signal) => return Err(Error::signal(signal)),
                Outcome::Pending(request) => request,
            };
            outcome = match Question::of(&request) {
                None => {
                    frames::yield_slice(context).await?;
                    with_state(context, call.instance, |state, memory| {
                        wasi::complete(state, memory, request, &Answer::Elapsed)
                    })?
                }
                Some(question) => {
                    let reply = frames::ask(context, call.instance, question).await?;
                    with_state(context, call.instance, |state, memory| {
                        wasi::complete(state, memory, request, &reply.as_answer())
                    })?
                }
            };
        }
    }
}

/// Whether a type's parameters are those that a function has.
pub(super) fn same_types(
    actual: impl ExactSizeIterator<Item = ValType>,
    expected: impl ExactSizeIterator<Item = ValueType>,
) -> bool {
    actual.len() == expected.len()
        && actual
            .zip(expected)
            .all(|(actual, expected)| match expected {
                ValueType::I32 => actual.is_i32(),
                ValueType::I64 => actual.is_i64(),
            })
}

/// Runs `run` on the instance's WASI state and its first memory; without one, on no bytes.
pub(super) fn with_state<R>(
    context: &mut Context<'_>,
    instance: usize,
    run: impl FnOnce(&mut WasiState, &mut [u8]) -> R,
) -> Result<R> {
    let (memory, data) = match instances::first_memory(context, instance) {
        Some(memory) => memory.data_and_store_mut(&mut *context),
        None => (&mut [] as &mut [u8], context.data_mut()),
    };
    let state = instances::wasi(data, instance)?;
    Ok(run(state, memory))
}
