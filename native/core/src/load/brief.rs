//! Which exports are over in a moment, whatever they are called with.
//!
//! A function without loops that calls nothing but functions of the same kind runs each instruction
//! once at most. If they are few, nobody needs to be able to suspend or to end it.

use std::collections::HashMap;

use wasmparser::{
    CompositeInnerType, ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef, ValType,
    for_each_operator,
};

use super::LoadError;
use super::instrument::is_reserved;

/// Instructions and locals of a function and of what it calls. Each takes some nanoseconds, up to a
/// microsecond where it is the first to access a page; and each needs a place on the stack at most.
const MAX_COST: u32 = 1_000;
/// Calls in calls, to end this analysis.
const MAX_DEPTH: u32 = 16;

/// The positions, in a valid module's own exports, of the functions that are brief. Those have
/// neither parameters nor results that are references.
///
/// # Errors
///
/// [`LoadError::Invalid`] where the module does not decode.
pub fn exports(wasm: &[u8]) -> Result<Vec<u32>, LoadError> {
    let mut module = Functions::default();
    let mut exported = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ExportSection(exports) => {
                for (position, export) in (0..).zip(exports) {
                    let export = export?;
                    if export.kind == ExternalKind::Func && !is_reserved(export.name) {
                        exported.push((position, export.index));
                    }
                }
            }
            payload => module.note(payload)?,
        }
    }
    let mut brief = Vec::new();
    for (position, function) in exported {
        if module.cost(function, MAX_DEPTH)?.is_some() {
            brief.push(position);
        }
    }
    Ok(brief)
}

#[derive(Default)]
struct Functions<'a> {
    /// Whether all parameters and results of a type are numbers; false for what is no function.
    numeric: Vec<bool>,
    /// The type of each function, imported ones first.
    types: Vec<u32>,
    imported: usize,
    /// Whether a global holds a number, imported ones first.
    numeric_globals: Vec<bool>,
    bodies: Vec<FunctionBody<'a>>,
    /// What is known of functions by their index: what they cost, or that they are not brief. One that
    /// is being looked at counts as not brief: it calls itself.
    known: HashMap<u32, Option<u32>>,
}

impl<'a> Functions<'a> {
    fn note(&mut self, payload: Payload<'a>) -> Result<(), LoadError> {
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups {
                    self.numeric.extend(group?.types().map(|ty| {
                        matches!(&ty.composite_type.inner, CompositeInnerType::Func(ty)
                            if ty.params().iter().chain(ty.results()).all(is_numeric))
                    }));
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    match import?.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => self.types.push(ty),
                        TypeRef::Global(ty) => {
                            self.numeric_globals.push(is_numeric(&ty.content_type));
                        }
                        _ => {}
                    }
                }
                self.imported = self.types.len();
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    self.types.push(ty?);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let ty = global?.ty.content_type;
                    self.numeric_globals.push(is_numeric(&ty));
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            _ => {}
        }
        Ok(())
    }

    /// What a function costs with all that it calls; none if it is not brief, or if that cannot be seen
    /// so deep down.
    fn cost(&mut self, function: u32, depth: u32) -> Result<Option<u32>, LoadError> {
        if let Some(known) = self.known.get(&function) {
            return Ok(*known);
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Ok(None);
        };
        self.known.insert(function, None);
        let cost = self.count(function, depth)?;
        self.known.insert(function, cost);
        Ok(cost)
    }

    fn count(&mut self, function: u32, depth: u32) -> Result<Option<u32>, LoadError> {
        let index = function as usize;
        let ty = self.types.get(index);
        let is_numeric_type = ty.and_then(|ty| self.numeric.get(*ty as usize));
        let body = index
            .checked_sub(self.imported)
            .and_then(|defined| self.bodies.get(defined));
        let (Some(true), Some(body)) = (is_numeric_type, body) else {
            return Ok(None);
        };
        let body = body.clone();
        let mut cost: u32 = 0;
        for declared in body.get_locals_reader()? {
            let (number, ty) = declared?;
            cost = cost.saturating_add(number);
            if !is_numeric(&ty) {
                return Ok(None);
            }
        }
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            cost = cost.saturating_add(match operators.read()? {
                Operator::Loop { .. }
                | Operator::CallIndirect { .. }
                | Operator::MemoryGrow { .. } => return Ok(None),
                Operator::Call { function_index } => match self.cost(function_index, depth)? {
                    Some(cost) => cost.saturating_add(1),
                    None => return Ok(None),
                },
                Operator::GlobalGet { global_index } | Operator::GlobalSet { global_index } => {
                    match self.numeric_globals.get(global_index as usize) {
                        Some(true) => 1,
                        _ => return Ok(None),
                    }
                }
                operator if is_plain(&operator) => 1,
                _ => return Ok(None),
            });
            if cost > MAX_COST {
                return Ok(None);
            }
        }
        Ok(Some(cost))
    }
}

fn is_numeric(ty: &ValType) -> bool {
    !matches!(ty, ValType::Ref(_))
}

/// The proposals whose instructions do something to numbers and memories that takes the same time
/// always.
macro_rules! is_of_numbers {
    (mvp) => {
        true
    };
    (sign_extension) => {
        true
    };
    (saturating_float_to_int) => {
        true
    };
    (simd) => {
        true
    };
    (relaxed_simd) => {
        true
    };
    (wide_arithmetic) => {
        true
    };
    ($other:ident) => {
        false
    };
}

macro_rules! define_is_plain {
    ($(@$proposal:ident $operator:ident $({ $($argument:ident: $ty:ty),* })?
       => $visit:ident ($($annotation:tt)*))*) => {
        fn is_plain(operator: &Operator<'_>) -> bool {
            match operator {
                $(Operator::$operator { .. } => is_of_numbers!($proposal),)*
                _ => false,
            }
        }
    };
}

for_each_operator!(define_is_plain);

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(wat: &str) -> Vec<u32> {
        let wasm = wat::parse_str(wat).unwrap();
        wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
            .validate_all(&wasm)
            .unwrap();
        exports(&wasm).unwrap()
    }

    fn is_brief(function: &str) -> bool {
        let module = format!(
            r#"(module (import "m" "f" (func $import)) (import "m" "g" (global $imported externref))
                 (memory 1) (table 1 funcref) (type $none (func))
                 (global $number (mut i64) (i64.const 0)) (global $ref (mut funcref) (ref.null func))
                 (func $brief) (func $endless (loop (br 0)))
                 (func $itself (call $itself))
                 (func $there (call $back)) (func $back (call $there))
                 {function} (export "f" (func $f)))"#
        );
        positions(&module) == [0]
    }

    #[test]
    fn what_runs_each_instruction_once_is_brief() {
        for function in [
            "(func $f)",
            "(func $f (param i32 i64 f32 f64 v128) (result i32) (local.get 0))",
            "(func $f (local i32 i64) (call $brief) (call $brief))",
            "(func $f (result i32) (i32.load (memory.size)))",
            "(func $f (global.set $number (i64.add (global.get $number) (i64.const 1))))",
            "(func $f (param i32) (result i32)
               (block (block (br_table 0 1 (local.get 0))) (return (i32.const 1)))
               (if (local.get 0) (then (unreachable)))
               (select (i32.const 1) (i32.const 2) (i32.extend8_s (local.get 0))))",
            "(func $f (result v128) (i32x4.splat (i32.trunc_sat_f32_s (f32.const 1))))",
        ] {
            assert!(is_brief(function), "{function}");
        }
    }

    #[test]
    fn what_may_take_long_or_is_about_references_is_not() {
        for function in [
            "(func $f (loop))",
            "(func $f (call $endless))",
            "(func $f (call $import))",
            "(func $f (call $itself))",
            "(func $f (call $there))",
            "(func $f (call $f))",
            "(func $f (call_indirect (type $none) (i32.const 0)))",
            "(func $f (return_call $brief))",
            "(func $f (drop (memory.grow (i32.const 1))))",
            "(func $f (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))",
            "(func $f (drop (table.get (i32.const 0))))",
            "(func $f (drop (global.get $ref)))",
            "(func $f (drop (global.get $imported)))",
            "(func $f (drop (ref.func $f)))",
            "(func $f (local funcref))",
            "(func $f (param externref))",
            "(func $f (result externref) (ref.null extern))",
            "(func $f (drop (i32.atomic.load (i32.const 0))))",
        ] {
            assert!(!is_brief(function), "{function}");
        }
    }

    #[test]
    fn the_instructions_of_all_calls_count() {
        let of = |count: usize| format!("(func $f {})", "(nop)".repeat(count));
        // The end of a function is an instruction.
        assert!(is_brief(&of(MAX_COST as usize - 1)));
        assert!(!is_brief(&of(MAX_COST as usize)));
        let calls = |count: usize| {
            format!(
                "(func $half {}) (func $f {})",
                "(nop)".repeat(MAX_COST as usize / 2 - 3),
                "(call $half)".repeat(count)
            )
        };
        assert!(is_brief(&calls(2)));
        assert!(!is_brief(&calls(3)));
        assert!(!is_brief(&format!(
            "(func $f (local {}))",
            "i32 ".repeat(1_000)
        )));
    }

    #[test]
    fn the_time_for_this_does_not_double_with_each_call_in_a_call() {
        let mut module = String::from("(module (func $f0)");
        for level in 1..60 {
            let below = level - 1;
            module += &format!("(func $f{level} (call $f{below}) (call $f{below}))");
        }
        module += r#"(export "few" (func $f5)) (export "many" (func $f59)))"#;
        assert_eq!(positions(&module), [0]);
    }

    #[test]
    fn positions_are_those_among_all_exports() {
        let module = r#"(module (memory (export "m") 1) (func (export "a")) (func (export "b") (loop))
            (func (export "c")))"#;
        assert_eq!(positions(module), [1, 3]);
    }
}
