//! A task that stands still: what an observer may do with it.

use super::inject::{self, InjectError};
use super::observer::{MmId, Task};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};

/// Where in its life the task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// The exec event: the new program is in place, its first instruction is to come.
    ExecEvent,
    /// The exit border of that exec: reached by the first injected call.
    ExecExit,
    /// Anywhere else.
    Elsewhere,
}

/// A task in a ptrace stop, lent to an [`Observer`](super::Observer) for one call.
#[derive(Debug)]
pub struct Stopped<'t> {
    task: Task,
    at: At,
    /// Wait results that came while a call was injected, for the tracer to handle afterwards.
    backlog: &'t mut VecDeque<(Pid, i32)>,
}

impl<'t> Stopped<'t> {
    pub(super) fn new(task: Task, at: At, backlog: &'t mut VecDeque<(Pid, i32)>) -> Self {
        Self { task, at, backlog }
    }

    /// Who it is.
    #[must_use]
    pub fn task(&self) -> Task {
        self.task
    }

    /// Its thread id: the one to look under in `/proc`.
    #[must_use]
    pub fn tid(&self) -> Pid {
        self.task.tid
    }

    /// Its process id.
    #[must_use]
    pub fn tgid(&self) -> Pid {
        self.task.tgid
    }

    /// Its address space.
    #[must_use]
    pub fn mm(&self) -> MmId {
        self.task.mm
    }

    /// Reads its memory; returns how many bytes, fewer where readable memory ends.
    ///
    /// # Errors
    /// `EFAULT` if nothing at `addr` is readable, `ESRCH` if the task is gone.
    pub fn read_memory(&self, addr: u64, buf: &mut [u8]) -> io::Result<usize> {
        read_memory(self.task.tid, addr, buf)
    }

    /// Runs one system call in the task and returns its result, a negative error number
    /// included. Registers and signal mask are as before; signals that come meanwhile are
    /// delivered afterwards. Only in [`Observer::exec`](super::Observer::exec).
    ///
    /// # Errors
    /// See [`InjectError`].
    pub fn inject(&mut self, nr: u64, args: [u64; 6]) -> Result<i64, InjectError> {
        inject::call(self.task.tid, &mut self.at, self.backlog, nr, args)
    }
}

/// Reads a task's memory.
pub(super) fn read_memory(tid: Pid, addr: u64, buf: &mut [u8]) -> io::Result<usize> {
    let base = usize::try_from(addr).map_err(|_| nix::errno::Errno::EFAULT)?;
    let remote = [RemoteIoVec {
        base,
        len: buf.len(),
    }];
    Ok(process_vm_readv(tid, &mut [IoSliceMut::new(buf)], &remote)?)
}
