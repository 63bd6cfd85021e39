//! `stat` and `statfs`, in the layouts of both widths.

use super::Call;
use super::path::WORKING_DIRECTORY;
use crate::wasi::descriptor::Resource;
use crate::wasi::errno::Result;
use crate::wasi::{Errno, FileType, Stat, Width};

/// The unit in which sizes are counted, and the one that is best to read in.
const BLOCK: u64 = 512;
const PREFERRED: u32 = 4096;

const S_IFIFO: u32 = 0o010_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

fn mode(file_type: FileType) -> u32 {
    match file_type {
        FileType::Unknown => S_IFIFO | 0o666,
        FileType::CharacterDevice => S_IFCHR | 0o666,
        FileType::Directory => S_IFDIR | 0o777,
        FileType::RegularFile => S_IFREG | 0o666,
        FileType::SymbolicLink => S_IFLNK | 0o777,
    }
}

/// A structure that is put together field by field.
struct Fields {
    bytes: Vec<u8>,
}

impl Fields {
    fn new(len: usize) -> Self {
        Fields {
            bytes: vec![0; len],
        }
    }

    fn put(&mut self, offset: usize, value: &[u8]) {
        if let Some(field) = self.bytes.get_mut(offset..offset + value.len()) {
            field.copy_from_slice(value);
        }
    }

    fn u32(&mut self, offset: usize, value: u64) {
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        self.put(offset, &value.to_le_bytes());
    }

    fn u64(&mut self, offset: usize, value: u64) {
        self.put(offset, &value.to_le_bytes());
    }
}

/// The fields of `struct stat` whose places depend on the width.
struct StatLayout {
    len: usize,
    size: usize,
    block_size: usize,
    blocks: usize,
    times: usize,
    inode: usize,
}

fn stat_bytes(width: Width, stat: &Stat) -> Vec<u8> {
    let layout = match width {
        Width::W32 => StatLayout {
            len: 96,
            size: 24,
            block_size: 32,
            blocks: 36,
            times: 40,
            inode: 88,
        },
        Width::W64 => StatLayout {
            len: 104,
            size: 32,
            block_size: 40,
            blocks: 44,
            times: 48,
            inode: 96,
        },
    };
    let mut fields = Fields::new(layout.len);
    fields.u32(0, 1);
    fields.u32(4, u64::from(mode(stat.file_type)));
    // The link count is as wide as a pointer; the upper half of a wide one stays zero.
    fields.u32(8, stat.links);
    fields.u64(layout.size, stat.size);
    fields.u32(layout.block_size, u64::from(PREFERRED));
    fields.u32(layout.blocks, stat.size.div_ceil(BLOCK));
    for (index, time) in [stat.accessed, stat.modified, stat.changed]
        .into_iter()
        .enumerate()
    {
        let offset = layout.times + 16 * index;
        fields.u64(offset, time / 1_000_000_000);
        fields.u32(offset + 8, time % 1_000_000_000);
    }
    fields.u64(layout.inode, stat.inode);
    fields.bytes
}

impl Call<'_, '_> {
    pub(super) fn stat(&mut self, dirfd: i32, path: u64, buffer: u64, flags: i32) -> Result<()> {
        let resource = self.lookup(dirfd, path, flags)?;
        self.write_stat(resource, buffer)
    }

    pub(super) fn fstat(&mut self, fd: i32, buffer: u64) -> Result<()> {
        let resource = self.file(fd)?.resource;
        self.write_stat(resource, buffer)
    }

    fn write_stat(&mut self, resource: Resource, buffer: u64) -> Result<()> {
        let stat = match resource {
            Resource::Inode(inode) => self.state.filesystem.stat(inode)?,
            Resource::Stdin | Resource::Output(_) => Stat {
                file_type: self.state.stream_type(),
                inode: 0,
                links: 1,
                size: 0,
                accessed: 0,
                modified: 0,
                changed: 0,
            },
        };
        self.guest
            .write(buffer, &stat_bytes(self.guest.abi.width, &stat))
    }

    pub(super) fn statfs(&mut self, path: u64, len: u64, buffer: u64) -> Result<()> {
        self.lookup(WORKING_DIRECTORY, path, 0)?;
        self.write_statfs(len, buffer)
    }

    pub(super) fn fstatfs(&mut self, fd: i32, len: u64, buffer: u64) -> Result<()> {
        self.file(fd)?;
        self.write_statfs(len, buffer)
    }

    fn write_statfs(&mut self, len: u64, buffer: u64) -> Result<()> {
        let wide = match self.guest.abi.width {
            Width::W32 => false,
            Width::W64 => true,
        };
        // Offsets of: block size, counts of blocks and files, name length, fragment size.
        let (size, block, counts, name, fragment) = if wide {
            (104, 8, 16, 48, 56)
        } else {
            (64, 4, 8, 36, 40)
        };
        if len < size as u64 {
            return Err(Errno::Inval);
        }
        let filesystem = &self.state.filesystem;
        let unit = u64::from(PREFERRED);
        let blocks = filesystem.quotas.bytes / unit;
        let free = filesystem
            .quotas
            .bytes
            .saturating_sub(filesystem.used_bytes())
            / unit;
        let files = filesystem.quotas.files;
        let left = files.saturating_sub(filesystem.used_files());
        let mut fields = Fields::new(size);
        fields.u32(block, unit);
        for (index, count) in [blocks, free, free, files, left].into_iter().enumerate() {
            fields.u32(counts + 4 * index, count);
        }
        fields.u32(name, crate::wasi::filesystem::MAX_NAME as u64);
        fields.u32(fragment, unit);
        self.guest.write(buffer, &fields.bytes)
    }
}
