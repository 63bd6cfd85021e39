//! What can be said of bytes without running them.

use rustler::{Binary, Encoder, Env, Term};
use wasmbeam_core::load;
use wasmbeam_core::snapshot::format::{self, Compression, Description, MemoryDescription};
use wasmbeam_core::{Error, Provider};

use crate::atoms;
use crate::error::{self, Failure};
use crate::{module, term};

/// The parts of WebAssembly that an image makes use of: `{ok, [Name]}`.
#[rustler::nif(schedule = "DirtyCpu")]
fn image_features<'a>(env: Env<'a>, source: Binary<'a>) -> Term<'a> {
    let features = load::binary(source.as_slice())
        .and_then(|wasm| load::features(&wasm).map_err(Error::from))
        .map_err(Failure::from);
    error::result(env, features)
}

/// Where each import comes from if no embedder has it: `{ok, [wasi | emscripten | none]}`.
#[rustler::nif(schedule = "DirtyCpu")]
fn module_providers<'a>(env: Env<'a>, module: Term<'a>) -> Term<'a> {
    let providers = module::decode(module).map(|module| {
        let providers: Vec<_> = module
            .imports()
            .iter()
            .map(|import| match import.provider() {
                Some(Provider::Wasi) => atoms::wasi(),
                Some(Provider::Emscripten) => atoms::emscripten(),
                None => atoms::none(),
            })
            .collect();
        providers
    });
    error::result(env, providers)
}

/// What a snapshot says of itself: `{ok, Map}`.
#[rustler::nif(schedule = "DirtyCpu")]
fn snapshot_info<'a>(env: Env<'a>, snapshot: Binary<'a>) -> Term<'a> {
    let described = format::describe(snapshot.as_slice())
        .map(|description| describe(env, &description))
        .map_err(Failure::from);
    error::result(env, described)
}

fn describe<'a>(env: Env<'a>, description: &Description) -> Term<'a> {
    let base = match description.base {
        Some(base) => base.to_string().encode(env),
        None => atoms::none().encode(env),
    };
    let sections: Vec<Term> = description
        .sections
        .iter()
        .map(|(tag, bytes)| (term::Bytes(tag), bytes).encode(env))
        .collect();
    let memories: Vec<Term> = description
        .memories
        .iter()
        .map(|memory| describe_memory(env, memory))
        .collect();
    let pairs = [
        (atoms::version(), description.version.encode(env)),
        (atoms::id(), description.id.to_string().encode(env)),
        (atoms::module(), description.module.to_string().encode(env)),
        (atoms::base(), base),
        (atoms::sections(), sections.encode(env)),
        (atoms::memories(), memories.encode(env)),
        (atoms::globals(), description.globals.encode(env)),
        (atoms::tables(), description.tables.encode(env)),
        (atoms::dropped_data(), description.dropped_data.encode(env)),
        (
            atoms::dropped_elements(),
            description.dropped_elements.encode(env),
        ),
    ]
    .map(|(key, value)| (key.encode(env), value));
    term::map(env, &pairs)
}

fn describe_memory<'a>(env: Env<'a>, memory: &MemoryDescription) -> Term<'a> {
    let compression = match memory.compression {
        Compression::None => atoms::none(),
        Compression::Lz4 => atoms::lz4(),
        Compression::Zstd => atoms::zstd(),
    };
    let pairs = [
        (atoms::bytes(), memory.bytes.encode(env)),
        (atoms::page_size(), memory.page_size.encode(env)),
        (atoms::compression(), compression.encode(env)),
        (atoms::stored_pages(), memory.stored_pages.encode(env)),
        (atoms::stored_bytes(), memory.stored_bytes.encode(env)),
        (atoms::zeroed_pages(), memory.zeroed_pages.encode(env)),
    ]
    .map(|(key, value)| (key.encode(env), value));
    term::map(env, &pairs)
}
