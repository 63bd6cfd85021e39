//! Guests on folders of the machine: which of their operations are done where.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Wake, Waker};

use wasmbeam_core::store::{Answer, Step};
use wasmbeam_core::wasi_host::{Access, Folder};
use wasmbeam_core::{Error, Interruption, Value};

use crate::support::{Guest, int};

const PIECES: &str = include_str!("../../../../bench/files.wat");
const FILES: &str = include_str!("fixtures/files.wat");

/// A folder of its own, empty, on a filesystem of this machine.
fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A guest with a folder, and what tells that the pool is done with something.
struct Host {
    guest: Guest,
    done: Receiver<()>,
}

struct Bell(Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

/// What a call gave, and what it needed for that.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    /// How often it went on on a thread that may wait.
    blocks: u32,
    /// How often it waited for the pool, which may be done before anybody waits.
    waits: u32,
    result: i64,
}

impl Host {
    fn new(wat: &str, path: PathBuf) -> Self {
        let folder = Folder {
            name: "/".into(),
            path,
            access: Access::ReadWrite,
        };
        let mut guest = Guest::with_folder(wat, folder);
        let (bell, done) = channel();
        guest.store.set_waker(Waker::from(Arc::new(Bell(bell))));
        Self { guest, done }
    }

    fn run(&mut self, name: &str, args: &[Value]) -> Run {
        let (mut blocks, mut waits) = (0, 0);
        let mut step = self.guest.begin(name, args);
        loop {
            step = match step {
                Step::Done(Ok(Answer::Values(values))) => {
                    let result = int(&values);
                    return Run {
                        blocks,
                        waits,
                        result,
                    };
                }
                Step::Yielded => self.guest.store.resume(),
                Step::Blocks => {
                    blocks += 1;
                    self.guest.store.resume_blocking()
                }
                Step::Waiting => {
                    waits += 1;
                    self.done.recv().unwrap();
                    self.guest.store.resume()
                }
                step => panic!("{step:?}"),
            };
        }
    }

    fn open(&mut self) {
        // By the pool: nothing is known of the file yet.
        let opened = self.run("open", &[]);
        assert_eq!((opened.blocks, opened.result), (0, 0));
    }
}

#[test]
fn the_pieces_of_a_file_are_written_and_read_without_the_pool() {
    let mut host = Host::new(PIECES, folder("pieces"));
    let run = host.run("write_and_read", &[Value::I32(64_000), Value::I32(64)]);
    assert_eq!(run.result, 64_000);
    // To open the file.
    assert!(run.waits <= 1);
    assert!(run.blocks > 0);
}

#[test]
fn nothing_is_waited_for_where_that_is_not_allowed() {
    let path = folder("allowed");
    let mut host = Host::new(FILES, path.clone());
    host.open();
    let mut step = host.guest.begin("write", &[]);
    for _ in 0..3 {
        assert!(matches!(step, Step::Blocks), "{step:?}");
        step = host.guest.store.resume();
    }
    assert_eq!(fs::read(path.join("file")).unwrap(), b"");
    let step = host.guest.store.resume_blocking();
    assert!(matches!(step, Step::Done(Ok(_))), "{step:?}");
    assert_eq!(fs::read(path.join("file")).unwrap(), b"file");
}

#[test]
fn what_may_take_long_is_done_by_the_pool() {
    let mut host = Host::new(FILES, folder("long"));
    host.open();
    for (name, blocks) in [("write", 1), ("sync", 0), ("write", 1)] {
        let run = host.run(name, &[]);
        assert_eq!((run.blocks, run.result), (blocks, 0), "{name}");
    }
}

#[test]
fn a_file_is_known_under_its_new_number_alone() {
    let mut host = Host::new(FILES, folder("numbers"));
    host.open();
    for (name, blocks, errno) in [
        ("renumber", 0, 0),
        // EBADF.
        ("write", 0, 8),
        ("write_renumbered", 1, 0),
        ("close_renumbered", 0, 0),
        ("write_renumbered", 0, 8),
    ] {
        let run = host.run(name, &[]);
        assert_eq!((run.blocks, run.result), (blocks, errno), "{name}");
    }
}

#[test]
fn a_call_is_interrupted_before_the_next_piece() {
    let mut host = Host::new(FILES, folder("interrupted"));
    host.open();
    let step = host.guest.begin("write", &[]);
    assert!(matches!(step, Step::Blocks), "{step:?}");
    host.guest
        .store
        .interrupt_flag()
        .set(Interruption::Cancelled);
    let step = host.guest.store.resume_blocking();
    assert!(
        matches!(
            step,
            Step::Done(Err(Error::Interrupted(Interruption::Cancelled)))
        ),
        "{step:?}"
    );
}

#[test]
fn a_slice_ends_however_much_is_done_in_place() {
    let mut host = Host::new(FILES, folder("slices"));
    host.open();
    let mut step = host.guest.begin("write_forever", &[]);
    for _ in 0..3 {
        while !matches!(step, Step::Blocks) {
            assert!(matches!(step, Step::Yielded), "{step:?}");
            step = host.guest.store.resume();
        }
        step = host.guest.store.resume_blocking();
        assert!(matches!(step, Step::Yielded), "{step:?}");
    }
}

#[test]
fn a_pipe_in_a_folder_is_left_to_the_pool() {
    let path = folder("pipe");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, path.join("file"), kind, mode, 0).unwrap();
    let mut host = Host::new(FILES, path);
    host.open();
    let run = host.run("write", &[]);
    // ESPIPE: it has no offset to write at.
    assert_eq!((run.blocks, run.result), (0, 70));
}
