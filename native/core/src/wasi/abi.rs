//! The functions of preview 1, their parameters, and what differs between ABIs.

/// The width of pointers and sizes in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// A 32-bit memory: pointers and sizes are `i32`.
    W32,
    /// A 64-bit memory: pointers and sizes are `i64`.
    W64,
}

impl Width {
    /// The bytes that a pointer or a size takes in memory.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Width::W32 => 4,
            Width::W64 => 8,
        }
    }
}

/// The module name that a guest imports, which decides some layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `wasi_snapshot_preview1`.
    Preview1,
    /// `wasi_unstable`: the origins of `fd_seek` are numbered otherwise, `filestat` has a 32-bit
    /// link count, and a clock subscription carries an identifier of its own.
    Unstable,
}

impl Version {
    /// The version that a module name stands for.
    #[must_use]
    pub fn from_module(name: &str) -> Option<Self> {
        match name {
            "wasi_snapshot_preview1" => Some(Version::Preview1),
            "wasi_unstable" => Some(Version::Unstable),
            _ => None,
        }
    }
}

/// How a guest's calls are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Abi {
    /// The width of its memory.
    pub width: Width,
    /// The module name that it imports from.
    pub version: Version,
}

impl Abi {
    /// `wasi_snapshot_preview1` for a memory of this width.
    #[must_use]
    pub const fn preview1(width: Width) -> Self {
        Abi {
            width,
            version: Version::Preview1,
        }
    }
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// A 32-bit integer in both widths.
    I32,
    /// A 64-bit integer in both widths.
    I64,
    /// A pointer or a size: `i32` or `i64` by [`Width`].
    Size,
}

/// A WebAssembly value type, as far as WASI uses any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// `i32`
    I32,
    /// `i64`
    I64,
}

impl Param {
    /// The WebAssembly type of this parameter in a guest of this width.
    #[must_use]
    pub const fn value_type(self, width: Width) -> ValueType {
        match (self, width) {
            (Param::I32, _) | (Param::Size, Width::W32) => ValueType::I32,
            (Param::I64, _) | (Param::Size, Width::W64) => ValueType::I64,
        }
    }

    /// The argument of this type that a raw value stands for: what is 32 bits wide is cut.
    pub(crate) const fn normalize(self, width: Width, raw: u64) -> u64 {
        match self.value_type(width) {
            ValueType::I32 => raw as u32 as u64,
            ValueType::I64 => raw,
        }
    }
}

/// The most parameters that a function has (`path_open`).
pub(crate) const MAX_PARAMS: usize = 9;

macro_rules! functions {
    ($($variant:ident $name:literal ($($param:ident),*);)*) => {
        /// A function of WASI preview 1.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Function {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Function {
            /// Every function.
            pub const ALL: &[Function] = &[$(Function::$variant),*];

            /// The function of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Function::$variant),)*
                    _ => None,
                }
            }

            /// The name under which it is imported.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Function::$variant => $name,)*
                }
            }

            /// The types of its parameters.
            #[must_use]
            pub const fn params(self) -> &'static [Param] {
                match self {
                    $(Function::$variant => &[$(Param::$param),*],)*
                }
            }
        }
    };
}

functions! {
    ArgsGet "args_get" (Size, Size);
    ArgsSizesGet "args_sizes_get" (Size, Size);
    EnvironGet "environ_get" (Size, Size);
    EnvironSizesGet "environ_sizes_get" (Size, Size);
    ClockResGet "clock_res_get" (I32, Size);
    ClockTimeGet "clock_time_get" (I32, I64, Size);
    FdAdvise "fd_advise" (I32, I64, I64, I32);
    FdAllocate "fd_allocate" (I32, I64, I64);
    FdClose "fd_close" (I32);
    FdDatasync "fd_datasync" (I32);
    FdFdstatGet "fd_fdstat_get" (I32, Size);
    FdFdstatSetFlags "fd_fdstat_set_flags" (I32, I32);
    FdFdstatSetRights "fd_fdstat_set_rights" (I32, I64, I64);
    FdFilestatGet "fd_filestat_get" (I32, Size);
    FdFilestatSetSize "fd_filestat_set_size" (I32, I64);
    FdFilestatSetTimes "fd_filestat_set_times" (I32, I64, I64, I32);
    FdPread "fd_pread" (I32, Size, Size, I64, Size);
    FdPrestatGet "fd_prestat_get" (I32, Size);
    FdPrestatDirName "fd_prestat_dir_name" (I32, Size, Size);
    FdPwrite "fd_pwrite" (I32, Size, Size, I64, Size);
    FdRead "fd_read" (I32, Size, Size, Size);
    FdReaddir "fd_readdir" (I32, Size, Size, I64, Size);
    FdRenumber "fd_renumber" (I32, I32);
    FdSeek "fd_seek" (I32, I64, I32, Size);
    FdSync "fd_sync" (I32);
    FdTell "fd_tell" (I32, Size);
    FdWrite "fd_write" (I32, Size, Size, Size);
    PathCreateDirectory "path_create_directory" (I32, Size, Size);
    PathFilestatGet "path_filestat_get" (I32, I32, Size, Size, Size);
    PathFilestatSetTimes "path_filestat_set_times" (I32, I32, Size, Size, I64, I64, I32);
    PathLink "path_link" (I32, I32, Size, Size, I32, Size, Size);
    PathOpen "path_open" (I32, I32, Size, Size, I32, I64, I64, I32, Size);
    PathReadlink "path_readlink" (I32, Size, Size, Size, Size, Size);
    PathRemoveDirectory "path_remove_directory" (I32, Size, Size);
    PathRename "path_rename" (I32, Size, Size, I32, Size, Size);
    PathSymlink "path_symlink" (Size, Size, I32, Size, Size);
    PathUnlinkFile "path_unlink_file" (I32, Size, Size);
    PollOneoff "poll_oneoff" (Size, Size, Size, Size);
    ProcExit "proc_exit" (I32);
    ProcRaise "proc_raise" (I32);
    SchedYield "sched_yield" ();
    RandomGet "random_get" (Size, Size);
    SockAccept "sock_accept" (I32, I32, Size);
    SockRecv "sock_recv" (I32, Size, Size, I32, Size, Size);
    SockSend "sock_send" (I32, Size, Size, I32, Size);
    SockShutdown "sock_shutdown" (I32, I32);
}

impl Function {
    /// Whether it returns an error number (all but `proc_exit`, which returns nothing).
    #[must_use]
    pub const fn returns_errno(self) -> bool {
        !matches!(self, Function::ProcExit)
    }

    /// The raw arguments that these integers are, if there are as many as it has parameters;
    /// Emscripten may pass those of 64 bits as two halves, the lower one first.
    #[must_use]
    pub fn arguments(self, width: Width, given: &[i64]) -> Option<Vec<u64>> {
        if given.len() == self.params().len() {
            return Some(given.iter().map(|arg| arg.cast_unsigned()).collect());
        }
        let mut given = given.iter().map(|arg| arg.cast_unsigned());
        let mut arguments = Vec::with_capacity(MAX_PARAMS);
        for ty in self.value_types(width) {
            let low = given.next()?;
            arguments.push(match ty {
                ValueType::I32 => low,
                ValueType::I64 => low & 0xffff_ffff | given.next()? << 32,
            });
        }
        given.next().is_none().then_some(arguments)
    }

    /// Which of its parameters is the descriptor that it works on, if one is.
    pub(crate) const fn descriptor(self) -> Option<usize> {
        match self {
            Function::ArgsGet
            | Function::ArgsSizesGet
            | Function::EnvironGet
            | Function::EnvironSizesGet
            | Function::ClockResGet
            | Function::ClockTimeGet
            | Function::PollOneoff
            | Function::ProcExit
            | Function::ProcRaise
            | Function::SchedYield
            | Function::RandomGet => None,
            Function::PathSymlink => Some(2),
            _ => Some(0),
        }
    }

    /// The WebAssembly types of its parameters in a guest of this width.
    pub fn value_types(self, width: Width) -> impl ExactSizeIterator<Item = ValueType> {
        self.params()
            .iter()
            .map(move |param| param.value_type(width))
    }
}
