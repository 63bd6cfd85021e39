//! WASI as imports of a guest: what is done at once, and what the embedder is asked for.

use wasmbeam_core::store::Step;
use wasmbeam_core::wasi::{
    ClockId, ClockSource, OutputSink, OutputStream, RandomSource, StdinSource, WasiConfig,
};
use wasmbeam_core::{Error, Interruption, Question, Reply, Value};

use crate::support::{Guest, finish, int, question};

fn guest(wasi: WasiConfig) -> Guest {
    Guest::with_wasi(include_str!("fixtures/wasi.wat"), wasi)
}

/// A world in which the embedder is asked for everything.
fn asking() -> Guest {
    guest(WasiConfig {
        stdin: StdinSource::Embedder,
        stdout: OutputSink::Embedder,
        clock: ClockSource::Embedder,
        random: RandomSource::Embedder,
        ..WasiConfig::default()
    })
}

fn ask(guest: &mut Guest, name: &str, args: &[Value]) -> Question {
    let step = guest.begin(name, args);
    question(&mut guest.store, step)
}

fn reply(guest: &mut Guest, reply: Reply) -> i64 {
    let step = guest.store.reply(reply);
    int(&finish(&mut guest.store, step).unwrap())
}

#[test]
fn captured_output_needs_nobody() {
    let mut guest = guest(WasiConfig::default());
    assert_eq!(guest.int("hello", &[Value::I32(1)]), 0);
    assert_eq!(guest.read(128, 4), 13_u32.to_le_bytes());
}

#[test]
fn an_unknown_descriptor_is_an_error_of_the_guest() {
    let mut guest = guest(WasiConfig::default());
    // EBADF.
    assert_eq!(guest.int("hello", &[Value::I32(77)]), 8);
}

#[test]
fn all_buffers_of_a_write_come_as_one_piece_of_output() {
    let mut guest = asking();
    assert_eq!(
        ask(&mut guest, "hello", &[Value::I32(1)]),
        Question::Output {
            stream: OutputStream::Stdout,
            bytes: b"hello, world\n".to_vec(),
        }
    );
    assert_eq!(reply(&mut guest, Reply::Written(13)), 0);
    assert_eq!(guest.read(128, 4), 13_u32.to_le_bytes());
}

#[test]
fn output_may_be_taken_in_part() {
    let mut guest = asking();
    ask(&mut guest, "hello", &[Value::I32(1)]);
    assert_eq!(reply(&mut guest, Reply::Written(5)), 0);
    assert_eq!(guest.read(128, 4), 5_u32.to_le_bytes());
}

#[test]
fn memory_is_at_hand_while_a_question_waits() {
    let mut guest = asking();
    ask(&mut guest, "hello", &[Value::I32(1)]);
    assert_eq!(guest.read(64, 5), b"hello");
    assert_eq!(reply(&mut guest, Reply::Written(13)), 0);
}

#[test]
fn input_is_asked_for() {
    let mut guest = asking();
    assert_eq!(
        ask(&mut guest, "read", &[]),
        Question::Stdin {
            max_len: 16,
            nonblocking: false
        }
    );
    assert_eq!(reply(&mut guest, Reply::Stdin(b"typed".to_vec())), 0);
    assert_eq!(guest.read(1024, 5), b"typed");
    assert_eq!(guest.read(520, 4), 5_u32.to_le_bytes());
}

#[test]
fn a_sleep_surfaces_as_a_question() {
    let mut guest = guest(WasiConfig::default());
    assert_eq!(
        ask(&mut guest, "sleep", &[]),
        Question::Wait {
            timeout_ns: Some(1_500_000),
            stdin: false
        }
    );
    assert_eq!(reply(&mut guest, Reply::Elapsed), 0);
    // One event, for the subscription's clock.
    assert_eq!(guest.read(448, 4), 1_u32.to_le_bytes());
}

#[test]
fn a_sleep_takes_no_time_where_the_clock_is_fixed() {
    let mut guest = guest(WasiConfig {
        clock: ClockSource::Fixed(1_000),
        ..WasiConfig::default()
    });
    assert_eq!(guest.int("sleep", &[]), 0);
    assert_eq!(guest.int("time", &[]), 1_501_000);
}

#[test]
fn a_sleep_can_be_interrupted() {
    let mut guest = guest(WasiConfig::default());
    ask(&mut guest, "sleep", &[]);
    guest.store.interrupt_flag().set(Interruption::Cancelled);
    let step = guest.store.reply(Reply::Elapsed);
    assert!(matches!(
        finish(&mut guest.store, step),
        Err(Error::Interrupted(Interruption::Cancelled))
    ));
}

#[test]
fn a_guest_that_lets_others_run_yields() {
    let mut guest = asking();
    let step = guest.begin("sched_yield", &[]);
    assert!(matches!(step, Step::Yielded), "{step:?}");
    let step = guest.store.resume();
    assert_eq!(int(&finish(&mut guest.store, step).unwrap()), 0);
}

#[test]
fn exit_gives_its_status() {
    let mut guest = asking();
    for status in [0, 1, 255] {
        match guest.call("exit", &[Value::I32(status)]) {
            Err(Error::Exit { status: given }) => assert_eq!(given, status as u32),
            outcome => panic!("{outcome:?}"),
        }
    }
}

#[test]
fn the_time_is_asked_for() {
    let mut guest = asking();
    assert_eq!(
        ask(&mut guest, "time", &[]),
        Question::Clock {
            id: ClockId::Realtime
        }
    );
    assert_eq!(reply(&mut guest, Reply::Time(1_234)), 1_234);
}

#[test]
fn random_bytes_are_asked_for_or_come_from_a_seed() {
    let mut guest = asking();
    assert_eq!(ask(&mut guest, "random", &[]), Question::Random { len: 4 });
    assert_eq!(reply(&mut guest, Reply::Random(vec![1, 2, 0, 0])), 513);
    let seeded = || {
        self::guest(WasiConfig {
            random: RandomSource::Seed(42),
            ..WasiConfig::default()
        })
    };
    assert_eq!(seeded().int("random", &[]), seeded().int("random", &[]));
}

#[test]
fn arguments_are_those_of_the_configuration() {
    let mut guest = guest(WasiConfig {
        args: vec![b"program".to_vec(), b"-v".to_vec()],
        ..WasiConfig::default()
    });
    assert_eq!(guest.int("args", &[]), 0);
    assert_eq!(guest.read(820, 11), b"program\0-v\0");
}

#[test]
fn a_configuration_that_cannot_be_is_a_bad_argument_at_its_first_use() {
    let mut guest = guest(WasiConfig {
        args: vec![b"nul\0".to_vec()],
        ..WasiConfig::default()
    });
    assert!(matches!(
        guest.call("args", &[]),
        Err(Error::BadArgument { .. })
    ));
}
