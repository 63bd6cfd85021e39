//! Being woken while a guest waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use parking_lot::Mutex;

/// Wakes the driver. While the driver polls, it is enough to tell it to poll once more: that is how
/// wasmtime takes a breath in the middle of a collection of garbage.
pub(super) struct Alarm {
    polling: AtomicBool,
    rang: AtomicBool,
    driver: Mutex<Waker>,
}

impl Alarm {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            polling: AtomicBool::new(false),
            rang: AtomicBool::new(false),
            driver: Mutex::new(Waker::noop().clone()),
        })
    }

    pub(super) fn set_driver(&self, waker: Waker) {
        *self.driver.lock() = waker;
    }

    /// Polls until there is an answer or nothing more can be done for now.
    pub(super) fn poll<R>(&self, mut poll: impl FnMut() -> Option<R>) -> Option<R> {
        loop {
            self.polling.store(true, Ordering::Relaxed);
            if self.rang.load(Ordering::Relaxed) {
                self.rang.store(false, Ordering::Relaxed);
            }
            if let Some(answer) = poll() {
                // What rings now needs nobody: the driver comes back by itself.
                self.polling.store(false, Ordering::Release);
                return Some(answer);
            }
            // Not to be reordered: whoever rings looks at the two the other way round.
            self.polling.store(false, Ordering::SeqCst);
            if !self.rang.load(Ordering::SeqCst) {
                return None;
            }
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rang.store(true, Ordering::SeqCst);
        if !self.polling.load(Ordering::SeqCst) {
            self.driver.lock().wake_by_ref();
        }
    }
}
