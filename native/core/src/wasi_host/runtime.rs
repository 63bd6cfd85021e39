//! Where the machine's files are read and written, and how a guest waits for that.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, Result};
use crate::store::InterruptFlag;

static RUNTIME: OnceCell<Runtime> = OnceCell::new();

/// The pool of threads, which is started when the first world needs it.
pub(super) fn handle() -> Result<Handle> {
    let runtime = RUNTIME.get_or_try_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("wasmbeam-host")
            .enable_time()
            .build()
            .map_err(|error| {
                Error::internal(format!("the threads for files cannot be started: {error}"))
            })
    })?;
    Ok(runtime.handle().clone())
}

/// What a wait for the machine needs of a store, without the store itself.
pub(crate) struct Waiting {
    pub(crate) interrupt: InterruptFlag,
    pub(crate) runtime: Handle,
}

impl Waiting {
    /// Waits until the machine is done, or until the call is interrupted: what is then still being
    /// done is left alone.
    pub(crate) async fn wait<F: Future>(&self, future: F) -> Result<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Some(why) = self.interrupt.get() {
                return Poll::Ready(Err(Error::Interrupted(why)));
            }
            let _entered = self.runtime.enter();
            future.as_mut().poll(context).map(Ok)
        })
        .await
    }
}
