//! The small guests.

use std::hint::black_box;

use wasmtime::{
    Engine, Extern, Func, FuncType, Instance, Memory, Module, Store, TypedFunc, Val, ValType,
};

use crate::{Result, poll};

const FIB_OF: i32 = 32;
const MIX_ROUNDS: i64 = 100_000_000;

/// How the host answers the import.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// At once, in a synchronous host function.
    Direct,
    /// After the guest's fiber was suspended and resumed.
    Suspending,
    /// As that, and after a call of the guest from within.
    Nesting,
}

pub struct Guest {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    echo: Echo,
}

impl Guest {
    pub fn new(engine: &Engine, source: &str, echo: Echo) -> Result<Self> {
        let module = Module::from_file(engine, source)?;
        let mut store = store(engine);
        let host = host(&mut store, echo);
        let instance = poll::to_end(Instance::new_async(&mut store, &module, &[host.into()]))?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or("no memory")?;
        Ok(Self {
            store,
            instance,
            memory,
            echo,
        })
    }

    fn typed<P, R>(&mut self, name: &str) -> Result<TypedFunc<P, R>>
    where
        P: wasmtime::WasmParams,
        R: wasmtime::WasmResults,
    {
        Ok(self.instance.get_typed_func(&mut self.store, name)?)
    }

    fn identity(&mut self) -> Result<Func> {
        self.instance
            .get_func(&mut self.store, "identity")
            .ok_or_else(|| "no identity".into())
    }

    pub fn call_async(&mut self, count: u32) -> Result<()> {
        let identity = self.identity()?;
        for _ in 0..count {
            let mut results = [Val::I32(0)];
            let call = identity.call_async(&mut self.store, &[Val::I32(1)], &mut results);
            poll::to_end(call)?;
            black_box(&results);
        }
        Ok(())
    }

    pub fn call(&mut self, count: u32) -> Result<()> {
        let identity = self.identity()?;
        for _ in 0..count {
            let mut results = [Val::I32(0)];
            identity.call(&mut self.store, &[Val::I32(1)], &mut results)?;
            black_box(&results);
        }
        Ok(())
    }

    pub fn typed_call(&mut self, count: u32) -> Result<()> {
        let identity = self.typed::<i32, i32>("identity")?;
        for _ in 0..count {
            black_box(identity.call(&mut self.store, black_box(1))?);
        }
        Ok(())
    }

    /// One import call for each of `count`.
    pub fn relay(&mut self, count: u32) -> Result<()> {
        let relay = self.typed::<i32, i32>("relay")?;
        let count = i32::try_from(count)?;
        match self.echo {
            Echo::Direct => relay.call(&mut self.store, count)?,
            _ => poll::to_end(relay.call_async(&mut self.store, count))?,
        };
        Ok(())
    }

    pub fn read(&mut self, size: usize, count: u32) -> Result<()> {
        for _ in 0..count {
            let mut buffer = Vec::with_capacity(size);
            let data = self.memory.data(&self.store).get(..size);
            buffer.extend_from_slice(data.ok_or("out of bounds")?);
            black_box(buffer);
        }
        Ok(())
    }

    pub fn write(&mut self, size: usize, count: u32) -> Result<()> {
        let bytes = vec![1; size];
        for _ in 0..count {
            self.memory.write(&mut self.store, 0, black_box(&bytes))?;
        }
        Ok(())
    }

    pub fn fib(&mut self, count: u32) -> Result<()> {
        let fib = self.typed::<i32, i32>("fib")?;
        for _ in 0..count {
            black_box(fib.call(&mut self.store, FIB_OF)?);
        }
        Ok(())
    }

    pub fn mix(&mut self, count: u32) -> Result<()> {
        let mix = self.typed::<i64, i64>("mix")?;
        for _ in 0..count {
            black_box(mix.call(&mut self.store, MIX_ROUNDS)?);
        }
        Ok(())
    }
}

/// A store whose slices never end.
fn store(engine: &Engine) -> Store<()> {
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(u64::MAX / 2);
    store
}

fn host(store: &mut Store<()>, echo: Echo) -> Func {
    if echo == Echo::Direct {
        return Func::wrap(store, |value: i32| value);
    }
    let ty = FuncType::new(store.engine(), [ValType::I32], [ValType::I32]);
    Func::new_async(store, ty, move |mut caller, params, results| {
        Box::new(async move {
            poll::suspended().await;
            if echo == Echo::Nesting
                && let Some(Extern::Func(identity)) = caller.get_export("identity")
            {
                identity.call_async(&mut caller, params, results).await?;
            }
            results.clone_from_slice(params);
            Ok(())
        })
    })
}

/// Makes instances of a module whose imports are all stubs.
pub struct Starter {
    module: Module,
}

impl Starter {
    pub fn new(engine: &Engine, source: &[u8]) -> Result<Self> {
        let module = Module::new(engine, source)?;
        Ok(Self { module })
    }

    /// Makes and drops `count` instances.
    pub fn start(&self, count: u32) -> Result<()> {
        for _ in 0..count {
            black_box(self.instance()?);
        }
        Ok(())
    }

    pub fn instance(&self) -> Result<(Store<()>, Instance)> {
        let mut store = store(self.module.engine());
        let imports: Vec<Extern> = self
            .module
            .imports()
            .filter_map(|import| import.ty().func().cloned())
            .map(|ty| Func::new(&mut store, ty, |_, _, results| zero(results)).into())
            .collect();
        let instance = poll::to_end(Instance::new_async(&mut store, &self.module, &imports))?;
        Ok((store, instance))
    }
}

fn zero(results: &mut [Val]) -> wasmtime::Result<()> {
    for result in results {
        *result = match result {
            Val::I64(_) => Val::I64(0),
            _ => Val::I32(0),
        };
    }
    Ok(())
}
