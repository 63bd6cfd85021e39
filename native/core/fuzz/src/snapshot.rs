//! A snapshot that is read is a state of the module's that has exactly these bytes, or an error.
//!
//! The input is a module's number, whether lengths and checksums are to be put right, and a chain of
//! snapshots, each behind its length.

use std::sync::{Arc, LazyLock};

use wasmbeam_core::snapshot::State;
use wasmbeam_core::snapshot::format::{self, Base, Compression, ReadLimits, SnapshotId};
use wasmbeam_core::{Error, Module, Value};
use xxhash_rust::xxh3::xxh3_128;

use super::guest::{Guest, LIMITS, compile};

const CHECKSUM: usize = 16;
/// Behind the magic number: version, flags, number of sections, length, module, base.
const FLAGS: usize = 10;
const LENGTH: usize = 16;
const MODULE: usize = 24;
const BASE: usize = 56;
const HEADER: usize = 72;

/// The most that a module has here.
const MEMORIES: usize = 2;

/// One of each width, and one with everything else.
const SOURCES: [&str; 3] = [
    r#"(module
         (memory 1 100)
         (global $g (mut i32) (i32.const 1))
         (func (export "step") (param i32)
           (global.set $g (i32.add (global.get $g) (local.get 0)))
           (drop (memory.grow (i32.and (local.get 0) (i32.const 1))))
           (i32.store (i32.mul (local.get 0) (i32.const 4000)) (global.get $g))))"#,
    r#"(module
         (memory i64 2 100)
         (memory i64 0 100)
         (global $v (mut v128) (v128.const i64x2 1 2))
         (table i64 3 100 funcref)
         (elem declare func $f)
         (func $f (export "step") (param i32)
           (i64.store8 (i64.extend_i32_u (local.get 0)) (i64.const 7))
           (drop (memory.grow 1 (i64.const 1)))
           (drop (table.grow (ref.func $f) (i64.const 1)))))"#,
    r#"(module
         (memory 1 50 (pagesize 1))
         (global $f (mut f64) (f64.const nan:0x4000000000001))
         (global $r (mut funcref) (ref.null func))
         (global $i (mut i31ref) (ref.i31 (i32.const 3)))
         (table $t 2 100 funcref)
         (table $a 2 100 anyref)
         (data $d "data")
         (elem $e func $step $step)
         (func $step (export "step") (param i32)
           (global.set $r (ref.func $step))
           (table.fill $t (i32.const 0) (ref.func $step) (i32.const 2))
           (drop (table.grow $t (ref.func $step) (i32.const 7)))
           (table.set $a (i32.const 1) (ref.i31 (local.get 0)))
           (drop (memory.grow (i32.const 30)))
           (i32.store8 (i32.const 0) (local.get 0))
           (data.drop $d)
           (elem.drop $e)))"#,
];

static MODULES: LazyLock<[Arc<Module>; SOURCES.len()]> =
    LazyLock::new(|| SOURCES.map(|source| compile(source.as_bytes()).expect("a valid module")));

pub fn run(data: &[u8]) {
    let [number, repaired, rest @ ..] = data else {
        return;
    };
    let module = &MODULES[usize::from(*number) % MODULES.len()];
    let mut links = links(rest);
    if *repaired != 0 {
        repair(&mut links, module);
    }
    let links: Vec<&[u8]> = links.iter().map(Vec::as_slice).collect();
    let limits = ReadLimits::from(&LIMITS);
    let state = match format::decode_chain(&links, module.id(), limits) {
        Ok(state) => state,
        Err(error) => return assert_expected(&error),
    };
    let bytes = format::encode(&state, Compression::None, None).expect("a snapshot");
    if let [link] = links.as_slice()
        && link.len() == bytes.len()
    {
        // What is compressed is shorter, but a memory without pages has a compression, too.
        let body = link.len() - CHECKSUM;
        let differing = link[..body].iter().zip(&bytes).filter(|(a, b)| a != b);
        assert!(differing.count() <= MEMORIES, "another way to write it");
    }
    let again = format::decode(&bytes, module.id(), limits).expect("a state");
    assert!(again == state);
    for compression in [Compression::Lz4, Compression::Zstd] {
        let packed = format::encode(&state, compression, None).expect("a snapshot");
        let unpacked = format::decode(&packed, module.id(), limits).expect("a state");
        assert!(unpacked == state);
    }
    let mut guest = match Guest::restore(module, state) {
        Ok(guest) => guest,
        Err(error) => return assert_expected(&error),
    };
    assert!(guest.snapshot().expect("a snapshot") == bytes);
    let mut fork = guest.fork().expect("a fork");
    let step = module.export_index("step").expect("an export");
    for guest in [&mut guest, &mut fork] {
        match guest.call(step, vec![Value::I32(5)]) {
            Ok(_) | Err(Error::Trap(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    let after = guest.snapshot().expect("a snapshot");
    assert!(after == fork.snapshot().expect("a snapshot"));
}

fn assert_expected(error: &Error) {
    assert!(
        matches!(error, Error::BadSnapshot { .. } | Error::Limit { .. }),
        "{error:?}"
    );
}

fn links(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut links = Vec::new();
    while let Some((len, bytes)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_le_bytes(*len)).min(bytes.len());
        let (link, after) = bytes.split_at(len);
        links.push(link.to_vec());
        rest = after;
    }
    links
}

/// So that what is behind the checksum is reached.
fn repair(links: &mut [Vec<u8>], module: &Module) {
    let mut before = [0; CHECKSUM];
    for link in links {
        let len = link.len();
        if len < HEADER + CHECKSUM {
            continue;
        }
        link[LENGTH..MODULE].copy_from_slice(&(len as u64).to_le_bytes());
        link[MODULE..BASE].copy_from_slice(&module.id().0);
        if link[FLAGS] & 1 != 0 {
            link[BASE..HEADER].copy_from_slice(&before);
        }
        before = xxh3_128(&link[..len - CHECKSUM]).to_le_bytes();
        link[len - CHECKSUM..].copy_from_slice(&before);
    }
}

/// Inputs to begin with: each module's states in every compression, and chains of them.
#[must_use]
pub fn examples() -> Vec<Vec<u8>> {
    let mut examples = Vec::new();
    for (number, module) in (0..).zip(MODULES.iter()) {
        let step = module.export_index("step").expect("an export");
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let mut guest = Guest::start(module).expect("an instance");
            let mut input = vec![number, 1];
            let mut before = None;
            for round in 0..3 {
                let state = guest.capture().expect("a state");
                let base = before
                    .as_ref()
                    .map(|(id, state): &(_, Arc<State>)| Base { id: *id, state });
                let bytes = format::encode(&state, compression, base).expect("a snapshot");
                input.extend((bytes.len() as u16).to_le_bytes());
                input.extend(&bytes);
                if input.len() > 20_000 {
                    break;
                }
                examples.push(input.clone());
                let id = SnapshotId::of(&bytes).expect("an id");
                before = Some((id, state));
                guest.call(step, vec![Value::I32(round)]).expect("no trap");
            }
        }
    }
    examples
}
