//! Compiled modules and what they import and export.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use sha2::{Digest, Sha256};
use wasmparser::{Parser, Payload, TypeRef, Validator, WasmFeatures};
use wasmtime::{ExternType, ModuleExport};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::load::instrument::{self, Internal};
use crate::load::{self, LoadError, Prepare};
use crate::natives::Native;
use crate::value::Signature;

/// A compiled module. It can be instantiated any number of times, from any thread.
pub struct Module {
    engine: Engine,
    inner: wasmtime::Module,
    imports: Vec<Import>,
    exports: Vec<Export>,
    by_name: HashMap<String, usize, RandomState>,
    visible_exports: usize,
    first_memory: Option<usize>,
    id: ModuleId,
    layout: Layout,
}

/// Tells modules apart by their contents: the SHA-256 of the image as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModuleId(pub [u8; 32]);

/// What a module asks for.
#[derive(Debug, Clone)]
pub struct Import {
    pub module: String,
    pub name: String,
    pub ty: ExternType,
    /// Of a function.
    pub signature: Option<Arc<Signature>>,
    pub(crate) native: Option<Native>,
}

impl Import {
    /// Whether this library provides it in a way that no embedder could.
    #[must_use]
    pub fn needs_engine(&self) -> bool {
        self.native.is_some_and(Native::needs_engine)
    }
}

/// What a module offers.
#[derive(Clone)]
pub struct Export {
    pub name: String,
    pub ty: ExternType,
    /// Of a function.
    pub signature: Option<Arc<Signature>>,
    pub(crate) handle: ModuleExport,
}

impl Module {
    /// Compiles a module, in its binary form or as text. Takes long, and much stack.
    ///
    /// # Errors
    /// `InvalidModule`.
    pub fn compile(engine: &Engine, source: &[u8]) -> Result<Self> {
        let binary = wat::parse_bytes(source).map_err(|error| Error::InvalidModule {
            message: error.to_string(),
            offset: None,
        })?;
        let prepared = load::prepare(
            &binary,
            Prepare {
                expose_internals: true,
            },
        )?;
        if !prepared.validated {
            wasmtime::Module::validate(engine.inner(), &binary)
                .map_err(|error| invalid(&binary, &error))?;
        }
        refuse_shared_memories(&binary)?;
        let inner = wasmtime::Module::from_binary(engine.inner(), &prepared.wasm)
            .map_err(|error| invalid(&binary, &error))?;
        let id = ModuleId(Sha256::digest(source).into());
        let has_objects = instrument::has_objects_in_segments(&prepared.wasm)?;
        Self::new(engine.clone(), inner, id, has_objects)
    }

    fn new(
        engine: Engine,
        inner: wasmtime::Module,
        id: ModuleId,
        has_objects_in_segments: bool,
    ) -> Result<Self> {
        let imports = inner
            .imports()
            .map(|import| {
                let ty = import.ty();
                Import {
                    module: import.module().to_owned(),
                    name: import.name().to_owned(),
                    signature: ty.func().map(|ty| Arc::new(Signature::from(ty))),
                    ty,
                    native: None,
                }
            })
            .collect();
        let mut exports = Vec::new();
        for export in inner.exports() {
            let ty = export.ty();
            exports.push(Export {
                name: export.name().to_owned(),
                signature: ty.func().map(|ty| Arc::new(Signature::from(ty))),
                ty,
                handle: inner
                    .get_export_index(export.name())
                    .ok_or_else(|| Error::internal("an export without an index"))?,
            });
        }
        // The module's own exports come first, in its order, then those added by the loader.
        let (visible, hidden): (Vec<_>, Vec<_>) = exports
            .into_iter()
            .partition(|export| !instrument::is_reserved(&export.name));
        let visible_exports = visible.len();
        let mut hidden: Vec<_> = hidden
            .into_iter()
            .filter_map(|export| Some((Internal::from_export_name(&export.name)?, export)))
            .collect();
        hidden.sort_by_key(|(internal, _)| *internal);
        let layout = Layout::new(
            hidden.iter().map(|(internal, _)| *internal),
            visible_exports,
            has_objects_in_segments,
        );
        let hidden = hidden.into_iter().map(|(_, export)| export);
        let exports: Vec<_> = visible.into_iter().chain(hidden).collect();
        let by_name: HashMap<_, _, _> = exports
            .iter()
            .enumerate()
            .map(|(index, export)| (export.name.clone(), index))
            .collect();
        let first_memory = by_name.get(&Internal::Memory(0).export_name()).copied();
        let mut module = Self {
            engine,
            inner,
            imports,
            exports,
            by_name,
            visible_exports,
            first_memory,
            id,
            layout,
        };
        module.find_natives();
        Ok(module)
    }

    fn find_natives(&mut self) {
        let natives: Vec<_> = self
            .imports
            .iter()
            .map(|import| {
                let ty = import.ty.func()?;
                Native::find(self, &import.module, &import.name, ty)
            })
            .collect();
        for (import, native) in self.imports.iter_mut().zip(natives) {
            import.native = native;
        }
    }

    pub fn id(&self) -> ModuleId {
        self.id
    }

    /// Where the state of its instances is.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// From the name section.
    pub fn name(&self) -> Option<&str> {
        self.inner.name()
    }

    /// In the module's order.
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// In the module's order.
    pub fn exports(&self) -> &[Export] {
        &self.exports[..self.visible_exports]
    }

    /// The index of an export, by name.
    pub fn export_index(&self, name: &str) -> Option<usize> {
        self.by_name
            .get(name)
            .copied()
            .filter(|index| *index < self.visible_exports)
    }

    /// Whether it exports a function of that name without parameters and results.
    #[must_use]
    pub fn exports_action(&self, name: &str) -> bool {
        self.export_index(name)
            .and_then(|index| self.exports.get(index)?.signature.as_deref())
            .is_some_and(|signature| signature.params.is_empty() && signature.results.is_empty())
    }

    pub(crate) fn inner(&self) -> &wasmtime::Module {
        &self.inner
    }

    /// Visible or not.
    pub(crate) fn all_exports(&self) -> &[Export] {
        &self.exports
    }

    /// The export under which memory 0 can be found.
    pub(crate) fn first_memory(&self) -> Option<usize> {
        self.first_memory
    }

    pub(crate) fn any_export_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

/// Waiting in a shared memory would block the embedder's thread, and there is nobody to wake it.
fn refuse_shared_memories(binary: &[u8]) -> Result<()> {
    for payload in Parser::new(0).parse_all(binary) {
        let shared = match payload.map_err(LoadError::from)? {
            Payload::ImportSection(section) => section
                .into_imports_with_offsets()
                .filter_map(std::result::Result::ok)
                .find_map(|(offset, import)| match import.ty {
                    TypeRef::Memory(memory) if memory.shared => Some(offset),
                    _ => None,
                }),
            Payload::MemorySection(section) => section
                .into_iter_with_offsets()
                .filter_map(std::result::Result::ok)
                .find_map(|(offset, memory)| memory.shared.then_some(offset)),
            Payload::CodeSectionStart { .. } => break,
            _ => None,
        };
        if let Some(offset) = shared {
            return Err(Error::InvalidModule {
                message: format!("shared memories are not supported (at offset {offset:#x})"),
                offset: Some(offset as u64),
            });
        }
    }
    Ok(())
}

/// Why a module does not compile. Offsets are to be those of the given bytes, not of what the loader
/// made of them.
fn invalid(binary: &[u8], error: &wasmtime::Error) -> Error {
    match Validator::new_with_features(WasmFeatures::all()).validate_all(binary) {
        Err(error) => LoadError::from(error).into(),
        Ok(_) => Error::InvalidModule {
            message: format!("{error:#}"),
            offset: None,
        },
    }
}

/// The name of an external type's kind.
#[must_use]
pub fn kind(ty: &ExternType) -> &'static str {
    match ty {
        ExternType::Func(_) => "func",
        ExternType::Global(_) => "global",
        ExternType::Table(_) => "table",
        ExternType::Memory(_) => "memory",
        ExternType::Tag(_) => "tag",
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        Self::InvalidModule {
            offset: error.offset().map(|offset| offset as u64),
            message: match error {
                LoadError::Invalid { message, offset } => {
                    format!("{message} (at offset {offset:#x})")
                }
                error => error.to_string(),
            },
        }
    }
}
