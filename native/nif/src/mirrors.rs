//! Folders of the machine that follow what guests do in their trees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustler::{Encoder, Env, Term};
use wasmbeam_core::mounts::{FolderError, Mirror, Tree};
use wasmbeam_core::store::Coroutine;

use crate::atoms;
use crate::call::refused;
use crate::error::Failure;
use crate::instance;
use crate::reaper;

/// Those of a store.
#[derive(Default)]
pub struct Mirrors {
    any: AtomicBool,
    /// Held for a moment only.
    folders: Mutex<Vec<Folder>>,
}

struct Folder {
    /// Which of the store's instances it belongs to.
    instance: usize,
    /// What it is to have.
    tree: Tree,
    /// Held while the folder is written, and then `folders` may be locked, never the other way round.
    mirror: Arc<Mutex<Mirror>>,
}

impl Mirrors {
    pub fn add(&self, instance: usize, mirrors: Vec<(Mirror, Tree)>) {
        let mut folders = self.folders.lock();
        folders.extend(mirrors.into_iter().map(|(mirror, tree)| Folder {
            instance,
            tree,
            mirror: Arc::new(Mutex::new(mirror)),
        }));
        self.any.store(!folders.is_empty(), Ordering::Release);
    }

    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Notes what the folders are to have.
    pub fn note(&self, coroutine: &mut Coroutine) {
        for folder in self.folders.lock().iter_mut() {
            // A store that has ended has nothing more to write.
            if let Ok(Some(now)) = coroutine.tree(folder.instance) {
                folder.tree = now;
            }
        }
    }

    /// Writes what was noted. Tries all folders, and gives the first error.
    fn write(&self) -> Result<(), FolderError> {
        let mirrors: Vec<_> = self
            .folders
            .lock()
            .iter()
            .map(|folder| Arc::clone(&folder.mirror))
            .collect();
        let written = mirrors.iter().enumerate().map(|(index, mirror)| {
            let mut mirror = mirror.lock();
            // Looked up only now, so that what was noted last is what is written last.
            let tree = self.folders.lock().get(index).map(|f| f.tree.clone());
            tree.map_or(Ok(()), |tree| mirror.write(&tree))
        });
        // All of them, whatever comes of one.
        written.collect::<Vec<_>>().into_iter().collect()
    }
}

impl Drop for Mirrors {
    fn drop(&mut self) {
        let folders = std::mem::take(self.folders.get_mut());
        if !folders.is_empty() {
            reaper::discard(folders);
        }
    }
}

/// Writes to folders what was noted when the last call ended: `ok`.
#[rustler::nif(schedule = "DirtyIo")]
fn folders_write<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    match instance::decode(instance) {
        Ok(instance) => written(env, instance.store.mirrors().write()),
        Err(failure) => (atoms::error(), failure).encode(env),
    }
}

/// Notes what the folders are to have, and writes it: `ok`. `{queued, Ticket}` and `again` mean the
/// same as in `call`.
#[rustler::nif(schedule = "DirtyIo")]
fn folders_sync<'a>(env: Env<'a>, instance: Term<'a>) -> Term<'a> {
    let instance = match instance::decode(instance) {
        Ok(instance) => instance,
        Err(failure) => return (atoms::error(), failure).encode(env),
    };
    let mirrors = instance.store.mirrors();
    let noted = instance.store.visit(env, &instance, |coroutine| {
        mirrors.note(coroutine);
        Ok(())
    });
    match noted {
        Ok(()) => written(env, mirrors.write()),
        Err(refusal) => refused(env, refusal),
    }
}

fn written<'a>(env: Env<'a>, written: Result<(), FolderError>) -> Term<'a> {
    match written {
        Ok(()) => atoms::ok().encode(env),
        Err(error) => (atoms::error(), Failure::Folder(error)).encode(env),
    }
}
