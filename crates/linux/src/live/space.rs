//! One address space as the live run sees it: open files of /proc, calls under way.

use std::collections::HashMap;

use nix::unistd::Pid;
use vmaple::AddrRange;

use super::Pending;
use super::lost::Lost;
use crate::procfs::Error;
use crate::procfs::machine::page_size;
use crate::procfs::maps::MapsFile;
use crate::procfs::pagemap::AnonScan;
use crate::tracer::Task;

/// What the run keeps for one address space.
#[derive(Debug)]
pub(super) struct Space {
    /// The process it was first seen in.
    pub(super) pid: i32,
    /// False for a program that vmaple does not follow.
    pub(super) mirrored: bool,
    /// Another task has used it too, so page faults may race calls.
    pub(super) shared: bool,
    /// Why the order of calls was lost, if it was: the next difference is a re-seed.
    pub(super) uncertain: Option<&'static str>,
    /// Calls under way, by thread.
    pub(super) pending: HashMap<Pid, Pending>,
    /// Calls whose callers were killed, since the last comparison.
    pub(super) lost: Vec<Lost>,
    /// `/proc/PID/maps`, which goes on showing this address space whichever thread lives.
    pub(super) maps: Option<MapsFile>,
    scan: Option<AnonScan>,
}

impl Space {
    /// Opens what is needed. A task that was killed meanwhile leaves a space of which nothing
    /// can be read, and nothing needs to be.
    ///
    /// # Errors
    /// Those of /proc, too many open files for example.
    pub(super) fn open(task: Task) -> Result<Space, Error> {
        Ok(Space {
            pid: task.tgid.as_raw(),
            mirrored: true,
            shared: false,
            uncertain: None,
            pending: HashMap::new(),
            lost: Vec::new(),
            maps: unless_gone(MapsFile::open(task.tid))?,
            scan: unless_gone(AnonScan::open(task.tid, page_size()))?,
        })
    }

    /// Those of `ranges` that hold an anonymous page now, in the same order.
    pub(super) fn anonymous(&self, ranges: &[AddrRange]) -> Vec<AddrRange> {
        let Some(scan) = &self.scan else {
            return Vec::new();
        };
        let mut held = Vec::new();
        for &range in ranges {
            if scan.holds_anon(range.start, range.end).unwrap_or(false) {
                held.push(range);
            }
        }
        held
    }

    /// The guard pages of `ranges`, in the same order.
    pub(super) fn guards(&self, ranges: &[AddrRange]) -> Vec<AddrRange> {
        let Some(scan) = &self.scan else {
            return Vec::new();
        };
        let found = ranges
            .iter()
            .filter_map(|range| scan.guards(range.start, range.end).ok());
        found.flatten().collect()
    }
}

fn unless_gone<T>(opened: Result<T, Error>) -> Result<Option<T>, Error> {
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}
