use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use wasmbeam_core::wasi::{Answer, Function, Outcome, Param, Quotas, Request, WasiState, Width};

use crate::world::*;

/// Arguments with which each function succeeds, and which of them are pointers.
///
/// `PATH` holds `file`, `OTHER_PATH` holds `other`, `ARRAY` one buffer, or a subscription to a
/// clock; descriptor 4 is a file and 5 one that may be given up.
fn good(function: Function) -> (Vec<u64>, &'static [usize]) {
    match function {
        Function::ArgsGet | Function::EnvironGet => (vec![RESULT, DATA], &[0, 1]),
        Function::ArgsSizesGet | Function::EnvironSizesGet => (vec![RESULT, RESULT + 8], &[0, 1]),
        Function::ClockResGet => (vec![0, RESULT], &[1]),
        Function::ClockTimeGet => (vec![0, 0, RESULT], &[2]),
        Function::FdAdvise => (vec![4, 0, 10, 0], &[]),
        Function::FdAllocate => (vec![4, 0, 10], &[]),
        Function::FdClose => (vec![5], &[]),
        Function::FdDatasync | Function::FdSync => (vec![4], &[]),
        Function::FdFdstatGet | Function::FdFilestatGet | Function::FdTell => {
            (vec![4, RESULT], &[1])
        }
        Function::FdFdstatSetFlags => (vec![4, 0], &[]),
        Function::FdFdstatSetRights => (vec![5, 0, 0], &[]),
        Function::FdFilestatSetSize => (vec![4, 3], &[]),
        Function::FdFilestatSetTimes => (vec![4, 1, 2, 5], &[]),
        Function::FdPread | Function::FdPwrite => (vec![4, ARRAY, 1, 0, RESULT], &[1, 4]),
        Function::FdPrestatGet => (vec![3, RESULT], &[1]),
        Function::FdPrestatDirName => (vec![3, RESULT, 1], &[1]),
        Function::FdRead | Function::FdWrite => (vec![4, ARRAY, 1, RESULT], &[1, 3]),
        Function::FdReaddir => (vec![3, DATA, 100, 0, RESULT], &[1, 4]),
        Function::FdRenumber => (vec![4, 5], &[]),
        Function::FdSeek => (vec![4, 1, 0, RESULT], &[3]),
        Function::PathCreateDirectory => (vec![3, OTHER_PATH, 5], &[1]),
        Function::PathFilestatGet => (vec![3, 0, PATH, 4, RESULT], &[2, 4]),
        Function::PathFilestatSetTimes => (vec![3, 0, PATH, 4, 1, 2, 5], &[2]),
        Function::PathLink => (vec![3, 0, PATH, 4, 3, OTHER_PATH, 5], &[2, 5]),
        Function::PathOpen => (vec![3, 0, PATH, 4, 9, 2, 0, 0, RESULT], &[2, 8]),
        Function::PathReadlink => (vec![3, PATH + 8, 4, DATA, 10, RESULT], &[1, 3, 5]),
        Function::PathRemoveDirectory => (vec![3, PATH + 16, 3], &[1]),
        Function::PathRename => (vec![3, PATH, 4, 3, OTHER_PATH, 5], &[1, 4]),
        Function::PathSymlink => (vec![PATH, 4, 3, OTHER_PATH, 5], &[0, 3]),
        Function::PathUnlinkFile => (vec![3, PATH, 4], &[1]),
        Function::PollOneoff => (vec![ARRAY + 64, DATA, 1, RESULT], &[0, 1, 3]),
        Function::ProcExit | Function::ProcRaise => (vec![0], &[]),
        Function::SchedYield => (vec![], &[]),
        Function::RandomGet => (vec![DATA, 100], &[0]),
        Function::SockAccept => (vec![4, 0, RESULT], &[]),
        Function::SockRecv => (vec![4, ARRAY, 1, 0, RESULT, RESULT], &[]),
        Function::SockSend => (vec![4, ARRAY, 1, 0, RESULT], &[]),
        Function::SockShutdown => (vec![4, 0], &[]),
    }
}

fn prepare(world: &mut World) {
    world.state.write_file(b"file", b"some text").unwrap();
    world.symlink("file", "link").unwrap();
    world.create_directory("dir").unwrap();
    assert_eq!(world.open("file", 0), Ok(4));
    assert_eq!(world.open("file", 0), Ok(5));
    world.put(PATH, b"file\0\0\0\0link\0\0\0\0dir");
    world.put(OTHER_PATH, b"other");
    world.put_buffers(&[5]);
    world.put(DATA, b"bytes");
}

fn with_strings() -> wasmbeam_core::wasi::WasiConfig {
    wasmbeam_core::wasi::WasiConfig {
        args: vec![b"a".to_vec()],
        env: vec![(b"a".to_vec(), b"b".to_vec())],
        ..config()
    }
}

#[test]
fn every_function_is_known_by_its_name() {
    assert_eq!(Function::ALL.len(), 46);
    for function in Function::ALL {
        assert_eq!(Function::from_name(function.name()), Some(*function));
        assert_eq!(
            good(*function).0.len(),
            function.params().len(),
            "{function:?}"
        );
    }
    assert_eq!(Function::from_name("fd_unknown"), None);
}

#[test]
fn every_function_succeeds_with_good_arguments() {
    for function in Function::ALL {
        in_both_with(with_strings(), |world| {
            prepare(world);
            if matches!(function, Function::ProcExit) {
                return;
            }
            let wanted = if function.name().starts_with("sock_") {
                NOTSOCK
            } else {
                SUCCESS
            };
            assert_eq!(
                world.errno(*function, &good(*function).0),
                wanted,
                "{function:?}"
            );
        });
    }
}

#[test]
fn a_pointer_out_of_bounds_is_a_fault_and_nothing_happens() {
    for function in Function::ALL {
        in_both_with(with_strings(), |world| {
            prepare(world);
            let (args, pointers) = good(*function);
            let memory = world.memory.clone();
            let state = world.state.encode();
            let end = memory.len() as u64;
            for pointer in pointers {
                for bad in [
                    end,
                    end - 1,
                    u64::from(u32::MAX),
                    u64::MAX,
                    u64::MAX - 7,
                    1 << 63,
                ] {
                    // A name of one byte fits at the very end.
                    if *function == Function::FdPrestatDirName && bad == end - 1 {
                        continue;
                    }
                    let mut args = args.clone();
                    args[*pointer] = bad;
                    if world.abi.width == Width::W32 && bad as u32 as u64 + 64 < end {
                        continue;
                    }
                    assert_eq!(
                        world.errno(*function, &args),
                        FAULT,
                        "{function:?} {args:x?}"
                    );
                }
            }
            assert!(world.memory == memory, "{function:?} wrote to memory");
            assert_eq!(
                world.state.encode(),
                state,
                "{function:?} changed the state"
            );
        });
    }
}

#[test]
fn a_length_out_of_bounds_is_a_fault_and_nothing_happens() {
    for function in Function::ALL {
        in_both_with(with_strings(), |world| {
            prepare(world);
            let (args, pointers) = good(*function);
            let memory = world.memory.clone();
            let state = world.state.encode();
            for (index, param) in function.params().iter().enumerate() {
                let length = *param == Param::Size && !pointers.contains(&index);
                if !length || function.name().starts_with("sock_") {
                    continue;
                }
                for bad in [u64::from(u32::MAX), u64::MAX, 1 << 31, 1 << 60 | 1 << 30] {
                    let mut args = args.clone();
                    args[index] = bad;
                    assert_eq!(
                        world.errno(*function, &args),
                        FAULT,
                        "{function:?} {args:x?}"
                    );
                }
            }
            assert!(world.memory == memory, "{function:?} wrote to memory");
            assert_eq!(
                world.state.encode(),
                state,
                "{function:?} changed the state"
            );
        });
    }
}

#[test]
fn buffers_out_of_bounds_are_faults_wherever_they_are() {
    in_both(|world| {
        prepare(world);
        let size = world.size();
        let end = world.memory.len() as u64;
        for bad in [
            (end, 1),
            (0, end + 1),
            (u64::MAX, 1),
            (1, u64::MAX),
            (u64::MAX, u64::MAX),
        ] {
            world.put_buffers(&[5, 5, 5]);
            world.put_size(ARRAY + 4 * size, bad.0);
            world.put_size(ARRAY + 5 * size, bad.1);
            let state = world.state.encode();
            for function in [Function::FdRead, Function::FdWrite] {
                assert_eq!(world.errno(function, &[4, ARRAY, 3, RESULT]), FAULT);
            }
            for function in [Function::FdPread, Function::FdPwrite] {
                assert_eq!(world.errno(function, &[4, ARRAY, 3, 0, RESULT]), FAULT);
            }
            assert_eq!(
                world.errno(Function::FdWrite, &[1, ARRAY, 3, RESULT]),
                FAULT
            );
            assert_eq!(world.errno(Function::FdRead, &[0, ARRAY, 3, RESULT]), FAULT);
            assert_eq!(world.state.encode(), state);
        }
    });
}

#[test]
fn a_million_buffers_are_refused() {
    in_both(|world| {
        world.memory.resize(32 << 20, 0);
        let fd = world.open("file", CREATE).unwrap();
        for count in [1025, 1_000_000] {
            assert_eq!(
                world.errno(Function::FdWrite, &[fd, 0, count, RESULT]),
                INVAL
            );
            assert_eq!(
                world.errno(Function::FdRead, &[fd, 0, count, RESULT]),
                INVAL
            );
        }
        assert_eq!(
            world.errno(Function::FdWrite, &[fd, 1 << 20, 1024, RESULT]),
            SUCCESS
        );
    });
}

#[test]
fn an_empty_memory_is_only_out_of_bounds() {
    for function in Function::ALL {
        in_both_with(with_strings(), |world| {
            prepare(world);
            world.memory = Vec::new();
            let (args, pointers) = good(*function);
            let errno = match world.outcome(*function, &args) {
                Outcome::Return(Err(errno)) => errno.code(),
                _ => SUCCESS,
            };
            assert_eq!(errno == FAULT, !pointers.is_empty(), "{function:?}");
        });
    }
}

/// An answer to a request, which may be one that does not fit.
fn answer<'a>(random: &mut ChaCha8Rng, bytes: &'a [u8]) -> Answer<'a> {
    match random.next_u32() % 6 {
        0 => Answer::Stdin(bytes),
        1 => Answer::Written(random.next_u64()),
        2 => Answer::Time(random.next_u64()),
        3 => Answer::Random(bytes),
        4 => Answer::Error(wasmbeam_core::wasi::Errno::Io),
        _ => Answer::Elapsed,
    }
}

fn fitting(request: &Request) -> Answer<'static> {
    match request {
        Request::Stdin(_) => Answer::Stdin(b"input"),
        Request::Output(output) => Answer::Written(output.bytes.len() as u64),
        Request::Clock(_) => Answer::Time(12345),
        Request::Random(random) => Answer::Random(&[7; 65536][..random.len]),
        Request::Wait(_) | Request::Yield(_) => Answer::Elapsed,
    }
}

/// Arguments at random around good ones: nothing panics, a fault changes nothing, and the state
/// stays one that can be encoded and decoded.
#[test]
fn nothing_that_a_guest_can_say_does_harm() {
    use wasmbeam_core::wasi::{ClockSource, OutputSink, RandomSource, StdinSource, WasiConfig};
    let asking = WasiConfig {
        stdin: StdinSource::Embedder,
        stdout: OutputSink::Embedder,
        clock: ClockSource::Embedder,
        random: RandomSource::Embedder,
        ..with_strings()
    };
    let quotas = Quotas {
        files: 64,
        bytes: 1 << 20,
        descriptors: 16,
    };
    for with in [
        WasiConfig {
            quotas,
            ..with_strings()
        },
        WasiConfig { quotas, ..asking },
    ] {
        in_both_with(with, |world| {
            prepare(world);
            world.memory.truncate(DATA as usize + (64 << 10));
            let mut random = ChaCha8Rng::seed_from_u64(3);
            for round in 0..30_000 {
                let index = random.next_u32() as usize % Function::ALL.len();
                let function = Function::ALL[index];
                let mut args = good(function).0;
                for arg in &mut args {
                    if random.next_u32() % 3 == 0 {
                        *arg = hostile(&mut random, world.memory.len() as u64);
                    }
                }
                let mut outcome = world.outcome(function, &args);
                for _ in 0..4 {
                    let Outcome::Pending(request) = outcome else {
                        break;
                    };
                    let fits = random.next_u32() % 2 == 0;
                    let answer = if fits {
                        fitting(&request)
                    } else {
                        answer(&mut random, b"answer")
                    };
                    outcome = world.complete(request, &answer);
                }
                if round % 100 == 0 {
                    let bytes = world.state.encode();
                    let decoded = WasiState::decode(&bytes, Quotas::MAX).expect("a good state");
                    assert_eq!(decoded.encode(), bytes);
                }
                if round % 500 == 0 {
                    let memory = std::mem::take(&mut world.memory);
                    *world = World::new(
                        world.abi,
                        WasiConfig {
                            quotas,
                            ..with_strings()
                        },
                    );
                    world.memory.truncate(memory.len());
                    prepare_at(world);
                }
            }
        });
    }
}

fn prepare_at(world: &mut World) {
    world.memory.resize(4 << 20, 0);
    prepare(world);
    world.memory.truncate(DATA as usize + (64 << 10));
}

fn hostile(random: &mut ChaCha8Rng, end: u64) -> u64 {
    let edges = [
        0,
        1,
        8,
        end - 1,
        end,
        u64::from(u32::MAX),
        1 << 31,
        1 << 63,
        u64::MAX,
    ];
    match random.next_u32() % 6 {
        0 => random.next_u64(),
        1 => u64::from(random.next_u32() % 16),
        2 => 1 << (random.next_u32() % 64),
        3 => [PATH, OTHER_PATH, ARRAY, DATA, RESULT][random.next_u32() as usize % 5],
        _ => edges[random.next_u32() as usize % edges.len()],
    }
}
