//! Memory calls: from the filter's stop to the exit border, one at a time in an address space.

use super::Error;
use super::engine::{End, Step, Tracer, survive};
use super::observer::{RawCall, Task};
use super::stopped::{At, read_memory};
use super::sys::{self, Resume, SyscallInfo};
use super::tasks::{Call, Phase};
use crate::arch::{self, Role};
use nix::errno::Errno;
use nix::unistd::Pid;

/// Results by which the kernel tells itself to run a call again.
const RESTARTS: std::ops::RangeInclusive<i64> = -516..=-512;
const CLONE_VM: u64 = 0x100;

/// What the filter's stop is about.
enum Handed {
    /// A call that has to wait for its turn.
    Call(Call),
    /// By another table.
    Foreign,
    /// Nothing for the tracer.
    Nothing,
}

impl Tracer<'_> {
    /// The filter stopped a task at the entry of a call.
    pub(super) fn filtered(&mut self, tid: Pid) -> Step {
        let handed = match sys::syscall_info(tid) {
            Ok(SyscallInfo::Filtered { arch, nr, args }) => {
                classify(tid, arch, RawCall { nr, args })
            }
            Ok(_) => Handed::Nothing,
            Err(Errno::ESRCH) => return Ok(()),
            Err(errno) => {
                return Err(End::Failed(Error::Os {
                    what: "PTRACE_GET_SYSCALL_INFO",
                    errno,
                }));
            }
        };
        match handed {
            // Until its first exec the child runs the tracer's own code.
            _ if self.starting.is_some() => self.resume(tid, 0),
            Handed::Call(call) => self.arrive(tid, call),
            Handed::Foreign => self.foreign(tid),
            Handed::Nothing => self.resume(tid, 0),
        }
    }

    /// Takes the gate for a call, or puts the task in line.
    fn arrive(&mut self, tid: Pid, call: Call) -> Step {
        let now = self.now;
        let Some(slot) = self.tasks.get_mut(tid) else {
            return Ok(());
        };
        slot.phase = Phase::Waiting(call);
        let mm = slot.task.mm;
        let its_turn = self
            .tasks
            .mm_mut(mm)
            .is_none_or(|mm| mm.gate.enter(tid, now));
        if its_turn { self.enter(tid) } else { Ok(()) }
    }

    /// It is this task's turn: reports the call and lets it run.
    pub(super) fn enter(&mut self, tid: Pid) -> Step {
        let Some(slot) = self.tasks.get_mut(tid) else {
            return Ok(());
        };
        let Phase::Waiting(call) = slot.phase else {
            return Ok(());
        };
        slot.phase = Phase::InCall(call);
        let task = slot.task;
        match call.role {
            Role::Memory => self.show(task, At::Elsewhere, |observer, stopped| {
                observer.call_entry(stopped, &call.raw)
            })?,
            Role::Exec => {
                self.show(task, At::Elsewhere, |observer, stopped| {
                    observer.exec_entry(stopped)
                })?;
            }
            Role::Clone | Role::Clone3 => {}
        }
        survive(sys::resume(tid, Resume::ToSyscall, 0))
    }

    /// A border of a call: the exit of one that was entered, as nothing else asks for them.
    pub(super) fn syscall_border(&mut self, tid: Pid) -> Step {
        let ret = match sys::syscall_info(tid) {
            Ok(SyscallInfo::Exit(ret)) => ret,
            Ok(_) => return self.resume(tid, 0),
            Err(errno) => return survive(Err(errno)),
        };
        let Some(slot) = self.tasks.get_mut(tid) else {
            return Ok(());
        };
        let Phase::InCall(call) = slot.phase else {
            return self.resume(tid, 0);
        };
        slot.phase = Phase::Running;
        let task = slot.task;
        self.report_exit(task, call, ret)?;
        self.resume(tid, 0)?;
        self.leave_gate(task)
    }

    fn report_exit(&mut self, task: Task, call: Call, ret: i64) -> Step {
        self.show(task, At::Elsewhere, |observer, stopped| match call.role {
            Role::Memory if RESTARTS.contains(&ret) => observer.call_restarted(stopped, &call.raw),
            Role::Memory => observer.call_exit(stopped, &call.raw, ret),
            Role::Exec => observer.exec_failed(stopped, ret),
            // Only a fork that failed comes here.
            Role::Clone | Role::Clone3 => Ok(super::Verdict::Continue),
        })
    }

    /// A task's call is over, or the task is: the next in line may enter.
    pub(super) fn leave_gate(&mut self, task: Task) -> Step {
        let now = self.now;
        match self
            .tasks
            .mm_mut(task.mm)
            .and_then(|mm| mm.gate.leave(task.tid, now))
        {
            Some(next) => self.enter(next),
            None => Ok(()),
        }
    }

    /// A call blocks while others wait: the next may enter beside it.
    pub(super) fn overlap(&mut self, holder: Pid) -> Step {
        let now = self.now;
        let Some(slot) = self.tasks.get(holder) else {
            return Ok(());
        };
        let task = slot.task;
        if let Phase::InCall(call) = slot.phase {
            self.observer.overlapped(task, &call.raw);
        }
        match self
            .tasks
            .mm_mut(task.mm)
            .and_then(|mm| mm.gate.pass_on(now))
        {
            Some(next) => self.enter(next),
            None => Ok(()),
        }
    }

    /// A call by another table: told once for each address space.
    fn foreign(&mut self, tid: Pid) -> Step {
        let Some(slot) = self.tasks.get(tid) else {
            return Ok(());
        };
        let task = slot.task;
        let told = self
            .tasks
            .mm_mut(task.mm)
            .map(|mm| std::mem::replace(&mut mm.foreign, true));
        if told == Some(false) {
            self.show(task, At::Elsewhere, |observer, stopped| {
                observer.foreign_abi(stopped)
            })?;
        }
        self.resume(tid, 0)
    }
}

fn classify(tid: Pid, arch: u32, raw: RawCall) -> Handed {
    let number = raw.nr as u32;
    let other_table = arch != arch::AUDIT_ARCH || number & arch::FOREIGN_NR_BIT != 0;
    // A negative number is in no table; programs use one to see that the kernel refuses it.
    if other_table && number.cast_signed() >= 0 {
        return Handed::Foreign;
    }
    let Some(syscall) = arch::syscall(raw.nr) else {
        return Handed::Nothing;
    };
    let call = Call {
        role: syscall.role,
        raw,
    };
    match syscall.role {
        Role::Clone3 if clone3_flags(tid, raw.args[0]) & CLONE_VM != 0 => Handed::Nothing,
        _ => Handed::Call(call),
    }
}

/// The first word of a `clone3` argument block; no flags if the call is going to fail anyway.
pub(super) fn clone3_flags(tid: Pid, at: u64) -> u64 {
    let mut flags = [0; 8];
    match read_memory(tid, at, &mut flags) {
        Ok(8) => u64::from_ne_bytes(flags),
        _ => 0,
    }
}
