//! Worlds that names, bytes and descriptors tell entirely.

use wasmbeam_core::wasi::{
    Abi, ClockSource, Entry, Node, OpenDescription, Output, Settings, WasiState, Width,
};

use crate::world::*;

const NOTSUP: u16 = 58;

pub fn settings() -> Settings {
    Settings {
        args: Vec::new(),
        env: Vec::new(),
        clock: ClockSource::Fixed(NOW),
    }
}

fn opened(fd: u32, path: &str) -> OpenDescription {
    OpenDescription {
        fd,
        path: path.into(),
        offset: 0,
        flags: 0,
        preopen: None,
        rights: None,
    }
}

pub fn descriptors() -> Vec<OpenDescription> {
    let root = OpenDescription {
        preopen: Some(b"/".to_vec()),
        ..opened(3, "/")
    };
    vec![
        opened(0, "/dev/stdin"),
        opened(1, "/dev/stdout"),
        opened(2, "/dev/stderr"),
        root,
    ]
}

pub fn files() -> Node {
    let streams = [
        ("stdin", file("in")),
        ("stdout", file("")),
        ("stderr", file("")),
    ];
    tree([("dev", tree(streams)), ("a", file("bytes"))])
}

fn in_plain_world(test: impl Fn(&mut World)) {
    in_both(|world| {
        world.state =
            WasiState::plain(files(), b"in".to_vec(), &descriptors(), settings()).unwrap();
        test(world);
    });
}

/// The tree of a world by value.
fn node(entry: Entry<'_>) -> Node {
    match entry {
        Entry::File(bytes) => Node::File(bytes.to_vec()),
        Entry::Device(_) => file(""),
        Entry::Directory(listing) => Node::Directory(
            listing
                .iter()
                .map(|(name, entry)| (name.to_vec(), node(entry)))
                .collect(),
        ),
    }
}

#[test]
fn the_standard_streams_are_files() {
    in_plain_world(|world| {
        assert_eq!(world.stat("dev/stdout", 0).unwrap().file_type, 2);
        let out = world
            .open_with(ROOT, 0, "dev/stdout", 0, (FD_WRITE, 0), 0)
            .unwrap();
        world.write(out, b"by name, ").unwrap();
        world.write(1, b"by number").unwrap();
        let input = world
            .open_with(ROOT, 0, "dev/stdin", 0, (FD_READ, 0), 0)
            .unwrap();
        assert_eq!(world.read(input, 1).unwrap(), b"i");
        assert_eq!(world.state.stdin_left(), 1);
        let Output { stdout, stderr } = world.state.take_output();
        assert_eq!(
            (stdout.as_slice(), stderr.as_slice()),
            (b"by name, by number".as_slice(), b"".as_slice())
        );
        assert_eq!(world.seek(out, 0, CURRENT), Err(SPIPE));
    });
}

#[test]
fn the_standard_streams_stay_where_they_are() {
    in_plain_world(|world| {
        assert_eq!(world.unlink("dev/stdout"), Err(BUSY));
        assert_eq!(world.rename("dev/stdin", "x"), Err(BUSY));
        assert_eq!(world.rename("a", "dev/stdin"), Err(BUSY));
        assert_eq!(world.rename("dev", "x"), Err(BUSY));
    });
}

#[test]
fn there_are_no_links_and_no_times() {
    in_plain_world(|world| {
        assert_eq!(world.symlink("a", "l"), Err(NOTSUP));
        assert_eq!(world.hard_link(0, "a", "l"), Err(NOTSUP));
        world.open("new", CREATE).unwrap();
        let stat = world.stat("new", 0).unwrap();
        assert_eq!((stat.accessed, stat.modified, stat.changed), (0, 0, 0));
    });
}

/// Whatever a guest did, a world that is settled is the one that is made of what it tells.
#[test]
fn a_settled_world_is_the_one_that_it_describes() {
    in_plain_world(|world| {
        for name in ["z", "b", "y"] {
            let fd = world.open(name, CREATE).unwrap();
            world.write(fd, name.as_bytes()).unwrap();
        }
        world.unlink("b").unwrap();
        world.create_directory("c").unwrap();
        world.open("c/inner", CREATE).unwrap();
        world.rename("c", "0").unwrap();
        let settled = world.state.settled();
        let told = settled.descriptions();
        assert_eq!(told, world.state.descriptions());
        assert!(told.iter().any(|open| open.path == b"/0/inner"));
        let tree = node(settled.entries().unwrap());
        let again = WasiState::plain(tree, b"in".to_vec(), &told, settings()).unwrap();
        assert_eq!(again.encode(), settled.encode());
    });
}

#[test]
fn what_there_is_no_file_for_is_closed() {
    let mut list = descriptors();
    list.push(opened(7, "/none"));
    list.push(opened(9, "/a"));
    let state = WasiState::plain(files(), Vec::new(), &list, settings()).unwrap();
    let told: Vec<_> = state.descriptions().iter().map(|open| open.fd).collect();
    assert_eq!(told, [0, 1, 2, 3, 9]);
    let mut world = World::new(Abi::preview1(Width::W32), config());
    world.state = state;
    assert_eq!(world.tell(7), Err(BADF));
    assert_eq!(world.read(9, 10).unwrap(), b"bytes");
}

#[test]
fn descriptors_that_cannot_be_are_refused() {
    for bad in [
        opened(3, "/a"),
        opened(1 << 20, "/a"),
        OpenDescription {
            flags: 1 << 9,
            ..opened(9, "/a")
        },
        OpenDescription {
            offset: u64::MAX,
            ..opened(9, "/a")
        },
    ] {
        let mut list = descriptors();
        list.push(bad);
        assert!(WasiState::plain(files(), Vec::new(), &list, settings()).is_err());
    }
}
