//! scc's tree index, keyed by the last index.

use super::Peer;
use super::pair::{Pair, Reader};
use ::scc::{Guard, TreeIndex};
use maple_tree::Span;

pub(super) struct Map(TreeIndex<u64, u64>);

impl Peer for Map {
    fn new() -> Self {
        Self(TreeIndex::new())
    }

    fn insert(&mut self, span: Span) {
        let inserted = self.0.insert_sync(span.last, span.first);
        inserted.expect("the slot is empty");
    }

    fn remove(&mut self, span: Span) {
        self.0.remove_sync(&span.last);
    }

    fn lookup(&self, at: u64) -> Option<u64> {
        let guard = Guard::new();
        let (_, first) = self.0.range(at.., &guard).next()?;
        (*first <= at).then_some(*first)
    }

    fn sum(&self) -> u64 {
        let guard = Guard::new();
        self.0
            .iter(&guard)
            .fold(0, |sum, (_, first)| sum.wrapping_add(*first))
    }
}

impl Pair for Map {
    type Reader<'a> = &'a Self;

    fn reader(&self) -> &Self {
        self
    }

    fn replace(&self, old: Span, new: Span) {
        self.0.remove_sync(&old.last);
        self.0.upsert_sync(new.last, new.first);
    }
}

impl Reader for &Map {
    fn covers(&self, at: u64) -> bool {
        self.lookup(at).is_some()
    }

    fn scan(&self, slot: u64, nr: u64) -> u64 {
        let guard = Guard::new();
        self.0.range(slot << 16..(slot + nr) << 16, &guard).count() as u64
    }
}
