//! Values keep their bits on the way in and out.

use wasmbeam_core::Value;

use crate::support::Guest;

const IDENTITIES: &str = r#"(module
    (func (export "i32") (param i32) (result i32) (local.get 0))
    (func (export "i64") (param i64) (result i64) (local.get 0))
    (func (export "f32") (param f32) (result f32) (local.get 0))
    (func (export "f64") (param f64) (result f64) (local.get 0))
    (func (export "v128") (param v128) (result v128) (local.get 0))
    (func (export "all") (param i32 i64 f32 f64 v128) (result v128 f64 f32 i64 i32)
        (local.get 4) (local.get 3) (local.get 2) (local.get 1) (local.get 0)))"#;

fn through(guest: &mut Guest, name: &str, value: Value) -> Value {
    guest.call(name, &[value]).unwrap().remove(0)
}

#[test]
fn integers_keep_their_extremes() {
    let mut guest = Guest::new(IDENTITIES);
    for value in [0, 1, -1, i32::MIN, i32::MAX] {
        let back = through(&mut guest, "i32", Value::I32(value));
        assert!(matches!(back, Value::I32(same) if same == value));
    }
    for value in [0, 1, -1, i64::MIN, i64::MAX] {
        let back = through(&mut guest, "i64", Value::I64(value));
        assert!(matches!(back, Value::I64(same) if same == value));
    }
}

#[test]
fn floats_keep_the_bits_of_every_nan() {
    let mut guest = Guest::new(IDENTITIES);
    for bits in [
        0,
        0x8000_0000,
        0x7fc0_0000,
        0xffc0_0000,
        0x7fa0_0001,
        0x7f80_0000,
    ] {
        let back = through(&mut guest, "f32", Value::F32(bits));
        assert!(matches!(back, Value::F32(same) if same == bits));
    }
    for bits in [
        0,
        1 << 63,
        0x7ff8 << 48,
        0xfff8 << 48,
        (0x7ff4 << 48) | 1,
        0x7ff0 << 48,
    ] {
        let back = through(&mut guest, "f64", Value::F64(bits));
        assert!(matches!(back, Value::F64(same) if same == bits));
    }
}

#[test]
fn vectors_keep_their_lanes() {
    let mut guest = Guest::new(IDENTITIES);
    let lanes = u128::from_le_bytes(std::array::from_fn(|i| i as u8));
    let back = through(&mut guest, "v128", Value::V128(lanes));
    assert!(matches!(back, Value::V128(same) if same == lanes));
}

#[test]
fn values_of_all_types_go_together() {
    let mut guest = Guest::new(IDENTITIES);
    let args = [
        Value::I32(1),
        Value::I64(2),
        Value::F32(3),
        Value::F64(4),
        Value::V128(5),
    ];
    assert!(matches!(
        guest.call("all", &args).unwrap()[..],
        [
            Value::V128(5),
            Value::F64(4),
            Value::F32(3),
            Value::I64(2),
            Value::I32(1)
        ]
    ));
}
