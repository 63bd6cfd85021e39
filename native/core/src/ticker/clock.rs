//! Sleeping for a tick, as exactly as the machine can.
//!
//! A thread's ordinary sleep ends up to 50 microseconds late on Linux (its timer slack), which would
//! make the shortest slices half as long again. A timer file has no slack.

use std::thread;
use std::time::Duration;

#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

#[cfg(target_os = "linux")]
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

pub(super) struct Clock {
    /// None where there is no such thing, or no file left for it.
    #[cfg(target_os = "linux")]
    timer: Option<OwnedFd>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            timer: timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).ok(),
        }
    }

    /// Sleeps for `duration`, which is not zero.
    pub(super) fn sleep(&mut self, duration: Duration) {
        #[cfg(target_os = "linux")]
        if let Some(timer) = &self.timer {
            match wait(timer, duration) {
                Ok(()) => return,
                Err(_) => self.timer = None,
            }
        }
        thread::sleep(duration);
    }
}

#[cfg(target_os = "linux")]
fn wait(timer: &OwnedFd, duration: Duration) -> rustix::io::Result<()> {
    let once = Itimerspec {
        it_interval: Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        it_value: Timespec::try_from(duration).map_err(|_| rustix::io::Errno::INVAL)?,
    };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
    let mut expirations = [0; 8];
    rustix::io::retry_on_intr(|| rustix::io::read(timer, &mut expirations))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_sleep_never_ends_early() {
        let mut clock = Clock::new();
        for micros in [1, 100, 1000] {
            let duration = Duration::from_micros(micros);
            let start = Instant::now();
            clock.sleep(duration);
            assert!(start.elapsed() >= duration);
        }
    }
}
