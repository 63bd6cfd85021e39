//! The same guest in wasmbeam's core, without Erlang around it.

use std::hint::black_box;
use std::sync::Arc;

use wasmbeam_core::store::{
    Binding, Coroutine, Instantiate, Step, StoreConfig, Target, UnknownImports,
};
use wasmbeam_core::{Engine, MemorySelector, Module, Value};

use crate::Result;

pub struct Core {
    coroutine: Coroutine,
    module: Arc<Module>,
}

impl Core {
    pub fn new(engine: &Engine, source: &str) -> Result<Self> {
        let module = Arc::new(Module::compile(engine, &std::fs::read(source)?)?);
        let mut coroutine = Coroutine::new(engine, &StoreConfig::default())?;
        let step = coroutine.instantiate(Instantiate {
            index: 0,
            module: Arc::clone(&module),
            imports: vec![Binding::Host],
            wasi: Default::default(),
            unknown_imports: UnknownImports::Error,
            begin: Default::default(),
        });
        match step {
            Step::Done(Ok(_)) => Ok(Self { coroutine, module }),
            step => Err(format!("cannot instantiate: {step:?}").into()),
        }
    }

    pub fn call(&mut self, count: u32) -> Result<()> {
        let export = self.export("identity")?;
        for _ in 0..count {
            let target = Target::Export {
                instance: 0,
                export,
            };
            let step = self.coroutine.call(target, vec![Value::I32(1)], None);
            black_box(self.finish(step)?);
        }
        Ok(())
    }

    /// One import call for each of `count`.
    pub fn relay(&mut self, count: u32) -> Result<()> {
        let target = Target::Export {
            instance: 0,
            export: self.export("relay")?,
        };
        let args = vec![Value::I32(i32::try_from(count)?)];
        let step = self.coroutine.call(target, args, None);
        self.finish(step)
    }

    pub fn read(&mut self, size: usize, count: u32) -> Result<()> {
        for _ in 0..count {
            let buffer = vec![0; size];
            let memory = MemorySelector::Index(0);
            black_box(self.coroutine.memory_read(0, memory, 0, buffer)?);
        }
        Ok(())
    }

    fn export(&self, name: &str) -> Result<usize> {
        let export = self.module.export_index(name);
        export.ok_or_else(|| format!("no export {name}").into())
    }

    fn finish(&mut self, mut step: Step) -> Result<()> {
        loop {
            step = match step {
                Step::Done(result) => return Ok(result.map(drop)?),
                Step::Import(call) => self.coroutine.import_return(call.args),
                Step::Yielded => self.coroutine.resume(),
                Step::Question { .. } | Step::Blocks | Step::Waiting => {
                    return Err("the guest waits".into());
                }
            }
        }
    }
}
