//! Values come out of a guest as they went in, and what is of another type is refused and changes
//! nothing.

use std::sync::{Arc, LazyLock};

use arbitrary::{Result, Unstructured};
use wasmbeam_core::{Error, Module, TableSelector, Value};

use super::guest::{Guest, compile};

/// The types that values are given for, as functions, globals and tables.
const TYPES: [&str; 9] = [
    "i32",
    "i64",
    "f32",
    "f64",
    "v128",
    "funcref",
    "externref",
    "anyref",
    "i31ref",
];
const FIRST_REFERENCE: usize = 5;

static MODULE: LazyLock<Arc<Module>> = LazyLock::new(|| {
    let mut text = String::from("(module ");
    for (number, ty) in TYPES.iter().enumerate() {
        text += &format!(
            r#"(func (export "same {ty}") (param {ty}) (result {ty}) (local.get 0))
               (func (export "between {ty}") (param i32 {ty} f64) (result f64 {ty} i32)
                 (local.get 2) (local.get 1) (local.get 0))"#
        );
        let zero = if number < FIRST_REFERENCE {
            let lanes = if *ty == "v128" { "i64x2 0 0" } else { "0" };
            format!("({ty}.const {lanes})")
        } else {
            format!("(ref.null {})", ty.trim_end_matches("ref"))
        };
        text += &format!(r#"(global (export "global {ty}") (mut {ty}) {zero})"#);
        if number >= FIRST_REFERENCE {
            text += &format!(r#"(table ${ty} (export "table {ty}") 3 {ty})"#);
        }
    }
    text += "(func $function (result i32) (i32.const 5))
             (elem (table $funcref) (i32.const 2) func $function))";
    compile(text.as_bytes()).expect("a valid module")
});

pub fn run(data: &[u8]) {
    let mut guest = Guest::start(&MODULE).expect("an instance");
    let mut input = Unstructured::new(data);
    while !input.is_empty() {
        if step(&mut guest, &mut input).is_err() {
            return;
        }
    }
}

fn step(guest: &mut Guest, input: &mut Unstructured<'_>) -> Result<()> {
    let number = input.choose_index(TYPES.len())?;
    let ty = TYPES[number];
    let value = value(guest, input)?;
    let fits = fits(ty, &value);
    match input.int_in_range(0..=4)? {
        0 => {
            let answer = call(guest, &format!("same {ty}"), vec![value.clone()]);
            check(fits, answer.map(|mut values| values.remove(0)), &value);
        }
        1 => {
            let bits = input.arbitrary()?;
            let args = vec![Value::I32(3), value.clone(), Value::F64(bits)];
            let answer = call(guest, &format!("between {ty}"), args);
            check(
                fits,
                answer.map(|values| {
                    assert_eq!(values.len(), 3);
                    assert!(matches!(values[0], Value::F64(same) if same == bits));
                    assert!(matches!(values[2], Value::I32(3)));
                    values[1].clone()
                }),
                &value,
            );
        }
        2 => {
            let count = input.int_in_range(0..=3)?;
            let answer = call(guest, &format!("same {ty}"), vec![value; count]);
            assert!(count == 1 || matches!(answer, Err(Error::BadArgument { .. })));
        }
        3 => {
            let name = format!("global {ty}");
            let before = guest
                .coroutine
                .global_get(0, name.clone())
                .expect("a global");
            let set = guest.coroutine.global_set(0, name.clone(), value.clone());
            let now = guest.coroutine.global_get(0, name).expect("a global");
            kept(fits, set, &before, &now, &value);
        }
        _ if number >= FIRST_REFERENCE => {
            let table = || TableSelector::Name(format!("table {ty}"));
            let index = input.int_in_range(0..=1)?;
            let coroutine = &mut guest.coroutine;
            let before = coroutine.table_get(0, table(), index).expect("an element");
            let set = coroutine.table_set(0, table(), index, value.clone());
            let now = coroutine.table_get(0, table(), index).expect("an element");
            kept(fits, set, &before, &now, &value);
            let beyond = coroutine.table_set(0, table(), 3, value);
            assert!(beyond.is_err());
        }
        _ => {}
    }
    Ok(())
}

fn value(guest: &mut Guest, input: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match input.int_in_range(0..=9)? {
        0 => Value::I32(input.arbitrary()?),
        1 => Value::I64(input.arbitrary()?),
        2 => Value::F32(input.arbitrary()?),
        // The bits of a NaN, more often than they would come by themselves.
        3 => Value::F32(input.arbitrary::<u32>()? | 0x7f80_0000),
        4 => Value::F64(input.arbitrary()?),
        5 => Value::F64(input.arbitrary::<u64>()? | 0x7ff0_0000_0000_0000),
        6 => Value::V128(input.arbitrary()?),
        7 => Value::I31(input.arbitrary()?),
        8 => Value::Extern(Arc::new(input.arbitrary::<u32>()?)),
        _ if input.arbitrary()? => function(guest),
        _ => Value::Null,
    })
}

/// A function of the guest's own, which no step takes out of its table.
fn function(guest: &mut Guest) -> Value {
    let table = TableSelector::Name("table funcref".into());
    let coroutine = &mut guest.coroutine;
    coroutine.table_get(0, table, 2).expect("an element")
}

fn fits(ty: &str, value: &Value) -> bool {
    let is_i31 = |value: i32| value << 1 >> 1 == value;
    match (ty, value) {
        ("i32", Value::I32(_))
        | ("i64", Value::I64(_))
        | ("f32", Value::F32(_))
        | ("f64", Value::F64(_))
        | ("v128", Value::V128(_))
        | ("funcref", Value::Func(_))
        | ("externref" | "anyref", Value::Extern(_))
        | ("funcref" | "externref" | "anyref" | "i31ref", Value::Null) => true,
        ("externref" | "anyref" | "i31ref", Value::I31(value)) => is_i31(*value),
        _ => false,
    }
}

fn call(
    guest: &mut Guest,
    name: &str,
    args: Vec<Value>,
) -> core::result::Result<Vec<Value>, Error> {
    guest.call(MODULE.export_index(name).expect("an export"), args)
}

fn check(fits: bool, answer: core::result::Result<Value, Error>, value: &Value) {
    match answer {
        Ok(same) => assert!(fits && is_same(&same, value), "{same:?} is not {value:?}"),
        Err(Error::BadArgument { .. }) => assert!(!fits, "{value:?} was refused"),
        Err(error) => panic!("{error:?}"),
    }
}

/// What became of a place that was set.
fn kept(
    fits: bool,
    set: core::result::Result<(), Error>,
    before: &Value,
    now: &Value,
    value: &Value,
) {
    check(fits, set.map(|()| value.clone()), value);
    let expected = if fits { value } else { before };
    assert!(is_same(now, expected), "{now:?} is not {expected:?}");
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::I32(one), Value::I32(other)) | (Value::I31(one), Value::I31(other)) => one == other,
        (Value::I64(one), Value::I64(other)) => one == other,
        (Value::F32(one), Value::F32(other)) => one == other,
        (Value::F64(one), Value::F64(other)) => one == other,
        (Value::V128(one), Value::V128(other)) => one == other,
        (Value::Null, Value::Null) | (Value::Func(_), Value::Func(_)) => true,
        (Value::Extern(one), Value::Extern(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}
