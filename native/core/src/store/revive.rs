//! Capturing the state of a store's instance, and making stores that go on from it.

use std::sync::Arc;

use super::{Binding, Coroutine, Instantiate, Step, StoreConfig, UnknownImports, Wasi, instances};
use crate::error::{Error, Result};
use crate::module::Module;
use crate::snapshot::format::SnapshotId;
use crate::snapshot::{self, Purpose, State};

/// How a new instance begins.
#[derive(Clone, Default)]
pub enum Begin {
    /// By its start function.
    #[default]
    Start,
    /// With a state; `start` is that of the instance it was taken from, where that is known.
    State {
        state: Arc<State>,
        start: Option<Start>,
        /// The snapshot that the state was read from.
        snapshot: Option<SnapshotId>,
    },
}

/// What an instance is right after its start.
#[derive(Clone)]
pub struct Start {
    pub(super) state: Initial,
    /// What is left of it then, where it is counted.
    pub(super) fuel: Option<u64>,
}

#[derive(Clone)]
pub(super) enum Initial {
    /// What instantiation makes it.
    Fresh,
    State(Arc<State>),
    /// It could not be captured then.
    Unknown(Error),
}

impl From<Result<Arc<State>>> for Initial {
    fn from(captured: Result<Arc<State>>) -> Self {
        match captured {
            Ok(state) => Self::State(state),
            Err(error) => Self::Unknown(error),
        }
    }
}

/// What an instance was made from.
#[derive(Clone)]
pub(super) struct Origin {
    module: Arc<Module>,
    imports: Vec<Binding>,
    unknown_imports: UnknownImports,
    /// As it was given.
    wasi: Wasi,
    pub start: Start,
}

impl Origin {
    pub fn new(request: &Instantiate) -> Self {
        Self {
            module: Arc::clone(&request.module),
            imports: request.imports.clone(),
            unknown_imports: request.unknown_imports,
            wasi: request.wasi.clone(),
            start: Start {
                state: Initial::Fresh,
                fuel: None,
            },
        }
    }
}

impl Coroutine {
    /// The state of an idle instance that is alone in its store.
    ///
    /// # Errors
    /// `NotCapturable` names what cannot be part of it.
    pub fn capture(&mut self, instance: usize) -> Result<Arc<State>> {
        self.capture_for(instance, Purpose::Sharing)
    }

    /// As [`capture`](Self::capture), for the bytes alone: an instance that begins with it may have to
    /// copy what has changed.
    ///
    /// # Errors
    /// As `capture`.
    pub fn capture_to_encode(&mut self, instance: usize) -> Result<Arc<State>> {
        self.capture_for(instance, Purpose::Encoding)
    }

    fn capture_for(&mut self, instance: usize, purpose: Purpose) -> Result<Arc<State>> {
        self.visit(move |context| {
            if context.data().depth > 0 {
                return Err(Error::NotCapturable {
                    what: "calls in progress".into(),
                });
            }
            if let Some(captured) = &context.data().captured
                && (purpose == Purpose::Encoding || captured.is_shared())
            {
                return Ok(Arc::clone(captured));
            }
            let state = Arc::new(snapshot::capture(context, instance, purpose)?);
            context.data_mut().captured = Some(Arc::clone(&state));
            Ok(state)
        })
    }

    /// Whether [`capture`](Self::capture) has nothing to copy.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn is_captured(&mut self) -> Result<bool> {
        self.visit(|context| {
            let captured = context.data().captured.as_ref();
            Ok(captured.is_some_and(|state| state.is_shared()))
        })
    }

    /// Keeps a snapshot's state, so that another can be based on it without reading it.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn remember(&mut self, snapshot: SnapshotId, state: Arc<State>) -> Result<()> {
        self.visit(move |context| {
            context.data_mut().remember(snapshot, state);
            Ok(())
        })
    }

    /// The state of a snapshot, if it is one of the last that this instance made or began with.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn remembered(&mut self, snapshot: SnapshotId) -> Result<Option<Arc<State>>> {
        self.visit(move |context| {
            let known = &context.data().remembered;
            let state = known
                .iter()
                .find(|(id, _)| *id == snapshot)
                .map(|(_, state)| Arc::clone(state));
            if let Some(state) = &state {
                // Others may be based on it, too: it is not to be forgotten next.
                context.data_mut().remember(snapshot, Arc::clone(state));
            }
            Ok(state)
        })
    }

    /// A new store with an instance that has the same imports as this one's, and `state`. Its index
    /// there is `index`, and `snapshot` what the state was read from, if anything.
    ///
    /// # Errors
    /// `BadSnapshot` if the state is not one of an instance of the same module; `Limit`;
    /// `NotCapturable` if this store has several instances.
    pub fn revive(
        &mut self,
        instance: usize,
        index: usize,
        state: Arc<State>,
        snapshot: Option<SnapshotId>,
    ) -> Result<Self> {
        let origin = self.origin(instance)?;
        let begin = Begin::State {
            state,
            start: Some(origin.start.clone()),
            snapshot,
        };
        let fuel = self.fuel()?;
        self.renew(origin, index, begin, fuel)
    }

    /// As [`revive`](Self::revive), with the state and the fuel right after the instance's start.
    ///
    /// # Errors
    /// As `revive`.
    pub fn restart(&mut self, instance: usize, index: usize) -> Result<Self> {
        let origin = self.origin(instance)?;
        let begin = match &origin.start.state {
            // There is no start function, then.
            Initial::Fresh => Begin::Start,
            Initial::State(state) => Begin::State {
                state: Arc::clone(state),
                start: Some(origin.start.clone()),
                snapshot: None,
            },
            Initial::Unknown(error) => return Err(error.clone()),
        };
        let fuel = origin.start.fuel;
        self.renew(origin, index, begin, fuel)
    }

    /// Has [`restart`](Self::restart) give the state that the instance has now.
    ///
    /// # Errors
    /// `Stopped`. A state that cannot be captured is an error of `restart`.
    pub fn mark_start(&mut self, instance: usize) -> Result<()> {
        let captured = self.capture(instance);
        self.visit(move |context| {
            let fuel = context.get_fuel().ok();
            let state = instances::state_mut(context.data_mut(), instance);
            if let Some(origin) = state.and_then(|state| state.origin.as_mut()) {
                origin.start = Start {
                    state: captured.into(),
                    fuel,
                };
            }
            Ok(())
        })
    }

    fn origin(&mut self, instance: usize) -> Result<Origin> {
        self.visit(move |context| {
            if context.data().instance_count() != 1 {
                return Err(Error::NotCapturable {
                    what: "a store with several instances".into(),
                });
            }
            instances::state(context.data(), instance)
                .and_then(|state| state.origin.clone())
                .ok_or(Error::Stopped)
        })
    }

    fn renew(
        &mut self,
        origin: Origin,
        index: usize,
        begin: Begin,
        fuel: Option<u64>,
    ) -> Result<Self> {
        let config = StoreConfig {
            fuel,
            ..self.config().clone()
        };
        let taken = self.take_given_up();
        let mut coroutine = Self::inherit(origin.module.engine(), &config, taken)?;
        let mut step = coroutine.instantiate(Instantiate {
            index,
            module: origin.module,
            imports: origin.imports,
            unknown_imports: origin.unknown_imports,
            wasi: origin.wasi,
            begin,
        });
        loop {
            match step {
                Step::Done(result) => return result.map(|_| coroutine),
                Step::Yielded => step = coroutine.resume(),
                Step::Import(_) | Step::Question { .. } | Step::Blocks | Step::Waiting => {
                    return Err(Error::internal("an instance that waits before it began"));
                }
            }
        }
    }
}
