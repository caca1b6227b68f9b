//! The Linux address space as a library: mappings, and the memory calls with Linux's results.
//!
//! [`Mm`] is an address space. It takes the memory calls with raw arguments and answers with the
//! address or the error that Linux 6.18 would give, and its map reads as `/proc/PID/maps` would.
//! Pages, page tables and file contents belong to the embedder.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod accounting;
mod addr;
mod anon;
mod areas;
mod brk;
mod config;
mod counters;
mod errno;
mod file;
mod flags;
mod fork;
mod madvise;
mod maps_text;
mod merge;
mod mlock;
mod mm;
mod mmap;
mod mprotect;
mod mremap;
mod mseal;
mod munmap;
mod names;
mod placement;
mod shm;
mod split;
mod stack;
mod store;
mod sync_calls;
mod uffd;
mod validate;
mod vma;
mod vma_tree;
mod walk;

pub use addr::AddrRange;
pub use areas::BrkArea;
pub use config::{
    AnonAlignment, Capabilities, Features, LayoutKind, Limits, MmConfig, Overcommit, ThpRule,
};
pub use counters::{Counters, MergeCounts};
pub use errno::{CallError, Errno, Unmodelled};
pub use file::{Device, FileAccess, FileId, FileKind, FileRef, MappedFile, MemfdSeals, SharedZero};
pub use flags::{MapFlags, Mnemonics, MremapFlags, Prot, UnknownMnemonic, VmFlags};
pub use fork::ForkError;
pub use maps_text::MapsLine;
pub use mm::{Mm, SeedError};
pub use mmap::{MmapArgs, MmapSource};
pub use uffd::UffdFeatures;
pub use validate::Violation;
pub use vma::{AnonVma, AnonVmaId, Backing, GateVma, SpecialMapping, UffdId, Vma};

/// Runs the example of the project's front page.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeDoctests;
