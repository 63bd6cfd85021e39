//! WASI preview 1 on the real machine: folders of it, through wasmtime-wasi.
//!
//! Only what is behind the descriptors of folders and files is the machine's. Arguments,
//! environment, standard streams, clocks and random bytes are those of a [virtual
//! world](crate::wasi), which every world of the machine has inside: they have the same options and
//! behave the same.
//!
//! Regular files on disks of the machine are read and written [in place](local), once the guest is
//! driven on a thread that [may wait](crate::store::Step::Blocks) for them. All else is done on
//! threads of a pool ([`runtime`]); the guest waits, and its driver is
//! [told](crate::store::Step::Waiting).

mod check;
mod folder;
mod functions;
mod local;
mod poll;
mod runtime;
mod world;

pub use folder::{Access, Folder};
pub(crate) use runtime::Waiting;
pub use world::HostWasi;
pub(crate) use world::{HostWorld, Route};
