//! `proc_raise`, `sched_yield` and `random_get`.

use super::Call;
use crate::wasi::config::RandomSource;
use crate::wasi::errno::{Errno, Result};
use crate::wasi::memory::Guest;
use crate::wasi::outcome::{Outcome, RandomRequest, Request, YieldRequest, YieldResume};
use crate::wasi::state::WasiState;

/// The greatest signal of preview 1 (`SIGSYS`).
const MAX_SIGNAL: u32 = 30;

/// Random bytes that are made at once; between two such pieces others may run.
const RANDOM_PIECE: u64 = 256 * 1024;

/// Random bytes that the embedder is asked for at once.
const RANDOM_REQUEST: u64 = 64 * 1024;

impl Call<'_, '_> {
    pub(super) fn proc_raise(&mut self, signal: u32) -> Outcome {
        match signal {
            0 => Outcome::Return(Ok(())),
            1..=MAX_SIGNAL => Outcome::Raise(signal as u8),
            _ => Outcome::Return(Err(Errno::Inval)),
        }
    }

    pub(super) fn sched_yield(&mut self) -> Outcome {
        Outcome::Pending(Request::Yield(YieldRequest {
            resume: YieldResume::Return,
        }))
    }

    pub(super) fn random_get(&mut self, pointer: u64, len: u64) -> Outcome {
        match self.guest.range(pointer, len) {
            Ok(_) => fill_random(self.state, &mut self.guest, pointer, len),
            Err(errno) => Outcome::Return(Err(errno)),
        }
    }
}

/// Fills a buffer piece by piece.
pub(super) fn fill_random(
    state: &mut WasiState,
    guest: &mut Guest<'_>,
    pointer: u64,
    remaining: u64,
) -> Outcome {
    let abi = guest.abi;
    if remaining == 0 {
        return Outcome::Return(Ok(()));
    }
    if state.random_source() == RandomSource::Embedder {
        let len = remaining.min(RANDOM_REQUEST) as usize;
        let request = RandomRequest {
            len,
            abi,
            pointer,
            remaining,
        };
        return Outcome::Pending(Request::Random(request));
    }
    let len = remaining.min(RANDOM_PIECE);
    let filled = guest.range(pointer, len).and_then(|range| {
        let buffer = guest.slice_mut(range);
        state.random.fill(buffer)
    });
    match filled {
        Err(errno) => Outcome::Return(Err(errno)),
        Ok(_) if len == remaining => Outcome::Return(Ok(())),
        Ok(_) => {
            let (pointer, remaining) = (pointer + len, remaining - len);
            let resume = YieldResume::Random {
                abi,
                pointer,
                remaining,
            };
            Outcome::Pending(Request::Yield(YieldRequest { resume }))
        }
    }
}

pub(super) fn resume_random(
    state: &mut WasiState,
    memory: &mut [u8],
    request: &RandomRequest,
    bytes: &[u8],
) -> Outcome {
    let mut guest = Guest::new(memory, request.abi);
    let written: Result<()> = if bytes.len() == request.len {
        guest.write(request.pointer, bytes)
    } else {
        Err(Errno::Io)
    };
    match written {
        Ok(()) => {
            let len = request.len as u64;
            fill_random(
                state,
                &mut guest,
                request.pointer + len,
                request.remaining - len,
            )
        }
        Err(errno) => Outcome::Return(Err(errno)),
    }
}
