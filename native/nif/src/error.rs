//! Errors as `{error, {Class, Info}}`.

use rustler::{Atom, Encoder, Env, Term};
use wasmbeam_core::mounts::FolderError;
use wasmbeam_core::wasi::Errno;
use wasmbeam_core::{Error, Frame, Interruption};

use crate::atoms;
use crate::term;

/// An error of the core, or one about a term that only this crate has seen.
pub enum Failure<'a> {
    Core(Error),
    /// A term that is not what was expected.
    BadArgument {
        /// Of several things, such as arguments: what they are, and which one, counted from 1.
        position: Option<(&'static str, usize)>,
        expected: String,
        value: Term<'a>,
    },
    /// An operation on a guest's files failed.
    File {
        errno: Errno,
        path: Vec<u8>,
    },
    /// Something in a folder of the machine.
    Folder(FolderError),
}

impl From<Error> for Failure<'_> {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl<'a> Failure<'a> {
    pub fn bad(expected: impl Into<String>, value: Term<'a>) -> Self {
        Self::BadArgument {
            position: None,
            expected: expected.into(),
            value,
        }
    }
}

impl Encoder for Failure<'_> {
    fn encode<'b>(&self, env: Env<'b>) -> Term<'b> {
        match self {
            Self::Core(error) => reason(env, error),
            Self::BadArgument {
                position,
                expected,
                value,
            } => {
                let message = match position {
                    Some((what, position)) => format!("{what} {position}: expected {expected}"),
                    None => format!("expected {expected}"),
                };
                let mut info = Info::new(env, &message);
                if let Some((_, position)) = position {
                    info.put(atoms::position(), position);
                }
                info.put(atoms::expected(), expected.as_str());
                info.put(atoms::value(), value.in_env(env));
                info.reason(atoms::bad_argument())
            }
            Self::File { errno, path } => {
                let code = posix(*errno);
                let shown = String::from_utf8_lossy(path);
                let mut info = Info::new(env, &format!("{shown}: {code}"));
                info.put(atoms::code(), atom(env, &code));
                info.put(atoms::path(), term::Bytes(path));
                info.reason(atoms::file_error())
            }
            Self::Folder(error) => {
                let mut info = Info::new(env, &error.to_string());
                let path = error.path.as_os_str().as_encoded_bytes();
                info.put(atoms::path(), term::Bytes(path));
                info.reason(atoms::file_error())
            }
        }
    }
}

/// `{ok, Value}` or `{error, {Class, Info}}`.
pub fn result<'a>(env: Env<'a>, outcome: Result<impl Encoder, Failure<'a>>) -> Term<'a> {
    match outcome {
        Ok(value) => (atoms::ok(), value).encode(env),
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

/// `ok` or `{error, {Class, Info}}`.
pub fn done<'a>(env: Env<'a>, outcome: Result<(), Failure<'a>>) -> Term<'a> {
    match outcome {
        Ok(()) => atoms::ok().encode(env),
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

struct Info<'a> {
    env: Env<'a>,
    pairs: Vec<(Term<'a>, Term<'a>)>,
}

impl<'a> Info<'a> {
    fn new(env: Env<'a>, message: &str) -> Self {
        let mut info = Self {
            env,
            pairs: Vec::with_capacity(4),
        };
        info.put(atoms::message(), message);
        info
    }

    fn put(&mut self, key: Atom, value: impl Encoder) {
        self.pairs
            .push((key.encode(self.env), value.encode(self.env)));
    }

    fn put_some(&mut self, key: Atom, value: Option<impl Encoder>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn map(self) -> Term<'a> {
        term::map(self.env, &self.pairs)
    }

    fn reason(self, class: Atom) -> Term<'a> {
        let env = self.env;
        (class, self.map()).encode(env)
    }
}

/// The name of an error number as Erlang's `file` has it, such as `enoent`.
pub fn posix(errno: Errno) -> String {
    format!("e{errno:?}").to_lowercase()
}

/// `{Class, Info}`.
pub fn reason<'a>(env: Env<'a>, error: &Error) -> Term<'a> {
    let mut info = Info::new(env, &error.to_string());
    let class = match error {
        Error::InvalidModule { offset, .. } => {
            info.put_some(atoms::offset(), *offset);
            atoms::invalid_module()
        }
        Error::UnknownImport { module, name, kind } => {
            info.put(atoms::module(), module);
            info.put(atoms::name(), name);
            info.put(atoms::kind(), atom(env, kind));
            atoms::unknown_import()
        }
        Error::IncompatibleImport { module, name, .. } => {
            info.put(atoms::module(), module);
            info.put(atoms::name(), name);
            atoms::incompatible_import()
        }
        Error::UnknownExport { name, kind } => {
            info.put(atoms::name(), name);
            info.put(atoms::kind(), atom(env, kind));
            atoms::unknown_export()
        }
        Error::UnknownIndex { index, kind } => {
            info.put(atoms::index(), *index);
            info.put(atoms::kind(), atom(env, kind));
            atoms::unknown_export()
        }
        Error::BadArgument { .. } => atoms::bad_argument(),
        Error::Trap(trap) => {
            info.put(atoms::code(), atom(env, trap.code));
            info.put(atoms::backtrace(), frames(env, &trap.backtrace));
            atoms::trap()
        }
        Error::Exception(exception) => {
            let values: Vec<Term> = exception
                .values
                .iter()
                .map(|value| term::encode(env, value))
                .collect();
            info.put(atoms::values(), values);
            info.put(atoms::backtrace(), frames(env, &exception.backtrace));
            atoms::exception()
        }
        Error::LongJump => {
            info.put(atoms::code(), atoms::uncaught_longjmp());
            info.put(atoms::backtrace(), Vec::<Term>::new());
            atoms::trap()
        }
        Error::Exit { status } => {
            info.put(atoms::status(), status);
            atoms::exit()
        }
        Error::ImportFailed => atoms::import_failed(),
        Error::ImportResult {
            module,
            name,
            message,
        } => {
            let cause = Info::new(env, message).reason(atoms::bad_argument());
            info.put(atoms::module(), module);
            info.put(atoms::name(), name);
            info.put(atoms::class(), atoms::error());
            info.put(atoms::reason(), (atoms::bad_results(), cause));
            info.put(atoms::stacktrace(), Vec::<Term>::new());
            atoms::import_failed()
        }
        Error::OutOfFuel => atoms::out_of_fuel(),
        Error::Interrupted(Interruption::Timeout) => atoms::timeout(),
        Error::Interrupted(Interruption::Stopped) | Error::Stopped => atoms::stopped(),
        Error::Interrupted(why) | Error::CutShort(why) => {
            info.put(
                atoms::reason(),
                match why {
                    Interruption::Cancelled => atoms::cancelled(),
                    Interruption::Timeout => atoms::timeout(),
                    Interruption::CallerDied => atoms::caller_died(),
                    Interruption::Stopped => atoms::stopped(),
                },
            );
            atoms::interrupted()
        }
        Error::Limit {
            what,
            limit,
            requested,
        } => {
            info.put(atoms::what(), *what);
            info.put(atoms::limit(), limit);
            info.put(atoms::requested(), requested);
            atoms::limit()
        }
        Error::NodeLimit {
            what,
            limit,
            requested,
        } => {
            info.put(atoms::scope(), atoms::node());
            info.put(atoms::what(), *what);
            info.put(atoms::limit(), limit);
            info.put(atoms::requested(), requested);
            atoms::limit()
        }
        Error::OutOfBounds {
            offset,
            size,
            bound,
            ..
        } => {
            info.put(atoms::offset(), offset);
            info.put(atoms::size(), size);
            info.put(atoms::bound(), bound);
            atoms::out_of_bounds()
        }
        Error::BadSnapshot { .. } => atoms::bad_snapshot(),
        Error::BadImage { .. } => atoms::bad_image(),
        Error::NotPermitted { .. } => atoms::not_permitted(),
        Error::NotCapturable { what } => {
            info.put(atoms::what(), what);
            atoms::not_capturable()
        }
        _ => atoms::internal(),
    };
    info.reason(class)
}

fn frames<'a>(env: Env<'a>, frames: &[Frame]) -> Vec<Term<'a>> {
    frames
        .iter()
        .map(|frame| {
            let mut info = Info {
                env,
                pairs: Vec::with_capacity(5),
            };
            info.put(atoms::function_index(), frame.function_index);
            info.put_some(atoms::function(), frame.function.as_deref());
            info.put_some(atoms::module(), frame.module.as_deref());
            info.put_some(atoms::module_offset(), frame.module_offset);
            info.put_some(atoms::function_offset(), frame.function_offset);
            info.put_some(atoms::file(), frame.file.as_deref());
            info.put_some(atoms::line(), frame.line);
            info.put_some(atoms::column(), frame.column);
            info.map()
        })
        .collect()
}

/// An atom for one of this library's own names.
fn atom<'a>(env: Env<'a>, name: &str) -> Term<'a> {
    match Atom::from_str(env, name) {
        Ok(atom) => atom.encode(env),
        Err(_) => atoms::undefined().encode(env),
    }
}
