use wasmbeam_core::wasi::Function;

use crate::world::*;

const FD_TELL: u64 = 1 << 5;
const PATH_CREATE_FILE: u64 = 1 << 10;
const PATH_OPEN: u64 = 1 << 13;
const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;

fn set_rights(world: &mut World, fd: u64, base: u64, inheriting: u64) -> Result<()> {
    world.call(Function::FdFdstatSetRights, &[fd, base, inheriting])
}

#[test]
fn a_descriptor_can_do_what_it_was_opened_for() {
    in_both(|world| {
        world.state.write_file(b"file", b"text").unwrap();
        let reader = world
            .open_with(ROOT, 0, "file", 0, (FD_READ, 0), 0)
            .unwrap();
        assert_eq!(world.read(reader, 10).unwrap(), b"text");
        assert_eq!(world.write(reader, b"x"), Err(BADF));
        assert_eq!(world.pread(reader, 1, 0), Err(NOTCAPABLE));
        assert_eq!(world.seek(reader, 0, SET), Err(NOTCAPABLE));
        assert_eq!(world.tell(reader), Err(NOTCAPABLE));
        assert_eq!(world.fstat(reader), Err(NOTCAPABLE));
        let writer = world
            .open_with(ROOT, 0, "file", 0, (FD_WRITE, 0), 0)
            .unwrap();
        assert_eq!(world.write(writer, b"TEXT"), Ok(4));
        assert_eq!(world.read(writer, 1), Err(BADF));
        let teller = world
            .open_with(ROOT, 0, "file", 0, (FD_TELL, 0), 0)
            .unwrap();
        assert_eq!(world.seek(teller, 0, CURRENT), Ok(0));
        assert_eq!(world.seek(teller, 1, CURRENT), Err(NOTCAPABLE));
    });
}

#[test]
fn rights_that_do_not_apply_are_not_granted() {
    in_both(|world| {
        world.create_directory("d").unwrap();
        let directory = world.open_directory("d").unwrap();
        let (file_type, _, base, inheriting) = world.fdstat(directory).unwrap();
        assert_eq!(file_type, 3);
        assert_eq!(base & (FD_READ | FD_WRITE | FD_SEEK), 0);
        assert_ne!(inheriting & FD_WRITE, 0);
        for errno in [
            world.read(directory, 1).map(drop),
            world.write(directory, b"x").map(drop),
            world.pread(directory, 1, 0).map(drop),
            world.pwrite(directory, b"x", 0).map(drop),
            world.seek(directory, 0, CURRENT).map(drop),
            world.tell(directory).map(drop),
        ] {
            assert_eq!(errno, Err(ISDIR));
        }
        let file = world.open("file", CREATE).unwrap();
        let (file_type, _, base, _) = world.fdstat(file).unwrap();
        assert_eq!(file_type, 4);
        assert_eq!(base & PATH_OPEN, 0);
        assert_eq!(world.read_entries(file, 100, 0), Err(NOTDIR));
    });
}

#[test]
fn rights_can_only_be_given_up() {
    in_both(|world| {
        let fd = world.open("file", CREATE).unwrap();
        let (_, _, base, inheriting) = world.fdstat(fd).unwrap();
        set_rights(world, fd, base & !FD_WRITE, inheriting).unwrap();
        assert_eq!(world.write(fd, b"x"), Err(BADF));
        assert_eq!(set_rights(world, fd, base, inheriting), Err(NOTCAPABLE));
        assert_eq!(set_rights(world, fd, 1 << 40, 0), Err(NOTCAPABLE));
        set_rights(world, fd, 0, 0).unwrap();
        assert_eq!(world.fdstat(fd).unwrap(), (4, 0, 0, 0));
    });
}

#[test]
fn what_is_opened_beneath_a_directory_has_at_most_what_it_hands_down() {
    in_both(|world| {
        let rights = (DIRECTORY_RIGHTS, FD_READ);
        let dir = world.open_with(ROOT, 0, ".", DIRECTORY, rights, 0).unwrap();
        assert_eq!(
            world.open_with(dir, 0, "f", CREATE, (FD_WRITE, 0), 0),
            Err(NOTCAPABLE)
        );
        assert_eq!(
            world.open_with(dir, 0, "f", CREATE, (0, FD_WRITE), 0),
            Err(NOTCAPABLE)
        );
        assert_eq!(world.list(".").unwrap(), [""; 0]);
        world
            .open_with(dir, 0, "f", CREATE, (FD_READ, 0), 0)
            .unwrap();
    });
}

#[test]
fn making_and_cutting_files_takes_a_right_of_the_directory() {
    in_both(|world| {
        world.state.write_file(b"file", b"text").unwrap();
        let (_, _, base, inheriting) = world.fdstat(ROOT).unwrap();
        set_rights(world, ROOT, base & !PATH_FILESTAT_SET_SIZE, inheriting).unwrap();
        assert_eq!(world.open("file", TRUNCATE), Err(NOTCAPABLE));
        let base = base & !PATH_FILESTAT_SET_SIZE & !PATH_CREATE_FILE;
        set_rights(world, ROOT, base, inheriting).unwrap();
        assert_eq!(world.open("new", CREATE), Err(NOTCAPABLE));
        assert!(world.open("file", 0).is_ok());
        set_rights(world, ROOT, base & !PATH_OPEN, inheriting).unwrap();
        assert_eq!(world.open("file", 0), Err(NOTCAPABLE));
        set_rights(world, ROOT, 0, 0).unwrap();
        assert_eq!(world.create_directory("d"), Err(NOTCAPABLE));
        assert_eq!(world.remove_directory("d"), Err(NOTCAPABLE));
        assert_eq!(world.unlink("file"), Err(NOTCAPABLE));
        assert_eq!(world.rename("file", "f"), Err(NOTCAPABLE));
        assert_eq!(world.hard_link(0, "file", "f"), Err(NOTCAPABLE));
        assert_eq!(world.symlink("file", "f"), Err(NOTCAPABLE));
        assert_eq!(world.readlink("file", 1), Err(NOTCAPABLE));
        assert_eq!(world.stat("file", 0), Err(NOTCAPABLE));
        assert_eq!(world.read_entries(ROOT, 100, 0), Err(NOTCAPABLE));
        assert_eq!(world.contents("file"), b"text");
    });
}
