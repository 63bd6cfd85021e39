//! Encoded states, read by what the section `WASI` of `docs/snapshot-format.md` says of them.

use std::collections::BTreeSet;

use wasmbeam_core::emscripten::syscalls::{self, Outcome, Syscall};
use wasmbeam_core::wasi::{ClockSource, OutputSink, RandomSource, WasiConfig, WasiState, Width};

use crate::codec::{furnish, furnished};
use crate::plain::{descriptors, files, settings};
use crate::world::*;

/// Every kind of something that was met, with its name.
type Kinds = BTreeSet<(&'static str, u8)>;

struct Section<'a> {
    rest: &'a [u8],
    kinds: Kinds,
}

impl<'a> Section<'a> {
    fn raw(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest;
        bytes
    }

    fn number(&mut self, size: usize) -> u64 {
        let mut number = [0; 8];
        number[..size].copy_from_slice(self.raw(size));
        u64::from_le_bytes(number)
    }

    fn u32(&mut self) -> u64 {
        self.number(4)
    }

    fn u64(&mut self) -> u64 {
        self.number(8)
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = self.u64() as usize;
        self.raw(len)
    }

    fn flag(&mut self) -> bool {
        let flag = self.number(1);
        assert!(flag < 2);
        flag == 1
    }

    fn kind(&mut self, of: &'static str) -> u8 {
        let kind = self.number(1) as u8;
        self.kinds.insert((of, kind));
        kind
    }

    fn strings(&mut self) {
        for _ in 0..self.u32() {
            self.bytes();
        }
    }

    fn clocks(&mut self) {
        if self.kind("clock") == 1 {
            assert_eq!(self.u64(), NOW);
        }
        for _ in 0..3 {
            self.u64();
        }
    }

    fn random(&mut self) {
        if self.kind("random") == 1 {
            self.raw(32 + 16);
        }
    }

    fn output(&mut self) {
        let kind = self.kind("output");
        if kind == 0 {
            self.u64();
        }
        self.u64();
        let kept = self.bytes();
        assert!(kind == 0 || kept.is_empty());
    }

    fn inode(&mut self) {
        let kind = self.number(1) as u8;
        self.kinds.insert(("inode", kind & 127));
        self.kinds.insert(("read-only", kind >> 7));
        if kind == 3 {
            return;
        }
        for _ in 0..3 {
            self.u64();
        }
        match kind & 127 {
            0 => self.directory(),
            1 => self.pieces(),
            2 => drop(self.bytes()),
            4 => drop(self.kind("device")),
            other => panic!("an inode of kind {other}"),
        }
    }

    fn directory(&mut self) {
        self.u32();
        let next = self.u64();
        let mut last = 2;
        for _ in 0..self.u32() {
            let cookie = self.u64();
            assert!(last < cookie && cookie < next);
            last = cookie;
            self.u32();
            assert!(!self.bytes().is_empty());
        }
    }

    fn pieces(&mut self) {
        let len = self.u64();
        let mut next = 0;
        for _ in 0..self.u32() {
            let index = self.u32();
            assert!(index >= next);
            next = index + 1;
            let piece = self.bytes();
            assert!(piece.last().is_some_and(|byte| *byte != 0));
            assert!(piece.len() <= 65_536);
            assert!(index * 65_536 + piece.len() as u64 <= len);
        }
    }

    fn descriptor(&mut self) {
        self.u32();
        match self.kind("descriptor") {
            0 => self.open_file(),
            1 => drop(self.u32()),
            other => panic!("a descriptor of kind {other}"),
        }
    }

    fn open_file(&mut self) {
        if self.kind("open file") == 3 {
            self.u32();
        }
        self.raw(2 + 8 + 8);
        assert!(self.u64() < 1 << 63);
        if self.flag() {
            self.bytes();
            self.bytes();
        }
    }
}

/// Reads all of an encoded state, to its end.
fn kinds(state: &WasiState) -> Kinds {
    let encoded = state.encode();
    let mut section = Section {
        rest: &encoded,
        kinds: Kinds::new(),
    };
    assert_eq!(section.raw(4), b"wbwa");
    assert_eq!(section.number(2), 1);
    section.raw(8 + 8 + 4);
    section.strings();
    section.strings();
    section.flag();
    section.clocks();
    section.random();
    section.flag();
    section.bytes();
    section.output();
    section.output();
    for _ in 0..section.u32() {
        section.inode();
    }
    section.u32();
    for _ in 0..section.u32() {
        section.descriptor();
    }
    assert_eq!(section.rest, b"");
    section.kinds
}

/// Makes another descriptor for an open file, which WASI has no function for.
fn share(world: &mut World, fd: u64) {
    let World { state, memory, .. } = world;
    let outcome = syscalls::call(state, memory, Syscall::Dup, Width::W32, &[fd]);
    assert!(matches!(outcome, Outcome::Return(new) if new > 0));
}

/// Removes a file that is not the last.
fn leave_a_place(world: &mut World) {
    world.state.write_file(b"first", b"").unwrap();
    world.state.write_file(b"last", b"").unwrap();
    world.unlink("first").unwrap();
}

#[test]
fn an_encoded_state_is_as_the_documentation_has_it() {
    in_both_with(furnished(), |world| {
        furnish(world);
        world.state.set_read_only(b"d").unwrap();
        share(world, 1);
        leave_a_place(world);
        let mut met = kinds(&world.state);
        let plain = WasiState::plain(files(), b"in".to_vec(), &descriptors(), settings());
        met.extend(kinds(&plain.unwrap()));
        let others = WasiConfig {
            clock: ClockSource::Embedder,
            random: RandomSource::Embedder,
            stdout: OutputSink::Embedder,
            ..config()
        };
        met.extend(kinds(&WasiState::new(others).unwrap()));
        let system = WasiConfig {
            clock: ClockSource::System,
            random: RandomSource::System,
            ..config()
        };
        met.extend(kinds(&WasiState::new(system).unwrap()));
        let all = [
            ("clock", 0..=2),
            ("descriptor", 0..=1),
            ("device", 0..=2),
            ("inode", 0..=4),
            ("open file", 0..=3),
            ("output", 0..=1),
            ("random", 0..=2),
            ("read-only", 0..=1),
        ];
        let all = all
            .into_iter()
            .flat_map(|(of, kinds)| kinds.map(move |kind| (of, kind)));
        assert_eq!(met, all.collect());
    });
}
