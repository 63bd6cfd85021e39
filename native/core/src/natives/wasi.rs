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
        let params = function.value_types(width).map(|ty| match ty {
            ValueType::I32 => ValType::I32,
            ValueType::I64 => ValType::I64,
        });
        let returns = if function.returns_errno() { 1 } else { 0 };
        let matches = ty.params().len() == params.len()
            && ty.params().zip(params).all(|(a, b)| ValType::eq(&a, &b))
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
