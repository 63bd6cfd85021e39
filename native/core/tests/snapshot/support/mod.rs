pub mod allocations;
pub mod generated;
pub mod random;

use std::sync::Arc;

use wasmbeam_core::snapshot::State;
use wasmbeam_core::snapshot::format::{self, Compression, ReadLimits};
use wasmbeam_core::store::{
    Answer, Begin, Binding, Coroutine, Instantiate, Step, StoreConfig, Target, UnknownImports, Wasi,
};
use wasmbeam_core::{Engine, EngineConfig, Error, ExternType, Limits, Module, Value};

/// An instance that is alone in its store.
pub struct Guest {
    pub coroutine: Coroutine,
    pub module: Arc<Module>,
}

pub fn compile(text: &str) -> Arc<Module> {
    let engine = Engine::get(EngineConfig::default()).expect("an engine");
    Arc::new(Module::compile(&engine, text.as_bytes()).expect("a valid module"))
}

fn begin(module: &Arc<Module>, config: &StoreConfig, begin: Begin) -> Result<Guest, Error> {
    let mut coroutine = Coroutine::new(module.engine(), config)?;
    let imports = module
        .imports()
        .iter()
        .map(|import| match import.ty {
            ExternType::Func(_) => Binding::Host,
            ExternType::Global(_) => Binding::Value(Value::I32(7)),
            _ => Binding::New,
        })
        .collect();
    let step = coroutine.instantiate(Instantiate {
        index: 0,
        module: Arc::clone(module),
        imports,
        unknown_imports: UnknownImports::Call,
        wasi: Wasi::default(),
        begin,
    });
    finish(&mut coroutine, step)?;
    Ok(Guest {
        coroutine,
        module: Arc::clone(module),
    })
}

/// Gives time slices for as long as the guest takes.
pub fn settle(coroutine: &mut Coroutine, mut step: Step) -> Step {
    while let Step::Yielded = step {
        step = coroutine.resume();
    }
    step
}

/// Answers every import with 99.
pub fn finish(coroutine: &mut Coroutine, mut step: Step) -> Result<Answer, Error> {
    loop {
        step = match settle(coroutine, step) {
            Step::Done(answer) => return answer,
            Step::Import(_) => coroutine.import_return(vec![Value::I32(99)]),
            step => panic!("the guest waits for nothing, yet {step:?}"),
        };
    }
}

impl Guest {
    pub fn start(text: &str) -> Self {
        Self::of(&compile(text))
    }

    pub fn of(module: &Arc<Module>) -> Self {
        begin(module, &StoreConfig::default(), Begin::Start).expect("an instance")
    }

    pub fn with_fuel(module: &Arc<Module>, fuel: u64) -> Self {
        let config = StoreConfig {
            fuel: Some(fuel),
            ..StoreConfig::default()
        };
        begin(module, &config, Begin::Start).expect("an instance")
    }

    pub fn restore(module: &Arc<Module>, state: State) -> Result<Self, Error> {
        Self::restore_within(module, state, Limits::default())
    }

    pub fn restore_within(
        module: &Arc<Module>,
        state: State,
        limits: Limits,
    ) -> Result<Self, Error> {
        let state = Arc::new(state);
        let config = StoreConfig { limits, fuel: None };
        begin(
            module,
            &config,
            Begin::State {
                state,
                start: None,
                snapshot: None,
            },
        )
    }

    pub fn fork(&mut self) -> Self {
        let state = self.capture();
        self.with(|coroutine| coroutine.revive(0, 0, state, None))
    }

    pub fn restart(&mut self) -> Self {
        self.with(|coroutine| coroutine.restart(0, 0))
    }

    fn with(&mut self, make: impl FnOnce(&mut Coroutine) -> Result<Coroutine, Error>) -> Self {
        Self {
            coroutine: make(&mut self.coroutine).expect("another instance"),
            module: Arc::clone(&self.module),
        }
    }

    pub fn call(&mut self, name: &str, args: &[Value]) -> Result<Vec<Value>, Error> {
        let target = Target::Export {
            instance: 0,
            export: self.module.export_index(name).expect("an export"),
        };
        let step = self.coroutine.call(target, args.to_vec(), None);
        match finish(&mut self.coroutine, step)? {
            Answer::Values(values) => Ok(values),
            answer => panic!("{answer:?}"),
        }
    }

    /// Calls a function of i32 parameters, and tells how it ended.
    pub fn outcome(&mut self, name: &str, args: &[i32]) -> String {
        let args: Vec<_> = args.iter().copied().map(Value::I32).collect();
        match self.call(name, &args) {
            Ok(values) => format!("{values:?}"),
            Err(Error::Trap(trap)) => trap.code.to_owned(),
            Err(error) => panic!("{name} {args:?}: {error}"),
        }
    }

    pub fn capture(&mut self) -> Arc<State> {
        self.coroutine.capture(0).expect("a state")
    }

    pub fn refusal(&mut self) -> String {
        match self.coroutine.capture(0) {
            Err(Error::NotCapturable { what }) => what,
            other => panic!("{other:?}"),
        }
    }

    pub fn snapshot(&mut self, compression: Compression) -> Vec<u8> {
        format::encode(&self.capture(), compression, None).expect("a snapshot")
    }

    pub fn decode(&self, snapshot: &[u8]) -> Result<State, Error> {
        format::decode(snapshot, self.module.id(), limits())
    }
}

pub fn limits() -> ReadLimits {
    ReadLimits::from(&Limits::default())
}
