use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};

use wasmbeam_core::compile::{
    self, CompileLimits, DEFAULT_BYTES, Folder, Form, OnPhase, Request, Waiter,
};
use wasmbeam_core::image::KeySource;
use wasmbeam_core::{EngineConfig, Module, Result};

pub type Outcome = Result<Arc<Module>>;

pub fn key() -> KeySource {
    KeySource::Bytes([7; 32].as_slice().into())
}

pub fn other_key() -> KeySource {
    KeySource::Bytes([8; 32].as_slice().into())
}

/// An image that no other test compiles.
pub fn module(name: &str) -> Vec<u8> {
    format!("(module ${name} (func (export \"{name}\") (result i32) i32.const 7))").into_bytes()
}

pub fn request(source: &[u8]) -> Request {
    Request {
        form: Form::Module(EngineConfig::default()),
        source: source.into(),
        limits: CompileLimits::default(),
        memory_bytes: DEFAULT_BYTES,
        folder: None,
        on_rejected: None,
    }
}

/// Where the outcome will come.
pub fn start(request: Request, progress: Option<OnPhase>) -> Result<Receiver<Outcome>> {
    let (sender, receiver) = channel();
    let done = sender.clone();
    let waiter = Waiter {
        limits: request.limits,
        progress,
        done: Box::new(move |outcome| drop(done.send(outcome))),
    };
    if let Some(module) = compile::compile(request, waiter)? {
        drop(sender.send(Ok(module)));
    }
    Ok(receiver)
}

pub fn compile(request: Request) -> Outcome {
    start(request, None)?.recv().expect("an outcome")
}

/// A folder that is removed in the end.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wasmbeam-compile-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn folder(&self, max_bytes: u64) -> Folder {
        Folder {
            path: self.path("cache"),
            max_bytes,
            key: key(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
