//! Guests of wasmtime's own WASI, as its command line runs them.

use std::path::{Path, PathBuf};

use wasmtime::{Engine, InstancePre, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::Result;

const MEGABYTE: u32 = 1 << 20;

/// A guest with a folder of the machine.
pub struct Wasi {
    engine: Engine,
    guest: InstancePre<WasiP1Ctx>,
    folder: PathBuf,
}

impl Wasi {
    pub fn new(source: &str) -> Result<Self> {
        let engine = Engine::default();
        let module = Module::from_file(&engine, source)?;
        let mut linker = Linker::new(&engine);
        p1::add_to_linker_sync(&mut linker, |context| context)?;
        let folder = std::env::temp_dir().join(format!("wasmbeam-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            guest: linker.instantiate_pre(&module)?,
            engine,
            folder,
        })
    }

    fn store(&self, stdout: MemoryOutputPipe) -> Result<Store<WasiP1Ctx>> {
        let context = WasiCtxBuilder::new()
            .allow_blocking_current_thread(true)
            .stdout(stdout)
            .preopened_dir(&self.folder, "/", FsPerms::ReadWrite)?
            .build_p1();
        Ok(Store::new(&self.engine, context))
    }

    /// Writes so many megabytes in pieces, and reads them back.
    pub fn write_and_read(&self, piece: i32, megabytes: u32) -> Result<()> {
        let mut store = self.store(MemoryOutputPipe::new(0))?;
        let instance = self.guest.instantiate(&mut store)?;
        let run = instance.get_typed_func::<(i32, i32), i32>(&mut store, "write_and_read")?;
        let total = i32::try_from(megabytes * MEGABYTE)?;
        match run.call(&mut store, (total, piece))? {
            read if read == total => Ok(()),
            read => Err(format!("read {read} bytes").into()),
        }
    }

    /// Runs a command to its exit, `count` times.
    pub fn run(&self, count: u32) -> Result<()> {
        for _ in 0..count {
            let stdout = MemoryOutputPipe::new(1 << 16);
            let mut store = self.store(stdout.clone())?;
            let instance = self.guest.instantiate(&mut store)?;
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            match start.call(&mut store, ()) {
                Err(error) if !error.is::<wasmtime_wasi::I32Exit>() => return Err(error.into()),
                _ => {}
            }
            if stdout.contents().is_empty() {
                return Err("no output".into());
            }
        }
        Ok(())
    }
}

impl Drop for Wasi {
    fn drop(&mut self) {
        let folder: &Path = &self.folder;
        // It is in the machine's folder for what need not stay.
        let _ = std::fs::remove_dir_all(folder);
    }
}
