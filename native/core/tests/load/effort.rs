//! Modules whose size does not tell how long they compile.

use wasmbeam_core::load::{LoadError, MAX_EFFORT, Prepare, effort, prepare};

use crate::support::wat;

const I32S: &str = "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 ";

fn effort_of(text: &str) -> u64 {
    effort(&wat(text)).expect("a module")
}

/// A function with so many locals, each of which `code` refers to as `N`.
fn locals(count: usize, before: &str, code: &str, after: &str) -> String {
    let each: String = (1..=count)
        .map(|n| code.replace('N', &n.to_string()))
        .collect();
    format!(
        "(module (func (param i32) (local {}) {before} {each} {after}))",
        "i32 ".repeat(count)
    )
}

#[test]
fn a_module_beyond_the_limit_is_refused() {
    let ifs = "local.get 0 if end ".repeat(20_000);
    let wasm = wat(&locals(2_000, &ifs, "local.get N drop ", ""));
    assert!(effort(&wasm).expect("a module") > MAX_EFFORT);
    match prepare(&wasm, Prepare::default()) {
        Err(LoadError::Limit { limit, offset, .. }) => {
            assert_eq!(limit as u64, MAX_EFFORT);
            assert!(offset > 0 && offset < wasm.len());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn locals_count_wherever_control_flow_joins_while_they_live() {
    let ifs = "local.get 0 if end ".repeat(10_000);
    let read_after = effort_of(&locals(1_000, &ifs, "local.get N drop ", ""));
    assert!(read_after > 9_000_000, "{read_after}");
    // They are set first, and nothing is read after the joins.
    let dead = effort_of(&locals(
        1_000,
        "",
        "local.get 0 local.set N local.get N drop ",
        &ifs,
    ));
    assert_eq!(dead, 0);
    // They are set where they are read.
    let local = effort_of(&locals(
        1_000,
        &ifs,
        "local.get 0 local.set N local.get N drop ",
        "",
    ));
    assert_eq!(local, 0);
    // They are set on one way only.
    let one_way = effort_of(&locals(
        1_000,
        &ifs,
        "(if (local.get 0) (then (local.set N (i32.const 1)))) (drop (local.get N)) ",
        "",
    ));
    assert!(one_way > 9_000_000, "{one_way}");
}

#[test]
fn what_is_read_in_a_loop_lives_through_it() {
    let ifs = "local.get 0 if end ".repeat(10_000);
    let code = "local.get N drop ";
    let carried = effort_of(&locals(1_000, "loop", code, &format!("{ifs} end")));
    assert!(carried > 9_000_000, "{carried}");
    let ended = effort_of(&locals(1_000, "loop", code, &format!("end {ifs}")));
    assert_eq!(ended, 0);
}

#[test]
fn loops_count_more_the_deeper_they_are() {
    let nested = locals(
        500,
        &"loop ".repeat(500),
        "(local.set N (i32.add (local.get N) (local.get 0))) ",
        &"local.get 0 br_if 0 end ".repeat(500),
    );
    let beside = locals(
        500,
        &"loop local.get 0 br_if 0 end ".repeat(500),
        "(local.set N (i32.add (local.get N) (local.get 0))) ",
        "",
    );
    assert!(effort_of(&nested) > 5 * effort_of(&beside));
}

#[test]
fn operands_count_where_their_number_is_not_in_the_code() {
    let (wide, gets, drops) = (
        I32S.repeat(10),
        "local.get 0 ".repeat(100),
        "drop ".repeat(100),
    );
    let of = |code: &str, count: usize| {
        effort_of(&format!(
            "(module
               (type $wide (func (param {wide}) (result {wide})))
               (func $f (type $wide) unreachable)
               (func (param i32) {gets} {} {drops}))",
            code.repeat(count)
        ))
    };
    assert!(of("call $f ", 1_000) > 1_000_000);
    assert!(of("block (type $wide) end ", 1_000) > 1_000_000);
    assert!(of("loop (type $wide) end ", 1_000) > 1_000_000);
    assert!(of("local.get 0 if (type $wide) end ", 1_000) > 1_000_000);
    // That of these is in the code.
    assert_eq!(of("local.get 0 i32.add ", 1_000), 0);
}

#[test]
fn fields_count_where_their_number_is_not_in_the_code() {
    let fields = "(field (mut i32)) ".repeat(1_000);
    let makes = "(drop (struct.new_default $s)) ".repeat(1_000);
    let made = effort_of(&format!(
        "(module (type $s (struct {fields})) (func {makes}))"
    ));
    assert!(made > 5_000_000, "{made}");
}

#[test]
fn references_count_at_each_call() {
    let of = |ty: &str| {
        effort_of(&format!(
            "(module (func $f) (func $g (result {ty}) unreachable)
               (func {} {} {}))",
            "call $g ".repeat(5_000),
            "call $f ".repeat(5_000),
            "drop ".repeat(5_000)
        ))
    };
    assert!(of("externref") > 5_000_000);
    assert_eq!(of("funcref"), 0);
    assert_eq!(of("i32"), 0);
}

#[test]
fn declared_locals_count() {
    let count = 40_000;
    let function = format!("(func (local {}))", "i32 ".repeat(count));
    let effort = effort_of(&format!("(module {})", function.repeat(10)));
    assert!(effort > 40_000, "{effort}");
}

#[test]
fn the_limit_is_for_all_functions_together() {
    let ifs = "local.get 0 if end ".repeat(1_000);
    let gets: String = (1..=1_000)
        .map(|n| format!("local.get {n} drop "))
        .collect();
    let function = format!(
        "(func (param i32) (local {}) {ifs} {gets})",
        "i32 ".repeat(1_000)
    );
    let of = |count| wat(&format!("(module {})", function.repeat(count)));
    prepare(&of(10), Prepare::default()).expect("within the limit");
    assert!(matches!(
        prepare(&of(50), Prepare::default()),
        Err(LoadError::Limit { .. })
    ));
}

#[test]
fn code_as_it_usually_is_does_not_count() {
    let function = "(func (param i32) (result i32) (local i32 i32 i32)
        (block $out (loop $again
          (br_if $out (i32.ge_u (local.get 1) (local.get 0)))
          (if (local.get 2) (then (local.set 3 (i32.add (local.get 3) (local.get 1)))))
          (local.set 1 (i32.add (local.get 1) (i32.const 1)))
          (br $again)))
        (local.get 3))";
    assert_eq!(
        effort_of(&format!("(module {})", function.repeat(2_000))),
        0
    );
}
