//! The stress laboratory: one load, made under several ways of locking, in one run.
//!
//! A *mapper* maps, unmaps and protects random pages of a region; *faulters* touch it; *readers*
//! read its maps in a loop. The load is that of the test by which Linux judged its own change: the
//! readers run at low priority beside a busy thread on their processor, so that one may lose the
//! processor while it holds a lock, and the mapper's latencies show what that costs.
//!
//! [`model`] makes it on [`vmaple::SharedMm`], [`kernel`] by system calls; [`checker`] looks at
//! what readers get while they get it.

pub mod checker;
mod crew;
mod kernel;
mod model;
mod outcome;
mod place;
mod region;

pub use checker::{Checker, Violations};
pub use outcome::{Latency, Outcome, Percentile};

use serde::Serialize;
use std::time::Duration;

/// Who holds what while it works.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Locking {
    /// vmaple: faults and readers take the lock of one VMA at a time.
    Vma,
    /// vmaple, the old way: a reader holds `mmap_lock` for each read, a fault for its duration.
    Mmap,
    /// The running kernel, by system calls.
    Kernel,
}

/// A load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Load {
    /// Mappings of the region that are always there; as many come and go between them.
    pub vmas: u64,
    /// Threads that map and unmap.
    pub mappers: usize,
    /// Threads that fault.
    pub faulters: usize,
    /// Threads that read maps.
    pub readers: usize,
    /// How long.
    pub duration: Duration,
    /// Mappers and faulters on the first processor, readers on the second.
    pub pinned: bool,
    /// Readers at low priority beside a thread that is busy two milliseconds of three.
    pub preempted: bool,
}

/// Why a load could not be made.
#[derive(Debug, thiserror::Error)]
pub enum StressError {
    /// The system refused something that the load needs.
    #[error("cannot {what}: {cause}; try fewer VMAs or threads")]
    System {
        /// What was to be done.
        what: &'static str,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A thread of the load ended by a panic: a mistake of vmaple's.
    #[error("a thread of the load has failed; this is a mistake of vmaple's")]
    Panicked,
}

/// Makes a load and says what it came to.
///
/// # Errors
/// See [`StressError`].
pub fn run(locking: Locking, load: &Load) -> Result<Outcome, StressError> {
    match locking {
        Locking::Vma | Locking::Mmap => model::run(locking, load),
        Locking::Kernel => kernel::run(load),
    }
}
