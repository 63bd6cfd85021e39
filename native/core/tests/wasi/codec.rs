use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use wasmbeam_core::wasi::{
    ClockSource, DecodeError, Function, Quotas, RandomSource, StdinSource, WasiConfig, WasiState,
};

use crate::world::*;

/// A world in which there is something of everything.
pub fn furnish(world: &mut World) {
    world.state.write_file(b"d/file", b"content").unwrap();
    world.symlink("d/file", "link").unwrap();
    world.hard_link(0, "d/file", "again").unwrap();
    let open = world.open("d/file", 0).unwrap();
    world.seek(open, 3, SET).unwrap();
    let rights = (FD_WRITE, 0);
    world
        .open_with(ROOT, 0, "appended", CREATE, rights, APPEND)
        .unwrap();
    let sparse = world.open("sparse", CREATE).unwrap();
    world.pwrite(sparse, b"x", 300_000).unwrap();
    let orphan = world.open("orphan", CREATE).unwrap();
    world.write(orphan, b"orphan").unwrap();
    world.unlink("orphan").unwrap();
    world.create_directory("gone").unwrap();
    world.open_directory("gone").unwrap();
    world.remove_directory("gone").unwrap();
    world.close(open + 1).unwrap();
    world.write(1, b"output").unwrap();
    world.call(Function::RandomGet, &[DATA, 13]).unwrap();
    world.read(0, 2).unwrap();
}

pub fn furnished() -> WasiConfig {
    WasiConfig {
        args: vec![b"program".to_vec(), b"argument".to_vec()],
        env: vec![(b"NAME".to_vec(), b"value".to_vec())],
        stdin: StdinSource::Bytes(b"input".to_vec()),
        terminal: true,
        ..config()
    }
}

#[test]
fn a_state_goes_on_where_it_was() {
    in_both_with(furnished(), |world| {
        furnish(world);
        let mut restored = world.clone();
        restored.state = WasiState::decode(&world.state.encode(), Quotas::MAX).unwrap();
        for world in [world, &mut restored] {
            assert_eq!(world.read(4, 4).unwrap(), b"tent");
            assert_eq!(world.read(0, 10).unwrap(), b"put");
            assert_eq!(world.pread(7, 10, 0).unwrap(), b"orphan");
            assert_eq!(world.fstat(6).unwrap().size, 300_001);
            assert_eq!(world.stat("again", 0).unwrap().links, 2);
            assert_eq!(world.open("next", CREATE), Ok(5));
            world.write(1, b"+").unwrap();
            world.call(Function::RandomGet, &[DATA, 64]).unwrap();
        }
    });
}

#[test]
fn what_happens_after_a_restore_is_what_happens_without_one() {
    in_both_with(furnished(), |world| {
        furnish(world);
        let mut restored = world.clone();
        restored.state = WasiState::decode(&world.state.encode(), Quotas::MAX).unwrap();
        for world in [&mut *world, &mut restored] {
            world.rename("d", "e").unwrap();
            world.open("new", CREATE).unwrap();
            world.close(7).unwrap();
            world.open("newer", CREATE).unwrap();
            world.call(Function::RandomGet, &[DATA, 64]).unwrap();
        }
        assert_eq!(world.get(DATA, 64), restored.get(DATA, 64));
        assert_eq!(
            world.read_entries(ROOT, 4096, 0),
            restored.read_entries(ROOT, 4096, 0)
        );
        assert_eq!(world.state.encode(), restored.state.encode());
    });
}

#[test]
fn equal_states_have_equal_bytes_however_they_came_about() {
    in_both(|world| {
        let mut other = world.clone();
        let (a, b) = (
            world.open("f", CREATE).unwrap(),
            other.open("f", CREATE).unwrap(),
        );
        world.write(a, &[1; 1000]).unwrap();
        world
            .call(Function::FdFilestatSetSize, &[a, 100_000])
            .unwrap();
        let extra = other.open("extra", CREATE | EXCLUSIVE);
        for piece in 0..10 {
            other.pwrite(b, &[1; 100], (9 - piece) * 100).unwrap();
        }
        other.pwrite(b, &[0; 99_000], 1000).unwrap();
        other.seek(b, 1000, SET).unwrap();
        other.close(extra.unwrap()).unwrap();
        other.unlink("extra").unwrap();
        other.create_directory("d").unwrap();
        world.create_directory("d").unwrap();
        let cookies = |world: &mut World| world.read_entries(ROOT, 4096, 0).unwrap().0;
        assert_ne!(
            cookies(world),
            cookies(&mut other),
            "the directories had another history"
        );
        world.remove_directory("d").unwrap();
        other.remove_directory("d").unwrap();
        world.open("extra", CREATE).unwrap();
        world.close(5).unwrap();
        world.unlink("extra").unwrap();
        assert_eq!(world.state.encode(), other.state.encode());
        assert_eq!(world.state.encode(), world.state.clone().encode());
    });
}

#[test]
fn clocks_and_random_sources_are_kept() {
    let clocks = [
        ClockSource::System,
        ClockSource::Fixed(5),
        ClockSource::Embedder,
    ];
    let randoms = [
        RandomSource::System,
        RandomSource::Seed(9),
        RandomSource::Embedder,
    ];
    for (clock, random) in clocks.into_iter().zip(randoms) {
        let state = WasiState::new(WasiConfig {
            clock,
            random,
            ..config()
        })
        .unwrap();
        let bytes = state.encode();
        assert_eq!(
            WasiState::decode(&bytes, Quotas::MAX).unwrap().encode(),
            bytes
        );
    }
}

#[test]
fn a_monotonic_clock_does_not_go_back_in_a_restored_state() {
    in_both_with(
        WasiConfig {
            clock: ClockSource::System,
            ..config()
        },
        |world| {
            let now = |world: &mut World| {
                world.call(Function::ClockTimeGet, &[1, 0, RESULT]).unwrap();
                world.get_uint(RESULT, 8)
            };
            let before = now(world);
            world.state = WasiState::decode(&world.state.encode(), Quotas::MAX).unwrap();
            assert!(now(world) >= before);
        },
    );
}

#[test]
fn greater_quotas_than_allowed_are_refused() {
    let bytes = WasiState::new(config()).unwrap().encode();
    let default = Quotas::default();
    assert!(WasiState::decode(&bytes, default).is_ok());
    for ceiling in [
        Quotas {
            files: default.files - 1,
            ..default
        },
        Quotas {
            bytes: default.bytes - 1,
            ..default
        },
        Quotas {
            descriptors: default.descriptors - 1,
            ..default
        },
    ] {
        let refused = WasiState::decode(&bytes, ceiling).unwrap_err();
        assert_eq!(refused, DecodeError::QuotaTooGreat);
    }
}

#[test]
fn no_more_room_is_made_for_files_than_the_quota_has() {
    const FILES_AT: std::ops::Range<usize> = 6..14;
    let mut state = WasiState::new(WasiConfig::default()).unwrap();
    for number in 0..1000 {
        state
            .write_file(format!("{number}").as_bytes(), b"")
            .unwrap();
    }
    for number in 0..999 {
        state.remove(format!("{number}").as_bytes()).unwrap();
    }
    let mut bytes = state.encode();
    bytes[FILES_AT].copy_from_slice(&1001_u64.to_le_bytes());
    assert!(WasiState::decode(&bytes, Quotas::MAX).is_ok());
    // The root and one file, and nothing but vacant places between them.
    bytes[FILES_AT].copy_from_slice(&2_u64.to_le_bytes());
    assert_eq!(
        WasiState::decode(&bytes, Quotas::MAX).unwrap_err(),
        DecodeError::Damaged("more places than files")
    );
}

#[test]
fn other_bytes_are_told_apart() {
    let good = WasiState::new(config()).unwrap().encode();
    let error = |bytes: &[u8]| WasiState::decode(bytes, Quotas::MAX).unwrap_err();
    assert_eq!(error(b""), DecodeError::Truncated);
    assert_eq!(error(b"something else"), DecodeError::Foreign);
    let mut newer = good.clone();
    newer[4] = 9;
    assert_eq!(error(&newer), DecodeError::UnknownVersion(9));
    let longer = [&good[..], b"x"].concat();
    assert!(matches!(error(&longer), DecodeError::Damaged(_)));
    for len in 0..good.len() {
        assert!(WasiState::decode(&good[..len], Quotas::MAX).is_err());
    }
}

/// Whatever a damaged encoding is taken for, if for anything, is a state that works and whose
/// own encoding is exactly those bytes.
#[test]
fn a_damaged_encoding_is_an_error_or_another_good_state() {
    in_both_with(furnished(), |world| {
        furnish(world);
        world.unlink("sparse").unwrap();
        world.close(6).unwrap();
        let good = world.state.encode();
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut accepted = 0;
        for round in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..=random.next_u32() % 3 {
                let at = random.next_u32() as usize % bytes.len();
                bytes[at] = match random.next_u32() % 4 {
                    0 => random.next_u32() as u8,
                    1 => 0xff,
                    2 => bytes[at].wrapping_add(1),
                    _ => bytes[at] ^ (1 << (random.next_u32() % 8)),
                };
            }
            if round % 10 == 0 {
                let at = random.next_u32() as usize % bytes.len();
                bytes.drain(at..(at + 8).min(bytes.len()));
            }
            let Ok(state) = WasiState::decode(&bytes, Quotas::MAX) else {
                continue;
            };
            accepted += 1;
            assert_eq!(state.encode(), bytes);
            let mut other = World {
                state,
                ..world.clone()
            };
            let _ = other
                .open("new", CREATE)
                .and_then(|fd| other.write(fd, b"x"));
            let _ = other.list(".");
            let _ = other.rename("d", "e");
            let _ = other.state.list(b"/");
        }
        assert!(accepted > 0);
    });
}
