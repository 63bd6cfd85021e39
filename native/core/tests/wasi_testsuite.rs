//! Runs the official WASI preview 1 test suite over the virtual filesystem.
//!
//! The suite is looked for in `wasi-testsuite` beneath the folder that `WASMBEAM_SHARED` names,
//! or beneath `../shared` from the project's root; without it the test is skipped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use wasmbeam_core::wasi::{
    self, Abi, Answer, Function, Node, Outcome, OutputStream, Preopen, Request, ValueType, Version,
    WasiConfig, WasiState, Width,
};
use wasmtime::{Caller, Engine, ExternType, FuncType, Linker, Module, Store, Val, ValType};

/// Ends the guest with a status.
#[derive(Debug, thiserror::Error)]
#[error("exit {0}")]
struct Exit(u32);

fn suite() -> Option<PathBuf> {
    let shared = std::env::var_os("WASMBEAM_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    Some(shared.join("wasi-testsuite")).filter(|path| path.is_dir())
}

#[derive(Default)]
struct Expectation {
    args: Vec<String>,
    env: BTreeMap<String, String>,
    root: Option<String>,
    exit_code: u32,
    stdout: Option<String>,
    stderr: Option<String>,
}

fn expectation(path: &Path) -> Expectation {
    let Ok(text) = fs::read_to_string(path) else {
        return Expectation::default();
    };
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let text = |key: &str| {
        json.get(key)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    let words = |value: &serde_json::Value| {
        value
            .as_array()
            .into_iter()
            .flatten()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let pairs = |value: &serde_json::Value| {
        let pairs = value.as_object().into_iter().flatten();
        pairs
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect()
    };
    Expectation {
        args: json.get("args").map(words).unwrap_or_default(),
        env: json.get("env").map(pairs).unwrap_or_default(),
        root: text("root"),
        exit_code: json
            .get("exit_code")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0) as u32,
        stdout: text("stdout"),
        stderr: text("stderr"),
    }
}

fn load(path: &Path) -> Node {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a folder").map(|entry| {
            let entry = entry.expect("an entry");
            (entry.file_name().into_encoded_bytes(), load(&entry.path()))
        });
        Node::Directory(entries.collect())
    } else {
        Node::File(fs::read(path).expect("a file"))
    }
}

fn config(wasm: &Path, expected: &Expectation) -> WasiConfig {
    let name = wasm
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let args = std::iter::once(&name).chain(&expected.args);
    let root = expected
        .root
        .as_ref()
        .map(|root| load(&wasm.with_file_name(root)));
    WasiConfig {
        args: args.map(|arg| arg.clone().into_bytes()).collect(),
        env: expected
            .env
            .iter()
            .map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes()))
            .collect(),
        preopens: match root {
            Some(_) => vec![Preopen {
                name: b"/".to_vec(),
                path: b"/".to_vec(),
            }],
            None => Vec::new(),
        },
        files: root.unwrap_or_default(),
        ..WasiConfig::default()
    }
}

/// Does what an embedder does for requests, as far as the suite's guests make any.
fn drive(state: &mut WasiState, memory: &mut [u8], mut outcome: Outcome) -> Outcome {
    while let Outcome::Pending(request) = outcome {
        let answer = match &request {
            Request::Wait(wait) => {
                std::thread::sleep(std::time::Duration::from_nanos(wait.timeout_ns.unwrap()));
                Answer::Elapsed
            }
            Request::Yield(_) => Answer::Elapsed,
            other => panic!("unexpected request {other:?}"),
        };
        outcome = wasi::complete(state, memory, request, &answer);
    }
    outcome
}

/// Defines what the module imports; some modules import a function twice.
fn link(linker: &mut Linker<WasiState>, module: &Module) {
    linker.allow_shadowing(true);
    for import in module.imports() {
        let version = Version::from_module(import.module()).expect("a WASI module");
        let function = Function::from_name(import.name()).expect("a WASI function");
        let ExternType::Func(ty) = import.ty() else {
            panic!("an import that is no function")
        };
        assert_eq!(
            signature(&ty),
            function.value_types(Width::W32).collect::<Vec<_>>()
        );
        let abi = Abi {
            width: Width::W32,
            version,
        };
        linker
            .func_new(
                import.module(),
                import.name(),
                ty,
                move |mut caller, args, results| {
                    host_call(&mut caller, function, abi, args, results)
                },
            )
            .expect("a function of its own type");
    }
}

fn signature(ty: &FuncType) -> Vec<ValueType> {
    let types = ty.params().map(|param| match param {
        ValType::I32 => ValueType::I32,
        ValType::I64 => ValueType::I64,
        other => panic!("no WASI function takes {other}"),
    });
    types.collect()
}

fn host_call(
    caller: &mut Caller<'_, WasiState>,
    function: Function,
    abi: Abi,
    args: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let raw: Vec<u64> = args
        .iter()
        .map(|arg| match arg {
            Val::I32(value) => *value as u32 as u64,
            Val::I64(value) => *value as u64,
            other => panic!("no WASI function takes {other:?}"),
        })
        .collect();
    let memory = caller
        .get_export("memory")
        .and_then(|item| item.into_memory())
        .expect("memory");
    let (memory, state) = memory.data_and_store_mut(caller);
    let outcome = wasi::call(state, memory, function, abi, &raw);
    match drive(state, memory, outcome) {
        Outcome::Exit(status) => Err(wasmtime::Error::new(Exit(status))),
        outcome => {
            results[0] = Val::I32(i32::from(outcome.errno().expect("an error number")));
            Ok(())
        }
    }
}

fn run(engine: &Engine, wasm: &Path) -> Result<(), String> {
    let expected = expectation(&wasm.with_extension("json"));
    let module = Module::from_file(engine, wasm).map_err(|error| format!("{error:?}"))?;
    let state = WasiState::new(config(wasm, &expected)).map_err(|error| error.to_string())?;
    let mut store = Store::new(engine, state);
    let mut linker = Linker::new(engine);
    link(&mut linker, &module);
    let ended = linker
        .instantiate(&mut store, &module)
        .and_then(|instance| instance.get_typed_func::<(), ()>(&mut store, "_start"))
        .and_then(|start| start.call(&mut store, ()));
    let status = match &ended {
        Ok(()) => Some(0),
        Err(error) => error.downcast_ref::<Exit>().map(|exit| exit.0),
    };
    let text = |stream| String::from_utf8_lossy(&store.data().captured(stream)).into_owned();
    let (stdout, stderr) = (text(OutputStream::Stdout), text(OutputStream::Stderr));
    if status != Some(expected.exit_code) {
        return Err(format!("ended with {ended:?}\n{stdout}{stderr}"));
    }
    for (wanted, got) in [(expected.stdout, stdout), (expected.stderr, stderr)] {
        if wanted.is_some_and(|wanted| wanted != got) {
            return Err(format!("printed {got:?}"));
        }
    }
    Ok(())
}

#[test]
fn every_module_of_the_official_suite_passes() {
    let Some(suite) = suite() else {
        eprintln!("skipped: there is no wasi-testsuite in the shared folder");
        return;
    };
    let engine = Engine::default();
    let mut failures = Vec::new();
    let mut count = 0;
    for folder in ["assemblyscript", "c", "rust"] {
        let mut modules: Vec<_> = fs::read_dir(suite.join(folder))
            .expect("a folder of the suite")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "wasm")
            })
            .collect();
        modules.sort();
        for module in modules {
            count += 1;
            if let Err(reason) = run(&engine, &module) {
                failures.push(format!("{}: {reason}", module.display()));
            }
        }
    }
    assert!(count > 0, "the suite has no modules");
    assert!(
        failures.is_empty(),
        "{} of {count} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
