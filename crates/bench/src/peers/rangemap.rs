//! rangemap's map of inclusive ranges.

use super::Peer;
use ::rangemap::RangeInclusiveMap;
use maple_tree::Span;

pub(super) struct Map(RangeInclusiveMap<u64, u64>);

impl Peer for Map {
    fn new() -> Self {
        Self(RangeInclusiveMap::new())
    }

    fn insert(&mut self, span: Span) {
        self.0.insert(span.into(), span.first);
    }

    fn remove(&mut self, span: Span) {
        self.0.remove(span.into());
    }

    fn lookup(&self, at: u64) -> Option<u64> {
        self.0.get(&at).copied()
    }

    fn sum(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, (_, first)| sum.wrapping_add(*first))
    }

    fn lowest_gap(&self, size: u64) -> Option<u64> {
        let all = 0..=u64::MAX;
        let mut gaps = self.0.gaps(&all);
        let gap = gaps.find(|gap| gap.end() - gap.start() >= size - 1)?;
        Some(*gap.start())
    }
}
