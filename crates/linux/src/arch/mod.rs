//! Everything the tracer knows about a processor: call numbers, registers, the trap.
//!
//! One file per architecture with the same items; the rest of the crate names none of them.
//! Where there is no file yet the crate still builds, [`SUPPORTED`] is false, the table is
//! empty, and [`crate::tracer::run`] answers with `Unsupported`.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(not(target_arch = "x86_64"))]
mod other;
#[cfg(not(target_arch = "x86_64"))]
pub use other::*;

/// What the tracer does with a call that the filter hands to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Changes the address space: entry and exit are reported.
    Memory,
    /// Makes a task, flags in the first argument: reported by the fork event.
    Clone,
    /// Makes a task, flags in memory at the first argument.
    Clone3,
    /// Replaces the program: entry, then exec event or failing exit.
    Exec,
}

/// When the filter hands a call to the tracer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Each time.
    Always,
    /// Only if the low half of argument `arg` is one of `values`.
    LowWordIs {
        /// Which argument, from 0.
        arg: u8,
        /// The values that matter.
        values: &'static [u32],
    },
    /// Only if none of these bits is set in the low half of argument `arg`.
    LowWordLacks {
        /// Which argument, from 0.
        arg: u8,
        /// The bits.
        bits: u32,
    },
}

/// One system call the tracer takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syscall {
    /// Its number.
    pub nr: u32,
    /// Its name.
    pub name: &'static str,
    /// What the tracer does with it.
    pub role: Role,
    /// When it is handed over.
    pub when: When,
}

/// The flags of the fork-like call a task is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloneFlags {
    /// These flags.
    Value(u64),
    /// At this address in the task's memory.
    InMemory(u64),
    /// Not a call of the native set: ask the kernel about the child instead.
    Unknown,
}
