//! What of a memory is looked at: whatever was done to it, a state holds all that a full scan finds.

use wasmbeam_core::MemorySelector;
use wasmbeam_core::snapshot::format::Compression;

use crate::support::Guest;
use crate::support::random::Random;

const SEEDS: u64 = 60;
const STEPS: usize = 25;
const WASM_PAGE: usize = 1 << 16;
const MAX_PAGES: usize = 80;

/// Where a memory begins with other bytes than zero.
type Data = &'static [(usize, &'static [u8])];

const MODULES: [(&str, Data); 4] = [
    (r#"(module (memory (export "m") 0))"#, &[]),
    (
        r#"(module (memory (export "m") 1) (data (i32.const 4095) "ab"))"#,
        &[(4095, b"ab")],
    ),
    (
        r#"(module (memory (export "m") 20)
             (data (i32.const 70000) "middle") (data (i32.const 1310719) "e"))"#,
        &[(70_000, b"middle"), (1_310_719, b"e")],
    ),
    (r#"(module (memory (export "m") i64 3))"#, &[]),
];

/// A guest, and what its memory has to hold.
struct Pair {
    guest: Guest,
    bytes: Vec<u8>,
}

fn first() -> MemorySelector {
    MemorySelector::Index(0)
}

impl Pair {
    fn start(module: usize) -> Self {
        let (text, _) = MODULES[module];
        let mut pair = Self {
            guest: Guest::start(text),
            bytes: Vec::new(),
        };
        pair.begin(module);
        pair
    }

    fn begin(&mut self, module: usize) {
        let size = self.guest.coroutine.memory_size(0, first()).unwrap();
        self.bytes = vec![0; size as usize];
        let (_, data) = MODULES[module];
        for (offset, bytes) in data {
            self.bytes[*offset..*offset + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// As everybody sees it: this touches all of it.
    fn scan(guest: &mut Guest) -> Vec<u8> {
        let size = guest.coroutine.memory_size(0, first()).unwrap();
        let buffer = vec![0; size as usize];
        guest.coroutine.memory_read(0, first(), 0, buffer).unwrap()
    }

    fn restored(&mut self) -> Guest {
        let snapshot = self.guest.snapshot(Compression::None);
        let state = self.guest.decode(&snapshot).unwrap();
        Guest::restore(&self.guest.module, state).unwrap()
    }

    fn grow(&mut self, pages: usize) {
        let pages = pages.min(MAX_PAGES - self.bytes.len() / WASM_PAGE);
        let coroutine = &mut self.guest.coroutine;
        coroutine.memory_grow(0, first(), pages as u64).unwrap();
        self.bytes.resize(self.bytes.len() + pages * WASM_PAGE, 0);
    }

    fn write(&mut self, random: &mut Random) {
        if self.bytes.is_empty() {
            return;
        }
        let offset = random.below(self.bytes.len());
        let len = random.below(9000).min(self.bytes.len() - offset);
        // What is written may be zero, all of it or some.
        let mask = *random.pick(&[0x00, 0x01, 0xff]);
        let bytes: Vec<u8> = (0..len).map(|_| random.next() as u8 & mask).collect();
        self.bytes[offset..offset + len].copy_from_slice(&bytes);
        let coroutine = &mut self.guest.coroutine;
        coroutine
            .memory_write(0, first(), offset as u64, bytes)
            .unwrap();
    }

    fn replace(&mut self, random: &mut Random) {
        let len = random.below(self.bytes.len() + 2 * WASM_PAGE);
        let mut image = vec![0; len.min(MAX_PAGES * WASM_PAGE)];
        for _ in 0..random.below(4) {
            if !image.is_empty() {
                let offset = random.below(image.len());
                image[offset] = 7;
            }
        }
        let pages = image.len().div_ceil(WASM_PAGE) * WASM_PAGE;
        self.bytes = image.clone();
        let size = self.guest.coroutine.memory_size(0, first()).unwrap() as usize;
        self.bytes.resize(pages.max(size), 0);
        let coroutine = &mut self.guest.coroutine;
        coroutine.memory_replace(0, first(), image).unwrap();
    }
}

#[test]
fn a_state_holds_what_a_full_scan_finds() {
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let module = random.below(MODULES.len());
        let mut pair = Pair::start(module);
        let mut left: Vec<Pair> = Vec::new();
        for step in 0..STEPS {
            match random.below(9) {
                0 | 1 => pair.grow(random.below(30)),
                2..=4 => pair.write(&mut random),
                5 => pair.replace(&mut random),
                6 => {
                    let guest = pair.guest.fork();
                    let bytes = pair.bytes.clone();
                    left.push(std::mem::replace(&mut pair, Pair { guest, bytes }));
                }
                7 => pair.guest = pair.restored(),
                _ => {
                    pair.guest = pair.guest.restart();
                    pair.begin(module);
                }
            }
            if random.one_in(2) {
                let mut copy = pair.restored();
                assert!(
                    Pair::scan(&mut copy) == pair.bytes,
                    "seed {seed}, step {step}: a state holds something else"
                );
            }
            if random.one_in(6) {
                assert!(
                    Pair::scan(&mut pair.guest) == pair.bytes,
                    "seed {seed}, step {step}: the memory holds something else"
                );
            }
        }
        left.push(pair);
        for mut pair in left {
            let mut fork = pair.guest.fork();
            for guest in [&mut fork, &mut pair.guest] {
                assert!(
                    Pair::scan(guest) == pair.bytes,
                    "seed {seed}: in the end it holds something else"
                );
            }
        }
    }
}
