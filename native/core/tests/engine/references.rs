//! References that leave the guest and come back.

use std::sync::Arc;

use wasmbeam_core::store::Target;
use wasmbeam_core::{Error, FuncRef, HostObject, ObjectKind, TableSelector, Value};

use crate::support::{Guest, finish, int};

const REFERENCES: &str = r#"(module
    (type $point (struct (field i32)))
    (type $bytes (array (mut i8)))
    (table $objects (export "objects") 4 externref)
    (table $functions (export "functions") 4 funcref)
    (elem (table $functions) (i32.const 1) func $forty_two)
    (func $forty_two (export "forty_two") (result i32) (i32.const 42))
    (func (export "function") (result funcref) (ref.func $forty_two))
    (func (export "is_null") (param funcref) (result i32) (ref.is_null (local.get 0)))
    (func (export "keep") (param i32 externref)
        (table.set $objects (local.get 0) (local.get 1)))
    (func (export "kept") (param i32) (result externref)
        (table.get $objects (local.get 0)))
    (func (export "point") (param i32) (result (ref $point))
        (struct.new $point (local.get 0)))
    (func (export "x") (param (ref $point)) (result i32)
        (struct.get $point 0 (local.get 0)))
    (func (export "bytes") (result (ref $bytes))
        (array.new_default $bytes (i32.const 3)))
    (func (export "i31") (param i32) (result i31ref) (ref.i31 (local.get 0))))"#;

fn object(text: &str) -> HostObject {
    Arc::new(text.to_owned())
}

fn function(guest: &mut Guest) -> FuncRef {
    match guest.call("function", &[]).unwrap().remove(0) {
        Value::Func(function) => function,
        value => panic!("{value:?}"),
    }
}

#[test]
fn a_host_object_comes_back_as_it_went_in() {
    let mut guest = Guest::new(REFERENCES);
    let object = object("mine");
    let args = [Value::I32(2), Value::Extern(Arc::clone(&object))];
    guest.call("keep", &args).unwrap();
    match &guest.call("kept", &[Value::I32(2)]).unwrap()[..] {
        [Value::Extern(kept)] => assert!(Arc::ptr_eq(kept, &object)),
        values => panic!("{values:?}"),
    }
    assert!(matches!(
        guest.call("kept", &[Value::I32(0)]).unwrap()[..],
        [Value::Null]
    ));
}

#[test]
fn a_store_that_ends_lets_go_of_host_objects() {
    let object = object("mine");
    let mut guest = Guest::new(REFERENCES);
    let args = [Value::I32(0), Value::Extern(Arc::clone(&object))];
    guest.call("keep", &args).unwrap();
    drop(args);
    assert!(Arc::strong_count(&object) > 1);
    drop(guest);
    assert_eq!(Arc::strong_count(&object), 1);
}

#[test]
fn a_function_reference_can_be_called() {
    let mut guest = Guest::new(REFERENCES);
    let function = function(&mut guest);
    assert!(function.signature().params.is_empty());
    let step = guest.store.call(Target::Func(function), Vec::new(), None);
    assert_eq!(int(&finish(&mut guest.store, step).unwrap()), 42);
}

#[test]
fn a_function_reference_can_be_passed_back() {
    let mut guest = Guest::new(REFERENCES);
    let function = function(&mut guest);
    assert_eq!(guest.int("is_null", &[Value::Func(function)]), 0);
    assert_eq!(guest.int("is_null", &[Value::Null]), 1);
}

#[test]
fn a_function_of_another_store_is_refused() {
    let mut guest = Guest::new(REFERENCES);
    let foreign = function(&mut Guest::new(REFERENCES));
    let step = guest
        .store
        .call(Target::Func(foreign.clone()), Vec::new(), None);
    assert!(matches!(
        finish(&mut guest.store, step),
        Err(Error::BadArgument { .. })
    ));
    assert!(matches!(
        guest.call("is_null", &[Value::Func(foreign.clone())]),
        Err(Error::BadArgument { .. })
    ));
    let functions = TableSelector::Name("functions".into());
    assert!(matches!(
        guest.store.table_set(0, functions, 0, Value::Func(foreign)),
        Err(Error::BadArgument { .. })
    ));
}

#[test]
fn a_function_in_a_table_can_be_called_by_its_index() {
    let mut guest = Guest::new(REFERENCES);
    let functions = || TableSelector::Name("functions".into());
    let function = guest.store.table_function(0, functions(), 1).unwrap();
    let step = guest.store.call(Target::Func(function), Vec::new(), None);
    assert_eq!(int(&finish(&mut guest.store, step).unwrap()), 42);
    for (index, code) in [(0, "indirect_call_to_null"), (4, "table_out_of_bounds")] {
        match guest.store.table_function(0, functions(), index) {
            Err(Error::Trap(info)) => assert_eq!(info.code, code),
            outcome => panic!("{:?}", outcome.map(|f| f.signature().clone())),
        }
    }
}

#[test]
fn a_guest_s_own_objects_come_back_to_it() {
    let mut guest = Guest::new(REFERENCES);
    let point = guest.call("point", &[Value::I32(9)]).unwrap().remove(0);
    let Value::Object(object) = &point else {
        panic!("{point:?}");
    };
    assert_eq!(object.kind(), ObjectKind::Struct);
    assert_eq!(guest.int("x", &[point]), 9);
    let bytes = guest.call("bytes", &[]).unwrap().remove(0);
    assert!(matches!(&bytes, Value::Object(object) if object.kind() == ObjectKind::Array));
}

#[test]
fn an_object_of_another_type_or_store_is_refused() {
    let mut guest = Guest::new(REFERENCES);
    let bytes = guest.call("bytes", &[]).unwrap().remove(0);
    let foreign = Guest::new(REFERENCES)
        .call("point", &[Value::I32(9)])
        .unwrap()
        .remove(0);
    for value in [bytes, foreign, Value::Null, Value::I32(0)] {
        assert!(matches!(
            guest.call("x", &[value]),
            Err(Error::BadArgument { .. })
        ));
    }
}

#[test]
fn small_integers_in_references_are_values() {
    let mut guest = Guest::new(REFERENCES);
    assert!(matches!(
        guest.call("i31", &[Value::I32(-5)]).unwrap()[..],
        [Value::I31(-5)]
    ));
}
