//! What can go wrong, by class.

use std::fmt;

use wasmtime::{FrameInfo, Trap, WasmBacktrace};

use crate::value::Value;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error as the embedder sees it. Each variant is a class of its own, which the text does not
/// repeat.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no valid WebAssembly module.
    #[error("{message}")]
    InvalidModule {
        message: String,
        /// Where in the binary, if the reader knows.
        offset: Option<u64>,
    },
    /// The module imports something that nobody provides.
    #[error("unknown import {module:?} {name:?} ({kind})")]
    UnknownImport {
        module: String,
        name: String,
        kind: &'static str,
    },
    /// What is provided for an import is not of the type that the module asks for.
    #[error("incompatible import {module:?} {name:?}: {message}")]
    IncompatibleImport {
        module: String,
        name: String,
        message: String,
    },
    /// The instance has no such export, or it is of another kind.
    #[error("no exported {kind} {:?}", beginning(.name))]
    UnknownExport { name: String, kind: &'static str },
    /// The instance has no memory or table with this index.
    #[error("there is no {kind} {index}")]
    UnknownIndex { index: u32, kind: &'static str },
    /// An argument is not what the callee's type asks for.
    #[error("{message}")]
    BadArgument { message: String },
    /// The guest trapped.
    #[error("{}", .0.message)]
    Trap(Box<TrapInfo>),
    /// The guest threw an exception that nothing caught.
    #[error("uncaught exception")]
    Exception(Box<ExceptionInfo>),
    /// The guest asked to end (WASI `proc_exit`).
    #[error("the guest exited with status {status}")]
    Exit { status: u32 },
    /// The embedder's implementation of an import failed; the embedder knows why.
    #[error("an import failed")]
    ImportFailed,
    /// A `longjmp` that no `setjmp` caught.
    #[error("longjmp out of the call")]
    LongJump,
    /// The embedder's implementation of an import gave a reference that is not of the import's
    /// type, or of another store.
    #[error("the function of import {module}.{name} gave a wrong result: {message}")]
    ImportResult {
        module: String,
        name: String,
        message: String,
    },
    /// The fuel is used up.
    #[error("out of fuel")]
    OutOfFuel,
    /// The call was cut short from outside.
    #[error("{0}")]
    Interrupted(Interruption),
    /// A call before this one was cut short, and left its data half changed.
    #[error("an earlier call was cut short ({0}): the instance needs a reset or a snapshot first")]
    CutShort(Interruption),
    /// A limit set by the embedder, or one of the machine, was reached.
    #[error("limit of {limit} {what} exceeded (asked for {requested})")]
    Limit {
        what: &'static str,
        limit: u64,
        requested: u64,
    },
    /// A limit for all instances of this process together was reached.
    #[error("limit of {limit} {what} on this node exceeded (asked for {requested} in all)")]
    NodeLimit {
        what: &'static str,
        limit: u64,
        requested: u64,
    },
    /// An access beyond the end of a memory or table.
    #[error("{offset} + {size} is out of bounds of a {what} of {bound}")]
    OutOfBounds {
        what: &'static str,
        offset: u64,
        size: u64,
        bound: u64,
    },
    /// A snapshot is damaged, or of another module, or of a version that is not known.
    #[error("bad snapshot: {message}")]
    BadSnapshot { message: String },
    /// A precompiled image is damaged, forged, or of another version or configuration.
    #[error("{message}")]
    BadImage { message: String },
    /// The embedder has not allowed this.
    #[error("{message}")]
    NotPermitted { message: String },
    /// The instance's state cannot be taken apart from it.
    #[error("the state cannot be captured: {what}")]
    NotCapturable {
        /// What of it cannot.
        what: String,
    },
    /// The instance no longer exists.
    #[error("the instance is stopped")]
    Stopped,
    /// A fault of this library.
    #[error("{message}")]
    Internal { message: String },
}

/// Who cut a call short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Interruption {
    Cancelled = 1,
    Timeout = 2,
    CallerDied = 3,
    Stopped = 4,
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "cancelled",
            Self::Timeout => "timed out",
            Self::CallerDied => "the calling process died",
            Self::Stopped => "the instance was stopped",
        })
    }
}

#[derive(Debug, Clone)]
pub struct TrapInfo {
    /// A stable name, such as `integer_divide_by_zero`.
    pub code: &'static str,
    pub message: String,
    /// Innermost frame first.
    pub backtrace: Vec<Frame>,
}

#[derive(Debug, Clone)]
pub struct ExceptionInfo {
    /// The values that the exception carries.
    pub values: Vec<Value>,
    pub backtrace: Vec<Frame>,
}

/// A frame of the guest.
#[derive(Debug, Clone)]
pub struct Frame {
    pub function_index: u32,
    /// From the name section, demangled.
    pub function: Option<String>,
    pub module: Option<String>,
    /// Offset in the module's binary as it was compiled.
    pub module_offset: Option<usize>,
    /// Offset in the function's body.
    pub function_offset: Option<usize>,
    /// The source file, where the module has DWARF information.
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
}

impl Error {
    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self::Internal {
            message: message.to_string(),
        }
    }

    pub(crate) fn bad_argument(message: impl Into<String>) -> Self {
        Self::BadArgument {
            message: message.into(),
        }
    }

    /// The guest raised a signal against itself, which ends it.
    pub(crate) fn signal(signal: u8) -> Self {
        Self::Trap(Box::new(TrapInfo {
            code: "signal",
            message: format!("the guest raised signal {signal}"),
            backtrace: Vec::new(),
        }))
    }

    /// A trap raised by this library in the guest's name.
    pub(crate) fn trap(trap: Trap) -> Self {
        Self::Trap(Box::new(TrapInfo {
            code: trap_code(trap),
            message: trap_message(trap),
            backtrace: Vec::new(),
        }))
    }

    /// Reads a failure that came out of wasmtime while running guest code. Our own errors travel
    /// through guest frames as they are. A pending exception is for the caller to take from the
    /// store.
    pub(crate) fn from_wasmtime(error: &wasmtime::Error) -> Self {
        let backtrace = frames(error);
        if let Some(error) = error.downcast_ref::<Self>() {
            return match error.clone() {
                Self::Trap(mut info) => {
                    if info.backtrace.is_empty() {
                        info.backtrace = backtrace;
                    }
                    Self::Trap(info)
                }
                other => other,
            };
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return match trap {
                Trap::OutOfFuel => Self::OutOfFuel,
                Trap::Interrupt => Self::Interrupted(Interruption::Cancelled),
                trap => Self::Trap(Box::new(TrapInfo {
                    code: trap_code(*trap),
                    message: trap_message(*trap),
                    backtrace,
                })),
            };
        }
        if error.is::<wasmtime::ThrownException>() {
            return Self::Exception(Box::new(ExceptionInfo {
                values: Vec::new(),
                backtrace,
            }));
        }
        if error.is::<wasmtime::GcHeapOutOfMemory<()>>() {
            return Self::Limit {
                what: "bytes of GC heap",
                limit: 0,
                requested: 0,
            };
        }
        Self::internal(error.root_cause())
    }
}

fn frames(error: &wasmtime::Error) -> Vec<Frame> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    backtrace.frames().iter().map(describe).collect()
}

fn describe(frame: &FrameInfo) -> Frame {
    // The innermost of the functions that were inlined there.
    let symbol = frame.symbols().first();
    Frame {
        function_index: frame.func_index(),
        function: symbol
            .and_then(|symbol| symbol.name())
            .or(frame.func_name())
            .map(str::to_owned),
        module: frame.module().name().map(str::to_owned),
        module_offset: frame.module_offset(),
        function_offset: frame.func_offset(),
        file: symbol.and_then(|symbol| symbol.file()).map(str::to_owned),
        line: symbol.and_then(|symbol| symbol.line()),
        column: symbol.and_then(|symbol| symbol.column()),
    }
}

/// As much of a text as people read. The embedder may ask for a name of megabytes.
pub(crate) fn beginning(text: &str) -> &str {
    const LEN: usize = 1_000;
    text.get(..text.floor_char_boundary(LEN)).unwrap_or(text)
}

fn trap_message(trap: Trap) -> String {
    let text = trap.to_string();
    text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned()
}

fn trap_code(trap: Trap) -> &'static str {
    match trap {
        Trap::StackOverflow => "stack_overflow",
        Trap::MemoryOutOfBounds => "memory_out_of_bounds",
        Trap::HeapMisaligned => "heap_misaligned",
        Trap::TableOutOfBounds => "table_out_of_bounds",
        Trap::IndirectCallToNull => "indirect_call_to_null",
        Trap::BadSignature => "bad_signature",
        Trap::IntegerOverflow => "integer_overflow",
        Trap::IntegerDivisionByZero => "integer_divide_by_zero",
        Trap::BadConversionToInteger => "bad_conversion_to_integer",
        Trap::UnreachableCodeReached => "unreachable",
        Trap::AtomicWaitNonSharedMemory => "atomic_wait_non_shared_memory",
        Trap::NullReference => "null_reference",
        Trap::ArrayOutOfBounds => "array_out_of_bounds",
        Trap::AllocationTooLarge => "allocation_too_large",
        Trap::CastFailure => "cast_failure",
        Trap::UnhandledTag => "unhandled_tag",
        Trap::ContinuationAlreadyConsumed => "continuation_already_consumed",
        _ => "other",
    }
}
