use wasmbeam_core::wasi::{Errno, Node, Preopen, Quotas, WasiConfig, WasiState};

use crate::world::*;

fn state(files: Node) -> WasiState {
    WasiState::new(WasiConfig { files, ..config() }).unwrap()
}

#[test]
fn a_state_can_go_from_thread_to_thread() {
    fn goes<T: Send + Sync + Clone>() {}
    goes::<WasiState>();
}

#[test]
fn a_tree_comes_out_as_it_went_in() {
    let files = tree([
        ("empty", tree([])),
        ("d", tree([("f", file("text")), ("l", link("/anywhere"))])),
        ("ünïcode", file("")),
    ]);
    assert_eq!(state(files.clone()).node(b"/").unwrap(), files);
    assert_eq!(state(files).node(b"d/f").unwrap(), file("text"));
}

#[test]
fn files_are_written_read_listed_and_removed() {
    let mut state = state(tree([]));
    state.write_file(b"/a/b/c.txt", b"one").unwrap();
    state.write_file(b"a/b/c.txt", b"three").unwrap();
    assert_eq!(state.read_file(b"a//b/./c.txt").unwrap(), b"three");
    assert_eq!(state.used_bytes(), 5);
    state.create_directory(b"a/d/e").unwrap();
    state.create_directory(b"a/d/e").unwrap();
    let names: Vec<_> = state
        .list(b"a")
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, [b"b", b"d"]);
    assert_eq!(state.stat(b"a/b/c.txt").unwrap().size, 5);
    assert_eq!(state.read_file(b"a"), Err(Errno::Isdir));
    assert_eq!(state.read_file(b"none"), Err(Errno::Noent));
    assert_eq!(state.write_file(b"a", b""), Err(Errno::Isdir));
    assert_eq!(state.write_file(b"a/b/c.txt/d", b""), Err(Errno::Notdir));
    state.remove(b"a").unwrap();
    assert_eq!(state.remove(b"a"), Err(Errno::Noent));
    assert_eq!(state.remove(b"/"), Err(Errno::Busy));
    assert_eq!(
        (state.node(b"").unwrap(), state.used_bytes()),
        (tree([]), 0)
    );
}

#[test]
fn links_of_the_embedder_lead_anywhere_in_the_tree_but_not_out() {
    let files = tree([
        ("f", file("x")),
        ("d", tree([("l", link("/f")), ("u", link("../../f"))])),
    ]);
    let state = state(files);
    assert_eq!(state.read_file(b"d/l").unwrap(), b"x");
    assert_eq!(state.read_file(b"d/u").unwrap(), b"x");
    assert_eq!(state.read_file(b"../../f").unwrap(), b"x");
}

#[test]
fn bad_names_are_refused_and_nothing_changes() {
    let mut state = state(tree([("keep", file("x"))]));
    let before = state.encode();
    for name in [&b""[..], b".", b"..", b"a/b", b"a\0", b"\xff", &[b'n'; 256]] {
        let bad = Node::Directory([(name.to_vec(), file(""))].into());
        let worse = tree([("fine", file("")), ("z", bad.clone())]);
        assert!(state.put(b"new", &worse).is_err());
        assert!(state.put(b"keep", &worse).is_err());
        assert!(state.replace_tree(&worse).is_err());
        assert!(
            WasiState::new(WasiConfig {
                files: bad,
                ..config()
            })
            .is_err()
        );
    }
    assert_eq!(state.replace_tree(&file("")), Err(Errno::Notdir));
    assert_eq!(state.encode(), before);
    let deep = (0..257).fold(tree([]), |inner, _| tree([("d", inner)]));
    assert_eq!(state.replace_tree(&deep), Err(Errno::Nametoolong));
}

#[test]
fn what_is_put_replaces_what_was_there() {
    let mut state = state(tree([("a", tree([("old", file("12345"))]))]));
    state.put(b"a", &tree([("new", file("1"))])).unwrap();
    assert_eq!(
        state.node(b"/").unwrap(),
        tree([("a", tree([("new", file("1"))]))])
    );
    assert_eq!(state.used_bytes(), 1);
    state.put(b"a", &file("2")).unwrap();
    assert_eq!(state.node(b"/").unwrap(), tree([("a", file("2"))]));
}

#[test]
fn a_guest_goes_on_in_the_tree_that_replaces_its_own() {
    let preopens = vec![
        Preopen {
            name: b"/".to_vec(),
            path: b"/".to_vec(),
        },
        Preopen {
            name: b"data".to_vec(),
            path: b"/data".to_vec(),
        },
    ];
    in_both_with(
        WasiConfig {
            preopens,
            ..config()
        },
        |world| {
            let open = world.open("open", CREATE).unwrap();
            world.write(open, b"still").unwrap();
            world
                .state
                .replace_tree(&tree([("data", tree([("f", file("new"))]))]))
                .unwrap();
            assert_eq!(world.pread(open, 10, 0).unwrap(), b"still");
            assert_eq!(world.list(".").unwrap(), ["data"]);
            let rights = (FD_READ, 0);
            let fd = world.open_with(4, 0, "f", 0, rights, 0).unwrap();
            assert_eq!(world.read(fd, 10).unwrap(), b"new");
            world.state.replace_tree(&tree([])).unwrap();
            assert_eq!(world.list(".").unwrap(), ["data"]);
            world.close(open).unwrap();
            world.close(fd).unwrap();
            assert_eq!(world.state.used_bytes(), 0);
            let encoded = world.state.encode();
            assert!(WasiState::decode(&encoded, Quotas::MAX).is_ok());
        },
    );
}

#[test]
fn a_copy_and_its_origin_do_not_see_each_others_changes() {
    in_both(|world| {
        world.state.write_file(b"f", &[1; 200_000]).unwrap();
        let fd = world.open("f", 0).unwrap();
        let mut copy = world.clone();
        copy.pwrite(fd, b"copy", 100_000).unwrap();
        copy.seek(fd, 5, SET).unwrap();
        copy.write(1, b"copy").unwrap();
        world.unlink("f").unwrap();
        assert_eq!(world.pread(fd, 4, 100_000).unwrap(), [1; 4]);
        assert_eq!(world.tell(fd), Ok(0));
        assert_eq!(copy.pread(fd, 4, 100_000).unwrap(), b"copy");
        assert_eq!(copy.stat("f", 0).unwrap().size, 200_000);
    });
}

#[test]
fn a_copy_of_many_bytes_copies_none() {
    let mut state = state(tree([]));
    state.write_file(b"big", &vec![7; 100 << 20]).unwrap();
    let copies: Vec<_> = (0..1000).map(|_| state.clone()).collect();
    assert_eq!(copies[999].stat(b"big").unwrap().size, 100 << 20);
}
