//! Plain WASI worlds as values: made of a tree of files and descriptors, put into an instance for a
//! call, and read out again.
//!
//! A world never changes: what a guest does to one gives another, which shares what is the same.

use std::sync::Arc;

use rustler::{Binary, Encoder, Env, Resource, ResourceArc, Term};
use wasmbeam_core::Error;
use wasmbeam_core::wasi::{
    self, Abi, Answer, ClockSource, Entry, Function, Listing, OpenDescription, Outcome, Output,
    PlainError, Request, Settings, WasiState, Width,
};

use crate::atoms;
use crate::error::{self, Failure, posix};
use crate::instance::visit;
use crate::reaper;
use crate::term;
use crate::wasi::{node, pairs, tagged};

/// Trees with more bytes than that are read and written on dirty schedulers.
const INLINE_BYTES: u64 = 64 * 1024;
/// Going through an entry takes as long as copying so many bytes.
const ENTRY_BYTES: u64 = 64;

pub struct WorldRes {
    state: Arc<WasiState>,
    /// What a function waits for that was run on this world.
    pending: Option<Request>,
}

#[rustler::resource_impl]
impl Resource for WorldRes {}

impl WorldRes {
    fn term<'a>(env: Env<'a>, state: WasiState) -> Term<'a> {
        Self::waiting(env, state, None)
    }

    fn waiting<'a>(env: Env<'a>, state: WasiState, pending: Option<Request>) -> Term<'a> {
        ResourceArc::new(WorldRes {
            state: Arc::new(state),
            pending,
        })
        .encode(env)
    }
}

impl Drop for WorldRes {
    fn drop(&mut self) {
        if self.state.used_entries() * ENTRY_BYTES > INLINE_BYTES {
            // If this is the last of those that share the files, all of them go.
            reaper::discard(Arc::clone(&self.state));
        }
    }
}

fn decode(term: Term<'_>) -> Result<ResourceArc<WorldRes>, Failure<'_>> {
    term.decode().map_err(|_| Failure::bad("a world", term))
}

/// Makes a world: `{ok, {World, Descriptors}}`, with the descriptors as `world_describe` tells them.
#[rustler::nif]
fn world_new<'a>(
    env: Env<'a>,
    tree: Term<'a>,
    stdin: Binary<'a>,
    descriptors: Term<'a>,
    settings: Term<'a>,
) -> Term<'a> {
    error::result(env, create(env, tree, &stdin, descriptors, settings))
}

#[rustler::nif(schedule = "DirtyCpu")]
fn world_new_dirty<'a>(
    env: Env<'a>,
    tree: Term<'a>,
    stdin: Binary<'a>,
    descriptors: Term<'a>,
    settings: Term<'a>,
) -> Term<'a> {
    error::result(env, create(env, tree, &stdin, descriptors, settings))
}

fn create<'a>(
    env: Env<'a>,
    tree: Term<'a>,
    stdin: &[u8],
    descriptors: Term<'a>,
    settings: Term<'a>,
) -> Result<Term<'a>, Failure<'a>> {
    let tree = node(tree)?;
    let settings = decode_settings(settings)?;
    let wrong = || Failure::bad("descriptors of a world", descriptors);
    let list: Vec<Term> = term::list(descriptors).ok_or_else(wrong)?;
    let opens: Option<Vec<_>> = list.into_iter().map(description).collect();
    let descriptors = opens.ok_or_else(wrong)?;
    let state = WasiState::plain(tree, stdin.to_vec(), &descriptors, settings)
        .map_err(|error| refusal(&error))?;
    let opened = described(env, &state);
    Ok((WorldRes::term(env, state), opened).encode(env))
}

fn refusal<'a>(error: &PlainError) -> Failure<'a> {
    let message = match error {
        PlainError::Descriptor { fd, reason } => {
            format!("the descriptor {fd} is refused: {}", posix(*reason))
        }
        PlainError::Config(wasi::ConfigError::Files(errno)) => {
            format!("the tree of files is refused: {}", posix(*errno))
        }
        PlainError::Config(error) => error.to_string(),
    };
    Failure::Core(Error::BadArgument { message })
}

/// `{Fd, Path, Offset, Flags, Preopen, Rights}`, with `none` for the last two where they are absent.
fn description(term: Term<'_>) -> Option<OpenDescription> {
    let (fd, path, offset, flags, preopen, rights): (u32, Binary, u64, u16, Term, Term) =
        term.decode().ok()?;
    Some(OpenDescription {
        fd,
        path: path.to_vec(),
        offset,
        flags,
        preopen: preopen.decode::<Binary>().ok().map(|name| name.to_vec()),
        rights: rights.decode().ok(),
    })
}

/// `{Args, Env, system | {fixed, Ns}}`
fn decode_settings(term: Term<'_>) -> Result<Settings, Failure<'_>> {
    let wrong = || Failure::bad("the settings of a world", term);
    let (args, env, clock): (Term, Term, Term) = term.decode().map_err(|_| wrong())?;
    let args: Vec<Binary> = term::list(args).ok_or_else(wrong)?;
    Ok(Settings {
        args: args.iter().map(|arg| arg.to_vec()).collect(),
        env: pairs(env).ok_or_else(wrong)?,
        clock: tagged(clock, atoms::fixed()).map_or(ClockSource::System, ClockSource::Fixed),
    })
}

/// The world with other settings: `{ok, World}`.
#[rustler::nif]
fn world_set<'a>(env: Env<'a>, world: Term<'a>, settings: Term<'a>) -> Term<'a> {
    let set = || {
        let mut state = WasiState::clone(&decode(world)?.state);
        state
            .set(decode_settings(settings)?)
            .map_err(|error| refusal(&PlainError::Config(error)))?;
        Ok(WorldRes::term(env, state))
    };
    error::result(env, set())
}

/// Puts a world in the place of the instance's own: `ok`. The token is to take it out again.
#[rustler::nif]
fn world_enter<'a>(env: Env<'a>, instance: Term<'a>, world: Term<'a>, token: u64) -> Term<'a> {
    match decode(world) {
        Ok(world) => {
            let state = WasiState::clone(&world.state);
            visit(
                env,
                instance,
                |coroutine, index| coroutine.lend_wasi(index, state, token),
                |()| atoms::ok().encode(env),
            )
        }
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

/// Takes the world out of an instance, which then has one of its own: `{ok, World, Output}`, or
/// `none` if that world is not there any more.
#[rustler::nif]
fn world_leave<'a>(env: Env<'a>, instance: Term<'a>, token: u64) -> Term<'a> {
    visit(
        env,
        instance,
        |coroutine, index| coroutine.return_wasi(index, token),
        |state| match state {
            Some(state) => {
                let (world, output) = drained(env, state, None);
                (atoms::ok(), world, output).encode(env)
            }
            None => atoms::none().encode(env),
        },
    )
}

/// Runs a function of WASI, not the guest's call of it, on a world and the instance's memory:
/// `{ok, Errno, World, Output}`, `{wait, Ns | infinity, World}`, `{exit, Status}`, `{raise, Signal}`
/// or `bad_argument`. `long`, and the world is what it was, if a scheduler has no time for that.
#[rustler::nif]
fn world_call<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    world: Term<'a>,
    name: Binary<'a>,
    args: Term<'a>,
) -> Term<'a> {
    run(env, instance, world, name, args, Pieces::One)
}

/// As `world_call`, however long it takes.
#[rustler::nif(schedule = "DirtyCpu")]
fn world_call_dirty<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    world: Term<'a>,
    name: Binary<'a>,
    args: Term<'a>,
) -> Term<'a> {
    run(env, instance, world, name, args, Pieces::All)
}

/// How much is done of what moves many bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pieces {
    One,
    All,
}

fn run<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    world: Term<'a>,
    name: Binary<'a>,
    args: Term<'a>,
    pieces: Pieces,
) -> Term<'a> {
    let Some(args) = term::list::<i64>(args) else {
        return atoms::bad_argument().encode(env);
    };
    let world = match decode(world) {
        Ok(world) => world,
        Err(failure) => return (atoms::error(), failure).encode(env),
    };
    let function = std::str::from_utf8(&name)
        .ok()
        .and_then(Function::from_name);
    let Some(function) = function else {
        return atoms::bad_argument().encode(env);
    };
    let mut state = WasiState::clone(&world.state);
    let run = move |memory: &mut [u8], width: Width| {
        let args = function.arguments(width, &args)?;
        let outcome = wasi::call(&mut state, memory, function, Abi::preview1(width), &args);
        let goes_on = matches!(outcome, Outcome::Pending(Request::Yield(_)));
        Some(if goes_on && pieces == Pieces::One {
            Ran::Partly
        } else {
            gone_on(state, memory, outcome)
        })
    };
    with_memory(env, instance, run)
}

/// Goes on with a function that waited.
#[rustler::nif]
fn world_resume<'a>(env: Env<'a>, instance: Term<'a>, world: Term<'a>) -> Term<'a> {
    let waiting = decode(world).and_then(|resource| {
        let request = resource.pending.clone();
        let request = request.ok_or_else(|| Failure::bad("a world that waits", world))?;
        Ok((WasiState::clone(&resource.state), request))
    });
    match waiting {
        Ok((mut state, request)) => with_memory(env, instance, move |memory, _| {
            let outcome = wasi::complete(&mut state, memory, request, &Answer::Elapsed);
            Some(gone_on(state, memory, outcome))
        }),
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

/// How far a function has come.
enum Ran {
    /// There is more than a scheduler has time for.
    Partly,
    Through(Box<WasiState>, Outcome),
}

/// Nothing else runs meanwhile, so a function that lets others run goes on at once.
fn gone_on(mut state: WasiState, memory: &mut [u8], mut outcome: Outcome) -> Ran {
    while let Outcome::Pending(Request::Yield(_)) = &outcome {
        let Outcome::Pending(request) = outcome else {
            break;
        };
        outcome = wasi::complete(&mut state, memory, request, &Answer::Elapsed);
    }
    Ran::Through(Box::new(state), outcome)
}

fn with_memory<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    run: impl FnOnce(&mut [u8], Width) -> Option<Ran> + Send + 'static,
) -> Term<'a> {
    visit(
        env,
        instance,
        |coroutine, index| coroutine.with_memory(index, run),
        |done| match done {
            Some(Ran::Through(state, outcome)) => told(env, *state, outcome),
            Some(Ran::Partly) => atoms::long().encode(env),
            None => atoms::bad_argument().encode(env),
        },
    )
}

fn told<'a>(env: Env<'a>, state: WasiState, outcome: Outcome) -> Term<'a> {
    match outcome {
        Outcome::Return(_) => {
            let errno = outcome.errno();
            let (world, output) = drained(env, state, None);
            (atoms::ok(), errno, world, output).encode(env)
        }
        Outcome::Exit(status) => (atoms::exit(), status).encode(env),
        Outcome::Raise(signal) => (atoms::raise(), signal).encode(env),
        Outcome::Pending(request) => {
            let timeout = match &request {
                Request::Wait(wait) => match wait.timeout_ns {
                    Some(ns) => ns.encode(env),
                    None => atoms::infinity().encode(env),
                },
                _ => 0.encode(env),
            };
            let world = WorldRes::waiting(env, state, Some(request));
            (atoms::wait(), timeout, world).encode(env)
        }
    }
}

/// The world without what it has in its streams, and that: `{Stdout, Stderr, StdinLeft}`.
fn drained<'a>(
    env: Env<'a>,
    mut state: WasiState,
    pending: Option<Request>,
) -> (Term<'a>, Term<'a>) {
    let Output { stdout, stderr } = state.take_output();
    let left = state.stdin_left();
    let output = (term::owned(env, stdout), term::owned(env, stderr), left).encode(env);
    (WorldRes::waiting(env, state, pending), output)
}

/// What differs from an earlier world, whose tree is `before`: `{Tree | same, Descriptors | same}`, or
/// `long`. `streams` is what the standard streams hold, `{Stdin, Stdout, Stderr}`; `changed`
/// whether that is something else than before.
#[rustler::nif]
fn world_describe<'a>(
    env: Env<'a>,
    world: Term<'a>,
    earlier: Term<'a>,
    before: Term<'a>,
    streams: Term<'a>,
    changed: bool,
) -> Term<'a> {
    let read = describe(env, world, earlier, before, streams, changed, INLINE_BYTES);
    read.unwrap_or_else(|failure| (atoms::error(), failure).encode(env))
}

#[rustler::nif(schedule = "DirtyCpu")]
fn world_describe_dirty<'a>(
    env: Env<'a>,
    world: Term<'a>,
    earlier: Term<'a>,
    before: Term<'a>,
    streams: Term<'a>,
    changed: bool,
) -> Term<'a> {
    let read = describe(env, world, earlier, before, streams, changed, u64::MAX);
    read.unwrap_or_else(|failure| (atoms::error(), failure).encode(env))
}

fn describe<'a>(
    env: Env<'a>,
    world: Term<'a>,
    earlier: Term<'a>,
    before: Term<'a>,
    streams: Term<'a>,
    changed: bool,
    limit: u64,
) -> Result<Term<'a>, Failure<'a>> {
    let state = &decode(world)?.state;
    let earlier = &decode(earlier)?.state;
    let (same_files, same_descriptors) = state.has_files_of(earlier);
    let entries = if same_files && same_descriptors && !changed {
        0
    } else {
        state.used_entries()
    };
    let bytes = if same_files { 0 } else { state.used_bytes() };
    if bytes.saturating_add(entries * ENTRY_BYTES) > limit {
        return Ok(atoms::long().encode(env));
    }
    let same = || atoms::same().encode(env);
    let tree = if same_files && !changed {
        same()
    } else {
        let wrong = || Failure::bad("what is in the standard streams", streams);
        let (stdin, stdout, stderr): (Term, Term, Term) = streams.decode().map_err(|_| wrong())?;
        let reader = TreeReader {
            env,
            streams: [stdin, stdout, stderr],
        };
        let entry = state.entries().ok_or_else(wrong)?;
        reader.entry(entry, earlier.entries(), Some(before))
    };
    let descriptors = if same_descriptors && !changed {
        same()
    } else {
        described(env, state)
    };
    Ok((tree, descriptors).encode(env))
}

fn described<'a>(env: Env<'a>, state: &WasiState) -> Term<'a> {
    let list: Vec<Term> = state
        .descriptions()
        .iter()
        .map(|description| describe_open(env, description))
        .collect();
    list.encode(env)
}

fn describe_open<'a>(env: Env<'a>, description: &OpenDescription) -> Term<'a> {
    let none = || atoms::none().encode(env);
    let preopen = match &description.preopen {
        Some(name) => term::binary(env, name),
        None => none(),
    };
    let rights = match description.rights {
        Some(rights) => rights.encode(env),
        None => none(),
    };
    (
        description.fd,
        term::Bytes(&description.path),
        description.offset,
        description.flags,
        preopen,
        rights,
    )
        .encode(env)
}

struct TreeReader<'a> {
    env: Env<'a>,
    streams: [Term<'a>; 3],
}

impl<'a> TreeReader<'a> {
    /// A tree as a term; files that are those of an earlier tree are its binaries.
    fn entry(
        &self,
        entry: Entry<'_>,
        earlier: Option<Entry<'_>>,
        before: Option<Term<'a>>,
    ) -> Term<'a> {
        match (entry, earlier) {
            (Entry::File(bytes), Some(Entry::File(old))) if bytes.is(old) => match before {
                Some(term) => term,
                None => term::binary(self.env, &bytes.to_vec()),
            },
            (Entry::File(bytes), _) => term::binary(self.env, &bytes.to_vec()),
            (Entry::Device(stream), _) => match self.streams.get(stream as usize) {
                Some(term) => *term,
                None => term::binary(self.env, b""),
            },
            (Entry::Directory(listing), earlier) => {
                let earlier = match earlier {
                    Some(Entry::Directory(listing)) => Some(listing),
                    _ => None,
                };
                self.directory(listing, earlier, before)
            }
        }
    }

    fn directory(
        &self,
        listing: Listing<'_>,
        earlier: Option<Listing<'_>>,
        before: Option<Term<'a>>,
    ) -> Term<'a> {
        let pairs: Vec<_> = listing
            .iter()
            .map(|(name, entry)| {
                let key = term::binary(self.env, name);
                let old = earlier.and_then(|listing| listing.get(name));
                let term = before.and_then(|map| map.map_get(key).ok());
                (key, self.entry(entry, old, term))
            })
            .collect();
        term::map(self.env, &pairs)
    }
}

/// The world between two runs, or `long`; `earlier` is one that is in that state.
#[rustler::nif]
fn world_settle<'a>(env: Env<'a>, world: Term<'a>, earlier: Term<'a>) -> Term<'a> {
    settle(env, world, earlier, INLINE_BYTES)
        .unwrap_or_else(|failure| (atoms::error(), failure).encode(env))
}

#[rustler::nif(schedule = "DirtyCpu")]
fn world_settle_dirty<'a>(env: Env<'a>, world: Term<'a>, earlier: Term<'a>) -> Term<'a> {
    settle(env, world, earlier, u64::MAX)
        .unwrap_or_else(|failure| (atoms::error(), failure).encode(env))
}

fn settle<'a>(
    env: Env<'a>,
    world: Term<'a>,
    earlier: Term<'a>,
    limit: u64,
) -> Result<Term<'a>, Failure<'a>> {
    let state = &decode(world)?.state;
    let (_, same) = state.has_files_of(&decode(earlier)?.state);
    if same {
        return Ok(WorldRes::term(env, state.rested()));
    }
    // Files are numbered anew, and share their bytes.
    if state.used_entries() * ENTRY_BYTES > limit {
        return Ok(atoms::long().encode(env));
    }
    Ok(WorldRes::term(env, state.settled()))
}

/// Whether WASI has a function of that name.
#[rustler::nif]
fn wasi_has_function(name: Binary<'_>) -> bool {
    std::str::from_utf8(&name).is_ok_and(|name| Function::from_name(name).is_some())
}
