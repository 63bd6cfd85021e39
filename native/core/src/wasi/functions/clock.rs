//! `clock_*`.

use super::Call;
use crate::wasi::clock::Reading;
use crate::wasi::errno::{Errno, Result};
use crate::wasi::memory::Guest;
use crate::wasi::outcome::{ClockRequest, ClockResume, Outcome, Request};
use crate::wasi::state::WasiState;
use crate::wasi::types::ClockId;

/// All clocks count nanoseconds.
const RESOLUTION: u64 = 1;

impl Call<'_, '_> {
    pub(super) fn clock_res_get(&mut self, id: u32, pointer: u64) -> Result<()> {
        self.guest.range(pointer, 8)?;
        ClockId::from_guest(id)?;
        self.guest.write(pointer, &RESOLUTION.to_le_bytes())
    }

    pub(super) fn clock_time_get(&mut self, id: u32, pointer: u64) -> Outcome {
        let id = match self
            .guest
            .range(pointer, 8)
            .and_then(|_| ClockId::from_guest(id))
        {
            Ok(id) => id,
            Err(errno) => return Outcome::Return(Err(errno)),
        };
        match self.state.clocks.read(id) {
            Reading::Time(time) => self.guest.write(pointer, &time.to_le_bytes()).into(),
            Reading::Ask => {
                let resume = ClockResume::Write {
                    abi: self.guest.abi,
                    pointer,
                };
                Outcome::Pending(Request::Clock(ClockRequest { id, resume }))
            }
        }
    }
}

pub(super) fn resume_clock(
    state: &mut WasiState,
    memory: &mut [u8],
    request: ClockRequest,
    time: u64,
) -> Outcome {
    let time = state.clocks.told(request.id, time);
    match request.resume {
        ClockResume::Write { abi, pointer } => Guest::new(memory, abi)
            .write(pointer, &time.to_le_bytes())
            .into(),
        ClockResume::Poll {
            invocation,
            mut realtime,
            mut monotonic,
        } => {
            match request.id {
                ClockId::Realtime => realtime = Some(time),
                ClockId::Monotonic => monotonic = Some(time),
                ClockId::ProcessCpuTime | ClockId::ThreadCpuTime => {
                    return Outcome::Return(Err(Errno::Inval));
                }
            }
            let guest = Guest::new(memory, invocation.abi);
            Call {
                state,
                guest,
                invocation: *invocation,
            }
            .poll_at(realtime, monotonic)
        }
    }
}
