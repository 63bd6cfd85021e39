//! Worlds of which a tree of names and bytes, and a list of descriptors, tell everything.
//!
//! Who keeps a guest's files elsewhere makes such a world of them before the guest runs, and reads
//! them out of it afterwards. Files have no times, and there are no links. What is in
//! `/dev/stdin`, `/dev/stdout` and `/dev/stderr` are the standard streams.
//!
//! Between two runs a world is [settled](WasiState::settled): what a guest can observe of it (the
//! numbers of files, the order of directories) then depends on the tree alone, so that it does not
//! matter whether the world was kept or is made anew.

use std::collections::HashMap;
use std::sync::Arc;

use super::clock::Clocks;
use super::config::{
    ClockSource, ConfigError, OutputSink, Quotas, RandomSource, StdinSource, WasiConfig,
};
use super::descriptor::{Descriptors, OpenFile, PreopenName, Resource};
use super::errno::{Errno, Result};
use super::filesystem::{Directory, Filesystem, Follow, InodeId, Kind, ROOT};
use super::node::Node;
use super::random::Random;
use super::state::{Strings, WasiState, environment};
use super::types::{Device, FdFlags, OutputStream, Rights};

const DEVICES: [(&[u8], Device); 3] = [
    (b"/dev/stdin", Device::Stdin),
    (b"/dev/stdout", Device::Output(OutputStream::Stdout)),
    (b"/dev/stderr", Device::Output(OutputStream::Stderr)),
];

/// A descriptor by the path of what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDescription {
    /// Its number.
    pub fd: u32,
    /// From the root on.
    pub path: Vec<u8>,
    /// Where reading and writing go on.
    pub offset: u64,
    /// The flags of preview 1.
    pub flags: u16,
    /// The name by which a guest knows it from the start.
    pub preopen: Option<Vec<u8>>,
    /// What it may be used for, and what may be opened beneath it, as preview 1 numbers rights;
    /// everything that there is if absent.
    pub rights: Option<(u64, u64)>,
}

/// What a guest finds besides its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The arguments.
    pub args: Vec<Vec<u8>>,
    /// The environment.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// The clocks.
    pub clock: ClockSource,
}

/// What went through the standard streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Written to standard output.
    pub stdout: Vec<u8>,
    /// Written to standard error.
    pub stderr: Vec<u8>,
}

/// Why there is no such world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlainError {
    /// The files, arguments or variables are refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A descriptor is refused.
    #[error("the descriptor {fd} is refused: {reason:?}")]
    Descriptor {
        /// Its number.
        fd: u32,
        /// Why.
        reason: Errno,
    },
}

fn all_rights(applicable: Rights) -> (Rights, Rights) {
    let inheriting = if applicable == Rights::DIRECTORY {
        Rights::DIRECTORY | Rights::FILE
    } else {
        Rights::empty()
    };
    (applicable, inheriting)
}

impl WasiState {
    /// A plain world with these files; `stdin` is what can still be read from standard input. What
    /// a descriptor leads to may be missing: then it is closed.
    ///
    /// # Errors
    ///
    /// If a name, a setting or a descriptor is refused.
    pub fn plain(
        tree: Node,
        stdin: Vec<u8>,
        descriptors: &[OpenDescription],
        settings: Settings,
    ) -> core::result::Result<Self, PlainError> {
        let sink = OutputSink::Capture {
            limit: Quotas::default().bytes,
        };
        let mut state = WasiState::new(WasiConfig {
            args: settings.args,
            env: settings.env,
            files: tree,
            preopens: Vec::new(),
            stdin: StdinSource::Bytes(stdin),
            stdout: sink,
            stderr: sink,
            terminal: true,
            clock: settings.clock,
            random: RandomSource::System,
            quotas: Quotas::default(),
        })?;
        state.plain = true;
        state.clocks.timeless = true;
        state.filesystem_mut().set_devices();
        state.descriptors = Descriptors::new(Quotas::default().descriptors);
        for description in descriptors {
            state
                .open_described(description)
                .map_err(|reason| PlainError::Descriptor {
                    fd: description.fd,
                    reason,
                })?;
        }
        // Times that came with the files.
        Ok(state.settled())
    }

    fn open_described(&mut self, description: &OpenDescription) -> Result<()> {
        let device = DEVICES.iter().find(|(path, _)| *path == description.path);
        let resource = match device {
            Some((_, Device::Stdin)) => Resource::Stdin,
            Some((_, Device::Output(stream))) => Resource::Output(*stream),
            None => {
                let found = self
                    .filesystem
                    .resolve_from_root(&description.path, Follow::Always);
                match found.map(|target| target.inode) {
                    Ok(Some(inode)) => self.resource(inode)?,
                    Ok(None) | Err(Errno::Noent | Errno::Notdir) => return Ok(()),
                    Err(errno) => return Err(errno),
                }
            }
        };
        let (base, inheriting) = match description.rights {
            Some((base, inheriting)) => (
                Rights::from_bits_truncate(base),
                Rights::from_bits_truncate(inheriting),
            ),
            None => all_rights(self.applicable(resource)?),
        };
        let preopen = description.preopen.as_ref().map(|name| {
            Arc::new(PreopenName {
                name: name.clone(),
                path: description.path.clone(),
            })
        });
        if description.offset > i64::MAX as u64 {
            return Err(Errno::Overflow);
        }
        let file = OpenFile {
            flags: FdFlags::from_bits(description.flags).ok_or(Errno::Inval)?,
            offset: description.offset,
            preopen,
            ..OpenFile::new(resource, base, inheriting)
        };
        self.descriptors.open_at(description.fd, file)?;
        if let Resource::Inode(inode) = resource {
            self.filesystem_mut().retain(inode)?;
        }
        Ok(())
    }

    /// Changes what a guest finds besides its files.
    ///
    /// # Errors
    ///
    /// If an argument or a variable is refused.
    pub fn set(&mut self, settings: Settings) -> core::result::Result<(), ConfigError> {
        self.args = Arc::new(Strings::new(settings.args)?);
        self.env = Arc::new(Strings::new(environment(settings.env)?)?);
        self.clocks = self.new_clocks(settings.clock);
        Ok(())
    }

    fn new_clocks(&self, source: ClockSource) -> Clocks {
        let mut clocks = Clocks::new(source);
        clocks.timeless = self.plain;
        clocks
    }

    /// The descriptors, in order. One whose file is in no directory any more is not among them.
    #[must_use]
    pub fn descriptions(&self) -> Vec<OpenDescription> {
        let paths = self.paths();
        let described = self.descriptors.iter().filter_map(|(fd, _, file)| {
            let path = match file.resource {
                Resource::Stdin => b"/dev/stdin".to_vec(),
                Resource::Output(OutputStream::Stdout) => b"/dev/stdout".to_vec(),
                Resource::Output(OutputStream::Stderr) => b"/dev/stderr".to_vec(),
                Resource::Inode(inode) => paths.get(&inode)?.clone(),
            };
            let (base, inheriting) = all_rights(self.applicable(file.resource).ok()?);
            let all = file.base == base && file.inheriting == inheriting;
            Some(OpenDescription {
                fd,
                path,
                offset: file.offset,
                flags: file.flags.bits(),
                preopen: file.preopen.as_ref().map(|preopen| preopen.name.clone()),
                rights: (!all).then(|| (file.base.bits(), file.inheriting.bits())),
            })
        });
        described.collect()
    }

    /// A path of every file that is open.
    fn paths(&self) -> HashMap<InodeId, Vec<u8>> {
        let mut wanted: HashMap<InodeId, Vec<u8>> = HashMap::new();
        let open = self.descriptors.iter();
        let mut missing = open
            .filter(|(_, _, file)| match file.resource {
                Resource::Inode(inode) => wanted.insert(inode, Vec::new()).is_none(),
                Resource::Stdin | Resource::Output(_) => false,
            })
            .count();
        let mut level = vec![(ROOT, Vec::new())];
        if let Some(path) = wanted.get_mut(&ROOT) {
            path.push(b'/');
            missing -= 1;
        }
        while missing > 0 && !level.is_empty() {
            let mut next = Vec::new();
            for (directory, path) in level {
                let Ok(directory) = self.filesystem.directory(directory) else {
                    continue;
                };
                for (name, inode) in directory.entries() {
                    let path = [&path, b"/".as_slice(), name].concat();
                    if let Some(slot) = wanted.get_mut(&inode)
                        && slot.is_empty()
                    {
                        slot.clone_from(&path);
                        missing -= 1;
                    }
                    if self.filesystem.directory(inode).is_ok() {
                        next.push((inode, path));
                    }
                }
            }
            level = next;
        }
        wanted.retain(|_, path| !path.is_empty());
        wanted
    }

    /// What went to the standard streams since it was taken last.
    pub fn take_output(&mut self) -> Output {
        Output {
            stdout: self.take_captured(OutputStream::Stdout),
            stderr: self.take_captured(OutputStream::Stderr),
        }
    }

    /// How many bytes of standard input are still to be read.
    #[must_use]
    pub fn stdin_left(&self) -> usize {
        self.stdin.available().len()
    }

    /// Whether files and descriptors are those of another world, from which this one came.
    #[must_use]
    pub fn has_files_of(&self, other: &WasiState) -> (bool, bool) {
        let files = Arc::ptr_eq(&self.filesystem, &other.filesystem);
        let same = self.descriptors.iter().eq(other.descriptors.iter());
        (files, files && same)
    }

    /// The same world with files numbered, and directories ordered, by their names; what nothing
    /// leads to is gone, and descriptors that shared an offset have one each.
    #[must_use]
    pub fn settled(&self) -> WasiState {
        let mut numbers = HashMap::new();
        let mut filesystem = Filesystem::new(self.filesystem.quotas, 0);
        // What came out of the quotas fits into them.
        let copied = filesystem.copy(ROOT, &self.filesystem, ROOT, &mut numbers);
        let mut state = WasiState {
            descriptors: Descriptors::new(self.filesystem.quotas.descriptors),
            working_directory: ROOT,
            ..self.rested()
        };
        if copied.is_err() || filesystem.retain(ROOT).is_err() {
            return state;
        }
        for (fd, _, file) in self.descriptors.iter() {
            let mut file = file.clone();
            if let Resource::Inode(inode) = &mut file.resource {
                match numbers.get(inode) {
                    Some(number) if filesystem.retain(*number).is_ok() => *inode = *number,
                    _ => continue,
                }
            }
            // The numbers are distinct and below the limit, as they were before.
            let _ = state.descriptors.open_at(fd, file);
        }
        state.filesystem = Arc::new(filesystem);
        state
    }

    /// The same world with clocks and random numbers as at its beginning.
    #[must_use]
    pub fn rested(&self) -> WasiState {
        WasiState {
            clocks: self.new_clocks(self.clocks.source),
            random: Random::new(self.random_source()),
            ..self.clone()
        }
    }

    /// Walks through the files: see [`Entry`].
    pub fn entries(&self) -> Option<Entry<'_>> {
        Entry::new(&self.filesystem, ROOT)
    }
}

/// A file of a plain world, for who reads out the tree.
#[derive(Clone, Copy)]
pub enum Entry<'a> {
    /// A directory.
    Directory(Listing<'a>),
    /// A file: its bytes.
    File(FileBytes<'a>),
    /// A standard stream: 0, 1 or 2.
    Device(u32),
}

/// The entries of a directory.
#[derive(Clone, Copy)]
pub struct Listing<'a> {
    filesystem: &'a Filesystem,
    directory: &'a Directory,
}

/// The bytes of a file.
#[derive(Clone, Copy)]
pub struct FileBytes<'a>(&'a Arc<super::content::Content>);

impl<'a> Entry<'a> {
    fn new(filesystem: &'a Filesystem, id: InodeId) -> Option<Self> {
        Some(match &filesystem.inode(id).ok()?.kind {
            Kind::Directory(directory) => Entry::Directory(Listing {
                filesystem,
                directory,
            }),
            Kind::File(content) => Entry::File(FileBytes(content)),
            Kind::Device(Device::Stdin) => Entry::Device(0),
            Kind::Device(Device::Output(OutputStream::Stdout)) => Entry::Device(1),
            Kind::Device(Device::Output(OutputStream::Stderr)) => Entry::Device(2),
            // There are none in a plain world.
            Kind::Symlink(_) => return None,
        })
    }
}

impl<'a> Listing<'a> {
    /// Names and what they lead to, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Entry<'a>)> + use<'a> {
        let filesystem = self.filesystem;
        self.directory
            .entries()
            .filter_map(move |(name, id)| Some((&**name, Entry::new(filesystem, id)?)))
    }

    /// What a name leads to.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<Entry<'a>> {
        Entry::new(self.filesystem, self.directory.get(name)?)
    }
}

impl FileBytes<'_> {
    /// Whether these are the bytes of another file that nobody has written since.
    #[must_use]
    pub fn is(&self, other: FileBytes<'_>) -> bool {
        Arc::ptr_eq(self.0, other.0)
    }

    /// The bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl Filesystem {
    /// Makes the files with the names of standard streams be these.
    fn set_devices(&mut self) {
        for (path, device) in DEVICES {
            let found = self.resolve_from_root(path, Follow::Entry);
            if let Ok(Some(id)) = found.map(|target| target.inode) {
                self.make_device(id, device);
            }
        }
    }

    /// Copies what is in a directory of another filesystem, in the order of names; bytes are
    /// shared. `numbers` gets the place of each file.
    fn copy(
        &mut self,
        to: InodeId,
        other: &Filesystem,
        from: InodeId,
        numbers: &mut HashMap<InodeId, InodeId>,
    ) -> Result<()> {
        numbers.insert(from, to);
        for (name, child) in other.directory(from)?.entries() {
            let kind = match &other.inode(child)?.kind {
                Kind::Directory(_) => Kind::Directory(Arc::new(Directory::new(to))),
                kind => kind.clone(),
            };
            let directory = matches!(kind, Kind::Directory(_));
            let id = self.create(to, name, kind, 0)?;
            if directory {
                self.copy(id, other, child, numbers)?;
            } else {
                numbers.entry(child).or_insert(id);
            }
        }
        Ok(())
    }
}
