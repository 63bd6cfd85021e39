//! The guest's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::config::ClockSource;
use super::types::ClockId;

/// Where a system's monotonic clock starts: not at zero, which some take for «never».
const MONOTONIC_START: u64 = 1_000_000_000;

/// What a clock shows.
pub(crate) enum Reading {
    Time(u64),
    /// Only the embedder knows.
    Ask,
}

#[derive(Clone, Debug)]
pub(crate) struct Clocks {
    pub(crate) source: ClockSource,
    /// How long the guest has slept by a fixed clock.
    pub(crate) slept: u64,
    /// The last times that the guest was told, which a restored monotonic clock goes on from.
    pub(crate) last_realtime: u64,
    pub(crate) last_monotonic: u64,
    /// Files are not marked with times.
    pub(crate) timeless: bool,
    /// The real moment at which the monotonic clock showed `.1`. Not part of the state: after a
    /// restore the clock goes on from where it was, on whichever machine.
    anchor: Option<(Instant, u64)>,
}

impl Clocks {
    pub(crate) fn new(source: ClockSource) -> Self {
        let (last_realtime, last_monotonic) = match source {
            ClockSource::Fixed(time) => (time, time),
            ClockSource::System => (0, MONOTONIC_START),
            ClockSource::Embedder => (0, 0),
        };
        Clocks {
            source,
            slept: 0,
            last_realtime,
            last_monotonic,
            timeless: false,
            anchor: None,
        }
    }

    /// The time that a clock shows now.
    pub(crate) fn read(&mut self, id: ClockId) -> Reading {
        match (self.source, id) {
            (ClockSource::Embedder, _) => Reading::Ask,
            (ClockSource::Fixed(start), ClockId::Realtime | ClockId::Monotonic) => {
                Reading::Time(start.saturating_add(self.slept))
            }
            (ClockSource::Fixed(_), _) => Reading::Time(self.slept),
            (ClockSource::System, ClockId::Realtime) => Reading::Time(self.system_realtime()),
            (ClockSource::System, ClockId::Monotonic) => Reading::Time(self.system_monotonic()),
            (ClockSource::System, _) => {
                Reading::Time(self.system_monotonic().saturating_sub(MONOTONIC_START))
            }
        }
    }

    /// The time that files are marked with.
    pub(crate) fn timestamp(&mut self) -> u64 {
        match self.source {
            _ if self.timeless => 0,
            ClockSource::System => system_realtime(),
            ClockSource::Fixed(start) => start.saturating_add(self.slept),
            ClockSource::Embedder => self.last_realtime,
        }
    }

    /// Takes the embedder's answer; its monotonic clock cannot go back.
    pub(crate) fn told(&mut self, id: ClockId, time: u64) -> u64 {
        match id {
            ClockId::Realtime => {
                self.last_realtime = time;
                time
            }
            ClockId::Monotonic => {
                self.last_monotonic = self.last_monotonic.max(time);
                self.last_monotonic
            }
            ClockId::ProcessCpuTime | ClockId::ThreadCpuTime => time,
        }
    }

    /// Accounts for a sleep that a fixed clock passes over.
    pub(crate) fn sleep(&mut self, duration: u64) {
        if matches!(self.source, ClockSource::Fixed(_)) {
            self.slept = self.slept.saturating_add(duration);
        }
    }

    fn system_realtime(&mut self) -> u64 {
        self.last_realtime = system_realtime();
        self.last_realtime
    }

    fn system_monotonic(&mut self) -> u64 {
        let (start, base) = *self
            .anchor
            .get_or_insert((Instant::now(), self.last_monotonic));
        let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last_monotonic = base.saturating_add(elapsed);
        self.last_monotonic
    }
}

fn system_realtime() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
        })
}
