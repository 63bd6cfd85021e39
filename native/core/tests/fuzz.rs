//! The targets of `make fuzz`, with inputs from a seed: what is kept in the corpus, changes of it, and
//! bytes at random.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Runs a target, and tells the input if it fails.
fn one(target: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        eprintln!("the input: {input:02x?}");
        resume_unwind(panic);
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name)
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder(name)).expect("a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).expect("a readable file"))
        .collect()
}

struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0.next_u32() as usize % bound.max(1)
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.below(most)];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len());
        match self.below(6) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = self.0.next_u32() as u8;
                }
            }
            2 => bytes.truncate(at),
            3 => {
                let part = self.bytes(9);
                bytes.splice(at..at, part);
            }
            4 => {
                let end = (at + self.below(9)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let from = self.below(other.len());
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
        }
    }
}

fn fuzz(name: &str, target: fn(&[u8]), rounds: usize, longest: usize) {
    let corpus = corpus(name);
    corpus.iter().for_each(|input| one(target, input));
    let mut random = Random(ChaCha8Rng::seed_from_u64(0x5eed));
    for round in 0..rounds {
        let input = if round % 2 == 0 {
            random.bytes(longest)
        } else {
            let mut input = corpus[random.below(corpus.len())].clone();
            for _ in 0..=random.below(4) {
                let other = &corpus[random.below(corpus.len())];
                random.change(&mut input, other);
            }
            input
        };
        one(target, &input);
    }
}

#[test]
fn load() {
    fuzz("load", targets::load::run, 600, 4000);
}

#[test]
fn legacy_exceptions() {
    fuzz(
        "legacy_exceptions",
        targets::legacy_exceptions::run,
        1_000,
        800,
    );
}

#[test]
fn values() {
    fuzz("values", targets::values::run, 2_000, 600);
}

#[test]
fn snapshot() {
    fuzz("snapshot", targets::snapshot::run, 5_000, 600);
}

#[test]
fn wasi() {
    fuzz("wasi", targets::wasi::run, 4_000, 2000);
}

/// Coverage-guided fuzzing begins with these, too. They have to follow when a format changes.
#[test]
fn the_corpus_holds_the_examples() {
    for (name, examples) in [
        ("load", targets::load::examples()),
        ("snapshot", targets::snapshot::examples()),
    ] {
        let corpus = corpus(name);
        for (number, example) in examples.iter().enumerate() {
            if std::env::var_os("WRITE_EXAMPLES").is_some() {
                let path = folder(name).join(format!("example-{number}"));
                std::fs::write(path, example).expect("a folder that can be written to");
            } else {
                assert!(
                    corpus.contains(example),
                    "run this test with the variable WRITE_EXAMPLES set"
                );
            }
        }
    }
}
