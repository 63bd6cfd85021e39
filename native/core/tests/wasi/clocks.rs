use wasmbeam_core::wasi::{
    Answer, ClockId, ClockSource, Function, Outcome, RandomSource, Request, WasiConfig,
};

use crate::world::*;

fn time(world: &mut World, id: u64) -> Result<u64> {
    world.call(Function::ClockTimeGet, &[id, 0, RESULT])?;
    Ok(world.get_uint(RESULT, 8))
}

#[test]
fn a_fixed_clock_stands() {
    in_both(|world| {
        assert_eq!(time(world, 0), Ok(NOW));
        assert_eq!(time(world, 1), Ok(NOW));
        assert_eq!(time(world, 2), Ok(0));
        assert_eq!(time(world, 4), Err(INVAL));
    });
}

#[test]
fn the_clock_of_the_machine_goes_on() {
    in_both_with(
        WasiConfig {
            clock: ClockSource::System,
            ..config()
        },
        |world| {
            assert!(time(world, 0).unwrap() > NOW);
            let first = time(world, 1).unwrap();
            assert!(time(world, 1).unwrap() >= first);
            assert!(time(world, 2).is_ok() && time(world, 3).is_ok());
        },
    );
}

#[test]
fn clocks_tell_their_resolution() {
    in_both(|world| {
        for id in 0..4 {
            world.call(Function::ClockResGet, &[id, RESULT]).unwrap();
            assert_eq!(world.get_uint(RESULT, 8), 1);
        }
        assert_eq!(world.call(Function::ClockResGet, &[9, RESULT]), Err(INVAL));
    });
}

#[test]
fn an_embedder_tells_the_time_and_files_are_marked_with_it() {
    in_both_with(
        WasiConfig {
            clock: ClockSource::Embedder,
            ..config()
        },
        |world| {
            let ask = |world: &mut World, id: u64, answer: u64| {
                let outcome = world.outcome(Function::ClockTimeGet, &[id, 0, RESULT]);
                let Outcome::Pending(request) = outcome else {
                    panic!("{outcome:?}")
                };
                assert!(matches!(request, Request::Clock(_)));
                assert_eq!(
                    world.complete(request, &Answer::Time(answer)).errno(),
                    Some(0)
                );
                world.get_uint(RESULT, 8)
            };
            assert_eq!(ask(world, 0, 77), 77);
            assert_eq!(ask(world, 1, 3), 3);
            assert_eq!(ask(world, 1, 5_000_000_000), 5_000_000_000);
            assert_eq!(ask(world, 1, 4_000_000_000), 5_000_000_000);
            let fd = world.open("file", CREATE).unwrap();
            assert_eq!(world.fstat(fd).unwrap().modified, 77);
            let outcome = world.outcome(Function::ClockTimeGet, &[2, 0, RESULT]);
            let Outcome::Pending(Request::Clock(clock)) = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(clock.id, ClockId::ProcessCpuTime);
        },
    );
}

#[test]
fn equal_seeds_give_equal_bytes_in_whatever_pieces() {
    let mut streams = Vec::new();
    for lengths in [[64, 64], [100, 28]] {
        in_both_with(config(), |world| {
            for len in lengths {
                world.call(Function::RandomGet, &[DATA, len]).unwrap();
            }
        });
        let mut world = World::new(
            wasmbeam_core::wasi::Abi::preview1(wasmbeam_core::wasi::Width::W32),
            config(),
        );
        let mut bytes = Vec::new();
        for len in lengths {
            world.call(Function::RandomGet, &[DATA, len]).unwrap();
            bytes.extend(world.get(DATA, len));
        }
        streams.push(bytes);
    }
    assert_eq!(streams[0], streams[1]);
    assert!(streams[0].iter().any(|byte| *byte != streams[0][0]));
}

#[test]
fn a_long_run_of_random_bytes_lets_others_run_and_fills_the_buffer() {
    in_both_with(
        WasiConfig {
            random: RandomSource::System,
            ..config()
        },
        |world| {
            let len = 1 << 20;
            let mut outcome = world.outcome(Function::RandomGet, &[DATA, len]);
            let mut yields = 0;
            while let Outcome::Pending(request) = outcome {
                yields += 1;
                outcome = world.complete(request, &Answer::Elapsed);
            }
            assert_eq!((outcome.errno(), yields), (Some(0), 3));
            for piece in world.get(DATA, len).chunks(64) {
                assert!(piece.iter().any(|byte| *byte != 0));
            }
        },
    );
}

#[test]
fn an_embedder_supplies_random_bytes() {
    in_both_with(
        WasiConfig {
            random: RandomSource::Embedder,
            ..config()
        },
        |world| {
            let mut outcome = world.outcome(Function::RandomGet, &[DATA, 100_000]);
            let mut asked = Vec::new();
            while let Outcome::Pending(request) = outcome {
                let Request::Random(random) = &request else {
                    panic!("{request:?}")
                };
                let bytes = vec![asked.len() as u8 + 1; random.len];
                asked.push(random.len);
                outcome = world.complete(request, &Answer::Random(&bytes));
            }
            assert_eq!(outcome.errno(), Some(0));
            assert_eq!(asked, [65536, 100_000 - 65536]);
            assert_eq!(world.get(DATA + 99_999, 2), [2, 0]);
            let outcome = world.outcome(Function::RandomGet, &[DATA, 10]);
            let Outcome::Pending(request) = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(
                world.complete(request, &Answer::Random(&[1; 9])).errno(),
                Some(IO)
            );
        },
    );
}
