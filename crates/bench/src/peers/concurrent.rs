//! concurrent-map, keyed by the last index. A handle belongs to one thread.

use super::Peer;
use super::pair::{Pair, Reader};
use concurrent_map::ConcurrentMap;
use maple_tree::Span;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) struct Map(ConcurrentMap<u64, u64>);

fn covering(map: &ConcurrentMap<u64, u64>, at: u64) -> Option<u64> {
    let (_, first) = map.get_gte(&at)?;
    (first <= at).then_some(first)
}

fn sum(map: &ConcurrentMap<u64, u64>) -> u64 {
    map.iter()
        .fold(0, |sum, (_, first)| sum.wrapping_add(first))
}

impl Peer for Map {
    fn new() -> Self {
        Self(ConcurrentMap::default())
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
        sum(&self.0)
    }
}

/// The same for two threads: a reader gets a handle of its own.
pub(super) struct Shared(Mutex<ConcurrentMap<u64, u64>>);

impl Shared {
    fn handle(&self) -> MutexGuard<'_, ConcurrentMap<u64, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer for Shared {
    fn new() -> Self {
        Self(Mutex::new(ConcurrentMap::default()))
    }

    fn insert(&mut self, span: Span) {
        self.handle().insert(span.last, span.first);
    }

    fn remove(&mut self, span: Span) {
        self.handle().remove(&span.last);
    }

    fn lookup(&self, at: u64) -> Option<u64> {
        covering(&self.handle(), at)
    }

    fn sum(&self) -> u64 {
        sum(&self.handle())
    }
}

impl Pair for Shared {
    type Reader<'a> = ConcurrentMap<u64, u64>;

    fn reader(&self) -> ConcurrentMap<u64, u64> {
        self.handle().clone()
    }

    fn replace(&self, old: Span, new: Span) {
        let handle = self.handle();
        handle.remove(&old.last);
        handle.insert(new.last, new.first);
    }
}

impl Reader for ConcurrentMap<u64, u64> {
    fn covers(&self, at: u64) -> bool {
        covering(self, at).is_some()
    }

    fn scan(&self, slot: u64, nr: u64) -> u64 {
        self.range(slot << 16..(slot + nr) << 16).count() as u64
    }
}
