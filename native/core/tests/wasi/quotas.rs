use wasmbeam_core::wasi::{
    ConfigError, Errno, Function, MAX_BYTES, Node, Quotas, WasiConfig, WasiState,
};

use crate::world::*;

fn limited(files: u64, bytes: u64, descriptors: u32) -> WasiConfig {
    WasiConfig {
        quotas: Quotas {
            files,
            bytes,
            descriptors,
        },
        ..config()
    }
}

#[test]
fn bytes_are_written_as_far_as_there_is_room() {
    in_both_with(limited(10, 100, 10), |world| {
        let fd = world.open("file", CREATE).unwrap();
        assert_eq!(world.write(fd, &[1; 60]), Ok(60));
        assert_eq!(world.write(fd, &[2; 60]), Ok(40));
        assert_eq!(world.write(fd, &[3; 60]), Err(NOSPC));
        assert_eq!(world.pwrite(fd, &[4; 60], 50), Ok(50));
        assert_eq!(
            world.call(Function::FdFilestatSetSize, &[fd, 101]),
            Err(NOSPC)
        );
        assert_eq!(world.call(Function::FdAllocate, &[fd, 0, 101]), Err(NOSPC));
        assert_eq!(world.symlink("x", "link"), Err(NOSPC));
        world.call(Function::FdFilestatSetSize, &[fd, 10]).unwrap();
        assert_eq!(world.state.used_bytes(), 10);
        assert_eq!(world.write(fd, &[5; 1]), Err(NOSPC), "the offset is beyond");
        assert_eq!(world.pwrite(fd, &[6; 100], 10), Ok(90));
    });
}

#[test]
fn holes_count() {
    in_both_with(limited(10, 1000, 10), |world| {
        let fd = world.open("file", CREATE).unwrap();
        assert_eq!(world.pwrite(fd, b"x", 1000), Err(NOSPC));
        assert_eq!(world.pwrite(fd, b"xy", 999), Ok(1));
        assert_eq!(world.state.used_bytes(), 1000);
    });
}

#[test]
fn files_and_links_are_counted() {
    in_both_with(limited(4, 1000, 10), |world| {
        world.create_directory("d").unwrap();
        world.symlink("d", "l").unwrap();
        world.open("f", CREATE).unwrap();
        assert_eq!(world.open("g", CREATE), Err(NOSPC));
        assert_eq!(world.create_directory("e"), Err(NOSPC));
        world.hard_link(0, "f", "h").unwrap();
        assert_eq!(world.hard_link(0, "f", "i"), Err(NOSPC));
        world.unlink("l").unwrap();
        world.rename("h", "d/h").unwrap();
        assert!(world.open("g", CREATE).is_ok());
    });
}

#[test]
fn descriptors_run_out_before_anything_is_made() {
    in_both_with(limited(10, 1000, 5), |world| {
        let fd = world.open("a", CREATE).unwrap();
        assert_eq!(world.open("b", CREATE), Err(MFILE));
        assert_eq!(world.open("a", TRUNCATE), Err(MFILE));
        assert_eq!(world.list(".").unwrap_err(), MFILE);
        world.close(fd).unwrap();
        assert_eq!(world.list(".").unwrap(), ["a"]);
    });
}

#[test]
fn a_configuration_beyond_its_own_quotas_is_refused() {
    let files = tree([("a", Node::File(vec![0; 101]))]);
    let refused = |config| WasiState::new(config).unwrap_err();
    let with = WasiConfig {
        files,
        ..limited(10, 100, 10)
    };
    assert_eq!(refused(with), ConfigError::Files(Errno::Nospc));
    assert_eq!(
        refused(limited(10, MAX_BYTES + 1, 10)),
        ConfigError::QuotaTooGreat
    );
    let preopens = limited(10, 100, 3);
    assert!(matches!(
        refused(preopens),
        ConfigError::Preopen {
            reason: Errno::Mfile,
            ..
        }
    ));
}
