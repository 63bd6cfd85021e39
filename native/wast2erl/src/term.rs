//! Erlang terms, and their external format ("External Term Format" in the ERTS
//! User's Guide).

#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    Atom(&'static str),
    Integer(i128),
    Binary(Vec<u8>),
    Tuple(Vec<Term>),
    List(Vec<Term>),
}

impl Term {
    pub fn binary(bytes: impl AsRef<[u8]>) -> Term {
        Term::Binary(bytes.as_ref().to_vec())
    }

    pub fn integer(value: impl Into<i128>) -> Term {
        Term::Integer(value.into())
    }

    /// `{Tag, Field, ...}`, as a record would be.
    pub fn tagged<const N: usize>(tag: &'static str, fields: [Term; N]) -> Term {
        let mut elements = vec![Term::Atom(tag)];
        elements.extend(fields);
        Term::Tuple(elements)
    }

    pub fn to_external(&self) -> Vec<u8> {
        let mut out = vec![131];
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Term::Atom(name) => {
                out.extend([119, name.len() as u8]);
                out.extend(name.as_bytes());
            }
            Term::Integer(value) => write_integer(*value, out),
            Term::Binary(bytes) => {
                out.push(109);
                write_length(bytes.len(), out);
                out.extend(bytes);
            }
            Term::Tuple(elements) => {
                out.push(105);
                write_length(elements.len(), out);
                elements.iter().for_each(|element| element.write(out));
            }
            Term::List(elements) => {
                if !elements.is_empty() {
                    out.push(108);
                    write_length(elements.len(), out);
                    elements.iter().for_each(|element| element.write(out));
                }
                out.push(106);
            }
        }
    }
}

/// Lengths are 32 bits in the format, and a script that is larger does not lex.
fn write_length(length: usize, out: &mut Vec<u8>) {
    out.extend((length as u32).to_be_bytes());
}

fn write_integer(value: i128, out: &mut Vec<u8>) {
    if let Ok(small) = i32::try_from(value) {
        out.push(98);
        out.extend(small.to_be_bytes());
    } else {
        let magnitude = value.unsigned_abs().to_le_bytes();
        out.extend([110, magnitude.len() as u8, u8::from(value < 0)]);
        out.extend(magnitude);
    }
}

#[cfg(test)]
mod tests {
    use super::Term;

    // The expected bytes are what `term_to_binary/1` of OTP 25 gives, but for
    // integers, which may be written longer than needed.
    #[test]
    fn a_tuple_of_an_atom_a_binary_and_an_empty_list() {
        let term = Term::tagged("ok", [Term::binary("ab"), Term::List(vec![])]);
        assert_eq!(
            term.to_external(),
            [
                131, 105, 0, 0, 0, 3, 119, 2, b'o', b'k', 109, 0, 0, 0, 2, b'a', b'b', 106
            ]
        );
    }

    #[test]
    fn a_list_ends_with_nil() {
        let term = Term::List(vec![Term::integer(-2)]);
        assert_eq!(
            term.to_external(),
            [131, 108, 0, 0, 0, 1, 98, 255, 255, 255, 254, 106]
        );
    }

    #[test]
    fn an_integer_beyond_32_bits_is_written_little_endian_with_its_sign() {
        let mut expected = vec![131, 110, 16, 1, 0, 0, 0, 0, 0, 0, 0, 0x80];
        expected.resize(20, 0);
        assert_eq!(Term::integer(i64::MIN).to_external(), expected);
    }
}
