//! `poll` and `select`.

use super::{Call, Outcome, done};
use crate::wasi::descriptor::Resource;
use crate::wasi::errno::Result;
use crate::wasi::memory::Guest;
use crate::wasi::types::Rights;
use crate::wasi::{Abi, Answer, Errno, WasiState, Width};

const POLLIN: u16 = 0x01;
const POLLOUT: u16 = 0x04;
const POLLHUP: u16 = 0x10;
const POLLNVAL: u16 = 0x20;

/// Bytes of a `pollfd`.
const POLLFD: u64 = 8;

/// The most descriptors of one call, which bounds its time.
const MAX_POLLED: u64 = 4096;

/// Descriptors in an `fd_set`, and its bytes.
const FD_SETSIZE: i32 = 1024;
const FD_SET: u64 = 128;

/// The guest waits in `poll` or `select`.
#[derive(Debug, PartialEq, Eq)]
pub struct PollRequest {
    /// How long at most, in nanoseconds; for ever if absent.
    pub timeout_ns: Option<u64>,
    /// Whether input on standard input ends the wait too.
    pub stdin: bool,
    width: Width,
    wait: Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Poll { pointer: u64, count: u64 },
    Select { count: i32, sets: [u64; 3] },
}

/// What is ready: how many, and whether standard input was looked for and has nothing yet.
struct Ready {
    count: i32,
    stdin: bool,
}

impl Call<'_, '_> {
    /// What a descriptor is ready for.
    fn readiness(&self, fd: i32) -> u16 {
        let Ok(file) = self.file(fd) else {
            return POLLNVAL;
        };
        match file.resource {
            Resource::Output(_) => POLLOUT,
            Resource::Stdin => match self.state.stdin.available().is_empty() {
                false => POLLIN,
                true if self.state.stdin.announced => POLLIN,
                true if self.state.stdin.live => 0,
                true => POLLIN | POLLHUP,
            },
            Resource::Inode(_) => {
                let mut ready = 0;
                if !file.base.intersects(Rights::FD_WRITE) || file.base.contains(Rights::FD_READ) {
                    ready |= POLLIN;
                }
                if file.base.contains(Rights::FD_WRITE) {
                    ready |= POLLOUT;
                }
                ready
            }
        }
    }

    fn is_waiting_stdin(&self, fd: i32) -> bool {
        let stdin = &self.state.stdin;
        let waiting = stdin.live && stdin.available().is_empty();
        waiting
            && self
                .file(fd)
                .is_ok_and(|file| file.resource == Resource::Stdin)
    }

    pub(super) fn poll(&mut self, pointer: u64, count: u64, timeout_ms: i32) -> Outcome {
        let timeout = u64::try_from(timeout_ms).ok().map(|ms| ms * 1_000_000);
        self.wait(Wait::Poll { pointer, count }, timeout)
    }

    pub(super) fn select(&mut self, count: i32, sets: [u64; 3], timeout: u64) -> Outcome {
        match self.select_timeout(timeout) {
            Ok(timeout) => self.wait(Wait::Select { count, sets }, timeout),
            Err(errno) => done(Err(errno)),
        }
    }

    /// The C library passes two `long`s: seconds and microseconds.
    fn select_timeout(&self, pointer: u64) -> Result<Option<u64>> {
        if pointer == 0 {
            return Ok(None);
        }
        let size = self.guest.size_bytes();
        let seconds = self.guest.read_size(pointer)?;
        let microseconds = self
            .guest
            .read_size(pointer.checked_add(size).ok_or(Errno::Fault)?)?;
        let time = seconds.saturating_mul(1_000_000_000);
        Ok(Some(time.saturating_add(microseconds.saturating_mul(1000))))
    }

    /// Looks what is ready; if nothing is, and there is time, waits for it.
    fn wait(&mut self, wait: Wait, timeout_ns: Option<u64>) -> Outcome {
        let ready = match self.look(wait, false) {
            Ok(ready) => ready,
            Err(errno) => return done(Err(errno)),
        };
        if ready.count > 0 || timeout_ns == Some(0) {
            return self.look(wait, true).map(|ready| ready.count).into();
        }
        if let Some(duration) = timeout_ns
            && !ready.stdin
            && self.state.sleeps_at_once()
        {
            self.state.clocks.sleep(duration);
            return self.look(wait, true).map(|ready| ready.count).into();
        }
        let width = self.guest.abi.width;
        Outcome::Pending(PollRequest {
            timeout_ns,
            stdin: ready.stdin,
            width,
            wait,
        })
    }

    fn look(&mut self, wait: Wait, write: bool) -> Result<Ready> {
        match wait {
            Wait::Poll { pointer, count } => self.look_at_array(pointer, count, write),
            Wait::Select { count, sets } => self.look_at_sets(count, sets, write),
        }
    }

    fn look_at_array(&mut self, pointer: u64, count: u64, write: bool) -> Result<Ready> {
        self.guest.array(pointer, count, POLLFD)?;
        if count > MAX_POLLED {
            return Err(Errno::Inval);
        }
        let mut ready = Ready {
            count: 0,
            stdin: false,
        };
        for index in 0..count {
            let entry = pointer + index * POLLFD;
            let fd = self.guest.read_u32(entry)? as i32;
            let events = self.guest.read_u16(entry + 4)?;
            let always = POLLHUP | POLLNVAL;
            let found = if fd < 0 {
                0
            } else {
                self.readiness(fd) & (events | always)
            };
            ready.count += i32::from(found != 0);
            ready.stdin |= events & POLLIN != 0 && self.is_waiting_stdin(fd);
            if write {
                self.guest.write(entry + 6, &found.to_le_bytes())?;
            }
        }
        Ok(ready)
    }

    fn look_at_sets(&mut self, count: i32, sets: [u64; 3], write: bool) -> Result<Ready> {
        if !(0..=FD_SETSIZE).contains(&count) {
            return Err(Errno::Inval);
        }
        let mut wanted = [[0u8; FD_SET as usize]; 3];
        for (set, pointer) in wanted.iter_mut().zip(sets) {
            if pointer != 0 {
                *set = self.guest.read(pointer)?;
            }
        }
        let mut ready = Ready {
            count: 0,
            stdin: false,
        };
        let mut found = [[0u8; FD_SET as usize]; 3];
        for fd in 0..count {
            let (byte, bit) = (fd as usize / 8, 1u8 << (fd % 8));
            for (index, event) in [POLLIN, POLLOUT, 0].into_iter().enumerate() {
                if wanted[index][byte] & bit == 0 {
                    continue;
                }
                let readiness = self.readiness(fd);
                if readiness == POLLNVAL {
                    return Err(Errno::Badf);
                }
                if readiness & event != 0 {
                    found[index][byte] |= bit;
                    ready.count += 1;
                }
                ready.stdin |= event == POLLIN && self.is_waiting_stdin(fd);
            }
        }
        for (set, pointer) in found.iter().zip(sets) {
            if write && pointer != 0 {
                self.guest.write(pointer, set)?;
            }
        }
        Ok(ready)
    }
}

/// Goes on when the time is over or input has come.
pub(super) fn resume(
    state: &mut WasiState,
    memory: &mut [u8],
    request: PollRequest,
    answer: &Answer<'_>,
) -> Outcome {
    let live = state.stdin.live;
    match (answer, request.timeout_ns) {
        (Answer::Elapsed, Some(elapsed)) => state.clocks.sleep(elapsed),
        (Answer::Readable, _) if request.stdin => state.stdin.announced = true,
        (Answer::Stdin(bytes), _) if request.stdin => {
            state.stdin.push(bytes);
            // No bytes mean the end, for which standard input is ready now.
            state.stdin.live = live && !bytes.is_empty();
        }
        (Answer::Error(errno), _) => return done(Err(*errno)),
        _ => return done(Err(Errno::Io)),
    }
    let guest = Guest::new(memory, Abi::preview1(request.width));
    let looked = Call {
        state: &mut *state,
        guest,
    }
    .look(request.wait, true);
    state.stdin.live = live;
    state.stdin.announced = false;
    looked.map(|ready| ready.count).into()
}
