//! `mm_lock_seq`: the number of the write section of an address space. Odd while there is one.
//!
//! A VMA is write-locked while its own number equals this one, so raising it unlocks all of them
//! at once. The number has 64 bits and never comes round, so that numbers can be compared: a reader
//! that has read a higher one knows, without looking again, that a section is over ([`Known`]).

use core::cell::Cell;
use vmaple_sync::atomic::{AtomicU64, Ordering, fence};
use vmaple_sync::names::{Name, named};
use vmaple_sync::planted;

/// A number that no VMA lock has when it is made.
pub(crate) const NEVER_LOCKED: u64 = u64::MAX;

static MM_LOCK_SEQ: Name = Name::new("mm_lock_seq");

/// The word. Written by the writer alone.
#[derive(Debug)]
pub(crate) struct MmSeq(AtomicU64);

/// The number of a write section: odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Section(pub(crate) u64);

/// What was seen when speculation began: even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot(u64);

/// The highest number that one reader has read, in a walk over many VMAs. Each look at the shared
/// word costs the writer its cache line; most VMAs were written long before the last look.
#[derive(Debug, Default)]
pub(crate) struct Known(Cell<u64>);

impl Known {
    /// Whether the section of this number is known to be over.
    #[inline]
    pub(crate) fn is_over(&self, number: u64) -> bool {
        number < self.0.get() || planted!("taken_for_over") && self.0.get() > 0
    }

    /// Whether the write section of this number is over, read anew if that is not known.
    #[inline]
    pub(crate) fn is_over_now(&self, number: u64, seq: &MmSeq) -> bool {
        self.is_over(number) || {
            self.read(seq);
            self.is_over(number)
        }
    }

    /// The number, read anew.
    #[inline]
    pub(crate) fn read(&self, seq: &MmSeq) -> u64 {
        self.0.set(seq.read());
        self.0.get()
    }
}

fn is_writing(value: u64) -> bool {
    value & 1 == 1
}

impl MmSeq {
    pub(crate) fn new() -> Self {
        Self(named(&MM_LOCK_SEQ, AtomicU64::new(0)))
    }

    /// Begins a write section, or goes on with the one that is open.
    #[inline]
    pub(crate) fn begin(&self) -> Section {
        // Relaxed: only the writer writes it.
        let now = self.0.load(Ordering::Relaxed);
        if is_writing(now) {
            return Section(now);
        }
        let next = now + 1;
        // Release: pairs with the Acquire in `read`: a reader that finds this number sees what was
        // stored in every section before, although it missed their ends.
        // Witness: `checks::a_later_section_publishes_too`.
        let order = if planted!("begin_relaxed") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        self.0.store(next, order);
        // Release: pairs with the fence in `is_unchanged`: a reader that sees any store of this
        // section sees the odd number. Witness: `checks::speculation_sees_no_mix`.
        if !planted!("begin_without_fence") {
            fence(Ordering::Release);
        }
        Section(next)
    }

    /// Ends the write section, if one is open: every VMA write lock ends with it.
    #[inline]
    #[doc(alias = "vma_end_write_all")]
    pub(crate) fn end(&self) {
        // Relaxed: only the writer writes it.
        let now = self.0.load(Ordering::Relaxed);
        if is_writing(now) {
            // Release: pairs with the Acquire in `read`: who sees the section over sees all that
            // was stored in it. Witness: `checks::the_end_of_a_section_publishes`.
            let order = if planted!("end_relaxed") {
                Ordering::Relaxed
            } else {
                Ordering::Release
            };
            self.0.store(now + 1, order);
        }
    }

    /// The open section, as its writer sees it.
    pub(crate) fn section(&self) -> Option<Section> {
        let now = self.peek();
        is_writing(now).then_some(Section(now))
    }

    /// The number, ordered after nothing.
    #[inline]
    pub(crate) fn peek(&self) -> u64 {
        // Relaxed: for the writer, and for a guess that may be wrong.
        self.0.load(Ordering::Relaxed)
    }

    /// The number, for a reader that holds a reference.
    #[inline]
    pub(crate) fn read(&self) -> u64 {
        // Acquire: pairs with the Release in `end`.
        // Witness: `checks::the_end_of_a_section_publishes`.
        self.0.load(if planted!("check_relaxed") {
            Ordering::Relaxed
        } else {
            Ordering::Acquire
        })
    }

    /// Begins speculation; not while somebody writes, because waiting for the end would be the
    /// same as taking the lock.
    #[doc(alias = "mmap_lock_speculate_try_begin")]
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let now = self.read();
        (!is_writing(now)).then_some(Snapshot(now))
    }

    /// Whether nobody has written since, which makes what was read meanwhile true.
    #[doc(alias = "mmap_lock_speculate_retry")]
    pub(crate) fn is_unchanged(&self, since: Snapshot) -> bool {
        // Acquire: pairs with the fence in `begin`; what was read before the fence was read before
        // the number below. Witness: `checks::speculation_sees_no_mix`.
        fence(Ordering::Acquire);
        self.peek() == since.0
    }
}

#[cfg(all(test, not(loom), not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn sections_are_odd_and_do_not_nest() {
        let seq = MmSeq::new();
        assert_eq!(seq.section(), None);
        assert_eq!(seq.begin(), Section(1));
        assert_eq!(seq.begin(), Section(1));
        assert_eq!(seq.snapshot(), None);
        seq.end();
        seq.end();
        assert_eq!(seq.begin(), Section(3));
    }

    #[test]
    fn a_section_is_known_to_be_over_by_a_higher_number() {
        let (seq, known) = (MmSeq::new(), Known::default());
        let Section(first) = seq.begin();
        assert_eq!(known.read(&seq), first);
        assert!(!known.is_over(first), "it is open");
        seq.end();
        assert!(!known.is_over(first), "not looked since");
        known.read(&seq);
        assert!(known.is_over(first) && !known.is_over(NEVER_LOCKED));
    }
}
