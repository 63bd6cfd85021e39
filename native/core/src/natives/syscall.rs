//! The system calls of Emscripten's C library as imports of a guest.

use wasmtime::{FuncType, Val};

use super::wasi::{Passing, with_state};
use super::{NativeCall, Question};
use crate::emscripten::syscalls::{self, Outcome, Syscall};
use crate::error::Result;
use crate::store::{Context, frames};
use crate::wasi::Width;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Import {
    syscall: Syscall,
    passing: Passing,
}

impl Import {
    pub(super) fn find(name: &str, ty: &FuncType, width: Width) -> Option<Self> {
        let syscall = Syscall::from_name(name)?;
        let passing = Passing::find(ty.params(), syscall.value_types(width))?;
        (ty.results().len() == 1 && ty.results().all(|ty| ty.is_i32()))
            .then_some(Self { syscall, passing })
    }

    pub(super) async fn run(
        self,
        context: &mut Context<'_>,
        call: &NativeCall<'_>,
        results: &mut [Val],
    ) -> Result<()> {
        let types = self.syscall.value_types(call.width);
        let args = self.passing.arguments(call.params, types);
        let mut outcome = with_state(context, call.instance, |state, memory| {
            syscalls::call(state, memory, self.syscall, call.width, &args)
        })?;
        loop {
            let request = match outcome {
                Outcome::Return(value) => {
                    if let Some(result) = results.first_mut() {
                        *result = Val::I32(value);
                    }
                    return Ok(());
                }
                Outcome::Pending(request) => request,
            };
            let question = Question::Wait {
                timeout_ns: request.timeout_ns,
                stdin: request.stdin,
            };
            let reply = frames::ask(context, call.instance, question).await?;
            outcome = with_state(context, call.instance, |state, memory| {
                syscalls::complete(state, memory, request, &reply.as_answer())
            })?;
        }
    }
}
