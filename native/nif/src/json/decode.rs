//! Builds terms while the text is parsed, without a tree in between.

use std::cell::Cell;
use std::fmt;

use rustler::{Encoder, Env, Term};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use crate::atoms;
use crate::term;

pub struct Failure {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

pub fn decode<'a>(env: Env<'a>, text: &[u8]) -> Result<Term<'a>, Failure> {
    let rounded = Cell::new(false);
    let seed = Value {
        env,
        rounded: &rounded,
    };
    let mut parser = serde_json::Deserializer::from_slice(text);
    let value = seed
        .deserialize(&mut parser)
        .and_then(|value| parser.end().map(|()| value))
        .map_err(|error| Failure {
            message: error.to_string(),
            line: error.line(),
            column: error.column(),
        })?;
    match rounded.get().then(|| beyond_64_bits(text)).flatten() {
        None => Ok(value),
        Some(offset) => Err(at_offset(
            text,
            offset,
            "an integer that does not fit 64 bits",
        )),
    }
}

#[derive(Clone, Copy)]
struct Value<'a, 'c> {
    env: Env<'a>,
    /// Whether a float was seen that may have been written as an integer: the parser makes floats
    /// of integers that are too long.
    rounded: &'c Cell<bool>,
}

impl<'de, 'a> DeserializeSeed<'de> for Value<'a, '_> {
    type Value = Term<'a>;

    fn deserialize<D: serde::Deserializer<'de>>(self, parser: D) -> Result<Term<'a>, D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de, 'a> Visitor<'de> for Value<'a, '_> {
    type Value = Term<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Term<'a>, E> {
        Ok(atoms::null().encode(self.env))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Term<'a>, E> {
        Ok(value.encode(self.env))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Term<'a>, E> {
        Ok(value.encode(self.env))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Term<'a>, E> {
        Ok(value.encode(self.env))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Term<'a>, E> {
        if !value.is_finite() {
            return Err(E::custom("number out of range"));
        }
        // 2^63: the least magnitude of an integer that the parser may have rounded.
        if value.abs() >= 9_223_372_036_854_775_808.0 {
            self.rounded.set(true);
        }
        Ok(value.encode(self.env))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Term<'a>, E> {
        Ok(term::binary(self.env, value.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Term<'a>, A::Error> {
        let mut terms = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            terms.push(item);
        }
        Ok(terms.encode(self.env))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Term<'a>, A::Error> {
        let mut keys = Vec::new();
        let mut values = Vec::new();
        while let Some(key) = entries.next_key_seed(self)? {
            keys.push(key);
            values.push(entries.next_value_seed(self)?);
        }
        match Term::map_from_term_arrays(self.env, &keys, &values) {
            Ok(map) => Ok(map),
            // A name twice: the last one counts, as with most parsers.
            Err(_) => keys
                .iter()
                .zip(&values)
                .try_fold(Term::map_new(self.env), |map, (key, value)| {
                    map.map_put(*key, *value)
                })
                .map_err(|_| A::Error::custom("no map can be made of this object")),
        }
    }
}

/// Where the first integer starts that neither `i64` nor `u64` holds, in a valid text.
fn beyond_64_bits(text: &[u8]) -> Option<usize> {
    let mut bytes = text.iter().copied().enumerate().peekable();
    while let Some((start, byte)) = bytes.next() {
        match byte {
            b'"' => {
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => _ = bytes.next(),
                        _ => (),
                    }
                }
            }
            b'-' | b'0'..=b'9' => {
                let mut end = start + 1;
                while let Some((at, _)) = bytes.next_if(|(_, byte)| is_of_number(*byte)) {
                    end = at + 1;
                }
                let number = text
                    .get(start..end)
                    .and_then(|number| std::str::from_utf8(number).ok())?;
                let is_integer = number
                    .bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_digit());
                if is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Some(start);
                }
            }
            _ => (),
        }
    }
    None
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E')
}

fn at_offset(text: &[u8], offset: usize, what: &str) -> Failure {
    let before = text.get(..offset).unwrap_or_default();
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + before
        .iter()
        .rev()
        .take_while(|byte| **byte != b'\n')
        .count();
    Failure {
        message: format!("{what} at line {line} column {column}"),
        line,
        column,
    }
}
