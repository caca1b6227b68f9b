//! Which cases of the decision code a run has come to, seen from outside: by what the model's
//! counters gained, and by what was returned.

use std::collections::BTreeMap;
use std::fmt;

use vmaple::{AddrRange, Apart, Counters, Errno, Mm};

use crate::op::{CallName, Op};

/// A case of the decision code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Case {
    /// A merge of this shape.
    Merge(MergeCase),
    /// Two VMAs at the range of a call are not one, for this reason alone.
    Apart(Apart),
    /// Two VMAs at the range of a call could be one, but nobody has asked.
    NeverJoined,
    /// A call cut VMAs here.
    Split(CallName, Cut),
    /// A call succeeded.
    Success(CallName),
    /// A call failed like this.
    Failure(CallName, Errno),
}

/// Where a call cuts what reaches out of its range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Cut {
    AtStart,
    AtEnd,
    AtBoth,
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
            Case::Apart(reason) => write!(f, "kept apart by {reason} alone"),
            Case::NeverJoined => f.write_str("kept apart by nothing"),
            Case::Split(call, Cut::AtStart) => write!(f, "{} cuts at its start", call.name()),
            Case::Split(call, Cut::AtEnd) => write!(f, "{} cuts at its end", call.name()),
            Case::Split(call, Cut::AtBoth) => write!(f, "{} cuts at both ends", call.name()),
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

/// What a map was like before an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    counters: Counters,
    /// Where the operation's range begins and ends inside of a VMA.
    reaches_out: (bool, bool),
}

impl Before {
    pub(crate) fn of(mm: &Mm, op: &Op) -> Before {
        let inside = |addr: u64| mm.vma_at(addr).is_some_and(|vma| vma.start < addr);
        let range = named_range(op);
        Before {
            counters: *mm.counters(),
            reaches_out: (inside(range.start), inside(range.end)),
        }
    }
}

/// The first two arguments as a range of whole pages; empty where they are none.
fn named_range(op: &Op) -> AddrRange {
    use crate::op::Arg::{Addr, Len};
    let [addr, len, ..] = op.args;
    let end = addr.saturating_add(len).saturating_add(0xfff) & !0xfff;
    match op.call.args() {
        [Addr, Len, ..] => AddrRange::new(addr & !0xfff, end.max(addr)),
        _ => AddrRange::new(0, 0),
    }
}

impl Coverage {
    /// Notes one operation by what it returned and by what the map has gained.
    pub(crate) fn note(&mut self, op: &Op, before: &Before, mm: &Mm, result: i64) {
        let call = op.call;
        let errno = i32::try_from(-result).ok().and_then(Errno::from_raw);
        self.add(match errno {
            Some(errno) => Case::Failure(call, errno),
            None => Case::Success(call),
        });
        // After a fork the counters are those of another process.
        if call == CallName::Fork {
            return;
        }
        self.note_neighbours(op, mm, result);
        let (before, reaches_out) = (&before.counters, before.reaches_out);
        let after = mm.counters();
        let cut = match (after.splits - before.splits, reaches_out) {
            (1, (true, _)) => Some(Cut::AtStart),
            (1, (false, true)) => Some(Cut::AtEnd),
            (2.., (true, true)) => Some(Cut::AtBoth),
            _ => None,
        };
        if let Some(cut) = cut {
            self.add(Case::Split(call, cut));
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

    /// Notes why what lies side by side where the operation was is not one.
    fn note_neighbours(&mut self, op: &Op, mm: &Mm, result: i64) {
        let mut range = named_range(op);
        if result > 0 && matches!(op.call, CallName::Mmap | CallName::Mremap) {
            let len = if op.call == CallName::Mmap {
                op.args[1]
            } else {
                op.args[2]
            };
            range = AddrRange::new(result.cast_unsigned(), result.cast_unsigned() + len);
        }
        if range.is_empty() {
            return;
        }
        let around = AddrRange::new(range.start.saturating_sub(1), range.end.saturating_add(1));
        let mut vmas = mm.overlapping(around);
        let Some(mut below) = vmas.next() else { return };
        for above in vmas {
            let mut reasons = below.reasons_apart(above, mm.config().page_size.trailing_zeros());
            match (reasons.next(), reasons.next()) {
                (None, _) => self.add(Case::NeverJoined),
                (Some(Apart::Gap), _) | (_, Some(_)) => {}
                (Some(reason), None) => self.add(Case::Apart(reason)),
            }
            below = above;
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
    for call in CUTTING {
        let cuts = [Cut::AtStart, Cut::AtEnd, Cut::AtBoth];
        cases.extend(cuts.map(|cut| Case::Split(*call, cut)));
    }
    cases.extend(REASONS.map(Case::Apart));
    // Setting a bound succeeds only with a capability that not every root has.
    let calls = CallName::ALL.into_iter();
    let calls = calls.filter(|call| *call != CallName::SetMm);
    cases.extend(calls.map(Case::Success));
    for (call, errnos) in FAILURES {
        cases.extend(errnos.iter().map(|errno| Case::Failure(*call, *errno)));
    }
    cases
}

/// Calls that cut mappings.
const CUTTING: &[CallName] = &[
    CallName::Mmap,
    CallName::Munmap,
    CallName::Mprotect,
    CallName::Mremap,
    CallName::Madvise,
    CallName::Mlock,
    CallName::Mlock2,
    CallName::Munlock,
    CallName::Mseal,
];

/// What keeps neighbours apart that random calls can make. Not among them: names, which this kernel
/// need not have, userfaultfd, and the kernel's own mappings.
const REASONS: [Apart; 6] = [
    Apart::Flags,
    Apart::File,
    Apart::Offset,
    Apart::AnonVma,
    Apart::Fork,
    Apart::Driver,
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
        (CallName::Mremap, &[EPERM, EAGAIN, ENOMEM, EFAULT, EINVAL]),
        (CallName::Madvise, &[EPERM, ENOMEM, EACCES, EFAULT, EINVAL]),
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

    const READ_WRITE: u64 = 3;

    /// A map of four pages at 0x10000, and what a protecting of one of them came to.
    fn protected(addr: u64) -> Coverage {
        let mut mm = Mm::new(vmaple::MmConfig::x86_64());
        let args = vmaple::MmapArgs::anonymous(0x1_0000, 0x4000, READ_WRITE, 0x32);
        mm.mmap(&args).unwrap();
        let op = Op::new(CallName::Mprotect, &[addr, 0x1000, 1]);
        let before = Before::of(&mm, &op);
        mm.mprotect(addr, 0x1000, 1).unwrap();
        let mut coverage = Coverage::default();
        coverage.note(&op, &before, &mm, 0);
        coverage
    }

    #[test]
    fn a_call_is_noted_by_result_cuts_and_neighbours() {
        let ends = [
            (0x1_0000, Cut::AtEnd, 1),
            (0x1_1000, Cut::AtBoth, 2),
            (0x1_3000, Cut::AtStart, 1),
        ];
        for (addr, cut, neighbours) in ends {
            let met: Vec<_> = protected(addr).met().collect();
            assert_eq!(
                met,
                [
                    (Case::Apart(Apart::Flags), neighbours),
                    (Case::Split(CallName::Mprotect, cut), 1),
                    (Case::Success(CallName::Mprotect), 1),
                ]
            );
        }
    }

    #[test]
    fn what_was_not_met_is_named() {
        let mut coverage = protected(0x1_1000);
        coverage.add(Case::Failure(CallName::Mprotect, Errno::ENOMEM));
        assert_eq!((coverage.operations(), coverage.successes()), (2, 1));
        let unmet = coverage.never_met();
        assert!(!unmet.contains(&Case::Apart(Apart::Flags)));
        assert!(unmet.contains(&Case::Apart(Apart::Fork)));
        assert!(unmet.contains(&Case::Merge(MergeCase::PartRight)));
    }
}
