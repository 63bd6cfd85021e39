//! `poll_oneoff`.

use super::Call;
use crate::wasi::abi::Version;
use crate::wasi::clock::Reading;
use crate::wasi::descriptor::Resource;
use crate::wasi::errno::{Errno, Result};
use crate::wasi::memory::Guest;
use crate::wasi::outcome::{
    Answer, ClockRequest, ClockResume, Outcome, Request, WaitRequest, WaitResume,
};
use crate::wasi::state::WasiState;
use crate::wasi::types::{ClockId, FileType, Rights};

/// The most subscriptions of one call, which bounds its time.
const MAX_SUBSCRIPTIONS: u64 = 4096;

/// Bytes of an `event`.
const EVENT: u64 = 32;

/// The other end has hung up.
const HANGUP: u16 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum EventType {
    Clock = 0,
    FdRead = 1,
    FdWrite = 2,
}

#[derive(Clone, Copy)]
enum Interest {
    Clock {
        id: Result<ClockId>,
        timeout: u64,
        absolute: bool,
    },
    Read(u32),
    Write(u32),
    /// A tag that does not exist.
    Unknown,
}

struct Subscription {
    userdata: u64,
    interest: Interest,
}

/// Where a subscription stands.
enum Status {
    Ready {
        bytes: u64,
        flags: u16,
    },
    Failed(Errno),
    /// It is ready after so many nanoseconds.
    After(u64),
    /// It is ready when input comes.
    Input,
}

fn subscription_size(version: Version) -> u64 {
    match version {
        Version::Preview1 => 48,
        Version::Unstable => 56,
    }
}

fn read_subscription(guest: &Guest<'_>, pointer: u64) -> Result<Subscription> {
    let userdata = guest.read_u64(pointer)?;
    let [tag] = guest.read(pointer + 8)?;
    // In `wasi_unstable` a clock subscription begins with an identifier of its own.
    let clock = pointer
        + match guest.abi.version {
            Version::Preview1 => 16,
            Version::Unstable => 24,
        };
    let interest = match tag {
        0 => Interest::Clock {
            id: ClockId::from_guest(guest.read_u32(clock)?),
            timeout: guest.read_u64(clock + 8)?,
            absolute: guest.read_u16(clock + 24)? & 1 == 1,
        },
        1 => Interest::Read(guest.read_u32(pointer + 16)?),
        2 => Interest::Write(guest.read_u32(pointer + 16)?),
        _ => Interest::Unknown,
    };
    Ok(Subscription { userdata, interest })
}

impl Interest {
    fn event_type(self) -> EventType {
        match self {
            Interest::Clock { .. } | Interest::Unknown => EventType::Clock,
            Interest::Read(_) => EventType::FdRead,
            Interest::Write(_) => EventType::FdWrite,
        }
    }
}

/// The moment at which a poll began.
#[derive(Clone, Copy)]
struct Start {
    realtime: u64,
    monotonic: u64,
}

impl Call<'_, '_> {
    pub(super) fn poll_oneoff(&mut self) -> Outcome {
        self.poll_at(None, None)
    }

    /// Polls at a moment that is known as far as the embedder has told it.
    pub(super) fn poll_at(&mut self, realtime: Option<u64>, monotonic: Option<u64>) -> Outcome {
        self.try_poll(realtime, monotonic)
            .unwrap_or_else(|errno| Err(errno).into())
    }

    fn subscriptions(&self) -> Result<Vec<Subscription>> {
        let [input, output, count, result, ..] = self.invocation.args;
        let size = subscription_size(self.guest.abi.version);
        self.guest.array(input, count, size)?;
        self.guest.array(output, count, EVENT)?;
        self.guest.check_size(result)?;
        if count == 0 || count > MAX_SUBSCRIPTIONS {
            return Err(Errno::Inval);
        }
        (0..count)
            .map(|index| read_subscription(&self.guest, input + index * size))
            .collect()
    }

    fn try_poll(&mut self, realtime: Option<u64>, monotonic: Option<u64>) -> Result<Outcome> {
        let subscriptions = self.subscriptions()?;
        let needed = |wanted: ClockId| {
            subscriptions
                .iter()
                .any(|subscription| match subscription.interest {
                    Interest::Clock {
                        id: Ok(id),
                        absolute,
                        ..
                    } => absolute && id == wanted,
                    _ => false,
                })
        };
        let mut times = [realtime, monotonic];
        for (time, id) in times
            .iter_mut()
            .zip([ClockId::Realtime, ClockId::Monotonic])
        {
            if time.is_none() && needed(id) {
                match self.state.clocks.read(id) {
                    Reading::Time(now) => *time = Some(now),
                    Reading::Ask => {
                        let invocation = Box::new(self.invocation);
                        let resume = ClockResume::Poll {
                            invocation,
                            realtime,
                            monotonic,
                        };
                        return Ok(Outcome::Pending(Request::Clock(ClockRequest {
                            id,
                            resume,
                        })));
                    }
                }
            }
        }
        let [realtime, monotonic] = times.map(Option::unwrap_or_default);
        self.settle(
            &subscriptions,
            Start {
                realtime,
                monotonic,
            },
        )
    }

    /// Reports what is ready, or waits for what will be first.
    fn settle(&mut self, subscriptions: &[Subscription], start: Start) -> Result<Outcome> {
        let statuses: Vec<_> = subscriptions
            .iter()
            .map(|subscription| self.status(subscription, start))
            .collect();
        let waits = |status: &Status| matches!(status, Status::After(1..) | Status::Input);
        if !statuses.iter().all(waits) {
            return self
                .report(subscriptions, start, 0)
                .map(|()| Outcome::Return(Ok(())));
        }
        let stdin = statuses
            .iter()
            .any(|status| matches!(status, Status::Input));
        let timeout_ns = statuses.iter().filter_map(|status| match status {
            Status::After(duration) => Some(*duration),
            _ => None,
        });
        let timeout_ns = timeout_ns.min();
        match timeout_ns {
            Some(duration) if !stdin && self.state.sleeps_at_once() => {
                self.state.clocks.sleep(duration);
                self.report(subscriptions, start, duration)
                    .map(|()| Outcome::Return(Ok(())))
            }
            _ => {
                let Start {
                    realtime,
                    monotonic,
                } = start;
                let resume = WaitResume {
                    invocation: Box::new(self.invocation),
                    realtime,
                    monotonic,
                };
                Ok(Outcome::Pending(Request::Wait(WaitRequest {
                    timeout_ns,
                    stdin,
                    resume,
                })))
            }
        }
    }

    fn status(&self, subscription: &Subscription, start: Start) -> Status {
        match subscription.interest {
            Interest::Unknown => Status::Failed(Errno::Inval),
            Interest::Clock { id: Err(errno), .. } => Status::Failed(errno),
            Interest::Clock {
                id: Ok(id),
                timeout,
                absolute,
            } => {
                let now = match (absolute, id) {
                    (false, _) => 0,
                    (true, ClockId::Realtime) => start.realtime,
                    (true, ClockId::Monotonic) => start.monotonic,
                    (true, _) => return Status::Failed(Errno::Notsup),
                };
                Status::After(timeout.saturating_sub(now))
            }
            Interest::Read(fd) => self.readable(fd).unwrap_or_else(Status::Failed),
            Interest::Write(fd) => self.writable(fd).unwrap_or_else(Status::Failed),
        }
    }

    fn readable(&self, fd: u32) -> Result<Status> {
        let file = self.file(fd, Rights::POLL_FD_READWRITE)?;
        match file.resource {
            Resource::Output(_) => Err(Errno::Badf),
            Resource::Stdin => Ok(self.state.stdin_status()),
            Resource::Inode(inode) => {
                let len = match self.state.filesystem.file_type(inode)? {
                    FileType::RegularFile => self.state.filesystem.content(inode)?.len(),
                    _ => return Err(Errno::Badf),
                };
                Ok(Status::Ready {
                    bytes: len.saturating_sub(file.offset),
                    flags: 0,
                })
            }
        }
    }

    fn writable(&self, fd: u32) -> Result<Status> {
        let file = self.file(fd, Rights::POLL_FD_READWRITE)?;
        match file.resource {
            Resource::Stdin => Err(Errno::Badf),
            Resource::Output(_) => Ok(Status::Ready { bytes: 0, flags: 0 }),
            Resource::Inode(inode) => match self.state.filesystem.file_type(inode)? {
                FileType::RegularFile => Ok(Status::Ready { bytes: 0, flags: 0 }),
                _ => Err(Errno::Badf),
            },
        }
    }

    /// Writes the events of all that is ready when `elapsed` nanoseconds are over.
    fn report(&mut self, subscriptions: &[Subscription], start: Start, elapsed: u64) -> Result<()> {
        let [_, output, _, result, ..] = self.invocation.args;
        let mut count = 0;
        for subscription in subscriptions {
            let (errno, bytes, flags) = match self.status(subscription, start) {
                Status::Ready { bytes, flags } => (0, bytes, flags),
                Status::Failed(errno) => (errno.code(), 0, 0),
                Status::After(duration) if duration <= elapsed => (0, 0, 0),
                Status::After(_) | Status::Input => continue,
            };
            let mut event = [0; EVENT as usize];
            event[0..8].copy_from_slice(&subscription.userdata.to_le_bytes());
            event[8..10].copy_from_slice(&errno.to_le_bytes());
            event[10] = subscription.interest.event_type() as u8;
            event[16..24].copy_from_slice(&bytes.to_le_bytes());
            event[24..26].copy_from_slice(&flags.to_le_bytes());
            self.guest.write(output + count * EVENT, &event)?;
            count += 1;
        }
        self.guest.write_size(result, count)
    }
}

impl WasiState {
    fn stdin_status(&self) -> Status {
        match self.stdin.available().len() {
            // How many bytes there are only a read will tell.
            0 if self.stdin.announced => Status::Ready { bytes: 1, flags: 0 },
            0 if self.stdin.live => Status::Input,
            0 => Status::Ready {
                bytes: 0,
                flags: HANGUP,
            },
            bytes => Status::Ready {
                bytes: bytes as u64,
                flags: 0,
            },
        }
    }
}

/// Goes on when the time is over or input has come.
pub(super) fn resume_wait(
    state: &mut WasiState,
    memory: &mut [u8],
    request: WaitRequest,
    answer: &Answer<'_>,
) -> Outcome {
    let WaitResume {
        invocation,
        realtime,
        monotonic,
    } = request.resume;
    let start = Start {
        realtime,
        monotonic,
    };
    let live = state.stdin.live;
    let elapsed = match (answer, request.timeout_ns) {
        (Answer::Elapsed, Some(elapsed)) => {
            state.clocks.sleep(elapsed);
            elapsed
        }
        (Answer::Readable, _) if request.stdin => {
            state.stdin.announced = true;
            0
        }
        (Answer::Stdin(bytes), _) if request.stdin => {
            state.stdin.push(bytes);
            // No bytes mean the end: standard input is ready now, with nothing to be read.
            state.stdin.live = live && !bytes.is_empty();
            0
        }
        _ => return Outcome::Return(Err(Errno::Io)),
    };
    let invocation = *invocation;
    let guest = Guest::new(memory, invocation.abi);
    let mut call = Call {
        state: &mut *state,
        guest,
        invocation,
    };
    let reported = call
        .subscriptions()
        .and_then(|subscriptions| call.report(&subscriptions, start, elapsed));
    state.stdin.live = live;
    state.stdin.announced = false;
    reported.into()
}
