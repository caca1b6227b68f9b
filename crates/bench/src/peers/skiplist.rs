//! crossbeam-skiplist's map, keyed by the last index.

use super::Peer;
use super::pair::{Pair, Reader};
use crossbeam_skiplist::SkipMap;
use maple_tree::Span;
use std::ops::Bound;

pub(super) struct Map(SkipMap<u64, u64>);

impl Peer for Map {
    fn new() -> Self {
        Self(SkipMap::new())
    }

    fn insert(&mut self, span: Span) {
        self.0.insert(span.last, span.first);
    }

    fn remove(&mut self, span: Span) {
        self.0.remove(&span.last);
    }

    fn lookup(&self, at: u64) -> Option<u64> {
        let entry = self.0.lower_bound(Bound::Included(&at))?;
        (*entry.value() <= at).then_some(*entry.value())
    }

    fn sum(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, entry| sum.wrapping_add(*entry.value()))
    }
}

impl Pair for Map {
    type Reader<'a> = &'a Self;

    fn reader(&self) -> &Self {
        self
    }

    fn replace(&self, old: Span, new: Span) {
        self.0.remove(&old.last);
        self.0.insert(new.last, new.first);
    }
}

impl Reader for &Map {
    fn covers(&self, at: u64) -> bool {
        self.lookup(at).is_some()
    }

    fn scan(&self, slot: u64, nr: u64) -> u64 {
        self.0.range(slot << 16..(slot + nr) << 16).count() as u64
    }
}
