//! The maple tree itself: with one owner and shared, each as it comes and without gap tracking.
//!
//! Entries are integers, which the tree keeps in its slots as the other crates keep theirs: nobody
//! allocates for one. Per range a map without ranges holds two words, the ends; ours, rangemap and
//! nodit hold the ends and a value. Ours knows the empty ranges, too, and by default the longest
//! one below every branch. No other crate keeps that up to date, so the forms without gaps do as
//! much as those do; with gaps a removal or an insertion has more to write.
//!
//! There is a gap before each range here, so a range takes two of our slots, 52 bytes in all. What
//! is measured includes, beside readers, up to two batches of 128 displaced nodes that wait for a
//! grace period: some 100 bytes per range at 1,000, nothing to speak of at 65,536.

use super::Peer;
use super::pair::{Pair, Reader};
use crate::subject::{Entry, GapSubject, Subject};
use crate::workload::word;
use maple_tree::{Gaps, MapleTree, NoGaps, SharedMapleTree, Span};

pub(super) type Owned = MapleTree<Entry, Gaps>;
pub(super) type Shared = SharedMapleTree<Entry, Gaps>;
pub(super) type OwnedPlain = Plain<MapleTree<Entry, NoGaps>>;
pub(super) type SharedPlain = Plain<SharedMapleTree<Entry, NoGaps>>;

/// A form without gap tracking.
pub(super) struct Plain<T>(T);

impl<T: Subject> Peer for Plain<T> {
    fn new() -> Self {
        Self(Subject::new())
    }

    fn insert(&mut self, span: Span) {
        self.0.store(span, word(span.first));
    }

    fn remove(&mut self, span: Span) {
        self.0.clear(span);
    }

    fn lookup(&self, at: u64) -> Option<u64> {
        Some(self.0.load(at) >> 1).filter(|first| *first != 0)
    }

    fn sum(&self) -> u64 {
        self.0.sum_values(Span::ALL)
    }
}

impl<T: GapSubject> Peer for T {
    fn new() -> Self {
        Subject::new()
    }

    fn insert(&mut self, span: Span) {
        self.store(span, word(span.first));
    }

    fn remove(&mut self, span: Span) {
        self.clear(span);
    }

    fn lookup(&self, at: u64) -> Option<u64> {
        Some(self.load(at) >> 1).filter(|first| *first != 0)
    }

    fn sum(&self) -> u64 {
        self.sum_values(Span::ALL)
    }

    fn lowest_gap(&self, size: u64) -> Option<u64> {
        GapSubject::lowest_gap(self, size, Span::ALL)
    }
}

impl Pair for Shared {
    type Reader<'a> = &'a Self;

    fn reader(&self) -> &Self {
        self
    }

    /// The new range in one store, then what is left of the old one on either side.
    fn replace(&self, old: Span, new: Span) {
        let entry = Entry::new(word(new.first)).expect("tagged");
        let mut guard = self.write();
        guard.store(new, entry).expect("memory");
        if old.first < new.first {
            guard
                .clear(Span::new(old.first, new.first - 1))
                .expect("memory");
        }
        if new.last < old.last {
            guard
                .clear(Span::new(new.last + 1, old.last))
                .expect("memory");
        }
    }
}

impl Reader for &Shared {
    fn covers(&self, at: u64) -> bool {
        self.load(at) != 0
    }

    /// A range and the rest of its predecessor count as one.
    fn scan(&self, slot: u64, nr: u64) -> u64 {
        let section = self.enter();
        let spans = self
            .read(&section)
            .range(Span::new(slot << 16, ((slot + nr) << 16) - 1));
        let (mut nr_slots, mut before) = (0, u64::MAX);
        for (span, _) in spans {
            let slot = span.first >> 16;
            nr_slots += u64::from(slot != before);
            before = slot;
        }
        nr_slots
    }
}
