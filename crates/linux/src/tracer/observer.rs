//! What the tracer tells: the [`Observer`] and the values it is given.

use super::Stopped;
use nix::unistd::Pid;

/// One address space, never used twice in a run.
///
/// Threads share theirs, and so do `vfork` children until they exec. A fork makes a new one
/// (a copy), an exec makes a new one (empty but for the program).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MmId(pub u64);

/// One thread of the traced family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// The thread.
    pub tid: Pid,
    /// Its process. After its leader has exited, `/proc/TGID/maps` is empty while
    /// `/proc/TID/maps` of a live thread is not: read by `tid`.
    pub tgid: Pid,
    /// Its address space.
    pub mm: MmId,
}

/// One system call as the program made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RawCall {
    /// Its number in the native table, see [`crate::arch::syscall`].
    pub nr: u64,
    /// Its arguments.
    pub args: [u64; 6],
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The program runs on.
    Continue,
    /// Every traced process is killed and the run ends.
    Stop,
}

/// Which call made a process with a copy of its parent's address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForkKind {
    /// The parent runs on, the child signals its end by `SIGCHLD`.
    Fork,
    /// The parent waits for the child's exec or end.
    Vfork,
    /// Any other, by `clone` or `clone3`.
    Clone,
}

/// What shares its creator's address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShareKind {
    /// A thread of the same process.
    Thread,
    /// A process of its own, as by `vfork` and `posix_spawn`.
    Process,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// By `exit`, with this status.
    Exited(u8),
    /// By a signal.
    Signaled {
        /// Its number.
        signal: i32,
        /// Whether it dumped core.
        core_dumped: bool,
    },
}

/// Why an observer gives up.
pub type ObserverError = Box<dyn std::error::Error + Send + Sync>;
/// What an observer's call decides.
pub type Decision = Result<Verdict, ObserverError>;

/// Receives what the traced family does, in order, on the tracer's thread.
///
/// A call that hands out a [`Stopped`] is made while that task stands still. Its other
/// threads may run, but no other memory call of the same address space is under way, unless
/// [`overlapped`](Self::overlapped) said so. A task can be killed by `SIGKILL` while it stands
/// still: reads then fail with `ESRCH` or return nothing, and its end is reported later.
///
/// The tracer's timer interrupts slow system calls of the observer, too: a raw call may return
/// `EINTR`, while the standard library tries again by itself.
///
/// An error ends the run as [`Verdict::Stop`] does, and comes back from
/// [`run`](super::run).
pub trait Observer {
    /// A program has been replaced; the task has a new address space and has not run its first
    /// instruction. `old_mm` is its former address space if nobody else uses it: it is gone,
    /// and no other call reports that.
    fn exec(&mut self, task: &mut Stopped<'_>, old_mm: Option<MmId>) -> Decision;

    /// A memory call is about to run.
    fn call_entry(&mut self, task: &mut Stopped<'_>, call: &RawCall) -> Decision;

    /// A memory call has run. `ret` is its result, or a negative error number.
    fn call_exit(&mut self, task: &mut Stopped<'_>, call: &RawCall, ret: i64) -> Decision;

    /// A memory call ended early because of a signal, without a result; the kernel runs it
    /// again, which comes as another entry. Parts of its work may be done.
    fn call_restarted(&mut self, task: &mut Stopped<'_>, call: &RawCall) -> Decision {
        let _ = (task, call);
        Ok(Verdict::Continue)
    }

    /// The task died between entry and exit; the call may or may not have had its effect.
    /// `task.mm` may live on if another process shares it.
    fn call_lost(&mut self, task: Task, call: &RawCall) {
        let _ = (task, call);
    }

    /// An exec is about to run; the old address space is still there. Not called for the exec
    /// that starts the root program.
    fn exec_entry(&mut self, task: &mut Stopped<'_>) -> Decision {
        let _ = task;
        Ok(Verdict::Continue)
    }

    /// The exec announced last for this task failed with this negative error number.
    fn exec_failed(&mut self, task: &mut Stopped<'_>, ret: i64) -> Decision {
        let _ = (task, ret);
        Ok(Verdict::Continue)
    }

    /// A process with a copy of the parent's address space has been made. It has not run its
    /// first instruction, and does not before this returns.
    fn forked(&mut self, parent: &mut Stopped<'_>, child: Task, kind: ForkKind) -> Decision;

    /// A task sharing its creator's address space has been made.
    fn thread_started(&mut self, parent: Task, child: Task, kind: ShareKind) {
        let _ = (parent, child, kind);
    }

    /// A process appeared whose creator was killed before it could report it. Its address
    /// space is new to the observer; it has not run its first instruction.
    fn adopted(&mut self, task: &mut Stopped<'_>) -> Decision {
        let _ = task;
        Ok(Verdict::Continue)
    }

    /// The last task of an address space is about to leave it; the map is still readable.
    fn mm_ending(&mut self, task: &mut Stopped<'_>) {
        let _ = task;
    }

    /// An address space vanished without [`mm_ending`](Self::mm_ending).
    fn mm_gone(&mut self, mm: MmId) {
        let _ = mm;
    }

    /// The call of `blocked` keeps others of its address space waiting for so long that they
    /// might be what it waits for. From now until its exit, its order against theirs is unknown.
    /// `call` is the call (a fork-like call or exec included).
    fn overlapped(&mut self, blocked: Task, call: &RawCall) {
        let _ = (blocked, call);
    }

    /// The task makes calls by another table than the native one (32-bit code): its memory
    /// calls are not reported. Called once for each address space.
    fn foreign_abi(&mut self, task: &mut Stopped<'_>) -> Decision {
        let _ = task;
        Ok(Verdict::Continue)
    }

    /// A process ended.
    fn process_exited(&mut self, tgid: Pid, status: ExitStatus) {
        let _ = (tgid, status);
    }

    /// Called about every [`Options::tick`](super::Options::tick), whatever the program does.
    fn tick(&mut self) {}
}
