//! WASI preview 1 as imports of a guest.

use smallvec::SmallVec;
use wasmtime::{FuncType, Val, ValType};

use super::{NativeCall, Question, Reply, raw, wasi_host};
use crate::error::{Error, Result};
use crate::store::{Context, frames, instances};
use crate::wasi::{self, Abi, Function, Outcome, ValueType, Version, WasiState, Width};
use crate::wasi_host::Route;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Import {
    pub(super) function: Function,
    pub(super) abi: Abi,
    passing: Passing,
}

/// How 64-bit integers are passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passing {
    /// As they are.
    Whole,
    /// As two 32-bit ones, the lower half first: Emscripten does so where it was not told that
    /// JavaScript has 64-bit integers.
    Halves,
}

impl Import {
    pub(super) fn find(namespace: &str, name: &str, ty: &FuncType, width: Width) -> Option<Self> {
        let version = Version::from_module(namespace)?;
        let function = Function::from_name(name)?;
        let returns = usize::from(function.returns_errno());
        let passing = Passing::find(ty.params(), function.value_types(width))?;
        let matches = ty.results().len() == returns && ty.results().all(|ty| ty.is_i32());
        matches.then_some(Self {
            function,
            abi: Abi { width, version },
            passing,
        })
    }

    pub(super) async fn run(
        self,
        context: &mut Context<'_>,
        call: &NativeCall<'_>,
        results: &mut [Val],
    ) -> Result<()> {
        let types = self.function.value_types(self.abi.width);
        let args = self.passing.arguments(call.params, types);
        let instance = call.instance;
        let code = if instances::is_host(context.data(), instance) {
            // Boxed, to keep the futures of all other worlds small.
            Box::pin(self.run_host(context, instance, &args)).await?
        } else {
            self.run_virtual(context, instance, &args, None).await?
        };
        if let Some(result) = results.first_mut() {
            *result = Val::I32(i32::from(code));
        }
        Ok(())
    }

    /// In a world of the machine: what is not about its files is done as in any other.
    async fn run_host(
        self,
        context: &mut Context<'_>,
        instance: usize,
        args: &[u64],
    ) -> Result<u16> {
        let args = wasi::arguments(self.function, self.abi, args);
        let world = instances::host_world(context.data_mut(), instance);
        match world.map(|world| world.route(self.function, args)) {
            Some(Route::Machine) => wasi_host::run(context, instance, self, &args).await,
            Some(Route::Poll) => wasi_host::poll(context, instance, self, &args).await,
            Some(Route::Inner(args)) => self.run_virtual(context, instance, &args, None).await,
            None => Err(Error::internal("a world that is not the machine's")),
        }
    }

    /// In a virtual world, on the guest's memory or on another; gives the error number.
    pub(super) async fn run_virtual(
        self,
        context: &mut Context<'_>,
        instance: usize,
        args: &[u64],
        mut other: Option<&mut [u8]>,
    ) -> Result<u16> {
        let mut outcome = step(context, instance, other.as_deref_mut(), |state, memory| {
            wasi::call(state, memory, self.function, self.abi, args)
        })?;
        loop {
            let request = match outcome {
                Outcome::Return(Ok(())) => return Ok(0),
                Outcome::Return(Err(errno)) => return Ok(errno.code()),
                Outcome::Exit(status) => return Err(Error::Exit { status }),
                Outcome::Raise(signal) => return Err(Error::signal(signal)),
                Outcome::Pending(request) => request,
            };
            let reply = match Question::of(&request) {
                None => {
                    frames::yield_slice(context).await?;
                    Reply::Elapsed
                }
                Some(question) => frames::ask(context, instance, question).await?,
            };
            outcome = step(context, instance, other.as_deref_mut(), |state, memory| {
                wasi::complete(state, memory, request, &reply.as_answer())
            })?;
        }
    }
}

impl Passing {
    /// How a type's parameters pass those that a function has, if they do.
    pub(super) fn find(
        actual: impl Iterator<Item = ValType>,
        expected: impl Iterator<Item = ValueType>,
    ) -> Option<Self> {
        let is = |actual: &ValType, expected: &ValueType| match expected {
            ValueType::I32 => actual.is_i32(),
            ValueType::I64 => actual.is_i64(),
        };
        let actual: SmallVec<[ValType; 12]> = actual.collect();
        let expected: SmallVec<[ValueType; 9]> = expected.collect();
        let same = |expected: &[ValueType]| {
            actual.len() == expected.len() && actual.iter().zip(expected).all(|(a, e)| is(a, e))
        };
        if same(&expected) {
            return Some(Self::Whole);
        }
        let halves: SmallVec<[ValueType; 12]> = expected
            .iter()
            .flat_map(|ty| match ty {
                ValueType::I32 => &[ValueType::I32] as &[_],
                ValueType::I64 => &[ValueType::I32, ValueType::I32],
            })
            .copied()
            .collect();
        same(&halves).then_some(Self::Halves)
    }

    /// The raw arguments, one for each of the function's parameters.
    pub(super) fn arguments(
        self,
        params: &[Val],
        types: impl Iterator<Item = ValueType>,
    ) -> SmallVec<[u64; 9]> {
        let mut params = params.iter().map(raw);
        match self {
            Self::Whole => params.collect(),
            Self::Halves => types
                .map(|ty| {
                    let low = params.next().unwrap_or_default();
                    match ty {
                        ValueType::I32 => low,
                        ValueType::I64 => low | params.next().unwrap_or_default() << 32,
                    }
                })
                .collect(),
        }
    }
}

fn step<R>(
    context: &mut Context<'_>,
    instance: usize,
    other: Option<&mut [u8]>,
    run: impl FnOnce(&mut WasiState, &mut [u8]) -> R,
) -> Result<R> {
    match other {
        None => with_state(context, instance, run),
        Some(memory) => with_state(context, instance, |state, _| run(state, memory)),
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
