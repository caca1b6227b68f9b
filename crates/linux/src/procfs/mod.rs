//! Readers of /proc and of what else the kernel tells about one process.
//!
//! Everything here looks at *another* process from outside and changes nothing in it. The
//! readers know formats and system calls; they know nothing of tracing, of the mirror, or of
//! how the answers are used.
//!
//! | File | Question it answers |
//! |---|---|
//! | [`maps`] | the whole address space as text, and the parser of its lines |
//! | [`query`] | one mapping at or after an address (`PROCMAP_QUERY`) |
//! | [`smaps`] | `VmFlags`, protection key and anonymous counts of mappings |
//! | [`figures`] | page counts of mappings (smaps) |
//! | [`pagemap`] | does a range hold an anonymous page |
//! | [`process`] | addresses, limits, capabilities and counters of a process |
//! | [`machine`] | facts of the machine that hold for every process |
//! | [`files`] | what is behind a descriptor or a mapped file, and its identity |
//!
//! **Architecture Invariant:** only `ioctl.rs` contains `unsafe`; it wraps one system call
//! per function and decides nothing.
//!
//! **Architecture Invariant:** no input makes these readers panic. A process may die between
//! any two system calls, and every such end is [`Error::Gone`].

mod error;
pub mod figures;
pub mod files;
mod ioctl;
pub mod machine;
pub mod maps;
pub mod pagemap;
pub mod process;
pub mod query;
pub mod smaps;
mod text;

pub use error::{Error, MalformedText};
