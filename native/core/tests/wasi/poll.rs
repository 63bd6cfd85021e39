use wasmbeam_core::wasi::{
    Answer, ClockId, ClockSource, Function, Outcome, Request, StdinSource, WasiConfig,
};

use crate::world::*;

const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy)]
enum Interest {
    Clock {
        id: u32,
        timeout: u64,
        absolute: bool,
    },
    Read(u32),
    Write(u32),
    Tag(u8),
}

fn put_subscriptions(world: &mut World, subscriptions: &[(u64, Interest)]) -> [u64; 4] {
    for (index, (userdata, interest)) in (0..).zip(subscriptions) {
        let at = ARRAY + index * 48;
        world.put(at, &[0; 48]);
        world.put(at, &userdata.to_le_bytes());
        match *interest {
            Interest::Clock {
                id,
                timeout,
                absolute,
            } => {
                world.put(at + 16, &id.to_le_bytes());
                world.put(at + 24, &timeout.to_le_bytes());
                world.put(at + 40, &[u8::from(absolute)]);
            }
            Interest::Read(fd) => {
                world.put(at + 8, &[1]);
                world.put(at + 16, &fd.to_le_bytes());
            }
            Interest::Write(fd) => {
                world.put(at + 8, &[2]);
                world.put(at + 16, &fd.to_le_bytes());
            }
            Interest::Tag(tag) => world.put(at + 8, &[tag]),
        }
    }
    [ARRAY, DATA, subscriptions.len() as u64, RESULT]
}

/// What an event says: userdata, error, type, bytes, flags.
type Event = (u64, u64, u64, u64, u64);

fn events(world: &World) -> Vec<Event> {
    (0..world.get_size(RESULT))
        .map(|index| {
            let field = |offset, len| world.get_uint(DATA + index * 32 + offset, len);
            (
                field(0, 8),
                field(8, 2),
                field(10, 1),
                field(16, 8),
                field(24, 2),
            )
        })
        .collect()
}

fn poll(world: &mut World, subscriptions: &[(u64, Interest)]) -> Result<Vec<Event>> {
    let args = put_subscriptions(world, subscriptions);
    world.call(Function::PollOneoff, &args)?;
    Ok(events(world))
}

fn wait(world: &mut World, subscriptions: &[(u64, Interest)]) -> Request {
    let args = put_subscriptions(world, subscriptions);
    let outcome = world.outcome(Function::PollOneoff, &args);
    let Outcome::Pending(request) = outcome else {
        panic!("{outcome:?}")
    };
    request
}

fn relative(timeout: u64) -> Interest {
    Interest::Clock {
        id: 1,
        timeout,
        absolute: false,
    }
}

#[test]
fn files_are_ready_and_say_how_much() {
    in_both(|world| {
        world.state.write_file(b"file", b"0123456789").unwrap();
        let fd = world.open("file", 0).unwrap();
        world.seek(fd, 4, SET).unwrap();
        let fd = fd as u32;
        let subscriptions = [
            (1, Interest::Read(fd)),
            (2, Interest::Write(fd)),
            (3, relative(SECOND)),
        ];
        let ready = poll(world, &subscriptions).unwrap();
        assert_eq!(ready, [(1, 0, 1, 6, 0), (2, 0, 2, 0, 0)]);
        let outputs = poll(world, &[(1, Interest::Write(1)), (2, Interest::Write(2))]).unwrap();
        assert_eq!(outputs, [(1, 0, 2, 0, 0), (2, 0, 2, 0, 0)]);
    });
}

#[test]
fn what_cannot_be_polled_is_an_event_with_an_error() {
    in_both(|world| {
        let ready = poll(
            world,
            &[
                (1, Interest::Read(99)),
                (2, Interest::Read(1)),
                (3, Interest::Write(0)),
                (4, Interest::Read(ROOT as u32)),
                (5, Interest::Tag(9)),
                (
                    6,
                    Interest::Clock {
                        id: 7,
                        timeout: 1,
                        absolute: false,
                    },
                ),
                (7, relative(SECOND)),
            ],
        );
        let errors: Vec<_> = ready
            .unwrap()
            .into_iter()
            .map(|event| (event.0, event.1))
            .collect();
        let (badf, inval) = (u64::from(BADF), u64::from(INVAL));
        assert_eq!(
            errors,
            [
                (1, badf),
                (2, badf),
                (3, badf),
                (4, badf),
                (5, inval),
                (6, inval)
            ]
        );
    });
}

#[test]
fn input_is_ready_until_its_end_and_then_hung_up() {
    let stdin = StdinSource::Bytes(b"abc".to_vec());
    in_both_with(WasiConfig { stdin, ..config() }, |world| {
        assert_eq!(
            poll(world, &[(1, Interest::Read(0))]).unwrap(),
            [(1, 0, 1, 3, 0)]
        );
        world.read(0, 10).unwrap();
        assert_eq!(
            poll(world, &[(1, Interest::Read(0))]).unwrap(),
            [(1, 0, 1, 0, 1)]
        );
    });
}

#[test]
fn a_sleep_by_a_fixed_clock_takes_no_time_and_moves_it() {
    in_both(|world| {
        let subscriptions = [(1, relative(5 * SECOND)), (2, relative(3 * SECOND))];
        assert_eq!(poll(world, &subscriptions).unwrap(), [(2, 0, 0, 0, 0)]);
        world.call(Function::ClockTimeGet, &[0, 0, RESULT]).unwrap();
        assert_eq!(world.get_uint(RESULT, 8), NOW + 3 * SECOND);
        let past = Interest::Clock {
            id: 0,
            timeout: NOW,
            absolute: true,
        };
        assert_eq!(poll(world, &[(9, past)]).unwrap(), [(9, 0, 0, 0, 0)]);
        let at = Interest::Clock {
            id: 0,
            timeout: NOW + 4 * SECOND,
            absolute: true,
        };
        assert_eq!(poll(world, &[(9, at)]).unwrap(), [(9, 0, 0, 0, 0)]);
        world.call(Function::ClockTimeGet, &[1, 0, RESULT]).unwrap();
        assert_eq!(world.get_uint(RESULT, 8), NOW + 4 * SECOND);
    });
}

#[test]
fn a_sleep_by_the_machines_clock_is_left_to_the_embedder() {
    in_both_with(
        WasiConfig {
            clock: ClockSource::System,
            ..config()
        },
        |world| {
            let subscriptions = [(1, relative(5 * SECOND)), (2, relative(3 * SECOND))];
            let request = wait(world, &subscriptions);
            let Request::Wait(wait) = &request else {
                panic!("{request:?}")
            };
            assert_eq!((wait.timeout_ns, wait.stdin), (Some(3 * SECOND), false));
            assert_eq!(world.complete(request, &Answer::Elapsed).errno(), Some(0));
            assert_eq!(events(world), [(2, 0, 0, 0, 0)]);
            assert_eq!(poll(world, &[(1, relative(0))]).unwrap(), [(1, 0, 0, 0, 0)]);
        },
    );
}

#[test]
fn a_wait_for_input_ends_with_input_or_with_the_time() {
    let with = WasiConfig {
        stdin: StdinSource::Embedder,
        ..config()
    };
    in_both_with(with, |world| {
        let subscriptions = [(1, Interest::Read(0)), (2, relative(SECOND))];
        let request = wait(world, &subscriptions);
        let Request::Wait(waiting) = &request else {
            panic!("{request:?}")
        };
        assert_eq!((waiting.timeout_ns, waiting.stdin), (Some(SECOND), true));
        assert_eq!(
            world.complete(request, &Answer::Stdin(b"hey")).errno(),
            Some(0)
        );
        assert_eq!(events(world), [(1, 0, 1, 3, 0)]);
        assert_eq!(world.read(0, 10).unwrap(), b"hey");
        let request = wait(world, &subscriptions);
        assert_eq!(world.complete(request, &Answer::Elapsed).errno(), Some(0));
        assert_eq!(events(world), [(2, 0, 0, 0, 0)]);
        let request = wait(world, &subscriptions[..1]);
        let Request::Wait(waiting) = &request else {
            panic!("{request:?}")
        };
        assert_eq!((waiting.timeout_ns, waiting.stdin), (None, true));
        assert_eq!(
            world.complete(request, &Answer::Stdin(b"")).errno(),
            Some(0)
        );
        assert_eq!(events(world), [(1, 0, 1, 0, 1)]);
    });
}

#[test]
fn input_that_is_only_announced_is_ready_once_and_asked_for_by_a_read() {
    let with = WasiConfig {
        clock: ClockSource::System,
        stdin: StdinSource::Embedder,
        ..config()
    };
    in_both_with(with, |world| {
        let subscriptions = [(1, Interest::Read(0)), (2, relative(SECOND))];
        for _ in 0..2 {
            let request = wait(world, &subscriptions);
            assert_eq!(world.complete(request, &Answer::Readable).errno(), Some(0));
            assert_eq!(events(world), [(1, 0, 1, 1, 0)]);
        }
        let request = wait(world, &[(1, relative(SECOND))]);
        let refused = world.complete(request, &Answer::Readable);
        assert_ne!(refused.errno(), Some(0));
    });
}

#[test]
fn an_absolute_time_of_the_embedders_clock_is_asked_for_first() {
    let with = WasiConfig {
        clock: ClockSource::Embedder,
        ..config()
    };
    in_both_with(with, |world| {
        let at = |id, timeout| Interest::Clock {
            id,
            timeout,
            absolute: true,
        };
        let request = wait(world, &[(1, at(0, 100)), (2, at(1, 2 * SECOND))]);
        let Request::Clock(clock) = &request else {
            panic!("{request:?}")
        };
        assert_eq!(clock.id, ClockId::Realtime);
        let outcome = world.complete(request, &Answer::Time(40));
        let Outcome::Pending(request) = outcome else {
            panic!("{outcome:?}")
        };
        let Request::Clock(clock) = &request else {
            panic!("{request:?}")
        };
        assert_eq!(clock.id, ClockId::Monotonic);
        let outcome = world.complete(request, &Answer::Time(SECOND));
        let Outcome::Pending(request) = outcome else {
            panic!("{outcome:?}")
        };
        let Request::Wait(waiting) = &request else {
            panic!("{request:?}")
        };
        assert_eq!(waiting.timeout_ns, Some(60));
        assert_eq!(world.complete(request, &Answer::Elapsed).errno(), Some(0));
        assert_eq!(events(world), [(1, 0, 0, 0, 0)]);
    });
}

#[test]
fn none_or_too_many_subscriptions_are_refused() {
    in_both(|world| {
        assert_eq!(poll(world, &[]), Err(INVAL));
        let many = [ARRAY, DATA, 4097, RESULT];
        assert_eq!(world.call(Function::PollOneoff, &many), Err(INVAL));
    });
}
