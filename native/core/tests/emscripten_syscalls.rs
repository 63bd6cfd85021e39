//! The system calls of Emscripten's C library, as a guest makes them.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use wasmbeam_core::emscripten::syscalls::{self, Outcome, PollRequest, Syscall};
use wasmbeam_core::wasi::{
    self, Abi, Answer, ClockSource, Errno, Function, Node, Param, Quotas, RandomSource,
    StdinSource, WasiConfig, WasiState, Width,
};

const AT_FDCWD: i64 = -100;
const AT_SYMLINK_NOFOLLOW: i64 = 0x100;
const AT_REMOVEDIR: i64 = 0x200;
const AT_EMPTY_PATH: i64 = 0x1000;
const O_RDONLY: i64 = 0;
const O_WRONLY: i64 = 1;
const O_RDWR: i64 = 2;
const O_CREAT: i64 = 0o100;
const O_EXCL: i64 = 0o200;
const O_TRUNC: i64 = 0o1000;
const O_APPEND: i64 = 0o2000;
const O_DIRECTORY: i64 = 0o200_000;
const O_NOFOLLOW: i64 = 0o400_000;

const PATH: i64 = 0x1000;
const OTHER_PATH: i64 = 0x4000;
const DATA: i64 = 0x8000;
const VARARGS: i64 = 0x100;
const MEMORY: usize = 1 << 20;
const NOW: u64 = 1_700_000_000_123_456_789;

#[derive(Clone)]
struct World {
    state: WasiState,
    memory: Vec<u8>,
    width: Width,
}

fn config() -> WasiConfig {
    let files = [
        (b"f".to_vec(), Node::File(b"content".to_vec())),
        (
            b"d".to_vec(),
            Node::Directory([(b"g".to_vec(), Node::File(b"deep".to_vec()))].into()),
        ),
        (b"l".to_vec(), Node::Symlink(b"/d/g".to_vec())),
    ];
    WasiConfig {
        files: Node::Directory(files.into()),
        clock: ClockSource::Fixed(NOW),
        random: RandomSource::Seed(1),
        preopens: Vec::new(),
        ..WasiConfig::default()
    }
}

fn in_both(test: impl Fn(&mut World)) {
    in_both_with(config(), test);
}

fn in_both_with(config: WasiConfig, test: impl Fn(&mut World)) {
    for width in [Width::W32, Width::W64] {
        let state = WasiState::new(config.clone()).unwrap();
        test(&mut World {
            state,
            memory: vec![0; MEMORY],
            width,
        });
    }
}

fn error(errno: Errno) -> i32 {
    -i32::from(errno.code())
}

impl World {
    fn outcome(&mut self, syscall: Syscall, args: &[i64]) -> Outcome {
        let args: Vec<u64> = args.iter().map(|arg| *arg as u64).collect();
        syscalls::call(
            &mut self.state,
            &mut self.memory,
            syscall,
            self.width,
            &args,
        )
    }

    fn call(&mut self, syscall: Syscall, args: &[i64]) -> i32 {
        match self.outcome(syscall, args) {
            Outcome::Return(value) => value,
            Outcome::Pending(request) => panic!("{request:?}"),
        }
    }

    fn wasi(&mut self, function: Function, args: &[u64]) -> u16 {
        let abi = Abi::preview1(self.width);
        let outcome = wasi::call(&mut self.state, &mut self.memory, function, abi, args);
        outcome.errno().expect("a function that is done")
    }

    fn put(&mut self, pointer: i64, bytes: &[u8]) {
        self.memory[pointer as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    fn put_size(&mut self, pointer: i64, value: u64) {
        let len = self.width.bytes() as usize;
        self.put(pointer, &value.to_le_bytes()[..len]);
    }

    fn string(&mut self, pointer: i64, text: &str) -> i64 {
        self.put(pointer, &[text.as_bytes(), b"\0"].concat());
        pointer
    }

    fn path(&mut self, text: &str) -> i64 {
        self.string(PATH, text)
    }

    fn get(&self, pointer: i64, len: usize) -> &[u8] {
        &self.memory[pointer as usize..][..len]
    }

    fn get_uint(&self, pointer: i64, len: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(self.get(pointer, len));
        u64::from_le_bytes(bytes)
    }

    fn open(&mut self, path: &str, flags: i64) -> i32 {
        let path = self.path(path);
        self.put(VARARGS, &0o644u32.to_le_bytes());
        self.call(Syscall::Openat, &[AT_FDCWD, path, flags, VARARGS])
    }

    fn write(&mut self, fd: i32, bytes: &[u8]) -> u16 {
        self.put(DATA, bytes);
        let size = self.width.bytes() as i64;
        self.put_size(VARARGS, DATA as u64);
        self.put_size(VARARGS + size, bytes.len() as u64);
        self.wasi(Function::FdWrite, &[fd as u64, VARARGS as u64, 1, 0x200])
    }

    fn contents(&self, path: &str) -> Vec<u8> {
        self.state.read_file(path.as_bytes()).unwrap()
    }

    fn text(&self, pointer: i64) -> String {
        let bytes = &self.memory[pointer as usize..];
        let len = bytes.iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    }
}

#[test]
fn system_calls_are_known_by_their_names() {
    for syscall in Syscall::ALL {
        assert_eq!(Syscall::from_name(syscall.name()), Some(*syscall));
    }
    let renameat = Syscall::from_name("__syscall_renameat").unwrap();
    assert_eq!(
        renameat.params(),
        [Param::I32, Param::Size, Param::I32, Param::Size]
    );
    assert_eq!(Syscall::from_name("renameat"), None);
    assert_eq!(Syscall::from_name("__syscall_fork"), None);
}

#[test]
fn files_are_opened_as_the_flags_say() {
    in_both(|world| {
        assert_eq!(world.open("none", O_RDONLY), error(Errno::Noent));
        let reader = world.open("f", O_RDONLY);
        assert_eq!(world.write(reader, b"x"), Errno::Badf.code());
        let writer = world.open("new", O_WRONLY | O_CREAT | O_EXCL);
        assert_eq!(world.write(writer, b"made"), 0);
        assert_eq!(world.contents("new"), b"made");
        assert_eq!(
            world.open("new", O_WRONLY | O_CREAT | O_EXCL),
            error(Errno::Exist)
        );
        let appender = world.open("new", O_RDWR | O_APPEND);
        assert_eq!(world.write(appender, b"+more"), 0);
        assert_eq!(world.contents("new"), b"made+more");
        world.open("new", O_RDWR | O_TRUNC);
        assert_eq!(world.contents("new"), b"");
        assert_eq!(world.open("d", O_RDWR), error(Errno::Isdir));
        assert_eq!(
            world.open("f", O_RDONLY | O_DIRECTORY),
            error(Errno::Notdir)
        );
        assert_eq!(world.open("l", O_RDONLY | O_NOFOLLOW), error(Errno::Loop));
        assert!(world.open("l", O_RDONLY) > 0);
        assert_eq!(world.open("f", 3), error(Errno::Inval));
    });
}

#[test]
fn paths_are_those_of_a_posix_program() {
    in_both(|world| {
        for path in ["/d/g", "d/g", "../../d/./g", "/d/../l", "//d//g"] {
            let fd = world.open(path, O_RDONLY);
            assert!(fd >= 3, "{path}: {fd}");
        }
        let d = i64::from(world.open("d", O_RDONLY | O_DIRECTORY));
        let path = world.path("g");
        assert!(world.call(Syscall::Openat, &[d, path, O_RDONLY, 0]) > 0);
        let path = world.path("/f");
        assert!(world.call(Syscall::Openat, &[d, path, O_RDONLY, 0]) > 0);
        let path = world.path("f");
        assert_eq!(
            world.call(Syscall::Openat, &[99, path, 0, 0]),
            error(Errno::Badf)
        );
        assert_eq!(
            world.call(Syscall::Openat, &[1, path, 0, 0]),
            error(Errno::Notdir)
        );
    });
}

#[test]
fn relative_paths_start_at_the_working_directory() {
    in_both(|world| {
        let cwd = |world: &mut World, room: i64| {
            let len = world.call(Syscall::Getcwd, &[DATA, room]);
            if len < 0 {
                Err(len)
            } else {
                Ok((world.text(DATA), len))
            }
        };
        assert_eq!(cwd(world, 100), Ok(("/".to_owned(), 2)));
        let path = world.path("d");
        assert_eq!(world.call(Syscall::Chdir, &[path]), 0);
        assert_eq!(cwd(world, 100), Ok(("/d".to_owned(), 3)));
        assert_eq!(cwd(world, 2), Err(error(Errno::Range)));
        assert_eq!(cwd(world, 0), Err(error(Errno::Inval)));
        assert!(world.open("g", O_RDONLY) > 0);
        let path = world.path("deeper");
        assert_eq!(world.call(Syscall::Mkdirat, &[AT_FDCWD, path, 0o755]), 0);
        let fd = i64::from(world.open("deeper", O_DIRECTORY));
        assert_eq!(world.call(Syscall::Fchdir, &[fd]), 0);
        assert_eq!(cwd(world, 100), Ok(("/d/deeper".to_owned(), 10)));
        let path = world.path("/f");
        assert_eq!(world.call(Syscall::Chdir, &[path]), error(Errno::Notdir));
        let restored = WasiState::decode(&world.state.encode(), Quotas::MAX).unwrap();
        world.state = restored;
        assert_eq!(cwd(world, 100), Ok(("/d/deeper".to_owned(), 10)));
        let path = world.path("/d/deeper");
        assert_eq!(world.call(Syscall::Rmdir, &[path]), 0);
        assert_eq!(world.open("x", O_CREAT), error(Errno::Noent));
        assert!(cwd(world, 100).is_err());
    });
}

#[test]
fn entries_are_made_moved_and_removed() {
    in_both(|world| {
        let (path, other) = (world.path("f"), world.string(OTHER_PATH, "d/h"));
        assert_eq!(
            world.call(Syscall::Renameat, &[AT_FDCWD, path, AT_FDCWD, other]),
            0
        );
        assert_eq!(world.contents("d/h"), b"content");
        assert_eq!(
            world.call(Syscall::Linkat, &[AT_FDCWD, other, AT_FDCWD, path, 0]),
            0
        );
        assert_eq!(world.contents("f"), b"content");
        assert_eq!(world.call(Syscall::Unlinkat, &[AT_FDCWD, path, 0]), 0);
        let missing = world.call(Syscall::Unlinkat, &[AT_FDCWD, path, 0]);
        assert_eq!(missing, error(Errno::Noent));
        let d = world.path("d");
        let full = world.call(Syscall::Unlinkat, &[AT_FDCWD, d, AT_REMOVEDIR]);
        assert_eq!(full, error(Errno::Notempty));
        assert_eq!(world.call(Syscall::Rmdir, &[d]), error(Errno::Notempty));
        assert_eq!(
            world.call(Syscall::Unlinkat, &[AT_FDCWD, d, 5]),
            error(Errno::Inval)
        );
        let (target, link) = (world.string(OTHER_PATH, "/anywhere"), world.path("new"));
        assert_eq!(world.call(Syscall::Symlinkat, &[target, AT_FDCWD, link]), 0);
        let len = world.call(Syscall::Readlinkat, &[AT_FDCWD, link, DATA, 4]);
        assert_eq!((len, world.get(DATA, 5)), (4, &b"/any\0"[..]));
        let none = world.call(Syscall::Readlinkat, &[AT_FDCWD, link, DATA, 0]);
        assert_eq!(none, error(Errno::Inval));
        let node = world.path("node");
        assert_eq!(
            world.call(Syscall::Mknodat, &[AT_FDCWD, node, 0o100_644, 0]),
            0
        );
        assert_eq!(world.contents("node"), b"");
    });
}

#[test]
fn stat_has_the_layout_of_the_width() {
    in_both(|world| {
        let path = world.path("f");
        assert_eq!(world.call(Syscall::Stat64, &[path, DATA]), 0);
        let inode = world.state.stat(b"f").unwrap().inode;
        // Offsets of: link count, size, block size, blocks, times, inode, end.
        let [links, size, unit, blocks, times, number, end] = match world.width {
            Width::W32 => [8, 24, 32, 36, 40, 88, 96],
            Width::W64 => [8, 32, 40, 44, 48, 96, 104],
        };
        let word = world.width.bytes() as usize;
        assert_eq!(world.get_uint(DATA + 4, 4), 0o100_666);
        assert_eq!(world.get_uint(DATA + links, word), 1);
        assert_eq!(world.get_uint(DATA + size, 8), 7);
        assert_eq!(world.get_uint(DATA + unit, 4), 4096);
        assert_eq!(world.get_uint(DATA + blocks, 4), 1);
        for time in 0..3 {
            assert_eq!(world.get_uint(DATA + times + 16 * time, 8), 1_700_000_000);
            assert_eq!(
                world.get_uint(DATA + times + 16 * time + 8, word),
                123_456_789
            );
        }
        assert_eq!(world.get_uint(DATA + number, 8), inode);
        assert_eq!(world.get(DATA + end, 8), [0; 8]);
    });
}

#[test]
fn every_way_to_stat_tells_the_same() {
    in_both(|world| {
        let stat = |world: &mut World, syscall, args: &[i64]| {
            world.memory[DATA as usize..][..104].fill(0);
            (world.call(syscall, args), world.get(DATA, 104).to_vec())
        };
        let fd = i64::from(world.open("d/g", O_RDONLY));
        let path = world.path("l");
        let expected = stat(world, Syscall::Fstat64, &[fd, DATA]);
        assert_eq!(expected.0, 0);
        assert_eq!(stat(world, Syscall::Stat64, &[path, DATA]), expected);
        assert_eq!(
            stat(world, Syscall::Newfstatat, &[AT_FDCWD, path, DATA, 0]),
            expected
        );
        let link = stat(world, Syscall::Lstat64, &[path, DATA]);
        assert_eq!(
            u32::from_le_bytes(link.1[4..8].try_into().unwrap()),
            0o120_777
        );
        let nofollow = [AT_FDCWD, path, DATA, AT_SYMLINK_NOFOLLOW];
        assert_eq!(stat(world, Syscall::Newfstatat, &nofollow), link);
        let empty = world.path("");
        let by_fd = [fd, empty, DATA, AT_EMPTY_PATH];
        assert_eq!(stat(world, Syscall::Newfstatat, &by_fd), expected);
        let refused = stat(world, Syscall::Newfstatat, &[fd, empty, DATA, 0]).0;
        assert_eq!(refused, error(Errno::Noent));
        assert_eq!(stat(world, Syscall::Fstat64, &[1, DATA]).0, 0);
        assert_eq!(world.get_uint(DATA + 4, 4), 0o010_666);
    });
}

#[test]
fn a_directory_is_read_and_rewound() {
    in_both(|world| {
        let fd = i64::from(world.open("/", O_DIRECTORY));
        let names = |world: &mut World, room: i64| {
            let used = world.call(Syscall::Getdents64, &[fd, DATA, room]);
            let mut names = Vec::new();
            let mut at = DATA;
            while at < DATA + i64::from(used.max(0)) {
                names.push((world.text(at + 19), world.get(at + 18, 1)[0]));
                at += world.get_uint(at + 16, 2) as i64;
            }
            (used.min(0), names)
        };
        let all = [(".", 4), ("..", 4), ("d", 4), ("f", 8), ("l", 10)];
        let all: Vec<_> = all
            .into_iter()
            .map(|(name, kind)| (name.to_owned(), kind))
            .collect();
        assert_eq!(names(world, 60), (0, all[..2].to_vec()));
        assert_eq!(names(world, 4096), (0, all[2..].to_vec()));
        assert_eq!(names(world, 4096), (0, Vec::new()));
        assert_eq!(world.wasi(Function::FdSeek, &[fd as u64, 0, 0, 0x200]), 0);
        assert_eq!(names(world, 10).0, error(Errno::Inval));
        assert_eq!(names(world, 4096), (0, all));
        let file = i64::from(world.open("f", O_RDONLY));
        let refused = world.call(Syscall::Getdents64, &[file, DATA, 100]);
        assert_eq!(refused, error(Errno::Notdir));
    });
}

#[test]
fn duplicates_share_offset_and_flags() {
    in_both(|world| {
        let fd = world.open("new", O_RDWR | O_CREAT);
        let copy = world.call(Syscall::Dup, &[fd.into()]);
        world.write(fd, b"one");
        world.write(copy, b"two");
        assert_eq!(world.contents("new"), b"onetwo");
        assert_eq!(world.call(Syscall::Dup3, &[fd.into(), 20, 0]), 20);
        assert_eq!(
            world.call(Syscall::Dup3, &[fd.into(), fd.into(), 0]),
            error(Errno::Inval)
        );
        assert_eq!(world.call(Syscall::Dup3, &[99, 5, 0]), error(Errno::Badf));
        assert_eq!(
            world.call(Syscall::Dup3, &[fd.into(), -1, 0]),
            error(Errno::Badf)
        );
        assert_eq!(
            world.call(Syscall::Dup3, &[fd.into(), 1 << 20, 0]),
            error(Errno::Badf)
        );
        let restored = WasiState::decode(&world.state.encode(), Quotas::MAX).unwrap();
        world.state = restored;
        assert_eq!(world.wasi(Function::FdClose, &[fd as u64]), 0);
        world.write(20, b"three");
        assert_eq!(world.contents("new"), b"onetwothree");
        assert_eq!(world.call(Syscall::Dup3, &[20, 1, 0]), 1);
        world.write(1, b"!");
        assert_eq!(world.contents("new"), b"onetwothree!");
    });
}

#[test]
fn fcntl_tells_and_sets_what_there_is() {
    in_both(|world| {
        let fd = i64::from(world.open("f", O_RDWR | O_APPEND));
        assert_eq!(
            world.call(Syscall::Fcntl64, &[fd, 3, 0]),
            (O_RDWR | O_APPEND) as i32
        );
        world.put(VARARGS, &0u32.to_le_bytes());
        assert_eq!(world.call(Syscall::Fcntl64, &[fd, 4, VARARGS]), 0);
        assert_eq!(world.call(Syscall::Fcntl64, &[fd, 3, 0]), O_RDWR as i32);
        world.put(VARARGS, &10u32.to_le_bytes());
        assert_eq!(world.call(Syscall::Fcntl64, &[fd, 0, VARARGS]), 10);
        world.put_size(VARARGS, DATA as u64);
        assert_eq!(world.call(Syscall::Fcntl64, &[fd, 5, VARARGS]), 0);
        assert_eq!(world.get_uint(DATA, 2), 2);
        assert_eq!(world.call(Syscall::Fcntl64, &[fd, 6, VARARGS]), 0);
        assert_eq!(
            world.call(Syscall::Fcntl64, &[fd, 77, 0]),
            error(Errno::Inval)
        );
        assert_eq!(
            world.call(Syscall::Fcntl64, &[99, 3, 0]),
            error(Errno::Badf)
        );
    });
}

#[test]
fn only_terminals_are_terminals() {
    const TIOCGWINSZ: i64 = 0x5413;
    const FIONREAD: i64 = 0x541b;
    let stdin = StdinSource::Bytes(b"input".to_vec());
    in_both_with(
        WasiConfig {
            stdin: stdin.clone(),
            ..config()
        },
        |world| {
            world.put_size(VARARGS, DATA as u64);
            let refused = world.call(Syscall::Ioctl, &[1, TIOCGWINSZ, VARARGS]);
            assert_eq!(refused, error(Errno::Notty));
            assert_eq!(world.call(Syscall::Ioctl, &[0, FIONREAD, VARARGS]), 0);
            assert_eq!(world.get_uint(DATA, 4), 5);
        },
    );
    in_both_with(
        WasiConfig {
            terminal: true,
            ..config()
        },
        |world| {
            world.put_size(VARARGS, DATA as u64);
            assert_eq!(world.call(Syscall::Ioctl, &[1, TIOCGWINSZ, VARARGS]), 0);
            assert_eq!(
                (world.get_uint(DATA, 2), world.get_uint(DATA + 2, 2)),
                (24, 80)
            );
            let file = i64::from(world.open("f", O_RDONLY));
            let refused = world.call(Syscall::Ioctl, &[file, TIOCGWINSZ, VARARGS]);
            assert_eq!(refused, error(Errno::Notty));
        },
    );
}

#[test]
fn sizes_and_times_are_set() {
    in_both(|world| {
        let fd = i64::from(world.open("f", O_RDWR));
        assert_eq!(world.call(Syscall::Ftruncate64, &[fd, 3]), 0);
        assert_eq!(world.contents("f"), b"con");
        let path = world.path("f");
        assert_eq!(world.call(Syscall::Truncate64, &[path, 5]), 0);
        assert_eq!(world.contents("f"), b"con\0\0");
        assert_eq!(
            world.call(Syscall::Truncate64, &[path, -1]),
            error(Errno::Inval)
        );
        assert_eq!(world.call(Syscall::Fallocate, &[fd, 0, 4, 6]), 0);
        assert_eq!(world.contents("f").len(), 10);
        assert_eq!(world.call(Syscall::Fallocate, &[fd, 1, 0, 1]), -138);
        let reader = i64::from(world.open("f", O_RDONLY));
        assert_eq!(
            world.call(Syscall::Ftruncate64, &[reader, 0]),
            error(Errno::Inval)
        );
        world.put(DATA, &[0; 32]);
        world.put(DATA, &5u64.to_le_bytes());
        world.put(DATA + 8, &7u32.to_le_bytes());
        world.put(DATA + 24, &0x3fff_fffeu32.to_le_bytes());
        assert_eq!(
            world.call(Syscall::Utimensat, &[AT_FDCWD, path, DATA, 0]),
            0
        );
        let stat = world.state.stat(b"f").unwrap();
        assert_eq!((stat.accessed, stat.modified), (5_000_000_007, NOW));
        assert_eq!(world.call(Syscall::Utimensat, &[fd, 0, 0, 0]), 0);
        assert_eq!(world.state.stat(b"f").unwrap().accessed, NOW);
        world.put(DATA + 8, &2_000_000_000u32.to_le_bytes());
        let bad = world.call(Syscall::Utimensat, &[AT_FDCWD, path, DATA, 0]);
        assert_eq!(bad, error(Errno::Inval));
    });
}

#[test]
fn permissions_are_asked_for_and_changed_without_effect() {
    in_both(|world| {
        let path = world.path("f");
        let fd = i64::from(world.open("f", O_RDONLY));
        let calls: [(Syscall, &[i64]); 7] = [
            (Syscall::Faccessat, &[AT_FDCWD, path, 7, 0]),
            (Syscall::Chmod, &[path, 0]),
            (Syscall::Fchmodat2, &[AT_FDCWD, path, 0, 0]),
            (Syscall::Fchownat, &[AT_FDCWD, path, 1, 1, 0]),
            (Syscall::Fchmod, &[fd, 0]),
            (Syscall::Fadvise64, &[fd, 0, 0, 0]),
            (Syscall::Fdatasync, &[fd]),
        ];
        for (syscall, args) in calls {
            assert_eq!(world.call(syscall, args), 0, "{syscall:?}");
        }
        let bad = world.call(Syscall::Faccessat, &[AT_FDCWD, path, 8, 0]);
        assert_eq!(bad, error(Errno::Inval));
        let none = world.path("none");
        let missing = world.call(Syscall::Faccessat, &[AT_FDCWD, none, 0, 0]);
        assert_eq!(missing, error(Errno::Noent));
        assert_eq!(world.call(Syscall::Fchmod, &[99, 0]), error(Errno::Badf));
    });
}

#[test]
fn the_filesystem_tells_its_size() {
    let quotas = Quotas {
        files: 10,
        bytes: 40960,
        descriptors: 10,
    };
    in_both_with(WasiConfig { quotas, ..config() }, |world| {
        let (len, counts) = match world.width {
            Width::W32 => (64, 8),
            Width::W64 => (104, 16),
        };
        let path = world.path("/");
        assert_eq!(world.call(Syscall::Statfs64, &[path, len, DATA]), 0);
        let count = |index: i64| world.get_uint(DATA + counts + 4 * index, 4);
        assert_eq!(
            [count(0), count(1), count(2), count(3), count(4)],
            [10, 9, 9, 10, 5]
        );
        assert_eq!(world.call(Syscall::Fstatfs64, &[1, len, DATA]), 0);
        assert_eq!(
            world.call(Syscall::Statfs64, &[path, 8, DATA]),
            error(Errno::Inval)
        );
    });
}

#[test]
fn there_are_no_pipes_and_no_sockets() {
    in_both(|world| {
        assert_eq!(world.call(Syscall::Pipe, &[DATA]), error(Errno::Nosys));
        assert_eq!(world.call(Syscall::Pipe2, &[DATA, 0]), error(Errno::Nosys));
        assert_eq!(world.call(Syscall::Socket, &[2, 1, 0]), -5);
        assert_eq!(
            world.call(Syscall::Connect, &[1, DATA, 16]),
            error(Errno::Notsock)
        );
        assert_eq!(
            world.call(Syscall::Connect, &[99, DATA, 16]),
            error(Errno::Badf)
        );
    });
}

fn put_pollfds(world: &mut World, entries: &[(i32, u16)]) {
    for (index, (fd, events)) in (0..).zip(entries) {
        world.put(DATA + 8 * index, &fd.to_le_bytes());
        world.put(DATA + 8 * index + 4, &events.to_le_bytes());
        world.put(DATA + 8 * index + 6, &[0xff; 2]);
    }
}

fn returned(world: &World, index: i64) -> u64 {
    world.get_uint(DATA + 8 * index + 6, 2)
}

fn pending(outcome: Outcome) -> PollRequest {
    match outcome {
        Outcome::Pending(request) => request,
        Outcome::Return(value) => panic!("returned {value}"),
    }
}

#[test]
fn poll_tells_what_is_ready() {
    in_both(|world| {
        let fd = world.open("f", O_RDWR);
        put_pollfds(world, &[(fd, 5), (1, 4), (0, 1), (99, 1), (-1, 1)]);
        assert_eq!(world.call(Syscall::Poll, &[DATA, 5, -1]), 4);
        let events: Vec<_> = (0..5).map(|index| returned(world, index)).collect();
        assert_eq!(events, [5, 4, 0x11, 0x20, 0]);
        assert_eq!(
            world.call(Syscall::Poll, &[DATA, 4097, 0]),
            error(Errno::Inval)
        );
    });
}

#[test]
fn poll_waits_for_input_and_for_time() {
    let stdin = StdinSource::Embedder;
    in_both_with(WasiConfig { stdin, ..config() }, |world| {
        put_pollfds(world, &[(0, 1)]);
        assert_eq!(world.call(Syscall::Poll, &[DATA, 1, 0]), 0);
        let request = pending(world.outcome(Syscall::Poll, &[DATA, 1, 250]));
        assert_eq!(
            (request.timeout_ns, request.stdin),
            (Some(250_000_000), true)
        );
        let (state, memory) = (&mut world.state, &mut world.memory);
        let outcome = syscalls::complete(state, memory, request, &Answer::Elapsed);
        assert_eq!((outcome, returned(world, 0)), (Outcome::Return(0), 0));
        let request = pending(world.outcome(Syscall::Poll, &[DATA, 1, -1]));
        assert_eq!((request.timeout_ns, request.stdin), (None, true));
        let (state, memory) = (&mut world.state, &mut world.memory);
        let outcome = syscalls::complete(state, memory, request, &Answer::Stdin(b"x"));
        assert_eq!((outcome, returned(world, 0)), (Outcome::Return(1), 1));
    });
    in_both_with(
        WasiConfig {
            stdin: StdinSource::Embedder,
            ..config()
        },
        |world| {
            put_pollfds(world, &[(0, 1)]);
            let request = pending(world.outcome(Syscall::Poll, &[DATA, 1, -1]));
            let (state, memory) = (&mut world.state, &mut world.memory);
            let outcome = syscalls::complete(state, memory, request, &Answer::Readable);
            assert_eq!((outcome, returned(world, 0)), (Outcome::Return(1), 1));
            assert_eq!(world.call(Syscall::Poll, &[DATA, 1, 0]), 0);
        },
    );
    in_both(|world| assert_eq!(world.call(Syscall::Poll, &[DATA, 0, 1000]), 0));
}

#[test]
fn select_tells_what_is_ready() {
    in_both(|world| {
        let fd = world.open("f", O_RDONLY);
        let (readers, writers) = (DATA, DATA + 128);
        let prepare = |world: &mut World| {
            world.put(readers, &[0; 128]);
            world.put(writers, &[0; 128]);
            world.put(readers, &[1 << fd | 1]);
            world.put(writers, &[1 << fd | 2]);
        };
        prepare(world);
        let args = [8, readers, writers, 0, 0];
        assert_eq!(world.call(Syscall::Newselect, &args), 3);
        assert_eq!(world.get(readers, 1), [1 << fd | 1]);
        assert_eq!(world.get(writers, 1), [2]);
        prepare(world);
        world.put(readers, &[0x80]);
        assert_eq!(world.call(Syscall::Newselect, &args), error(Errno::Badf));
        let many = [1025, readers, 0, 0, 0];
        assert_eq!(world.call(Syscall::Newselect, &many), error(Errno::Inval));
        world.put_size(VARARGS, 2);
        world.put_size(VARARGS + world.width.bytes() as i64, 5);
        assert_eq!(world.call(Syscall::Newselect, &[0, 0, 0, 0, VARARGS]), 0);
        assert_eq!(world.wasi(Function::ClockTimeGet, &[0, 0, DATA as u64]), 0);
        assert_eq!(world.get_uint(DATA, 8), NOW + 2_000_005_000);
    });
}

#[test]
fn pointers_out_of_bounds_and_endless_strings_are_refused() {
    in_both(|world| {
        let end = MEMORY as i64;
        for path in [end, -1, i64::from(u32::MAX), i64::MIN | 0xffff_ff00] {
            let opened = world.call(Syscall::Openat, &[AT_FDCWD, path, O_CREAT, 0]);
            assert_eq!(opened, error(Errno::Fault));
        }
        world.put(end - 3, b"abc");
        let opened = world.call(Syscall::Openat, &[AT_FDCWD, end - 3, O_CREAT, 0]);
        assert_eq!(opened, error(Errno::Fault));
        world.put(DATA, &[b'a'; 100_000]);
        let opened = world.call(Syscall::Openat, &[AT_FDCWD, DATA, O_CREAT, 0]);
        assert_eq!(opened, error(Errno::Nametoolong));
        let path = world.path("f");
        assert_eq!(
            world.call(Syscall::Stat64, &[path, end - 90]),
            error(Errno::Fault)
        );
        let utimes = world.call(Syscall::Utimensat, &[AT_FDCWD, path, -8, 0]);
        assert_eq!(utimes, error(Errno::Fault));
    });
}

/// Arguments at random: nothing panics, and the state stays a good one.
#[test]
fn nothing_that_a_guest_can_say_does_harm() {
    let quotas = Quotas {
        files: 64,
        bytes: 1 << 20,
        descriptors: 16,
    };
    let stdin = StdinSource::Embedder;
    in_both_with(
        WasiConfig {
            quotas,
            stdin,
            ..config()
        },
        |world| {
            let fresh = world.clone();
            let mut random = ChaCha8Rng::seed_from_u64(5);
            for round in 0..30_000 {
                world.string(PATH, ["f", "d", "l", "d/g", "", "../x"][round % 6]);
                world.string(OTHER_PATH, ["d/h", "y", "/", "d", "l"][round % 5]);
                let index = random.next_u32() as usize % Syscall::ALL.len();
                let syscall = Syscall::ALL[index];
                let args: Vec<_> = syscall
                    .params()
                    .iter()
                    .map(|param| hostile(&mut random, *param))
                    .collect();
                let outcome = world.outcome(syscall, &args);
                if let Outcome::Pending(request) = outcome {
                    let answers = [Answer::Elapsed, Answer::Stdin(b"x"), Answer::Time(1)];
                    let answer = &answers[random.next_u32() as usize % 3];
                    let (state, memory) = (&mut world.state, &mut world.memory);
                    let outcome = syscalls::complete(state, memory, request, answer);
                    assert!(matches!(outcome, Outcome::Return(_)));
                }
                if round % 100 == 0 {
                    let bytes = world.state.encode();
                    let decoded = WasiState::decode(&bytes, Quotas::MAX).expect("a good state");
                    assert_eq!(decoded.encode(), bytes);
                }
                if round % 1000 == 0 {
                    *world = fresh.clone();
                }
            }
        },
    );
}

fn hostile(random: &mut ChaCha8Rng, param: Param) -> i64 {
    let pointers = [
        PATH,
        OTHER_PATH,
        DATA,
        VARARGS,
        0,
        MEMORY as i64 - 4,
        MEMORY as i64,
    ];
    let small = i64::from(random.next_u32() % 12);
    match (param, random.next_u32() % 8) {
        (_, 0) => random.next_u64() as i64,
        (_, 1) => -1,
        (Param::Size, 2) => small * 64,
        (Param::Size, _) => pointers[random.next_u32() as usize % pointers.len()],
        (_, 2) => AT_FDCWD,
        (_, 3) => 1 << (random.next_u32() % 32),
        _ => small,
    }
}
