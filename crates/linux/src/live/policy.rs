//! When to compare the whole map.

use std::time::{Duration, Instant};

/// How often the mirror's map is compared with the kernel's. exec and exit are always
/// compared, and so is the last call of a process, which is what exit sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// After every memory call, for as long as comparing takes less than ten seconds or less
    /// than half of all the time.
    WhileAffordable,
    /// After every memory call.
    Every,
    /// After every Nth memory call of the run.
    Nth(u64),
    /// At exec and exit only.
    Exit,
}

/// What [`Check::WhileAffordable`] may spend before it looks at the share.
const FREE: Duration = Duration::from_secs(10);

/// Decides and keeps the account.
#[derive(Debug)]
pub(super) struct Policy {
    check: Check,
    calls: u64,
    started: Instant,
    spent: Duration,
    skipped: u64,
}

impl Policy {
    pub(super) fn new(check: Check) -> Policy {
        Policy {
            check,
            calls: 0,
            started: Instant::now(),
            spent: Duration::ZERO,
            skipped: 0,
        }
    }

    /// Whether the call that came back just now is compared.
    pub(super) fn is_due(&mut self) -> bool {
        self.calls += 1;
        match self.check {
            Check::Every => true,
            Check::Nth(n) => self.calls.is_multiple_of(n),
            Check::Exit => false,
            Check::WhileAffordable => {
                let due = is_affordable(self.spent, self.started.elapsed());
                self.skipped += u64::from(!due);
                due
            }
        }
    }

    /// Counts the time that a comparison took.
    pub(super) fn spend(&mut self, time: Duration) {
        self.spent += time;
    }

    /// Comparisons left out because they would have taken most of the time.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// Comparing may take ten seconds, and beyond that half of all the time.
fn is_affordable(spent: Duration, elapsed: Duration) -> bool {
    spent < FREE || spent < elapsed / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nth_call_is_compared() {
        let mut policy = Policy::new(Check::Nth(3));
        let due: Vec<bool> = (0..7).map(|_| policy.is_due()).collect();
        assert_eq!(due, [false, false, true, false, false, true, false]);
        assert!(Policy::new(Check::Every).is_due());
        assert!(!Policy::new(Check::Exit).is_due());
    }

    #[test]
    fn comparing_stops_when_it_takes_over() {
        let seconds = Duration::from_secs;
        assert!(is_affordable(seconds(9), seconds(9)));
        assert!(is_affordable(seconds(20), seconds(41)));
        assert!(!is_affordable(seconds(20), seconds(39)));
    }
}
