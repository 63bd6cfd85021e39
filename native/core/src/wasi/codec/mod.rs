//! The binary form of a [`WasiState`].
//!
//! Equal states have equal bytes: maps are in order, chunks of zeros are left out, and what
//! cannot be observed (free places, the way in which a file was written) is not there at all.
//! Reading is strict: every number is checked against what it refers to, and memory is taken
//! only for what the input holds, but for the table of a sparse file, which
//! [`MAX_BYTES`](super::MAX_BYTES) bounds.

mod bytes;
mod descriptors;
mod filesystem;

use std::sync::Arc;

use bytes::{Reader, Writer};

use super::clock::Clocks;
use super::config::{ClockSource, OutputSink, Quotas, StdinSource};
use super::content::Content;
use super::random::Random;
use super::state::{Strings, WasiState, check_quotas};
use super::stream::{Output, Stdin};

const MAGIC: &[u8; 4] = b"wbwa";
const VERSION: u16 = 1;

/// Why bytes are no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("the encoded WASI state ends too early")]
    Truncated,
    /// They are something else.
    #[error("this is no encoded WASI state")]
    Foreign,
    /// They were made by another version.
    #[error("the encoded WASI state is of version {0}, which is unknown")]
    UnknownVersion(u16),
    /// The state has greater quotas than are allowed here.
    #[error("the encoded WASI state has greater quotas than are allowed")]
    QuotaTooGreat,
    /// Something in them contradicts itself.
    #[error("the encoded WASI state is damaged: {0}")]
    Damaged(&'static str),
}

type Result<T> = core::result::Result<T, DecodeError>;

/// An error unless a condition holds.
fn ensure(condition: bool, what: &'static str) -> Result<()> {
    if condition {
        Ok(())
    } else {
        Err(DecodeError::Damaged(what))
    }
}

impl WasiState {
    /// The state as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.raw(MAGIC);
        writer.u16(VERSION);
        let quotas = self.filesystem.quotas;
        writer.u64(quotas.files);
        writer.u64(quotas.bytes);
        writer.u32(quotas.descriptors);
        write_strings(&mut writer, &self.args);
        write_strings(&mut writer, &self.env);
        writer.bool(self.terminal);
        write_clocks(&mut writer, &self.clocks);
        write_random(&mut writer, &self.random);
        writer.bool(self.stdin.live);
        writer.bytes(self.stdin.available());
        write_output(&mut writer, &self.stdout);
        write_output(&mut writer, &self.stderr);
        filesystem::write(&mut writer, &self.filesystem);
        writer.u32(self.working_directory);
        descriptors::write(&mut writer, &self.descriptors);
        writer.finish()
    }

    /// The state that bytes describe, provided that its quotas are within `ceiling`.
    ///
    /// # Errors
    ///
    /// If the bytes are not exactly what [`WasiState::encode`] makes.
    pub fn decode(bytes: &[u8], ceiling: Quotas) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        if reader.raw(MAGIC.len())? != MAGIC {
            return Err(DecodeError::Foreign);
        }
        let version = reader.u16()?;
        if version != VERSION {
            return Err(DecodeError::UnknownVersion(version));
        }
        let quotas = read_quotas(&mut reader, ceiling)?;
        let args = Arc::new(read_strings(&mut reader)?);
        let env = Arc::new(read_strings(&mut reader)?);
        let terminal = reader.bool()?;
        let clocks = read_clocks(&mut reader)?;
        let random = read_random(&mut reader)?;
        let live = reader.bool()?;
        let mut stdin = Stdin::new(StdinSource::Bytes(reader.bytes()?.to_vec()));
        stdin.live = live;
        let stdout = read_output(&mut reader)?;
        let stderr = read_output(&mut reader)?;
        let mut filesystem = filesystem::read(&mut reader, quotas)?;
        let working_directory = reader.u32()?;
        let kept = filesystem.directory(working_directory).is_ok()
            && filesystem.retain(working_directory).is_ok();
        ensure(kept, "the working directory")?;
        let descriptors = descriptors::read(&mut reader, &mut filesystem, quotas.descriptors)?;
        reader.finish()?;
        ensure(filesystem.has_no_orphans(), "a file that nothing leads to")?;
        let filesystem = Arc::new(filesystem);
        Ok(WasiState {
            args,
            env,
            filesystem,
            descriptors,
            working_directory,
            stdin,
            stdout,
            stderr,
            terminal,
            clocks,
            random,
            plain: false,
        })
    }
}

fn read_quotas(reader: &mut Reader<'_>, ceiling: Quotas) -> Result<Quotas> {
    let quotas = Quotas {
        files: reader.u64()?,
        bytes: reader.u64()?,
        descriptors: reader.u32()?,
    };
    let within = quotas.files <= ceiling.files
        && quotas.bytes <= ceiling.bytes
        && quotas.descriptors <= ceiling.descriptors;
    if !within || check_quotas(quotas).is_err() {
        return Err(DecodeError::QuotaTooGreat);
    }
    Ok(quotas)
}

fn write_strings(writer: &mut Writer, strings: &Strings) {
    writer.u32(strings.len() as u32);
    for string in strings.iter() {
        writer.bytes(string);
    }
}

fn read_strings(reader: &mut Reader<'_>) -> Result<Strings> {
    let count = reader.u32()?;
    let strings = (0..count).map(|_| reader.bytes().map(<[u8]>::to_vec));
    Strings::new(strings.collect::<Result<_>>()?).map_err(|_| DecodeError::Damaged("a string"))
}

fn write_clocks(writer: &mut Writer, clocks: &Clocks) {
    match clocks.source {
        ClockSource::System => writer.u8(0),
        ClockSource::Fixed(time) => {
            writer.u8(1);
            writer.u64(time);
        }
        ClockSource::Embedder => writer.u8(2),
    }
    writer.u64(clocks.slept);
    writer.u64(clocks.last_realtime);
    writer.u64(clocks.last_monotonic);
}

fn read_clocks(reader: &mut Reader<'_>) -> Result<Clocks> {
    let source = match reader.u8()? {
        0 => ClockSource::System,
        1 => ClockSource::Fixed(reader.u64()?),
        2 => ClockSource::Embedder,
        _ => return Err(DecodeError::Damaged("the kind of a clock")),
    };
    let mut clocks = Clocks::new(source);
    clocks.slept = reader.u64()?;
    clocks.last_realtime = reader.u64()?;
    clocks.last_monotonic = reader.u64()?;
    Ok(clocks)
}

fn write_random(writer: &mut Writer, random: &Random) {
    match random {
        Random::System => writer.u8(0),
        Random::Embedder => writer.u8(2),
        Random::Seeded(_) => {
            let (seed, position) = random.position().unwrap_or_default();
            writer.u8(1);
            writer.raw(&seed);
            writer.raw(&position.to_le_bytes());
        }
    }
}

fn read_random(reader: &mut Reader<'_>) -> Result<Random> {
    match reader.u8()? {
        0 => Ok(Random::System),
        1 => {
            let seed = reader.array()?;
            let position = u128::from_le_bytes(reader.array()?);
            let random = Random::at(seed, position);
            ensure(
                random.position() == Some((seed, position)),
                "the position of a generator",
            )?;
            Ok(random)
        }
        2 => Ok(Random::Embedder),
        _ => Err(DecodeError::Damaged("the kind of a source of random bytes")),
    }
}

fn write_output(writer: &mut Writer, output: &Output) {
    match output.sink {
        OutputSink::Capture { limit } => {
            writer.u8(0);
            writer.u64(limit);
        }
        OutputSink::Embedder => writer.u8(1),
    }
    writer.u64(output.discarded);
    writer.bytes(&output.captured.to_vec());
}

fn read_output(reader: &mut Reader<'_>) -> Result<Output> {
    let sink = match reader.u8()? {
        0 => OutputSink::Capture {
            limit: reader.u64()?,
        },
        1 => OutputSink::Embedder,
        _ => return Err(DecodeError::Damaged("the kind of an output")),
    };
    let discarded = reader.u64()?;
    let captured = reader.bytes()?;
    let limit = match sink {
        OutputSink::Capture { limit } => limit,
        OutputSink::Embedder => 0,
    };
    ensure(captured.len() as u64 <= limit, "more output than the limit")?;
    Ok(Output {
        sink,
        captured: Content::from_bytes(captured),
        discarded,
    })
}
