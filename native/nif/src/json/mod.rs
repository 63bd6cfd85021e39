//! JSON texts as terms: maps with binary keys, lists, numbers, binaries, `true`, `false`, `null`.

mod decode;
mod encode;

use rustler::{Binary, Encoder, Env, Term};

use crate::atoms;
use crate::term;

/// A text of this size takes about as long as a scheduler may be kept.
const INLINE_BYTES: usize = 64 * 1024;
/// The depth that serde_json's parser stops at: what is written can be read.
const MAX_DEPTH: usize = 127;

/// `{ok, Text}`, `{error, Reason}`, or `long` if it takes too long for a normal scheduler.
#[rustler::nif]
fn json_encode<'a>(env: Env<'a>, value: Term<'a>) -> Term<'a> {
    written(env, encode::encode(value, INLINE_BYTES))
}

#[rustler::nif(schedule = "DirtyCpu")]
fn json_encode_dirty<'a>(env: Env<'a>, value: Term<'a>) -> Term<'a> {
    written(env, encode::encode(value, usize::MAX))
}

fn written<'a>(env: Env<'a>, outcome: Result<Vec<u8>, encode::Failure<'a>>) -> Term<'a> {
    match outcome {
        Ok(text) => (atoms::ok(), term::binary(env, &text)).encode(env),
        Err(encode::Failure::Long) => atoms::long().encode(env),
        Err(encode::Failure::NoJson {
            path,
            message,
            value,
        }) => {
            let path: Vec<Term> = path
                .iter()
                .map(|key| term::binary(env, key.as_bytes()))
                .collect();
            let info = [
                (atoms::message(), message.encode(env)),
                (atoms::path(), path.encode(env)),
                (atoms::value(), value),
            ]
            .map(|(key, value)| (key.encode(env), value));
            (
                atoms::error(),
                (atoms::bad_argument(), term::map(env, &info)),
            )
                .encode(env)
        }
    }
}

/// `{ok, Value}`, `{error, Reason}`, or `long` if it takes too long for a normal scheduler.
#[rustler::nif]
fn json_decode<'a>(env: Env<'a>, text: Binary<'a>) -> Term<'a> {
    if text.len() > INLINE_BYTES {
        atoms::long().encode(env)
    } else {
        read(env, text)
    }
}

#[rustler::nif(schedule = "DirtyCpu")]
fn json_decode_dirty<'a>(env: Env<'a>, text: Binary<'a>) -> Term<'a> {
    read(env, text)
}

fn read<'a>(env: Env<'a>, text: Binary<'a>) -> Term<'a> {
    match decode::decode(env, text.as_slice()) {
        Ok(value) => (atoms::ok(), value).encode(env),
        Err(decode::Failure {
            message,
            line,
            column,
        }) => {
            let info = [
                (atoms::message(), message.encode(env)),
                (atoms::line(), line.encode(env)),
                (atoms::column(), column.encode(env)),
            ]
            .map(|(key, value)| (key.encode(env), value));
            (atoms::error(), (atoms::bad_json(), term::map(env, &info))).encode(env)
        }
    }
}
