//! Writes terms as JSON, names of objects in byte order, so that equal terms give equal texts.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};

use rustler::{Atom, Binary, MapIterator, Term, TermType};
use serde::ser::{Error, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::MAX_DEPTH;
use crate::atoms;

pub enum Failure<'a> {
    /// More than the given number of bytes.
    Long,
    NoJson {
        /// The keys and positions that lead to the value.
        path: Vec<String>,
        message: &'static str,
        value: Term<'a>,
    },
}

pub fn encode(value: Term<'_>, limit: usize) -> Result<Vec<u8>, Failure<'_>> {
    let context = Context {
        problem: Cell::new(None),
        path: RefCell::default(),
        left: Cell::new(limit),
    };
    let mut text = Vec::with_capacity(128);
    let limited = Limited {
        text: &mut text,
        left: &context.left,
    };
    let value = Value {
        term: value,
        depth: 0,
        context: &context,
    };
    match value.serialize(&mut serde_json::Serializer::new(limited)) {
        Ok(()) => Ok(text),
        Err(_) => match context.problem.take() {
            None => Err(Failure::Long),
            Some((message, value)) => {
                let mut path = context.path.take();
                path.reverse();
                Err(Failure::NoJson {
                    path,
                    message,
                    value,
                })
            }
        },
    }
}

struct Context<'a> {
    problem: Cell<Option<(&'static str, Term<'a>)>>,
    /// From the value outwards, noted while the error goes up.
    path: RefCell<Vec<String>>,
    /// Bytes and values that may still be written.
    left: Cell<usize>,
}

impl<'a> Context<'a> {
    fn no_json<E: Error>(&self, message: &'static str, value: Term<'a>) -> E {
        self.problem.set(Some((message, value)));
        E::custom(message)
    }

    fn within<E>(&self, key: impl Fn() -> String, error: E) -> E {
        self.path.borrow_mut().push(key());
        error
    }
}

struct Limited<'t, 'c> {
    text: &'t mut Vec<u8>,
    left: &'c Cell<usize>,
}

impl Write for Limited<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.get().checked_sub(bytes.len());
        self.left.set(left.ok_or(io::ErrorKind::OutOfMemory)?);
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Value<'a, 'c> {
    term: Term<'a>,
    depth: usize,
    context: &'c Context<'a>,
}

impl<'a> Value<'a, '_> {
    fn inner(&self, term: Term<'a>) -> Self {
        Self {
            term,
            depth: self.depth + 1,
            context: self.context,
        }
    }

    fn text<E: Error>(&self, term: Term<'a>) -> Result<&'a str, E> {
        let bytes = Binary::from_term(term)
            .map_err(|_| self.context.no_json("expected a binary", term))?
            .as_slice();
        // Looking through it takes time as well as writing it does.
        if bytes.len() > self.context.left.get() {
            return Err(E::custom("long"));
        }
        std::str::from_utf8(bytes).map_err(|_| {
            self.context
                .no_json("expected a binary that is valid UTF-8", term)
        })
    }

    fn integer<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(value) = self.term.decode::<i64>() {
            serializer.serialize_i64(value)
        } else if let Ok(value) = self.term.decode::<u64>() {
            serializer.serialize_u64(value)
        } else {
            Err(self
                .context
                .no_json("expected an integer that fits 64 bits", self.term))
        }
    }

    fn atom<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.term.decode::<Atom>() {
            Ok(atom) if atom == atoms::null() => serializer.serialize_unit(),
            Ok(atom) if atom == atoms::true_() => serializer.serialize_bool(true),
            Ok(atom) if atom == atoms::false_() => serializer.serialize_bool(false),
            _ => Err(self
                .context
                .no_json("expected no atom but true, false or null", self.term)),
        }
    }

    fn list<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(None)?;
        let mut rest = self.term;
        let mut position = 1_usize;
        while let Ok((item, tail)) = rest.list_get_cell() {
            array
                .serialize_element(&self.inner(item))
                .map_err(|error| self.context.within(|| position.to_string(), error))?;
            rest = tail;
            position += 1;
        }
        if !rest.is_empty_list() {
            return Err(self.context.no_json("expected a proper list", rest));
        }
        array.end()
    }

    fn map<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let size = self.term.map_size().unwrap_or(0);
        if size > self.context.left.get() {
            return Err(S::Error::custom("long"));
        }
        let mut entries: Vec<(&str, Term)> = Vec::with_capacity(size);
        for (key, value) in MapIterator::new(self.term).into_iter().flatten() {
            entries.push((self.text(key)?, value));
        }
        entries.sort_unstable_by_key(|(key, _)| *key);
        let mut object = serializer.serialize_map(Some(size))?;
        for (key, value) in entries {
            object
                .serialize_entry(key, &self.inner(value))
                .map_err(|error| self.context.within(|| key.to_owned(), error))?;
        }
        object.end()
    }
}

impl Serialize for Value<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.term.get_type() {
            TermType::Binary => serializer.serialize_str(self.text(self.term)?),
            TermType::Integer => self.integer(serializer),
            TermType::Float => match self.term.decode::<f64>() {
                Ok(value) => serializer.serialize_f64(value),
                Err(_) => Err(self.context.no_json("expected a number", self.term)),
            },
            TermType::Atom => self.atom(serializer),
            TermType::List | TermType::Map if self.depth >= MAX_DEPTH => Err(self
                .context
                .no_json("expected no more than 127 levels of nesting", self.term)),
            TermType::List => self.list(serializer),
            TermType::Map => self.map(serializer),
            _ => Err(self.context.no_json(
                "expected a map, list, binary, number, true, false or null",
                self.term,
            )),
        }
    }
}
