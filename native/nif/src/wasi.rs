//! What a guest asks of the embedder through WASI, as terms.

use rustler::types::tuple::get_tuple;
use rustler::{Atom, Binary, Encoder, Env, Term};
use wasmbeam_core::wasi::{ClockId, Errno, OutputStream};
use wasmbeam_core::{Question, Reply};

use crate::atoms;
use crate::error::Failure;
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

/// `elapsed`, `{stdin, Bytes}`, `{written, Count}`, `{time, Ns}`, `{random, Bytes}` or
/// `{errno, again | io}`.
pub fn reply(term: Term<'_>) -> Result<Reply, Failure<'_>> {
    let wrong = || Failure::bad("a reply to the guest's question", term);
    if term.decode::<Atom>().is_ok_and(|a| a == atoms::elapsed()) {
        return Ok(Reply::Elapsed);
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
