//! Compiled modules as terms.

use std::sync::{Arc, OnceLock};

use rustler::schedule::consume_timeslice;
use rustler::{Encoder, Env, Resource, ResourceArc, Term};
use wasmbeam_core::{ExternType, Module, Opt, Signature, ValType};

use crate::atoms;
use crate::error::{self, Failure};
use crate::term;

/// A compiled module, or the place for one that is being compiled: resources are made by NIFs
/// alone, because their type can be gone when a compiler thread is done (the Erlang module was
/// purged).
#[derive(Default)]
pub struct ModuleRes(OnceLock<Arc<Module>>);

#[rustler::resource_impl]
impl Resource for ModuleRes {}

impl ModuleRes {
    pub fn fill(&self, module: Arc<Module>) {
        self.0.get_or_init(|| module);
    }
}

pub fn decode(term: Term<'_>) -> Result<Arc<Module>, Failure<'_>> {
    term.decode::<ResourceArc<ModuleRes>>()
        .ok()
        .and_then(|module| module.0.get().cloned())
        .ok_or_else(|| Failure::bad("a compiled module", term))
}

pub fn resource(module: Arc<Module>) -> ResourceArc<ModuleRes> {
    ResourceArc::new(ModuleRes(module.into()))
}

/// What is described at a time: a module may have as many imports and exports as keep a scheduler
/// busy for half a second.
const PAGE: usize = 256;
/// How much of a process's time a page takes.
pub const PAGE_PERCENT: i32 = 30;

/// `{Descriptions, Next}` of some items from the place `from` on; `Next` is the place of those that
/// follow, or `done`.
fn page<'a, T, D: Encoder>(
    env: Env<'a>,
    items: &[T],
    from: usize,
    describe: impl Fn(&T) -> D,
) -> (Vec<Term<'a>>, Term<'a>) {
    let rest = items.get(from..).unwrap_or_default();
    let (page, more) = rest.split_at(rest.len().min(PAGE));
    let described = page.iter().map(|item| describe(item).encode(env)).collect();
    let next = if more.is_empty() {
        atoms::done().encode(env)
    } else {
        // Without this the next hundred pages would come before anybody else.
        consume_timeslice(env, PAGE_PERCENT);
        (from + PAGE).encode(env)
    };
    (described, next)
}

/// `{[#{module, name, kind, type}], Next}`, in the module's order, from an index on.
#[rustler::nif]
fn module_imports<'a>(env: Env<'a>, module: Term<'a>, from: usize) -> Term<'a> {
    error::result(
        env,
        decode(module).map(|module| describe_imports(env, &module, from)),
    )
}

/// `{[{Module, Name, Kind, NeedsEngine}], Next}`, in the module's order, from an index on. What needs
/// the engine no fun can do.
#[rustler::nif]
fn module_import_names<'a>(env: Env<'a>, module: Term<'a>, from: usize) -> Term<'a> {
    error::result(
        env,
        decode(module).map(|module| {
            page(env, module.imports(), from, |import| {
                let kind = kind_atom(&import.ty);
                (&import.module, &import.name, kind, import.needs_engine()).encode(env)
            })
        }),
    )
}

/// The options that a module was compiled with.
#[rustler::nif]
fn module_config<'a>(env: Env<'a>, module: Term<'a>) -> Term<'a> {
    error::result(
        env,
        decode(module).map(|module| {
            let config = module.engine().config();
            let opt = match config.opt {
                Opt::None => atoms::none(),
                Opt::Speed => atoms::speed(),
                Opt::SpeedAndSize => atoms::speed_and_size(),
            };
            let pairs = [
                (atoms::fuel(), config.fuel.encode(env)),
                (atoms::deterministic(), config.deterministic.encode(env)),
                (atoms::opt(), opt.encode(env)),
                (atoms::stack(), config.stack.bytes().encode(env)),
            ]
            .map(|(key, value)| (key.encode(env), value));
            term::map(env, &pairs)
        }),
    )
}

/// Whether the module exports a function of that name without parameters and results.
#[rustler::nif]
fn module_exports_action<'a>(env: Env<'a>, module: Term<'a>, name: &str) -> Term<'a> {
    error::result(
        env,
        decode(module).map(|module| module.exports_action(name)),
    )
}

/// `{[#{name, kind, type}], Next}`, in the module's order, from an index on.
#[rustler::nif]
fn module_exports<'a>(env: Env<'a>, module: Term<'a>, from: usize) -> Term<'a> {
    error::result(
        env,
        decode(module).map(|module| describe_exports(env, &module, from)),
    )
}

/// The version of this library.
#[rustler::nif]
fn version(env: Env<'_>) -> Term<'_> {
    (atoms::ok(), env!("CARGO_PKG_VERSION")).encode(env)
}

pub fn describe_imports<'a>(
    env: Env<'a>,
    module: &Module,
    from: usize,
) -> (Vec<Term<'a>>, Term<'a>) {
    page(env, module.imports(), from, |import| {
        let pairs = [
            (atoms::module(), import.module.encode(env)),
            (atoms::name(), import.name.encode(env)),
            (atoms::kind(), kind_atom(&import.ty).encode(env)),
            (atoms::type_(), describe(env, &import.ty)),
        ]
        .map(|(key, value)| (key.encode(env), value));
        term::map(env, &pairs)
    })
}

pub fn describe_exports<'a>(
    env: Env<'a>,
    module: &Module,
    from: usize,
) -> (Vec<Term<'a>>, Term<'a>) {
    page(env, module.exports(), from, |export| {
        let pairs = [
            (atoms::name(), export.name.encode(env)),
            (atoms::kind(), kind_atom(&export.ty).encode(env)),
            (atoms::type_(), describe(env, &export.ty)),
        ]
        .map(|(key, value)| (key.encode(env), value));
        term::map(env, &pairs)
    })
}

fn kind_atom(ty: &ExternType) -> rustler::Atom {
    match ty {
        ExternType::Func(_) => atoms::func(),
        ExternType::Global(_) => atoms::global(),
        ExternType::Table(_) => atoms::table(),
        ExternType::Memory(_) => atoms::memory(),
        ExternType::Tag(_) => atoms::tag(),
    }
}

fn types<'a>(env: Env<'a>, types: &[ValType]) -> Term<'a> {
    let names: Vec<Term> = types.iter().map(|ty| term::encode_type(env, ty)).collect();
    names.encode(env)
}

pub fn describe_function<'a>(env: Env<'a>, signature: &Signature) -> Term<'a> {
    let pairs = [
        (atoms::params(), types(env, &signature.params)),
        (atoms::results(), types(env, &signature.results)),
    ]
    .map(|(key, value)| (key.encode(env), value));
    term::map(env, &pairs)
}

fn describe<'a>(env: Env<'a>, ty: &ExternType) -> Term<'a> {
    let index_type = |is_64: bool| {
        if is_64 { atoms::i64() } else { atoms::i32() }
    };
    let maximum = |max: Option<u64>| match max {
        Some(max) => max.encode(env),
        None => atoms::infinity().encode(env),
    };
    let pairs: Vec<(rustler::Atom, Term)> = match ty {
        ExternType::Func(ty) => return describe_function(env, &Signature::from(ty)),
        ExternType::Global(ty) => vec![
            (atoms::value(), term::encode_type(env, ty.content())),
            (atoms::mutable(), ty.mutability().is_var().encode(env)),
        ],
        ExternType::Table(ty) => vec![
            (
                atoms::element(),
                term::encode_type(env, &ValType::Ref(ty.element().clone())),
            ),
            (atoms::min(), ty.minimum().encode(env)),
            (atoms::max(), maximum(ty.maximum())),
            (atoms::index_type(), index_type(ty.is_64()).encode(env)),
        ],
        ExternType::Memory(ty) => vec![
            (atoms::min(), ty.minimum().encode(env)),
            (atoms::max(), maximum(ty.maximum())),
            (atoms::index_type(), index_type(ty.is_64()).encode(env)),
            (atoms::page_size(), ty.page_size().encode(env)),
            (atoms::shared(), ty.is_shared().encode(env)),
        ],
        ExternType::Tag(ty) => vec![(
            atoms::params(),
            types(env, &Signature::from(ty.ty()).params),
        )],
    };
    let pairs: Vec<_> = pairs
        .into_iter()
        .map(|(key, value)| (key.encode(env), value))
        .collect();
    term::map(env, &pairs)
}
