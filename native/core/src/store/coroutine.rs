//! Driving a store from outside.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};

use wasmtime::{Store, UpdateDeadline};

use super::alarm::Alarm;
use super::port::{Command, Event, Port, Visitor};
use super::{
    Answer, Context, ImportCall, Instantiate, InterruptFlag, StoreData, StoreId, Target, frames,
    heap, instances,
};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::limits::{Gauge, Limiter, Limits};
use crate::mounts::Tree;
use crate::natives::{Question, Reply};
use crate::node::Taken;
use crate::ticker::{self, Busy};
use crate::value::Value;
use crate::wasi::{WasiState, Width};

/// What a new store starts with.
#[derive(Debug, Clone, Default)]
pub struct StoreConfig {
    pub limits: Limits,
    /// Fuel at the start, where the engine counts it.
    pub fuel: Option<u64>,
}

/// A store with its instances. At most one thread can drive it at a time.
pub struct Coroutine {
    id: StoreId,
    /// None once it has ended, by a panic.
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    port: Port,
    interrupt: InterruptFlag,
    gauge: Arc<Gauge>,
    busy: Option<Busy>,
    alarm: Arc<Alarm>,
    /// Rings the alarm.
    waker: Waker,
    config: StoreConfig,
    /// What was given up for the store that is made in the place of this one.
    given_up: Option<Taken>,
}

/// Why a poll came to an end.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// The last command that is still open is done.
    Done(Result<Answer>),
    /// The guest waits for the embedder's answer to an import.
    Import(ImportCall),
    /// A provided import needs the embedder for something.
    Question { instance: usize, question: Question },
    /// The time slice is used up. Poll again.
    Yielded,
    /// What the guest does next may wait for a disk. Poll again by
    /// [`resume_blocking`](Coroutine::resume_blocking).
    Blocks,
    /// The guest waits for something outside. Poll again when the waker was called.
    Waiting,
}

impl Coroutine {
    /// An empty store.
    ///
    /// # Errors
    /// `Internal` if there is no memory for it.
    pub fn new(engine: &Engine, config: &StoreConfig) -> Result<Self> {
        Self::inherit(engine, config, Taken::default())
    }

    /// As `new`, with what a store has given up whose place this one takes.
    pub(super) fn inherit(engine: &Engine, config: &StoreConfig, taken: Taken) -> Result<Self> {
        let port = Port::default();
        let interrupt = InterruptFlag::default();
        let id = StoreId::next();
        let gauge = Arc::new(Gauge::default());
        let alarm = Alarm::new();
        let data = StoreData {
            id,
            port: port.clone(),
            interrupt: interrupt.clone(),
            limiter: Limiter::new(config.limits, Arc::clone(&gauge), taken),
            instances: Vec::new(),
            depth: 0,
            vals: Vec::new(),
            raws: Vec::new(),
            in_brief: false,
            measured: 0,
            captured: None,
            remembered: Vec::new(),
        };
        let mut store = Store::try_new(engine.inner(), data).map_err(Error::internal)?;
        store.limiter(|data| &mut data.limiter);
        store.epoch_deadline_callback(|mut context| {
            heap::measure(&mut context);
            let data = context.data();
            match data.interrupt.get() {
                Some(why) => Err(Error::Interrupted(why).into()),
                None if data.in_brief => Ok(UpdateDeadline::Continue(1)),
                None => {
                    data.port.event(Event::Yielded);
                    Ok(UpdateDeadline::Yield(1))
                }
            }
        });
        if engine.config().fuel {
            store
                .set_fuel(config.fuel.unwrap_or(u64::MAX))
                .map_err(Error::internal)?;
        }
        Ok(Self {
            id,
            future: Some(Box::pin(frames::base(store, port.clone()))),
            port,
            interrupt,
            gauge,
            busy: None,
            waker: Waker::from(Arc::clone(&alarm)),
            alarm,
            config: config.clone(),
            given_up: None,
        })
    }

    pub(super) fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// What its instances may take.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    #[must_use]
    pub fn id(&self) -> StoreId {
        self.id
    }

    /// To end, from elsewhere, whatever runs here.
    #[must_use]
    pub fn interrupt_flag(&self) -> &InterruptFlag {
        &self.interrupt
    }

    /// How much its instances take, readable at any time.
    #[must_use]
    pub fn gauge(&self) -> &Arc<Gauge> {
        &self.gauge
    }

    /// Has `make` make a store in the place of this one: what this one takes of the
    /// [node's limits](crate::node) is the new one's. If there is none in the end it is what it was.
    ///
    /// # Errors
    /// `Stopped`, and those of `make`.
    pub fn replace(&mut self, make: impl FnOnce(&mut Self) -> Result<Self>) -> Result<Self> {
        self.given_up = Some(self.visit(|context| Ok(context.data_mut().limiter.give_up()))?);
        let made = make(self).and_then(|mut new| {
            new.visit(|context| {
                context.data_mut().limiter.settle();
                Ok(())
            })?;
            Ok(new)
        });
        let unused = self.given_up.take();
        if made.is_err() {
            if let Some(unused) = unused {
                drop(Limiter::new(self.config.limits, Arc::default(), unused));
            }
            self.visit(|context| {
                context.data_mut().limiter.take_again();
                Ok(())
            })?;
        }
        made
    }

    pub(super) fn take_given_up(&mut self) -> Taken {
        self.given_up.take().unwrap_or_default()
    }

    /// The fuel that is left; none if it is not counted.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn fuel(&mut self) -> Result<Option<u64>> {
        self.visit(|context| Ok(context.get_fuel().ok()))
    }

    /// What to call when a guest that waits for something outside can go on.
    pub fn set_waker(&mut self, waker: Waker) {
        self.alarm.set_driver(waker);
    }

    /// Starts a call: from outside, or from within the handler of the import on top. `fuel` is
    /// what it may use of what the store has.
    pub fn call(&mut self, target: Target, args: Vec<Value>, fuel: Option<u64>) -> Step {
        self.command(Command::Call { target, args, fuel })
    }

    /// Makes a new instance in this store, and runs its start function.
    pub fn instantiate(&mut self, request: Instantiate) -> Step {
        self.command(Command::Instantiate(Box::new(request)))
    }

    /// Answers the import on top.
    pub fn import_return(&mut self, results: Vec<Value>) -> Step {
        self.command(Command::Return(results))
    }

    /// Has the import on top answered by what this library provides under its name. `None`, and
    /// nothing happened, if that is nothing.
    pub fn import_default(&mut self) -> Option<Step> {
        match self.command(Command::Default) {
            Step::Done(Err(Error::UnknownImport { .. })) => None,
            step => Some(step),
        }
    }

    /// Answers the question that the guest waits for.
    pub fn reply(&mut self, reply: Reply) -> Step {
        self.command(Command::Reply(reply))
    }

    /// Lets the import on top fail.
    pub fn import_fail(&mut self, error: Error) -> Step {
        self.command(Command::Fail(Box::new(error)))
    }

    /// Goes on where the last poll ended.
    pub fn resume(&mut self) -> Step {
        match self.poll() {
            Some(Event::Done(result)) => {
                // An import's frame beneath may still be suspended, but it is not waiting for a
                // slice.
                self.busy = None;
                Step::Done(result.map_err(|error| *error))
            }
            Some(Event::Import(call)) => {
                self.busy = None;
                Step::Import(call)
            }
            Some(Event::Question(question)) => {
                self.busy = None;
                let (instance, question) = *question;
                Step::Question { instance, question }
            }
            Some(Event::Yielded) => {
                self.busy.get_or_insert_with(Busy::new);
                Step::Yielded
            }
            Some(Event::Blocks) => {
                self.busy = None;
                Step::Blocks
            }
            Some(Event::Visited) => Step::Done(Err(Error::internal("an answer nobody awaits"))),
            None if self.future.is_none() => Step::Done(Err(Error::Stopped)),
            None => {
                self.busy = None;
                Step::Waiting
            }
        }
    }

    /// As [`resume`](Self::resume), on a thread that nobody minds waiting for a disk now and then. No
    /// slice is longer for that, but by what the disk takes.
    pub fn resume_blocking(&mut self) -> Step {
        self.port.set_may_block(true);
        let step = self.resume();
        self.port.set_may_block(false);
        step
    }

    /// Runs `visit` on the store: in the import on top if there is one.
    ///
    /// # Errors
    /// `Stopped` if the store has ended, and what `visit` gives.
    pub fn visit<R, F>(&mut self, visit: F) -> Result<R>
    where
        R: Send,
        F: FnOnce(&mut Context<'_>) -> Result<R> + Send,
    {
        let mut visit = Some(visit);
        let mut answer = None;
        let mut once = |context: &mut Context<'_>| {
            answer = visit.take().map(|visit| visit(context));
        };
        // SAFETY: a frame that takes the visitor runs it at once, without suspending, so that it is
        // gone when the poll ends; what no frame has taken is withdrawn.
        self.port
            .command(Command::Visit(unsafe { Visitor::new(&mut once) }));
        let event = self.poll();
        self.port.withdraw();
        match (event, answer) {
            (Some(Event::Visited), Some(answer)) => answer,
            (Some(_), _) => Err(Error::internal("no frame took the visit")),
            (None, _) => Err(Error::Stopped),
        }
    }

    /// Runs `visit` on the WASI state of an instance.
    ///
    /// # Errors
    /// `Stopped`; `BadArgument` if the instance was given a configuration that cannot be.
    pub fn wasi<R, F>(&mut self, instance: usize, visit: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&mut WasiState) -> R + Send + 'static,
    {
        self.visit(move |context| instances::wasi(context.data_mut(), instance).map(visit))
    }

    /// Puts another WASI state in the place of the instance's; `token` is to take it out again.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn lend_wasi(&mut self, instance: usize, state: WasiState, token: u64) -> Result<()> {
        self.visit(move |context| instances::lend_wasi(context.data_mut(), instance, state, token))
    }

    /// Takes the state out that was put there with this token, even if others came after it; if none
    /// did, the instance then has one as instances have by themselves. None if it is not there.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn return_wasi(&mut self, instance: usize, token: u64) -> Result<Option<WasiState>> {
        self.visit(move |context| instances::return_wasi(context.data_mut(), instance, token))
    }

    /// Runs `visit` on the instance's first memory (no bytes if it has none) and its width, for
    /// functions of WASI on a state that is not the instance's.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn with_memory<R, F>(&mut self, instance: usize, visit: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&mut [u8], Width) -> R + Send + 'static,
    {
        self.visit(move |context| instances::with_memory(context, instance, visit))
    }

    /// As [`wasi`](Self::wasi), for what is about its files.
    ///
    /// # Errors
    /// As `wasi`; `BadArgument` if the instance's files are those of the machine.
    pub fn files<R, F>(&mut self, instance: usize, visit: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&mut WasiState) -> R + Send + 'static,
    {
        self.visit(move |context| {
            if instances::is_host(context.data(), instance) {
                return Err(Error::bad_argument(instances::NOT_VIRTUAL));
            }
            instances::wasi(context.data_mut(), instance).map(visit)
        })
    }

    /// The files of an instance, if it has any of its own.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn tree(&mut self, instance: usize) -> Result<Option<Tree>> {
        self.visit(move |context| {
            let state = instances::wasi_state(context, instance);
            Ok(state.ok().flatten().map(|state| Tree::of(&state)))
        })
    }

    fn command(&mut self, command: Command) -> Step {
        self.port.command(command);
        self.resume()
    }

    fn poll(&mut self) -> Option<Event> {
        let future = self.future.as_mut()?;
        ticker::wake();
        let mut context = task::Context::from_waker(&self.waker);
        let mut ended = false;
        let event = self.alarm.poll(|| {
            let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
            match polled {
                Ok(Poll::Pending) => self.port.take_event(),
                Ok(Poll::Ready(())) | Err(_) => {
                    ended = true;
                    let error = Error::internal("a panic ended the instance");
                    Some(Event::Done(Err(Box::new(error))))
                }
            }
        });
        if ended {
            // A frame panicked: what is left of the store cannot be trusted.
            self.future = None;
        }
        event
    }
}
