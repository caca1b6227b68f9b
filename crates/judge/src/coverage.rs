//! Which cases of the decision code a run has come to, seen from outside: by what the model's
//! counters gained, and by what was returned.

mod required;

use std::collections::BTreeMap;
use std::fmt;

use vmaple::{AddrRange, Apart, Counters, Errno, Mm, VmFlags};

use crate::op::{Arg, CallName, Op};
use crate::words::{self, Word};

pub use required::Abilities;

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
    /// A call had this flag, advice, file or the like among its arguments, and ended like this.
    Given(CallName, Arg, u64, Ending),
    /// Something that no result tells.
    Met(Event),
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Ending {
    Success,
    Failure,
}

/// What happened in a call beside its result.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Event {
    /// A fork left out a mapping (MADV_DONTFORK).
    ForkLeavesOut,
    /// A fork emptied a mapping (MADV_WIPEONFORK).
    ForkWipes,
    /// A fork ended a registration with a userfaultfd.
    ForkUnregisters,
    /// A fork ended a lock.
    ForkUnlocks,
    /// An access grew a stack.
    StackGrows,
    /// One mremap moved several mappings.
    SeveralMoved,
    /// mremap of old length 0 made a second mapping of the same pages.
    Duplicated,
    /// mremap ended the registration of what it moved.
    MoveUnregisters,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 8] = [
        Event::ForkLeavesOut,
        Event::ForkWipes,
        Event::ForkUnregisters,
        Event::ForkUnlocks,
        Event::StackGrows,
        Event::SeveralMoved,
        Event::Duplicated,
        Event::MoveUnregisters,
    ];

    const fn name(self) -> &'static str {
        match self {
            Event::ForkLeavesOut => "fork leaves out a mapping",
            Event::ForkWipes => "fork wipes a mapping",
            Event::ForkUnregisters => "fork ends a registration",
            Event::ForkUnlocks => "fork ends a lock",
            Event::StackGrows => "an access grows a stack",
            Event::SeveralMoved => "mremap moves several mappings",
            Event::Duplicated => "mremap duplicates a mapping",
            Event::MoveUnregisters => "mremap ends a registration",
        }
    }
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
            Case::Given(call, arg, word, ending) => {
                let ending = match ending {
                    Ending::Success => "succeeds",
                    Ending::Failure => "fails",
                };
                write!(f, "{} with {} {ending}", call.name(), Word(*arg, *word))
            }
            Case::Met(event) => f.write_str(event.name()),
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
    events: [Option<Event>; 4],
}

impl Before {
    pub(crate) fn of(mm: &Mm, op: &Op) -> Before {
        let inside = |addr: u64| mm.vma_at(addr).is_some_and(|vma| vma.start < addr);
        let range = named_range(op);
        Before {
            counters: *mm.counters(),
            reaches_out: (inside(range.start), inside(range.end)),
            events: events(mm, op, range),
        }
    }
}

/// What happens if `op` succeeds.
fn events(mm: &Mm, op: &Op, range: AddrRange) -> [Option<Event>; 4] {
    let any = |flags: VmFlags, event| {
        let has = |vma: &vmaple::Vma| vma.flags.intersects(flags);
        mm.iter().any(has).then_some(event)
    };
    match op.call {
        CallName::Fork => [
            any(VmFlags::DONTCOPY, Event::ForkLeavesOut),
            any(VmFlags::WIPEONFORK, Event::ForkWipes),
            any(VmFlags::UFFD_MASK, Event::ForkUnregisters),
            any(VmFlags::LOCKED, Event::ForkUnlocks),
        ],
        CallName::Store | CallName::Load => {
            let grows = mm.vma_at(op.args[0]).is_none();
            [grows.then_some(Event::StackGrows), None, None, None]
        }
        CallName::Mremap => {
            let moves = op.args[3] & 2 != 0;
            let mut sources = mm.overlapping(range);
            let source = sources.next();
            let is_registered = source.is_some_and(|vma| vma.uffd.is_some());
            [
                (moves && sources.next().is_some()).then_some(Event::SeveralMoved),
                (op.args[1] == 0).then_some(Event::Duplicated),
                (moves && is_registered).then_some(Event::MoveUnregisters),
                None,
            ]
        }
        _ => [None; 4],
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
        let ending = match errno {
            Some(_) => Ending::Failure,
            None => Ending::Success,
        };
        for (arg, value) in call.args().iter().zip(op.args) {
            for word in words::parts(*arg, value) {
                self.add(Case::Given(call, *arg, word, ending));
            }
        }
        if ending == Ending::Success {
            let events = before.events.into_iter().flatten();
            events.for_each(|event| self.add(Case::Met(event)));
        }
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
    pub fn never_met(&self, abilities: Abilities) -> Vec<Case> {
        let required = required::required(abilities);
        let unmet = |case: &Case| !self.counts.contains_key(case);
        required.into_iter().filter(unmet).collect()
    }
}

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
                    (
                        Case::Given(CallName::Mprotect, Arg::Prot, 1, Ending::Success),
                        1
                    ),
                ]
            );
        }
    }

    #[test]
    fn what_was_not_met_is_named() {
        let mut coverage = protected(0x1_1000);
        coverage.add(Case::Failure(CallName::Mprotect, Errno::ENOMEM));
        assert_eq!((coverage.operations(), coverage.successes()), (2, 1));
        let unmet = coverage.never_met(Abilities::default());
        assert!(!unmet.contains(&Case::Apart(Apart::Flags)));
        assert!(unmet.contains(&Case::Apart(Apart::Fork)));
        assert!(unmet.contains(&Case::Merge(MergeCase::PartRight)));
    }
}
