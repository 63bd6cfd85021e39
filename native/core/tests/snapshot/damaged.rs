//! Snapshots that are not what they were.

use std::sync::Arc;

use wasmbeam_core::snapshot::State;
use wasmbeam_core::snapshot::format::{self, Base, Compression, SnapshotId};
use wasmbeam_core::{Error, Limits, Module};
use xxhash_rust::xxh3::xxh3_128;

use crate::support::allocations::peak;
use crate::support::generated::Generated;
use crate::support::random::Random;
use crate::support::{Guest, compile, limits};

const MUTATIONS: u64 = 100_000;
/// What reading a snapshot of a few kilobytes may take: a block to decompress, and little else.
const MOST_MEMORY: usize = 2 << 20;

struct Sample {
    module: Arc<Module>,
    compression: Compression,
    /// What the snapshot is based on, if it is incremental.
    before: Option<(Vec<u8>, Arc<State>)>,
    snapshot: Vec<u8>,
    state: Arc<State>,
}

impl Sample {
    fn decode(&self, bytes: &[u8]) -> Result<State, Error> {
        let before = self.before.iter().map(|(snapshot, _)| snapshot.as_slice());
        let links: Vec<_> = before.chain([bytes]).collect();
        format::decode_chain(&links, self.module.id(), limits())
    }

    fn encode(&self, state: &State) -> Vec<u8> {
        let base = self.before.as_ref().map(|(snapshot, state)| Base {
            id: SnapshotId::of(snapshot).expect("an id"),
            state,
        });
        format::encode(state, self.compression, base).expect("a snapshot")
    }
}

fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for seed in 0..12 {
        let mut random = Random::new(9_000 + seed);
        let generated = Generated::new(&mut random);
        let module = compile(&generated.text);
        let mut guest = Guest::of(&module);
        generated.run(&mut guest, &mut random, 30);
        if seed % 3 == 0 {
            furnish(&mut guest);
        }
        let mut before = None;
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let mut sample = Sample {
                module: Arc::clone(&module),
                compression,
                before: before.clone(),
                snapshot: Vec::new(),
                state: guest.capture(),
            };
            sample.snapshot = sample.encode(&sample.state);
            if before.is_none() {
                before = Some((sample.snapshot.clone(), guest.capture()));
            }
            if sample.snapshot.len() < 100_000 {
                samples.push(sample);
            }
            generated.run(&mut guest, &mut random, 5);
            let complete = Sample {
                module: Arc::clone(&module),
                compression,
                before: None,
                snapshot: guest.snapshot(compression),
                state: guest.capture(),
            };
            if complete.snapshot.len() < 100_000 {
                samples.push(complete);
            }
        }
    }
    let incremental = samples.iter().filter(|sample| sample.before.is_some());
    assert!(incremental.count() > 5);
    samples
}

/// Gives the guest a world of files.
fn furnish(guest: &mut Guest) {
    let furnished = guest.coroutine.wasi(0, |wasi| {
        wasi.write_file(b"folder/file", b"contents").expect("room");
        wasi.write_file(b"other", &[7; 70_000]).expect("room");
    });
    furnished.expect("an instance");
}

fn mutate(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    // What is not pages is at the beginning and at the end.
    let place = |random: &mut Random, len: usize| match random.below(3) {
        0 => random.below(len.min(200)),
        1 => len - 1 - random.below(len.min(200)),
        _ => random.below(len),
    };
    if bytes.is_empty() {
        return;
    }
    let at = place(random, bytes.len());
    match random.below(8) {
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.next() as u8,
        3 => bytes.truncate(at),
        4 => {
            let sizes = [
                0,
                1,
                0x7fff_ffff,
                u64::from(u32::MAX),
                1 << 32,
                1 << 46,
                u64::MAX,
            ];
            let size = random.pick(&sizes).to_le_bytes();
            let width = *random.pick(&[2, 4, 8]);
            for (byte, value) in bytes[at..].iter_mut().zip(&size[..width]) {
                *byte = *value;
            }
        }
        5 => {
            let end = (at + random.below(64)).min(bytes.len());
            bytes.drain(at..end);
        }
        6 => {
            let end = (at + random.below(64)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            let to = place(random, bytes.len());
            bytes.splice(to..to, part);
        }
        _ => {
            let from = place(random, other.len());
            let end = (from + random.below(200)).min(other.len());
            bytes.splice(at.., other[from..end].iter().copied());
        }
    }
}

/// Makes the length and the checksum those of the contents, so that the reader goes further.
fn repair(bytes: &mut [u8]) {
    if bytes.len() < 88 {
        return;
    }
    let len = bytes.len();
    bytes[16..24].copy_from_slice(&(len as u64).to_le_bytes());
    let sum = xxh3_128(&bytes[..len - 16]).to_le_bytes();
    bytes[len - 16..].copy_from_slice(&sum);
}

fn assert_expected(error: &Error) {
    assert!(
        matches!(error, Error::BadSnapshot { .. } | Error::Limit { .. }),
        "{error:?}"
    );
}

#[test]
fn a_damaged_snapshot_is_an_error() {
    let samples = samples();
    let mut random = Random::new(1);
    for _ in 0..MUTATIONS {
        let sample = random.pick(&samples);
        let other = random.pick(&samples);
        let mut bytes = sample.snapshot.clone();
        for _ in 0..=random.below(3) {
            mutate(&mut random, &mut bytes, &other.snapshot);
        }
        let (taken, decoded) = peak(|| sample.decode(&bytes));
        assert!(taken < MOST_MEMORY, "{taken} bytes");
        match decoded {
            Ok(state) => {
                assert!(bytes == sample.snapshot, "damage that is not noticed");
                assert_eq!(state, *sample.state);
            }
            Err(error) => assert_expected(&error),
        }
    }
}

#[test]
fn a_forged_snapshot_is_an_error_or_says_what_it_restores() {
    let samples = samples();
    let mut random = Random::new(2);
    let mut restored = 0;
    for round in 0..MUTATIONS {
        let sample = random.pick(&samples);
        let other = random.pick(&samples);
        let mut bytes = sample.snapshot.clone();
        for _ in 0..=random.below(2) {
            mutate(&mut random, &mut bytes, &other.snapshot);
        }
        repair(&mut bytes);
        let (taken, decoded) = peak(|| sample.decode(&bytes));
        assert!(taken < MOST_MEMORY, "round {round}: {taken} bytes");
        let state = match decoded {
            Ok(state) => state,
            Err(error) => {
                assert_expected(&error);
                continue;
            }
        };
        let again = format::encode(&state, sample.compression, None).expect("a snapshot");
        let is_plain = sample.compression == Compression::None && sample.before.is_none();
        if is_plain && sample.state.stored_bytes() > 0 {
            let same_codec = again.len() == bytes.len();
            assert!(
                !same_codec || again == bytes,
                "round {round}: another reading"
            );
        }
        let small = Limits {
            memory: 64 << 20,
            table_elements: 10_000,
            ..Limits::default()
        };
        match Guest::restore_within(&sample.module, state.clone(), small) {
            Ok(mut guest) => {
                restored += 1;
                assert!(guest.snapshot(sample.compression) == again);
                guest.outcome("nothing", &[]);
                assert_eq!(*guest.capture(), state);
            }
            Err(error) => assert_expected(&error),
        }
    }
    assert!(restored > MUTATIONS / 50, "{restored} of them say little");
}

#[test]
fn every_prefix_is_an_error() {
    for sample in samples() {
        for len in (0..sample.snapshot.len()).step_by(7) {
            let error = sample.decode(&sample.snapshot[..len]).expect_err("a part");
            assert_expected(&error);
        }
    }
}

#[test]
fn a_short_snapshot_cannot_ask_for_much() {
    let module = compile("(module (memory i64 0))");
    let mut guest = Guest::of(&module);
    let snapshot = guest.snapshot(Compression::None);
    // The size of the memory, behind the header and those of the section and of the memories.
    for size in [1_u64 << 31, 1 << 33, 1 << 46, !0xffff] {
        let mut bytes = snapshot.clone();
        bytes[92..100].copy_from_slice(&size.to_le_bytes());
        repair(&mut bytes);
        let (taken, outcome) = peak(|| {
            guest
                .decode(&bytes)
                .and_then(|state| Guest::restore(&module, state).map(drop))
        });
        assert!(taken < MOST_MEMORY, "{taken} bytes for {size}");
        match outcome {
            // So large a memory takes only address space.
            Ok(()) => assert!(size <= Limits::default().memory),
            Err(error) => assert_expected(&error),
        }
    }
}

#[test]
fn a_version_that_is_not_known_is_named() {
    let mut guest = Guest::start("(module)");
    let mut bytes = guest.snapshot(Compression::None);
    bytes[8] = 2;
    repair(&mut bytes);
    let error = guest.decode(&bytes).expect_err("another version");
    assert!(error.to_string().contains("version 2"), "{error}");
}
