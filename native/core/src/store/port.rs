//! How the outside and the frames of a running guest talk to each other.
//!
//! A store is driven from one place at a time. Whichever frame is on top (the base when nothing
//! runs, a suspended import otherwise) takes the next command and leaves an event for the driver.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use parking_lot::Mutex;

use super::{Answer, Context, ImportCall, Instantiate, Target};
use crate::error::Error;
use crate::natives::{Question, Reply};
use crate::value::Value;

pub(crate) type Visit<'a> = dyn FnMut(&mut Context<'_>) + Send + 'a;

/// What is to be run on the store, once, by the frame on top.
pub(crate) struct Visitor(&'static mut Visit<'static>);

impl Visitor {
    /// # Safety
    /// The visitor must not exist any more when `visit` ends.
    pub(crate) unsafe fn new(visit: &mut Visit<'_>) -> Self {
        // SAFETY: only the lifetimes change, and the caller sees to them.
        Self(unsafe { std::mem::transmute::<&mut Visit<'_>, &'static mut Visit<'static>>(visit) })
    }

    pub(crate) fn run(self, context: &mut Context<'_>) {
        (self.0)(context);
    }
}

pub(crate) enum Command {
    Call {
        target: Target,
        args: Vec<Value>,
        /// What this call may use, where fuel is counted.
        fuel: Option<u64>,
    },
    Instantiate(Box<Instantiate>),
    Visit(Visitor),
    /// The answer to the import on top.
    Return(Vec<Value>),
    /// The import on top is answered by what this library provides under its name.
    Default,
    /// The reply to the question of the frame on top.
    Reply(Reply),
    /// The import on top failed.
    Fail(Box<Error>),
}

pub(crate) enum Event {
    /// Errors are boxed, to keep what is passed on at each call small.
    Done(Result<Answer, Box<Error>>),
    Import(ImportCall),
    Question(Box<(usize, Question)>),
    Visited,
    /// The time slice is used up.
    Yielded,
    /// What comes next may wait for a disk.
    Blocks,
}

#[derive(Default)]
struct Slots {
    command: Option<Command>,
    event: Option<Event>,
    /// Whether the thread that polls now may wait for a disk.
    may_block: bool,
}

/// Both ends hold it; it is locked for a moment only, and never contended, because the frames run
/// only while the driver polls.
#[derive(Clone, Default)]
pub(crate) struct Port(Arc<Mutex<Slots>>);

impl Port {
    pub(crate) fn command(&self, command: Command) {
        self.0.lock().command = Some(command);
    }

    /// Takes a command back that no frame has taken.
    pub(crate) fn withdraw(&self) {
        self.0.lock().command = None;
    }

    pub(crate) fn event(&self, event: Event) {
        self.0.lock().event = Some(event);
    }

    pub(crate) fn take_event(&self) -> Option<Event> {
        self.0.lock().event.take()
    }

    pub(crate) fn set_may_block(&self, may_block: bool) {
        self.0.lock().may_block = may_block;
    }

    pub(crate) fn may_block(&self) -> bool {
        self.0.lock().may_block
    }

    /// Waits for the next command. Nobody needs waking: the driver polls after each command.
    pub(crate) fn next_command(&self) -> impl Future<Output = Command> + Send + '_ {
        poll_fn(|_| self.take_command())
    }

    /// Leaves an event and waits for the next command: there is none before the driver has seen
    /// the event.
    pub(crate) fn exchange(&self, event: Event) -> impl Future<Output = Command> + Send + '_ {
        let mut event = Some(event);
        poll_fn(move |_| match event.take() {
            Some(event) => {
                self.event(event);
                Poll::Pending
            }
            None => self.take_command(),
        })
    }

    fn take_command(&self) -> Poll<Command> {
        self.0
            .lock()
            .command
            .take()
            .map_or(Poll::Pending, Poll::Ready)
    }
}
