//! Which cases of the decision code a run has come to, seen from outside: by what the model's
//! counters gained, and by what was returned.

use std::collections::BTreeMap;
use std::fmt;

use vmaple::{Counters, Errno};

use crate::op::CallName;

/// A case of the decision code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Case {
    /// A merge of this shape.
    Merge(MergeCase),
    /// A call cut this many VMAs: at one end of its range, or at both.
    Split(CallName, u64),
    /// A call succeeded.
    Success(CallName),
    /// A call failed like this.
    Failure(CallName, Errno),
}

/// The merges by shape.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "named as in `vmaple::MergeCounts`")]
pub enum MergeCase {
    NewBoth,
    NewLeft,
    NewRight,
    WholeBoth,
    WholeLeft,
    WholeRight,
    PartLeft,
    PartRight,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Case::Merge(case) => write!(f, "merge {case:?}"),
            Case::Split(call, 1) => write!(f, "{} cuts one mapping", call.name()),
            Case::Split(call, cuts) => write!(f, "{} cuts {cuts} times", call.name()),
            Case::Success(call) => write!(f, "{} succeeds", call.name()),
            Case::Failure(call, errno) => write!(f, "{} fails with {errno}", call.name()),
        }
    }
}

/// How often each case was met.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Coverage {
    counts: BTreeMap<Case, u64>,
}

impl Coverage {
    /// Notes one operation by what it gained and returned.
    pub fn note(&mut self, call: CallName, before: &Counters, after: &Counters, result: i64) {
        let errno = i32::try_from(-result).ok().and_then(Errno::from_raw);
        self.add(match errno {
            Some(errno) => Case::Failure(call, errno),
            None => Case::Success(call),
        });
        // After a fork the counters are those of another process.
        if call == CallName::Fork {
            return;
        }
        let cuts = after.splits - before.splits;
        if cuts > 0 {
            self.add(Case::Split(call, cuts.min(2)));
        }
        if after.merges == before.merges {
            return;
        }
        let (was, is) = (&before.merges, &after.merges);
        for (case, gained) in [
            (MergeCase::NewBoth, is.new_both - was.new_both),
            (MergeCase::NewLeft, is.new_left - was.new_left),
            (MergeCase::NewRight, is.new_right - was.new_right),
            (MergeCase::WholeBoth, is.whole_both - was.whole_both),
            (MergeCase::WholeLeft, is.whole_left - was.whole_left),
            (MergeCase::WholeRight, is.whole_right - was.whole_right),
            (MergeCase::PartLeft, is.part_left - was.part_left),
            (MergeCase::PartRight, is.part_right - was.part_right),
        ] {
            if gained > 0 {
                *self.counts.entry(Case::Merge(case)).or_default() += gained;
            }
        }
    }

    fn add(&mut self, case: Case) {
        *self.counts.entry(case).or_default() += 1;
    }

    /// Adds what another run has come to.
    pub fn merge(&mut self, other: &Coverage) {
        for (case, count) in &other.counts {
            *self.counts.entry(*case).or_default() += count;
        }
    }

    /// All cases met, with how often.
    pub fn met(&self) -> impl Iterator<Item = (Case, u64)> {
        self.counts.iter().map(|(case, count)| (*case, *count))
    }

    /// Operations noted.
    #[must_use]
    pub fn operations(&self) -> u64 {
        let counted = |case: &Case| matches!(case, Case::Success(_) | Case::Failure(..));
        let of_operations = self.counts.iter().filter(|(case, _)| counted(case));
        of_operations.map(|(_, count)| count).sum()
    }

    /// Operations that succeeded.
    #[must_use]
    pub fn successes(&self) -> u64 {
        let successes = self.counts.iter();
        let successes = successes.filter(|(case, _)| matches!(case, Case::Success(_)));
        successes.map(|(_, count)| count).sum()
    }

    /// Cases that a run of all profiles must come to and that this one did not.
    #[must_use]
    pub fn never_met(&self) -> Vec<Case> {
        let required = required();
        let unmet = |case: &Case| !self.counts.contains_key(case);
        required.into_iter().filter(unmet).collect()
    }
}

/// What a run of all profiles has to come to.
fn required() -> Vec<Case> {
    let mut cases = vec![
        Case::Merge(MergeCase::NewBoth),
        Case::Merge(MergeCase::NewLeft),
        Case::Merge(MergeCase::NewRight),
        Case::Merge(MergeCase::WholeBoth),
        Case::Merge(MergeCase::WholeLeft),
        Case::Merge(MergeCase::WholeRight),
        Case::Merge(MergeCase::PartLeft),
        Case::Merge(MergeCase::PartRight),
    ];
    for (call, cuts) in CUTS {
        cases.extend((1..=*cuts).map(|cuts| Case::Split(*call, cuts)));
    }
    // Setting a bound succeeds only with a capability that not every root has.
    let calls = CallName::ALL.into_iter();
    let calls = calls.filter(|call| *call != CallName::SetMm);
    cases.extend(calls.map(Case::Success));
    for (call, errnos) in FAILURES {
        cases.extend(errnos.iter().map(|errno| Case::Failure(*call, *errno)));
    }
    cases
}

/// Calls that cut mappings, and how often one call does.
const CUTS: &[(CallName, u64)] = &[
    (CallName::Mmap, 2),
    (CallName::Munmap, 2),
    (CallName::Mprotect, 2),
    (CallName::Mremap, 2),
    (CallName::Madvise, 2),
    (CallName::Mlock, 2),
    (CallName::Munlock, 2),
    (CallName::Mseal, 2),
];

/// The errors that each call gives, but those that come once in some hundred thousand.
const FAILURES: &[(CallName, &[Errno])] = {
    use Errno::{
        EACCES, EAGAIN, EBADF, EBUSY, EEXIST, EFAULT, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP,
        EOVERFLOW, EPERM,
    };
    &[
        (
            CallName::Mmap,
            &[
                EPERM, EBADF, EAGAIN, ENOMEM, EACCES, EEXIST, ENODEV, EINVAL, EOVERFLOW, EOPNOTSUPP,
            ],
        ),
        (CallName::Munmap, &[EPERM]),
        (CallName::Mprotect, &[EPERM, ENOMEM, EACCES, EINVAL]),
        (CallName::PkeyMprotect, &[ENOMEM, EINVAL]),
        (CallName::Mremap, &[EPERM, ENOMEM, EFAULT, EINVAL]),
        (CallName::Madvise, &[EPERM, ENOMEM, EACCES, EINVAL]),
        (CallName::Mlock, &[EPERM, ENOMEM]),
        (CallName::Mlock2, &[EPERM, ENOMEM, EINVAL]),
        (CallName::Munlock, &[ENOMEM]),
        (CallName::Mlockall, &[EPERM, ENOMEM, EINVAL]),
        (CallName::Mseal, &[ENOMEM, EINVAL]),
        (CallName::Msync, &[ENOMEM, EBUSY, EINVAL]),
        (CallName::Mincore, &[ENOMEM, EINVAL]),
        (CallName::RemapFilePages, &[EINVAL]),
        (CallName::Shmat, &[EPERM, EINVAL]),
        (CallName::Shmdt, &[EINVAL]),
        (CallName::Store, &[EFAULT]),
        (CallName::Load, &[EFAULT]),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_noted_by_gain_and_result() {
        let before = Counters::default();
        let mut after = before;
        after.splits = 2;
        after.merges.part_left = 1;
        let mut coverage = Coverage::default();
        coverage.note(CallName::Mprotect, &before, &after, 0);
        coverage.note(CallName::Mprotect, &after, &after, -12);
        let met: Vec<_> = coverage.met().collect();
        assert_eq!(
            met,
            [
                (Case::Merge(MergeCase::PartLeft), 1),
                (Case::Split(CallName::Mprotect, 2), 1),
                (Case::Success(CallName::Mprotect), 1),
                (Case::Failure(CallName::Mprotect, Errno::ENOMEM), 1),
            ]
        );
        assert_eq!((coverage.operations(), coverage.successes()), (2, 1));
        let unmet = coverage.never_met();
        assert!(!unmet.contains(&Case::Merge(MergeCase::PartLeft)));
        assert!(unmet.contains(&Case::Merge(MergeCase::PartRight)));
    }
}
