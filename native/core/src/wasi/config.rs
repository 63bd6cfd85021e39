//! What a guest is started with.

use super::errno::Errno;
use super::node::Node;

/// The greatest quota of bytes, which also bounds what a damaged encoding can make us allocate.
pub const MAX_BYTES: u64 = 64 << 30;

/// The greatest quota of files.
pub const MAX_FILES: u64 = 1 << 24;

/// The greatest quota of descriptors.
pub const MAX_DESCRIPTORS: u32 = 1 << 16;

/// The most bytes of all arguments, or of all environment variables.
pub const MAX_STRINGS: usize = 1 << 20;

/// How much a guest may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Files, directories and symbolic links, and as many directory entries.
    pub files: u64,
    /// The bytes of all files; a hole in a file counts as if it were written.
    pub bytes: u64,
    /// Open descriptors.
    pub descriptors: u32,
}

impl Quotas {
    /// The greatest quotas.
    pub const MAX: Quotas = Quotas {
        files: MAX_FILES,
        bytes: MAX_BYTES,
        descriptors: MAX_DESCRIPTORS,
    };
}

impl Default for Quotas {
    /// 65,536 files, 1 GiB, 1,024 descriptors.
    fn default() -> Self {
        Quotas {
            files: 1 << 16,
            bytes: 1 << 30,
            descriptors: 1024,
        }
    }
}

/// Where standard input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StdinSource {
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// The embedder, who is asked by [`Request::Stdin`](super::Request::Stdin).
    Embedder,
}

/// Where standard output or standard error goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputSink {
    /// It is kept, up to so many bytes. What is beyond is dropped: the guest is told that it
    /// wrote it, and [`WasiState::discarded`](super::WasiState::discarded) counts it.
    Capture {
        /// The most bytes that are kept.
        limit: u64,
    },
    /// The embedder gets it by [`Request::Output`](super::Request::Output).
    Embedder,
}

/// Where the time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSource {
    /// The machine.
    System,
    /// All clocks stand at so many nanoseconds, and go on only by as much as the guest sleeps
    /// (a sleep takes no real time).
    Fixed(u64),
    /// The embedder, who is asked by [`Request::Clock`](super::Request::Clock). Files are marked
    /// with the last time that it told.
    Embedder,
}

/// Where random bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RandomSource {
    /// The machine.
    System,
    /// A generator (ChaCha) with this seed: equal seeds give equal bytes.
    Seed(u64),
    /// The embedder, who is asked by [`Request::Random`](super::Request::Random).
    Embedder,
}

/// A directory that the guest has open from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preopen {
    /// The name by which the guest knows it.
    pub name: Vec<u8>,
    /// Where it is in the tree; it is made if it is missing.
    pub path: Vec<u8>,
}

/// Everything that a guest is started with.
///
/// The defaults give it nothing of the machine but its time and random bytes: no arguments, no
/// environment, an empty filesystem preopened at `/`, an empty standard input, and outputs that
/// are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WasiConfig {
    /// The arguments, the name of the program first.
    pub args: Vec<Vec<u8>>,
    /// The environment, in this order.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// The files; a directory.
    pub files: Node,
    /// The directories that are open from the start, from descriptor 3 on.
    pub preopens: Vec<Preopen>,
    /// Standard input.
    pub stdin: StdinSource,
    /// Standard output.
    pub stdout: OutputSink,
    /// Standard error.
    pub stderr: OutputSink,
    /// Whether the standard streams say that they are terminals.
    pub terminal: bool,
    /// The clocks.
    pub clock: ClockSource,
    /// Random bytes.
    pub random: RandomSource,
    /// What the guest may use.
    pub quotas: Quotas,
}

/// The limit of captured output unless another is given.
pub const DEFAULT_OUTPUT_LIMIT: u64 = 16 << 20;

impl Default for WasiConfig {
    fn default() -> Self {
        WasiConfig {
            args: Vec::new(),
            env: Vec::new(),
            files: Node::empty_directory(),
            preopens: vec![Preopen {
                name: b"/".to_vec(),
                path: b"/".to_vec(),
            }],
            stdin: StdinSource::Bytes(Vec::new()),
            stdout: OutputSink::Capture {
                limit: DEFAULT_OUTPUT_LIMIT,
            },
            stderr: OutputSink::Capture {
                limit: DEFAULT_OUTPUT_LIMIT,
            },
            terminal: false,
            clock: ClockSource::System,
            random: RandomSource::System,
            quotas: Quotas::default(),
        }
    }
}

/// Why a configuration or a tree is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// An argument or a variable has a NUL byte, or the name of a variable is empty or has `=`.
    #[error("an argument or environment variable holds a byte that it cannot hold")]
    InvalidString,
    /// The arguments or the environment are too long.
    #[error("the arguments or the environment are longer than {MAX_STRINGS} bytes")]
    StringsTooLong,
    /// The files are no directory.
    #[error("the files of a guest are a directory")]
    NotADirectory,
    /// A quota is greater than what is possible.
    #[error("a quota is greater than the greatest possible one")]
    QuotaTooGreat,
    /// A name, a link or the size of the tree is refused.
    #[error("the tree of files is refused: {0:?}")]
    Files(Errno),
    /// A preopened directory is refused.
    #[error("the preopened directory {name:?} is refused: {reason:?}")]
    Preopen {
        /// Its name, as text.
        name: String,
        /// Why.
        reason: Errno,
    },
}
