//! What Emscripten's C library imports beside WASI and system calls.

use wasmtime::{AsContext, AsContextMut, FuncType, Memory, Val, ValType};

use super::{NativeCall, Question, Reply, raw, sized, wasi};
use crate::error::{Error, Result, TrapInfo};
use crate::store::{Context, frames, instances};
use crate::wasi::{ClockId, OutputStream, Width};

/// `ENOSYS` as Emscripten numbers it.
const ENOSYS: i32 = 52;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Abort,
    AssertFail,
    ConsoleLog,
    DateNow,
    Exit,
    GetHeapMax,
    GetNow,
    GetNowIsMonotonic,
    LongJump,
    MemoryCopy,
    MemoryGrowth,
    Nothing,
    ResizeHeap,
    System,
    TimeZone,
    TimeToFields { local: bool },
    FieldsToTime,
}

/// The parameter and result types that a function goes with: `p` is a pointer or a size, `i`, `j`
/// and `d` are `i32`, `i64` and `f64`; `*` takes anything.
const FUNCTIONS: &[(&str, &str, &str, Function)] = &[
    ("abort", "", "", Function::Abort),
    ("_abort_js", "", "", Function::Abort),
    ("__assert_fail", "ppip", "", Function::AssertFail),
    ("emscripten_console_log", "p", "", Function::ConsoleLog),
    ("emscripten_console_warn", "p", "", Function::ConsoleLog),
    ("emscripten_console_error", "p", "", Function::ConsoleLog),
    ("emscripten_out", "p", "", Function::ConsoleLog),
    ("emscripten_err", "p", "", Function::ConsoleLog),
    ("emscripten_date_now", "", "d", Function::DateNow),
    ("exit", "i", "", Function::Exit),
    ("_exit", "i", "", Function::Exit),
    ("emscripten_force_exit", "i", "", Function::Exit),
    ("emscripten_get_heap_max", "", "p", Function::GetHeapMax),
    ("emscripten_get_now", "", "d", Function::GetNow),
    (
        "_emscripten_get_now_is_monotonic",
        "",
        "i",
        Function::GetNowIsMonotonic,
    ),
    (
        "emscripten_get_now_is_monotonic",
        "",
        "i",
        Function::GetNowIsMonotonic,
    ),
    ("_emscripten_throw_longjmp", "", "", Function::LongJump),
    ("emscripten_longjmp", "pi", "", Function::LongJump),
    ("_emscripten_memcpy_js", "ppp", "", Function::MemoryCopy),
    ("emscripten_memcpy_js", "ppp", "", Function::MemoryCopy),
    ("emscripten_memcpy_big", "ppp", "", Function::MemoryCopy),
    (
        "emscripten_notify_memory_growth",
        "p",
        "",
        Function::MemoryGrowth,
    ),
    (
        "_emscripten_runtime_keepalive_clear",
        "",
        "",
        Function::Nothing,
    ),
    ("emscripten_resize_heap", "p", "i", Function::ResizeHeap),
    ("_emscripten_system", "p", "i", Function::System),
    ("_tzset_js", "pppp", "", Function::TimeZone),
    (
        "_localtime_js",
        "jp",
        "",
        Function::TimeToFields { local: true },
    ),
    (
        "_gmtime_js",
        "jp",
        "",
        Function::TimeToFields { local: false },
    ),
    ("_mktime_js", "p", "j", Function::FieldsToTime),
    ("_timegm_js", "p", "j", Function::FieldsToTime),
];

impl Function {
    pub(super) fn find(name: &str, ty: &FuncType, width: Width) -> Option<Self> {
        let (_, params, results, function) = FUNCTIONS.iter().find(|(known, ..)| *known == name)?;
        (matches(params, ty.params(), width) && matches(results, ty.results(), width))
            .then_some(*function)
    }

    /// It leaves the guest's frames, which only the engine can do.
    pub(super) fn unwinds(self) -> bool {
        self == Self::LongJump
    }

    pub(super) async fn run(
        self,
        context: &mut Context<'_>,
        call: &NativeCall<'_>,
        results: &mut [Val],
    ) -> Result<()> {
        let arg = |index: usize| call.params.get(index).map_or(0, raw);
        let mut answer = |val: Val| {
            if let Some(slot) = results.first_mut() {
                *slot = val;
            }
        };
        match self {
            Self::Abort => return Err(aborted("abort() was called".into())),
            Self::AssertFail => return Err(assertion(context, call)),
            Self::Exit => {
                return Err(Error::Exit {
                    status: arg(0) as u32,
                });
            }
            Self::LongJump => return Err(Error::LongJump),
            Self::ConsoleLog => {
                let mut text = string(context, call, arg(0));
                text.push(b'\n');
                wasi::with_state(context, call.instance, |state, _| {
                    state.note(OutputStream::Stderr, &text);
                })?;
            }
            Self::DateNow => answer(milliseconds(context, call, ClockId::Realtime).await?),
            Self::GetNow => answer(milliseconds(context, call, ClockId::Monotonic).await?),
            Self::GetNowIsMonotonic => answer(Val::I32(1)),
            Self::GetHeapMax => answer(sized(call.width, heap_max(call.width))),
            Self::MemoryCopy => memory_copy(context, call, arg(0), arg(1), arg(2)).await?,
            Self::MemoryGrowth | Self::Nothing => {}
            Self::ResizeHeap => answer(Val::I32(i32::from(resize(context, call, arg(0))))),
            // There is no shell: asked whether there is one, the answer is no.
            Self::System => answer(Val::I32(if arg(0) == 0 { 0 } else { -ENOSYS })),
            Self::TimeZone => time_zone(context, call)?,
            Self::TimeToFields { local: _ } => {
                write_fields(context, call, arg(0).cast_signed(), arg(1))?;
            }
            Self::FieldsToTime => {
                let time = read_fields(context, call, arg(0))?;
                answer(Val::I64(time));
            }
        }
        Ok(())
    }
}

fn matches(pattern: &str, types: impl ExactSizeIterator<Item = ValType>, width: Width) -> bool {
    types.len() == pattern.len()
        && types.zip(pattern.chars()).all(|(ty, letter)| match letter {
            'i' => ty.is_i32(),
            'j' => ty.is_i64(),
            'd' => ty.is_f64(),
            _ if width == Width::W64 => ty.is_i64(),
            _ => ty.is_i32(),
        })
}

/// What a clock of the guest's WASI world shows, as JavaScript tells the time.
async fn milliseconds(
    context: &mut Context<'_>,
    call: &NativeCall<'_>,
    id: ClockId,
) -> Result<Val> {
    let time = wasi::with_state(context, call.instance, |state, _| state.time(id))?;
    let time = match time {
        Some(time) => time,
        None => match frames::ask(context, call.instance, Question::Clock { id }).await? {
            Reply::Time(time) => {
                wasi::with_state(context, call.instance, |state, _| state.told_time(id, time))?
            }
            _ => 0,
        },
    };
    Ok(Val::F64((time as f64 / 1e6).to_bits()))
}

fn heap_max(width: Width) -> u64 {
    match width {
        Width::W32 => (1 << 32) - (1 << 16),
        Width::W64 => 1 << 34,
    }
}

fn aborted(message: String) -> Error {
    Error::Trap(Box::new(TrapInfo {
        code: "aborted",
        message,
        backtrace: Vec::new(),
    }))
}

fn memory(context: &mut Context<'_>, call: &NativeCall<'_>) -> Result<Memory> {
    instances::first_memory(context, call.instance)
        .ok_or_else(|| Error::trap(wasmtime::Trap::MemoryOutOfBounds))
}

/// A zero-terminated string of at most 64 KiB; nothing where the pointer leads nowhere.
fn string(context: &mut Context<'_>, call: &NativeCall<'_>, pointer: u64) -> Vec<u8> {
    let Ok(memory) = memory(context, call) else {
        return Vec::new();
    };
    let rest = usize::try_from(pointer)
        .ok()
        .and_then(|start| memory.data(context.as_context()).get(start..))
        .unwrap_or_default();
    let rest = &rest[..rest.len().min(1 << 16)];
    let end = memchr::memchr(0, rest).unwrap_or(rest.len());
    rest[..end].to_vec()
}

fn assertion(context: &mut Context<'_>, call: &NativeCall<'_>) -> Error {
    let mut text = |index: usize| {
        let pointer = call.params.get(index).map_or(0, raw);
        String::from_utf8_lossy(&string(context, call, pointer)).into_owned()
    };
    let (condition, file, function) = (text(0), text(1), text(3));
    let line = call.params.get(2).map_or(0, raw);
    aborted(format!(
        "assertion failed: {condition}, at {file}:{line} in {function}"
    ))
}

async fn memory_copy(
    context: &mut Context<'_>,
    call: &NativeCall<'_>,
    to: u64,
    from: u64,
    size: u64,
) -> Result<()> {
    /// Copying so much takes a fraction of a millisecond; then others may run.
    const PIECE: usize = 1 << 20;
    let memory = memory(context, call)?;
    let len = memory.data_size(context.as_context()) as u64;
    let inside = |start: u64| {
        let end = start.checked_add(size)?;
        (end <= len).then_some(start as usize)
    };
    let out = || Error::trap(wasmtime::Trap::MemoryOutOfBounds);
    let (from, to) = (inside(from).ok_or_else(out)?, inside(to).ok_or_else(out)?);
    let mut left = size as usize;
    while left > 0 {
        let piece = left.min(PIECE);
        // Where the two overlap, no piece is written over before it has been copied.
        let at = if to > from {
            left - piece
        } else {
            size as usize - left
        };
        // A memory may grow and move in between, and never shrinks.
        memory
            .data_mut(context.as_context_mut())
            .copy_within(from + at..from + at + piece, to + at);
        left -= piece;
        if left > 0 {
            frames::yield_slice(context).await?;
        }
    }
    Ok(())
}

/// Grows the memory to at least `size` bytes: a fifth more than there was, if that can be had.
fn resize(context: &mut Context<'_>, call: &NativeCall<'_>, size: u64) -> bool {
    let Ok(memory) = memory(context, call) else {
        return false;
    };
    let current = memory.data_size(context.as_context()) as u64;
    if size <= current {
        return true;
    }
    if size > heap_max(call.width) {
        return false;
    }
    let page = memory.page_size(context.as_context());
    let generous = current
        .saturating_add(current / 5)
        .clamp(size, heap_max(call.width));
    [generous, size].into_iter().any(|target| {
        let pages = (target - current).div_ceil(page);
        memory.grow(context.as_context_mut(), pages).is_ok()
    })
}

/// The only zone is UTC.
fn time_zone(context: &mut Context<'_>, call: &NativeCall<'_>) -> Result<()> {
    let pointers: Vec<u64> = call.params.iter().map(raw).collect();
    let size = call.width.bytes() as usize;
    let [zone, daylight, standard_name, daylight_name] = pointers[..] else {
        return Err(Error::internal("a call without its arguments"));
    };
    write(context, call, zone, &vec![0; size])?;
    write(context, call, daylight, &[0; 4])?;
    write(context, call, standard_name, b"UTC\0")?;
    write(context, call, daylight_name, b"UTC\0")
}

fn write(
    context: &mut Context<'_>,
    call: &NativeCall<'_>,
    pointer: u64,
    bytes: &[u8],
) -> Result<()> {
    let memory = memory(context, call)?;
    usize::try_from(pointer)
        .ok()
        .and_then(|start| {
            memory
                .data_mut(context.as_context_mut())
                .get_mut(start..)?
                .get_mut(..bytes.len())
        })
        .map(|target| target.copy_from_slice(bytes))
        .ok_or_else(|| Error::trap(wasmtime::Trap::MemoryOutOfBounds))
}

/// Writes musl's `struct tm`, nine `int`s, for a time in seconds.
fn write_fields(
    context: &mut Context<'_>,
    call: &NativeCall<'_>,
    time: i64,
    pointer: u64,
) -> Result<()> {
    let (days, second) = (time.div_euclid(86_400), time.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let day_of_year = days - days_from_civil(year, 1, 1);
    let weekday = (days + 4).rem_euclid(7);
    let fields = [
        second % 60,
        second / 60 % 60,
        second / 3600,
        day,
        month - 1,
        year - 1900,
        weekday,
        day_of_year,
        0,
    ];
    let bytes: Vec<u8> = fields
        .iter()
        .flat_map(|field| (*field as i32).to_le_bytes())
        .collect();
    write(context, call, pointer, &bytes)
}

/// Reads a `struct tm` and gives its time in seconds.
fn read_fields(context: &mut Context<'_>, call: &NativeCall<'_>, pointer: u64) -> Result<i64> {
    let memory = memory(context, call)?;
    let bytes: [u8; 24] = usize::try_from(pointer)
        .ok()
        .and_then(|start| {
            memory
                .data(context.as_context())
                .get(start..)?
                .first_chunk()
                .copied()
        })
        .ok_or_else(|| Error::trap(wasmtime::Trap::MemoryOutOfBounds))?;
    let mut fields = [0_i64; 6];
    for (field, bytes) in fields.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *field = i64::from(i32::from_le_bytes(*bytes));
    }
    let [second, minute, hour, day, month, year] = fields;
    let (year, month) = (year + 1900 + month.div_euclid(12), month.rem_euclid(12) + 1);
    let days = days_from_civil(year, month, 1) + day - 1;
    Ok(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have the leap day at their end.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 3, 1), 11_017);
        assert_eq!(civil_from_days(19_782), (2024, 2, 29));
        for days in (-1_000_000..1_000_000).step_by(997) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
