//! What goes on from a state behaves as what it was taken from.

use wasmbeam_core::snapshot::format::Compression;

use crate::support::generated::Generated;
use crate::support::random::Random;
use crate::support::{Guest, compile};

const MODULES: u64 = 60;
const CALLS: usize = 100;

/// A generated guest after some random calls.
fn used(seed: u64) -> (Generated, Guest, Random) {
    let mut random = Random::new(seed);
    let generated = Generated::new(&mut random);
    let mut guest = Guest::of(&compile(&generated.text));
    let calls = random.below(60);
    generated.run(&mut guest, &mut random, calls);
    (generated, guest, random)
}

fn assert_same(
    seed: u64,
    generated: &Generated,
    random: &mut Random,
    original: &mut Guest,
    copy: &mut Guest,
) {
    for step in 0..CALLS {
        let (name, args) = generated.call(random);
        assert_eq!(
            original.outcome(name, &args),
            copy.outcome(name, &args),
            "seed {seed}, step {step}: {name} {args:?} of\n{}",
            generated.text
        );
    }
    assert!(
        original.snapshot(Compression::None) == copy.snapshot(Compression::None),
        "seed {seed}: other bytes after the same calls of\n{}",
        generated.text
    );
}

/// Otherwise the other tests would say less than it seems.
#[test]
fn the_guests_have_state_of_every_kind() {
    for kind in [
        "(memory $m0 i32",
        "(memory $m0 i64",
        "(memory $m1 ",
        "(pagesize 1)",
        "memory.grow",
        "memory.init $m0",
        "data.drop",
        "(table $t0 i32",
        "(table $t0 i64",
        "(table $t1 ",
        "externref)",
        "anyref)",
        "table.set",
        "table.grow",
        "table.init",
        "elem.drop",
        "(mut i32)",
        "(mut i64)",
        "(mut f32)",
        "(mut f64)",
        "(mut v128)",
        "(mut (ref null $f))",
        "(mut (ref i31))",
        "(start $start)",
    ] {
        let guests = (0..MODULES).map(|seed| Generated::new(&mut Random::new(seed)));
        let having = guests.filter(|generated| generated.text.contains(kind));
        assert!(having.count() >= 3, "{kind}");
    }
}

#[test]
fn a_restored_instance_behaves_like_the_original() {
    for seed in 0..MODULES {
        let (generated, mut original, mut random) = used(seed);
        let compression = *random.pick(&[Compression::None, Compression::Lz4, Compression::Zstd]);
        let snapshot = original.snapshot(compression);
        let state = original.decode(&snapshot).expect("a state");
        let mut copy = Guest::restore(&original.module, state).expect("an instance");
        assert_same(seed, &generated, &mut random, &mut original, &mut copy);
    }
}

#[test]
fn a_fork_behaves_like_the_original() {
    for seed in 1_000..1_000 + MODULES {
        let (generated, mut original, mut random) = used(seed);
        let mut copy = original.fork();
        assert_same(seed, &generated, &mut random, &mut original, &mut copy);
    }
}

#[test]
fn a_fork_of_a_fork_after_calls_behaves_like_it() {
    for seed in 2_000..2_000 + MODULES {
        let (generated, mut original, mut random) = used(seed);
        let mut fork = original.fork();
        generated.run(&mut fork, &mut random, 20);
        let mut copy = fork.fork();
        generated.run(&mut original, &mut random, 20);
        assert_same(seed, &generated, &mut random, &mut fork, &mut copy);
    }
}

#[test]
fn an_instance_that_is_reset_behaves_like_a_new_one() {
    for seed in 3_000..3_000 + MODULES {
        let (generated, mut used, mut random) = used(seed);
        let mut new = Guest::of(&used.module);
        let mut reset = used.restart();
        assert_same(seed, &generated, &mut random, &mut new, &mut reset);
        let mut reset = used.fork().restart();
        let mut new = Guest::of(&used.module);
        assert_same(seed, &generated, &mut random, &mut new, &mut reset);
    }
}

#[test]
fn what_a_fork_does_is_not_seen_by_the_original() {
    for seed in 4_000..4_000 + MODULES {
        let (generated, mut original, mut random) = used(seed);
        let before = original.snapshot(Compression::None);
        let mut fork = original.fork();
        generated.run(&mut fork, &mut random, CALLS);
        // A call makes it look again at everything.
        original.outcome("nothing", &[]);
        assert!(
            original.snapshot(Compression::None) == before,
            "seed {seed}"
        );
    }
}

#[test]
fn equal_states_give_equal_bytes() {
    for seed in 5_000..5_000 + MODULES {
        let (_, mut one, _) = used(seed);
        let (_, mut other, _) = used(seed);
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            assert!(one.snapshot(compression) == other.snapshot(compression));
        }
    }
}

#[test]
fn every_compression_holds_the_same_state() {
    for seed in 6_000..6_000 + MODULES {
        let (_, mut guest, _) = used(seed);
        let state = guest.capture();
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let snapshot = guest.snapshot(compression);
            assert_eq!(guest.decode(&snapshot).expect("a state"), *state);
        }
    }
}
