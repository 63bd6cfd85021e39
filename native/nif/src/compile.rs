//! Compiling, and loading what is compiled.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use rustler::{Binary, Encoder, Env, LocalPid, OwnedEnv, Resource, ResourceArc, Term};
use wasmbeam_core::compile::{
    self, CompileLimits, Folder, Form, OnPhase, OnRejected, Place, Rejected, Request, Waiter,
};
use wasmbeam_core::image::{self, KeySource, Purpose};
use wasmbeam_core::{EngineConfig, GuestStack, Module, Opt, Phase};

use crate::error::{self, Failure};
use crate::module::{self, ModuleRes};
use crate::recent::Recent;
use crate::term;
use crate::{atoms, tickets};

/// A process that waits for a module. Messages are for it only while this is true.
struct WaitRes(Arc<Mutex<bool>>);

#[rustler::resource_impl]
impl Resource for WaitRes {}

/// Images that were compiled before and asked for not long ago: they are not looked at again.
static IMAGES: Recent<Form, Place> = Recent::new(16 << 20);

/// `{ok, Module}` if the image was asked for not long ago and its module is at hand, else `none`.
#[rustler::nif]
fn compile_recent<'a>(env: Env<'a>, source: Binary<'a>, options: Term<'a>) -> Term<'a> {
    let found = form(options).and_then(|form| match IMAGES.find(&[source], &form) {
        Some(place) => Ok(compile::cached_at(place, &limits(options)?)?),
        None => Ok(None),
    });
    at_hand(env, found)
}

/// `{ok, Module}` if it is at hand, else `none`. `hold` tells whether the image may be held on to, so
/// that it is known again.
#[rustler::nif]
fn compile_cached<'a>(env: Env<'a>, source: Term<'a>, options: Term<'a>, hold: bool) -> Term<'a> {
    cached(env, source, options, hold)
}

/// For an image so large that looking at all of it keeps a scheduler too long.
#[rustler::nif(schedule = "DirtyCpu")]
fn compile_cached_dirty<'a>(
    env: Env<'a>,
    source: Term<'a>,
    options: Term<'a>,
    hold: bool,
) -> Term<'a> {
    cached(env, source, options, hold)
}

fn cached<'a>(env: Env<'a>, source: Term<'a>, options: Term<'a>, hold: bool) -> Term<'a> {
    let found = form(options).and_then(|form| {
        let limits = limits(options)?;
        let image: Binary = source
            .decode()
            .map_err(|_| Failure::bad("the bytes of a module", source))?;
        let found = compile::cached(&form, image.as_slice(), &limits)?;
        Ok(found.map(|(module, place)| {
            if hold {
                IMAGES.keep(source, &[image], form, place, 0);
            }
            module
        }))
    });
    at_hand(env, found)
}

fn at_hand<'a>(env: Env<'a>, found: Result<Option<Arc<Module>>, Failure<'a>>) -> Term<'a> {
    match found {
        Ok(Some(module)) => (atoms::ok(), module::resource(module)).encode(env),
        Ok(None) => atoms::none().encode(env),
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

/// `{ok, Module}`, or `{pending, Ticket, Wait}`: the answer follows as a message `{'$wasmbeam',
/// Ticket, Answer}`, and before it come those about the progress, if they were asked for:
/// `{'$wasmbeam', Ticket, {progress, Map}}`.
#[rustler::nif(schedule = "DirtyCpu")]
fn compile_image<'a>(env: Env<'a>, source: Binary<'a>, options: Term<'a>) -> Term<'a> {
    let (request, progress) = match request(source, options) {
        Ok(request) => request,
        Err(failure) => return (atoms::error(), failure).encode(env),
    };
    let ticket = tickets::next();
    let client = Client {
        pid: env.pid(),
        ticket,
        listens: Arc::new(Mutex::new(true)),
    };
    let wait = ResourceArc::new(WaitRes(Arc::clone(&client.listens)));
    let waiter = Waiter {
        limits: request.limits,
        progress: progress.then(|| client.clone().progress()),
        done: client.done(ResourceArc::new(ModuleRes::default())),
    };
    match compile::compile(request, waiter) {
        Ok(None) => (atoms::pending(), ticket, wait).encode(env),
        Ok(Some(module)) => (atoms::ok(), module::resource(module)).encode(env),
        Err(error) => (atoms::error(), Failure::from(error)).encode(env),
    }
}

/// No message about the compilation comes after this.
#[rustler::nif]
fn compile_leave<'a>(env: Env<'a>, wait: Term<'a>) -> Term<'a> {
    let left = wait
        .decode::<ResourceArc<WaitRes>>()
        .map_err(|_| Failure::bad("a compilation", wait))
        .map(|wait| *wait.0.lock() = false);
    error::done(env, left)
}

/// The code of a module under a seal.
#[rustler::nif(schedule = "DirtyIo")]
fn module_image<'a>(env: Env<'a>, module: Term<'a>, key: Term<'a>) -> Term<'a> {
    let image = module::decode(module).and_then(|module| {
        let key = key_source(key)?.key()?;
        Ok(image::seal(&module, &key, Purpose::Image)?)
    });
    match image {
        Ok(image) => (atoms::ok(), term::Bytes(&image)).encode(env),
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

/// What the caches did so far.
#[rustler::nif]
fn cache_info(env: Env<'_>) -> Term<'_> {
    let stats = compile::cache_stats();
    let counts = [
        (atoms::hits(), stats.memory.hits),
        (atoms::misses(), stats.memory.misses),
        (atoms::modules(), stats.memory.modules as u64),
        (atoms::bytes(), stats.memory.bytes as u64),
        (atoms::disk_hits(), stats.folder.hits),
        (atoms::disk_misses(), stats.folder.misses),
        (atoms::disk_rejected(), stats.folder.rejected),
        (atoms::disk_failures(), stats.folder.failures),
    ];
    let mut pairs: Vec<_> = counts
        .map(|(key, value)| (key.encode(env), value.encode(env)))
        .into();
    if let Some(why) = &stats.folder.last_failure {
        pairs.push((atoms::last_failure().encode(env), why.encode(env)));
    }
    term::map(env, &pairs)
}

/// A process that asked for a module.
#[derive(Clone)]
struct Client {
    pid: LocalPid,
    ticket: u64,
    listens: Arc<Mutex<bool>>,
}

/// All on a compiler thread.
impl Client {
    fn progress(self) -> OnPhase {
        let began = Instant::now();
        Arc::new(move |phase| {
            self.send(|env| (atoms::progress(), describe(env, phase, began)).encode(env));
        })
    }

    fn done(self, place: ResourceArc<ModuleRes>) -> compile::OnCompiled {
        Box::new(move |outcome| {
            let outcome = outcome.map(|module: Arc<Module>| {
                place.fill(module);
                place
            });
            self.send(|env| error::result(env, outcome.map_err(Failure::from)));
        })
    }

    fn send(&self, answer: impl for<'a> FnOnce(Env<'a>) -> Term<'a>) {
        // Held while sending: who has left gets nothing from then on.
        let listens = self.listens.lock();
        if *listens {
            // It does not matter if the process is gone.
            let _ = OwnedEnv::new().send_and_clear(&self.pid, |env| {
                let answer = answer(env);
                (atoms::message_tag(), self.ticket, answer)
            });
        }
    }
}

fn describe<'a>(env: Env<'a>, phase: Phase, began: Instant) -> Term<'a> {
    let (name, bytes, size) = match phase {
        Phase::Reading { bytes } => (atoms::reading(), bytes, None),
        Phase::Translating { bytes, size } => (atoms::translating(), bytes, Some(size)),
        Phase::Compiling { bytes, size } => (atoms::compiling(), bytes, Some(size)),
    };
    let elapsed = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut pairs = vec![
        (atoms::phase().encode(env), name.encode(env)),
        (atoms::bytes().encode(env), bytes.encode(env)),
        (atoms::elapsed_ms().encode(env), elapsed.encode(env)),
    ];
    if let Some(size) = size {
        let functions = atoms::functions().encode(env);
        pairs.push((functions, size.functions.encode(env)));
    }
    term::map(env, &pairs)
}

fn request<'a>(source: Binary<'a>, options: Term<'a>) -> Result<(Request, bool), Failure<'a>> {
    let limits = limits(options)?;
    let form = form(options)?;
    if matches!(form, Form::Module(_)) {
        // Before it is copied.
        limits.check_bytes(source.len() as u64)?;
    }
    let memory_bytes = number(options, atoms::cache_bytes())?;
    let request = Request {
        form,
        source: source.as_slice().into(),
        limits,
        memory_bytes: memory_bytes.map_or(compile::DEFAULT_BYTES, |bytes| {
            usize::try_from(bytes).unwrap_or(usize::MAX)
        }),
        folder: folder(options)?,
        on_rejected: on_rejected(options)?,
    };
    let progress = flag(options, atoms::progress())?;
    Ok((request, progress))
}

fn folder(options: Term<'_>) -> Result<Option<Folder>, Failure<'_>> {
    let Ok(term) = options.map_get(atoms::cache_dir()) else {
        return Ok(None);
    };
    let max_bytes = number(options, atoms::cache_dir_bytes())?;
    Ok(Some(Folder {
        path: path(term)?,
        max_bytes: max_bytes.unwrap_or(compile::DEFAULT_FOLDER_BYTES),
        key: key(options)?,
    }))
}

/// Tells the process that makes reports.
fn on_rejected(options: Term<'_>) -> Result<Option<OnRejected>, Failure<'_>> {
    let Ok(term) = options.map_get(atoms::reports_to()) else {
        return Ok(None);
    };
    let listener: LocalPid = term.decode().map_err(|_| Failure::bad("a process", term))?;
    Ok(Some(Box::new(move |Rejected { file, reason }| {
        // It does not matter if the process is gone.
        let _ = OwnedEnv::new().send_and_clear(&listener, |env| {
            let file = term::Bytes(file.as_os_str().as_encoded_bytes());
            let details = [
                (atoms::file().encode(env), file.encode(env)),
                (atoms::reason().encode(env), reason.encode(env)),
            ];
            let details = term::map(env, &details);
            (
                atoms::wasmbeam_event(),
                atoms::cache_entry_rejected(),
                details,
            )
        });
    })))
}

fn form(options: Term<'_>) -> Result<Form, Failure<'_>> {
    match options.map_get(atoms::mode()) {
        Ok(mode)
            if mode
                .decode::<rustler::Atom>()
                .is_ok_and(|mode| mode == atoms::aot()) =>
        {
            Ok(Form::Code(key(options)?))
        }
        Ok(mode)
            if !mode
                .decode::<rustler::Atom>()
                .is_ok_and(|mode| mode == atoms::wasm()) =>
        {
            Err(Failure::bad("wasm or aot", mode))
        }
        _ => Ok(Form::Module(config(options)?)),
    }
}

/// The compile options that are in a map; what is absent is the default.
fn config(options: Term<'_>) -> Result<EngineConfig, Failure<'_>> {
    let opt = match options.map_get(atoms::opt()) {
        Err(_) => Opt::default(),
        Ok(term) => match term.decode::<rustler::Atom>() {
            Ok(atom) if atom == atoms::none() => Opt::None,
            Ok(atom) if atom == atoms::speed() => Opt::Speed,
            Ok(atom) if atom == atoms::speed_and_size() => Opt::SpeedAndSize,
            _ => return Err(Failure::bad("none, speed or speed_and_size", term)),
        },
    };
    Ok(EngineConfig {
        fuel: flag(options, atoms::fuel())?,
        deterministic: flag(options, atoms::deterministic())?,
        opt,
        stack: stack(options)?,
    })
}

fn stack(options: Term<'_>) -> Result<GuestStack, Failure<'_>> {
    let Ok(term) = options.map_get(atoms::stack()) else {
        return Ok(GuestStack::default());
    };
    let stack = term.decode().ok().and_then(GuestStack::of);
    stack.ok_or_else(|| Failure::bad("a number of bytes of stack, 64 KiB to 16 MiB", term))
}

fn limits(options: Term<'_>) -> Result<CompileLimits, Failure<'_>> {
    let Ok(given) = options.map_get(atoms::compile_limits()) else {
        return Ok(CompileLimits::default());
    };
    let unless_given = CompileLimits::default();
    Ok(CompileLimits {
        bytes: number(given, atoms::bytes())?.unwrap_or(unless_given.bytes),
        functions: number(given, atoms::functions())?.unwrap_or(unless_given.functions),
        function_bytes: number(given, atoms::function_bytes())?
            .unwrap_or(unless_given.function_bytes),
    })
}

fn key(options: Term<'_>) -> Result<KeySource, Failure<'_>> {
    match options.map_get(atoms::key()) {
        Ok(term) => key_source(term),
        Err(_) => Ok(KeySource::Absent),
    }
}

/// `none`, the bytes of a key, or `{file, Name}`.
fn key_source(term: Term<'_>) -> Result<KeySource, Failure<'_>> {
    if let Ok(bytes) = term.decode::<Binary>() {
        return Ok(KeySource::Bytes(bytes.as_slice().into()));
    }
    match term.decode::<(rustler::Atom, Term)>() {
        Ok((tag, name)) if tag == atoms::file() => Ok(KeySource::File(path(name)?)),
        _ if term
            .decode::<rustler::Atom>()
            .is_ok_and(|atom| atom == atoms::none()) =>
        {
            Ok(KeySource::Absent)
        }
        _ => Err(Failure::bad("a key", term)),
    }
}

/// A name as the operating system takes it.
fn path(term: Term<'_>) -> Result<PathBuf, Failure<'_>> {
    let bytes = term
        .decode::<Binary>()
        .map_err(|_| Failure::bad("the name of a file", term))?;
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Ok(std::ffi::OsStr::from_bytes(bytes.as_slice()).into())
    }
    #[cfg(not(unix))]
    {
        std::str::from_utf8(bytes.as_slice())
            .map(PathBuf::from)
            .map_err(|_| Failure::bad("the name of a file", term))
    }
}

fn flag(options: Term<'_>, key: rustler::Atom) -> Result<bool, Failure<'_>> {
    match options.map_get(key) {
        Ok(term) => term
            .decode()
            .map_err(|_| Failure::bad("true or false", term)),
        Err(_) => Ok(false),
    }
}

/// None where it is absent.
fn number(options: Term<'_>, key: rustler::Atom) -> Result<Option<u64>, Failure<'_>> {
    let Ok(term) = options.map_get(key) else {
        return Ok(None);
    };
    if term
        .decode::<rustler::Atom>()
        .is_ok_and(|atom| atom == atoms::infinity())
    {
        return Ok(Some(u64::MAX));
    }
    term.decode()
        .map(Some)
        .map_err(|_| Failure::bad("infinity, or a number of 64 bits", term))
}
