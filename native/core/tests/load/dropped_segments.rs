use std::borrow::Cow;

use wasmbeam_core::load::instrument::{Internal, instrument};
use wasmtime::{Instance, Module, Store};

use crate::support::{engine, wat};

const DROPPING: &str = r#"
    (module
      (memory 1)
      (table $t 4 funcref)
      (global $own (mut i32) (i32.const 5))
      (data $active (i32.const 0) "active")
      (data $a "a")
      (data $b "b")
      (elem $e func $f)
      (elem $kept func $f)
      (func $f)
      (func (export "drop_a") (param i32)
        (block
          (br_if 0 (local.get 0))
          (data.drop $a)))
      (func (export "drop_rest")
        (data.drop $active) (data.drop $b) (elem.drop $e) (data.drop $b))
      (func (export "init_a") (memory.init $a (i32.const 9) (i32.const 0) (i32.const 1)))
      (func (export "init_b") (memory.init $b (i32.const 9) (i32.const 0) (i32.const 1)))
      (func (export "init_e") (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)))
      (func (export "own") (result i32) (global.get $own)))"#;

struct Guest {
    store: Store<()>,
    instance: Instance,
}

impl Guest {
    fn new(wasm: &[u8]) -> Self {
        let engine = engine();
        let module = Module::new(&engine, wasm).expect("a module that compiles");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
        Self { store, instance }
    }

    fn call(&mut self, name: &str) -> bool {
        self.instance
            .get_typed_func::<(), ()>(&mut self.store, name)
            .expect("a function")
            .call(&mut self.store, ())
            .is_ok()
    }

    fn flag(&mut self, internal: Internal) -> Option<i32> {
        let flag = self
            .instance
            .get_global(&mut self.store, &internal.export_name())?;
        flag.get(&mut self.store).i32()
    }
}

#[test]
fn a_dropped_segment_is_noted() {
    let wasm = instrument(&wat(DROPPING)).expect("a module").into_owned();
    let mut guest = Guest::new(&wasm);
    let a = guest
        .instance
        .get_typed_func::<i32, ()>(&mut guest.store, "drop_a")
        .expect("a function");
    a.call(&mut guest.store, 1).expect("no trap");
    assert_eq!(guest.flag(Internal::DroppedData(1)), Some(0));
    a.call(&mut guest.store, 0).expect("no trap");
    assert_eq!(guest.flag(Internal::DroppedData(1)), Some(1));
    assert_eq!(guest.flag(Internal::DroppedData(2)), Some(0));
    assert!(guest.call("drop_rest"));
    assert_eq!(guest.flag(Internal::DroppedData(2)), Some(1));
    assert_eq!(guest.flag(Internal::DroppedElement(0)), Some(1));
}

#[test]
fn only_passive_segments_that_are_dropped_somewhere_are_noted() {
    let wasm = instrument(&wat(DROPPING)).expect("a module").into_owned();
    let mut guest = Guest::new(&wasm);
    assert_eq!(guest.flag(Internal::DroppedData(0)), None);
    assert_eq!(guest.flag(Internal::DroppedElement(1)), None);
}

#[test]
fn the_added_function_drops_what_is_noted() {
    let wasm = instrument(&wat(DROPPING)).expect("a module").into_owned();
    let mut guest = Guest::new(&wasm);
    let flag = guest
        .instance
        .get_global(&mut guest.store, &Internal::DroppedData(1).export_name())
        .expect("a flag");
    flag.set(&mut guest.store, 1.into()).expect("an i32");
    assert!(guest.call(&Internal::Drop.export_name()));
    assert!(!guest.call("init_a"));
    assert!(guest.call("init_b"));
    assert!(guest.call("init_e"));
}

#[test]
fn indices_stay_what_they_are() {
    let wasm = instrument(&wat(DROPPING)).expect("a module").into_owned();
    let mut guest = Guest::new(&wasm);
    let own = guest
        .instance
        .get_typed_func::<(), i32>(&mut guest.store, "own")
        .expect("a function");
    assert_eq!(own.call(&mut guest.store, ()).expect("a result"), 5);
}

#[test]
fn flags_are_no_state_of_the_guest() {
    let wasm = instrument(&wat(DROPPING)).expect("a module").into_owned();
    let names: Vec<_> = Module::new(&engine(), &wasm)
        .expect("a module")
        .exports()
        .filter_map(|export| Internal::from_export_name(export.name()))
        .filter(|internal| matches!(internal, Internal::Global(_)))
        .collect();
    assert_eq!(names, [Internal::Global(0)]);
}

#[test]
fn a_module_that_drops_nothing_is_not_rewritten() {
    // The bytes of data.drop, as a constant.
    let wasm = wat(r#"(module (data "x") (func (drop (i32.const 0x4fc))))"#);
    assert!(matches!(instrument(&wasm), Ok(Cow::Borrowed(_))));
    let wasm = wat(r#"(module (memory 0) (data (i32.const 0) "") (func (data.drop 0)))"#);
    assert!(
        !instrument(&wasm)
            .expect("a module")
            .windows(7)
            .any(|w| w == b"dropped")
    );
}

#[test]
fn a_drop_in_another_encoding_is_noted_too() {
    let mut wasm = wat(r#"(module (data "x") (func (data.drop 0)))"#);
    let at = wasm
        .windows(3)
        .position(|bytes| bytes == [0xfc, 0x09, 0x00])
        .expect("a data.drop");
    // The same number in more bytes; the section and the body are one byte longer.
    wasm.splice(at + 1..at + 2, [0x89, 0x00]);
    for size in [at - 2, at - 4] {
        wasm[size] += 1;
    }
    let wasm = instrument(&wasm).expect("a module").into_owned();
    let mut guest = Guest::new(&wasm);
    assert_eq!(guest.flag(Internal::DroppedData(0)), Some(0));
}
