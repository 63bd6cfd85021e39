use wasmbeam_core::wasi::{Function, Preopen, WasiConfig};

use crate::world::*;

fn sandbox() -> WasiConfig {
    WasiConfig {
        files: tree([
            ("secret", file("secret")),
            (
                "box",
                tree([
                    ("file", file("content")),
                    ("dir", tree([("nested", tree([("file", file("deep"))]))])),
                    ("up", link("../secret")),
                    ("down", link("dir/nested")),
                    ("round", link("dir/../file")),
                    ("absolute", link("/secret")),
                    ("loop", link("loop")),
                    ("dangling", link("nothing")),
                ]),
            ),
        ]),
        preopens: vec![Preopen {
            name: b"box".to_vec(),
            path: b"/box".to_vec(),
        }],
        ..config()
    }
}

#[test]
fn nothing_above_a_preopened_directory_can_be_reached() {
    in_both_with(sandbox(), |world| {
        for path in [
            "../secret",
            "dir/../../secret",
            "up",
            "absolute",
            "/secret",
            "/",
            "..",
        ] {
            assert_eq!(world.open(path, 0), Err(PERM), "{path}");
            assert_eq!(world.stat(path, 1), Err(PERM), "{path}");
        }
        assert_eq!(world.rename("file", "../file"), Err(PERM));
        assert_eq!(world.hard_link(0, "../secret", "stolen"), Err(PERM));
        assert_eq!(world.hard_link(1, "up", "stolen"), Err(PERM));
        assert_eq!(world.create_directory("dir/../../made"), Err(PERM));
        assert_eq!(world.unlink("../secret"), Err(PERM));
    });
}

#[test]
fn dots_slashes_and_links_within_lead_on() {
    in_both_with(sandbox(), |world| {
        let roundabout = "dir/.//nested/../../dir/nested/../nested///./file";
        assert_eq!(world.stat(roundabout, 0).unwrap().size, 4);
        assert_eq!(world.stat("down/file", 0).unwrap().size, 4);
        assert_eq!(world.stat("down/", 0).unwrap().file_type, 3);
        assert_eq!(world.stat("down/../../file", 0).unwrap().size, 7);
        assert_eq!(world.stat("round", 1).unwrap().size, 7);
        assert_eq!(world.stat("round", 0).unwrap().file_type, 7);
    });
}

#[test]
fn a_trailing_slash_means_a_directory() {
    in_both_with(sandbox(), |world| {
        assert_eq!(world.open("file/", 0), Err(NOTDIR));
        assert_eq!(world.open("file/.", 0), Err(NOTDIR));
        assert_eq!(world.open("new/", CREATE), Err(ISDIR));
        assert_eq!(world.unlink("file/"), Err(NOTDIR));
        assert_eq!(world.unlink("dir/"), Err(ISDIR));
        assert_eq!(world.symlink("x", "new/"), Err(NOENT));
        assert_eq!(world.symlink("x", "file/"), Err(NOTDIR));
        assert_eq!(world.symlink("x", "dir/"), Err(EXIST));
        assert_eq!(world.remove_directory("down/"), Err(NOTDIR));
        assert!(world.open_directory("dir/").is_ok());
    });
}

#[test]
fn links_are_followed_only_as_told() {
    in_both_with(sandbox(), |world| {
        let rights = (FD_READ, 0);
        assert_eq!(world.open_with(ROOT, 0, "round", 0, rights, 0), Err(LOOP));
        assert_eq!(
            world.open_with(ROOT, 0, "down", DIRECTORY, rights, 0),
            Err(NOTDIR)
        );
        assert_eq!(world.open_with(ROOT, 1, "loop", 0, rights, 0), Err(LOOP));
        assert_eq!(
            world.open_with(ROOT, 1, "dangling", 0, rights, 0),
            Err(NOENT)
        );
        assert_eq!(world.open("dangling", CREATE | EXCLUSIVE), Err(EXIST));
        let fd = world.open("dangling", CREATE).unwrap();
        world.write(fd, b"made").unwrap();
        assert_eq!(world.stat("nothing", 0).unwrap().size, 4);
    });
}

#[test]
fn forty_links_are_followed_and_no_more() {
    in_both(|world| {
        world.open("0", CREATE).unwrap();
        for index in 1..=41 {
            world
                .symlink(&(index - 1).to_string(), &index.to_string())
                .unwrap();
        }
        assert!(world.stat("40", 1).is_ok());
        assert_eq!(world.stat("41", 1), Err(LOOP));
    });
}

#[test]
fn the_links_of_a_path_have_so_many_bytes_in_all() {
    in_both(|world| {
        world.open("0", CREATE).unwrap();
        // 16 KiB: three links of 4095 bytes fit beside any path, a fourth only beside a short one.
        for index in 1..=4 {
            let target = format!("{}{}", "./".repeat(2047), index - 1);
            world.symlink(&target, &index.to_string()).unwrap();
        }
        assert!(world.stat(&format!("{}3", "./".repeat(2047)), 1).is_ok());
        assert!(world.stat("./4", 1).is_ok());
        assert_eq!(world.stat("././4", 1), Err(NAMETOOLONG));
    });
}

#[test]
fn links_tell_their_target() {
    in_both_with(sandbox(), |world| {
        assert_eq!(world.readlink("down", 100).unwrap(), b"dir/nested");
        assert_eq!(world.readlink("down", 3).unwrap(), b"dir");
        assert_eq!(world.readlink("file", 100), Err(INVAL));
        assert_eq!(world.readlink("none", 100), Err(NOENT));
        assert_eq!(world.symlink("/secret", "new"), Err(PERM));
        assert_eq!(world.symlink("", "new"), Err(NOENT));
        world.symlink("../anywhere", "new").unwrap();
        assert_eq!(world.stat("new", 0).unwrap().size, 11);
    });
}

#[test]
fn paths_that_can_be_none_are_refused() {
    in_both(|world| {
        assert_eq!(world.open("", CREATE), Err(NOENT));
        assert_eq!(world.open("a\0b", CREATE), Err(INVAL));
        assert_eq!(world.open(&"n".repeat(256), CREATE), Err(NAMETOOLONG));
        assert!(world.open(&"n".repeat(255), CREATE).is_ok());
        assert_eq!(world.open(&"n".repeat(100_000), CREATE), Err(NAMETOOLONG));
        assert_eq!(world.open(&"./".repeat(2048), 0), Err(NAMETOOLONG));
        assert!(world.open_directory(&"./".repeat(2047)).is_ok());
        world.put(PATH, b"\xff\xfe");
        assert_eq!(
            world.call(Function::PathCreateDirectory, &[ROOT, PATH, 2]),
            Err(ILSEQ)
        );
        assert_eq!(world.list(".").unwrap().len(), 1);
    });
}

#[test]
fn opening_makes_only_what_it_is_told_to() {
    in_both(|world| {
        assert_eq!(world.open("file", 0), Err(NOENT));
        assert_eq!(world.open("file", CREATE | DIRECTORY), Err(INVAL));
        world.open("file", CREATE | EXCLUSIVE).unwrap();
        assert_eq!(world.open("file", CREATE | EXCLUSIVE), Err(EXIST));
        assert_eq!(world.open("file", DIRECTORY), Err(NOTDIR));
        assert!(world.open("file", CREATE).is_ok());
        world.create_directory("d").unwrap();
        let read = (FD_READ, 0);
        assert_eq!(world.open_with(ROOT, 0, "d", TRUNCATE, read, 0), Err(ISDIR));
        assert_eq!(
            world.open_with(ROOT, 0, "d", 0, (FD_WRITE, 0), 0),
            Err(ISDIR)
        );
        assert!(world.open_with(ROOT, 0, "d", 0, read, NONBLOCK).is_ok());
        assert_eq!(world.open_with(ROOT, 2, "file", 0, read, 0), Err(INVAL));
        assert_eq!(world.open_with(ROOT, 0, "file", 16, read, 0), Err(INVAL));
        assert_eq!(world.open_with(ROOT, 0, "file", 0, read, 32), Err(INVAL));
    });
}

#[test]
fn paths_start_only_from_directories() {
    in_both(|world| {
        let fd = world.open("file", CREATE).unwrap();
        let rights = (0, 0);
        assert_eq!(world.open_with(fd, 0, "x", CREATE, rights, 0), Err(NOTDIR));
        assert_eq!(world.open_with(1, 0, "x", CREATE, rights, 0), Err(NOTDIR));
        assert_eq!(world.open_with(99, 0, "x", CREATE, rights, 0), Err(BADF));
    });
}
