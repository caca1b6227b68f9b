//! The loop: wait for a task, see why it stopped, act, let it go on.
//!
//! Between a stop and the next wait nothing blocks except the observer. A task can be killed
//! at any moment, also while it is stopped; requests on it then fail with `ESRCH`, which is no
//! error here: its end is reported by a later wait, and that is where it is dealt with.

use super::jobs::Jobs;
use super::observer::{Decision, ExitStatus, Observer, Task, Verdict};
use super::spawn::Spawned;
use super::stopped::{At, Stopped};
use super::stops::{Stop, decode};
use super::sys::{self, Resume, Whom};
use super::tasks::{IdMap, Phase, Tasks};
use super::{Error, Options, Outcome, signals};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::VecDeque;

/// Why the loop ends before the last task does.
#[derive(Debug)]
pub(super) enum End {
    /// The observer has seen enough.
    Stop,
    /// Something failed.
    Failed(Error),
}

/// One step of the loop.
pub(super) type Step = Result<(), End>;

/// A task that reported something before its creator reported it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unclaimed {
    /// What it reported last: its first stop, or its end.
    pub(super) stop: Stop,
    /// When.
    pub(super) since: u64,
}

/// A run in progress.
pub(super) struct Tracer<'o> {
    pub(super) observer: &'o mut dyn Observer,
    pub(super) tasks: Tasks,
    /// Wait results to be handled before any new one.
    pub(super) backlog: VecDeque<(Pid, i32)>,
    pub(super) unclaimed: IdMap<Pid, Unclaimed>,
    pub(super) root: Pid,
    pub(super) root_status: Option<ExitStatus>,
    /// `None` once the program has exec'd.
    pub(super) starting: Option<Spawned>,
    pub(super) jobs: Jobs,
    /// Ticks handled so far.
    pub(super) now: u64,
    /// Ticks for which a call may keep others waiting.
    patience: u64,
    signals_seen: u32,
    ticks_seen: u32,
}

impl<'o> Tracer<'o> {
    pub(super) fn new(options: &Options, observer: &'o mut dyn Observer, spawned: Spawned) -> Self {
        let root = spawned.pid;
        let mut tasks = Tasks::default();
        let mm = tasks.new_mm();
        tasks.insert(
            Task {
                tid: root,
                tgid: root,
                mm,
            },
            Phase::Running,
        );
        let tick = options.tick.as_nanos().max(1);
        let patience = options.patience.as_nanos().div_ceil(tick);
        Self {
            observer,
            tasks,
            backlog: VecDeque::new(),
            unclaimed: IdMap::default(),
            root,
            root_status: None,
            starting: Some(spawned),
            jobs: Jobs::new(root),
            now: 0,
            patience: u64::try_from(patience).unwrap_or(u64::MAX),
            signals_seen: signals::total(),
            ticks_seen: signals::ticks(),
        }
    }

    /// Until the last task is gone.
    pub(super) fn run(mut self) -> Result<Outcome, Error> {
        let stopped = match self.follow() {
            Ok(()) => false,
            Err(End::Stop) => true,
            Err(End::Failed(error)) => return Err(error), // and drop kills the rest
        };
        self.kill_all();
        if let Some(error) = self.starting.take().and_then(Spawned::failure) {
            return Err(error);
        }
        let killed = ExitStatus::Signaled {
            signal: libc::SIGKILL,
            core_dumped: false,
        };
        Ok(Outcome {
            root_status: self.root_status.unwrap_or(killed),
            processes: self.tasks.processes,
            threads: self.tasks.threads,
            stopped,
        })
    }

    fn follow(&mut self) -> Step {
        while !self.tasks.is_empty() || !self.unclaimed.is_empty() {
            self.look_at_signals()?;
            match self.next_event() {
                Ok((tid, status)) => self.handle(tid, decode(status))?,
                Err(Errno::EINTR) => {}
                // Nothing left to wait for: whatever the table says, they are gone.
                Err(Errno::ECHILD) => return self.all_vanished(),
                Err(errno) => {
                    return Err(End::Failed(Error::Os {
                        what: "waitpid",
                        errno,
                    }));
                }
            }
        }
        Ok(())
    }

    fn next_event(&mut self) -> nix::Result<(Pid, i32)> {
        match self.backlog.pop_front() {
            Some(event) => Ok(event),
            None => sys::wait(Whom::Any),
        }
    }

    fn handle(&mut self, tid: Pid, stop: Stop) -> Step {
        if self.tasks.get(tid).is_none() && stop != Stop::Exec {
            self.unclaimed.insert(
                tid,
                Unclaimed {
                    stop,
                    since: self.now,
                },
            );
            return Ok(());
        }
        self.jobs.saw(tid, stop, self.now);
        match stop {
            Stop::Filtered => self.filtered(tid),
            Stop::Syscall => self.syscall_border(tid),
            Stop::NewTask(made) => self.new_task(tid, made),
            Stop::Exec => self.exec_event(tid),
            Stop::Exiting => self.exiting(tid),
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
            Stop::Signal(signal) => self.signal(tid, signal),
            Stop::Group => self.group_stop(tid),
            Stop::Trap => self.trap(tid),
            Stop::Other => self.resume(tid, 0),
        }
    }

    /// A signal on its way to the program: it gets it as it is, siginfo and all.
    fn signal(&mut self, tid: Pid, signal: i32) -> Step {
        if self
            .tasks
            .get(tid)
            .is_some_and(|slot| slot.task.tgid == self.root)
        {
            self.jobs.delivered(tid, signal, self.now);
        }
        self.resume(tid, signal)
    }

    /// The task stays stopped, as its process does, but reports when that is over.
    fn group_stop(&mut self, tid: Pid) -> Step {
        self.no_embryo(tid);
        survive(sys::listen(tid))
    }

    fn trap(&mut self, tid: Pid) -> Step {
        self.no_embryo(tid);
        self.resume(tid, 0)
    }

    fn no_embryo(&mut self, tid: Pid) {
        if let Some(slot) = self.tasks.get_mut(tid)
            && slot.phase == Phase::Embryo
        {
            slot.phase = Phase::Running;
        }
    }

    /// Lets a task go on as its phase requires.
    pub(super) fn resume(&mut self, tid: Pid, signal: i32) -> Step {
        let how = match self.tasks.get(tid).map(|slot| slot.phase) {
            Some(Phase::InCall(_)) => Resume::ToSyscall,
            _ => Resume::Freely,
        };
        survive(sys::resume(tid, how, signal))
    }

    /// Shows a stopped task to the observer.
    pub(super) fn show(
        &mut self,
        task: Task,
        at: At,
        tell: impl FnOnce(&mut dyn Observer, &mut Stopped<'_>) -> Decision,
    ) -> Step {
        let mut stopped = Stopped::new(task, at, &mut self.backlog);
        judge(tell(self.observer, &mut stopped))
    }

    /// What came from outside since the last look. One load if nothing did.
    fn look_at_signals(&mut self) -> Step {
        let total = signals::total();
        if total == self.signals_seen {
            return Ok(());
        }
        self.signals_seen = total;
        let ticks = signals::ticks();
        if ticks != self.ticks_seen {
            self.ticks_seen = ticks;
            self.tick()?;
        }
        self.jobs.look(self.now);
        Ok(())
    }

    fn tick(&mut self) -> Step {
        self.now += 1;
        self.observer.tick();
        self.adopt_orphans()?;
        self.relieve_gates()
    }

    /// Lets the next task through where a call has kept it waiting for too long.
    fn relieve_gates(&mut self) -> Step {
        let (now, patience) = (self.now, self.patience);
        let overdue = |gate: &super::order::Gate| gate.overdue(now, patience);
        let late: Vec<Pid> = self
            .tasks
            .mms_mut()
            .filter_map(|mm| overdue(&mm.gate))
            .collect();
        for holder in late {
            if is_blocked(holder) {
                self.overlap(holder)?;
            }
        }
        Ok(())
    }

    /// Kills whatever is left, and waits until it is gone.
    pub(super) fn kill_all(&mut self) {
        if self.tasks.is_empty() && self.unclaimed.is_empty() {
            return;
        }
        while !self.tasks.is_empty() {
            for slot in self.tasks.iter() {
                let _ = kill(slot.task.tid, Signal::SIGKILL);
            }
            match sys::wait(Whom::Any) {
                Ok((tid, status)) => self.bury(tid, decode(status)),
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        // Born meanwhile, or not claimed yet.
        for (tid, _) in self.unclaimed.drain() {
            let _ = kill(tid, Signal::SIGKILL);
        }
        while let Ok(Some((tid, status))) = sys::wait_now(Whom::Any) {
            self.bury(tid, decode(status));
        }
    }

    fn bury(&mut self, tid: Pid, stop: Stop) {
        let status = match stop {
            Stop::Exited(status) => ExitStatus::Exited(status),
            Stop::Killed {
                signal,
                core_dumped,
            } => ExitStatus::Signaled {
                signal,
                core_dumped,
            },
            _ => {
                let _ = kill(tid, Signal::SIGKILL);
                let _ = sys::resume(tid, Resume::Freely, 0);
                return;
            }
        };
        self.tasks.remove(tid);
        if tid == self.root {
            self.root_status = Some(status);
        }
    }
}

impl Drop for Tracer<'_> {
    fn drop(&mut self) {
        self.kill_all();
    }
}

/// Whether a task in a call waits for something: it has not ended its call while this tracer
/// was busy, and it is not at work, be it ever so slowly.
fn is_blocked(tid: Pid) -> bool {
    let at_work = || sys::status_field(tid, "State:").is_some_and(|state| state.starts_with('R'));
    !sys::has_news(tid) && !at_work()
}

/// The outcome of a request on a task that may have been killed meanwhile.
pub(super) fn survive(done: nix::Result<()>) -> Step {
    match done {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(End::Failed(Error::Os {
            what: "ptrace",
            errno,
        })),
    }
}

/// An observer's decision as a step.
pub(super) fn judge(decision: Decision) -> Step {
    match decision {
        Ok(Verdict::Continue) => Ok(()),
        Ok(Verdict::Stop) => Err(End::Stop),
        Err(error) => Err(End::Failed(Error::Observer(error))),
    }
}
