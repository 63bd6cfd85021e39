//! Runs a `.wast` script through the translation and the engine.

use std::collections::HashMap;
use std::path::Path;

use wasmbeam_core::load::legacy_exceptions::{translate, uses_legacy_exceptions};
use wasmtime::{Engine, ExternRef, Instance, Linker, Module, Store, ThrownException, Val};
use wast::core::{NanPattern, WastArgCore, WastRetCore};
use wast::parser::ParseBuffer;
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

use super::{engine, folded, validate_standard};

pub struct Script {
    engine: Engine,
    store: Store<()>,
    linker: Linker<()>,
    current: Option<Instance>,
    named: HashMap<String, Instance>,
}

enum Outcome {
    Values(Vec<Val>),
    Exception,
    Failure(String),
}

/// Runs every directive of a script and gives the number of its assertions. Panics at the first
/// that does not hold.
pub fn run(path: &Path) -> usize {
    let source = std::fs::read_to_string(path).expect("a readable script");
    let source = folded::unfold(&source);
    let buffer = ParseBuffer::new(&source).expect("tokens");
    let wast: Wast<'_> = wast::parser::parse(&buffer).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let engine = engine();
    let mut script = Script {
        store: Store::new(&engine, ()),
        linker: Linker::new(&engine),
        engine,
        current: None,
        named: HashMap::new(),
    };
    let mut assertions = 0;
    for directive in wast.directives {
        let (line, _) = directive.span().linecol_in(&source);
        let text = source.lines().nth(line).unwrap_or_default();
        match script.directive(directive) {
            Ok(counted) => assertions += counted,
            Err(message) => panic!("{}: {message}\n{text}", path.display()),
        }
    }
    assertions
}

impl Script {
    fn directive(&mut self, directive: WastDirective<'_>) -> Result<usize, String> {
        match directive {
            WastDirective::Module(mut module) => {
                let name = module.name().map(|id| id.name().to_owned());
                let instance = self.instantiate(&encode(&mut module)?)?;
                self.current = Some(instance);
                if let Some(name) = name {
                    self.named.insert(name, instance);
                }
                Ok(0)
            }
            WastDirective::Register { name, module, .. } => {
                let instance = self.instance(module.map(|id| id.name()))?;
                self.linker
                    .instance(&mut self.store, name, instance)
                    .map_err(|e| e.to_string())?;
                Ok(0)
            }
            WastDirective::Invoke(invoke) => match self.invoke(&invoke)? {
                Outcome::Values(_) => Ok(0),
                _ => Err("the call failed".to_owned()),
            },
            WastDirective::AssertReturn { exec, results, .. } => {
                match self.execute(exec)? {
                    Outcome::Values(values) => self.check(&values, &results)?,
                    Outcome::Exception => return Err("an exception was thrown".to_owned()),
                    Outcome::Failure(message) => return Err(message),
                }
                Ok(1)
            }
            WastDirective::AssertTrap { exec, message, .. } => match self.execute(exec)? {
                Outcome::Failure(found) if found.contains(message) => Ok(1),
                Outcome::Failure(found) => Err(format!("expected {message}, found {found}")),
                Outcome::Values(_) => Err("the call returned".to_owned()),
                Outcome::Exception => Err("an exception was thrown".to_owned()),
            },
            WastDirective::AssertException { exec, .. } => match self.execute(exec)? {
                Outcome::Exception => Ok(1),
                Outcome::Values(values) => Err(format!("the call returned {values:?}")),
                Outcome::Failure(message) => Err(message),
            },
            WastDirective::AssertMalformed { mut module, .. } => match encode(&mut module) {
                Err(_) => Ok(1),
                Ok(wasm) => self.refused(&wasm),
            },
            WastDirective::AssertInvalid { mut module, .. } => {
                let wasm = encode(&mut module)?;
                self.refused(&wasm)
            }
            _ => Err("a directive that the runner does not know".to_owned()),
        }
    }

    /// An invalid module must be refused before it is translated, and stay so.
    fn refused(&self, wasm: &[u8]) -> Result<usize, String> {
        match (uses_legacy_exceptions(wasm), translate(wasm)) {
            (_, Err(_)) => Ok(1),
            (Ok(false), Ok(wasm)) if Module::new(&self.engine, &wasm).is_err() => Ok(1),
            _ => Err("the module was accepted".to_owned()),
        }
    }

    fn instantiate(&mut self, wasm: &[u8]) -> Result<Instance, String> {
        let translated = translate(wasm).map_err(|e| e.to_string())?;
        validate_standard(&translated)?;
        assert_eq!(
            translated,
            translate(wasm).expect("the same again"),
            "the translation is deterministic"
        );
        let module = Module::new(&self.engine, &translated).map_err(|e| format!("{e:?}"))?;
        self.linker
            .instantiate(&mut self.store, &module)
            .map_err(|e| format!("{e:?}"))
    }

    fn instance(&self, name: Option<&str>) -> Result<Instance, String> {
        match name {
            Some(name) => self.named.get(name).copied(),
            None => self.current,
        }
        .ok_or_else(|| "no such instance".to_owned())
    }

    fn execute(&mut self, execute: WastExecute<'_>) -> Result<Outcome, String> {
        match execute {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            _ => Err("an action that the runner does not know".to_owned()),
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Outcome, String> {
        let instance = self.instance(invoke.module.map(|id| id.name()))?;
        let function = instance
            .get_func(&mut self.store, invoke.name)
            .ok_or_else(|| format!("no function {}", invoke.name))?;
        let mut args = Vec::new();
        for arg in &invoke.args {
            args.push(self.argument(arg)?);
        }
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        Ok(match function.call(&mut self.store, &args, &mut results) {
            Ok(()) => Outcome::Values(results),
            Err(error) if error.is::<ThrownException>() => {
                self.store.take_pending_exception().expect("an exception");
                Outcome::Exception
            }
            Err(error) => Outcome::Failure(format!("{error:?}")),
        })
    }

    fn argument(&mut self, arg: &WastArg<'_>) -> Result<Val, String> {
        Ok(match arg {
            WastArg::Core(WastArgCore::I32(n)) => Val::I32(*n),
            WastArg::Core(WastArgCore::I64(n)) => Val::I64(*n),
            WastArg::Core(WastArgCore::F32(n)) => Val::F32(n.bits),
            WastArg::Core(WastArgCore::F64(n)) => Val::F64(n.bits),
            WastArg::Core(WastArgCore::RefNull(_)) => Val::ExternRef(None),
            WastArg::Core(WastArgCore::RefExtern(n)) => {
                let reference = ExternRef::new(&mut self.store, *n).map_err(|e| e.to_string())?;
                Val::ExternRef(Some(reference))
            }
            _ => return Err("an argument that the runner does not know".to_owned()),
        })
    }

    fn check(&self, values: &[Val], expected: &[WastRet<'_>]) -> Result<(), String> {
        let all = values.len() == expected.len()
            && values
                .iter()
                .zip(expected)
                .all(|(value, expected)| self.matches(value, expected));
        if all {
            Ok(())
        } else {
            Err(format!("expected {expected:?}, found {values:?}"))
        }
    }

    fn matches(&self, value: &Val, expected: &WastRet<'_>) -> bool {
        let WastRet::Core(expected) = expected else {
            return false;
        };
        match (value, expected) {
            (Val::I32(found), WastRetCore::I32(expected)) => found == expected,
            (Val::I64(found), WastRetCore::I64(expected)) => found == expected,
            (Val::F32(found), WastRetCore::F32(NanPattern::Value(n))) => *found == n.bits,
            (Val::F64(found), WastRetCore::F64(NanPattern::Value(n))) => *found == n.bits,
            (Val::ExternRef(None), WastRetCore::RefNull(_)) => true,
            (Val::ExternRef(Some(found)), WastRetCore::RefExtern(Some(expected))) => found
                .data(&self.store)
                .ok()
                .flatten()
                .and_then(|data| data.downcast_ref::<u32>())
                .is_some_and(|found| found == expected),
            _ => false,
        }
    }
}

fn encode(module: &mut QuoteWat<'_>) -> Result<Vec<u8>, String> {
    module.encode().map_err(|e| e.to_string())
}
