//! Splits a script into its parenthesised forms.
//!
//! Each directive is parsed by itself, so that one that the `wast` crate cannot
//! parse is reported by its line, and the rest of the script still runs.

use wast::lexer::{Lexer, TokenKind};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Lex(wast::Error),
    #[error("line {line}: a parenthesis is not balanced")]
    Unbalanced { line: usize },
}

/// A parenthesised form with its source text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form<'a> {
    pub line: usize,
    pub head: &'a str,
    pub text: &'a str,
}

/// A lexer that takes what the test suite's names contain: characters that a
/// reader may confuse with others.
pub fn lexer(text: &str) -> Lexer<'_> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    lexer
}

/// The outermost forms of `text`, annotations left out.
pub fn outermost(text: &str) -> Result<Vec<Form<'_>>, Error> {
    at_depth(text, 0)
}

/// The first form inside of the form `text`, such as the module of an assertion.
pub fn first_inside(text: &str) -> Result<Option<Form<'_>>, Error> {
    Ok(at_depth(text, 1)?.into_iter().next())
}

fn at_depth(text: &str, wanted: usize) -> Result<Vec<Form<'_>>, Error> {
    let mut forms = Vec::new();
    let mut starts = Vec::new();
    let mut head = None;
    let unbalanced = |offset| Error::Unbalanced {
        line: line_of(text, offset),
    };
    for token in lexer(text).iter(0) {
        let token = token.map_err(Error::Lex)?;
        match token.kind {
            TokenKind::LParen => {
                if starts.len() == wanted {
                    head = None;
                }
                starts.push(token.offset);
            }
            TokenKind::RParen => {
                let start = starts.pop().ok_or_else(|| unbalanced(token.offset))?;
                if starts.len() == wanted {
                    forms.push(Form {
                        line: line_of(text, start),
                        head: head.unwrap_or(""),
                        text: text.get(start..=token.offset).unwrap_or(""),
                    });
                }
            }
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment => {}
            _ if starts.len() == wanted + 1 => {
                head.get_or_insert(token.src(text));
            }
            _ => {}
        }
    }
    match starts.pop() {
        Some(start) => Err(unbalanced(start)),
        None => Ok(forms
            .into_iter()
            .filter(|form| !form.head.starts_with('@'))
            .collect()),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::{Error, first_inside, outermost};

    #[test]
    fn forms_are_found_with_their_lines_between_comments_and_annotations() {
        let text = "(module)\n(; ( ;) ;; (\n(@note (x))\n(register \")(\"\n  $m)";
        let found: Vec<_> = outermost(text)
            .unwrap()
            .into_iter()
            .map(|form| (form.line, form.head, form.text))
            .collect();
        assert_eq!(
            found,
            [
                (1, "module", "(module)"),
                (4, "register", "(register \")(\"\n  $m)")
            ]
        );
    }

    #[test]
    fn the_module_of_an_assertion_is_its_first_inner_form() {
        let form = first_inside("(assert_invalid (module (func (nop))) \"why\")");
        assert_eq!(form.unwrap().unwrap().text, "(module (func (nop)))");
    }

    #[test]
    fn an_open_parenthesis_is_named_by_its_line() {
        assert!(matches!(
            outermost("(module)\n(module"),
            Err(Error::Unbalanced { line: 2 })
        ));
        assert!(matches!(
            outermost("\n)"),
            Err(Error::Unbalanced { line: 2 })
        ));
    }
}
