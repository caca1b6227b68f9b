//! Staying on one processor.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// While this lives, the thread stays where it was, and so do processes that it starts.
#[derive(Debug)]
pub(crate) struct OneProcessor {
    /// What was permitted before; none where nothing could be changed.
    before: Option<CpuSet>,
}

/// The numbers of the processors that this thread may use.
pub(crate) fn permitted() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return vec![0];
    };
    let numbers = 0..CpuSet::count();
    numbers.filter(|cpu| set.is_set(*cpu) == Ok(true)).collect()
}

impl OneProcessor {
    /// Stays on the processor of this number; where the kernel refuses, nothing changes but speed.
    pub(crate) fn stay(cpu: usize) -> OneProcessor {
        let this = Pid::from_raw(0);
        let before = sched_getaffinity(this).ok();
        let mut here = CpuSet::new();
        let pinned = here.set(cpu).and_then(|()| sched_setaffinity(this, &here));
        OneProcessor {
            before: before.filter(|_| pinned.is_ok()),
        }
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A thread that stays where it is, is no fault.
            let _ = sched_setaffinity(Pid::from_raw(0), before);
        }
    }
}
