//! The world of one guest.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::runtime::Handle;
use wasmtime_wasi::p1::WasiP1Ctx;

use super::folder::{self, Folder};
use super::local::Local;
use super::runtime;
use crate::error::{Error, Result};
use crate::wasi::{Function, MAX_PARAMS, WasiState};

/// What a guest is started with.
#[derive(Clone)]
pub struct HostWasi {
    /// Arguments, environment, streams, clocks and random bytes. It has no preopened directories.
    inner: WasiState,
    folders: Arc<[Folder]>,
    /// The most descriptors that are open at a time.
    descriptors: u32,
    /// The folders as they were opened, for the one guest that they are for.
    opened: Arc<Mutex<Option<(WasiP1Ctx, Local)>>>,
}

impl HostWasi {
    /// Opens the folders. May take as long as the machine takes for that.
    ///
    /// # Errors
    /// `BadArgument` names the folder that cannot be opened; `Internal` if no thread can be started.
    pub fn open(inner: WasiState, folders: Vec<Folder>, descriptors: u32) -> Result<Self> {
        let opened = if folders.is_empty() {
            None
        } else {
            runtime::handle()?;
            let mut context = folder::open(&folders)?;
            let local = Local::of(&folders, &mut context);
            Some((context, local))
        };
        Ok(Self {
            inner,
            folders: folders.into(),
            descriptors,
            opened: Arc::new(Mutex::new(opened)),
        })
    }

    /// # Errors
    /// `NotCapturable` if a guest had the folders before: what it did there cannot be undone.
    pub(crate) fn world(&self) -> Result<HostWorld> {
        let mut world = HostWorld {
            inner: self.inner.clone(),
            machine: None,
        };
        if !self.folders.is_empty() {
            let opened = self.opened.lock().take();
            let (context, local) = opened.ok_or_else(|| Error::NotCapturable {
                what: self
                    .folders
                    .first()
                    .map(Folder::describe)
                    .unwrap_or_default(),
            })?;
            let streams: SmallVec<_> = (0..3).map(|fd| (fd, fd)).collect();
            world.machine = Some(Machine {
                context,
                local,
                open: u32::try_from(streams.len() + self.folders.len()).unwrap_or(u32::MAX),
                streams,
                limit: self.descriptors,
                runtime: runtime::handle()?,
                first: self.folders.first().cloned(),
            });
        }
        Ok(world)
    }
}

impl fmt::Debug for HostWasi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostWasi")
            .field("folders", &self.folders)
            .finish_non_exhaustive()
    }
}

/// The world of a guest that runs.
pub(crate) struct HostWorld {
    /// All that is not files, and the standard streams.
    pub(super) inner: WasiState,
    /// None where there are no folders: then there is nothing of the machine to be reached.
    pub(super) machine: Option<Machine>,
}

/// Its files.
pub(super) struct Machine {
    pub(super) context: WasiP1Ctx,
    pub(super) local: Local,
    /// The descriptors that lead to standard streams, each with the one that the stream has in the
    /// inner world.
    pub(super) streams: SmallVec<[(u32, u32); 3]>,
    /// How many descriptors are open.
    pub(super) open: u32,
    pub(super) limit: u32,
    pub(super) runtime: Handle,
    first: Option<Folder>,
}

/// Who does what a guest asks for.
pub(crate) enum Route {
    /// The inner world, with these arguments.
    Inner([u64; MAX_PARAMS]),
    /// The machine.
    Machine,
    /// `poll_oneoff`, which both have a part in.
    Poll,
}

impl HostWorld {
    pub(crate) fn inner(&mut self) -> &mut WasiState {
        &mut self.inner
    }

    /// The state, if nothing of the machine is in it; else what is.
    pub(crate) fn capture(&self) -> Result<WasiState, String> {
        match self
            .machine
            .as_ref()
            .and_then(|machine| machine.first.as_ref())
        {
            None => Ok(self.inner.clone()),
            Some(folder) => Err(folder.describe()),
        }
    }

    /// Takes over a state.
    pub(crate) fn restore(&mut self, state: WasiState) -> Result<()> {
        if self.machine.is_some() {
            return Err(Error::bad_argument(
                "a snapshot's files cannot become those of the machine",
            ));
        }
        self.inner = state;
        Ok(())
    }

    pub(crate) fn runtime(&self) -> Option<Handle> {
        self.machine.as_ref().map(|machine| machine.runtime.clone())
    }

    /// Whether a function that is the machine's is to be [done in place](Self::call_in_place).
    pub(crate) fn is_in_place(&self, function: Function, args: &[u64; MAX_PARAMS]) -> bool {
        let [fd, ..] = *args;
        self.machine
            .as_ref()
            .is_some_and(|machine| machine.local.has(function, fd as u32))
    }

    pub(crate) fn route(&self, function: Function, args: [u64; MAX_PARAMS]) -> Route {
        let Some(machine) = &self.machine else {
            return Route::Inner(args);
        };
        match function {
            Function::PollOneoff => Route::Poll,
            Function::FdClose | Function::FdRenumber => Route::Machine,
            function => match function.descriptor() {
                None => Route::Inner(args),
                Some(place) => {
                    let mut args = args;
                    let fd = args.get(place).copied().unwrap_or_default() as u32;
                    match (machine.stream(fd), args.get_mut(place)) {
                        (Some(inner), Some(fd)) => {
                            *fd = u64::from(inner);
                            Route::Inner(args)
                        }
                        _ => Route::Machine,
                    }
                }
            },
        }
    }
}

impl Machine {
    /// What the standard stream behind a descriptor is in the inner world.
    pub(super) fn stream(&self, fd: u32) -> Option<u32> {
        self.streams
            .iter()
            .find(|(outer, _)| *outer == fd)
            .map(|(_, inner)| *inner)
    }
}
