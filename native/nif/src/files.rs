//! The files and captured outputs of a live instance.
//!
//! Answers `{queued, Ticket}` and `again` mean the same as in `call`.

use rustler::{Atom, Binary, Encoder, Env, Term};
use wasmbeam_core::Error;
use wasmbeam_core::store::Coroutine;
use wasmbeam_core::wasi::{Errno, FileType, OutputStream, Stat, WasiState};

use crate::atoms;
use crate::error::Failure;
use crate::instance::visit;
use crate::term;
use crate::wasi;

/// Runs `operation` on the files of a virtual world.
fn visit_files<'a, R: Send + 'static>(
    env: Env<'a>,
    instance: Term<'a>,
    operation: impl FnOnce(&mut WasiState) -> R + Send + 'static,
    encode: impl FnOnce(R) -> Term<'a>,
) -> Term<'a> {
    let on_files = |coroutine: &mut Coroutine, index| coroutine.files(index, operation);
    visit(env, instance, on_files, encode)
}

/// Longer paths are refused, whatever follows.
const ENOUGH_OF_A_PATH: usize = 4096;

/// As `visit_files`, for an operation at a path.
fn at_path<'a, R: Send + 'static>(
    env: Env<'a>,
    instance: Term<'a>,
    path: Binary<'a>,
    operation: impl FnOnce(&mut WasiState, &[u8]) -> Result<R, Errno> + Send + 'static,
    encode: impl FnOnce(R) -> Term<'a>,
) -> Term<'a> {
    let path = path.get(..ENOUGH_OF_A_PATH).unwrap_or(path.as_slice());
    let owned = path.to_vec();
    visit_files(
        env,
        instance,
        move |state| operation(state, &owned),
        |result| match result {
            Ok(answer) => encode(answer),
            Err(errno) => {
                let path = path.to_vec();
                (atoms::error(), Failure::File { errno, path }).encode(env)
            }
        },
    )
}

#[rustler::nif(schedule = "DirtyCpu")]
fn fs_read<'a>(env: Env<'a>, instance: Term<'a>, path: Binary<'a>) -> Term<'a> {
    at_path(
        env,
        instance,
        path,
        |state, path| state.read_file(path),
        |bytes| (atoms::ok(), term::Bytes(&bytes)).encode(env),
    )
}

/// Writes a file, or puts a directory or a symbolic link in place of what is there.
#[rustler::nif(schedule = "DirtyCpu")]
fn fs_write<'a>(
    env: Env<'a>,
    instance: Term<'a>,
    path: Binary<'a>,
    contents: Term<'a>,
) -> Term<'a> {
    let done = |()| atoms::ok().encode(env);
    if let Ok(bytes) = contents.decode::<Binary>() {
        let bytes = bytes.to_vec();
        return at_path(
            env,
            instance,
            path,
            move |state, path| state.write_file(path, &bytes),
            done,
        );
    }
    match wasi::node(contents) {
        Ok(node) => at_path(
            env,
            instance,
            path,
            move |state, path| state.put(path, &node),
            done,
        ),
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

/// `{ok, Names}`, in the order of their bytes.
#[rustler::nif(schedule = "DirtyCpu")]
fn fs_list<'a>(env: Env<'a>, instance: Term<'a>, path: Binary<'a>) -> Term<'a> {
    at_path(
        env,
        instance,
        path,
        |state, path| state.list(path),
        |entries| {
            let names: Vec<_> = entries.iter().map(|(name, _)| term::Bytes(name)).collect();
            (atoms::ok(), names).encode(env)
        },
    )
}

#[rustler::nif(schedule = "DirtyCpu")]
fn fs_remove<'a>(env: Env<'a>, instance: Term<'a>, path: Binary<'a>) -> Term<'a> {
    at_path(
        env,
        instance,
        path,
        |state, path| state.remove(path),
        |()| atoms::ok().encode(env),
    )
}

#[rustler::nif]
fn fs_stat<'a>(env: Env<'a>, instance: Term<'a>, path: Binary<'a>) -> Term<'a> {
    at_path(
        env,
        instance,
        path,
        |state, path| state.stat(path),
        |stat| (atoms::ok(), describe(env, &stat)).encode(env),
    )
}

fn describe<'a>(env: Env<'a>, stat: &Stat) -> Term<'a> {
    let file_type = match stat.file_type {
        FileType::Directory => atoms::directory(),
        FileType::RegularFile => atoms::regular(),
        FileType::SymbolicLink => atoms::symlink(),
        FileType::CharacterDevice => atoms::character_device(),
        FileType::Unknown => atoms::unknown(),
    };
    let pairs = [
        (atoms::type_(), file_type.encode(env)),
        (atoms::inode(), stat.inode.encode(env)),
        (atoms::links(), stat.links.encode(env)),
        (atoms::size(), stat.size.encode(env)),
        (atoms::accessed(), stat.accessed.encode(env)),
        (atoms::modified(), stat.modified.encode(env)),
        (atoms::changed(), stat.changed.encode(env)),
    ]
    .map(|(key, value)| (key.encode(env), value));
    term::map(env, &pairs)
}

/// Everything at a path, by value.
#[rustler::nif(schedule = "DirtyCpu")]
fn fs_get<'a>(env: Env<'a>, instance: Term<'a>, path: Binary<'a>) -> Term<'a> {
    at_path(
        env,
        instance,
        path,
        |state, path| state.node(path),
        |node| (atoms::ok(), wasi::encode_node(env, &node)).encode(env),
    )
}

/// Replaces the whole tree.
#[rustler::nif(schedule = "DirtyCpu")]
fn fs_put<'a>(env: Env<'a>, instance: Term<'a>, tree: Term<'a>) -> Term<'a> {
    match wasi::node(tree) {
        Ok(node) => visit_files(
            env,
            instance,
            move |state| state.replace_tree(&node),
            |result| match result {
                Ok(()) => atoms::ok().encode(env),
                Err(errno) => {
                    let path = b"/".to_vec();
                    (atoms::error(), Failure::File { errno, path }).encode(env)
                }
            },
        ),
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

/// What was captured of an output, and how many bytes were not because of its limit:
/// `{ok, {Bytes, Discarded}}`. `take` leaves it empty.
#[rustler::nif(schedule = "DirtyCpu")]
fn output<'a>(env: Env<'a>, instance: Term<'a>, stream: Atom, take: bool) -> Term<'a> {
    let stream = if stream == atoms::stdout() {
        OutputStream::Stdout
    } else if stream == atoms::stderr() {
        OutputStream::Stderr
    } else {
        let message = "expected stdout or stderr".into();
        let failure = Failure::Core(Error::BadArgument { message });
        return (atoms::error(), failure).encode(env);
    };
    let captured = move |state: &mut WasiState| {
        let discarded = state.discarded(stream);
        let bytes = if take {
            state.take_captured(stream)
        } else {
            state.captured(stream)
        };
        (bytes, discarded)
    };
    visit(
        env,
        instance,
        |coroutine, index| coroutine.wasi(index, captured),
        |(bytes, discarded)| (atoms::ok(), (term::Bytes(&bytes), discarded)).encode(env),
    )
}
