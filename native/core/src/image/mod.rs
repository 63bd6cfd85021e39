//! Compiled code as bytes, under a seal.
//!
//! Compiled code is run as it is, and nothing could tell whether it is harmless. So it is only ever
//! loaded from bytes that end with a code (HMAC-SHA-256) that nobody can make without the [`Key`].
//!
//! All numbers are little-endian:
//!
//! | offset | bytes | |
//! | --- | --- | --- |
//! | 0 | 8 | `"\0wbimage"` |
//! | 8 | 4 | version of this format, 2 |
//! | 12 | 4 | configuration: bit 0 fuel, bit 1 deterministic, bits 2 and 3 optimization; bit 4: there are objects in segments; bits 5 to 9: size of the stack, as an exponent of two |
//! | 16 | 8 | identity of the engine: version, settings, machine |
//! | 24 | 32 | SHA-256 of the image that was compiled |
//! | 56 | 8 | its size in bytes |
//! | 64 | 4 | its number of functions |
//! | 68 | 4 | bytes of its longest function |
//! | 72 | 4 | the number of brief exports, n |
//! | 76 | 4 n | their positions |
//! | 76 + 4 n | | the code |
//! | end - 32 | 32 | the seal of everything before |

mod key;
mod reader;

pub use key::{Key, KeySource, MIN_KEY_BYTES, Purpose};

use crate::engine::{Engine, EngineConfig, GuestStack, Opt};
use crate::error::{Error, Result};
use crate::load::Size;
use crate::module::{Module, ModuleId, Origin};
use reader::Reader;

const MAGIC: &[u8; 8] = b"\0wbimage";
const VERSION: u32 = 2;
/// Without the positions of exports.
const HEADER: usize = 76;
const SEAL: usize = 32;

const FUEL: u32 = 1;
const DETERMINISTIC: u32 = 1 << 1;
const OPT_SHIFT: u32 = 2;
const OPT_MASK: u32 = 0b11;
const OBJECTS_IN_SEGMENTS: u32 = 1 << 4;
/// The size of the stack, as an exponent of two.
const STACK_SHIFT: u32 = 5;
const STACK_MASK: u32 = 0b1_1111;
const ALL_FLAGS: u32 = 0b11_1111_1111;

/// The code of a module with what else is to be known of it, sealed.
///
/// # Errors
/// `Internal` if the engine does not give it.
pub fn seal(module: &Module, key: &Key, purpose: Purpose) -> Result<Vec<u8>> {
    let code = module.code()?;
    let origin = module.origin();
    let engine = module.engine();
    let mut image = Vec::with_capacity(HEADER + code.len() + SEAL);
    image.extend_from_slice(MAGIC);
    image.extend_from_slice(&VERSION.to_le_bytes());
    image.extend_from_slice(&header_flags(engine.config(), origin).to_le_bytes());
    image.extend_from_slice(&engine.identity().to_le_bytes());
    image.extend_from_slice(&origin.id.0);
    image.extend_from_slice(&origin.size.bytes.to_le_bytes());
    image.extend_from_slice(&origin.size.functions.to_le_bytes());
    image.extend_from_slice(&origin.size.longest_function.to_le_bytes());
    let brief = &origin.brief_exports;
    let count = u32::try_from(brief.len()).map_err(Error::internal)?;
    image.extend_from_slice(&count.to_le_bytes());
    image.extend(brief.iter().flat_map(|position| position.to_le_bytes()));
    image.extend_from_slice(&code);
    let seal = key.seal(purpose, &image)?;
    image.extend_from_slice(&seal);
    Ok(image)
}

/// The module in an image that was sealed with the same key for the same purpose.
///
/// # Errors
/// `BadImage` for any other bytes, and for an image of another engine.
pub fn open(image: &[u8], key: &Key, purpose: Purpose) -> Result<Module> {
    if image.len() < HEADER + SEAL || !image.starts_with(MAGIC) {
        return Err(bad("not a precompiled image"));
    }
    let (sealed, seal) = image.split_at(image.len() - SEAL);
    // Nothing behind the first bytes is looked at before this.
    if !key.verify(purpose, sealed, seal) {
        return Err(bad(
            "the seal does not match: the image was altered, or sealed with another key",
        ));
    }
    let header = Header::read(sealed)?;
    let engine = Engine::get(header.config)?;
    if engine.identity() != header.identity {
        return Err(bad(
            "the image was made by another version of wasmbeam, or for another machine",
        ));
    }
    // SAFETY: the seal shows that `seal` made these bytes of a compiled module's code, and whoever
    // has the key is trusted with running code.
    unsafe { Module::from_code(&engine, header.code, header.origin) }
}

struct Header<'a> {
    config: EngineConfig,
    identity: u64,
    origin: Origin,
    code: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(sealed: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(sealed);
        let _magic: [u8; 8] = reader.array()?;
        let version = u32::from_le_bytes(reader.array()?);
        if version != VERSION {
            return Err(bad("the image is of another version"));
        }
        let flags = u32::from_le_bytes(reader.array()?);
        let identity = u64::from_le_bytes(reader.array()?);
        let id = ModuleId(reader.array()?);
        let size = Size {
            bytes: u64::from_le_bytes(reader.array()?),
            functions: u32::from_le_bytes(reader.array()?),
            longest_function: u32::from_le_bytes(reader.array()?),
        };
        let count = u32::from_le_bytes(reader.array()?);
        let brief_exports = (0..count)
            .map(|_| reader.array().map(u32::from_le_bytes))
            .collect::<Result<_>>()?;
        Ok(Self {
            config: config(flags)?,
            identity,
            origin: Origin {
                id,
                size,
                has_objects_in_segments: flags & OBJECTS_IN_SEGMENTS != 0,
                brief_exports,
            },
            code: reader.rest(),
        })
    }
}

fn header_flags(config: EngineConfig, origin: &Origin) -> u32 {
    let objects = match origin.has_objects_in_segments {
        true => OBJECTS_IN_SEGMENTS,
        false => 0,
    };
    flags(config) | objects
}

fn flags(config: EngineConfig) -> u32 {
    let opt = match config.opt {
        Opt::None => 0,
        Opt::Speed => 1,
        Opt::SpeedAndSize => 2,
    };
    let mut flags = opt << OPT_SHIFT;
    flags |= config.stack.exponent() << STACK_SHIFT;
    if config.fuel {
        flags |= FUEL;
    }
    if config.deterministic {
        flags |= DETERMINISTIC;
    }
    flags
}

fn config(flags: u32) -> Result<EngineConfig> {
    let opt = match (flags >> OPT_SHIFT) & OPT_MASK {
        0 => Opt::None,
        1 => Opt::Speed,
        2 => Opt::SpeedAndSize,
        _ => return Err(bad("the image has an unknown configuration")),
    };
    if flags & !ALL_FLAGS != 0 {
        return Err(bad("the image has an unknown configuration"));
    }
    Ok(EngineConfig {
        fuel: flags & FUEL != 0,
        deterministic: flags & DETERMINISTIC != 0,
        opt,
        stack: GuestStack::from_exponent((flags >> STACK_SHIFT) & STACK_MASK)
            .ok_or_else(|| bad("the image has an unknown configuration"))?,
    })
}

fn bad(message: &str) -> Error {
    Error::BadImage {
        message: message.to_owned(),
    }
}
