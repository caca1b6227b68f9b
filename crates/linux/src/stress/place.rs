//! Where the threads of a load run.
//!
//! # Safety
//!
//! The one call without a safe wrapper changes the priority of the calling thread.
#![expect(unsafe_code, reason = "setpriority has no safe wrapper here")]

use super::crew::End;
use super::{Load, StressError};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// What a thread of the load does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Maps or faults.
    Worker,
    /// Reads maps.
    Reader,
    /// Keeps the readers' processor busy.
    Busy,
}

/// The priority of readers that are to be preempted: what the published test gives them.
const LOW_PRIORITY: i32 = 15;

fn failed(what: &'static str) -> impl Fn(nix::Error) -> StressError {
    move |errno| StressError::System {
        what,
        cause: errno.into(),
    }
}

/// Brings the calling thread to its place.
pub(super) fn take(role: Role, load: &Load) -> Result<(), StressError> {
    if load.pinned || load.preempted {
        pin(role)?;
    }
    if load.preempted && role == Role::Reader {
        // SAFETY: Changes the priority of the calling thread (0) and nothing else.
        let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, LOW_PRIORITY) };
        if result != 0 {
            return Err(StressError::System {
                what: "lower the priority of a reader",
                cause: std::io::Error::last_os_error(),
            });
        }
    }
    Ok(())
}

/// Workers on the first processor that may be used, all others on the last.
fn pin(role: Role) -> Result<(), StressError> {
    let me = Pid::from_raw(0);
    let allowed = sched_getaffinity(me).map_err(failed("read which processors may be used"))?;
    let mut usable = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true));
    let wanted = match role {
        Role::Worker => usable.next(),
        Role::Reader | Role::Busy => usable.next_back(),
    };
    let Some(cpu) = wanted else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(me, &set))
        .map_err(failed("bind a thread to a processor"))
}

/// How long the busy thread works, and how long it then sleeps: the rhythm of the published test.
const BUSY: Duration = Duration::from_millis(2);
const ASLEEP: Duration = Duration::from_millis(1);

/// Is busy until the end, but for short pauses: the only time that readers of low priority have.
pub(super) fn be_busy(end: &End) {
    while !end.is_near() {
        let since = Instant::now();
        while since.elapsed() < BUSY {
            std::hint::spin_loop();
        }
        std::thread::sleep(ASLEEP);
    }
}
