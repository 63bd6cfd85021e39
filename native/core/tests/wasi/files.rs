use crate::world::*;
use wasmbeam_core::wasi::{
    Answer, Function, Outcome, OutputSink, OutputStream, Quotas, Request, WasiConfig,
};

#[test]
fn what_is_written_is_read_back() {
    in_both(|world| {
        let fd = world.open("file", CREATE).unwrap();
        assert_eq!(world.write(fd, b"hello "), Ok(6));
        assert_eq!(world.write(fd, b"world"), Ok(5));
        assert_eq!(world.tell(fd), Ok(11));
        assert_eq!(world.seek(fd, 0, SET), Ok(0));
        assert_eq!(world.read(fd, 100).unwrap(), b"hello world");
        assert_eq!(world.read(fd, 100).unwrap(), b"");
        assert_eq!(world.contents("file"), b"hello world");
    });
}

#[test]
fn every_buffer_of_a_call_is_written_and_read() {
    in_both(|world| {
        let fd = world.open("file", CREATE).unwrap();
        world.put(DATA, b"abcdefghij");
        let (pointer, count) = world.put_buffers(&[3, 0, 5, 2]);
        world
            .call(Function::FdWrite, &[fd, pointer, count, RESULT])
            .unwrap();
        assert_eq!(world.get_size(RESULT), 10);
        assert_eq!(world.contents("file"), b"abcdefghij");
        world.put(DATA, &[0; 10]);
        let (pointer, count) = world.put_buffers(&[1, 4, 100]);
        world
            .call(Function::FdPread, &[fd, pointer, count, 2, RESULT])
            .unwrap();
        assert_eq!(world.get_size(RESULT), 8);
        assert_eq!(world.get(DATA, 8), b"cdefghij");
    });
}

#[test]
fn buffers_may_overlap_the_array_that_names_them() {
    in_both(|world| {
        let fd = world.open("file", CREATE).unwrap();
        world.write(fd, &[0xff; 64]).unwrap();
        let size = world.size();
        world.put_size(ARRAY, ARRAY);
        world.put_size(ARRAY + size, 2 * size);
        world.put_size(ARRAY + 2 * size, DATA);
        world.put_size(ARRAY + 3 * size, 8);
        world
            .call(Function::FdPread, &[fd, ARRAY, 2, 0, RESULT])
            .unwrap();
        assert_eq!(world.get_size(RESULT), 2 * size + 8);
        assert_eq!(world.get(DATA, 8), [0xff; 8]);
    });
}

#[test]
fn positioned_io_leaves_the_offset() {
    in_both(|world| {
        let fd = world.open("file", CREATE).unwrap();
        world.write(fd, b"0123456789").unwrap();
        assert_eq!(world.pwrite(fd, b"ab", 4), Ok(2));
        assert_eq!(world.pread(fd, 4, 3).unwrap(), b"3ab6");
        assert_eq!(world.tell(fd), Ok(10));
    });
}

#[test]
fn append_writes_at_the_end_wherever_the_offset_is() {
    in_both(|world| {
        world.state.write_file(b"file", b"start").unwrap();
        let rights = (ALL_RIGHTS, 0);
        let fd = world.open_with(ROOT, 0, "file", 0, rights, APPEND).unwrap();
        world.seek(fd, 0, SET).unwrap();
        world.write(fd, b"+end").unwrap();
        assert_eq!(world.tell(fd), Ok(9));
        world.call(Function::FdFdstatSetFlags, &[fd, 0]).unwrap();
        world.seek(fd, 0, SET).unwrap();
        world.write(fd, b"S").unwrap();
        assert_eq!(world.contents("file"), b"Start+end");
    });
}

#[test]
fn seeking_beyond_the_end_leaves_a_hole_of_zeros() {
    in_both(|world| {
        let fd = world.open("file", CREATE).unwrap();
        assert_eq!(world.seek(fd, 100_000, SET), Ok(100_000));
        assert_eq!(world.fstat(fd).unwrap().size, 0);
        world.write(fd, b"x").unwrap();
        assert_eq!(world.fstat(fd).unwrap().size, 100_001);
        assert_eq!(world.pread(fd, 3, 99_999).unwrap(), b"\0x");
    });
}

#[test]
fn seeks_start_where_they_are_told() {
    in_both(|world| {
        world.state.write_file(b"file", &[0; 50]).unwrap();
        let fd = world.open("file", 0).unwrap();
        assert_eq!(world.seek(fd, -10, END), Ok(40));
        assert_eq!(world.seek(fd, 5, CURRENT), Ok(45));
        assert_eq!(world.seek(fd, -46, CURRENT), Err(INVAL));
        assert_eq!(world.seek(fd, i64::MIN, CURRENT), Err(INVAL));
        assert_eq!(world.seek(fd, 0, 3), Err(INVAL));
        assert_eq!(world.seek(fd, i64::MAX, SET), Ok(i64::MAX as u64));
        assert_eq!(world.read(fd, 10).unwrap(), b"");
        assert_eq!(world.write(fd, b"x"), Err(FBIG));
    });
}

#[test]
fn truncating_cuts_and_extends() {
    in_both(|world| {
        world.state.write_file(b"file", b"0123456789").unwrap();
        let fd = world.open("file", 0).unwrap();
        world.call(Function::FdFilestatSetSize, &[fd, 4]).unwrap();
        assert_eq!(world.contents("file"), b"0123");
        world.call(Function::FdFilestatSetSize, &[fd, 6]).unwrap();
        assert_eq!(world.contents("file"), b"0123\0\0");
        assert_eq!(
            world.call(Function::FdFilestatSetSize, &[fd, 1 << 63]),
            Err(FBIG)
        );
        let other = world.open("file", TRUNCATE).unwrap();
        assert_eq!(world.fstat(other).unwrap().size, 0);
        assert_eq!(
            world.call(Function::FdFilestatSetSize, &[ROOT, 0]),
            Err(ISDIR)
        );
        assert_eq!(world.call(Function::FdFilestatSetSize, &[1, 0]), Err(SPIPE));
    });
}

#[test]
fn allocating_only_ever_extends() {
    in_both(|world| {
        let fd = world.open("file", CREATE).unwrap();
        world.call(Function::FdAllocate, &[fd, 10, 90]).unwrap();
        assert_eq!(world.fstat(fd).unwrap().size, 100);
        world.call(Function::FdAllocate, &[fd, 0, 10]).unwrap();
        assert_eq!(world.fstat(fd).unwrap().size, 100);
        assert_eq!(world.call(Function::FdAllocate, &[fd, 0, 0]), Err(INVAL));
        assert_eq!(
            world.call(Function::FdAllocate, &[fd, u64::MAX, 2]),
            Err(FBIG)
        );
        assert_eq!(world.call(Function::FdAllocate, &[ROOT, 0, 1]), Err(ISDIR));
    });
}

#[test]
fn an_unlinked_file_lives_until_it_is_closed() {
    in_both(|world| {
        let fd = world.open("file", CREATE).unwrap();
        world.write(fd, &[1; 1000]).unwrap();
        world.unlink("file").unwrap();
        assert_eq!(world.stat("file", 0), Err(NOENT));
        assert_eq!(world.pread(fd, 3, 0).unwrap(), [1; 3]);
        assert_eq!(world.fstat(fd).unwrap().links, 0);
        assert_eq!(world.state.used_bytes(), 1000);
        world.close(fd).unwrap();
        assert_eq!(world.state.used_bytes(), 0);
    });
}

#[test]
fn sync_and_advice_are_accepted_where_they_make_sense() {
    in_both(|world| {
        let fd = world.open("file", CREATE).unwrap();
        for function in [Function::FdSync, Function::FdDatasync] {
            assert_eq!(world.call(function, &[fd]), Ok(()));
            assert_eq!(world.call(function, &[ROOT]), Ok(()));
            assert_eq!(world.call(function, &[1]), Ok(()));
            assert_eq!(world.call(function, &[99]), Err(BADF));
        }
        assert_eq!(world.call(Function::FdAdvise, &[fd, 0, 10, 5]), Ok(()));
        assert_eq!(world.call(Function::FdAdvise, &[fd, 0, 10, 6]), Err(INVAL));
        assert_eq!(
            world.call(Function::FdAdvise, &[1, 0, 10, 0]),
            Err(NOTCAPABLE)
        );
    });
}

#[test]
fn times_are_those_of_the_clock_or_those_given() {
    in_both(|world| {
        let fd = world.open("file", CREATE).unwrap();
        let stat = world.fstat(fd).unwrap();
        assert_eq!(
            (stat.accessed, stat.modified, stat.changed),
            (NOW, NOW, NOW)
        );
        world
            .call(Function::FdFilestatSetTimes, &[fd, 11, 22, 1 | 4])
            .unwrap();
        let stat = world.fstat(fd).unwrap();
        assert_eq!((stat.accessed, stat.modified, stat.changed), (11, 22, NOW));
        world
            .call(Function::FdFilestatSetTimes, &[fd, 0, 0, 2])
            .unwrap();
        let stat = world.stat("file", 0).unwrap();
        assert_eq!((stat.accessed, stat.modified), (NOW, 22));
        let (pointer, len) = world.path("file");
        let args = [ROOT, 0, pointer, len, 33, 44, 1 | 8];
        world.call(Function::PathFilestatSetTimes, &args).unwrap();
        let stat = world.stat("file", 0).unwrap();
        assert_eq!((stat.accessed, stat.modified), (33, NOW));
        for flags in [1 | 2, 4 | 8, 16] {
            let args = [fd, 0, 0, flags];
            assert_eq!(world.call(Function::FdFilestatSetTimes, &args), Err(INVAL));
        }
    });
}

#[test]
fn hard_links_are_one_file() {
    in_both(|world| {
        world.state.write_file(b"file", b"one").unwrap();
        world.hard_link(0, "file", "other").unwrap();
        let (file, other) = (
            world.stat("file", 0).unwrap(),
            world.stat("other", 0).unwrap(),
        );
        assert_eq!(file, other);
        assert_eq!(file.links, 2);
        let fd = world.open("other", TRUNCATE).unwrap();
        world.write(fd, b"two").unwrap();
        assert_eq!(world.contents("file"), b"two");
        world.unlink("file").unwrap();
        assert_eq!(world.stat("other", 0).unwrap().links, 1);
        assert_eq!(world.hard_link(0, "file", "third"), Err(NOENT));
        assert_eq!(world.hard_link(0, "other", "other"), Err(EXIST));
        assert_eq!(world.hard_link(0, "other", "third/"), Err(NOENT));
        world.create_directory("directory").unwrap();
        assert_eq!(world.hard_link(0, "directory", "third"), Err(PERM));
    });
}

/// The errno, and how often the call let others run.
fn in_pieces(world: &mut World, function: Function, args: &[u64]) -> (u16, usize) {
    let mut outcome = world.outcome(function, args);
    let mut yields = 0;
    while let Outcome::Pending(request @ Request::Yield(_)) = outcome {
        yields += 1;
        outcome = world.complete(request, &Answer::Elapsed);
    }
    (outcome.errno().unwrap(), yields)
}

/// Buffers that all are the first so many bytes of memory.
fn put_equal_buffers(world: &mut World, count: u64, len: u64) {
    let size = world.size();
    for index in 0..count {
        world.put_size(ARRAY + index * 2 * size, DATA);
        world.put_size(ARRAY + index * 2 * size + size, len);
    }
}

#[test]
fn a_long_transfer_is_whole_and_made_in_pieces() {
    in_both(|world| {
        let fd = world.open("file", CREATE).unwrap();
        let bytes: Vec<u8> = (0..1_000_003_u32).map(|n| ((n * 7) >> 3) as u8).collect();
        world.put(DATA, &bytes);
        put_equal_buffers(world, 20, bytes.len() as u64);
        let args = [fd, ARRAY, 20, RESULT];
        let (errno, yields) = in_pieces(world, Function::FdWrite, &args);
        assert_eq!((errno, world.get_size(RESULT)), (SUCCESS, 20_000_060));
        assert!(yields >= 70, "{yields}");
        assert_eq!(world.contents("file"), bytes.repeat(20));
        assert_eq!(world.seek(fd, 0, CURRENT), Ok(20_000_060));

        world.put(DATA, &vec![0; bytes.len()]);
        put_equal_buffers(world, 1, bytes.len() as u64);
        let args = [fd, ARRAY, 1, 1_000_003 * 3, RESULT];
        let (errno, yields) = in_pieces(world, Function::FdPread, &args);
        assert_eq!((errno, world.get_size(RESULT)), (SUCCESS, 1_000_003));
        assert!(yields >= 3, "{yields}");
        assert!(world.get(DATA, 1_000_003) == bytes);

        world.seek(fd, -1_000_005, END).unwrap();
        put_equal_buffers(world, 2, bytes.len() as u64);
        let (errno, _) = in_pieces(world, Function::FdRead, &[fd, ARRAY, 2, RESULT]);
        assert_eq!((errno, world.get_size(RESULT)), (SUCCESS, 1_000_005));
        assert_eq!(world.seek(fd, 0, CURRENT), Ok(20_000_060));
    });
}

#[test]
fn a_transfer_that_cannot_go_on_tells_how_far_it_came() {
    let quotas = Quotas {
        bytes: 700_000,
        ..Quotas::default()
    };
    in_both_with(WasiConfig { quotas, ..config() }, |world| {
        let fd = world.open("file", CREATE).unwrap();
        put_equal_buffers(world, 3, 500_000);
        let args = [fd, ARRAY, 3, RESULT];
        let (errno, _) = in_pieces(world, Function::FdWrite, &args);
        assert_eq!((errno, world.get_size(RESULT)), (SUCCESS, 700_000));
        assert_eq!(in_pieces(world, Function::FdWrite, &args).0, NOSPC);

        // What is read is cut while the call lets others run.
        put_equal_buffers(world, 1, 700_000);
        let args = [fd, ARRAY, 1, 0, RESULT];
        let Outcome::Pending(request) = world.outcome(Function::FdPread, &args) else {
            panic!("700,000 bytes at once");
        };
        world.state.write_file(b"file", b"short").unwrap();
        let outcome = world.complete(request, &Answer::Elapsed);
        assert_eq!(outcome.errno(), Some(SUCCESS));
        assert!((1..700_000).contains(&world.get_size(RESULT)));
    });
}

#[test]
fn appending_goes_on_behind_what_others_append_meanwhile() {
    in_both(|world| {
        let fd = world.open_with(ROOT, 0, "file", CREATE, (ALL_RIGHTS, 0), APPEND);
        let fd = fd.unwrap();
        put_equal_buffers(world, 1, 600_000);
        let args = [fd, ARRAY, 1, RESULT];
        let Outcome::Pending(request) = world.outcome(Function::FdWrite, &args) else {
            panic!("600,000 bytes at once");
        };
        let mut contents = world.contents("file");
        contents.extend_from_slice(b"between");
        world.state.write_file(b"file", &contents).unwrap();
        let mut outcome = world.complete(request, &Answer::Elapsed);
        while let Outcome::Pending(request) = outcome {
            outcome = world.complete(request, &Answer::Elapsed);
        }
        assert_eq!(world.get_size(RESULT), 600_000);
        assert_eq!(world.contents("file").len(), 600_007);
    });
}

#[test]
fn a_call_moves_a_bounded_number_of_bytes() {
    let stdout = OutputSink::Capture { limit: 5 };
    in_both_with(WasiConfig { stdout, ..config() }, |world| {
        put_equal_buffers(world, 1024, 3 << 20);
        let (errno, _) = in_pieces(world, Function::FdWrite, &[1, ARRAY, 1024, RESULT]);
        assert_eq!((errno, world.get_size(RESULT)), (SUCCESS, 0x7fff_f000));
        assert_eq!(world.state.discarded(OutputStream::Stdout), 0x7fff_f000 - 5);
    });
}
