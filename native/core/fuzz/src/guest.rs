//! An instance that is alone in its store, without an embedder around it.

use std::sync::Arc;

use wasmbeam_core::snapshot::State;
use wasmbeam_core::snapshot::format::{self, Compression};
use wasmbeam_core::store::{
    Answer, Begin, Binding, Coroutine, Instantiate, Step, StoreConfig, Target, UnknownImports, Wasi,
};
use wasmbeam_core::{Engine, EngineConfig, Error, Limits, Module, Value};

/// What guests may take here.
pub const LIMITS: Limits = Limits {
    memory: 8 << 20,
    memories: 20,
    tables: 20,
    table_elements: 20_000,
    instances: 2,
};

pub struct Guest {
    pub coroutine: Coroutine,
    module: Arc<Module>,
}

pub fn compile(source: &[u8]) -> Result<Arc<Module>, Error> {
    let engine = Engine::get(EngineConfig::default())?;
    Ok(Arc::new(Module::compile(&engine, source)?))
}

impl Guest {
    pub fn start(module: &Arc<Module>) -> Result<Self, Error> {
        Self::begin(module, Begin::Start)
    }

    pub fn restore(module: &Arc<Module>, state: State) -> Result<Self, Error> {
        let begin = Begin::State {
            state: Arc::new(state),
            start: None,
            snapshot: None,
        };
        Self::begin(module, begin)
    }

    fn begin(module: &Arc<Module>, begin: Begin) -> Result<Self, Error> {
        let config = StoreConfig {
            limits: LIMITS,
            fuel: None,
        };
        let mut coroutine = Coroutine::new(module.engine(), &config)?;
        let step = coroutine.instantiate(Instantiate {
            index: 0,
            module: Arc::clone(module),
            imports: vec![Binding::Host; module.imports().len()],
            unknown_imports: UnknownImports::Call,
            wasi: Wasi::default(),
            begin,
        });
        finish(&mut coroutine, step)?;
        Ok(Self {
            coroutine,
            module: Arc::clone(module),
        })
    }

    /// Calls an export, by its index.
    pub fn call(&mut self, export: usize, args: Vec<Value>) -> Result<Vec<Value>, Error> {
        let target = Target::Export {
            instance: 0,
            export,
        };
        let step = self.coroutine.call(target, args, None);
        match finish(&mut self.coroutine, step)? {
            Answer::Values(values) => Ok(values),
            answer => panic!("{answer:?}"),
        }
    }

    pub fn capture(&mut self) -> Result<Arc<State>, Error> {
        self.coroutine.capture(0)
    }

    /// The bytes of its state.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, Error> {
        format::encode(&*self.capture()?, Compression::None, None)
    }

    pub fn fork(&mut self) -> Result<Self, Error> {
        let state = self.capture()?;
        Ok(Self {
            coroutine: self.coroutine.revive(0, 0, state, None)?,
            module: Arc::clone(&self.module),
        })
    }
}

/// Answers every import with 99.
fn finish(coroutine: &mut Coroutine, mut step: Step) -> Result<Answer, Error> {
    loop {
        step = match step {
            Step::Done(answer) => return answer,
            Step::Import(_) => coroutine.import_return(vec![Value::I32(99)]),
            Step::Yielded => coroutine.resume(),
            Step::Question { .. } | Step::Blocks | Step::Waiting => {
                panic!("the guest waits for nothing")
            }
        };
    }
}
