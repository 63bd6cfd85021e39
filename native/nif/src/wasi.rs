//! A guest's WASI world as terms: what it is started with, and what it asks of the embedder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use parking_lot::Mutex;
use rustler::types::tuple::get_tuple;
use rustler::{Atom, Binary, Encoder, Env, MapIterator, Resource, ResourceArc, Term};
use wasmbeam_core::mounts::{self, Mirror, Room, Tree};
use wasmbeam_core::store::Wasi;
use wasmbeam_core::wasi::{
    ClockId, ClockSource, ConfigError, Errno, Node, OutputSink, OutputStream, Preopen, Quotas,
    RandomSource, StdinSource, WasiConfig, WasiState,
};
use wasmbeam_core::wasi_host::{Access, Folder, HostWasi};
use wasmbeam_core::{Error, Question, Reply};

use crate::atoms;
use crate::error::{Failure, posix};
use crate::reaper;
use crate::term;

/// `{wait, Ns | infinity, Stdin}`, `{stdin, MaxLen, Nonblocking}`, `{output, Stream, Bytes}`,
/// `{clock, Id}` or `{random, Len}`.
pub fn question<'a>(env: Env<'a>, question: &Question) -> Term<'a> {
    match question {
        Question::Wait { timeout_ns, stdin } => {
            let timeout = match timeout_ns {
                Some(timeout) => timeout.encode(env),
                None => atoms::infinity().encode(env),
            };
            (atoms::wait(), timeout, stdin).encode(env)
        }
        Question::Stdin {
            max_len,
            nonblocking,
        } => (atoms::stdin(), max_len, nonblocking).encode(env),
        Question::Output { stream, bytes } => {
            let stream = match stream {
                OutputStream::Stdout => atoms::stdout(),
                OutputStream::Stderr => atoms::stderr(),
            };
            (atoms::output(), stream, term::binary(env, bytes)).encode(env)
        }
        Question::Clock { id } => {
            let id = match id {
                ClockId::Realtime => atoms::realtime(),
                ClockId::Monotonic => atoms::monotonic(),
                ClockId::ProcessCpuTime => atoms::process_cputime_id(),
                ClockId::ThreadCpuTime => atoms::thread_cputime_id(),
            };
            (atoms::clock(), id).encode(env)
        }
        Question::Random { len } => (atoms::random(), len).encode(env),
    }
}

/// `elapsed`, `readable`, `{stdin, Bytes}`, `{written, Count}`, `{time, Ns}`, `{random, Bytes}` or
/// `{errno, again | io}`.
pub fn reply(term: Term<'_>) -> Result<Reply, Failure<'_>> {
    let wrong = || Failure::bad("a reply to the guest's question", term);
    if term.decode::<Atom>().is_ok_and(|a| a == atoms::elapsed()) {
        return Ok(Reply::Elapsed);
    }
    if term.decode::<Atom>().is_ok_and(|a| a == atoms::readable()) {
        return Ok(Reply::Readable);
    }
    let parts = get_tuple(term).map_err(|_| wrong())?;
    let [tag, value] = parts[..] else {
        return Err(wrong());
    };
    let tag: Atom = tag.decode().map_err(|_| wrong())?;
    let bytes = || value.decode::<Binary>().map(|b| b.as_slice().to_vec());
    if tag == atoms::stdin() {
        bytes().map(Reply::Stdin).map_err(|_| wrong())
    } else if tag == atoms::random() {
        bytes().map(Reply::Random).map_err(|_| wrong())
    } else if tag == atoms::written() {
        value.decode().map(Reply::Written).map_err(|_| wrong())
    } else if tag == atoms::time() {
        value.decode().map(Reply::Time).map_err(|_| wrong())
    } else if tag == atoms::errno() {
        match value.decode::<Atom>() {
            Ok(atom) if atom == atoms::again() => Ok(Reply::Error(Errno::Again)),
            Ok(atom) if atom == atoms::io() => Ok(Reply::Error(Errno::Io)),
            _ => Err(wrong()),
        }
    } else {
        Err(wrong())
    }
}

/// The WASI world of an instance that is not instantiated yet.
pub struct WasiRes(Mutex<Option<World>>);

/// With the folders that follow its tree, and what they hold.
type World = (Wasi, Vec<(Mirror, Tree)>);

#[rustler::resource_impl]
impl Resource for WasiRes {}

impl WasiRes {
    /// There is one world for one instance.
    pub fn take(&self) -> Option<World> {
        self.0.lock().take()
    }
}

/// That of an instance that never came to be.
impl Drop for WasiRes {
    fn drop(&mut self) {
        if let Some(world) = self.take() {
            reaper::discard(world);
        }
    }
}

/// What `wasi_new/1` gave, or `none`.
pub fn decode(term: Term<'_>) -> Result<Option<ResourceArc<WasiRes>>, Failure<'_>> {
    if term.decode::<Atom>().is_ok_and(|a| a == atoms::none()) {
        return Ok(None);
    }
    term.decode()
        .map(Some)
        .map_err(|_| Failure::bad("the WASI world of one instance", term))
}

/// Makes the world that the options describe: `{ok, World}` or `{bad_option, Key, Reason}`. Every
/// option is as `wasmbeam_wasi` leaves it.
#[rustler::nif]
fn wasi_new<'a>(env: Env<'a>, options: Term<'a>) -> Term<'a> {
    create(env, options)
}

/// For what takes longer than a scheduler may be kept.
#[rustler::nif(schedule = "DirtyCpu")]
fn wasi_new_dirty<'a>(env: Env<'a>, options: Term<'a>) -> Term<'a> {
    create(env, options)
}

/// For a world with folders of the machine.
#[rustler::nif(schedule = "DirtyIo")]
fn wasi_new_host<'a>(env: Env<'a>, options: Term<'a>) -> Term<'a> {
    create(env, options)
}

fn create<'a>(env: Env<'a>, options: Term<'a>) -> Term<'a> {
    match world(options) {
        Ok(world) => {
            let world = ResourceArc::new(WasiRes(Mutex::new(Some(world))));
            (atoms::ok(), world).encode(env)
        }
        Err((key, failure)) => (atoms::bad_option(), key, failure).encode(env),
    }
}

fn world(options: Term<'_>) -> Result<World, Refused<'_>> {
    let mut config = config(options)?;
    let descriptors = config.quotas.descriptors;
    let mounts = match options.map_get(atoms::mounts()) {
        Ok(mounts) => load(mounts, &mut config).map_err(|failure| (atoms::fs(), failure))?,
        Err(_) => Vec::new(),
    };
    let mut state = WasiState::new(config).map_err(|error| (culprit(&error), refusal(&error)))?;
    let Ok(folders) = options.map_get(atoms::folders()) else {
        let mirrors = mount(&mut state, mounts).map_err(|failure| (atoms::fs(), failure))?;
        return Ok((Wasi::State(Box::new(state)), mirrors));
    };
    let refused = |failure| (atoms::preopens(), failure);
    let folders = term::list::<Term>(folders)
        .ok_or_else(|| refused(Failure::bad("a list of folders", folders)))?
        .into_iter()
        .map(folder)
        .collect::<Result<_, _>>()
        .map_err(refused)?;
    HostWasi::open(state, folders, descriptors)
        .map(|host| (Wasi::Host(Box::new(host)), Vec::new()))
        .map_err(|error| refused(error.into()))
}

/// Puts what is in folders of the machine into the tree.
fn load<'a>(term: Term<'a>, config: &mut WasiConfig) -> Result<Vec<Folder>, Failure<'a>> {
    let mounts = term::list::<Term>(term)
        .ok_or_else(|| Failure::bad("a list of folders", term))?
        .into_iter()
        .map(folder)
        .collect::<Result<Vec<_>, _>>()?;
    let mut room = Room {
        files: config.quotas.files,
        bytes: config.quotas.bytes,
    };
    for mount in &mounts {
        let loaded = mounts::load(&mount.path, &mut room).map_err(|error| {
            Failure::Core(Error::BadArgument {
                message: error.to_string(),
            })
        })?;
        let place = place(&mut config.files, mount.name.as_bytes());
        *place.ok_or_else(|| Failure::bad("a path in the tree", term))? = loaded;
    }
    Ok(mounts)
}

/// What is at a path of a tree that has no links on it.
fn place<'a>(tree: &'a mut Node, path: &[u8]) -> Option<&'a mut Node> {
    let names = path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty());
    let mut node = tree;
    for name in names {
        node = match node {
            Node::Directory(entries) => entries.get_mut(name)?,
            Node::File(_) | Node::Symlink(_) => return None,
        };
    }
    Some(node)
}

/// Makes what is to stay as it is read-only, and gives the folders that are to follow.
fn mount<'a>(
    state: &mut WasiState,
    mounts: Vec<Folder>,
) -> Result<Vec<(Mirror, Tree)>, Failure<'a>> {
    for mount in &mounts {
        if mount.access == Access::ReadOnly {
            let path = mount.name.clone().into_bytes();
            let marked = state.set_read_only(&path);
            marked.map_err(|errno| Failure::File { errno, path })?;
        }
    }
    let tree = Tree::of(state);
    let mirrors = mounts
        .into_iter()
        .filter(|mount| mount.access == Access::ReadWrite)
        .map(|mount| Mirror::new(mount.path, mount.name.into_bytes(), tree.clone()))
        .map(|mirror| (mirror, tree.clone()))
        .collect();
    Ok(mirrors)
}

/// `{Name, Path, ro | rw}`.
fn folder(term: Term<'_>) -> Result<Folder, Failure<'_>> {
    let (name, path, access): (Binary, Binary, Atom) = term
        .decode()
        .map_err(|_| Failure::bad("a name, a path, and ro or rw", term))?;
    let name = std::str::from_utf8(&name).map_err(|_| Failure::bad("a name in UTF-8", term))?;
    Ok(Folder {
        name: name.to_owned(),
        path: path_of(&path).ok_or_else(|| Failure::bad("the path of a folder", term))?,
        access: if access == atoms::rw() {
            Access::ReadWrite
        } else {
            Access::ReadOnly
        },
    })
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}

fn culprit(error: &ConfigError) -> Atom {
    match error {
        ConfigError::InvalidString | ConfigError::StringsTooLong => atoms::env(),
        ConfigError::NotADirectory | ConfigError::Files(_) => atoms::fs(),
        ConfigError::QuotaTooGreat => atoms::quotas(),
        ConfigError::Preopen { .. } => atoms::preopens(),
    }
}

fn refusal<'a>(error: &ConfigError) -> Failure<'a> {
    let message = match error {
        ConfigError::Files(errno) => format!("the tree of files is refused: {}", posix(*errno)),
        ConfigError::Preopen { name, reason } => {
            format!(
                "the preopened directory {name} is refused: {}",
                posix(*reason)
            )
        }
        error => error.to_string(),
    };
    Failure::Core(Error::BadArgument { message })
}

type Refused<'a> = (Atom, Failure<'a>);

fn config(options: Term<'_>) -> Result<WasiConfig, Refused<'_>> {
    let mut config = WasiConfig::default();
    let option = |key: Atom| options.map_get(key).ok();
    let wrong = |key: Atom, term| (key, Failure::bad("an option of wasi", term));
    if let Some(term) = option(atoms::args()) {
        let args: Vec<Binary> = term::list(term).ok_or_else(|| wrong(atoms::args(), term))?;
        config.args = args.iter().map(|arg| arg.to_vec()).collect();
    }
    if let Some(term) = option(atoms::env()) {
        config.env = pairs(term).ok_or_else(|| wrong(atoms::env(), term))?;
    }
    if let Some(term) = option(atoms::fs()) {
        config.files = node(term).map_err(|failure| (atoms::fs(), failure))?;
    }
    if let Some(term) = option(atoms::preopens()) {
        let preopens = pairs(term).ok_or_else(|| wrong(atoms::preopens(), term))?;
        config.preopens = preopens
            .into_iter()
            .map(|(name, path)| Preopen { name, path })
            .collect();
    }
    if let Some(term) = option(atoms::stdin()) {
        config.stdin = match term.decode::<Binary>() {
            Ok(bytes) => StdinSource::Bytes(bytes.to_vec()),
            Err(_) => StdinSource::Embedder,
        };
    }
    for (key, sink) in [
        (atoms::stdout(), &mut config.stdout),
        (atoms::stderr(), &mut config.stderr),
    ] {
        if let Some(term) = option(key) {
            *sink = match tagged(term, atoms::capture()) {
                Some(limit) => OutputSink::Capture { limit },
                None => OutputSink::Embedder,
            };
        }
    }
    if let Some(term) = option(atoms::clock()) {
        config.clock = match tagged(term, atoms::fixed()) {
            Some(time) => ClockSource::Fixed(time),
            None if is_system(term) => ClockSource::System,
            None => ClockSource::Embedder,
        };
    }
    if let Some(term) = option(atoms::random()) {
        config.random = match tagged(term, atoms::seed()) {
            Some(seed) => RandomSource::Seed(seed),
            None if is_system(term) => RandomSource::System,
            None => RandomSource::Embedder,
        };
    }
    if let Some(term) = option(atoms::quotas()) {
        let (files, bytes, descriptors) =
            term.decode().map_err(|_| wrong(atoms::quotas(), term))?;
        config.quotas = Quotas {
            files,
            bytes,
            descriptors,
        };
    }
    if let Some(term) = option(atoms::terminal()) {
        config.terminal = term.decode().map_err(|_| wrong(atoms::terminal(), term))?;
    }
    Ok(config)
}

pub fn pairs(term: Term<'_>) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let pairs: Vec<(Binary, Binary)> = term::list(term)?;
    Some(
        pairs
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect(),
    )
}

/// The number of `{Tag, Number}`.
pub fn tagged(term: Term<'_>, tag: Atom) -> Option<u64> {
    let (found, number): (Atom, u64) = term.decode().ok()?;
    (found == tag).then_some(number)
}

fn is_system(term: Term<'_>) -> bool {
    term.decode::<Atom>().is_ok_and(|a| a == atoms::system())
}

/// More than any filesystem takes.
const MAX_DEPTH: usize = 300;

/// A directory that is being read.
struct Open<'a> {
    name: Vec<u8>,
    entries: MapIterator<'a>,
    directory: BTreeMap<Vec<u8>, Node>,
}

/// Reads a tree of files: a map for a directory, a binary for a file, `{symlink, Target}`.
///
/// Not by recursion: the stack of a scheduler is small.
pub fn node(term: Term<'_>) -> Result<Node, Failure<'_>> {
    // From the root down.
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut given = Some((Vec::new(), term));
    loop {
        let made = match given.take() {
            Some((name, term)) => match MapIterator::new(term) {
                Some(_) if open.len() > MAX_DEPTH => {
                    return Err(Failure::Core(Error::BadArgument {
                        message: format!(
                            "the tree of files is more than {MAX_DEPTH} directories deep"
                        ),
                    }));
                }
                Some(entries) => {
                    open.push(Open {
                        name,
                        entries,
                        directory: BTreeMap::new(),
                    });
                    None
                }
                None => Some((name, leaf(term)?)),
            },
            // The last directory has no more entries.
            None => open.pop().map(|ended| {
                let node = Node::Directory(ended.directory);
                (ended.name, node)
            }),
        };
        let Some(last) = open.last_mut() else {
            return made
                .map(|(_, root)| root)
                .ok_or_else(|| Failure::bad("a tree of files", term));
        };
        if let Some((name, node)) = made {
            last.directory.insert(name, node);
        }
        if let Some((name, entry)) = last.entries.next() {
            let name: Binary = name
                .decode()
                .map_err(|_| Failure::bad("the name of a file, as a binary", name))?;
            given = Some((name.to_vec(), entry));
        }
    }
}

fn leaf(term: Term<'_>) -> Result<Node, Failure<'_>> {
    if let Ok(bytes) = term.decode::<Binary>() {
        return Ok(Node::File(bytes.to_vec()));
    }
    if let Ok((tag, target)) = term.decode::<(Atom, Binary)>()
        && tag == atoms::symlink()
    {
        return Ok(Node::Symlink(target.to_vec()));
    }
    Err(Failure::bad(
        "a binary for a file, a map for a directory, or {symlink, Target}",
        term,
    ))
}

/// The tree as `node` reads it.
pub fn encode_node<'a>(env: Env<'a>, node: &Node) -> Term<'a> {
    match node {
        Node::File(bytes) => term::binary(env, bytes),
        Node::Symlink(target) => (atoms::symlink(), term::Bytes(target)).encode(env),
        Node::Directory(entries) => {
            let mut pairs = Vec::with_capacity(entries.len());
            for (name, entry) in entries {
                pairs.push((term::binary(env, name), encode_node(env, entry)));
            }
            term::map(env, &pairs)
        }
    }
}
