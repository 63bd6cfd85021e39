//! The state of a guest's WASI world.

use std::sync::Arc;

use super::clock::Clocks;
use super::config::{
    ClockSource, ConfigError, MAX_BYTES, MAX_DESCRIPTORS, MAX_FILES, MAX_STRINGS, Preopen, Quotas,
    RandomSource, WasiConfig,
};
use super::descriptor::{Descriptors, OpenFile, PreopenName, Resource};
use super::errno::{Errno, Result};
use super::filesystem::{Filesystem, InodeId, Kind, Target};
use super::node::Node;
use super::random::Random;
use super::stream::{Output, Stdin};
use super::types::{Device, FileType, OpenFlags, OutputStream, Rights};

/// Arguments or environment variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strings(Vec<Vec<u8>>);

impl Strings {
    pub(crate) fn new(strings: Vec<Vec<u8>>) -> core::result::Result<Self, ConfigError> {
        if strings.iter().any(|string| string.contains(&0)) {
            return Err(ConfigError::InvalidString);
        }
        let strings = Strings(strings);
        if strings.bytes_with_terminators() > MAX_STRINGS as u64 {
            return Err(ConfigError::StringsTooLong);
        }
        Ok(strings)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    pub(crate) fn bytes_with_terminators(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, string| sum + string.len() as u64 + 1)
    }
}

/// Everything that WASI knows of one guest: its files, descriptors, streams, clocks and random
/// numbers.
///
/// A clone shares the files with its origin until one of the two writes, so it costs next to
/// nothing.
#[derive(Clone, Debug)]
pub struct WasiState {
    pub(crate) args: Arc<Strings>,
    pub(crate) env: Arc<Strings>,
    pub(crate) filesystem: Arc<Filesystem>,
    pub(crate) descriptors: Descriptors,
    /// The directory that relative paths of Emscripten's system calls start from.
    pub(crate) working_directory: InodeId,
    pub(crate) stdin: Stdin,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    pub(crate) terminal: bool,
    pub(crate) clocks: Clocks,
    pub(crate) random: Random,
    /// There is nothing about files that their names and bytes do not tell: no links.
    pub(crate) plain: bool,
}

pub(crate) fn check_quotas(quotas: Quotas) -> core::result::Result<(), ConfigError> {
    if quotas.files > MAX_FILES || quotas.bytes > MAX_BYTES || quotas.descriptors > MAX_DESCRIPTORS
    {
        return Err(ConfigError::QuotaTooGreat);
    }
    Ok(())
}

pub(crate) fn environment(
    env: Vec<(Vec<u8>, Vec<u8>)>,
) -> core::result::Result<Vec<Vec<u8>>, ConfigError> {
    env.into_iter()
        .map(|(name, value)| {
            if name.is_empty() || name.contains(&b'=') {
                return Err(ConfigError::InvalidString);
            }
            Ok([name, value].join(&b'='))
        })
        .collect()
}

impl WasiState {
    /// The state of a guest that is about to start.
    ///
    /// # Errors
    ///
    /// If the configuration asks for what cannot be: see [`ConfigError`].
    pub fn new(config: WasiConfig) -> core::result::Result<Self, ConfigError> {
        check_quotas(config.quotas)?;
        let mut clocks = Clocks::new(config.clock);
        let now = clocks.timestamp();
        let mut filesystem = Filesystem::new(config.quotas, now);
        let Node::Directory(entries) = &config.files else {
            return Err(ConfigError::NotADirectory);
        };
        filesystem
            .check_tree(&config.files, 0)
            .map_err(ConfigError::Files)?;
        filesystem
            .load(super::filesystem::ROOT, entries, now)
            .map_err(ConfigError::Files)?;
        filesystem
            .retain(super::filesystem::ROOT)
            .map_err(ConfigError::Files)?;
        let mut state = WasiState {
            args: Arc::new(Strings::new(config.args)?),
            env: Arc::new(Strings::new(environment(config.env)?)?),
            filesystem: Arc::new(filesystem),
            descriptors: Descriptors::new(config.quotas.descriptors),
            working_directory: super::filesystem::ROOT,
            stdin: Stdin::new(config.stdin),
            stdout: Output::new(config.stdout),
            stderr: Output::new(config.stderr),
            terminal: config.terminal,
            clocks,
            random: Random::new(config.random),
            plain: false,
        };
        state.open_streams()?;
        for preopen in config.preopens {
            let name = String::from_utf8_lossy(&preopen.name).into_owned();
            state
                .preopen(preopen, now)
                .map_err(|reason| ConfigError::Preopen { name, reason })?;
        }
        Ok(state)
    }

    fn open_streams(&mut self) -> core::result::Result<(), ConfigError> {
        let streams = [
            (Resource::Stdin, Rights::INPUT),
            (Resource::Output(OutputStream::Stdout), Rights::OUTPUT),
            (Resource::Output(OutputStream::Stderr), Rights::OUTPUT),
        ];
        for (resource, rights) in streams {
            let file = OpenFile::new(resource, rights, Rights::empty());
            self.descriptors.open(file).map_err(ConfigError::Files)?;
        }
        Ok(())
    }

    fn preopen(&mut self, preopen: Preopen, now: u64) -> Result<()> {
        super::filesystem::check_path(&preopen.name)?;
        super::filesystem::check_path(&preopen.path)?;
        let inode = self
            .filesystem_mut()
            .create_directories(&preopen.path, now)?;
        let Preopen { name, path } = preopen;
        let base = Rights::DIRECTORY;
        let file = OpenFile {
            preopen: Some(Arc::new(PreopenName { name, path })),
            ..OpenFile::new(Resource::Inode(inode), base, base | Rights::FILE)
        };
        self.open(file).map(drop)
    }

    pub(crate) fn filesystem_mut(&mut self) -> &mut Filesystem {
        Arc::make_mut(&mut self.filesystem)
    }

    /// Opens a file at the lowest vacant descriptor, and keeps its inode.
    pub(crate) fn open(&mut self, file: OpenFile) -> Result<u32> {
        self.descriptors.check_vacant()?;
        if let Resource::Inode(inode) = file.resource {
            self.filesystem_mut().retain(inode)?;
        }
        self.descriptors.open(file)
    }

    pub(crate) fn close(&mut self, fd: u32) -> Result<()> {
        let closed = self.descriptors.close(fd)?;
        self.closed(closed);
        Ok(())
    }

    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<()> {
        let closed = self.descriptors.renumber(from, to)?;
        self.closed(closed);
        Ok(())
    }

    /// Gives up the inode of an open file that no descriptor leads to any more.
    pub(crate) fn closed(&mut self, file: Option<OpenFile>) {
        if let Some(OpenFile {
            resource: Resource::Inode(inode),
            ..
        }) = file
        {
            self.filesystem_mut().release(inode);
        }
    }

    /// Finds or makes what is to be opened, and cuts it if asked for.
    pub(crate) fn open_inode(
        &mut self,
        target: &Target,
        open: OpenFlags,
        for_writing: bool,
    ) -> Result<InodeId> {
        self.descriptors.check_vacant()?;
        if open.contains(OpenFlags::CREATE | OpenFlags::DIRECTORY) {
            return Err(Errno::Inval);
        }
        let Some(inode) = target.inode else {
            if !open.contains(OpenFlags::CREATE) {
                return Err(Errno::Noent);
            }
            let now = self.clocks.timestamp();
            return self.filesystem_mut().create_file(target, now);
        };
        if open.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) {
            return Err(Errno::Exist);
        }
        let directory = open.contains(OpenFlags::DIRECTORY);
        match self.filesystem.file_type(inode)? {
            FileType::Directory => {
                if for_writing || open.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE) {
                    return Err(Errno::Isdir);
                }
            }
            _ if directory => return Err(Errno::Notdir),
            FileType::CharacterDevice => {}
            FileType::SymbolicLink => return Err(Errno::Loop),
            _ => {
                if for_writing {
                    self.filesystem.check_writable(inode)?;
                }
                if open.contains(OpenFlags::TRUNCATE) {
                    let now = self.clocks.timestamp();
                    self.filesystem_mut().set_size(inode, 0, now)?;
                }
            }
        }
        Ok(inode)
    }

    /// What an inode is opened as.
    pub(crate) fn resource(&self, inode: InodeId) -> Result<Resource> {
        Ok(match self.filesystem.inode(inode)?.kind {
            Kind::Device(Device::Stdin) => Resource::Stdin,
            Kind::Device(Device::Output(stream)) => Resource::Output(stream),
            Kind::File(_) | Kind::Directory(_) | Kind::Symlink(_) => Resource::Inode(inode),
        })
    }

    /// The rights that mean something for what is open.
    pub(crate) fn applicable(&self, resource: Resource) -> Result<Rights> {
        Ok(match resource {
            Resource::Stdin => Rights::INPUT,
            Resource::Output(_) => Rights::OUTPUT,
            Resource::Inode(inode) => match self.filesystem.file_type(inode)? {
                FileType::Directory => Rights::DIRECTORY,
                _ => Rights::FILE,
            },
        })
    }

    /// What the standard streams say that they are.
    pub(crate) fn stream_type(&self) -> FileType {
        if self.terminal {
            FileType::CharacterDevice
        } else {
            FileType::Unknown
        }
    }

    pub(crate) fn output(&self, stream: OutputStream) -> &Output {
        match stream {
            OutputStream::Stdout => &self.stdout,
            OutputStream::Stderr => &self.stderr,
        }
    }

    pub(crate) fn output_mut(&mut self, stream: OutputStream) -> &mut Output {
        match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        }
    }

    /// Whether a sleep takes no real time.
    pub(crate) fn sleeps_at_once(&self) -> bool {
        matches!(self.clocks.source, ClockSource::Fixed(_))
    }

    pub(crate) fn random_source(&self) -> RandomSource {
        match &self.random {
            Random::System => RandomSource::System,
            Random::Seeded(_) => RandomSource::Seed(0),
            Random::Embedder => RandomSource::Embedder,
        }
    }
}
