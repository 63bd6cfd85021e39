//! Modules that are not valid, or not supported, whatever the loader would make of them.

use wasmbeam_core::{Engine, EngineConfig, Error, Module};

fn refusal(wat: &str) -> String {
    let engine = Engine::get(EngineConfig::default()).unwrap();
    match Module::compile(&engine, wat.as_bytes()) {
        Err(Error::InvalidModule { message, .. }) => message,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("compiled: {wat}"),
    }
}

/// The loader exports it, and has it called later.
#[test]
fn a_start_function_has_no_parameters_and_no_results() {
    for signature in ["(param i32)", "(result i32) (i32.const 0)"] {
        let message = refusal(&format!("(module (func $f {signature}) (start $f))"));
        assert!(message.contains("start function"), "{message}");
    }
}

/// What is exported counts as declared, and the loader exports functions.
#[test]
fn a_function_that_is_referred_to_is_declared() {
    for elsewhere in ["", "(start $f)", "(table 1 funcref)"] {
        let message = refusal(&format!(
            "(module {elsewhere} (func $f (drop (ref.func $f))))"
        ));
        assert!(
            message.contains("undeclared function reference"),
            "{message}"
        );
    }
}

#[test]
fn shared_memories_are_refused() {
    for memory in [
        "(memory 1 1 shared)",
        r#"(import "host" "memory" (memory 1 1 shared))"#,
    ] {
        let message = refusal(&format!("(module {memory})"));
        assert!(
            message.contains("shared memories are not supported"),
            "{message}"
        );
    }
}
