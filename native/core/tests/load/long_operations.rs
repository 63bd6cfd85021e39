use std::borrow::Cow;

use wasmbeam_core::load::long_operations::{MEMORY_PIECE, TABLE_PIECE, divide};
use wasmtime::{Instance, Module, Store, Val};

use crate::support::{engine, validate_standard, wat};

/// The same exports for memories and tables of each width, on the same contents.
const RANGES: &str = r#"
    (module
      (memory $a 24)
      (memory $b i64 24)
      (table $s 70000 funcref)
      (table $t i64 70000 funcref)
      (data $data "DATA")
      (elem $elem func $none)
      (func $none)
      (func (export "contents") (result i64)
        (local $at i32) (local $sum i64)
        (loop $again
          (local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 5))
            (i64.add (i64.load $a (local.get $at))
              (i64.load $b (i64.extend_i32_u (local.get $at))))))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (br_if $again (i32.lt_u (local.get $at) (i32.const 0x180000))))
        (local.get $sum))
      (func (export "elements") (result i64)
        (local $at i32) (local $sum i64)
        (loop $again
          (local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 1))
            (i64.extend_i32_u (i32.add
              (ref.is_null (table.get $s (local.get $at)))
              (ref.is_null (table.get $t (i64.extend_i32_u (local.get $at))))))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $at) (i32.const 70000))))
        (local.get $sum))
      (func (export "seed") (local $at i32)
        (loop $again
          (i32.store $a (local.get $at) (i32.mul (local.get $at) (i32.const 0x9e3779b1)))
          (i32.store $b (i64.extend_i32_u (local.get $at))
            (i32.mul (local.get $at) (i32.const 0x85ebca77)))
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (br_if $again (i32.lt_u (local.get $at) (i32.const 0x180000))))
        (local.set $at (i32.const 0))
        (loop $again
          (if (i32.and (i32.mul (local.get $at) (i32.const 0x9e3779b1)) (i32.const 0x10000))
            (then (table.set $s (local.get $at) (ref.func $none)))
            (else (table.set $t (i64.extend_i32_u (local.get $at)) (ref.func $none))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $at) (i32.const 70000)))))
      (func (export "fill_a") (param $to i64) (param $from i64) (param $length i64)
        (memory.fill $a (i32.wrap_i64 (local.get 0)) (i32.wrap_i64 (local.get 1))
          (i32.wrap_i64 (local.get 2))))
      (func (export "fill_b") (param i64 i64 i64)
        (memory.fill $b (local.get 0) (i32.wrap_i64 (local.get 1)) (local.get 2)))
      (func (export "copy_aa") (param i64 i64 i64)
        (memory.copy $a $a (i32.wrap_i64 (local.get 0)) (i32.wrap_i64 (local.get 1))
          (i32.wrap_i64 (local.get 2))))
      (func (export "copy_bb") (param i64 i64 i64)
        (memory.copy $b $b (local.get 0) (local.get 1) (local.get 2)))
      (func (export "copy_ab") (param i64 i64 i64)
        (memory.copy $a $b (i32.wrap_i64 (local.get 0)) (local.get 1)
          (i32.wrap_i64 (local.get 2))))
      (func (export "copy_ba") (param i64 i64 i64)
        (memory.copy $b $a (local.get 0) (i32.wrap_i64 (local.get 1))
          (i32.wrap_i64 (local.get 2))))
      (func (export "init_a") (param i64 i64 i64)
        (memory.init $a $data (i32.wrap_i64 (local.get 0)) (i32.wrap_i64 (local.get 1))
          (i32.wrap_i64 (local.get 2))))
      (func (export "init_b") (param i64 i64 i64)
        (memory.init $b $data (local.get 0) (i32.wrap_i64 (local.get 1))
          (i32.wrap_i64 (local.get 2))))
      (func (export "fill_s") (param i64 i64 i64)
        (table.fill $s (i32.wrap_i64 (local.get 0)) (ref.func $none)
          (i32.wrap_i64 (local.get 2))))
      (func (export "fill_t") (param i64 i64 i64)
        (table.fill $t (local.get 0) (ref.null func) (local.get 2)))
      (func (export "copy_ss") (param i64 i64 i64)
        (table.copy $s $s (i32.wrap_i64 (local.get 0)) (i32.wrap_i64 (local.get 1))
          (i32.wrap_i64 (local.get 2))))
      (func (export "copy_ts") (param i64 i64 i64)
        (table.copy $t $s (local.get 0) (i32.wrap_i64 (local.get 1))
          (i32.wrap_i64 (local.get 2))))
      (func (export "init_s") (param i64 i64 i64)
        (table.init $s $elem (i32.wrap_i64 (local.get 0)) (i32.wrap_i64 (local.get 1))
          (i32.wrap_i64 (local.get 2))))
      (func (export "drop") (data.drop $data) (elem.drop $elem)))"#;

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
        let mut guest = Self { store, instance };
        guest.run("seed", &[]).expect("contents");
        guest
    }

    fn run(&mut self, name: &str, args: &[Val]) -> Result<Vec<Val>, String> {
        let function = self
            .instance
            .get_func(&mut self.store, name)
            .expect("a function");
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        match function.call(&mut self.store, args, &mut results) {
            Ok(()) => Ok(results),
            Err(error) => Err(error.root_cause().to_string()),
        }
    }

    fn contents(&mut self) -> [i64; 2] {
        ["contents", "elements"].map(|name| match self.run(name, &[]) {
            Ok(results) => results[0].unwrap_i64(),
            Err(error) => panic!("{error}"),
        })
    }
}

fn ranges() -> Vec<u8> {
    let data = "D".repeat(MEMORY_PIECE as usize * 2 + 5);
    let elements = "$none ".repeat(TABLE_PIECE as usize * 2 + 5);
    wat(&RANGES.replace("\"DATA\"", &format!("\"{data}\"")).replace(
        "(elem $elem func $none)",
        &format!("(elem $elem func {elements})"),
    ))
}

#[test]
fn divided_operations_do_and_refuse_what_whole_ones_do() {
    let whole = ranges();
    let divided = divide(&whole).expect("divided");
    validate_standard(&divided).expect("a valid module");
    let mut guests = [Guest::new(&whole), Guest::new(&divided)];
    let memory = 24 << 16;
    let piece = MEMORY_PIECE as i64;
    let memory_places = [
        0,
        1,
        piece - 1,
        piece + 3,
        memory / 2,
        memory - 1,
        memory,
        memory + 1,
        -1,
    ];
    let memory_lengths = [
        0,
        1,
        piece,
        piece + 1,
        2 * piece + 5,
        2 * piece + 6,
        memory - 1,
        memory,
        memory + 1,
        0xffff_ffff,
        -1,
    ];
    let table = 70_000;
    let few = TABLE_PIECE as i64;
    let table_places = [0, 3, few + 1, table, -1];
    let table_lengths = [
        0,
        few,
        few + 1,
        2 * few + 5,
        2 * few + 6,
        table,
        table + 1,
        -1,
    ];
    let memory_names = [
        "fill_a", "fill_b", "copy_aa", "copy_bb", "copy_ab", "copy_ba", "init_a", "init_b",
    ];
    let table_names = ["fill_s", "fill_t", "copy_ss", "copy_ts", "init_s"];
    let cases = memory_names
        .iter()
        .map(|name| (*name, &memory_places[..], &memory_lengths[..]))
        .chain(
            table_names
                .iter()
                .map(|name| (*name, &table_places[..], &table_lengths[..])),
        );
    let mut done = 0;
    for (name, places, lengths) in cases {
        for to in places {
            for from in places {
                for length in lengths {
                    let args = [Val::I64(*to), Val::I64(*from), Val::I64(*length)];
                    let [a, b] = guests
                        .each_mut()
                        .map(|guest| guest.run(name, &args).map(|results| results.len()));
                    assert_eq!(a, b, "{name} {to} {from} {length}");
                    done += 1;
                    // Looking at everything takes longer than doing it.
                    if done % 16 == 0 {
                        let [a, b] = guests.each_mut().map(Guest::contents);
                        assert_eq!(a, b, "{name} {to} {from} {length}");
                    }
                }
            }
        }
        let [a, b] = guests.each_mut().map(Guest::contents);
        assert_eq!(a, b, "{name}");
        for guest in &mut guests {
            guest.run("seed", &[]).expect("contents");
        }
    }
    for guest in &mut guests {
        guest.run("drop", &[]).expect("dropped");
        for length in [0, 1, MEMORY_PIECE as i64 + 1] {
            let args = [Val::I64(0), Val::I64(0), Val::I64(length)];
            for name in ["init_a", "init_s"] {
                assert_eq!(
                    guest.run(name, &args).is_ok(),
                    length == 0,
                    "{name} {length}"
                );
            }
        }
    }
}

#[test]
fn what_cannot_be_long_is_left_as_it_is() {
    for text in [
        "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 64))))",
        "(module (memory 1) (func (memory.copy (i32.const 0) (i32.const 9) (i32.const 262144))))",
        "(module (memory 1 4) (func (param i32)
           (memory.fill (i32.const 0) (i32.const 0) (local.get 0))))",
        "(module (memory 1) (data $d \"abc\") (func (param i32)
           (memory.init $d (i32.const 0) (i32.const 0) (local.get 0))))",
        "(module (table 1 9 funcref) (func (param i32)
           (table.fill 0 (i32.const 0) (ref.null func) (local.get 0))))",
        "(module (func (drop (i32.const 252)) (drop (i32.const 11))))",
    ] {
        let wasm = wat(text);
        assert!(matches!(divide(&wasm), Ok(Cow::Borrowed(_))), "{text}");
    }
}

#[test]
fn a_long_constant_is_divided() {
    let wasm = wat("(module (memory 100)
        (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 262145))))");
    let divided = divide(&wasm).expect("divided");
    assert!(matches!(divided, Cow::Owned(_)));
    validate_standard(&divided).expect("a valid module");
}

#[test]
fn a_function_without_room_for_locals_calls_for_each_operation() {
    for count in [49_997, 49_998, 49_999] {
        let wasm = wat(&format!(
            "(module (memory 1) (func (param i32) (local{})
               (memory.fill (i32.const 0) (i32.const 0) (local.get 0))))",
            " i64".repeat(count)
        ));
        validate_standard(&divide(&wasm).expect("divided")).expect("a valid module");
    }
}

#[test]
fn an_invalid_module_stays_invalid() {
    for text in [
        "(module (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 300000))))",
        "(module (memory 1) (func (memory.fill (i64.const 0) (i32.const 0) (i32.const 300000))))",
        "(module (memory 1) (func (memory.copy 7 0 (i32.const 0) (i32.const 0) (i32.const 300000))))",
        "(module (table 1 funcref) (func (table.fill 0 (i32.const 0) (ref.null extern)
           (i32.const 300000))))",
    ] {
        let wasm = wat(text);
        validate_standard(&wasm).expect_err(text);
        match divide(&wasm) {
            Ok(divided) => {
                validate_standard(&divided).expect_err(text);
            }
            Err(error) => println!("{error}"),
        }
    }
}

#[test]
fn debug_information_keeps_the_offsets_of_code() {
    let text = "(module (memory 1) (data $d \"DATA\")
       (func (param i32) (memory.fill (i32.const 0) (i32.const 0) (local.get 0)))
       (func (param i32) (memory.copy (i32.const 0) (i32.const 0) (local.get 0)))
       (func (param i32) (memory.init $d (i32.const 0) (i32.const 0) (local.get 0)))
       (@custom \".debug_line\" \"\"))"
        .replace("DATA", &"D".repeat(MEMORY_PIECE as usize + 1));
    let wasm = wat(&text);
    let divided = divide(&wasm).expect("divided");
    validate_standard(&divided).expect("a valid module");
    let [before, after] = [&wasm[..], &divided].map(bodies);
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.len(), before.len() + 3);
}

/// How long each function's body is.
fn bodies(wasm: &[u8]) -> Vec<usize> {
    wasmparser::Parser::new(0)
        .parse_all(wasm)
        .filter_map(|payload| match payload.expect("a module that decodes") {
            wasmparser::Payload::CodeSectionEntry(body) => Some(body.range().len()),
            _ => None,
        })
        .collect()
}
