//! One memory call at a time in each address space.
//!
//! A task that stops for a memory call takes its address space's [`Gate`] or waits in line,
//! stopped. The holder lets go when its call has ended, one way or the other, and the first in
//! line holds the gate from then on.
//!
//! A call may wait for another thread of the same address space (one that serves its page
//! faults, say), and that thread may be in line. So a holder that keeps others waiting for too
//! long loses the gate: its call goes on, unordered.

use nix::unistd::Pid;
use std::collections::VecDeque;

/// Who may make a memory call now, and who is next.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Between entry and exit of its call, or about to be let into it.
    holder: Option<Pid>,
    /// Stopped at the entry of their calls, first come first. Empty without a holder.
    line: VecDeque<Pid>,
    /// The tick at which the holder began to keep somebody waiting.
    blocking_since: u64,
}

impl Gate {
    /// Takes the gate if it is free, or stands in line. Says whether it was taken.
    #[must_use]
    pub(super) fn enter(&mut self, tid: Pid, now: u64) -> bool {
        if self.holder.is_none() {
            self.holder = Some(tid);
            return true;
        }
        if self.line.is_empty() {
            self.blocking_since = now;
        }
        self.line.push_back(tid);
        false
    }

    /// Removes a task, wherever it is. Returns the new holder if that changed.
    #[must_use]
    pub(super) fn leave(&mut self, tid: Pid, now: u64) -> Option<Pid> {
        if self.holder == Some(tid) {
            return self.pass_on(now);
        }
        if !self.line.is_empty() {
            self.line.retain(|&waiting| waiting != tid);
        }
        None
    }

    /// Gives the gate to the first in line.
    #[must_use]
    pub(super) fn pass_on(&mut self, now: u64) -> Option<Pid> {
        self.holder = self.line.pop_front();
        self.blocking_since = now;
        self.holder
    }

    /// The holder, if it has kept somebody waiting for `patience` ticks.
    pub(super) fn overdue(&self, now: u64, patience: u64) -> Option<Pid> {
        let late = now.saturating_sub(self.blocking_since) >= patience;
        self.holder.filter(|_| late && !self.line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(tid: i32) -> Pid {
        Pid::from_raw(tid)
    }

    #[test]
    fn first_come_first_served() {
        let mut gate = Gate::default();
        assert!(gate.enter(task(1), 0));
        assert!(!gate.enter(task(2), 0));
        assert!(!gate.enter(task(3), 0));
        assert_eq!(gate.leave(task(1), 0), Some(task(2)));
        assert_eq!(gate.leave(task(2), 0), Some(task(3)));
        assert_eq!(gate.leave(task(3), 0), None);
        assert!(gate.enter(task(4), 0));
    }

    #[test]
    fn the_dead_lose_their_place() {
        let mut gate = Gate::default();
        assert!(gate.enter(task(1), 0));
        assert!(!gate.enter(task(2), 0));
        assert!(!gate.enter(task(3), 0));
        assert_eq!(gate.leave(task(2), 0), None);
        assert_eq!(gate.leave(task(1), 0), Some(task(3)));
    }

    #[test]
    fn only_a_holder_that_keeps_others_waiting_is_overdue() {
        let mut gate = Gate::default();
        assert!(gate.enter(task(1), 0));
        assert_eq!(gate.overdue(100, 3), None);
        assert!(!gate.enter(task(2), 100));
        assert_eq!(gate.overdue(102, 3), None);
        assert_eq!(gate.overdue(103, 3), Some(task(1)));
        assert_eq!(gate.pass_on(103), Some(task(2)));
        assert_eq!(gate.overdue(200, 3), None);
        assert_eq!(gate.leave(task(1), 103), None);
        assert_eq!(gate.leave(task(2), 103), None);
    }
}
