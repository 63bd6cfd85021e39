//! What can be told about instances, and about all of them together.

use rustler::{Atom, Encoder, Env, LocalPid, ResourceArc, Term};
use wasmbeam_core::node::{self, NodeLimits};
use wasmbeam_core::{Limits, Module, compile};

use crate::atoms;
use crate::error::{self, Failure};
use crate::instance::{self, InstanceRes, number};
use crate::ledger;
use crate::store::{State, Status};
use crate::term::{self, Bytes, free_dropped};

type Pairs<'a> = Vec<(Term<'a>, Term<'a>)>;

fn put<'a>(env: Env<'a>, pairs: &mut Pairs<'a>, key: Atom, value: impl Encoder) {
    pairs.push((key.encode(env), value.encode(env)));
}

/// What can be told about an instance without disturbing it.
#[rustler::nif]
fn instance_info<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    error::result(
        env,
        instance::decode(instance).map(|instance| {
            let mut pairs = Vec::with_capacity(20);
            identify(env, &mut pairs, &instance);
            let status = instance.store.status(instance.index);
            describe_status(env, &mut pairs, &status);
            describe_totals(env, &mut pairs, status.totals);
            put(env, &mut pairs, atoms::fuel(), fuel(env, &instance));
            put(
                env,
                &mut pairs,
                atoms::limits(),
                describe_limits(env, &instance),
            );
            term::map(env, &pairs)
        }),
    )
}

fn identify<'a>(env: Env<'a>, pairs: &mut Pairs<'a>, instance: &ResourceArc<InstanceRes>) {
    put(env, pairs, atoms::id(), instance.id.number());
    put(env, pairs, atoms::owner(), owner(env, instance.owner()));
    put(env, pairs, atoms::started_at(), started_at(env, instance));
    describe_module(env, pairs, instance.module());
}

fn owner(env: Env<'_>, owner: Option<LocalPid>) -> Term<'_> {
    match owner {
        Some(pid) => pid.encode(env),
        None => atoms::none().encode(env),
    }
}

fn started_at<'a>(env: Env<'a>, instance: &InstanceRes) -> Term<'a> {
    match instance.started_at() {
        Some(time) => time.encode(env),
        None => atoms::undefined().encode(env),
    }
}

fn describe_module<'a>(env: Env<'a>, pairs: &mut Pairs<'a>, module: &Module) {
    match module.name() {
        Some(name) => put(env, pairs, atoms::module(), name),
        None => put(env, pairs, atoms::module(), atoms::undefined()),
    }
    put(env, pairs, atoms::module_id(), Bytes(&module.id().0));
}

fn describe_status<'a>(env: Env<'a>, pairs: &mut Pairs<'a>, status: &Status) {
    put(env, pairs, atoms::state(), state(&status.state));
    put(env, pairs, atoms::memory_bytes(), status.memory_bytes);
    put(env, pairs, atoms::table_elements(), status.table_elements);
    put(env, pairs, atoms::queue_length(), status.queue_length);
}

pub fn state(state: &State) -> Atom {
    match state {
        State::Idle => atoms::idle(),
        State::Running => atoms::running(),
        State::Suspended => atoms::suspended(),
        State::Interrupted => atoms::interrupted(),
        State::Stopped => atoms::stopped(),
    }
}

fn describe_totals<'a>(env: Env<'a>, pairs: &mut Pairs<'a>, totals: ledger::Totals) {
    put(env, pairs, atoms::calls(), totals.calls);
    put(env, pairs, atoms::imports(), totals.imports);
    put(env, pairs, atoms::traps(), totals.traps);
    put(env, pairs, atoms::yields(), totals.yields);
    put(env, pairs, atoms::run_time_ns(), totals.run_time_ns);
}

fn fuel<'a>(env: Env<'a>, instance: &ResourceArc<InstanceRes>) -> Term<'a> {
    if !instance.module().engine().config().fuel {
        atoms::infinity().encode(env)
    } else if let Some(fuel) = instance.store.fuel() {
        fuel.encode(env)
    } else {
        atoms::undefined().encode(env)
    }
}

fn describe_limits<'a>(env: Env<'a>, instance: &ResourceArc<InstanceRes>) -> Term<'a> {
    let Limits {
        memory,
        memories,
        tables,
        table_elements,
        instances,
    } = *instance.store.limits();
    let stack = instance.module().engine().config().stack;
    let pairs = [
        (atoms::memory(), memory.encode(env)),
        (atoms::memories(), memories.encode(env)),
        (atoms::tables(), tables.encode(env)),
        (atoms::table_elements(), table_elements.encode(env)),
        (atoms::instances(), instances.encode(env)),
        (atoms::stack(), stack.bytes().encode(env)),
    ]
    .map(|(key, value)| (key.encode(env), value));
    term::map(env, &pairs)
}

/// What an instance had done when it ended.
pub fn describe_end<'a>(
    env: Env<'a>,
    instance: &InstanceRes,
    reason: Atom,
    status: &Status,
    owner_pid: Option<LocalPid>,
) -> Term<'a> {
    let mut pairs = Vec::with_capacity(14);
    put(env, &mut pairs, atoms::id(), instance.id.number());
    put(env, &mut pairs, atoms::reason(), reason);
    put(env, &mut pairs, atoms::owner(), owner(env, owner_pid));
    put(
        env,
        &mut pairs,
        atoms::started_at(),
        started_at(env, instance),
    );
    describe_module(env, &mut pairs, instance.module());
    describe_status(env, &mut pairs, status);
    describe_totals(env, &mut pairs, status.totals);
    term::map(env, &pairs)
}

/// All instances that are not stopped, each with what identifies it.
#[rustler::nif(schedule = "DirtyCpu")]
fn instances(env: Env<'_>) -> Vec<Term<'_>> {
    let described = ledger::instances()
        .iter()
        .filter_map(|identity| {
            let status = identity.store.upgrade()?.status(identity.index);
            if matches!(status.state, State::Stopped) {
                return None;
            }
            let mut pairs = Vec::with_capacity(10);
            put(env, &mut pairs, atoms::id(), identity.id);
            let pid = *identity.owner.lock();
            put(env, &mut pairs, atoms::owner(), owner(env, pid));
            put(env, &mut pairs, atoms::started_at(), identity.started_at);
            describe_module(env, &mut pairs, &identity.module);
            describe_status(env, &mut pairs, &status);
            Some(term::map(env, &pairs))
        })
        .collect();
    free_dropped();
    described
}

/// What all instances together did so far. Takes the longer the more of them there are.
#[rustler::nif(schedule = "DirtyCpu")]
fn counters(env: Env<'_>) -> Term<'_> {
    let mut pairs = Vec::with_capacity(16);
    describe_totals(env, &mut pairs, ledger::totals());
    let (compilations, compile_time_ns) = wasmbeam_core::timing::compilations();
    let cache = compile::cache_stats();
    let usage = node::usage();
    for (key, value) in [
        (atoms::started(), ledger::started()),
        (atoms::stopped(), ledger::stopped()),
        (atoms::compilations(), compilations),
        (atoms::compile_time_ns(), compile_time_ns),
        (atoms::cache_hits(), cache.memory.hits + cache.folder.hits),
        (atoms::memory_bytes(), usage.memory),
        (atoms::table_elements(), usage.table_elements),
        (atoms::instances(), usage.instances),
    ] {
        put(env, &mut pairs, key, value);
    }
    term::map(env, &pairs)
}

/// Sets what all instances together may take; what is absent has no limit.
#[rustler::nif]
fn node_limits<'a>(env: Env<'a>, limits: Term<'a>) -> Term<'a> {
    error::done(env, set_node_limits(limits))
}

fn set_node_limits(limits: Term<'_>) -> Result<(), Failure<'_>> {
    let of = |key| number(limits, key).map(|limit| limit.unwrap_or(u64::MAX));
    node::set_limits(NodeLimits {
        memory: of(atoms::memory())?,
        table_elements: of(atoms::table_elements())?,
        instances: of(atoms::instances())?,
    });
    Ok(())
}
