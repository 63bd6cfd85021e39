//! What Emscripten's C library imports beside WASI, in both widths.

use wasmbeam_core::store::Step;
use wasmbeam_core::{Error, Limits, Value};

use crate::support::{Guest, finish, trap_code};

const PAGE: i64 = 1 << 16;

struct Program {
    guest: Guest,
    pointer: fn(i64) -> Value,
}

impl Program {
    fn pointers(&self, pointers: &[i64]) -> Vec<Value> {
        pointers
            .iter()
            .map(|pointer| (self.pointer)(*pointer))
            .collect()
    }

    fn call(&mut self, name: &str, pointers: &[i64]) -> Result<Vec<Value>, Error> {
        let args = self.pointers(pointers);
        self.guest.call(name, &args)
    }

    fn int(&mut self, name: &str, pointers: &[i64]) -> i64 {
        let args = self.pointers(pointers);
        self.guest.int(name, &args)
    }

    /// What `gmtime` makes of a time: the nine fields of `struct tm`.
    fn fields(&mut self, function: &str, time: i64) -> [i32; 9] {
        let args = [Value::I64(time), (self.pointer)(1024)];
        self.guest.call(function, &args).unwrap();
        let bytes = self.guest.read(1024, 36);
        std::array::from_fn(|field| {
            i32::from_le_bytes(bytes[4 * field..4 * field + 4].try_into().unwrap())
        })
    }
}

fn in_both_widths(test: impl Fn(Program)) {
    in_both_widths_within(Limits::default(), test);
}

fn in_both_widths_within(limits: Limits, test: impl Fn(Program)) {
    let wat = include_str!("fixtures/emscripten.wat");
    test(Program {
        guest: Guest::limited(&wat.replace("PTR", "i32").replace("INDEX", ""), limits).unwrap(),
        pointer: |pointer| Value::I32(pointer as i32),
    });
    test(Program {
        guest: Guest::limited(&wat.replace("PTR", "i64").replace("INDEX", "i64"), limits).unwrap(),
        pointer: Value::I64,
    });
}

#[test]
fn abort_is_a_trap_of_its_own() {
    in_both_widths(|mut program| {
        assert_eq!(
            trap_code(&program.call("abort", &[]).unwrap_err()),
            "aborted"
        );
    });
}

#[test]
fn a_failed_assertion_says_what_failed_and_where() {
    in_both_widths(|mut program| match program.call("assert_fail", &[]) {
        Err(Error::Trap(info)) => {
            assert_eq!(info.code, "aborted");
            assert_eq!(
                info.message,
                "assertion failed: x > 0, at main.c:42 in check"
            );
            assert_eq!(info.backtrace.len(), 1);
        }
        outcome => panic!("{outcome:?}"),
    });
}

#[test]
fn exit_gives_its_status() {
    in_both_widths(|mut program| {
        assert!(matches!(
            program.guest.call("exit", &[Value::I32(7)]),
            Err(Error::Exit { status: 7 })
        ));
    });
}

#[test]
fn memory_is_copied_where_it_overlaps_too() {
    in_both_widths(|mut program| {
        program.guest.write(100, b"abcdef");
        program.call("memcpy", &[102, 100, 6]).unwrap();
        assert_eq!(program.guest.read(100, 8), b"ababcdef");
    });
}

#[test]
fn a_long_copy_lets_others_run() {
    const MEMORY: usize = 64 << 16;
    const SIZE: usize = 5 << 19;
    let mut guest = Guest::new(
        r#"(module
            (import "env" "_emscripten_memcpy_js" (func $copy (param i32 i32 i32)))
            (memory 64)
            (func (export "copy") (param i32 i32 i32)
                (call $copy (local.get 0) (local.get 1) (local.get 2))))"#,
    );
    let mut bytes: Vec<u8> = (0..MEMORY).map(|at| (at % 251) as u8).collect();
    guest.write(0, &bytes);
    for (to, from) in [(12_345, 0), (0, 54_321), (7, 7)] {
        let args = [to, from, SIZE].map(|arg| Value::I32(arg as i32));
        let step = guest.begin("copy", &args);
        assert!(matches!(step, Step::Yielded), "{step:?}");
        finish(&mut guest.store, step).unwrap();
        bytes.copy_within(from..from + SIZE, to);
        assert!(guest.read(0, MEMORY) == bytes, "from {from} to {to}");
    }
}

#[test]
fn copying_beyond_the_memory_traps() {
    in_both_widths(|mut program| {
        for pointers in [[PAGE - 1, 0, 2], [0, PAGE - 1, 2], [0, 0, -1], [-1, 0, 1]] {
            let error = program.call("memcpy", &pointers).unwrap_err();
            assert_eq!(trap_code(&error), "memory_out_of_bounds");
        }
    });
}

#[test]
fn the_heap_grows_to_what_is_asked_for() {
    in_both_widths(|mut program| {
        assert_eq!(program.int("resize_heap", &[3 * PAGE + 1]), 1);
        let size = program
            .guest
            .store
            .memory_size(0, crate::support::MEMORY)
            .unwrap();
        assert_eq!(size as i64, 4 * PAGE);
        assert_eq!(program.int("resize_heap", &[PAGE]), 1);
    });
}

#[test]
fn a_heap_that_cannot_grow_is_left_as_it_is() {
    in_both_widths(|mut program| {
        // The module's own maximum is 16 pages.
        assert_eq!(program.int("resize_heap", &[17 * PAGE]), 0);
        assert_eq!(program.int("resize_heap", &[-1]), 0);
    });
    let limits = Limits {
        memory: 2 << 16,
        ..Limits::default()
    };
    in_both_widths_within(limits, |mut program| {
        assert_eq!(program.int("resize_heap", &[3 * PAGE]), 0);
        assert_eq!(program.int("resize_heap", &[2 * PAGE]), 1);
    });
}

#[test]
fn the_greatest_heap_is_a_multiple_of_the_page() {
    in_both_widths(|mut program| {
        let max = program.int("heap_max", &[]) as u32 as i64;
        assert_eq!(max % PAGE, 0);
    });
}

#[test]
fn there_is_no_shell() {
    in_both_widths(|mut program| {
        assert_eq!(program.int("system", &[0]), 0);
        assert_eq!(program.int("system", &[16]), -52);
    });
}

#[test]
fn times_become_dates() {
    in_both_widths(|mut program| {
        // 2024-02-29 12:34:56, a Thursday, the 60th day of its year.
        let expected = [56, 34, 12, 29, 1, 124, 4, 59, 0];
        assert_eq!(program.fields("gmtime", 1_709_210_096), expected);
        assert_eq!(program.fields("localtime", 1_709_210_096), expected);
        assert_eq!(program.fields("gmtime", 0), [0, 0, 0, 1, 0, 70, 4, 0, 0]);
        assert_eq!(
            program.fields("gmtime", -1),
            [59, 59, 23, 31, 11, 69, 3, 364, 0]
        );
    });
}

#[test]
fn dates_become_times_again() {
    in_both_widths(|mut program| {
        for time in [
            0,
            -1,
            1_709_210_096,
            -62_135_596_800,
            253_402_300_799,
            951_782_400,
        ] {
            program.fields("gmtime", time);
            assert_eq!(program.int("mktime", &[1024]), time);
        }
    });
}

#[test]
fn fields_beyond_their_range_carry_over() {
    in_both_widths(|mut program| {
        // The 32nd of the 14th month of 2023, 25:61:61.
        let fields = [61, 61, 25, 32, 13, 123];
        let bytes: Vec<u8> = fields.iter().flat_map(|f: &i32| f.to_le_bytes()).collect();
        program.guest.write(1024, &bytes);
        let time = program.int("mktime", &[1024]);
        let date = program.fields("gmtime", time);
        // February 2024 has 29 days.
        assert_eq!(date[..6], [1, 2, 2, 4, 2, 124]);
    });
}

#[test]
fn any_time_whatever_becomes_a_date() {
    in_both_widths(|mut program| {
        for time in [i64::MIN, i64::MAX] {
            program.fields("gmtime", time);
        }
    });
}

#[test]
fn a_date_of_extremes_becomes_a_time() {
    in_both_widths(|mut program| {
        for field in [i32::MIN, i32::MAX] {
            let bytes: Vec<u8> = [field; 9].iter().flat_map(|f| f.to_le_bytes()).collect();
            program.guest.write(1024, &bytes);
            program.call("mktime", &[1024]).unwrap();
        }
    });
}

#[test]
fn dates_beyond_the_memory_trap() {
    in_both_widths(|mut program| {
        let args = [Value::I64(0), (program.pointer)(PAGE - 4)];
        let error = program.guest.call("gmtime", &args).unwrap_err();
        assert_eq!(trap_code(&error), "memory_out_of_bounds");
        let error = program.call("mktime", &[PAGE - 4]).unwrap_err();
        assert_eq!(trap_code(&error), "memory_out_of_bounds");
    });
}

#[test]
fn the_time_zone_is_utc() {
    in_both_widths(|mut program| {
        program.guest.write(200, &[0xff; 64]);
        program.call("tzset", &[200, 208, 216, 232]).unwrap();
        assert_eq!(program.guest.read(200, 4), [0; 4]);
        assert_eq!(program.guest.read(208, 4), [0; 4]);
        assert_eq!(program.guest.read(216, 4), *b"UTC\0");
        assert_eq!(program.guest.read(232, 4), *b"UTC\0");
    });
}

#[test]
fn clocks_go_forward() {
    in_both_widths(|mut program| {
        let mut now = |name| match program.call(name, &[]).unwrap()[..] {
            [Value::F64(bits)] => f64::from_bits(bits),
            _ => panic!("expected a float"),
        };
        // In milliseconds; 1.6e12 was in 2020.
        assert!(now("date_now") > 1.6e12);
        assert!(now("get_now") <= now("get_now"));
    });
}

#[test]
fn growth_of_the_memory_needs_no_notice() {
    in_both_widths(|mut program| {
        program.call("notify", &[0]).unwrap();
    });
}
