//! An evaluation in the AOS image.

use std::fs;
use std::path::Path;

use wasmbeam_core::load::{Prepare, prepare};
use wasmtime::{Engine, Instance, Memory, Store, TypedFunc};

use crate::Result;
use crate::guest::Starter;

pub struct Aos {
    starter: Starter,
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    message: Vec<u8>,
    environment: Vec<u8>,
}

impl Aos {
    pub fn new(engine: &Engine, image: &Path, folder: &Path) -> Result<Self> {
        // It has legacy exceptions, which wasmtime knows in their translated form only.
        let image = fs::read(image)?;
        let prepared = prepare(
            &image,
            Prepare {
                expose_internals: true,
            },
        )?;
        let starter = Starter::new(engine, &prepared.wasm)?;
        let (mut store, instance) = starter.instance()?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or("no memory")?;
        Ok(Self {
            starter,
            store,
            instance,
            memory,
            message: terminated(&folder.join("message.json"))?,
            environment: terminated(&folder.join("environment.json"))?,
        })
    }

    pub fn start(&self, count: u32) -> Result<()> {
        self.starter.start(count)
    }

    pub fn evaluate(&mut self, count: u32) -> Result<()> {
        let handle: TypedFunc<(i64, i64), i64> =
            self.instance.get_typed_func(&mut self.store, "handle")?;
        for _ in 0..count {
            let message = self.put(&self.message.clone())?;
            let environment = self.put(&self.environment.clone())?;
            let answer = handle.call(&mut self.store, (message, environment))?;
            let rest = self
                .memory
                .data(&self.store)
                .get(usize::try_from(answer)?..);
            let text = rest.ok_or("out of bounds")?.split(|byte| *byte == 0).next();
            if !String::from_utf8_lossy(text.unwrap_or_default()).contains("Output") {
                return Err("AOS gave no output".into());
            }
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<i64> {
        let malloc: TypedFunc<i64, i64> =
            self.instance.get_typed_func(&mut self.store, "malloc")?;
        let address = malloc.call(&mut self.store, i64::try_from(bytes.len())?)?;
        self.memory
            .write(&mut self.store, usize::try_from(address)?, bytes)?;
        Ok(address)
    }
}

fn terminated(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = fs::read(path)?;
    bytes.push(0);
    Ok(bytes)
}
