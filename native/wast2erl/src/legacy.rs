//! The folded form of the legacy `try`, which the `wast` crate reads in its
//! flat form only.

use crate::form::{Error, lexer};
use wast::lexer::{Token, TokenKind};

enum Frame {
    Plain,
    Try { delegates: bool },
    Arm,
}

/// Writes each `(try T (do A) (catch $e B))` of `text` as
/// `(nop try T A catch $e B end)`. The `nop` stands where only a parenthesised
/// instruction may, such as in the condition of an `if`.
pub fn unfold_try(text: &str) -> Result<String, Error> {
    let tokens: Vec<Token> = lexer(text)
        .iter(0)
        .collect::<Result<_, _>>()
        .map_err(Error::Lex)?;
    let mut out = String::with_capacity(text.len());
    let mut frames = Vec::new();
    let mut tokens = tokens.iter().peekable();
    while let Some(token) = tokens.next() {
        match token.kind {
            TokenKind::LParen => {
                let keyword = tokens.peek().map_or("", |next| next.src(text));
                let frame = match (frames.last_mut(), keyword) {
                    (_, "try") => {
                        out.push_str("(nop ");
                        Frame::Try { delegates: false }
                    }
                    (Some(Frame::Try { .. }), "do") => {
                        tokens.next();
                        Frame::Arm
                    }
                    (Some(Frame::Try { .. }), "catch" | "catch_all") => Frame::Arm,
                    (Some(Frame::Try { delegates }), "delegate") => {
                        *delegates = true;
                        Frame::Arm
                    }
                    _ => {
                        out.push('(');
                        Frame::Plain
                    }
                };
                frames.push(frame);
            }
            TokenKind::RParen => out.push_str(match frames.pop() {
                Some(Frame::Try { delegates: false }) => " end)",
                Some(Frame::Arm) => " ",
                _ => ")",
            }),
            _ => out.push_str(token.src(text)),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::unfold_try;

    fn unfolded(text: &str) -> String {
        let text = unfold_try(text).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_try_ends_after_its_last_catch() {
        assert_eq!(
            unfolded("(try $l (result i32) (do (i32.const 1)) (catch $e) (catch_all (nop)))"),
            "(nop try $l (result i32) (i32.const 1) catch $e catch_all (nop) end)"
        );
    }

    #[test]
    fn a_delegate_takes_the_place_of_the_end() {
        assert_eq!(
            unfolded("(try (do (try (do) (delegate 0))) (catch_all))"),
            "(nop try (nop try delegate 0 ) catch_all end)"
        );
    }

    #[test]
    fn strings_and_everything_else_stay_as_they_are() {
        let text = "(func (export \"(try (do))\") (block (if (then)))) ;; (try";
        assert_eq!(unfold_try(text).unwrap(), text);
    }
}
