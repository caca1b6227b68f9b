//! The standard library's B-tree under its readers-writer lock.

use super::Peer;
use super::btree::covering;
use super::pair::{Pair, Reader};
use maple_tree::Span;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(super) struct Locked(RwLock<BTreeMap<u64, u64>>);

impl Locked {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<u64, u64>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<u64, u64>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer for Locked {
    fn new() -> Self {
        Self(RwLock::new(BTreeMap::new()))
    }

    fn insert(&mut self, span: Span) {
        self.write().insert(span.last, span.first);
    }

    fn remove(&mut self, span: Span) {
        self.write().remove(&span.last);
    }

    fn lookup(&self, at: u64) -> Option<u64> {
        covering(&self.read(), at)
    }

    fn sum(&self) -> u64 {
        self.read()
            .values()
            .fold(0, |sum, first| sum.wrapping_add(*first))
    }
}

impl Pair for Locked {
    type Reader<'a> = &'a Self;

    fn reader(&self) -> &Self {
        self
    }

    fn replace(&self, old: Span, new: Span) {
        let mut map = self.write();
        map.remove(&old.last);
        map.insert(new.last, new.first);
    }
}

impl Reader for &Locked {
    fn covers(&self, at: u64) -> bool {
        self.lookup(at).is_some()
    }

    fn scan(&self, slot: u64, nr: u64) -> u64 {
        self.read().range(slot << 16..(slot + nr) << 16).count() as u64
    }
}
