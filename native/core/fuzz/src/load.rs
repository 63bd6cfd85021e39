//! What is compiled in a module's place is valid where the module is, and does the same.

use std::sync::{Arc, LazyLock};

use arbitrary::Unstructured;
use wasm_smith::Config;
use wasmbeam_core::load::instrument::is_reserved;
use wasmbeam_core::load::{LoadError, Prepare, prepare};
use wasmbeam_core::snapshot::format::{self, ReadLimits};
use wasmbeam_core::{Error, MemorySelector, Module, Value};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wasmtime::{
    Engine, Extern, ExternType, Instance, Store, StoreLimits, StoreLimitsBuilder, Trap, Val,
    ValType,
};

use super::guest::{Guest, LIMITS, compile};
use super::legacy_exceptions::Program;

/// What wasmbeam's engine takes.
const STANDARD: WasmFeatures = WasmFeatures::WASM3
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::WIDE_ARITHMETIC);
/// So that every function ends.
const FUEL: u32 = 500;

pub fn run(data: &[u8]) {
    match data {
        [0, bytes @ ..] => check(bytes),
        // Further than the first eight bytes.
        [1, bytes @ ..] => check(&[b"\0asm\x01\0\0\0", bytes].concat()),
        [mode, bytes @ ..] if mode % 2 == 0 => {
            if let Some(module) = module(bytes, true) {
                check(&module);
            }
        }
        [_, bytes @ ..] => {
            if let Some(module) = module(bytes, false) {
                compare(&module);
            }
        }
        [] => {}
    }
}

/// Inputs to begin with: modules as they are, with and without legacy exceptions.
#[must_use]
pub fn examples() -> Vec<Vec<u8>> {
    let seeds = (0..6_u8).map(|seed| {
        let bytes: Vec<u8> = (0..3000_u32)
            .map(|at| (at * at) as u8 ^ (at as u8 * seed))
            .collect();
        bytes
    });
    let mut examples = Vec::new();
    for bytes in seeds {
        let legacy = Program::arbitrary(&mut Unstructured::new(&bytes));
        let modules = [
            legacy.ok().map(|program| program.encode()),
            module(&bytes, true),
        ];
        for module in modules.into_iter().flatten() {
            examples.push([&[0], module.as_slice()].concat());
        }
        for mode in [2, 3] {
            examples.push([&[mode], bytes.as_slice()].concat());
        }
    }
    examples
}

fn module(bytes: &[u8], imports: bool) -> Option<Vec<u8>> {
    let config = Config {
        max_imports: if imports { 10 } else { 0 },
        export_everything: !imports,
        // Which NaN an operation gives is the compiler's choice, otherwise.
        canonicalize_nans: true,
        custom_page_sizes_enabled: true,
        generate_custom_sections: true,
        max_data_segments: 5,
        max_element_segments: 5,
        max_elements: 10,
        max_funcs: 6,
        max_globals: 8,
        max_instructions: 60,
        max_memories: 3,
        max_memory32_bytes: 4 << 16,
        max_memory64_bytes: 4 << 16,
        max_table_elements: 100,
        max_tables: 3,
        max_tags: 4,
        max_types: 12,
        memory_max_size_required: true,
        min_data_segments: 1,
        min_funcs: 3,
        min_globals: 2,
        min_memories: 1,
        min_types: 3,
        shared_everything_threads_enabled: false,
        table_max_size_required: true,
        // A shared memory is no part of a snapshot, nor of a store that ends its guests.
        threads_enabled: false,
        wide_arithmetic_enabled: true,
        ..Config::default()
    };
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(bytes)).ok()?;
    module.ensure_termination(FUEL).ok()?;
    Some(module.to_bytes())
}

/// A valid module is valid afterwards, with the same imports and exports, and another is none.
fn check(wasm: &[u8]) {
    let is_valid = |features: WasmFeatures, wasm: &[u8]| {
        Validator::new_with_features(features)
            .validate_all(wasm)
            .is_ok()
    };
    let valid = is_valid(STANDARD.union(WasmFeatures::LEGACY_EXCEPTIONS), wasm);
    let options = Prepare {
        expose_internals: true,
    };
    let prepared = match prepare(wasm, options) {
        Ok(prepared) => prepared,
        Err(error) => {
            let allowed = matches!(
                error,
                LoadError::Limit { .. } | LoadError::ReservedExport { .. }
            );
            assert!(!valid || allowed, "{error}");
            return;
        }
    };
    // What has no legacy instruction is left for the compiler to validate, as it was given.
    if prepared.validated || valid {
        assert_eq!(is_valid(STANDARD, &prepared.wasm), valid);
    }
    if valid {
        assert_eq!(names(wasm), names(&prepared.wasm));
    }
}

/// Imports and exports that are not the loader's own.
fn names(wasm: &[u8]) -> Vec<(String, String)> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.expect("a valid module") {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.expect("an import");
                    names.push((import.module.to_owned(), import.name.to_owned()));
                }
            }
            Payload::ExportSection(exports) => {
                let exports = exports.into_iter().map(|export| export.expect("an export"));
                let own = exports.filter(|export| !is_reserved(export.name));
                names.extend(own.map(|export| (format!("{:?}", export.kind), export.name.into())));
            }
            _ => {}
        }
    }
    names
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = wasmtime::Config::new();
    config
        .wasm_exceptions(true)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_tail_call(true)
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_custom_page_sizes(true)
        .wasm_wide_arithmetic(true)
        .wasm_extended_const(true)
        .relaxed_simd_deterministic(false);
    Engine::new(&config).expect("an engine")
});

/// What a call, or a start, comes to.
#[derive(Debug, PartialEq)]
enum Outcome {
    Values(Vec<String>),
    Trap(String),
    Exception,
}

/// Runs the functions of a module in wasmtime, and as wasmbeam's, with the same results and the same
/// memories.
fn compare(wasm: &[u8]) {
    // What the compiler does not know is not for us to compare.
    let Ok(reference) = wasmtime::Module::new(&ENGINE, wasm) else {
        return;
    };
    // Such names are the loader's own, and refused.
    if reference.exports().any(|export| is_reserved(export.name())) {
        return;
    }
    let module = compile(wasm).expect("a module that wasmtime compiles");
    let memory = usize::try_from(LIMITS.memory).unwrap_or(usize::MAX);
    let limits = StoreLimitsBuilder::new().memory_size(memory).build();
    let mut store = Store::new(&ENGINE, limits);
    store.limiter(|limits| limits);
    let started = Instance::new(&mut store, &reference, &[]);
    let (instance, mut guest) = match (started, Guest::start(&module)) {
        (Ok(instance), Ok(guest)) => (instance, guest),
        (Err(error), Err(ours)) => {
            if let (Some(theirs), Some(ours)) = (failure(&error), own_failure(&ours)) {
                assert_eq!(theirs, ours);
            }
            return;
        }
        (theirs, Err(ours)) => {
            assert!(own_failure(&ours).is_none(), "{ours:?}, but {theirs:?}");
            return;
        }
        (Err(error), Ok(_)) => {
            assert!(failure(&error).is_none(), "{error:?}");
            return;
        }
    };
    for (index, export) in module.exports().iter().enumerate() {
        let ExternType::Func(ty) = &export.ty else {
            continue;
        };
        let Some(args) = ty
            .params()
            .map(|ty| argument(&ty))
            .collect::<Option<Vec<_>>>()
        else {
            continue;
        };
        let (theirs, ours): (Vec<_>, Vec<_>) = args.into_iter().unzip();
        let function = instance.get_func(&mut store, &export.name);
        let mut results = vec![Val::I32(0); ty.results().len()];
        let called = function
            .expect("a function")
            .call(&mut store, &theirs, &mut results);
        let expected = match called {
            Ok(()) => Some(Outcome::Values(results.iter().map(text).collect())),
            Err(error) => failure(&error),
        };
        let actual = match guest.call(index, ours) {
            Ok(values) => Some(Outcome::Values(values.iter().map(own_text).collect())),
            Err(error) => own_failure(&error),
        };
        // A limit of the one is none of the other.
        let (Some(expected), Some(actual)) = (expected, actual) else {
            return;
        };
        assert_eq!(expected, actual, "{} of {}", export.name, hex(wasm));
        memories(&mut store, instance, &mut guest, wasm);
    }
    copies(&mut guest, &module);
}

fn hex(wasm: &[u8]) -> String {
    format!("{wasm:02x?}")
}

/// A value of a type for either side, if one is easily made.
fn argument(ty: &ValType) -> Option<(Val, Value)> {
    Some(match ty {
        ValType::I32 => (Val::I32(7), Value::I32(7)),
        ValType::I64 => (Val::I64(-3), Value::I64(-3)),
        ValType::F32 => (Val::F32(0x3fc0_0000), Value::F32(0x3fc0_0000)),
        ValType::F64 => (Val::F64(1), Value::F64(1)),
        ValType::V128 => (Val::V128(5.into()), Value::V128(5)),
        ValType::Ref(ty) if ty.is_nullable() => (Val::null_ref(ty.heap_type()), Value::Null),
        ValType::Ref(_) => return None,
    })
}

fn text(value: &Val) -> String {
    match value {
        Val::I32(value) => format!("{value}"),
        Val::I64(value) => format!("{value}"),
        Val::F32(bits) => format!("{bits:x}"),
        Val::F64(bits) => format!("{bits:x}"),
        Val::V128(bits) => format!("{:x}", bits.as_u128()),
        reference => if is_null(reference) {
            "null"
        } else {
            "reference"
        }
        .into(),
    }
}

fn is_null(reference: &Val) -> bool {
    reference.ref_().is_none_or(|reference| reference.is_null())
}

fn own_text(value: &Value) -> String {
    match value {
        Value::I32(value) => format!("{value}"),
        Value::I64(value) => format!("{value}"),
        Value::F32(bits) => format!("{bits:x}"),
        Value::F64(bits) => format!("{bits:x}"),
        Value::V128(bits) => format!("{bits:x}"),
        Value::Null => "null".into(),
        Value::Func(_) | Value::Extern(_) | Value::I31(_) | Value::Object(_) => "reference".into(),
    }
}

/// None if it is a limit of the machine's.
fn failure(error: &wasmtime::Error) -> Option<Outcome> {
    if error.is::<wasmtime::ThrownException>() {
        return Some(Outcome::Exception);
    }
    match error.downcast_ref::<Trap>()? {
        Trap::StackOverflow | Trap::AllocationTooLarge => None,
        trap => Some(Outcome::Trap(trap.to_string())),
    }
}

fn own_failure(error: &Error) -> Option<Outcome> {
    match error {
        Error::Trap(trap) if matches!(trap.code, "stack_overflow" | "allocation_too_large") => None,
        Error::Trap(trap) => Some(Outcome::Trap(format!("wasm trap: {}", trap.message))),
        Error::Exception(_) => Some(Outcome::Exception),
        Error::Limit { .. } => None,
        error => panic!("{error:?}"),
    }
}

fn memories(store: &mut Store<StoreLimits>, instance: Instance, guest: &mut Guest, wasm: &[u8]) {
    let exports: Vec<_> = instance
        .exports(&mut *store)
        .map(|export| (export.name().to_owned(), export.into_extern()))
        .collect();
    for (name, export) in exports {
        match export {
            Extern::Memory(memory) => {
                let which = || MemorySelector::Name(name.clone());
                let size = memory.data_size(&*store);
                let own = guest.coroutine.memory_size(0, which()).expect("a memory");
                assert_eq!(own, size as u64);
                let read = guest.coroutine.memory_read(0, which(), 0, vec![0; size]);
                let read = read.expect("in bounds");
                assert!(read == memory.data(&*store), "{name} of {}", hex(wasm));
            }
            Extern::Global(global) => {
                let value = guest.coroutine.global_get(0, name).expect("a global");
                assert_eq!(text(&global.get(&mut *store)), own_text(&value));
            }
            _ => {}
        }
    }
}

/// What can be captured is the same in a fork, and in what is read back from its bytes.
fn copies(guest: &mut Guest, module: &Arc<Module>) {
    let bytes = match guest.snapshot() {
        Ok(bytes) => bytes,
        Err(Error::NotCapturable { .. }) => return,
        Err(error) => panic!("{error:?}"),
    };
    let mut fork = guest.fork().expect("a fork");
    assert!(fork.snapshot().expect("a snapshot") == bytes);
    let state = format::decode(&bytes, module.id(), ReadLimits::from(&LIMITS));
    let mut restored = Guest::restore(module, state.expect("a state")).expect("an instance");
    assert!(restored.snapshot().expect("a snapshot") == bytes);
}
