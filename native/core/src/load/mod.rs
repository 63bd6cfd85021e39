//! What happens to a module's bytes before they are compiled.
//!
//! The engine compiles the current standard. Modules of toolchains that still emit the legacy
//! exception handling instructions are [translated](legacy_exceptions) to the standard ones, and
//! what a module keeps to itself is [exported under reserved names](instrument) where the whole
//! state of its instances has to be reachable.

pub mod brief;
mod drops;
mod effort;
mod error;
mod features;
pub mod instrument;
pub mod legacy_exceptions;
pub mod long_operations;
mod nesting;
mod sections;
mod size;
mod type_sizes;

use std::borrow::Cow;
use std::fmt;

use crate::error::beginning;

pub use effort::{MAX_EFFORT, of as effort};
pub use error::LoadError;
pub use features::features;
pub use nesting::{MAX_HANDLERS_OF_CALLS, MAX_LOOP_DEPTH};
pub use size::Size;

/// To be raised when [`prepare`] makes something else of a module than before: code that is kept was
/// compiled from what it made.
pub const REVISION: u32 = 1;

/// A module's binary form, whichever it is given in.
///
/// # Errors
/// `InvalidModule` if it is text that cannot be read.
pub fn binary(source: &[u8]) -> crate::error::Result<Cow<'_, [u8]>> {
    wat::parse_bytes(source).map_err(|error| crate::Error::InvalidModule {
        message: shortened(&error.to_string()),
        offset: None,
    })
}

/// What is wrong with a text is told with the line that it is in, however long that is.
fn shortened(message: &str) -> String {
    match beginning(message) {
        all if all.len() == message.len() => all.to_owned(),
        start => format!("{start} ..."),
    }
}

/// Which transformations [`prepare`] applies beside those that compiling needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Prepare {
    /// Make the whole state of an instance reachable under [reserved names](instrument), and leave
    /// calling the start function to whoever instantiates.
    pub expose_internals: bool,
}

/// What [`prepare`] made of a module.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// What to compile; borrowed where nothing had to change.
    pub wasm: Cow<'a, [u8]>,
    /// Whether the module as it was given is known to be valid. That what was made of it is valid
    /// does not show that: a function that was exported counts as declared, and a start function
    /// that is exported instead of started may be of any type.
    pub validated: bool,
}

/// Transforms a binary module into one that the engine compiles.
///
/// The result is a function of the bytes and the options alone, so that both may serve as the key of
/// a cache.
///
/// # Errors
///
/// See [`LoadError`]; [`LoadError::Limit`] also for functions that would take the compiler too long.
/// A module without legacy instructions is not validated here.
pub fn prepare(wasm: &[u8], options: Prepare) -> Result<Prepared<'_>, LoadError> {
    let translated = legacy_exceptions::translate(wasm)?;
    nesting::check(wasm, &translated)?;
    effort::check(wasm, &translated)?;
    // Translating begins with validating.
    let validated = matches!(translated, Cow::Owned(_));
    let divided = then(translated, long_operations::divide)?;
    let wasm = if options.expose_internals {
        then(divided, instrument::instrument)?
    } else {
        divided
    };
    Ok(Prepared { wasm, validated })
}

/// The next pass over what the one before made; borrowed where neither has changed anything.
fn then<'a>(
    wasm: Cow<'a, [u8]>,
    pass: impl for<'b> Fn(&'b [u8]) -> Result<Cow<'b, [u8]>, LoadError>,
) -> Result<Cow<'a, [u8]>, LoadError> {
    match wasm {
        Cow::Borrowed(wasm) => pass(wasm),
        Cow::Owned(wasm) => match pass(&wasm)? {
            Cow::Owned(passed) => Ok(Cow::Owned(passed)),
            Cow::Borrowed(_) => Ok(Cow::Owned(wasm)),
        },
    }
}

/// What some bytes look like, judged by their beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A binary module.
    Module,
    /// A binary component.
    Component,
    /// The text format, of a module or a component.
    Text,
    /// Anything else.
    Unknown,
}

impl Kind {
    /// Tells what `bytes` look like.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Self::Module,
            // The second half of the version field is the layer: 1 is a component.
            [0, b'a', b's', b'm', _, _, 1, 0, ..] => Self::Component,
            _ => match bytes.trim_ascii_start() {
                [b'(', ..] | [b';', b';', ..] => Self::Text,
                _ => Self::Unknown,
            },
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Module => "a binary module",
            Self::Component => "a component",
            Self::Text => "the text format",
            Self::Unknown => "something else",
        })
    }
}

fn require_module(bytes: &[u8]) -> Result<(), LoadError> {
    match Kind::of(bytes) {
        Kind::Module => Ok(()),
        kind => Err(LoadError::NotAModule(kind)),
    }
}
