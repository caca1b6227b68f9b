//! Births, execs and deaths: who shares an address space with whom.

use super::Error;
use super::calls::clone3_flags;
use super::engine::{End, Step, Tracer, Unclaimed, survive};
use super::observer::{ExitStatus, ForkKind, MmId, ShareKind, Task};
use super::stopped::{At, Stopped};
use super::stops::{Made, Stop};
use super::sys;
use super::tasks::{Phase, Slot};
use crate::arch::{self, CloneFlags, Role};
use nix::errno::Errno;
use nix::sys::ptrace::getevent;
use nix::unistd::Pid;

const CLONE_VM: u64 = 0x100;
const CLONE_THREAD: u64 = 0x1_0000;

/// After this many ticks a task that nobody claims is an orphan.
const ORPHAN_AGE: u64 = 4;

/// What a new task has in common with its creator.
enum Kinship {
    Thread,
    SharesMm,
    Copy,
}

impl Tracer<'_> {
    /// A task reports that it has made another.
    pub(super) fn new_task(&mut self, parent: Pid, made: Made) -> Step {
        let Some(child) = event_message(parent)? else {
            return Ok(());
        };
        let Some(&Slot {
            task: creator,
            phase,
        }) = self.tasks.get(parent)
        else {
            return Ok(());
        };
        if self.tasks.get(child).is_none() {
            self.welcome(creator, child, made)?;
        }
        if let Phase::InCall(call) = phase
            && matches!(call.role, Role::Clone | Role::Clone3)
        {
            self.set_phase(parent, Phase::Running);
            self.resume(parent, 0)?;
            return self.leave_gate(creator);
        }
        self.resume(parent, 0)
    }

    /// Puts a new task into the tables, reports it, and replays what it reported too early.
    fn welcome(&mut self, creator: Task, child: Pid, made: Made) -> Step {
        let kinship = kinship(creator.tid, child);
        let task = Task {
            tid: child,
            tgid: if matches!(kinship, Kinship::Thread) {
                creator.tgid
            } else {
                child
            },
            mm: if matches!(kinship, Kinship::Copy) {
                self.tasks.new_mm()
            } else {
                creator.mm
            },
        };
        self.tasks.insert(task, Phase::Embryo);
        match kinship {
            Kinship::Thread => self
                .observer
                .thread_started(creator, task, ShareKind::Thread),
            Kinship::SharesMm => self
                .observer
                .thread_started(creator, task, ShareKind::Process),
            Kinship::Copy => {
                let kind = match made {
                    Made::Fork => ForkKind::Fork,
                    Made::Vfork => ForkKind::Vfork,
                    Made::Clone => ForkKind::Clone,
                };
                self.show(creator, At::Elsewhere, |observer, stopped| {
                    observer.forked(stopped, task, kind)
                })?;
            }
        }
        match self.unclaimed.remove(&child) {
            Some(Unclaimed { stop, .. }) => self.replay(child, stop),
            None => Ok(()),
        }
    }

    /// What a task reported before it was known.
    fn replay(&mut self, tid: Pid, stop: Stop) -> Step {
        match stop {
            Stop::Exited(status) => self.gone(tid, ExitStatus::Exited(status)),
            Stop::Killed {
                signal,
                core_dumped,
            } => self.gone(
                tid,
                ExitStatus::Signaled {
                    signal,
                    core_dumped,
                },
            ),
            Stop::Exiting => self.exiting(tid),
            Stop::Group => {
                self.set_phase(tid, Phase::Running);
                survive(sys::listen(tid))
            }
            _ => {
                self.set_phase(tid, Phase::Running);
                self.resume(tid, 0)
            }
        }
    }

    /// A program has been replaced. If another thread than the leader did it, that thread now
    /// has the leader's id, and the leader is gone without a word.
    pub(super) fn exec_event(&mut self, tid: Pid) -> Step {
        let Some(former) = event_message(tid)? else {
            return Ok(());
        };
        let Some(slot) = self.tasks.remove(former) else {
            return self.resume(tid, 0);
        };
        if former != tid
            && let Some(leader) = self.tasks.remove(tid)
        {
            self.leave_quietly(leader)?;
        }
        // Told apart before the gate is passed on: those who wait for it use the old space.
        let old = slot.task;
        let last = self.tasks.leave_mm(old.mm);
        // The tracer's own space, which the first exec leaves, was never shown.
        let old_mm = (last && self.starting.is_none()).then_some(old.mm);
        let mm = self.tasks.new_mm();
        let task = self.tasks.rename(slot, tid, mm);
        self.starting = None;
        self.show(task, At::ExecEvent, |observer, stopped| {
            observer.exec(stopped, old_mm)
        })?;
        self.resume(tid, 0)?;
        self.leave_gate(old)
    }

    /// A leader replaced by its thread's exec: no exit status, and no end of its process.
    fn leave_quietly(&mut self, slot: Slot) -> Step {
        if slot.phase != Phase::Leaving {
            self.tasks.leave_mm(slot.task.mm);
        }
        self.leave_gate(slot.task)
    }

    /// A task is about to end; its address space is still there.
    pub(super) fn exiting(&mut self, tid: Pid) -> Step {
        let Some(&Slot { task, phase }) = self.tasks.get(tid) else {
            return Ok(());
        };
        if phase == Phase::Leaving {
            return self.resume(tid, 0);
        }
        self.set_phase(tid, Phase::Leaving);
        self.report_lost(task, phase);
        if self.tasks.is_last_user(task.mm) && self.starting.is_none() {
            self.observer
                .mm_ending(&mut Stopped::new(task, At::Elsewhere, &mut self.backlog));
        }
        self.tasks.leave_mm(task.mm);
        self.resume(tid, 0)?;
        self.leave_gate(task)
    }

    /// A task is gone.
    pub(super) fn gone(&mut self, tid: Pid, status: ExitStatus) -> Step {
        let Some(Slot { task, phase }) = self.tasks.remove(tid) else {
            return Ok(());
        };
        if phase != Phase::Leaving {
            self.report_lost(task, phase);
            if self.tasks.leave_mm(task.mm) && self.starting.is_none() {
                self.observer.mm_gone(task.mm);
            }
        }
        if tid == self.root {
            self.root_status = Some(status);
        }
        if task.tid == task.tgid && self.starting.is_none() {
            self.observer.process_exited(task.tgid, status);
        }
        self.leave_gate(task)
    }

    /// A call that was entered and will never reach its exit border.
    fn report_lost(&mut self, task: Task, phase: Phase) {
        if let Phase::InCall(call) = phase
            && call.role == Role::Memory
        {
            self.observer.call_lost(task, &call.raw);
        }
    }

    /// The kernel has no task left for this thread, though the table has.
    pub(super) fn all_vanished(&mut self) -> Step {
        let vanished: Vec<Pid> = self.tasks.iter().map(|slot| slot.task.tid).collect();
        self.unclaimed.clear();
        for tid in vanished {
            let killed = ExitStatus::Signaled {
                signal: libc::SIGKILL,
                core_dumped: false,
            };
            self.gone(tid, killed)?;
        }
        Ok(())
    }

    /// Takes in tasks whose creators were killed before they could report them.
    pub(super) fn adopt_orphans(&mut self) -> Step {
        if self.unclaimed.is_empty() {
            return Ok(());
        }
        let now = self.now;
        let old = |orphan: &Unclaimed| now.saturating_sub(orphan.since) > ORPHAN_AGE;
        let orphans: Vec<Pid> = self
            .unclaimed
            .iter()
            .filter(|(_, o)| old(o))
            .map(|(&tid, _)| tid)
            .collect();
        for tid in orphans {
            if !self.may_be_claimed(tid)
                && let Some(Unclaimed { stop, .. }) = self.unclaimed.remove(&tid)
            {
                self.adopt(tid, stop)?;
            }
        }
        Ok(())
    }

    /// Whether a task that might be the creator is on its way to say so: this tracer may be
    /// what is slow.
    fn may_be_claimed(&self, tid: Pid) -> bool {
        let (own, parent) = (status_field(tid, "Tgid:"), status_field(tid, "PPid:"));
        let forking = |phase| matches!(phase, Phase::InCall(call) if call.role != Role::Memory);
        self.tasks.iter().any(|slot| {
            let tgid = Some(slot.task.tgid);
            (tgid == own || tgid == parent) && (forking(slot.phase) || sys::has_news(slot.task.tid))
        })
    }

    fn adopt(&mut self, tid: Pid, stop: Stop) -> Step {
        if matches!(stop, Stop::Exited(_) | Stop::Killed { .. }) {
            return Ok(());
        }
        let tgid = thread_group(tid).unwrap_or(tid);
        let shared = self.find_shared_mm(tid, tgid);
        let mm = shared.unwrap_or_else(|| self.tasks.new_mm());
        let task = Task { tid, tgid, mm };
        self.tasks.insert(task, Phase::Embryo);
        if shared.is_none() {
            self.show(task, At::Elsewhere, |observer, stopped| {
                observer.adopted(stopped)
            })?;
        }
        self.replay(tid, stop)
    }

    /// The known address space that an orphan uses.
    fn find_shared_mm(&self, tid: Pid, tgid: Pid) -> Option<MmId> {
        let shares = |slot: &&Slot| {
            slot.phase != Phase::Leaving
                && (slot.task.tgid == tgid || sys::same_mm(slot.task.tid, tid) == Some(true))
        };
        self.tasks.iter().find(shares).map(|slot| slot.task.mm)
    }

    fn set_phase(&mut self, tid: Pid, phase: Phase) {
        if let Some(slot) = self.tasks.get_mut(tid) {
            slot.phase = phase;
        }
    }
}

/// The number that comes with an event: a task id. `None` if the task was killed meanwhile.
fn event_message(tid: Pid) -> Result<Option<Pid>, End> {
    match getevent(tid) {
        Ok(message) => Ok(i32::try_from(message).ok().map(Pid::from_raw)),
        Err(Errno::ESRCH) => Ok(None),
        Err(errno) => Err(End::Failed(Error::Os {
            what: "PTRACE_GETEVENTMSG",
            errno,
        })),
    }
}

/// By the flags of the call the creator is in, or by what the kernel says of the two.
fn kinship(creator: Pid, child: Pid) -> Kinship {
    let flags = match arch::registers(creator).map(|regs| regs.clone_flags()) {
        Ok(CloneFlags::Value(flags)) => flags,
        Ok(CloneFlags::InMemory(at)) => clone3_flags(creator, at),
        _ => return kinship_by_kernel(creator, child),
    };
    match (flags & CLONE_THREAD != 0, flags & CLONE_VM != 0) {
        (true, _) => Kinship::Thread,
        (false, true) => Kinship::SharesMm,
        (false, false) => Kinship::Copy,
    }
}

fn kinship_by_kernel(creator: Pid, child: Pid) -> Kinship {
    if thread_group(child).is_some_and(|tgid| tgid != child) {
        Kinship::Thread
    } else if sys::same_mm(creator, child) == Some(true) {
        Kinship::SharesMm
    } else {
        Kinship::Copy
    }
}

/// The process a task belongs to.
fn thread_group(tid: Pid) -> Option<Pid> {
    status_field(tid, "Tgid:")
}

/// A task id in what the kernel tells of a task.
fn status_field(tid: Pid, name: &str) -> Option<Pid> {
    sys::status_field(tid, name)?
        .parse()
        .ok()
        .map(Pid::from_raw)
}
