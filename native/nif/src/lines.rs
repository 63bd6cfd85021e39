//! Output of a guest, cut into lines.

use parking_lot::Mutex;
use rustler::schedule::consume_timeslice;
use rustler::{Encoder, Env, Resource, ResourceArc, Term};

use crate::atoms;
use crate::error::{self, Failure};
use crate::events;
use crate::module::PAGE_PERCENT;
use crate::term::{self, SavedTerms};

/// A line that is longer is cut.
const MAX_LINE: usize = 64 << 10;

/// What was written since the last end of a line.
///
/// The Erlang runtime guarantees that `destructor` runs once, after the last reference is gone: the
/// instance is, then, and its last line is told to `wasmbeam_events`.
struct LinesRes {
    rest: Mutex<Vec<u8>>,
    about: SavedTerms,
}

#[rustler::resource_impl]
impl Resource for LinesRes {
    const IMPLEMENTS_DESTRUCTOR: bool = true;

    fn destructor(self, env: Env<'_>) {
        let rest = self.rest.into_inner();
        if !rest.is_empty() {
            let about = &self.about;
            events::tell(env, atoms::last_line(), |env| {
                (about.load(env), term::Bytes(&rest)).encode(env)
            });
        }
    }
}

/// A place for a stream's output; `about` is told with the last line.
#[rustler::nif]
fn lines_new<'a>(env: Env<'a>, about: Term<'a>) -> Term<'a> {
    let lines = LinesRes {
        rest: Mutex::default(),
        about: SavedTerms::new(about),
    };
    error::result(env, Ok(ResourceArc::new(lines)))
}

/// So many lines are made in the time that a scheduler may be kept.
const LINES_AT_ONCE: usize = 500;

/// Adds output, and gives the lines that it completes, without their ends: `{ok, {Lines, Taken}}`.
/// Bytes from the place `Taken` on are to be added next.
#[rustler::nif]
fn lines_add<'a>(env: Env<'a>, lines: Term<'a>, bytes: rustler::Binary<'a>) -> Term<'a> {
    let complete = lines
        .decode::<ResourceArc<LinesRes>>()
        .map_err(|_| Failure::bad("lines", lines))
        .map(|lines| {
            let mut complete = Vec::new();
            let mut taken = 0;
            let mut rest = lines.rest.lock();
            for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                let (text, ended) = match piece.strip_suffix(b"\n") {
                    Some(text) => (text, true),
                    None => (piece, false),
                };
                let room = MAX_LINE - rest.len();
                let (first, more) = text.split_at(text.len().min(room));
                rest.extend_from_slice(first);
                for part in more.chunks(MAX_LINE) {
                    complete.push(term::Bytes(&rest).encode(env));
                    rest.clear();
                    rest.extend_from_slice(part);
                }
                if ended {
                    complete.push(term::Bytes(&rest).encode(env));
                    rest.clear();
                }
                taken += piece.len();
                if complete.len() >= LINES_AT_ONCE {
                    break;
                }
            }
            if taken < bytes.len() {
                consume_timeslice(env, PAGE_PERCENT);
            }
            (complete, taken)
        });
    error::result(env, complete)
}

/// Takes what has no end yet.
#[rustler::nif]
fn lines_take<'a>(env: Env<'a>, lines: Term<'a>) -> Term<'a> {
    let rest = lines
        .decode::<ResourceArc<LinesRes>>()
        .map_err(|_| Failure::bad("lines", lines))
        .map(|lines| std::mem::take(&mut *lines.rest.lock()));
    error::result(env, rest.map(|rest| term::Bytes(&rest).encode(env)))
}
