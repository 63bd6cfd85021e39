//! Inodes, directories and the bytes of files.

use std::sync::Arc;

use super::bytes::{Reader, Writer};
use super::{DecodeError, Result, ensure};
use crate::wasi::config::Quotas;
use crate::wasi::content::{CHUNK, Content};
use crate::wasi::filesystem::{
    Directory, Filesystem, Inode, InodeId, Kind, PARENT_COOKIE, Times, check_name, check_path,
};
use crate::wasi::types::{Device, OutputStream};

const DIRECTORY: u8 = 0;
const FILE: u8 = 1;
const SYMLINK: u8 = 2;
const VACANT: u8 = 3;
const DEVICE: u8 = 4;
/// Added to the kind of what is read-only.
const READ_ONLY: u8 = 0x80;

pub(super) fn write(writer: &mut Writer, filesystem: &Filesystem) {
    let places = filesystem.inodes().last().map_or(0, |(id, _)| id + 1);
    writer.u32(places);
    let mut next = 0;
    for (id, inode) in filesystem.inodes() {
        for _ in next..id {
            writer.u8(VACANT);
        }
        next = id + 1;
        write_inode(writer, inode);
    }
}

fn write_inode(writer: &mut Writer, inode: &Inode) {
    let kind = match inode.kind {
        Kind::Directory(_) => DIRECTORY,
        Kind::File(_) => FILE,
        Kind::Symlink(_) => SYMLINK,
        Kind::Device(_) => DEVICE,
    };
    writer.u8(kind | if inode.read_only { READ_ONLY } else { 0 });
    for time in [
        inode.times.accessed,
        inode.times.modified,
        inode.times.changed,
    ] {
        writer.u64(time);
    }
    match &inode.kind {
        Kind::Directory(directory) => write_directory(writer, directory),
        Kind::File(content) => write_content(writer, content),
        Kind::Symlink(target) => writer.bytes(target),
        Kind::Device(device) => writer.u8(match device {
            Device::Stdin => 0,
            Device::Output(OutputStream::Stdout) => 1,
            Device::Output(OutputStream::Stderr) => 2,
        }),
    }
}

fn write_directory(writer: &mut Writer, directory: &Directory) {
    writer.u32(directory.parent);
    writer.u64(directory.next_cookie());
    writer.u32(directory.len() as u32);
    for (cookie, name, inode) in directory.after(PARENT_COOKIE) {
        writer.u64(cookie);
        writer.u32(inode);
        writer.bytes(name);
    }
}

fn write_content(writer: &mut Writer, content: &Content) {
    writer.u64(content.len());
    let (count, bytes) = content
        .canonical_chunks()
        .fold((0, 0), |(count, bytes), (_, chunk)| {
            (count + 1, bytes + 12 + chunk.len())
        });
    writer.u32(count);
    writer.reserve(bytes);
    for (index, chunk) in content.canonical_chunks() {
        writer.u32(index as u32);
        writer.bytes(chunk);
    }
}

pub(super) fn read(reader: &mut Reader<'_>, quotas: Quotas) -> Result<Filesystem> {
    let places = reader.u32()?;
    // A file takes the first vacant place: there are no more places than there can be files.
    ensure(
        u64::from(places) <= quotas.files.max(1),
        "more places than files",
    )?;
    let mut inodes = Vec::new();
    let mut quota = quotas.bytes;
    for _ in 0..places {
        inodes.push(read_inode(reader, &mut quota)?);
    }
    ensure(
        !matches!(inodes.last(), Some(None)),
        "vacant places after the last file",
    )?;
    Filesystem::restore(inodes, quotas).map_err(DecodeError::Damaged)
}

/// Reads a file, if there is one, and takes its size from the bytes that are left of the quota.
fn read_inode(reader: &mut Reader<'_>, quota: &mut u64) -> Result<Option<Inode>> {
    let tag = reader.u8()?;
    if tag == VACANT {
        return Ok(None);
    }
    let times = Times {
        accessed: reader.u64()?,
        modified: reader.u64()?,
        changed: reader.u64()?,
    };
    let mut charge = |len: u64| {
        let left = quota
            .checked_sub(len)
            .ok_or(DecodeError::Damaged("more than the quota"))?;
        *quota = left;
        Ok(())
    };
    let kind = match tag & !READ_ONLY {
        DIRECTORY => Kind::Directory(Arc::new(read_directory(reader)?)),
        FILE => {
            let len = reader.u64()?;
            charge(len)?;
            Kind::File(Arc::new(read_content(reader, len)?))
        }
        SYMLINK => {
            let target = reader.bytes()?;
            charge(target.len() as u64)?;
            ensure(check_path(target).is_ok(), "the target of a link")?;
            Kind::Symlink(target.into())
        }
        DEVICE => Kind::Device(match reader.u8()? {
            0 => Device::Stdin,
            1 => Device::Output(OutputStream::Stdout),
            2 => Device::Output(OutputStream::Stderr),
            _ => return Err(DecodeError::Damaged("the kind of a device")),
        }),
        _ => return Err(DecodeError::Damaged("the kind of a file")),
    };
    Ok(Some(Inode {
        kind,
        links: 0,
        opens: 0,
        times,
        read_only: tag & READ_ONLY != 0,
    }))
}

fn read_directory(reader: &mut Reader<'_>) -> Result<Directory> {
    let parent: InodeId = reader.u32()?;
    let next_cookie = reader.u64()?;
    let count = reader.u32()?;
    let mut directory = Directory::new(parent);
    let mut last = PARENT_COOKIE;
    for _ in 0..count {
        let cookie = reader.u64()?;
        ensure(
            cookie > last && cookie < next_cookie,
            "the order of a directory",
        )?;
        last = cookie;
        let inode = reader.u32()?;
        let name = reader.bytes()?;
        ensure(check_name(name).is_ok(), "a name")?;
        ensure(directory.get(name).is_none(), "a name that is there twice")?;
        directory.insert_at(name, inode, cookie);
    }
    ensure(
        next_cookie > PARENT_COOKIE && next_cookie < u64::MAX / 2,
        "a cookie",
    )?;
    directory.set_next_cookie(next_cookie);
    Ok(directory)
}

fn read_content(reader: &mut Reader<'_>, len: u64) -> Result<Content> {
    let mut content = Content::default();
    content.set_len(len);
    let count = reader.u32()?;
    let mut next = 0;
    for _ in 0..count {
        let index = u64::from(reader.u32()?);
        ensure(index >= next, "the order of a file")?;
        next = index + 1;
        let chunk = reader.bytes()?;
        let offset = index * CHUNK as u64;
        let fits = chunk.len() <= CHUNK && offset + chunk.len() as u64 <= len;
        ensure(
            fits && chunk.last().is_some_and(|byte| *byte != 0),
            "the bytes of a file",
        )?;
        content.write_at(offset, chunk);
    }
    Ok(content)
}
