//! Stores with guests in them.

use std::sync::Arc;

use wasmbeam_core::store::{
    Answer, Binding, Coroutine, ImportCall, Instantiate, Step, StoreConfig, Target, UnknownImports,
    Wasi,
};
use wasmbeam_core::wasi::{WasiConfig, WasiState};
use wasmbeam_core::wasi_host::{Folder, HostWasi};
use wasmbeam_core::{
    Engine, EngineConfig, Error, Limits, MemorySelector, Module, Question, Result, Value,
};

pub const MEMORY: MemorySelector = MemorySelector::Index(0);

/// A store and the modules of its instances.
pub struct Guest {
    pub store: Coroutine,
    engine: Engine,
    modules: Vec<Arc<Module>>,
}

impl Guest {
    /// An empty store.
    pub fn empty(engine: EngineConfig, config: &StoreConfig) -> Self {
        let engine = Engine::get(engine).unwrap();
        Self {
            store: Coroutine::new(&engine, config).unwrap(),
            engine,
            modules: Vec::new(),
        }
    }

    /// An instance in a store of its own, with its function imports asked of the embedder.
    pub fn new(wat: &str) -> Self {
        let mut guest = Self::empty(EngineConfig::default(), &StoreConfig::default());
        guest.add(wat, None).unwrap();
        guest
    }

    pub fn limited(wat: &str, limits: Limits) -> Result<Self> {
        let config = StoreConfig { limits, fuel: None };
        let mut guest = Self::empty(EngineConfig::default(), &config);
        guest.add(wat, None)?;
        Ok(guest)
    }

    pub fn with_wasi(wat: &str, wasi: WasiConfig) -> Self {
        let mut guest = Self::empty(EngineConfig::default(), &StoreConfig::default());
        let step = guest.begin_add(wat, None, wasi);
        finish(&mut guest.store, step).unwrap();
        guest
    }

    /// With a folder of the machine as its root.
    pub fn with_folder(wat: &str, folder: Folder) -> Self {
        let mut guest = Self::empty(EngineConfig::default(), &StoreConfig::default());
        let world = HostWasi::open(
            WasiState::new(WasiConfig::default()).unwrap(),
            vec![folder],
            100,
        )
        .unwrap();
        let step = guest.begin_add_with(wat, None, Wasi::Host(Box::new(world)));
        finish(&mut guest.store, step).unwrap();
        guest
    }

    /// Instantiates, and gives the index. Without bindings each import has the default one.
    pub fn add(&mut self, wat: &str, bindings: Option<Vec<Binding>>) -> Result<usize> {
        let step = self.begin_add(wat, bindings, WasiConfig::default());
        finish(&mut self.store, step)?;
        Ok(self.modules.len() - 1)
    }

    pub fn begin_add(
        &mut self,
        wat: &str,
        bindings: Option<Vec<Binding>>,
        wasi: WasiConfig,
    ) -> Step {
        self.begin_add_with(wat, bindings, Wasi::Config(Box::new(wasi)))
    }

    fn begin_add_with(&mut self, wat: &str, bindings: Option<Vec<Binding>>, wasi: Wasi) -> Step {
        let module = Arc::new(Module::compile(&self.engine, wat.as_bytes()).unwrap());
        let imports = bindings.unwrap_or_else(|| vec![Binding::Default; module.imports().len()]);
        self.modules.push(Arc::clone(&module));
        self.store.instantiate(Instantiate {
            index: self.modules.len() - 1,
            module,
            imports,
            unknown_imports: UnknownImports::Call,
            begin: Default::default(),
            wasi,
        })
    }

    pub fn module(&self, instance: usize) -> &Module {
        &self.modules[instance]
    }

    pub fn target_in(&self, instance: usize, name: &str) -> Target {
        let export = self.modules[instance].export_index(name).unwrap();
        Target::Export { instance, export }
    }

    /// Starts a call of the first instance.
    pub fn begin(&mut self, name: &str, args: &[Value]) -> Step {
        let target = self.target_in(0, name);
        self.store.call(target, args.to_vec(), None)
    }

    /// Calls a function of the first instance that needs nobody outside.
    pub fn call(&mut self, name: &str, args: &[Value]) -> Result<Vec<Value>> {
        self.call_in(0, name, args)
    }

    pub fn call_in(&mut self, instance: usize, name: &str, args: &[Value]) -> Result<Vec<Value>> {
        let target = self.target_in(instance, name);
        let step = self.store.call(target, args.to_vec(), None);
        finish(&mut self.store, step)
    }

    /// Calls a function of the first instance that gives an integer.
    pub fn int(&mut self, name: &str, args: &[Value]) -> i64 {
        int(&self.call(name, args).unwrap())
    }

    /// Calls a function up to the first import that the embedder has to answer.
    pub fn until_import(&mut self, name: &str, args: &[Value]) -> ImportCall {
        let step = self.begin(name, args);
        import(&mut self.store, step)
    }

    pub fn read(&mut self, offset: u64, size: usize) -> Vec<u8> {
        self.store
            .memory_read(0, MEMORY, offset, vec![0; size])
            .unwrap()
    }

    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.store
            .memory_write(0, MEMORY, offset, bytes.to_vec())
            .unwrap();
    }
}

/// Gives time slices for as long as the guest takes.
pub fn settle(store: &mut Coroutine, mut step: Step) -> Step {
    while let Step::Yielded = step {
        step = store.resume();
    }
    step
}

/// The outcome of a call that needs nobody outside.
pub fn finish(store: &mut Coroutine, step: Step) -> Result<Vec<Value>> {
    match settle(store, step) {
        Step::Done(Ok(Answer::Values(values))) => Ok(values),
        Step::Done(Ok(Answer::Instantiated)) => Ok(Vec::new()),
        Step::Done(Err(error)) => Err(error),
        step => panic!("expected the end of the call, got {step:?}"),
    }
}

/// The import that the guest waits in.
pub fn import(store: &mut Coroutine, step: Step) -> ImportCall {
    match settle(store, step) {
        Step::Import(call) => call,
        step => panic!("expected a call of an import, got {step:?}"),
    }
}

/// What a provided import asks for.
pub fn question(store: &mut Coroutine, step: Step) -> Question {
    match settle(store, step) {
        Step::Question { question, .. } => question,
        step => panic!("expected a question, got {step:?}"),
    }
}

/// A single integer.
pub fn int(values: &[Value]) -> i64 {
    match values {
        [Value::I32(value)] => i64::from(*value),
        [Value::I64(value)] => *value,
        values => panic!("expected an integer, got {values:?}"),
    }
}

pub fn trap_code(error: &Error) -> &'static str {
    match error {
        Error::Trap(info) => info.code,
        error => panic!("expected a trap, got {error:?}"),
    }
}
