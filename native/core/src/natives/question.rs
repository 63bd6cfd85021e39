//! What a provided import may need the embedder for.

use crate::wasi::{Answer, ClockId, Errno, OutputStream, Request};

/// What the embedder is asked for, in the guest's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Let the time pass: for so long, or for ever. Input ends it too, if `stdin` is set.
    Wait {
        timeout_ns: Option<u64>,
        stdin: bool,
    },
    /// Supply standard input.
    Stdin { max_len: u64, nonblocking: bool },
    /// Take output.
    Output {
        stream: OutputStream,
        bytes: Vec<u8>,
    },
    /// Tell the time.
    Clock { id: ClockId },
    /// Supply random bytes.
    Random { len: usize },
}

impl Question {
    /// None for a request that needs nobody: the guest lets others run.
    pub(super) fn of(request: &Request) -> Option<Self> {
        Some(match request {
            Request::Wait(wait) => Self::Wait {
                timeout_ns: wait.timeout_ns,
                stdin: wait.stdin,
            },
            Request::Stdin(stdin) => Self::Stdin {
                max_len: stdin.max_len,
                nonblocking: stdin.nonblocking,
            },
            Request::Output(output) => Self::Output {
                stream: output.stream,
                bytes: output.bytes.clone(),
            },
            Request::Clock(clock) => Self::Clock { id: clock.id },
            Request::Random(random) => Self::Random { len: random.len },
            Request::Yield(_) => return None,
        })
    }
}

/// The embedder's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The time is over.
    Elapsed,
    /// Bytes of standard input; none means its end.
    Stdin(Vec<u8>),
    /// There is input that a read would ask for: only for a wait.
    Readable,
    /// So many bytes of output were taken.
    Written(u64),
    /// The time in nanoseconds.
    Time(u64),
    Random(Vec<u8>),
    Error(Errno),
}

impl Reply {
    pub(super) fn as_answer(&self) -> Answer<'_> {
        match self {
            Self::Elapsed => Answer::Elapsed,
            Self::Stdin(bytes) => Answer::Stdin(bytes),
            Self::Readable => Answer::Readable,
            Self::Written(count) => Answer::Written(*count),
            Self::Time(time) => Answer::Time(*time),
            Self::Random(bytes) => Answer::Random(bytes),
            Self::Error(errno) => Answer::Error(*errno),
        }
    }
}
