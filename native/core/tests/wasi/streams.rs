use wasmbeam_core::wasi::{
    Answer, Errno, Function, Outcome, OutputSink, OutputStream, Request, StdinSource, WasiConfig,
};

use crate::world::*;

#[test]
fn outputs_are_captured_apart() {
    in_both(|world| {
        world.write(1, b"out").unwrap();
        world.write(2, b"err").unwrap();
        world.write(1, b"put").unwrap();
        assert_eq!(world.state.captured(OutputStream::Stdout), b"output");
        assert_eq!(world.state.take_captured(OutputStream::Stderr), b"err");
        assert_eq!(world.state.captured(OutputStream::Stderr), b"");
        assert_eq!(world.write(0, b"x"), Err(BADF));
        assert_eq!(world.read(1, 1), Err(BADF));
    });
}

#[test]
fn output_beyond_the_limit_is_dropped_and_counted() {
    let stdout = OutputSink::Capture { limit: 5 };
    in_both_with(WasiConfig { stdout, ..config() }, |world| {
        assert_eq!(world.write(1, b"1234"), Ok(4));
        assert_eq!(world.write(1, b"5678"), Ok(4));
        assert_eq!(world.state.captured(OutputStream::Stdout), b"12345");
        assert_eq!(world.state.discarded(OutputStream::Stdout), 3);
        world.state.take_captured(OutputStream::Stdout);
        world.write(1, b"9").unwrap();
        assert_eq!(world.state.captured(OutputStream::Stdout), b"9");
    });
}

#[test]
fn an_embedder_takes_output_and_says_how_much() {
    let stdout = OutputSink::Embedder;
    in_both_with(WasiConfig { stdout, ..config() }, |world| {
        world.put(DATA, b"streamed");
        let (pointer, count) = world.put_buffers(&[3, 5]);
        let write = [1, pointer, count, RESULT];
        let Outcome::Pending(request) = world.outcome(Function::FdWrite, &write) else {
            panic!("a write that needs the embedder")
        };
        let Request::Output(output) = &request else {
            panic!("{request:?}")
        };
        assert_eq!(
            (output.stream, &*output.bytes),
            (OutputStream::Stdout, &b"streamed"[..])
        );
        let outcome = world.complete(request, &Answer::Written(6));
        assert_eq!(
            (outcome.errno(), world.get_size(RESULT)),
            (Some(SUCCESS), 6)
        );
        let Outcome::Pending(request) = world.outcome(Function::FdWrite, &write) else {
            panic!("a write that needs the embedder")
        };
        let outcome = world.complete(request, &Answer::Error(Errno::Pipe));
        assert_eq!(outcome, Outcome::Return(Err(Errno::Pipe)));
        assert_eq!(world.write(1, b""), Ok(0));
    });
}

#[test]
fn input_is_read_to_its_end() {
    let stdin = StdinSource::Bytes(b"line one\nline two\n".to_vec());
    in_both_with(WasiConfig { stdin, ..config() }, |world| {
        let (pointer, count) = world.put_buffers(&[4, 5]);
        world
            .call(Function::FdRead, &[0, pointer, count, RESULT])
            .unwrap();
        assert_eq!(world.get(DATA, 9), b"line one\n");
        assert_eq!(world.read(0, 100).unwrap(), b"line two\n");
        assert_eq!(world.read(0, 100).unwrap(), b"");
        world.state.push_stdin(b"more");
        assert_eq!(world.read(0, 100).unwrap(), b"more");
    });
}

#[test]
fn an_embedder_supplies_input() {
    let stdin = StdinSource::Embedder;
    in_both_with(WasiConfig { stdin, ..config() }, |world| {
        let ask = |world: &mut World, answer: &Answer<'_>| {
            let (pointer, count) = world.put_buffers(&[4]);
            let outcome = world.outcome(Function::FdRead, &[0, pointer, count, RESULT]);
            let Outcome::Pending(request) = outcome else {
                panic!("{outcome:?}")
            };
            let Request::Stdin(stdin) = &request else {
                panic!("{request:?}")
            };
            assert_eq!(stdin.max_len, 4);
            let errno = world.complete(request, answer).errno().unwrap();
            (errno, world.get(DATA, world.get_size(RESULT)))
        };
        assert_eq!(
            ask(world, &Answer::Stdin(b"abcdef")),
            (SUCCESS, b"abcd".to_vec())
        );
        assert_eq!(world.read(0, 4).unwrap(), b"ef");
        assert_eq!(ask(world, &Answer::Stdin(b"")), (SUCCESS, Vec::new()));
        assert_eq!(ask(world, &Answer::Stdin(b"g")), (SUCCESS, b"g".to_vec()));
        assert_eq!(ask(world, &Answer::Error(Errno::Again)).0, AGAIN);
        assert_eq!(ask(world, &Answer::Elapsed).0, IO);
        assert_eq!(world.read(0, 0).unwrap(), b"");
    });
}

#[test]
fn streams_are_no_files() {
    in_both(|world| {
        for fd in [0, 1, 2] {
            assert_eq!(world.fdstat(fd).unwrap().0, 0);
            assert_eq!(world.seek(fd, 0, CURRENT), Err(SPIPE));
            assert_eq!(world.tell(fd), Err(SPIPE));
            let stat = world.fstat(fd).unwrap();
            assert_eq!((stat.device, stat.file_type, stat.size), (0, 0, 0));
        }
    });
    in_both_with(
        WasiConfig {
            terminal: true,
            ..config()
        },
        |world| {
            assert_eq!(world.fdstat(1).unwrap().0, 2);
        },
    );
}

#[test]
fn a_guest_ends_as_it_says() {
    in_both(|world| {
        assert_eq!(world.outcome(Function::ProcExit, &[33]), Outcome::Exit(33));
        assert_eq!(
            world.outcome(Function::ProcExit, &[u64::MAX]),
            Outcome::Exit(u32::MAX)
        );
        assert_eq!(world.outcome(Function::ProcRaise, &[6]), Outcome::Raise(6));
        assert_eq!(
            world.outcome(Function::ProcRaise, &[0]),
            Outcome::Return(Ok(()))
        );
        assert_eq!(world.call(Function::ProcRaise, &[31]), Err(INVAL));
        let yields = world.outcome(Function::SchedYield, &[]);
        assert!(matches!(yields, Outcome::Pending(Request::Yield(_))));
    });
}
