//! The Linux address space as a library: mappings, and the memory calls with Linux's results.
//!
//! [`Mm`] is an address space. It takes the memory calls with raw arguments and answers with the
//! address or the error that Linux 6.18 would give, and its map reads as `/proc/PID/maps` would.
//! Pages, page tables and file contents belong to the embedder.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod addr;
mod areas;
mod config;
mod counters;
mod errno;
mod file;
mod flags;
mod vma;

pub use addr::AddrRange;
pub use areas::BrkArea;
pub use config::{
    AnonAlignment, Capabilities, Features, LayoutKind, Limits, MmConfig, Overcommit, ThpRule,
};
pub use counters::{Counters, MergeCounts};
pub use errno::{CallError, Errno, Unmodelled};
pub use file::{Device, FileAccess, FileId, FileKind, FileRef, MappedFile, MemfdSeals, SharedZero};
pub use flags::{MapFlags, Mnemonics, MremapFlags, Prot, UnknownMnemonic, VmFlags};
pub use vma::{AnonVma, AnonVmaId, Backing, GateVma, SpecialMapping, UffdId, Vma};
