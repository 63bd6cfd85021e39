//! Descriptors and the open files behind them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::bytes::{Reader, Writer};
use super::{DecodeError, Result, ensure};
use crate::wasi::descriptor::{Descriptors, OpenFile, PreopenName, Resource};
use crate::wasi::filesystem::{Filesystem, check_path};
use crate::wasi::types::{FdFlags, FileType, OutputStream, Rights};

/// A descriptor with an open file of its own, or one that shares that of an earlier descriptor.
const OWN: u8 = 0;
const SHARED: u8 = 1;

pub(super) fn write(writer: &mut Writer, descriptors: &Descriptors) {
    let mut first = HashMap::new();
    writer.u32(descriptors.iter().count() as u32);
    for (fd, index, file) in descriptors.iter() {
        writer.u32(fd);
        let owner = *first.entry(index).or_insert(fd);
        if owner == fd {
            writer.u8(OWN);
            write_file(writer, file);
        } else {
            writer.u8(SHARED);
            writer.u32(owner);
        }
    }
}

fn write_file(writer: &mut Writer, file: &OpenFile) {
    match file.resource {
        Resource::Stdin => writer.u8(0),
        Resource::Output(OutputStream::Stdout) => writer.u8(1),
        Resource::Output(OutputStream::Stderr) => writer.u8(2),
        Resource::Inode(inode) => {
            writer.u8(3);
            writer.u32(inode);
        }
    }
    writer.u16(file.flags.bits());
    writer.u64(file.base.bits());
    writer.u64(file.inheriting.bits());
    writer.u64(file.offset);
    writer.bool(file.preopen.is_some());
    if let Some(preopen) = &file.preopen {
        writer.bytes(&preopen.name);
        writer.bytes(&preopen.path);
    }
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    filesystem: &mut Filesystem,
    limit: u32,
) -> Result<Descriptors> {
    let mut descriptors = Descriptors::new(limit);
    let count = reader.u32()?;
    let mut owners = HashSet::new();
    let mut next = 0;
    for _ in 0..count {
        let fd = reader.u32()?;
        ensure(fd >= next && fd < limit, "the order of descriptors")?;
        next = fd + 1;
        let opened = match reader.u8()? {
            OWN => {
                let file = read_file(reader, filesystem)?;
                owners.insert(fd);
                descriptors.open_at(fd, file)
            }
            SHARED => {
                let earlier = reader.u32()?;
                ensure(owners.contains(&earlier), "a descriptor that is shared")?;
                descriptors.duplicate_to(earlier, fd).map(drop)
            }
            _ => return Err(DecodeError::Damaged("the kind of a descriptor")),
        };
        ensure(opened.is_ok(), "a descriptor")?;
    }
    Ok(descriptors)
}

fn read_file(reader: &mut Reader<'_>, filesystem: &mut Filesystem) -> Result<OpenFile> {
    let resource = match reader.u8()? {
        0 => Resource::Stdin,
        1 => Resource::Output(OutputStream::Stdout),
        2 => Resource::Output(OutputStream::Stderr),
        3 => {
            let inode = reader.u32()?;
            let file_type = filesystem.file_type(inode);
            let opens = matches!(file_type, Ok(FileType::Directory | FileType::RegularFile));
            ensure(
                opens && filesystem.retain(inode).is_ok(),
                "a file that is open",
            )?;
            Resource::Inode(inode)
        }
        _ => return Err(DecodeError::Damaged("the kind of an open file")),
    };
    let flags = FdFlags::from_bits(reader.u16()?).ok_or(DecodeError::Damaged("flags"))?;
    let mut rights = || Rights::from_bits(reader.u64()?).ok_or(DecodeError::Damaged("rights"));
    let (base, inheriting) = (rights()?, rights()?);
    let offset = reader.u64()?;
    ensure(offset <= i64::MAX as u64, "an offset")?;
    let preopen = if reader.bool()? {
        let (name, path) = (reader.bytes()?, reader.bytes()?);
        ensure(
            check_path(name).is_ok() && check_path(path).is_ok(),
            "a preopened directory",
        )?;
        Some(Arc::new(PreopenName {
            name: name.to_vec(),
            path: path.to_vec(),
        }))
    } else {
        None
    };
    Ok(OpenFile {
        resource,
        flags,
        base,
        inheriting,
        offset,
        preopen,
    })
}
