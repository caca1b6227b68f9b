//! nodit's map of intervals.

use super::Peer;
use ::nodit::interval::ii;
use ::nodit::{Interval, NoditMap};
use maple_tree::Span;

pub(super) struct Map(NoditMap<u64, Interval<u64>, u64>);

impl Peer for Map {
    fn new() -> Self {
        Self(NoditMap::new())
    }

    fn insert(&mut self, span: Span) {
        let inserted = self.0.insert_strict(ii(span.first, span.last), span.first);
        inserted.expect("the slot is empty");
    }

    fn remove(&mut self, span: Span) {
        self.0
            .remove_overlapping(&ii(span.first, span.last))
            .for_each(drop);
    }

    fn lookup(&self, at: u64) -> Option<u64> {
        self.0.get_at_point(&at).copied()
    }

    fn sum(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, (_, first)| sum.wrapping_add(*first))
    }

    fn lowest_gap(&self, size: u64) -> Option<u64> {
        let all = ii(0, u64::MAX);
        let mut gaps = self.0.gaps_untrimmed(&all);
        let gap = gaps.find(|gap| gap.end() - gap.start() >= size - 1)?;
        Some(*gap.start())
    }
}
