//! What comes of a call, and what an embedder may be asked for.

use super::abi::{Abi, Function, MAX_PARAMS};
use super::errno::Errno;
use super::types::{ClockId, OutputStream};

/// What comes of a call of the guest.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The function returns: success, or an error.
    Return(Result<(), Errno>),
    /// The guest ends with this status.
    Exit(u32),
    /// The guest sends itself this signal (a number of preview 1), which ends it.
    Raise(u8),
    /// The embedder has to do something first; then [`complete`](super::complete) goes on.
    Pending(Request),
}

impl Outcome {
    /// The number that the guest's call returns, if it returns.
    #[must_use]
    pub fn errno(&self) -> Option<u16> {
        match self {
            Outcome::Return(Ok(())) => Some(0),
            Outcome::Return(Err(errno)) => Some(errno.code()),
            Outcome::Exit(_) | Outcome::Raise(_) | Outcome::Pending(_) => None,
        }
    }
}

impl From<Result<(), Errno>> for Outcome {
    fn from(result: Result<(), Errno>) -> Self {
        Outcome::Return(result)
    }
}

/// A call, to be made again when the embedder has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    pub(crate) function: Function,
    pub(crate) abi: Abi,
    pub(crate) args: [u64; MAX_PARAMS],
}

/// What the embedder is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Wait: answered by [`Answer::Elapsed`] when the time is over, by [`Answer::Stdin`] or
    /// [`Answer::Readable`] when input has come first.
    Wait(WaitRequest),
    /// Supply standard input: answered by [`Answer::Stdin`].
    Stdin(StdinRequest),
    /// Take output: answered by [`Answer::Written`].
    Output(OutputRequest),
    /// Tell the time: answered by [`Answer::Time`].
    Clock(ClockRequest),
    /// Supply random bytes: answered by [`Answer::Random`].
    Random(RandomRequest),
    /// Let others run: answered by [`Answer::Elapsed`]. The guest has asked for it, or a call is
    /// doing so much that it is done in parts.
    Yield(YieldRequest),
}

/// The embedder's answer. Any request may be answered by [`Answer::Error`], which the guest's
/// call then returns; an answer that does not fit its request is taken for `EIO`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The time is over.
    Elapsed,
    /// Bytes of standard input, as many as there are; what is not read now is kept for the next
    /// read. None means the end of the input for now.
    Stdin(&'a [u8]),
    /// There is input, or the end of it, which a read would ask for: only for a wait.
    Readable,
    /// So many bytes of the output were taken.
    Written(u64),
    /// The time in nanoseconds.
    Time(u64),
    /// As many random bytes as were asked for.
    Random(&'a [u8]),
    /// The request failed.
    Error(Errno),
}

/// The guest waits in `poll_oneoff`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitRequest {
    /// How long at most, in nanoseconds; for ever if absent.
    pub timeout_ns: Option<u64>,
    /// Whether input ends the wait too.
    pub stdin: bool,
    pub(crate) resume: WaitResume,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WaitResume {
    pub(crate) invocation: Box<Invocation>,
    pub(crate) realtime: u64,
    pub(crate) monotonic: u64,
}

/// The guest reads standard input, of which nothing has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StdinRequest {
    /// How many bytes it can take.
    pub max_len: u64,
    /// The descriptor is in non-blocking mode: if there is nothing yet, the answer is
    /// `Answer::Error(Errno::Again)`.
    pub nonblocking: bool,
    pub(crate) resume: Box<Invocation>,
}

/// The guest writes to a stream that goes to the embedder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputRequest {
    /// The stream.
    pub stream: OutputStream,
    /// What it writes.
    pub bytes: Vec<u8>,
    pub(crate) abi: Abi,
    pub(crate) result: u64,
}

/// The guest asks for the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockRequest {
    /// Of which clock.
    pub id: ClockId,
    pub(crate) resume: ClockResume,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClockResume {
    /// Write it at a pointer.
    Write { abi: Abi, pointer: u64 },
    /// Go on with a poll for which the other clock may be known already.
    Poll {
        invocation: Box<Invocation>,
        realtime: Option<u64>,
        monotonic: Option<u64>,
    },
}

/// The guest asks for random bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RandomRequest {
    /// How many.
    pub len: usize,
    pub(crate) abi: Abi,
    pub(crate) pointer: u64,
    pub(crate) remaining: u64,
}

/// A call lets others run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YieldRequest {
    pub(crate) resume: YieldResume,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum YieldResume {
    /// The call is done.
    Return,
    /// There are more random bytes to make.
    Random {
        abi: Abi,
        pointer: u64,
        remaining: u64,
    },
    /// There are more bytes to read or to write, behind those that were moved.
    Transfer {
        invocation: Box<Invocation>,
        moved: u64,
    },
    /// There are more entries to list, beyond the cookie, in a buffer of which a part is used.
    Listing {
        invocation: Box<Invocation>,
        used: usize,
        cookie: u64,
    },
}
