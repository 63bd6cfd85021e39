use wasmbeam_core::wasi::{Function, Preopen, WasiConfig};

use crate::world::*;

#[test]
fn the_lowest_vacant_descriptor_is_taken() {
    in_both(|world| {
        let first = world.open("a", CREATE).unwrap();
        let second = world.open("b", CREATE).unwrap();
        assert_eq!((first, second), (4, 5));
        world.close(first).unwrap();
        assert_eq!(world.close(first), Err(BADF));
        assert_eq!(world.open("c", CREATE).unwrap(), first);
    });
}

#[test]
fn renumbering_moves_a_descriptor_onto_another() {
    in_both(|world| {
        world.state.write_file(b"a", b"a").unwrap();
        world.state.write_file(b"b", b"b").unwrap();
        let (a, b) = (world.open("a", 0).unwrap(), world.open("b", 0).unwrap());
        world.call(Function::FdRenumber, &[a, b]).unwrap();
        assert_eq!(world.read(b, 1).unwrap(), b"a");
        assert_eq!(world.read(a, 1), Err(BADF));
        assert_eq!(world.call(Function::FdRenumber, &[b, a]), Err(BADF));
        assert_eq!(world.call(Function::FdRenumber, &[b, 1 << 31]), Err(BADF));
        assert_eq!(world.call(Function::FdRenumber, &[b, b]), Ok(()));
        world.call(Function::FdRenumber, &[1, b]).unwrap();
        world.write(b, b"out").unwrap();
        let stdout = wasmbeam_core::wasi::OutputStream::Stdout;
        assert_eq!(world.state.captured(stdout), b"out");
    });
}

#[test]
fn preopened_directories_tell_their_names() {
    let preopen = |name: &str, path: &str| Preopen {
        name: name.into(),
        path: path.into(),
    };
    let preopens = vec![
        preopen("/", "/"),
        preopen("data", "/var/data"),
        preopen("again", "/var"),
    ];
    in_both_with(
        WasiConfig {
            preopens,
            ..config()
        },
        |world| {
            for (fd, name) in [(3, "/"), (4, "data"), (5, "again")] {
                world.memory[RESULT as usize..][..16].fill(0xff);
                world.call(Function::FdPrestatGet, &[fd, RESULT]).unwrap();
                assert_eq!(world.get(RESULT, 1), [0]);
                assert_eq!(world.get_size(RESULT + world.size()), name.len() as u64);
                let len = name.len() as u64;
                world
                    .call(Function::FdPrestatDirName, &[fd, DATA, len + 1])
                    .unwrap();
                assert_eq!(world.get(DATA, len), name.as_bytes());
                let short = world.call(Function::FdPrestatDirName, &[fd, DATA, len - 1]);
                assert_eq!(short, Err(NAMETOOLONG));
            }
            assert_eq!(world.call(Function::FdPrestatGet, &[6, RESULT]), Err(BADF));
            assert_eq!(world.call(Function::FdPrestatGet, &[0, RESULT]), Err(BADF));
            assert_eq!(world.list(".").unwrap(), ["var"]);
            world.close(4).unwrap();
            assert_eq!(world.call(Function::FdPrestatGet, &[4, RESULT]), Err(BADF));
        },
    );
}

#[test]
fn there_are_no_sockets() {
    in_both(|world| {
        let file = world.open("file", CREATE).unwrap();
        for fd in [0, 1, ROOT, file] {
            assert_eq!(world.call(Function::SockShutdown, &[fd, 1]), Err(NOTSOCK));
            assert_eq!(
                world.call(Function::SockAccept, &[fd, 0, RESULT]),
                Err(NOTSOCK)
            );
            let recv = [fd, ARRAY, 0, 0, RESULT, RESULT];
            assert_eq!(world.call(Function::SockRecv, &recv), Err(NOTSOCK));
            assert_eq!(
                world.call(Function::SockSend, &[fd, ARRAY, 0, 0, RESULT]),
                Err(NOTSOCK)
            );
        }
        assert_eq!(world.call(Function::SockShutdown, &[99, 1]), Err(BADF));
    });
}

#[test]
fn flags_are_kept() {
    in_both(|world| {
        let rights = (ALL_RIGHTS, 0);
        let fd = world
            .open_with(ROOT, 0, "f", CREATE, rights, APPEND | 16)
            .unwrap();
        assert_eq!(world.fdstat(fd).unwrap().1, APPEND | 16);
        world
            .call(Function::FdFdstatSetFlags, &[fd, NONBLOCK])
            .unwrap();
        assert_eq!(world.fdstat(fd).unwrap().1, NONBLOCK);
        assert_eq!(
            world.call(Function::FdFdstatSetFlags, &[fd, 1 << 10]),
            Err(INVAL)
        );
    });
}
