//! The two forms of the tree behind one face: with one owner, and shared.

use maple_tree::{Gaps, MapleTree, SharedMapleTree, Span};
use std::num::NonZeroU64;

/// An entry: the bits that the rows sum.
pub(crate) type Entry = NonZeroU64;

fn entry(word: u64) -> Entry {
    NonZeroU64::new(word).expect("tagged words are odd")
}

/// What the rows need from a tree. Reading methods include what a single read costs: the shared
/// tree enters and leaves a read section in each.
pub(crate) trait Subject {
    /// What the row's name begins with.
    const PREFIX: &'static str;
    fn new() -> Self;
    fn store(&mut self, span: Span, word: u64);
    fn clear(&mut self, span: Span);
    fn erase(&mut self, index: u64);
    fn load(&self, index: u64) -> u64;
    /// The entry at or after an index, and the index after its range.
    fn find(&self, index: u64) -> Option<(u64, u64)>;
    /// The sum of `first * 3 + last * 5 + value * 7` over all entries.
    fn sum(&self) -> u64;
    fn lowest_gap(&self, size: u64, limits: Span) -> Option<u64>;
    fn highest_gap(&self, size: u64, limits: Span) -> Option<u64>;
    fn bytes(&self) -> usize;
}

fn term(span: Span, entry: Entry) -> u64 {
    span.first
        .wrapping_mul(3)
        .wrapping_add(span.last.wrapping_mul(5))
        .wrapping_add((entry.get() >> 1).wrapping_mul(7))
}

fn sum(entries: impl Iterator<Item = (Span, Entry)>) -> u64 {
    entries.fold(0, |sum, (span, entry)| sum.wrapping_add(term(span, entry)))
}

impl Subject for MapleTree<Entry, Gaps> {
    const PREFIX: &'static str = "owned";

    fn new() -> Self {
        Self::new()
    }

    fn store(&mut self, span: Span, word: u64) {
        self.store(span, entry(word)).expect("memory");
    }

    fn clear(&mut self, span: Span) {
        self.clear(span).expect("memory");
    }

    fn erase(&mut self, index: u64) {
        self.erase(index).expect("memory");
    }

    fn load(&self, index: u64) -> u64 {
        self.get(index).map_or(0, Entry::get)
    }

    fn find(&self, index: u64) -> Option<(u64, u64)> {
        let (span, entry) = self.find(index)?;
        Some((entry.get(), span.last.wrapping_add(1)))
    }

    fn sum(&self) -> u64 {
        sum(self.iter())
    }

    fn lowest_gap(&self, size: u64, limits: Span) -> Option<u64> {
        self.lowest_gap(size, 1, limits)
    }

    fn highest_gap(&self, size: u64, limits: Span) -> Option<u64> {
        self.highest_gap(size, 1, limits)
    }

    fn bytes(&self) -> usize {
        self.census().bytes
    }
}

impl Subject for SharedMapleTree<Entry, Gaps> {
    const PREFIX: &'static str = "shared";

    fn new() -> Self {
        Self::new()
    }

    fn store(&mut self, span: Span, word: u64) {
        self.write().store(span, entry(word)).expect("memory");
    }

    fn clear(&mut self, span: Span) {
        self.write().clear(span).expect("memory");
    }

    fn erase(&mut self, index: u64) {
        self.write().erase(index).expect("memory");
    }

    fn load(&self, index: u64) -> u64 {
        let section = self.enter();
        self.read(&section).get(index).map_or(0, Entry::get)
    }

    fn find(&self, index: u64) -> Option<(u64, u64)> {
        let section = self.enter();
        let (span, entry) = self.read(&section).find(index)?;
        Some((entry.get(), span.last.wrapping_add(1)))
    }

    fn sum(&self) -> u64 {
        let section = self.enter();
        sum(self.read(&section).iter())
    }

    fn lowest_gap(&self, size: u64, limits: Span) -> Option<u64> {
        let section = self.enter();
        self.read(&section).lowest_gap(size, 1, limits)
    }

    fn highest_gap(&self, size: u64, limits: Span) -> Option<u64> {
        let section = self.enter();
        self.read(&section).highest_gap(size, 1, limits)
    }

    fn bytes(&self) -> usize {
        self.write().duplicate().expect("memory").census().bytes
    }
}
