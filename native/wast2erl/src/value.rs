//! Arguments and expected results. Floats are written as their bits, because
//! Erlang has no NaN and no infinity.

use crate::term::Term;
use wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};
use wast::{WastArg, WastRet};

/// An argument of an invocation; `None` where the kind is not known here.
pub fn argument(argument: &WastArg<'_>) -> Option<Term> {
    let WastArg::Core(argument) = argument else {
        return None;
    };
    Some(match argument {
        WastArgCore::I32(value) => Term::tagged("i32", [Term::integer(*value)]),
        WastArgCore::I64(value) => Term::tagged("i64", [Term::integer(*value)]),
        WastArgCore::F32(value) => Term::tagged("f32", [Term::integer(value.bits)]),
        WastArgCore::F64(value) => Term::tagged("f64", [Term::integer(value.bits)]),
        WastArgCore::V128(value) => Term::tagged("v128", [Term::binary(value.to_le_bytes())]),
        WastArgCore::RefNull(_) => Term::Atom("ref_null"),
        WastArgCore::RefExtern(id) => Term::tagged("ref_extern", [Term::integer(*id)]),
        WastArgCore::RefHost(id) => Term::tagged("ref_host", [Term::integer(*id)]),
    })
}

/// What a result must match; `None` where the kind is not known here.
pub fn pattern(expected: &WastRet<'_>) -> Option<Term> {
    match expected {
        WastRet::Core(expected) => core_pattern(expected),
        _ => None,
    }
}

fn core_pattern(expected: &WastRetCore<'_>) -> Option<Term> {
    Some(match expected {
        WastRetCore::I32(value) => Term::tagged("i32", [Term::integer(*value)]),
        WastRetCore::I64(value) => Term::tagged("i64", [Term::integer(*value)]),
        WastRetCore::F32(value) => f32_pattern(value),
        WastRetCore::F64(value) => f64_pattern(value),
        WastRetCore::V128(value) => v128_pattern(value),
        WastRetCore::RefNull(_) => Term::Atom("ref_null"),
        WastRetCore::RefExtern(None) => Term::Atom("ref_extern"),
        WastRetCore::RefExtern(Some(id)) => Term::tagged("ref_extern", [Term::integer(*id)]),
        WastRetCore::RefHost(id) => Term::tagged("ref_host", [Term::integer(*id)]),
        WastRetCore::RefFunc(None) => Term::Atom("ref_func"),
        WastRetCore::RefAny => Term::Atom("ref_any"),
        WastRetCore::RefEq => Term::Atom("ref_eq"),
        WastRetCore::RefArray => Term::Atom("ref_array"),
        WastRetCore::RefStruct => Term::Atom("ref_struct"),
        WastRetCore::RefI31 => Term::Atom("ref_i31"),
        WastRetCore::Either(cases) => {
            let cases = cases.iter().map(core_pattern).collect::<Option<_>>()?;
            Term::tagged("either", [Term::List(cases)])
        }
        // A function by its index, and shared references: proposals only.
        WastRetCore::RefFunc(Some(_)) | WastRetCore::RefI31Shared => return None,
    })
}

fn f32_pattern(pattern: &NanPattern<F32>) -> Term {
    Term::tagged("f32", [nan_pattern(pattern, |value| value.bits.into())])
}

fn f64_pattern(pattern: &NanPattern<F64>) -> Term {
    Term::tagged("f64", [nan_pattern(pattern, |value| value.bits.into())])
}

fn nan_pattern<T>(pattern: &NanPattern<T>, bits: impl Fn(&T) -> i128) -> Term {
    match pattern {
        NanPattern::CanonicalNan => Term::Atom("nan_canonical"),
        NanPattern::ArithmeticNan => Term::Atom("nan_arithmetic"),
        NanPattern::Value(value) => Term::Integer(bits(value)),
    }
}

/// Lanes of integers are one binary; lanes of floats are patterns each.
fn v128_pattern(pattern: &V128Pattern) -> Term {
    let lanes = |terms| Term::tagged("v128", [Term::List(terms)]);
    match pattern {
        V128Pattern::I8x16(lanes) => v128(lanes.iter().flat_map(|lane| lane.to_le_bytes())),
        V128Pattern::I16x8(lanes) => v128(lanes.iter().flat_map(|lane| lane.to_le_bytes())),
        V128Pattern::I32x4(lanes) => v128(lanes.iter().flat_map(|lane| lane.to_le_bytes())),
        V128Pattern::I64x2(lanes) => v128(lanes.iter().flat_map(|lane| lane.to_le_bytes())),
        V128Pattern::F32x4(floats) => lanes(floats.iter().map(f32_pattern).collect()),
        V128Pattern::F64x2(floats) => lanes(floats.iter().map(f64_pattern).collect()),
    }
}

fn v128(bytes: impl Iterator<Item = u8>) -> Term {
    Term::tagged("v128", [Term::Binary(bytes.collect())])
}
