//! The directives of a script. As Erlang types:
//!
//! ```erlang
//! -type script() :: [{Line :: pos_integer(), directive()}].
//! -type directive() ::
//!     {module, Name, source()}
//!   | {module_definition, Name, source()}
//!   | {module_instance, Name, Definition :: Name}
//!   | {register, As :: binary(), Name}
//!   | {action, action()}
//!   | {assert_return, action(), [Pattern]}
//!   | {assert_trap | assert_exhaustion | assert_suspension, action(), Message :: binary()}
//!   | {assert_exception, action()}
//!   | {assert_invalid | assert_malformed | assert_invalid_custom | assert_malformed_custom
//!      | assert_unlinkable, source(), Message :: binary()}
//!   | {unsupported, Keyword :: binary()}    %% threads, components
//!   | {unparsable, Message :: binary()}.
//! -type action() :: {invoke, Name, Function :: binary(), [Argument]}
//!   | {get, Name, Global :: binary()} | {instantiate, source()}.
//! -type source() :: {binary, binary()} | {text, binary()}.
//! ```
//!
//! `Name` is a binary or `undefined`, which means the newest instance.

use crate::form::{self, Form};
use crate::legacy;
use crate::term::Term;
use crate::value;
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{QuoteWat, QuoteWatTest, Wast, WastDirective, WastExecute, WastInvoke, Wat};

const DIRECTIVES: &[&str] = &[
    "assert_exception",
    "assert_exhaustion",
    "assert_invalid",
    "assert_invalid_custom",
    "assert_malformed",
    "assert_malformed_custom",
    "assert_return",
    "assert_suspension",
    "assert_trap",
    "assert_uninstantiable",
    "assert_unlinkable",
    "invoke",
    "module",
    "register",
];

const UNSUPPORTED: &[&str] = &["component", "thread", "wait"];

/// A whole script: a list of directives, or the fields of one module.
pub fn script(text: &str) -> Result<Term, form::Error> {
    let forms = form::outermost(text)?;
    let is_script = forms
        .first()
        .is_none_or(|first| DIRECTIVES.contains(&first.head) || UNSUPPORTED.contains(&first.head));
    let directives = if is_script {
        forms.iter().map(at_its_line).collect()
    } else {
        let module = Term::tagged(
            "module",
            [name(None), Term::tagged("text", [Term::binary(text)])],
        );
        vec![Term::Tuple(vec![Term::integer(1), module])]
    };
    Ok(Term::List(directives))
}

fn at_its_line(form: &Form<'_>) -> Term {
    let directive = if UNSUPPORTED.contains(&form.head) {
        Term::tagged("unsupported", [Term::binary(form.head)])
    } else {
        parsable(form.text)
            .and_then(|text| directive(&text))
            .unwrap_or_else(|message| Term::tagged("unparsable", [Term::Binary(message)]))
    };
    Term::Tuple(vec![Term::integer(form.line as i128), directive])
}

/// `text` in the forms that the `wast` crate knows.
fn parsable(text: &str) -> Result<String, Vec<u8>> {
    // The reference interpreter's name for a module that traps as it starts.
    let text = text.replacen("(assert_uninstantiable", "(assert_trap", 1);
    legacy::unfold_try(&text).map_err(|error| error.to_string().into_bytes())
}

fn directive(text: &str) -> Result<Term, Vec<u8>> {
    let message = |error: wast::Error| error.message().into_bytes();
    let buffer = ParseBuffer::new_with_lexer(form::lexer(text)).map_err(message)?;
    let mut script = parser::parse::<Wast<'_>>(&buffer).map_err(message)?;
    match (script.directives.pop(), script.directives.is_empty()) {
        (Some(parsed), true) => convert(parsed, text),
        _ => Err(b"not one directive".to_vec()),
    }
}

fn convert(directive: WastDirective<'_>, text: &str) -> Result<Term, Vec<u8>> {
    use WastDirective as D;
    Ok(match directive {
        D::Module(mut module) => {
            let name = name(module.name());
            Term::tagged("module", [name, source(&mut module, || Some(text))?])
        }
        D::ModuleDefinition(mut module) => {
            // Its text is no module by itself: it says `module definition`.
            let name = name(module.name());
            Term::tagged("module_definition", [name, source(&mut module, || None)?])
        }
        D::ModuleInstance {
            instance, module, ..
        } => Term::tagged("module_instance", [name(instance), name(module)]),
        D::Register {
            name: registered,
            module,
            ..
        } => Term::tagged("register", [Term::binary(registered), name(module)]),
        D::Invoke(call) => Term::tagged("action", [invoke(&call)?]),
        D::AssertReturn { exec, results, .. } => {
            let patterns = list(&results, value::pattern)?;
            Term::tagged("assert_return", [action(exec, text)?, patterns])
        }
        D::AssertTrap { exec, message, .. } => {
            Term::tagged("assert_trap", [action(exec, text)?, Term::binary(message)])
        }
        D::AssertExhaustion { call, message, .. } => {
            Term::tagged("assert_exhaustion", [invoke(&call)?, Term::binary(message)])
        }
        D::AssertException { exec, .. } => Term::tagged("assert_exception", [action(exec, text)?]),
        D::AssertSuspension { exec, message, .. } => Term::tagged(
            "assert_suspension",
            [action(exec, text)?, Term::binary(message)],
        ),
        D::AssertInvalid {
            module, message, ..
        } => refusal("assert_invalid", module, message, text)?,
        D::AssertMalformed {
            module, message, ..
        } => refusal("assert_malformed", module, message, text)?,
        D::AssertInvalidCustom {
            module, message, ..
        } => refusal("assert_invalid_custom", module, message, text)?,
        D::AssertMalformedCustom {
            module, message, ..
        } => refusal("assert_malformed_custom", module, message, text)?,
        D::AssertUnlinkable {
            module, message, ..
        } => refusal("assert_unlinkable", QuoteWat::Wat(module), message, text)?,
        D::Thread(_) => Term::tagged("unsupported", [Term::binary("thread")]),
        D::Wait { .. } => Term::tagged("unsupported", [Term::binary("wait")]),
    })
}

fn refusal(
    tag: &'static str,
    mut module: QuoteWat<'_>,
    message: &str,
    text: &str,
) -> Result<Term, Vec<u8>> {
    let source = source(&mut module, || inner_module(text))?;
    Ok(Term::tagged(tag, [source, Term::binary(message)]))
}

fn action(execute: WastExecute<'_>, text: &str) -> Result<Term, Vec<u8>> {
    Ok(match execute {
        WastExecute::Invoke(call) => invoke(&call)?,
        WastExecute::Get { module, global, .. } => {
            Term::tagged("get", [name(module), Term::binary(global)])
        }
        WastExecute::Wat(module) => {
            let source = source(&mut QuoteWat::Wat(module), || inner_module(text))?;
            Term::tagged("instantiate", [source])
        }
    })
}

fn invoke(call: &WastInvoke<'_>) -> Result<Term, Vec<u8>> {
    let arguments = list(&call.args, value::argument)?;
    Ok(Term::tagged(
        "invoke",
        [name(call.module), Term::binary(call.name), arguments],
    ))
}

fn list<T>(items: &[T], convert: impl Fn(&T) -> Option<Term>) -> Result<Term, Vec<u8>> {
    let terms: Option<Vec<_>> = items.iter().map(convert).collect();
    terms
        .map(Term::List)
        .ok_or_else(|| b"a value of a proposal's kind".to_vec())
}

/// A module as bytes, or as text where it is quoted or where the `wast` crate
/// cannot encode it: refusing it is then up to the engine under test.
fn source<'a>(
    module: &mut QuoteWat<'_>,
    text: impl Fn() -> Option<&'a str>,
) -> Result<Term, Vec<u8>> {
    if matches!(
        module,
        QuoteWat::Wat(Wat::Component(_)) | QuoteWat::QuoteComponent(..)
    ) {
        return Err(b"a component".to_vec());
    }
    match (module.to_test(), text()) {
        (Ok(QuoteWatTest::Binary(bytes)), _) => Ok(Term::tagged("binary", [Term::Binary(bytes)])),
        (Ok(QuoteWatTest::Text(bytes)), _) => Ok(Term::tagged("text", [Term::Binary(bytes)])),
        (Err(_), Some(text)) => Ok(Term::tagged("text", [Term::binary(text)])),
        (Err(error), None) => Err(error.message().into_bytes()),
    }
}

fn inner_module(text: &str) -> Option<&str> {
    form::first_inside(text)
        .ok()
        .flatten()
        .map(|form| form.text)
}

fn name(id: Option<Id<'_>>) -> Term {
    id.map_or(Term::Atom("undefined"), |id| Term::binary(id.name()))
}

#[cfg(test)]
mod tests {
    use super::script;
    use crate::term::Term;

    /// The only directive of `text`, without its line.
    fn directive(text: &str) -> Term {
        let Term::List(directives) = script(text).unwrap() else {
            panic!("a script is a list")
        };
        match directives.as_slice() {
            [Term::Tuple(pair)] => pair[1].clone(),
            other => panic!("{other:?}"),
        }
    }

    fn results(patterns: &str) -> Term {
        let text = format!("(assert_return (invoke \"f\") {patterns})");
        match directive(&text) {
            Term::Tuple(fields) => fields[2].clone(),
            other => panic!("{other:?}"),
        }
    }

    fn undefined() -> Term {
        Term::Atom("undefined")
    }

    fn float(tag: &'static str, bits: u64) -> Term {
        Term::tagged(tag, [Term::integer(bits)])
    }

    #[test]
    fn directives_come_in_order_with_their_lines() {
        let text = "(register \"a\" $m)\n\n(register \"b\")";
        let register = |line: i32, registered, module| {
            let directive = Term::tagged("register", [Term::binary(registered), module]);
            Term::Tuple(vec![Term::integer(line), directive])
        };
        assert_eq!(
            script(text).unwrap(),
            Term::List(vec![
                register(1, "a", Term::binary("m")),
                register(3, "b", undefined())
            ])
        );
    }

    #[test]
    fn a_module_in_text_form_is_encoded() {
        let header = Term::tagged("binary", [Term::binary(b"\0asm\x01\0\0\0")]);
        assert_eq!(
            directive("(module)"),
            Term::tagged("module", [undefined(), header.clone()])
        );
        assert_eq!(
            directive("(module binary \"\\00asm\" \"\\01\\00\\00\\00\")"),
            Term::tagged("module", [undefined(), header])
        );
    }

    #[test]
    fn a_quoted_module_stays_text() {
        let text = Term::tagged("text", [Term::binary("(func $f ) ")]);
        assert_eq!(
            directive("(assert_malformed (module quote \"(func $f\" \")\") \"why\")"),
            Term::tagged("assert_malformed", [text, Term::binary("why")])
        );
    }

    #[test]
    fn a_module_that_does_not_encode_is_handed_over_as_its_text() {
        let text = Term::tagged("text", [Term::binary("(module (func (call $none)))")]);
        assert_eq!(
            directive("(assert_invalid (module (func (call $none))) \"unknown function\")"),
            Term::tagged("assert_invalid", [text, Term::binary("unknown function")])
        );
    }

    #[test]
    fn a_file_of_module_fields_is_one_module() {
        let text = Term::tagged("text", [Term::binary("(func) (memory 0)")]);
        assert_eq!(
            directive("(func) (memory 0)"),
            Term::tagged("module", [undefined(), text])
        );
    }

    #[test]
    fn definitions_and_instances_carry_their_names() {
        let Term::Tuple(definition) = directive("(module definition $D (func))") else {
            panic!("not a tuple")
        };
        assert_eq!(
            definition[..2],
            [Term::Atom("module_definition"), Term::binary("D")]
        );
        assert_eq!(
            directive("(module instance $I $D)"),
            Term::tagged("module_instance", [Term::binary("I"), Term::binary("D")])
        );
    }

    #[test]
    fn actions_name_module_function_and_arguments() {
        let arguments = Term::List(vec![
            Term::tagged("i32", [Term::integer(-1)]),
            Term::tagged("i64", [Term::integer(i64::MIN)]),
            float("f32", 0x7fa0_0000),
            float("f64", 0x8000_0000_0000_0000),
            Term::tagged(
                "v128",
                [Term::binary([
                    1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
                ])],
            ),
            Term::Atom("ref_null"),
            Term::tagged("ref_extern", [Term::integer(7)]),
            Term::tagged("ref_host", [Term::integer(8)]),
        ]);
        let call = "(invoke $m \"f\" (i32.const 0xffffffff) (i64.const -0x8000000000000000)
            (f32.const nan:0x200000) (f64.const -0) (v128.const i64x2 1 2)
            (ref.null func) (ref.extern 7) (ref.host 8))";
        assert_eq!(
            directive(call),
            Term::tagged(
                "action",
                [Term::tagged(
                    "invoke",
                    [Term::binary("m"), Term::binary("f"), arguments]
                )]
            )
        );
        assert_eq!(
            directive("(assert_return (get \"g\"))"),
            Term::tagged(
                "assert_return",
                [
                    Term::tagged("get", [undefined(), Term::binary("g")]),
                    Term::List(vec![])
                ]
            )
        );
    }

    #[test]
    fn float_patterns_keep_their_bits_or_name_the_nan() {
        assert_eq!(
            results(
                "(f32.const -0x1p-149) (f64.const inf) (f32.const nan:canonical) (f64.const nan:arithmetic)"
            ),
            Term::List(vec![
                float("f32", 0x8000_0001),
                float("f64", 0x7ff0_0000_0000_0000),
                Term::tagged("f32", [Term::Atom("nan_canonical")]),
                Term::tagged("f64", [Term::Atom("nan_arithmetic")]),
            ])
        );
    }

    #[test]
    fn vectors_of_floats_are_patterns_lane_by_lane() {
        let lanes = Term::List(vec![
            Term::tagged("f64", [Term::Atom("nan_canonical")]),
            float("f64", 0x3ff0_0000_0000_0000),
        ]);
        assert_eq!(
            results("(v128.const f64x2 nan:canonical 1)"),
            Term::List(vec![Term::tagged("v128", [lanes])])
        );
    }

    #[test]
    fn references_are_expected_by_kind_or_by_number() {
        let names = "(ref.null) (ref.null any) (ref.extern) (ref.extern 3) (ref.host 4) (ref.func)
            (ref.any) (ref.eq) (ref.array) (ref.struct) (ref.i31)";
        let mut expected = vec![
            Term::Atom("ref_null"),
            Term::Atom("ref_null"),
            Term::Atom("ref_extern"),
            Term::tagged("ref_extern", [Term::integer(3)]),
            Term::tagged("ref_host", [Term::integer(4)]),
        ];
        let kinds = [
            "ref_func",
            "ref_any",
            "ref_eq",
            "ref_array",
            "ref_struct",
            "ref_i31",
        ];
        expected.extend(kinds.map(Term::Atom));
        assert_eq!(results(names), Term::List(expected));
    }

    #[test]
    fn either_lists_what_is_allowed() {
        let cases = Term::List(vec![
            Term::tagged("i32", [Term::integer(1)]),
            Term::tagged("i32", [Term::integer(2)]),
        ]);
        assert_eq!(
            results("(either (i32.const 1) (i32.const 2))"),
            Term::List(vec![Term::tagged("either", [cases])])
        );
    }

    #[test]
    fn a_module_that_traps_as_it_starts_is_an_action() {
        let Term::Tuple(fields) =
            directive("(assert_trap (module (start 0) (func unreachable)) \"unreachable\")")
        else {
            panic!("not a tuple")
        };
        assert_eq!(fields[0], Term::Atom("assert_trap"));
        assert!(
            matches!(&fields[1], Term::Tuple(action) if action[0] == Term::Atom("instantiate"))
        );
    }

    #[test]
    fn threads_are_named_as_unsupported_and_unknown_forms_as_unparsable() {
        assert_eq!(
            directive("(thread $t (invoke \"f\"))"),
            Term::tagged("unsupported", [Term::binary("thread")])
        );
        let text = "(module)\n(assert_sunshine (invoke \"f\"))";
        let Term::List(directives) = script(text).unwrap() else {
            panic!("a script is a list")
        };
        assert!(matches!(&directives[1], Term::Tuple(pair)
            if matches!(&pair[1], Term::Tuple(fields) if fields[0] == Term::Atom("unparsable"))));
    }
}
