use wasmbeam_core::wasi::{Abi, Function, Version, Width};

use crate::world::*;

fn in_both_unstable(test: impl Fn(&mut World)) {
    for width in [Width::W32, Width::W64] {
        test(&mut World::new(
            Abi {
                width,
                version: Version::Unstable,
            },
            config(),
        ));
    }
}

#[test]
fn both_module_names_are_known() {
    assert_eq!(
        Version::from_module("wasi_unstable"),
        Some(Version::Unstable)
    );
    assert_eq!(
        Version::from_module("wasi_snapshot_preview1"),
        Some(Version::Preview1)
    );
    assert_eq!(Version::from_module("wasi_snapshot_preview2"), None);
}

#[test]
fn seeks_number_their_origins_otherwise() {
    in_both_unstable(|world| {
        world.state.write_file(b"file", &[0; 50]).unwrap();
        let fd = world.open("file", 0).unwrap();
        assert_eq!(world.seek(fd, 20, 2), Ok(20));
        assert_eq!(world.seek(fd, 1, 0), Ok(21));
        assert_eq!(world.seek(fd, -1, 1), Ok(49));
        assert_eq!(world.seek(fd, 0, 3), Err(INVAL));
    });
}

#[test]
fn a_filestat_has_a_short_link_count() {
    in_both_unstable(|world| {
        world.state.write_file(b"file", &[0; 50]).unwrap();
        world.hard_link(0, "file", "other").unwrap();
        let (pointer, len) = world.path("file");
        world.memory[RESULT as usize..][..64].fill(0xff);
        world
            .call(Function::PathFilestatGet, &[ROOT, 0, pointer, len, RESULT])
            .unwrap();
        let field = |offset, len| world.get_uint(RESULT + offset, len);
        assert_eq!((field(16, 1), field(20, 4), field(24, 8)), (4, 2, 50));
        assert_eq!((field(32, 8), field(40, 8), field(48, 8)), (NOW, NOW, NOW));
        assert_eq!(field(56, 8), u64::MAX, "a filestat has 56 bytes");
    });
}

#[test]
fn a_clock_subscription_begins_with_an_identifier() {
    in_both_unstable(|world| {
        world.put(ARRAY, &[0; 112]);
        world.put(ARRAY, &5u64.to_le_bytes());
        world.put(ARRAY + 16, &99u64.to_le_bytes());
        world.put(ARRAY + 24, &1u32.to_le_bytes());
        world.put(ARRAY + 32, &1000u64.to_le_bytes());
        world.put(ARRAY + 56, &6u64.to_le_bytes());
        world.put(ARRAY + 56 + 8, &[2]);
        world.put(ARRAY + 56 + 16, &1u32.to_le_bytes());
        world
            .call(Function::PollOneoff, &[ARRAY, DATA, 1, RESULT])
            .unwrap();
        assert_eq!((world.get_size(RESULT), world.get_uint(DATA, 8)), (1, 5));
        world.call(Function::ClockTimeGet, &[1, 0, RESULT]).unwrap();
        assert_eq!(world.get_uint(RESULT, 8), NOW + 1000);
        world
            .call(Function::PollOneoff, &[ARRAY, DATA, 2, RESULT])
            .unwrap();
        assert_eq!((world.get_size(RESULT), world.get_uint(DATA, 8)), (1, 6));
    });
}
