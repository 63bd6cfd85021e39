//! Who may drive a store, and when.
//!
//! One process at a time has calls open in a store; the others wait in line and are told by a
//! message when it is their turn. Reading and writing memory and the like takes a moment only: it
//! is done at once while nothing runs or while the guest waits in an import, by any process.
//!
//! Lock order: whoever holds `coroutine` may wait for `control`. Whoever holds `control` may only try
//! `coroutine`, and no scheduler ever waits for that: it is held for a whole time slice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rustler::{Atom, Env, LocalPid, Monitor, OwnedEnv, ResourceArc};
use wasmbeam_core::store::{Answer, Coroutine, ImportCall, InterruptFlag, Step};
use wasmbeam_core::{Error, Gauge, Interruption, Limits, Module, Question};

use crate::bell::Bell;
use crate::instance::{InstanceRes, Watch};
use crate::ledger::{self, Entered, Totals};
use crate::line::Line;
use crate::mirrors::Mirrors;
use crate::reaper;
use crate::term::{SavedTerms, free_dropped};
use crate::{atoms, tickets};

pub struct SharedStore {
    control: Mutex<Control>,
    coroutine: Mutex<Option<Coroutine>>,
    /// Rings when a guest that waits for the machine can go on.
    bell: Arc<Bell>,
    /// Folders of the machine that follow the guests' trees.
    mirrors: Mirrors,
    limits: Limits,
    /// Changed under the lock of `control` alone.
    tally: Entered,
    /// Whether a store whose call was cut short can be used further.
    usable_after_interrupt: bool,
}

struct Control {
    /// Those of the coroutine, which may be replaced.
    interrupt: InterruptFlag,
    gauge: Arc<Gauge>,
    holder: Holder,
    line: Line,
    interrupted: Option<Interruption>,
    /// A time slice has taken far too long.
    overran: bool,
    stopped: bool,
    instances: Vec<InstanceEntry>,
    watchers: Vec<Watcher>,
}

/// A process that wants to know when an instance can no longer be called.
struct Watcher {
    instance: usize,
    pid: LocalPid,
    ticket: u64,
}

struct InstanceEntry {
    module: Arc<Module>,
    /// The embedder's implementations, one for each of the module's imports. None once the store is
    /// freed: they may have handles of this very store, which would keep it for ever.
    imports: Option<Arc<SavedTerms>>,
    stopped: bool,
}

enum Holder {
    Nobody,
    /// It is this process's turn.
    Offered(Waiter),
    Caller(Calls),
    /// The calls of a dead process are being unwound.
    Reaper(Calls),
}

#[derive(Clone, Copy)]
struct Calls {
    pid: LocalPid,
    /// One within the other.
    open: u32,
    /// The instance that the outermost was made through.
    instance: usize,
    phase: Phase,
    /// To tell the process that need not wait any longer.
    waits_for: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Polling,
    AtImport,
    Yielded,
    /// For the machine.
    Waiting,
}

pub struct Waiter {
    pub pid: LocalPid,
    pub ticket: u64,
    /// On the handle that it came through. No reference to that: dropping one may come back here.
    monitor: Monitor,
    pub handle: HandleId,
}

/// Tells the handles of this VM's instances apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HandleId(u64);

impl HandleId {
    pub fn next() -> Self {
        Self(tickets::next())
    }

    pub fn number(self) -> u64 {
        self.0
    }
}

/// What a process is told that asked to drive a store.
pub enum Refusal {
    /// Wait for the message with this ticket, then ask again.
    Queued(u64),
    /// Somebody is at it for a moment: ask again.
    Again,
    /// It may take long: ask again on a dirty scheduler.
    Later,
    Error(Error),
}

/// A heap of objects that is larger may take more than a few milliseconds to be collected or moved.
const LARGE_HEAP: u64 = 1 << 20;
/// Time slices end long before.
const OVERRUN: Duration = Duration::from_millis(5);

fn is_normal_scheduler() -> bool {
    const NORMAL_SCHEDULER: i32 = 1;
    // SAFETY: it reads what the current thread is, and can be called on any.
    unsafe { rustler::sys::enif_thread_type() == NORMAL_SCHEDULER }
}

/// Where a process's calls stand after a poll.
pub enum Outcome {
    Done(Result<Answer, Error>),
    Import(ImportCall),
    /// With a ticket for the message that ends the wait early.
    Question {
        ticket: u64,
        question: Question,
        /// Which of the store's instances asks.
        instance: usize,
    },
    Yielded,
    /// To be resumed on a dirty scheduler.
    Blocks,
    /// The guest waits for the machine. With a ticket for the message that says when to come back.
    Waiting {
        ticket: u64,
    },
}

/// A store as seen from outside.
pub struct Status {
    pub state: State,
    pub totals: Totals,
    pub memory_bytes: u64,
    pub table_elements: u64,
    pub queue_length: usize,
}

pub enum State {
    Idle,
    Running,
    Suspended,
    Interrupted,
    Stopped,
}

impl SharedStore {
    pub fn new(mut coroutine: Coroutine, usable_after_interrupt: bool) -> Arc<Self> {
        let bell = Arc::new(Bell::default());
        coroutine.set_waker(bell.waker());
        Arc::new(Self {
            bell,
            mirrors: Mirrors::default(),
            control: Mutex::new(Control {
                interrupt: coroutine.interrupt_flag().clone(),
                gauge: Arc::clone(coroutine.gauge()),
                holder: Holder::Nobody,
                line: Line::default(),
                interrupted: None,
                overran: false,
                stopped: false,
                instances: Vec::new(),
                watchers: Vec::new(),
            }),
            limits: *coroutine.limits(),
            tally: Entered::new(),
            coroutine: Mutex::new(Some(coroutine)),
            usable_after_interrupt,
        })
    }

    /// So many processes can be told something in the time that a scheduler may be kept.
    const TOLD_AT_ONCE: usize = 1000;

    pub fn mirrors(&self) -> &Mirrors {
        &self.mirrors
    }

    /// What all instances together may take.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether a store whose call was cut short can be used further.
    pub fn usable_after_interrupt(&self) -> bool {
        self.usable_after_interrupt
    }

    /// Makes room for an instance, and gives the index that it has here and in the core.
    pub fn add_instance(&self, module: Arc<Module>, imports: Arc<SavedTerms>) -> usize {
        let mut control = self.control.lock();
        ledger::count_started();
        control.instances.push(InstanceEntry {
            module,
            imports: Some(imports),
            stopped: false,
        });
        control.instances.len() - 1
    }

    /// An instance's module, and the embedder's implementations of its imports. None if the store is
    /// freed.
    pub fn instance(&self, index: usize) -> Option<(Arc<Module>, Arc<SavedTerms>)> {
        let control = self.control.lock();
        let entry = control.instances.get(index)?;
        Some((Arc::clone(&entry.module), entry.imports.clone()?))
    }

    pub fn status(&self, instance: usize) -> Status {
        let control = self.control.lock();
        let stopped = control.stopped || control.is_stopped(instance);
        Status {
            state: match &control.holder {
                _ if stopped => State::Stopped,
                _ if control.interrupted.is_some() => State::Interrupted,
                Holder::Nobody | Holder::Offered(_) => State::Idle,
                Holder::Caller(calls) if calls.phase == Phase::AtImport => State::Suspended,
                Holder::Caller(_) | Holder::Reaper(_) => State::Running,
            },
            totals: Totals::of(&self.tally),
            memory_bytes: if stopped { 0 } else { control.gauge.memory() },
            table_elements: if stopped {
                0
            } else {
                control.gauge.table_elements()
            },
            queue_length: control.line.len(),
        }
    }

    /// Begins a call, from outside or from within an import's handler, and polls for the first
    /// time.
    pub fn call(
        self: &Arc<Self>,
        env: Env<'_>,
        instance: &ResourceArc<InstanceRes>,
        entry: Entry,
        begin: impl FnOnce(&mut Coroutine) -> Step,
    ) -> Result<Outcome, Refusal> {
        let pid = env.pid();
        let mut control = self.control.lock();
        if let Err(refusal) = control.check_usable(instance.index) {
            control.decline(env, instance);
            return Err(refusal);
        }
        let (open, outermost) = match &control.holder {
            Holder::Nobody => (0, instance.index),
            Holder::Offered(waiter) if waiter.pid == pid => (0, instance.index),
            Holder::Caller(calls) if calls.pid == pid && calls.phase == Phase::AtImport => {
                (calls.open, calls.instance)
            }
            _ => return Err(control.enqueue(env, pid, instance)),
        };
        control.check_time()?;
        let coroutine = self.coroutine.try_lock().ok_or(Refusal::Again)?;
        if let Holder::Offered(waiter) = std::mem::replace(
            &mut control.holder,
            Holder::Caller(Calls {
                pid,
                open: open + 1,
                instance: outermost,
                phase: Phase::Polling,
                waits_for: None,
            }),
        ) {
            waiter.unwatch(env, instance);
        }
        if entry == Entry::Call {
            self.tally.calls.add(1);
        }
        drop(control);
        Ok(self.poll(env, instance, coroutine, begin))
    }

    /// Answers the import that the process's call is suspended in, or gives the guest its next
    /// time slice.
    pub fn proceed(
        self: &Arc<Self>,
        env: Env<'_>,
        instance: &ResourceArc<InstanceRes>,
        from: Suspension,
        step: impl FnOnce(&mut Coroutine) -> Step,
    ) -> Result<Outcome, Refusal> {
        let pid = env.pid();
        let mut control = self.control.lock();
        if control.stopped {
            return Err(Refusal::Error(Error::Stopped));
        }
        let awaits = |phase| match from {
            Suspension::Import | Suspension::Default => phase == Phase::AtImport,
            Suspension::Slice => matches!(phase, Phase::Yielded | Phase::Waiting),
        };
        let time = control.check_time();
        match &mut control.holder {
            Holder::Caller(calls) if calls.pid == pid && awaits(calls.phase) => {
                time?;
                let coroutine = self.coroutine.try_lock().ok_or(Refusal::Again)?;
                calls.phase = Phase::Polling;
                calls.waits_for = None;
                if from == Suspension::Import {
                    self.tally.imports.add(1);
                }
                drop(control);
                Ok(self.poll(env, instance, coroutine, step))
            }
            _ => Err(Refusal::Error(Error::Internal {
                message: "no call of this process is waiting for that".into(),
            })),
        }
    }

    /// Answers the import that the process's call is suspended in by what the library provides.
    /// `None`, and the import waits further, if that is nothing.
    pub fn import_default(
        self: &Arc<Self>,
        env: Env<'_>,
        instance: &ResourceArc<InstanceRes>,
    ) -> Result<Option<Outcome>, Refusal> {
        let mut known = true;
        let outcome = self.proceed(env, instance, Suspension::Default, |coroutine| {
            coroutine.import_default().unwrap_or_else(|| {
                known = false;
                // Nothing happened: the guest still waits, in the same import.
                Step::Import(ImportCall {
                    instance: instance.index,
                    import: 0,
                    args: Vec::new(),
                })
            })
        })?;
        if !known {
            return Ok(None);
        }
        let _control = self.control.lock();
        self.tally.imports.add(1);
        Ok(Some(outcome))
    }

    /// Does something that takes a moment, while no guest code runs.
    pub fn visit<R>(
        &self,
        env: Env<'_>,
        instance: &ResourceArc<InstanceRes>,
        visit: impl FnOnce(&mut Coroutine) -> Result<R, Error>,
    ) -> Result<R, Refusal> {
        self.look(env, instance, visit, Turn::Over)
    }

    /// As `visit`, but the process keeps the turn that it was offered, to be taken by `call` or
    /// given up by `decline`.
    pub fn peek<R>(
        &self,
        env: Env<'_>,
        instance: &ResourceArc<InstanceRes>,
        visit: impl FnOnce(&mut Coroutine) -> Result<R, Error>,
    ) -> Result<R, Refusal> {
        self.look(env, instance, visit, Turn::Kept)
    }

    fn look<R>(
        &self,
        env: Env<'_>,
        instance: &ResourceArc<InstanceRes>,
        visit: impl FnOnce(&mut Coroutine) -> Result<R, Error>,
        turn: Turn,
    ) -> Result<R, Refusal> {
        let pid = env.pid();
        let mut control = self.control.lock();
        if control.stopped || control.is_stopped(instance.index) {
            if turn == Turn::Over {
                control.decline(env, instance);
            }
            return Err(Refusal::Error(Error::Stopped));
        }
        match &control.holder {
            Holder::Nobody => {}
            Holder::Offered(waiter) if waiter.pid == pid => {}
            Holder::Caller(calls) if calls.phase == Phase::AtImport => {}
            _ => return Err(control.enqueue(env, pid, instance)),
        }
        let mut guard = self.coroutine.try_lock().ok_or(Refusal::Again)?;
        drop(control);
        let result = match guard.as_mut() {
            Some(coroutine) => visit(coroutine),
            None => Err(Error::Stopped),
        };
        drop(guard);
        let mut control = self.control.lock();
        if turn == Turn::Over {
            control.decline(env, instance);
        }
        let stopped = control.stopped;
        drop(control);
        if stopped {
            self.reap();
        }
        result.map_err(Refusal::Error)
    }

    /// Lets the next in line have the turn that the process was offered, if it was.
    pub fn decline(&self, env: Env<'_>, instance: &ResourceArc<InstanceRes>) {
        self.control.lock().decline(env, instance);
    }

    /// Whether the process has calls open.
    pub fn is_caller(&self, pid: LocalPid) -> bool {
        matches!(&self.control.lock().holder, Holder::Caller(calls) if calls.pid == pid)
    }

    /// Does something that takes long with a store in which no call is open, and lets nobody else
    /// in meanwhile. To be called on a dirty scheduler.
    pub fn hold<R>(
        &self,
        env: Env<'_>,
        instance: &ResourceArc<InstanceRes>,
        run: impl FnOnce(&mut Coroutine) -> Result<R, Error>,
    ) -> Result<R, Refusal> {
        let mut guard = self.take_hold(env, instance)?;
        let result = match guard.as_mut() {
            Some(coroutine) => run(coroutine),
            None => Err(Error::Stopped),
        };
        drop(guard);
        self.release(env);
        result.map_err(Refusal::Error)
    }

    /// As [`hold`](Self::hold), and what `run` makes takes the store's place. If it fails nothing
    /// has changed.
    pub fn replace(
        &self,
        env: Env<'_>,
        instance: &ResourceArc<InstanceRes>,
        run: impl FnOnce(&mut Coroutine) -> Result<Coroutine, Error>,
    ) -> Result<(), Refusal> {
        let mut guard = self.take_hold(env, instance)?;
        let result = match guard.as_mut() {
            Some(coroutine) => coroutine.replace(run),
            None => Err(Error::Stopped),
        };
        let result = result.map(|mut new| {
            new.set_waker(self.bell.waker());
            let mut control = self.control.lock();
            control.interrupt = new.interrupt_flag().clone();
            control.gauge = Arc::clone(new.gauge());
            control.interrupted = None;
            if control.stopped {
                control.interrupt.set(Interruption::Stopped);
            }
            drop(control);
            if let Some(old) = guard.replace(new) {
                reaper::free(old);
            }
        });
        drop(guard);
        self.release(env);
        result.map_err(Refusal::Error)
    }

    fn take_hold(
        &self,
        env: Env<'_>,
        instance: &ResourceArc<InstanceRes>,
    ) -> Result<MutexGuard<'_, Option<Coroutine>>, Refusal> {
        let pid = env.pid();
        let mut control = self.control.lock();
        if control.stopped || control.is_stopped(instance.index) {
            control.decline(env, instance);
            return Err(Refusal::Error(Error::Stopped));
        }
        match &control.holder {
            Holder::Nobody => {}
            Holder::Offered(waiter) if waiter.pid == pid => {}
            Holder::Caller(calls) if calls.pid == pid => {
                return Err(Refusal::Error(Error::NotCapturable {
                    what: "calls in progress".into(),
                }));
            }
            _ => return Err(control.enqueue(env, pid, instance)),
        }
        let guard = self.coroutine.try_lock().ok_or(Refusal::Again)?;
        let held = Holder::Caller(Calls {
            pid,
            open: 1,
            instance: instance.index,
            phase: Phase::Polling,
            waits_for: None,
        });
        if let Holder::Offered(waiter) = std::mem::replace(&mut control.holder, held) {
            waiter.unwatch(env, instance);
        }
        Ok(guard)
    }

    fn release(&self, env: Env<'_>) {
        let mut control = self.control.lock();
        if !control.stopped {
            // Whoever cancelled what ran meant a call.
            control.interrupt.clear();
        }
        control.next(Some(env));
        drop(control);
        self.reap_if_stopped();
    }

    /// What cut the store's last call short, if that makes it unusable: then the process has no use
    /// for a turn that it was offered.
    pub fn check_usable(
        &self,
        env: Env<'_>,
        instance: &ResourceArc<InstanceRes>,
    ) -> Result<(), Refusal> {
        let mut control = self.control.lock();
        control
            .check_usable(instance.index)
            .inspect_err(|_| control.decline(env, instance))
    }

    /// The fuel that is left, if it is counted and nothing runs.
    pub fn fuel(&self) -> Option<u64> {
        let control = self.control.lock();
        match &control.holder {
            Holder::Nobody | Holder::Offered(_) => {}
            Holder::Caller(calls) if calls.phase == Phase::AtImport => {}
            _ => return None,
        }
        let mut guard = self.coroutine.try_lock()?;
        drop(control);
        let fuel = guard.as_mut().and_then(|coroutine| coroutine.fuel().ok());
        drop(guard);
        self.reap_if_stopped();
        fuel?
    }

    fn poll(
        self: &Arc<Self>,
        env: Env<'_>,
        instance: &ResourceArc<InstanceRes>,
        mut coroutine: MutexGuard<'_, Option<Coroutine>>,
        step: impl FnOnce(&mut Coroutine) -> Step,
    ) -> Outcome {
        self.bell.silence();
        let started = Instant::now();
        let step = match coroutine.as_mut() {
            Some(coroutine) => step(coroutine),
            None => Step::Done(Err(Error::Stopped)),
        };
        let took = started.elapsed();
        if matches!(step, Step::Done(_))
            && !self.mirrors.is_empty()
            && let Some(coroutine) = coroutine.as_mut()
        {
            self.mirrors.note(coroutine);
        }
        drop(coroutine);
        free_dropped();
        let mut control = self.control.lock();
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.tally.run_time_ns.add(ns);
        control.overran |= took > OVERRUN;
        let outcome = match step {
            Step::Done(result) => {
                if let Err(Error::Trap(_) | Error::LongJump) = result {
                    self.tally.traps.add(1);
                }
                control.close(self, Some(env), &result);
                Outcome::Done(result)
            }
            Step::Import(call) => {
                control.suspend(Phase::AtImport);
                Outcome::Import(call)
            }
            Step::Question { question, instance } => {
                let ticket = tickets::next();
                control.suspend(Phase::AtImport);
                if let Holder::Caller(calls) = &mut control.holder {
                    calls.waits_for = Some(ticket);
                }
                Outcome::Question {
                    ticket,
                    question,
                    instance,
                }
            }
            Step::Yielded => {
                self.tally.yields.add(1);
                control.suspend(Phase::Yielded);
                Outcome::Yielded
            }
            Step::Blocks => {
                control.suspend(Phase::Yielded);
                Outcome::Blocks
            }
            Step::Waiting => {
                control.suspend(Phase::Waiting);
                let ticket = tickets::next();
                if self.bell.arm(env.pid(), ticket) {
                    Outcome::Waiting { ticket }
                } else {
                    // It can go on by now.
                    Outcome::Yielded
                }
            }
        };
        let stopped = control.stopped;
        drop(control);
        if stopped {
            self.reap();
        }
        if !matches!(outcome, Outcome::Done(_)) && !instance.watch(env, env.pid()) {
            // Killed while it was in here: nobody will ask for more.
            self.process_died(env, env.pid());
        }
        outcome
    }

    /// Asks what runs to end. Nothing happens if nothing runs.
    pub fn interrupt(&self, env: Env<'_>, why: Interruption) {
        let control = self.control.lock();
        if let Holder::Caller(calls) = &control.holder {
            control.interrupt.set(why);
            calls.wake(Some(env));
            self.bell.ring(Some(env));
        }
    }

    /// Makes a store usable again whose call was cut short.
    pub fn clear_interrupted(&self) {
        self.control.lock().interrupted = None;
    }

    /// The process is told, once, when the instance is stopped or interrupted: by a message with
    /// the ticket.
    pub fn watch(&self, instance: usize, pid: LocalPid) -> Result<u64, Error> {
        let mut control = self.control.lock();
        match control.check_usable(instance) {
            Err(Refusal::Error(error)) => Err(error),
            _ => {
                let ticket = tickets::next();
                control.watchers.push(Watcher {
                    instance,
                    pid,
                    ticket,
                });
                Ok(ticket)
            }
        }
    }

    /// Gives up a place in the line, or the turn if it has come.
    pub fn leave_line(&self, env: Env<'_>, instance: &ResourceArc<InstanceRes>, ticket: u64) {
        let mut control = self.control.lock();
        if let Some(waiter) = control.line.leave(ticket) {
            waiter.unwatch(env, instance);
        } else if let Holder::Offered(waiter) = &control.holder
            && waiter.ticket == ticket
        {
            waiter.unwatch(env, instance);
            control.next(Some(env));
        }
    }

    /// Ends an instance; with its last one, the store.
    pub fn stop(&self, env: Option<Env<'_>>, instance: usize) -> bool {
        {
            let mut control = self.control.lock();
            match control.instances.get_mut(instance) {
                Some(entry) if !entry.stopped => entry.stopped = true,
                _ => return false,
            }
            ledger::count_stopped();
            control.alert(env, atoms::stopped(), |watcher| {
                watcher.instance == instance
            });
            if control.instances.iter().any(|entry| !entry.stopped) {
                if let Holder::Caller(calls) = &control.holder
                    && calls.instance == instance
                {
                    control.interrupt.set(Interruption::Stopped);
                    calls.wake(env);
                    self.bell.ring(env);
                }
                return true;
            }
            control.stopped = true;
            control.interrupt.set(Interruption::Stopped);
            if let Holder::Caller(calls) = &control.holder {
                calls.wake(env);
                self.bell.ring(env);
            }
            // They come back, and are told that it is over.
            let line = std::mem::take(&mut control.line);
            if line.len() <= Self::TOLD_AT_ONCE {
                line.tell_all(env);
            } else {
                reaper::tell_all(line);
            }
        }
        self.reap_if_stopped();
        true
    }

    /// A process has died: its calls end, and its place in the line is free.
    pub fn process_died(self: &Arc<Self>, env: Env<'_>, pid: LocalPid) {
        let mut control = self.control.lock();
        control.line.leave_process(pid);
        match control.holder {
            Holder::Offered(ref waiter) if waiter.pid == pid => control.next(Some(env)),
            Holder::Caller(calls) if calls.pid == pid && calls.phase != Phase::Polling => {
                control.interrupt.set(Interruption::CallerDied);
                control.holder = Holder::Reaper(calls);
                drop(control);
                reaper::unwind(Arc::clone(self));
            }
            _ => {}
        }
    }

    /// Nobody comes back through this handle.
    pub fn handle_dropped(&self, env: Env<'_>, handle: HandleId) {
        let mut control = self.control.lock();
        control.line.leave_handle(handle);
        if matches!(&control.holder, Holder::Offered(waiter) if waiter.handle == handle) {
            control.next(Some(env));
        }
    }

    /// Ends the calls that a dead process left open. May take a time slice for each.
    pub fn unwind(&self) {
        let mut guard = self.coroutine.lock();
        let Holder::Reaper(mut calls) = self.control.lock().holder else {
            return;
        };
        if let Some(coroutine) = guard.as_mut() {
            while calls.open > 0 {
                let step = match calls.phase {
                    Phase::AtImport => {
                        coroutine.import_fail(Error::Interrupted(Interruption::CallerDied))
                    }
                    Phase::Yielded | Phase::Polling | Phase::Waiting => coroutine.resume(),
                };
                match step {
                    Step::Done(_) => {
                        calls.open -= 1;
                        calls.phase = Phase::AtImport;
                    }
                    Step::Import(_) | Step::Question { .. } => calls.phase = Phase::AtImport,
                    Step::Yielded | Step::Blocks => calls.phase = Phase::Yielded,
                    // What the machine does is not waited for once there is an interruption.
                    Step::Waiting => break,
                }
            }
        }
        drop(guard);
        let mut control = self.control.lock();
        if calls.open > 0 {
            control.stopped = true;
        }
        control.interrupt.clear();
        if !self.usable_after_interrupt {
            control.interrupted = Some(Interruption::CallerDied);
            control.alert(None, atoms::interrupted(), |_| true);
        }
        control.next(None);
        drop(control);
        self.reap_if_stopped();
    }

    /// Has the store freed, off the schedulers, once it is stopped and nobody is at it. Each use of it
    /// ends with this, and so does stopping, so that whichever comes last does it.
    fn reap_if_stopped(&self) {
        let stopped = self.control.lock().stopped;
        if stopped {
            self.reap();
        }
    }

    /// To be called only when the store is stopped, as seen after `coroutine` was unlocked.
    fn reap(&self) {
        if let Some(mut guard) = self.coroutine.try_lock()
            && let Some(coroutine) = guard.take()
        {
            reaper::free(coroutine);
            let mut control = self.control.lock();
            let instances = control.instances.iter_mut();
            let imports = instances.filter_map(|entry| entry.imports.take());
            reaper::discard(imports.collect::<Vec<_>>());
        }
    }
}

/// What becomes of the turn that a process was offered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Over,
    Kept,
}

/// How the guest is entered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// By what starts an instance.
    Start,
    Call,
}

/// What a call is waiting for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Suspension {
    Import,
    /// An import, which goes on waiting if there is nothing that it could be answered by.
    Default,
    Slice,
}

impl Control {
    fn is_stopped(&self, instance: usize) -> bool {
        self.instances.get(instance).is_some_and(|e| e.stopped)
    }

    fn check_usable(&self, instance: usize) -> Result<(), Refusal> {
        if self.stopped || self.is_stopped(instance) {
            return Err(Refusal::Error(Error::Stopped));
        }
        match self.interrupted {
            Some(why) => Err(Refusal::Error(Error::CutShort(why))),
            None => Ok(()),
        }
    }

    /// Fails on a scheduler that others wait for if the guest's objects are many, and something like
    /// collecting them has taken long before.
    fn check_time(&self) -> Result<(), Refusal> {
        if self.overran && self.gauge.heap() > LARGE_HEAP && is_normal_scheduler() {
            Err(Refusal::Later)
        } else {
            Ok(())
        }
    }

    fn enqueue(
        &mut self,
        env: Env<'_>,
        pid: LocalPid,
        instance: &ResourceArc<InstanceRes>,
    ) -> Refusal {
        if matches!(&self.holder, Holder::Caller(calls) if calls.pid == pid) {
            // It would wait for itself.
            return Refusal::Error(Error::Internal {
                message: "this process has a call open that it must resume first".into(),
            });
        }
        let Some(monitor) = instance.monitor(Some(env), &pid) else {
            // Killed while a dirty scheduler works for it: it would never take its turn.
            return Refusal::Error(Error::Interrupted(Interruption::CallerDied));
        };
        let ticket = tickets::next();
        self.line.join(Waiter {
            pid,
            ticket,
            monitor,
            handle: instance.id,
        });
        Refusal::Queued(ticket)
    }

    fn suspend(&mut self, phase: Phase) {
        if let Holder::Caller(calls) = &mut self.holder {
            calls.phase = phase;
        }
    }

    /// One call of the holder is over.
    fn close(&mut self, store: &SharedStore, env: Option<Env<'_>>, result: &Result<Answer, Error>) {
        let Holder::Caller(calls) = &mut self.holder else {
            return;
        };
        calls.open -= 1;
        if calls.open > 0 {
            calls.phase = Phase::AtImport;
            return;
        }
        if let Err(Error::Interrupted(why)) = result
            && !store.usable_after_interrupt
        {
            self.interrupted = Some(*why);
            self.alert(env, atoms::interrupted(), |_| true);
        }
        if !self.stopped {
            self.interrupt.clear();
        }
        self.next(env);
    }

    fn alert(&mut self, env: Option<Env<'_>>, what: Atom, concerned: impl Fn(&Watcher) -> bool) {
        for watcher in self.watchers.extract_if(.., |watcher| concerned(watcher)) {
            tell(env, &watcher.pid, watcher.ticket, what);
        }
    }

    fn decline(&mut self, env: Env<'_>, instance: &ResourceArc<InstanceRes>) {
        if let Holder::Offered(waiter) = &self.holder
            && waiter.pid == env.pid()
        {
            waiter.unwatch(env, instance);
            self.next(Some(env));
        }
    }

    /// Lets the next in line have its turn.
    fn next(&mut self, env: Option<Env<'_>>) {
        self.holder = match self.line.first() {
            Some(waiter) => {
                waiter.tell(env);
                Holder::Offered(waiter)
            }
            None => Holder::Nobody,
        };
    }
}

impl Calls {
    /// Ends the wait of the process, if it waits for time to pass or for input.
    fn wake(&self, env: Option<Env<'_>>) {
        if let Some(ticket) = self.waits_for {
            tell(env, &self.pid, ticket, atoms::wake());
        }
    }
}

impl Waiter {
    fn unwatch(&self, env: Env<'_>, instance: &ResourceArc<InstanceRes>) {
        if instance.id == self.handle {
            instance.demonitor(Some(env), &self.monitor);
        }
    }

    /// `env` is that of the scheduler we are on; none if on a thread of our own.
    pub fn tell(&self, env: Option<Env<'_>>) {
        // If the process is gone, its monitor gives the turn to the next.
        tell(env, &self.pid, self.ticket, atoms::turn());
    }
}

/// Sends `{'$wasmbeam', Ticket, What}`.
pub fn tell(env: Option<Env<'_>>, pid: &LocalPid, ticket: u64, what: Atom) {
    let sent = match env {
        Some(env) => env.send(pid, (atoms::message_tag(), ticket, what)),
        None => OwnedEnv::new().send_and_clear(pid, |_| (atoms::message_tag(), ticket, what)),
    };
    if sent.is_err() && env.is_some() {
        // A process that was killed while a dirty scheduler works for it cannot send any more. (If
        // it is the other one that is gone, it does not matter.)
        reaper::tell(*pid, ticket, what);
    }
}

/// As `tell`, on a thread that is no scheduler.
pub fn tell_from_outside(pid: &LocalPid, ticket: u64, what: Atom) {
    tell(None, pid, ticket, what);
}
