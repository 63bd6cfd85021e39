//! WASI preview 1 over a virtual filesystem, as a state machine without input and output.
//!
//! [`call`] runs one function of the guest on its memory and on its [`WasiState`], and nearly
//! always the function is then done. What needs the outside (a sleep, input or output that the
//! embedder supplies) comes back as [`Outcome::Pending`] with a [`Request`]; when the embedder
//! has done it, [`complete`] goes on. Nothing here blocks, and nothing of the machine is
//! reachable but, unless configured otherwise, its clocks and random bytes.
//!
//! One implementation serves both widths of memory: see [`Width`].
//!
//! Every step takes bounded time: a path has at most 4095 bytes and passes at most 40 symbolic
//! links, a call has at most 1024 buffers, moves at most 2 GiB, and polls at most 4096
//! subscriptions; what else grows with the filesystem is bounded by its [`Quotas`]. Long transfers,
//! listings and runs of random bytes are made in pieces, with a [`Request::Yield`] between them.

mod abi;
mod clock;
mod codec;
mod config;
pub(crate) mod content;
pub(crate) mod descriptor;
mod embedder;
pub(crate) mod errno;
pub(crate) mod filesystem;
mod functions;
mod litter;
pub(crate) mod memory;
mod node;
mod outcome;
mod plain;
mod random;
mod state;
mod stream;
pub(crate) mod types;

pub(crate) use abi::MAX_PARAMS;
pub use abi::{Abi, Function, Param, ValueType, Version, Width};
pub use codec::DecodeError;
pub use config::{
    ClockSource, ConfigError, DEFAULT_OUTPUT_LIMIT, MAX_BYTES, MAX_DESCRIPTORS, MAX_FILES,
    MAX_STRINGS, OutputSink, Preopen, Quotas, RandomSource, StdinSource, WasiConfig,
};
pub use errno::Errno;
pub use node::{Node, Stat};
pub use outcome::{
    Answer, ClockRequest, Outcome, OutputRequest, RandomRequest, Request, StdinRequest,
    WaitRequest, YieldRequest,
};
pub use plain::{Entry, FileBytes, Listing, OpenDescription, Output, PlainError, Settings};
pub use state::WasiState;
pub use types::{ClockId, FileType, OutputStream};

/// Runs a function of the guest.
///
/// `memory` is the guest's memory, `args` the raw arguments in order, of which the upper half is
/// ignored where a parameter is 32 bits wide.
pub fn call(
    state: &mut WasiState,
    memory: &mut [u8],
    function: Function,
    abi: Abi,
    args: &[u64],
) -> Outcome {
    let invocation = functions::invocation(function, abi, args);
    let guest = memory::Guest::new(memory, abi);
    functions::Call {
        state,
        guest,
        invocation,
    }
    .run()
}

/// The arguments of a function, of which missing ones are zero, as wide as its parameters.
pub(crate) fn arguments(function: Function, abi: Abi, args: &[u64]) -> [u64; MAX_PARAMS] {
    functions::invocation(function, abi, args).args
}

/// Goes on with a call that was pending, with the embedder's answer to its request.
///
/// `memory` is the guest's memory as it is now: it may have grown, moved or changed meanwhile.
pub fn complete(
    state: &mut WasiState,
    memory: &mut [u8],
    request: Request,
    answer: &Answer<'_>,
) -> Outcome {
    functions::complete(state, memory, request, answer)
}
