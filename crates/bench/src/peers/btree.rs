//! The standard library's B-tree, keyed by the last index.

use super::Peer;
use maple_tree::Span;
use std::collections::BTreeMap;

pub(super) struct Map(BTreeMap<u64, u64>);

/// The first index of the range that covers `at`.
pub(super) fn covering(map: &BTreeMap<u64, u64>, at: u64) -> Option<u64> {
    let (_, first) = map.range(at..).next()?;
    (*first <= at).then_some(*first)
}

impl Peer for Map {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn insert(&mut self, span: Span) {
        self.0.insert(span.last, span.first);
    }

    fn remove(&mut self, span: Span) {
        self.0.remove(&span.last);
    }

    fn lookup(&self, at: u64) -> Option<u64> {
        covering(&self.0, at)
    }

    fn sum(&self) -> u64 {
        self.0
            .values()
            .fold(0, |sum, first| sum.wrapping_add(*first))
    }

    fn lowest_gap(&self, size: u64) -> Option<u64> {
        let mut at = 0;
        for (last, first) in &self.0 {
            if first - at >= size {
                break;
            }
            at = last + 1;
        }
        Some(at)
    }
}
