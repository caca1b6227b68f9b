//! The Linux address space as a library: mappings, and the memory calls with Linux's results.
//!
//! [`Mm`] is an address space. It takes the memory calls with raw arguments, as a program passes
//! them, and answers with the address or the error that Linux 6.18 would give; its map reads as
//! `/proc/PID/maps` would, byte for byte. Mappings split and merge as Linux's do, so their number
//! stays as small as Linux's. Whoever emulates Linux, sandboxes or translates its programs, or
//! writes a kernel, gets the map; pages, page tables and file contents stay the embedder's.
//!
//! # Examples
//!
//! An emulator's system call handler:
//!
//! ```
//! use vmaple::{CallError, Mm, MmConfig, MmapArgs};
//!
//! /// What goes into the guest's result register.
//! fn returned(result: Result<u64, CallError>) -> i64 {
//!     match result {
//!         Ok(value) => value.cast_signed(),
//!         Err(CallError::Errno(errno)) => -i64::from(errno.as_raw()),
//!         Err(CallError::Unmodelled(what)) => panic!("the guest needs {what}"),
//!     }
//! }
//!
//! let mut mm = Mm::new(MmConfig::x86_64());
//! let (read_write, private_anonymous) = (3, 0x22);
//! let heap = mm.mmap(&MmapArgs::anonymous(0, 1 << 20, read_write, private_anonymous));
//! assert_eq!(returned(heap), 0x7fff_f7ef_f000);
//! assert_eq!(returned(mm.munmap(1, 4096).map(|()| 0)), -22, "EINVAL: not page aligned");
//! # Ok::<(), CallError>(())
//! ```
//!
//! A file of the embedder's, mapped:
//!
//! ```
//! use std::{fmt, sync::Arc};
//! use vmaple::{Device, FileAccess, FileId, FileKind, MappedFile, Mm, MmConfig, MmapArgs};
//!
//! #[derive(Debug)]
//! struct Library;
//!
//! impl MappedFile for Library {
//!     fn identity(&self) -> FileId { FileId(1) }
//!     fn device(&self) -> Device { Device { major: 8, minor: 1 } }
//!     fn inode(&self) -> u64 { 4711 }
//!     fn write_name(&self, out: &mut dyn fmt::Write) -> fmt::Result { out.write_str("/lib/a.so") }
//!     fn access(&self) -> FileAccess { FileAccess::READ_ONLY }
//!     fn kind(&self) -> FileKind { FileKind::Regular }
//! }
//!
//! let mut mm = Mm::new(MmConfig::x86_64());
//! let (read, private) = (1, 2);
//! mm.mmap(&MmapArgs::file(0, 8192, read, private, Arc::new(Library), 0))?;
//! let mut maps = String::new();
//! mm.write_maps(&mut maps).unwrap();
//! let fields = "7ffff7ffd000-7ffff7fff000 r--p 00000000 08:01 4711";
//! assert_eq!(maps, format!("{fields:<73}/lib/a.so\n"));
//! # Ok::<(), vmaple::CallError>(())
//! ```
//!
//! # What the embedder has to tell
//!
//! * The facts of kernel and process ([`MmConfig`]): limits, capabilities, where placement starts.
//! * First writes to private mappings ([`Mm::note_faulted`]): Linux gives the mapping an `anon_vma`
//!   then, and whether two mappings merge later depends on it. Whoever handles the guest's page
//!   faults knows.
//! * Faults below a stack ([`Mm::expand_stack`]).
//!
//! # Errors
//!
//! An error leaves everything as it was, but where Linux itself leaves a partial result (an
//! `mprotect` that meets a hole has changed what lies before it). Where this crate cannot tell what
//! Linux would do, it says so ([`CallError::Unmodelled`]) and changes nothing.
//!
//! # Cost
//!
//! Calls and lookups take O(log n) in the number of mappings, and O(1) more for each mapping that
//! the range covers; [`Mm::fork`] and the maps text are linear.
//!
//! # How it is known to be right
//!
//! Random calls are made on the running kernel and on `Mm`, and results and maps compared after
//! each (`vmaple fuzz`); `vmaple run` does the same with real programs.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod accounting;
mod addr;
mod anon;
mod apart;
mod areas;
mod brk;
mod config;
mod counters;
mod errno;
mod fault;
mod file;
mod flags;
mod fork;
mod huge;
mod madvise;
mod merge;
mod mlock;
mod mm;
mod mmap;
mod mprotect;
mod mremap;
mod mseal;
mod munmap;
mod names;
mod operations;
mod placement;
mod plain;
mod proc_text;
mod query;
mod shared;
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

pub use accounting::CommitRule;
pub use addr::AddrRange;
pub use apart::Apart;
pub use areas::BrkArea;
pub use config::{
    AnonAlignment, Capabilities, Features, LayoutKind, Limits, MmConfig, Overcommit, ThpRule,
};
pub use counters::{Counters, MergeCounts};
pub use errno::{CallError, Errno, Unmodelled};
pub use fault::{Access, Fault, FaultError, FaultHandler, Handled};
pub use file::{
    Device, FileAccess, FileId, FileKind, FileRef, MapSync, MappedFile, MemfdSeals, SharedZero,
};
pub use flags::{MapFlags, Mnemonics, MremapFlags, Prot, UnknownMnemonic, VmFlags};
pub use fork::ForkError;
pub use huge::{HugePool, HugePools};
pub use mm::{Mm, SeedError};
pub use mmap::{MmapArgs, MmapSource};
pub use operations::VmaOperations;
pub use plain::PlainVma;
pub use proc_text::{
    MappingName, MapsEntry, MapsFormat, MapsPosition, MapsReader, MmSource, NoFigures, NumaFigures,
    NumaMapsFormat, NumaProvider, PageFigures, PageProvider, ReadError, RollupError, ShmemEnabled,
    ShmemHuge, ShmemSizeEnabled, SmapsFormat, SmapsRules, TextBuffer, ThpEnabled, VmaFormat,
    VmaSource,
};
pub use query::{
    BadAddress, PROCMAP_QUERY_SIZE, Query, QueryAnswer, QueryFlags, UserMemory, answer_ioctl,
    answer_query, search,
};
pub use shared::{SharedMm, SharedSource};
pub use uffd::UffdFeatures;
pub use validate::Violation;
pub use vma::{AnonVma, AnonVmaId, Backing, GateVma, SpecialMapping, UffdId, Vma};
/// `mmap_lock`, VMA locks, and what a thread holds of them.
pub use vmaple_locks as locks;

/// Runs the example of the project's front page.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeDoctests;
