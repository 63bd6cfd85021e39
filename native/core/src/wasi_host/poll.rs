//! `poll_oneoff` where some subscriptions are for files of the machine.
//!
//! The inner world waits for time and for standard input. It is given subscriptions of its own, in
//! a memory of its own. Files are always ready; what the poll waits for besides is then only looked
//! at.

use super::check;
use super::functions::{Failure, preview1};
use super::world::{HostWorld, Machine};
use crate::error::Result;
use crate::wasi::errno::Errno;
use crate::wasi::memory::Guest;
use crate::wasi::{Abi, Function, MAX_PARAMS, Version};

/// The most subscriptions of one call, as in the inner world.
const MAX_SUBSCRIPTIONS: u64 = 4096;

/// Bytes of an `event`.
const EVENT: usize = 32;

const TAG: usize = 8;
const DESCRIPTOR: usize = 16;

const FD_READ: u8 = 1;
const FD_WRITE: u8 = 2;

const DIRECTORY: u8 = 3;
const REGULAR_FILE: u8 = 4;

type Event = [u8; EVENT];

/// A poll, as far as the inner world has not yet answered it.
pub(crate) struct Poll {
    /// The memory that the inner world finds its subscriptions in.
    pub(crate) memory: Vec<u8>,
    /// The arguments that it gets; none if it has nothing to wait for.
    pub(crate) args: Option<[u64; MAX_PARAMS]>,
    events_at: usize,
    result_at: usize,
    /// What the guest calls its subscriptions.
    userdata: Vec<[u8; 8]>,
    ready: Vec<Event>,
    output: u64,
    result: u64,
    abi: Abi,
}

fn subscription_size(version: Version) -> usize {
    match version {
        Version::Preview1 => 48,
        Version::Unstable => 56,
    }
}

impl HostWorld {
    /// Finds out what is ready among the machine's files.
    pub(crate) async fn poll(
        &mut self,
        memory: &mut [u8],
        abi: Abi,
        args: &[u64; MAX_PARAMS],
    ) -> Result<Result<Poll, Errno>> {
        let Some(machine) = &mut self.machine else {
            return Ok(Err(Errno::Badf));
        };
        match machine.poll(&Guest::new(memory, abi), args).await {
            Ok(poll) => Ok(Ok(poll)),
            Err(Failure::Errno(errno)) => Ok(Err(errno)),
            Err(Failure::Code(_)) => Ok(Err(Errno::Io)),
            Err(Failure::Error(error)) => Err(error),
        }
    }
}

impl Machine {
    async fn poll(&mut self, guest: &Guest<'_>, args: &[u64; MAX_PARAMS]) -> Result<Poll, Failure> {
        let [input, output, count, result, ..] = *args;
        let size = subscription_size(guest.abi.version);
        let subscriptions = guest.array(input, count, size as u64)?;
        guest.array(output, count, EVENT as u64)?;
        guest.check_size(result)?;
        if count == 0 || count > MAX_SUBSCRIPTIONS {
            return Err(Errno::Inval.into());
        }
        let mut poll = Poll::new(guest.abi, output, result);
        // What follows may take a while, and must not hold on to the guest's memory.
        let subscriptions = guest.slice(subscriptions).to_vec();
        for subscription in subscriptions.chunks_exact(size) {
            poll.userdata
                .push(subscription.first_chunk().copied().unwrap_or_default());
            let tag = subscription.get(TAG).copied().unwrap_or_default();
            let descriptor = subscription
                .get(DESCRIPTOR..)
                .and_then(|bytes| bytes.first_chunk().copied())
                .map_or(0, u32::from_le_bytes);
            if !matches!(tag, FD_READ | FD_WRITE) {
                poll.subscribe(subscription, None);
            } else if let Some(stream) = self.stream(descriptor) {
                poll.subscribe(subscription, Some(stream));
            } else {
                let (errno, bytes) = match self.file_ready(descriptor, tag).await {
                    Ok(bytes) => (0, bytes),
                    Err(Failure::Errno(errno)) => (errno.code(), 0),
                    Err(Failure::Code(code)) => (code, 0),
                    Err(error) => return Err(error),
                };
                poll.is_ready(errno, tag, bytes);
            }
        }
        poll.finish_subscribing(size);
        Ok(poll)
    }

    /// How many bytes can be read from a file.
    async fn file_ready(&mut self, descriptor: u32, tag: u8) -> Result<u64, Failure> {
        let mut scratch = vec![0; check::filestat(Version::Preview1) as usize];
        let args = [u64::from(descriptor), 0, 0, 0, 0, 0, 0, 0, 0];
        let context = &mut self.context;
        preview1(context, &mut scratch, Function::FdFdstatGet, &args).await?;
        match scratch.first() {
            Some(&DIRECTORY) => return Err(Errno::Badf.into()),
            Some(&REGULAR_FILE) if tag == FD_READ => {}
            Some(&REGULAR_FILE) => return Ok(0),
            // How much there is only a read tells, and it may wait for that.
            _ => return Ok(1),
        }
        preview1(context, &mut scratch, Function::FdFilestatGet, &args).await?;
        let size = word(&scratch, 32);
        preview1(context, &mut scratch, Function::FdTell, &args).await?;
        Ok(size.saturating_sub(word(&scratch, 0)))
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(|bytes| bytes.first_chunk().copied())
        .map_or(0, u64::from_le_bytes)
}

impl Poll {
    fn new(abi: Abi, output: u64, result: u64) -> Self {
        Self {
            memory: Vec::new(),
            args: None,
            events_at: 0,
            result_at: 0,
            userdata: Vec::new(),
            ready: Vec::new(),
            output,
            result,
            abi,
        }
    }

    /// Has the inner world wait for the last of the guest's subscriptions.
    fn subscribe(&mut self, subscription: &[u8], stream: Option<u32>) {
        let start = self.memory.len();
        self.memory.extend_from_slice(subscription);
        let copy = self.memory.get_mut(start..).unwrap_or_default();
        // It is found again by its number.
        let number = (self.userdata.len() - 1) as u64;
        if let Some(userdata) = copy.first_chunk_mut() {
            *userdata = number.to_le_bytes();
        }
        if let (Some(stream), Some(descriptor)) = (stream, copy.get_mut(DESCRIPTOR..DESCRIPTOR + 4))
        {
            descriptor.copy_from_slice(&stream.to_le_bytes());
        }
    }

    fn is_ready(&mut self, errno: u16, tag: u8, bytes: u64) {
        let mut event = [0; EVENT];
        let userdata = self.userdata.last().copied().unwrap_or_default();
        event[..8].copy_from_slice(&userdata);
        event[8..10].copy_from_slice(&errno.to_le_bytes());
        event[10] = tag;
        event[16..24].copy_from_slice(&bytes.to_le_bytes());
        self.ready.push(event);
    }

    fn finish_subscribing(&mut self, size: usize) {
        if self.memory.is_empty() {
            return;
        }
        if !self.ready.is_empty() {
            // A time that is over, so that nothing is waited for.
            let mut over = vec![0; size];
            over[..8].copy_from_slice(&u64::MAX.to_le_bytes());
            // On the monotonic clock.
            let clock = match self.abi.version {
                Version::Preview1 => 16,
                Version::Unstable => 24,
            };
            over[clock] = 1;
            self.memory.extend_from_slice(&over);
        }
        let count = self.memory.len() / size;
        self.events_at = self.memory.len();
        self.result_at = self.events_at + count * EVENT;
        self.memory.resize(self.result_at + 8, 0);
        let [events, result] = [self.events_at, self.result_at].map(|at| at as u64);
        self.args = Some([0, events, count as u64, result, 0, 0, 0, 0, 0]);
    }

    /// Gives the guest its events: those of files, and those that the inner world has reported.
    pub(crate) fn finish(mut self, memory: &mut [u8]) -> Result<(), Errno> {
        if self.args.is_some() {
            let count = word(&self.memory, self.result_at) as u32 as usize;
            let events = self.memory.get(self.events_at..self.result_at);
            for event in events.unwrap_or_default().chunks_exact(EVENT).take(count) {
                let number = usize::try_from(word(event, 0)).ok();
                let userdata = number.and_then(|number| self.userdata.get(number));
                if let (Some(userdata), Some(event)) = (userdata, event.first_chunk::<EVENT>()) {
                    let mut event = *event;
                    event[..8].copy_from_slice(userdata);
                    self.ready.push(event);
                }
            }
        }
        let mut guest = Guest::new(memory, self.abi);
        guest.write(self.output, &self.ready.concat())?;
        guest.write_size(self.result, self.ready.len() as u64)
    }
}
