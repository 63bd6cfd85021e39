//! Measures wasmtime alone, and wasmbeam's core without Erlang, for the benchmark that compares
//! wasmbeam with them.
//!
//! Reads lines `WHAT COUNT` and answers each with the nanoseconds that one of COUNT took, or with
//! `absent` where the image that it needs was not given:
//!
//!     wasmbeam-bench GUEST.wat IDLE.wat FILES.wat HELLO.wat FOLDER [AOS.wasm]
//!
//! FOLDER holds the message and the environment for AOS.

mod aos;
mod core;
mod guest;
mod poll;
mod wasi;

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use wasmbeam_core::{Engine, EngineConfig};

use crate::core::Core;
use aos::Aos;
use guest::{Echo, Guest, Starter};
use wasi::Wasi;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [guest, idle, files, hello, folder, rest @ ..] = args.as_slice() else {
        let usage =
            "usage: wasmbeam-bench GUEST.wat IDLE.wat FILES.wat HELLO.wat FOLDER [AOS.wasm]";
        return Err(usage.into());
    };
    let engine = Engine::get(EngineConfig::default())?;
    let ours = engine.inner();
    let plain = wasmtime::Engine::default();
    let mut subjects = Subjects {
        direct: Guest::new(ours, guest, Echo::Direct)?,
        suspending: Guest::new(ours, guest, Echo::Suspending)?,
        nesting: Guest::new(ours, guest, Echo::Nesting)?,
        plain: Guest::new(&plain, guest, Echo::Direct)?,
        core: Core::new(&engine, guest)?,
        idle: Starter::new(ours, &std::fs::read(idle)?)?,
        files: Wasi::new(files)?,
        hello: Wasi::new(hello)?,
        aos: rest
            .first()
            .map(|image| Aos::new(ours, image.as_ref(), Path::new(folder)))
            .transpose()?,
    };
    let mut output = io::stdout();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (what, count) = line.rsplit_once(' ').ok_or("expected WHAT COUNT")?;
        let count = count.parse()?;
        let started = Instant::now();
        let known = subjects.run(what, count)?;
        match known {
            true => writeln!(output, "{}", per_operation(started.elapsed(), count))?,
            false => writeln!(output, "absent")?,
        }
        output.flush()?;
    }
    Ok(())
}

fn per_operation(took: Duration, count: u32) -> f64 {
    took.as_nanos() as f64 / f64::from(count)
}

struct Subjects {
    direct: Guest,
    suspending: Guest,
    nesting: Guest,
    plain: Guest,
    core: Core,
    idle: Starter,
    files: Wasi,
    hello: Wasi,
    aos: Option<Aos>,
}

impl Subjects {
    /// Does `what` that many times. False if its image is absent.
    fn run(&mut self, what: &str, count: u32) -> Result<bool> {
        match what.split(' ').collect::<Vec<_>>().as_slice() {
            ["call_async"] => self.direct.call_async(count)?,
            ["call"] => self.direct.call(count)?,
            ["typed_call"] => self.direct.typed_call(count)?,
            ["import"] => self.direct.relay(count)?,
            ["suspending_import"] => self.suspending.relay(count)?,
            ["nested_call"] => self.nesting.relay(count)?,
            ["core_call"] => self.core.call(count)?,
            ["core_import"] => self.core.relay(count)?,
            ["core_read", size] => self.core.read(size.parse()?, count)?,
            ["read", size] => self.direct.read(size.parse()?, count)?,
            ["write", size] => self.direct.write(size.parse()?, count)?,
            ["fib"] => self.direct.fib(count)?,
            ["fib_plain"] => self.plain.fib(count)?,
            ["mix"] => self.direct.mix(count)?,
            ["mix_plain"] => self.plain.mix(count)?,
            ["start_idle"] => self.idle.start(count)?,
            ["wasi_files", piece] => self.files.write_and_read(piece.parse()?, count)?,
            ["wasi_hello"] => self.hello.run(count)?,
            ["start_aos"] => match &self.aos {
                Some(aos) => aos.start(count)?,
                None => return Ok(false),
            },
            ["evaluate_aos"] => match &mut self.aos {
                Some(aos) => aos.evaluate(count)?,
                None => return Ok(false),
            },
            _ => return Err(format!("unknown measurement {what}").into()),
        }
        Ok(true)
    }
}
