//! Compiled modules and what they import and export.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use sha2::{Digest, Sha256};
use wasmparser::{Parser, Payload, TypeRef, Validator, WasmFeatures};
use wasmtime::{ExternType, ModuleExport};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::load::instrument::{self, Internal};
use crate::load::{self, LoadError, Prepare, Size};
use crate::natives::{Native, Provider};
use crate::snapshot::TableState;
use crate::timing::Timing;
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
    origin: Origin,
    layout: Layout,
    /// What the tables of an instance hold before it runs, once that is known; nothing if that
    /// depends on what is imported.
    fresh_tables: OnceLock<Vec<TableState>>,
}

/// Tells modules apart by their contents: the SHA-256 of the image as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModuleId(pub [u8; 32]);

impl ModuleId {
    /// That of an image.
    #[must_use]
    pub fn of(source: &[u8]) -> Self {
        Self(Sha256::digest(source).into())
    }
}

/// What the code of a module does not tell about the image that it was compiled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub id: ModuleId,
    pub size: Size,
    pub has_objects_in_segments: bool,
    /// The positions of the exports that are [brief](load::brief).
    pub brief_exports: Vec<u32>,
}

/// What a compilation is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Look at the image, and parse it if it is text.
    Reading { bytes: usize },
    /// Make of the binary what is to be compiled.
    Translating { bytes: usize, size: Size },
    /// Compile that.
    Compiling { bytes: usize, size: Size },
}

impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

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

    /// Where the function comes from if the embedder has none.
    #[must_use]
    pub fn provider(&self) -> Option<Provider> {
        self.native.map(Native::provider)
    }
}

/// What a module offers.
#[derive(Clone)]
pub struct Export {
    pub name: String,
    pub ty: ExternType,
    /// Of a function.
    pub signature: Option<Arc<Signature>>,
    /// Whether it is a function that is over in a moment, whatever it is called with: one without
    /// loops that calls none but such functions. It cannot be suspended, and need not be.
    pub is_brief: bool,
    pub(crate) handle: ModuleExport,
}

impl Module {
    /// Compiles a module, in its binary form or as text. Takes long, and much stack.
    ///
    /// # Errors
    /// `InvalidModule`.
    pub fn compile(engine: &Engine, source: &[u8]) -> Result<Self> {
        Self::compile_in_phases(engine, source, &mut |_| Ok(()))
    }

    /// As [`compile`](Self::compile), telling at the beginning of each phase. A failure of `begin`
    /// ends it.
    pub(crate) fn compile_in_phases(
        engine: &Engine,
        source: &[u8],
        begin: &mut dyn FnMut(Phase) -> Result<()>,
    ) -> Result<Self> {
        begin(Phase::Reading {
            bytes: source.len(),
        })?;
        let _timing = Timing::start();
        let binary = load::binary(source)?;
        let size = match load::Kind::of(&binary) {
            load::Kind::Module => Size::of(&binary, source.len())?,
            // What is to be said about these says the next phase.
            _ => Size::default(),
        };
        begin(Phase::Translating {
            bytes: binary.len(),
            size,
        })?;
        let prepared = load::prepare(
            &binary,
            Prepare {
                expose_internals: true,
            },
        )?;
        begin(Phase::Compiling {
            bytes: prepared.wasm.len(),
            size,
        })?;
        if !prepared.validated {
            wasmtime::Module::validate(engine.inner(), &binary)
                .map_err(|error| invalid(&binary, &error))?;
        }
        refuse_shared_memories(&binary)?;
        let inner = wasmtime::Module::from_binary(engine.inner(), &prepared.wasm)
            .map_err(|error| invalid(&binary, &error))?;
        let origin = Origin {
            id: ModuleId::of(source),
            size,
            has_objects_in_segments: instrument::has_objects_in_segments(&prepared.wasm)?,
            brief_exports: load::brief::exports(&prepared.wasm)?,
        };
        Self::new(engine.clone(), inner, origin)
    }

    /// A module of code that [`code`](Self::code) gave.
    ///
    /// # Errors
    /// `BadImage` if the engine does not know it as its own.
    ///
    /// # Safety
    /// The code is run as it is: it must be what an engine's compiler has made, unchanged.
    pub(crate) unsafe fn from_code(engine: &Engine, code: &[u8], origin: Origin) -> Result<Self> {
        // SAFETY: as for this function.
        let inner =
            unsafe { wasmtime::Module::deserialize(engine.inner(), code) }.map_err(|error| {
                Error::BadImage {
                    message: format!("the code does not load: {}", error.root_cause()),
                }
            })?;
        Self::new(engine.clone(), inner, origin)
    }

    /// What it was compiled to.
    pub(crate) fn code(&self) -> Result<Vec<u8>> {
        self.inner
            .serialize()
            .map_err(|error| Error::internal(error.root_cause()))
    }

    /// The bytes of memory that its code takes.
    #[must_use]
    pub fn code_bytes(&self) -> usize {
        let range = self.inner.image_range();
        (range.end as usize).saturating_sub(range.start as usize)
    }

    fn new(engine: Engine, inner: wasmtime::Module, origin: Origin) -> Result<Self> {
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
                is_brief: false,
                handle: inner
                    .get_export_index(export.name())
                    .ok_or_else(|| Error::internal("an export without an index"))?,
            });
        }
        // The module's own exports come first, in its order, then those added by the loader.
        let (mut visible, hidden): (Vec<_>, Vec<_>) = exports
            .into_iter()
            .partition(|export| !instrument::is_reserved(&export.name));
        for position in &origin.brief_exports {
            if let Some(export) = visible.get_mut(*position as usize) {
                export.is_brief = true;
            }
        }
        let visible_exports = visible.len();
        let mut hidden: Vec<_> = hidden
            .into_iter()
            .filter_map(|export| Some((Internal::from_export_name(&export.name)?, export)))
            .collect();
        hidden.sort_by_key(|(internal, _)| *internal);
        let layout = Layout::new(
            hidden.iter().map(|(internal, _)| *internal),
            visible_exports,
            origin.has_objects_in_segments,
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
            origin,
            layout,
            fresh_tables: OnceLock::new(),
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
        self.origin.id
    }

    /// How much there was to compile.
    pub fn size(&self) -> Size {
        self.origin.size
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Where the state of its instances is.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What the tables of an instance hold before it runs. `find` looks at one that has just been
    /// made, if it has to.
    pub(crate) fn fresh_tables(
        &self,
        find: impl FnOnce() -> Result<Vec<TableState>>,
    ) -> &[TableState] {
        self.fresh_tables.get_or_init(|| {
            let imported =
                |ty: &ExternType| matches!(ty, ExternType::Table(_) | ExternType::Global(_));
            if self.imports.iter().any(|import| imported(&import.ty)) {
                return Vec::new();
            }
            find().unwrap_or_default()
        })
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

    /// Whether making an instance takes longer than a thread that others wait for may be kept: about
    /// a millisecond.
    #[must_use]
    pub fn starts_slowly(&self) -> bool {
        const IMPORTS: usize = 250;
        // Globals and tables count, which the loader has exported.
        const EXPORTS: usize = 10_000;
        const TABLE_ELEMENTS: u64 = 100_000;
        // Code and data.
        const IMAGE: usize = 64 << 20;
        let image = self.inner.image_range();
        self.imports.len() > IMPORTS
            || self.exports.len() > EXPORTS
            || self.inner.resources_required().max_initial_table_size > Some(TABLE_ELEMENTS)
            || (image.end as usize).saturating_sub(image.start as usize) > IMAGE
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
        if let LoadError::Limit { what, limit, .. } = error {
            // One more than allowed is when counting ends.
            return Self::Limit {
                what,
                limit: limit as u64,
                requested: limit as u64 + 1,
            };
        }
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
