//! masstree, keyed by the last index in big-endian order.

use super::Peer;
use super::pair::{Pair, Reader};
use ::masstree::{MassTree, RangeBound};
use maple_tree::Span;

pub(super) struct Map(MassTree<u64>);

impl Map {
    /// The sum and number of the values whose keys are from `low` to `high`.
    fn fold(&self, low: u64, high: u64) -> (u64, u64) {
        let guard = self.0.guard();
        let (mut sum, mut nr) = (0_u64, 0);
        let (low, high) = (low.to_be_bytes(), high.to_be_bytes());
        let visit = |first: u64| {
            sum = sum.wrapping_add(first);
            nr += 1;
            true
        };
        let (low, high) = (RangeBound::Included(&low), RangeBound::Included(&high));
        self.0.scan_values(low, high, visit, &guard);
        (sum, nr)
    }

    fn swap(&self, old: Option<u64>, new: Option<Span>) {
        let guard = self.0.guard();
        if let Some(last) = old {
            let removed = self.0.remove_with_guard(&last.to_be_bytes(), &guard);
            removed.expect("the tree is not locked for long");
        }
        if let Some(span) = new {
            self.0
                .insert_with_guard(&span.last.to_be_bytes(), span.first, &guard);
        }
    }
}

impl Peer for Map {
    fn new() -> Self {
        Self(MassTree::new())
    }

    fn insert(&mut self, span: Span) {
        self.swap(None, Some(span));
    }

    fn remove(&mut self, span: Span) {
        self.swap(Some(span.last), None);
    }

    fn lookup(&self, at: u64) -> Option<u64> {
        let guard = self.0.guard();
        let key = at.to_be_bytes();
        let mut found = None;
        let visit = |first: u64| {
            found = Some(first);
            false
        };
        self.0.scan_values(
            RangeBound::Included(&key),
            RangeBound::Unbounded,
            visit,
            &guard,
        );
        found.filter(|first| *first <= at)
    }

    fn sum(&self) -> u64 {
        self.fold(0, u64::MAX).0
    }
}

impl Pair for Map {
    type Reader<'a> = &'a Self;

    fn reader(&self) -> &Self {
        self
    }

    fn replace(&self, old: Span, new: Span) {
        self.swap(Some(old.last), Some(new));
    }
}

impl Reader for &Map {
    fn covers(&self, at: u64) -> bool {
        self.lookup(at).is_some()
    }

    fn scan(&self, slot: u64, nr: u64) -> u64 {
        self.fold(slot << 16, (slot + nr) << 16).1
    }
}
