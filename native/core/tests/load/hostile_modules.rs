//! Valid modules that are made to cost more than they should.

use std::borrow::Cow;

use wasm_encoder::{
    BlockType, CodeSection, Function, FunctionSection, Instruction, Module, TagKind, TagSection,
    TagType, TypeSection, ValType,
};
use wasmbeam_core::load::LoadError;
use wasmbeam_core::load::legacy_exceptions::translate;

use crate::support::validate_standard;

const DEPTH: usize = 100_000;

/// Function types, of which the first is that of the only function, and the tags that have others.
fn module(types: &TypeSection, tags: &[u32], code: &[Instruction<'_>]) -> Vec<u8> {
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut tag_section = TagSection::new();
    for index in tags {
        tag_section.tag(TagType {
            kind: TagKind::Exception,
            func_type_idx: *index,
        });
    }
    let mut function = Function::new([]);
    for instruction in code {
        function.instruction(instruction);
    }
    let mut bodies = CodeSection::new();
    bodies.function(&function);
    let mut module = Module::new();
    module.section(types).section(&functions);
    module.section(&tag_section).section(&bodies);
    module.finish()
}

fn empty_type() -> TypeSection {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types
}

/// `DEPTH` tries within each other, each ending with the instructions given.
fn nested(endings: &[Instruction<'static>]) -> Vec<u8> {
    let mut code = vec![Instruction::Try(BlockType::Empty); DEPTH];
    for _ in 0..DEPTH {
        code.extend_from_slice(endings);
    }
    code.push(Instruction::End);
    module(&empty_type(), &[0], &code)
}

/// Tries within each other's handlers, all of them still open.
fn open_handlers(depth: usize) -> Vec<Instruction<'static>> {
    let one = || [Instruction::Try(BlockType::Empty), Instruction::CatchAll];
    (0..depth).flat_map(|_| one()).collect()
}

fn grows_linearly(wasm: &[u8]) {
    let translated = translate(wasm).expect("a translation");
    assert!(matches!(translated, Cow::Owned(_)));
    let factor = translated.len() / wasm.len();
    assert!(factor < 16, "grew by a factor of {factor}");
    validate_standard(&translated).expect("a valid module");
}

#[test]
fn deeply_nested_catches() {
    grows_linearly(&nested(&[
        Instruction::Catch(0),
        Instruction::CatchAll,
        Instruction::End,
    ]));
}

#[test]
fn deeply_nested_handlers() {
    let mut code = open_handlers(DEPTH);
    code.extend(vec![Instruction::End; DEPTH + 1]);
    grows_linearly(&module(&empty_type(), &[], &code));
}

#[test]
fn deeply_nested_rethrows_share_locals() {
    grows_linearly(&nested(&[
        Instruction::CatchAll,
        Instruction::Rethrow(0),
        Instruction::End,
    ]));
}

#[test]
fn deeply_nested_delegates_that_follow_each_other() {
    grows_linearly(&nested(&[Instruction::Delegate(0)]));
}

#[test]
fn delegates_from_the_innermost_to_the_caller() {
    let mut code = vec![Instruction::Try(BlockType::Empty); 1_000];
    for _ in 0..50_000 {
        code.push(Instruction::Try(BlockType::Empty));
        code.push(Instruction::Delegate(1_000));
    }
    for _ in 0..1_000 {
        code.push(Instruction::CatchAll);
        code.push(Instruction::End);
    }
    code.push(Instruction::End);
    grows_linearly(&module(&empty_type(), &[], &code));
}

#[test]
fn long_branch_tables() {
    let targets: Vec<u32> = (0..1_000).collect();
    let mut code = vec![Instruction::Try(BlockType::Empty); 1_000];
    for _ in 0..100 {
        code.push(Instruction::I32Const(0));
        code.push(Instruction::BrTable(targets.clone().into(), 1_000));
    }
    for _ in 0..1_000 {
        code.push(Instruction::CatchAll);
        code.push(Instruction::End);
    }
    code.push(Instruction::End);
    grows_linearly(&module(&empty_type(), &[], &code));
}

fn limit(wasm: &[u8]) -> (&'static str, usize) {
    match translate(wasm) {
        Err(LoadError::Limit { what, limit, .. }) => (what, limit),
        other => panic!("{:?}", other.map(|wasm| wasm.len())),
    }
}

#[test]
fn more_exceptions_at_a_time_than_locals_are_refused() {
    let mut code = open_handlers(60_000);
    for depth in 0..60_000 {
        code.push(Instruction::Rethrow(depth));
    }
    code.extend(vec![Instruction::End; 60_001]);
    let wasm = module(&empty_type(), &[], &code);
    assert_eq!(limit(&wasm), ("locals in a function", 50_000));
}

#[test]
fn more_clauses_than_a_try_table_holds_are_refused() {
    let mut code = vec![Instruction::Try(BlockType::Empty)];
    code.extend(vec![Instruction::Catch(0); 10_001]);
    code.extend([Instruction::End, Instruction::End]);
    let wasm = module(&empty_type(), &[0], &code);
    assert_eq!(limit(&wasm), ("catches of a try", 10_000));
}

/// Tries of `tries` types with a clause for each of `tags` tags, all of a thousand parameters.
fn many_wide_types(tries: usize, tags: usize) -> Vec<u8> {
    let wide = |n: usize| {
        let mut values = vec![ValType::I32; 1_000];
        for (bit, value) in values.iter_mut().enumerate().take(10) {
            if n >> bit & 1 == 1 {
                *value = ValType::I64;
            }
        }
        values
    };
    let mut types = empty_type();
    for n in 0..tries.max(tags) {
        types.ty().function(wide(n), []);
    }
    let mut code = vec![Instruction::Unreachable];
    for n in 0..tries {
        code.push(Instruction::Try(BlockType::FunctionType(1 + n as u32)));
        code.push(Instruction::Unreachable);
        for tag in 0..tags {
            code.push(Instruction::Catch(tag as u32));
            code.push(Instruction::Unreachable);
        }
        code.push(Instruction::End);
    }
    code.push(Instruction::End);
    let tags: Vec<u32> = (1..=tags as u32).collect();
    module(&types, &tags, &code)
}

#[test]
fn wide_types_in_every_combination_are_refused() {
    assert_eq!(
        limit(&many_wide_types(100, 100)),
        ("values in block types", 1_000_000)
    );
}

#[test]
fn wide_types_in_some_combinations_are_translated() {
    let wasm = many_wide_types(10, 20);
    let translated = translate(&wasm).expect("a translation");
    validate_standard(&translated).expect("a valid module");
}

#[test]
fn a_block_that_would_carry_too_much_is_refused() {
    let mut types = empty_type();
    types.ty().function(vec![ValType::I32; 1_000], []);
    let code = [
        Instruction::Try(BlockType::Empty),
        Instruction::Catch(0),
        Instruction::Rethrow(0),
        Instruction::End,
        Instruction::End,
    ];
    assert_eq!(
        limit(&module(&types, &[1], &code)),
        ("results of a block", 1_000)
    );
}

#[test]
fn a_function_that_would_be_too_large_is_refused() {
    let tries = 1_800_000;
    let mut code = Vec::with_capacity(tries * 4);
    for _ in 0..tries {
        code.push(Instruction::Try(BlockType::Empty));
        code.push(Instruction::CatchAll);
        code.push(Instruction::End);
    }
    code.push(Instruction::End);
    let wasm = module(&empty_type(), &[], &code);
    assert_eq!(limit(&wasm), ("bytes in a function", 7_654_321));
}
