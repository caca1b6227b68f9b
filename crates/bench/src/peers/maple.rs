//! The maple tree itself, in both forms.

use super::Peer;
use super::pair::{Pair, Reader};
use crate::subject::{Entry, GapSubject, Subject};
use crate::workload::word;
use maple_tree::{Gaps, MapleTree, SharedMapleTree, Span};

pub(super) type Owned = MapleTree<Entry, Gaps>;
pub(super) type Shared = SharedMapleTree<Entry, Gaps>;

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
