use std::collections::BTreeSet;

use wasmbeam_core::wasi::{Answer, Function, Node, Outcome, Quotas, WasiConfig, WasiState};

use crate::world::*;

#[test]
fn a_directory_lists_itself_its_parent_and_its_entries() {
    let files = tree([("a", file("x")), ("d", tree([])), ("l", link("a"))]);
    in_both_with(
        wasmbeam_core::wasi::WasiConfig { files, ..config() },
        |world| {
            let (entries, filled) = world.read_entries(ROOT, 4096, 0).unwrap();
            assert!(!filled);
            let seen: Vec<_> = entries
                .iter()
                .map(|e| (e.name.as_str(), e.file_type))
                .collect();
            assert_eq!(seen, [(".", 3), ("..", 3), ("a", 4), ("d", 3), ("l", 7)]);
            assert_eq!(entries[0].inode, world.fstat(ROOT).unwrap().inode);
            assert_eq!(entries[2].inode, world.stat("a", 0).unwrap().inode);
        },
    );
}

#[test]
fn reading_goes_on_from_any_cookie() {
    in_both(|world| {
        for name in ["one", "two", "three", "four"] {
            world.open(name, CREATE).unwrap();
        }
        let (all, _) = world.read_entries(ROOT, 4096, 0).unwrap();
        for (index, entry) in all.iter().enumerate() {
            let (rest, _) = world.read_entries(ROOT, 4096, entry.next).unwrap();
            assert_eq!(rest, all[index + 1..]);
        }
    });
}

#[test]
fn a_full_buffer_cuts_the_last_entry() {
    in_both(|world| {
        world.open("a-long-name", CREATE).unwrap();
        let (entries, filled) = world.read_entries(ROOT, 60, 0).unwrap();
        assert_eq!((entries.len(), filled), (2, true));
        let (entries, filled) = world.read_entries(ROOT, 0, 0).unwrap();
        assert_eq!((entries.len(), filled), (0, true));
        let (entries, _) = world.read_entries(ROOT, 24 + 11, 2).unwrap();
        assert_eq!(entries[0].name, "a-long-name");
    });
}

#[test]
fn what_is_added_and_removed_while_reading_disturbs_nothing_else() {
    in_both(|world| {
        let names: Vec<_> = (0..40).map(|index| format!("file-{index}")).collect();
        for name in &names {
            let fd = world.open(name, CREATE).unwrap();
            world.close(fd).unwrap();
        }
        let mut seen = Vec::new();
        let mut cookie = 0;
        let mut round = 0;
        loop {
            let (entries, _) = world.read_entries(ROOT, 100, cookie).unwrap();
            let Some(last) = entries.last() else { break };
            cookie = last.next;
            for entry in &entries {
                if names.contains(&entry.name) {
                    world.unlink(&entry.name).unwrap();
                }
                seen.push(entry.name.clone());
            }
            if round < 5 {
                world.open(&format!("new-{round}"), CREATE).unwrap();
            }
            round += 1;
        }
        let unique: BTreeSet<_> = seen.iter().collect();
        assert_eq!(unique.len(), seen.len());
        assert!(names.iter().all(|name| unique.contains(name)));
    });
}

#[test]
fn directories_are_made_and_removed_when_empty() {
    in_both(|world| {
        world.create_directory("d").unwrap();
        assert_eq!(world.create_directory("d"), Err(EXIST));
        assert_eq!(world.create_directory("d/e/f"), Err(NOENT));
        world.create_directory("d/e/").unwrap();
        assert_eq!(world.remove_directory("d"), Err(NOTEMPTY));
        assert_eq!(world.unlink("d/e"), Err(ISDIR));
        world.remove_directory("d/e/").unwrap();
        world.remove_directory("d").unwrap();
        assert_eq!(world.remove_directory("d"), Err(NOENT));
        assert_eq!(world.remove_directory("."), Err(INVAL));
        world.open("file", CREATE).unwrap();
        assert_eq!(world.remove_directory("file"), Err(NOTDIR));
        assert_eq!(world.create_directory("file/d"), Err(NOTDIR));
    });
}

#[test]
fn nothing_can_be_made_in_a_directory_that_was_removed() {
    in_both(|world| {
        world.create_directory("d").unwrap();
        let fd = world.open_directory("d").unwrap();
        world.remove_directory("d").unwrap();
        let rights = (ALL_RIGHTS, ALL_RIGHTS);
        assert_eq!(
            world.open_with(fd, 0, "file", CREATE, rights, 0),
            Err(NOENT)
        );
        let (entries, _) = world.read_entries(fd, 4096, 2).unwrap();
        assert_eq!(entries, []);
        world.close(fd).unwrap();
    });
}

#[test]
fn a_rename_replaces_what_it_may() {
    in_both(|world| {
        world.state.write_file(b"f", b"f").unwrap();
        world.state.write_file(b"g", b"g").unwrap();
        world.state.write_file(b"full/x", b"x").unwrap();
        world.create_directory("d").unwrap();
        world.create_directory("empty").unwrap();
        assert_eq!(world.rename("f", "d"), Err(ISDIR));
        assert_eq!(world.rename("d", "f"), Err(NOTDIR));
        assert_eq!(world.rename("d", "full"), Err(NOTEMPTY));
        assert_eq!(world.rename("none", "f"), Err(NOENT));
        assert_eq!(world.rename("f", "none/f"), Err(NOENT));
        assert_eq!(world.rename("f", "new/"), Err(NOTDIR));
        assert_eq!(world.rename(".", "x"), Err(BUSY));
        world.rename("d", "empty").unwrap();
        world.rename("f", "g").unwrap();
        world.rename("g", "full/g").unwrap();
        world.rename("full", "moved").unwrap();
        assert_eq!(world.contents("moved/g"), b"f");
        assert_eq!(world.list(".").unwrap(), ["empty", "moved"]);
    });
}

#[test]
fn a_directory_cannot_be_moved_into_itself() {
    in_both(|world| {
        world.create_directory("a").unwrap();
        world.create_directory("a/b").unwrap();
        assert_eq!(world.rename("a", "a/b/c"), Err(INVAL));
        assert_eq!(world.rename("a", "a/c"), Err(INVAL));
        assert_eq!(world.rename("a/b", "a"), Err(NOTEMPTY));
        assert_eq!(world.rename("a", "a"), Ok(()));
    });
}

#[test]
fn parents_follow_a_directory_that_moves() {
    in_both(|world| {
        world.state.write_file(b"old/d/file", b"here").unwrap();
        world.create_directory("new").unwrap();
        world.rename("old/d", "new/d").unwrap();
        assert_eq!(world.stat("new/d/../d/file", 0).unwrap().size, 4);
        world.remove_directory("old").unwrap();
    });
}

#[test]
fn renaming_between_two_links_of_one_file_does_nothing() {
    in_both(|world| {
        world.state.write_file(b"a", b"x").unwrap();
        world.hard_link(0, "a", "b").unwrap();
        world.rename("a", "b").unwrap();
        assert_eq!(world.list(".").unwrap(), ["a", "b"]);
    });
}

#[test]
fn directories_nest_to_a_bounded_depth() {
    in_both(|world| {
        let mut depth = 0;
        let mut dir = ROOT;
        let made = loop {
            let (pointer, len) = world.path("d");
            let create = wasmbeam_core::wasi::Function::PathCreateDirectory;
            if let Err(errno) = world.call(create, &[dir, pointer, len]) {
                break errno;
            }
            depth += 1;
            let rights = (DIRECTORY_RIGHTS, ALL_RIGHTS);
            let next = world.open_with(dir, 0, "d", DIRECTORY, rights, 0).unwrap();
            if dir != ROOT {
                world.close(dir).unwrap();
            }
            dir = next;
        };
        assert_eq!((depth, made), (256, NAMETOOLONG));
        assert!(world.state.node(b"/").is_ok());
        world.create_directory("top").unwrap();
        assert_eq!(world.rename("d", "top/d"), Err(NAMETOOLONG));
    });
}

#[test]
fn a_large_directory_is_listed_in_pieces_and_whole() {
    let names: Vec<_> = (0..3000).map(|n| format!("file-{n:04}")).collect();
    let entries = names.iter().map(|name| (name.clone().into(), file("")));
    let files = Node::Directory(entries.collect());
    in_both_with(WasiConfig { files, ..config() }, |world| {
        let args = [ROOT, DATA, 1 << 20, 0, RESULT];
        let mut outcome = world.outcome(Function::FdReaddir, &args);
        let mut yields = 0;
        while let Outcome::Pending(request) = outcome {
            yields += 1;
            if yields == 1 {
                // What comes and goes meanwhile is seen, or not, and disturbs nothing else.
                world.state.write_file(b"new", b"").unwrap();
                world.state.remove(b"file-2999").unwrap();
            }
            outcome = world.complete(request, &Answer::Elapsed);
        }
        assert_eq!((outcome.errno(), yields >= 5), (Some(SUCCESS), true));
        let seen = world.entries(world.get_size(RESULT));
        let seen: Vec<_> = seen.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(seen[..2], [".", ".."]);
        assert_eq!(seen[2..3001], names[..2999]);
        assert_eq!(seen[3001..], ["new"]);
    });
}

/// Moves a tower of directories about, and asks each time whether a small one still fits.
#[test]
fn a_move_that_would_nest_too_deep_is_refused() {
    in_both(|world| {
        let tower = |world: &mut World, name: &str, height: usize| {
            let path = format!("{name}{}", "/d".repeat(height - 1));
            world.state.create_directory(path.as_bytes()).unwrap();
            path
        };
        let base = tower(world, "base", 200);
        tower(world, "low", 56);
        tower(world, "high", 57);
        let into = format!("{base}/top");
        assert_eq!(world.rename("high", &into), Err(NAMETOOLONG));
        assert_eq!(world.rename("low", &into), Ok(()));

        // The height of the base is known from what is in it: it cannot go anywhere else.
        world.create_directory("under").unwrap();
        assert_eq!(world.rename("base", "under/base"), Err(NAMETOOLONG));
        let mut restored = world.clone();
        let encoded = world.state.encode();
        restored.state = WasiState::decode(&encoded, Quotas::MAX).unwrap();
        assert_eq!(restored.rename("base", "under/base"), Err(NAMETOOLONG));

        // When that is lower again, it can.
        for world in [world, &mut restored] {
            assert_eq!(world.rename(&into, "low"), Ok(()));
            assert_eq!(world.rename("base", "under/base"), Ok(()));
            world.state.remove(b"high/d/d").unwrap();
            let into = format!("under/{base}/top");
            assert_eq!(world.rename("high", &into), Ok(()));
            assert_eq!(
                world.rename("low", &format!("{into}/d/d")),
                Err(NAMETOOLONG)
            );
        }
    });
}
