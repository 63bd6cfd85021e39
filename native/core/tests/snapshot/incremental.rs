//! Snapshots that hold what differs from another.

use std::sync::Arc;

use wasmbeam_core::snapshot::State;
use wasmbeam_core::snapshot::format::{self, Base, Compression, ReadLimits, SnapshotId};
use wasmbeam_core::{Error, MemorySelector};

use crate::support::generated::Generated;
use crate::support::random::Random;
use crate::support::{Guest, compile, limits};

const LINKS: usize = 20;

/// A chain of snapshots, and the state of each.
struct Chain {
    guest: Guest,
    snapshots: Vec<Vec<u8>>,
    states: Vec<Arc<State>>,
}

impl Chain {
    fn new(guest: Guest) -> Self {
        Self {
            guest,
            snapshots: Vec::new(),
            states: Vec::new(),
        }
    }

    fn add(&mut self, compression: Compression) {
        let state = self.guest.capture();
        let base = self.snapshots.last().zip(self.states.last());
        let base = base.map(|(snapshot, state)| Base {
            id: SnapshotId::of(snapshot).expect("an id"),
            state,
        });
        let snapshot = format::encode(&state, compression, base).expect("a snapshot");
        self.snapshots.push(snapshot);
        self.states.push(state);
    }

    fn links(&self) -> Vec<&[u8]> {
        self.snapshots.iter().map(Vec::as_slice).collect()
    }

    fn read(&self, links: &[&[u8]]) -> Result<State, Error> {
        format::decode_chain(links, self.guest.module.id(), limits())
    }

    fn fault(&self, links: &[&[u8]]) -> String {
        match self.read(links) {
            Err(Error::BadSnapshot { message }) => message,
            other => panic!("{other:?}"),
        }
    }
}

const LARGE: &str = r#"
    (module
      (memory 64 1000)
      (func (export "fill") (param i32 i32)
        (memory.fill (local.get 0) (local.get 1) (i32.const 700000)))
      (func (export "poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

/// Of a guest with much memory, little of which changes.
fn large() -> Chain {
    let mut random = Random::new(5);
    let mut chain = Chain::new(Guest::start(LARGE));
    chain.guest.outcome("fill", &[100_000, 3]);
    chain.add(Compression::None);
    for _ in 0..LINKS {
        for _ in 0..random.below(5) {
            let place = random.below(64 << 16) as i32;
            chain
                .guest
                .outcome("poke", &[place, random.below(3) as i32]);
        }
        if random.one_in(4) {
            chain.guest.outcome("grow", &[1]);
        }
        chain.add(Compression::None);
    }
    chain
}

#[test]
fn every_link_of_a_chain_restores_what_it_is_of() {
    let chain = large();
    let links = chain.links();
    for (number, state) in (1..).zip(&chain.states) {
        assert_eq!(chain.read(&links[..number]).expect("a state"), **state);
    }
}

#[test]
fn a_chain_of_generated_guests_behaves_like_the_original() {
    for seed in 7_000..7_040 {
        let mut random = Random::new(seed);
        let generated = Generated::new(&mut random);
        let mut chain = Chain::new(Guest::of(&compile(&generated.text)));
        for _ in 0..=LINKS {
            let calls = random.below(8);
            generated.run(&mut chain.guest, &mut random, calls);
            let compressions = [Compression::None, Compression::Lz4, Compression::Zstd];
            chain.add(*random.pick(&compressions));
        }
        let state = chain.read(&chain.links()).expect("a state");
        let mut copy = Guest::restore(&chain.guest.module, state).expect("an instance");
        for _ in 0..100 {
            let (name, args) = generated.call(&mut random);
            assert_eq!(
                copy.outcome(name, &args),
                chain.guest.outcome(name, &args),
                "seed {seed}: {name} of\n{}",
                generated.text
            );
        }
        assert!(copy.snapshot(Compression::None) == chain.guest.snapshot(Compression::None));
    }
}

#[test]
fn a_link_is_as_large_as_what_changed() {
    let mut chain = Chain::new(Guest::start(LARGE));
    chain.guest.outcome("fill", &[0, 3]);
    chain.add(Compression::None);
    assert!(chain.snapshots[0].len() > 700_000);
    chain.add(Compression::None);
    assert!(chain.snapshots[1].len() < 300);
    chain.guest.outcome("poke", &[70_000, 9]);
    chain.add(Compression::None);
    assert!((4096..4500).contains(&chain.snapshots[2].len()));
}

#[test]
fn the_bytes_do_not_depend_on_how_the_difference_was_found() {
    let chain = large();
    let links = chain.links();
    for number in 1..links.len() {
        // Read from bytes, the states have nothing in common that is known.
        let before = chain.read(&links[..number]).expect("a state");
        let after = chain.read(&links[..=number]).expect("a state");
        let base = Base {
            id: SnapshotId::of(links[number - 1]).expect("an id"),
            state: &before,
        };
        let again = format::encode(&after, Compression::None, Some(base)).expect("a snapshot");
        assert!(again == links[number], "link {number}");
    }
}

#[test]
fn a_memory_that_became_smaller_and_grew_again_is_zero_there() {
    let mut chain = Chain::new(Guest::start(LARGE));
    let small = chain.guest.capture();
    chain.guest.outcome("grow", &[2]);
    chain.guest.outcome("poke", &[65 << 16, 1]);
    chain.add(Compression::None);
    let module = Arc::clone(&chain.guest.module);
    chain.guest = Guest::restore(&module, (*small).clone()).expect("an instance");
    chain.add(Compression::None);
    chain.guest.outcome("grow", &[2]);
    chain.add(Compression::None);
    let state = chain.read(&chain.links()).expect("a state");
    assert_eq!(state, *chain.states[2]);
}

/// Links that hold more together than an instance may have are put together as they are read.
#[test]
fn a_chain_may_hold_more_than_its_memory() {
    let mut chain = Chain::new(Guest::start(LARGE));
    for value in 1..=20 {
        chain.guest.outcome("fill", &[value * 3_000, value]);
        chain.add(Compression::Zstd);
    }
    let limits = ReadLimits {
        memory: 64 << 16,
        ..limits()
    };
    let stored: usize = 20 * 700_000;
    assert!(stored > 3 * (64 << 16));
    let mut links = chain.links();
    let module = chain.guest.module.id();
    let state = format::decode_chain(&links, module, limits).expect("a state");
    assert_eq!(state, **chain.states.last().expect("one"));
    links.remove(17);
    match format::decode_chain(&links, module, limits) {
        Err(Error::BadSnapshot { message }) => assert!(message.contains("18 of 19"), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_missing_link_is_named() {
    let chain = large();
    let links = chain.links();
    let fault = chain.fault(&links[1..]);
    let id = SnapshotId::of(links[0]).expect("an id").to_string();
    assert!(
        fault.contains("snapshot 1 of 20") && fault.contains(&id),
        "{fault}"
    );
    let mut gap = links.clone();
    gap.remove(7);
    let fault = chain.fault(&gap);
    let id = SnapshotId::of(links[7]).expect("an id").to_string();
    assert!(
        fault.contains("snapshot 8 of 20") && fault.contains(&id),
        "{fault}"
    );
    let alone = chain.fault(&links[4..5]);
    assert!(alone.contains("missing"), "{alone}");
}

#[test]
fn a_damaged_link_is_named() {
    let chain = large();
    let mut damaged = chain.snapshots[5].clone();
    damaged[90] ^= 1;
    let mut links = chain.links();
    links[5] = &damaged;
    let fault = chain.fault(&links);
    assert!(
        fault.contains("snapshot 6 of 21: its checksum is wrong"),
        "{fault}"
    );
}

#[test]
fn a_complete_snapshot_has_no_place_behind_another() {
    let chain = large();
    let links = [&chain.snapshots[0][..], &chain.snapshots[0][..]];
    assert!(chain.fault(&links).contains("it is complete"));
    assert!(chain.fault(&[]).contains("there is none"));
}

#[test]
fn a_base_of_another_module_is_refused() {
    let mut chain = Chain::new(Guest::start(LARGE));
    chain.add(Compression::None);
    let other = Guest::start("(module (memory 1))").capture();
    let base = Base {
        id: SnapshotId::of(&chain.snapshots[0]).expect("an id"),
        state: &chain.states[0],
    };
    assert!(matches!(
        format::encode(&other, Compression::None, Some(base)),
        Err(Error::BadSnapshot { .. })
    ));
}

#[test]
fn what_is_written_from_outside_is_in_the_next_link() {
    let mut chain = large();
    let bytes = b"from outside".to_vec();
    chain
        .guest
        .coroutine
        .memory_write(0, MemorySelector::Index(0), 3_000_000, bytes)
        .expect("in bounds");
    chain.add(Compression::None);
    let state = chain.read(&chain.links()).expect("a state");
    let mut restored = Guest::restore(&chain.guest.module, state).expect("an instance");
    let read = restored
        .coroutine
        .memory_read(0, MemorySelector::Index(0), 3_000_000, vec![0; 12])
        .expect("in bounds");
    assert_eq!(read, b"from outside");
}
