//! Files that can be read and written without the pool.
//!
//! What is done to a regular file of a filesystem of this machine ends by itself: it waits for a
//! disk at most. There a thread that may wait for a disk does it in place, which takes a tenth of
//! the time that handing it to another thread takes. What may wait for somebody, a pipe, a device, a
//! filesystem of another machine or of a process, is always done by the pool, where the guest can
//! leave it alone.

use std::fs::File;
use std::mem;

use smallvec::SmallVec;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::{self, Descriptor};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::wasi_snapshot_preview1 as p1;
use wasmtime_wasi::{FsPerms, OpenMode, WasiView as _};
use wiggle::GuestMemory;

use crate::wasi::Function;

use super::folder::Folder;

/// The open files of a guest that are such files.
#[derive(Default)]
pub(super) struct Local {
    devices: SmallVec<[Device; 1]>,
    /// A file as wasmtime-wasi has it, which it works on without the pool. None if no folder is on a
    /// filesystem of this machine.
    template: Option<filesystem::File>,
    files: Vec<LocalFile>,
}

struct LocalFile {
    fd: u32,
    /// Where wasmtime-wasi has it.
    place: u32,
    /// What stands there while it is worked on in place; else what stood there meanwhile.
    other: Descriptor,
}

/// A filesystem that is mounted.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Device {
    major: u32,
    minor: u32,
}

impl Local {
    /// Looks which filesystems the folders are on.
    pub(super) fn of(folders: &[Folder], context: &mut WasiP1Ctx) -> Self {
        // The first call of all has wasmtime-wasi put the folders where it has what is open: to be
        // done before a place there is asked for. What the call gives is of no interest.
        let memory = &mut GuestMemory::Unshared(&mut [0; 8]);
        let _ = p1::fd_prestat_get(context, memory, 0, 0);
        let mut local = Self::default();
        for folder in folders {
            if let Ok(file) = File::open(&folder.path)
                && let Some(device) = machine::local_device(&file)
            {
                local.devices.push(device);
                local.template.get_or_insert_with(|| {
                    filesystem::File::new(file, FsPerms::ReadOnly, OpenMode::empty(), true)
                });
            }
        }
        local
    }

    /// Where wasmtime-wasi will put what it opens next.
    pub(super) fn next_place(&self, context: &mut WasiP1Ctx) -> Option<u32> {
        self.template.as_ref()?;
        let table = context.ctx().table;
        let next = table.push(()).ok()?;
        let place = next.rep();
        table.delete(next).ok()?;
        Some(place)
    }

    /// Notes a descriptor that was opened, if it is such a file.
    pub(super) fn opened(&mut self, context: &mut WasiP1Ctx, fd: u32, place: u32) {
        let Some(Descriptor::File(file)) = descriptor(context.ctx().table, place) else {
            return;
        };
        let Some(template) = &self.template else {
            return;
        };
        if machine::regular_file(&file.file).is_some_and(|device| self.devices.contains(&device)) {
            let mut in_place = template.clone();
            in_place.file = file.file.clone();
            in_place.perms = file.perms;
            in_place.open_mode = file.open_mode;
            self.files.push(LocalFile {
                fd,
                place,
                other: Descriptor::File(in_place),
            });
        }
    }

    pub(super) fn closed(&mut self, fd: u32) {
        self.files.retain(|file| file.fd != fd);
    }

    pub(super) fn renumbered(&mut self, from: u32, to: u32) {
        for file in &mut self.files {
            if file.fd == from {
                file.fd = to;
            }
        }
    }

    /// Whether a function can be done in place.
    pub(super) fn has(&self, function: Function, fd: u32) -> bool {
        // Not what may take as long as all that was written before: `fd_sync` and its like.
        let ends_soon = matches!(
            function,
            Function::FdRead
                | Function::FdPread
                | Function::FdWrite
                | Function::FdPwrite
                | Function::FdSeek
                | Function::FdFdstatGet
                | Function::FdFilestatGet
        );
        ends_soon && self.files.iter().any(|file| file.fd == fd)
    }

    /// Has wasmtime-wasi work on the file in place; done again, by the pool as before.
    pub(super) fn switch(&mut self, context: &mut WasiP1Ctx, fd: u32) {
        if let Some(file) = self.files.iter_mut().find(|file| file.fd == fd)
            && let Some(descriptor) = descriptor(context.ctx().table, file.place)
        {
            mem::swap(descriptor, &mut file.other);
        }
    }
}

fn descriptor(table: &mut ResourceTable, place: u32) -> Option<&mut Descriptor> {
    table.get_mut(&Resource::new_borrow(place)).ok()
}

#[cfg(target_os = "linux")]
mod machine {
    use std::fs::File;

    use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, fstatfs, statx};

    use super::Device;

    /// Filesystems whose files are on disks of this machine or in its memory, by the numbers that
    /// `statfs` has for them: ext2 to ext4, XFS, Btrfs, Bcachefs, F2FS, ZFS, tmpfs, ramfs, and
    /// overlayfs on these.
    const LOCAL: [i64; 9] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0xca45_1a4e,
        0xf2f5_2010,
        0x2fc1_2fc1,
        0x0102_1994,
        0x8584_58f6,
        0x794c_7630,
    ];

    /// Where a folder is, if that is a filesystem of this machine.
    pub(super) fn local_device(folder: &File) -> Option<Device> {
        let kind = fstatfs(folder).ok()?.f_type;
        let kind = kind as i64 & 0xffff_ffff;
        let device = look(folder).map(|stat| device(&stat));
        device.filter(|_| LOCAL.contains(&kind))
    }

    /// Where a file is, if it is a regular one.
    pub(super) fn regular_file(file: &File) -> Option<Device> {
        let stat = look(file)?;
        let kind = FileType::from_raw_mode(u32::from(stat.stx_mode));
        (kind == FileType::RegularFile).then(|| device(&stat))
    }

    /// Asks nobody but the kernel, which another machine's filesystem would not be local to.
    fn look(file: &File) -> Option<Statx> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        statx(file, c"", flags, StatxFlags::TYPE).ok()
    }

    fn device(stat: &Statx) -> Device {
        Device {
            major: stat.stx_dev_major,
            minor: stat.stx_dev_minor,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod machine {
    use std::fs::File;

    use super::Device;

    /// Nothing is known of the filesystem.
    pub(super) fn local_device(_folder: &File) -> Option<Device> {
        None
    }

    pub(super) fn regular_file(_file: &File) -> Option<Device> {
        None
    }
}
