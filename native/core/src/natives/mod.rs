//! Imports that this library provides itself: WASI, and what Emscripten's C library expects.

mod emscripten;
mod invoke;
mod question;
mod syscall;
mod wasi;
mod wasi_host;

use wasmtime::{FuncType, Val};

pub use question::{Question, Reply};

use crate::error::Result;
use crate::module::Module;
use crate::store::Context;
use crate::value::Signature;
use crate::wasi::Width;

/// A function that can stand in for an import.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Native {
    Wasi(wasi::Import),
    Emscripten(emscripten::Function),
    Syscall(syscall::Import),
    Invoke,
}

/// A guest's call of such a function.
pub(crate) struct NativeCall<'a> {
    /// The index of the calling instance in its store.
    pub(crate) instance: usize,
    pub(crate) width: Width,
    pub(crate) signature: &'a Signature,
    pub(crate) params: &'a [Val],
}

impl Native {
    /// What this library provides under that name for that type, if anything.
    pub(crate) fn find(
        module: &Module,
        namespace: &str,
        name: &str,
        ty: &FuncType,
    ) -> Option<Self> {
        let width = width(module);
        if let Some(import) = wasi::Import::find(namespace, name, ty, width) {
            return Some(Self::Wasi(import));
        }
        if namespace != "env" {
            return None;
        }
        if name.starts_with("invoke_") && invoke::accepts(ty) {
            return Some(Self::Invoke);
        }
        if let Some(import) = syscall::Import::find(name, ty, width) {
            return Some(Self::Syscall(import));
        }
        emscripten::Function::find(name, ty, width).map(Self::Emscripten)
    }

    /// Whether it works on files that only a virtual world has.
    pub(crate) fn needs_virtual_files(self) -> bool {
        matches!(self, Self::Syscall(_))
    }

    /// Whether it needs the engine, so that no embedder could do it from outside.
    pub(crate) fn needs_engine(self) -> bool {
        match self {
            Self::Invoke => true,
            Self::Emscripten(function) => function.unwinds(),
            Self::Wasi(_) | Self::Syscall(_) => false,
        }
    }

    /// Whose function it is.
    pub(crate) fn provider(self) -> Provider {
        match self {
            Self::Wasi(_) => Provider::Wasi,
            Self::Invoke | Self::Emscripten(_) | Self::Syscall(_) => Provider::Emscripten,
        }
    }

    pub(crate) async fn run(
        self,
        context: &mut Context<'_>,
        call: NativeCall<'_>,
        results: &mut [Val],
    ) -> Result<()> {
        match self {
            Self::Wasi(import) => import.run(context, &call, results).await,
            Self::Emscripten(function) => function.run(context, &call, results).await,
            Self::Syscall(import) => import.run(context, &call, results).await,
            Self::Invoke => invoke::run(context, &call, results).await,
        }
    }
}

/// Where a function that is provided comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    Wasi,
    Emscripten,
}

/// The width of the module's first memory.
pub(crate) fn width(module: &Module) -> Width {
    let is_64 = module
        .first_memory()
        .and_then(|index| module.all_exports().get(index))
        .and_then(|export| export.ty.memory())
        .is_some_and(wasmtime::MemoryType::is_64);
    if is_64 { Width::W64 } else { Width::W32 }
}

/// An integer argument as its bits.
fn raw(val: &Val) -> u64 {
    match val {
        Val::I32(value) => u64::from(value.cast_unsigned()),
        Val::I64(value) => value.cast_unsigned(),
        _ => 0,
    }
}

/// A pointer or a size of that width as a result.
fn sized(width: Width, value: u64) -> Val {
    match width {
        // A 32-bit guest cannot have more.
        Width::W32 => Val::I32((value as u32).cast_signed()),
        Width::W64 => Val::I64(value.cast_signed()),
    }
}
