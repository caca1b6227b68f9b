//! The two forms of the tree behind one face: with one owner, and shared.
//!
//! Reading methods include what a single read costs: the shared tree enters and leaves a read
//! section in each. Writing methods of the shared tree take its lock each.

use maple_tree::{Config, MapleTree, Position, SharedMapleTree, Span, TracksGaps};
use std::num::NonZeroU64;

/// An entry: the bits that the rows sum.
pub(crate) type Entry = NonZeroU64;

fn entry(word: u64) -> Entry {
    NonZeroU64::new(word).expect("tagged words are odd")
}

/// What the rows need from a tree.
pub(crate) trait Subject {
    fn new() -> Self;
    fn store(&mut self, span: Span, word: u64);
    /// Stores all of them by one cursor.
    fn store_by_cursor(&mut self, all: impl Iterator<Item = (Span, u64)>);
    fn clear(&mut self, span: Span);
    fn erase(&mut self, index: u64);
    fn load(&self, index: u64) -> u64;
    /// The entry's word and the first index of its range.
    fn walk(&self, index: u64) -> Option<(u64, u64)>;
    /// The entry at or after an index, and the index after its range.
    fn find(&self, index: u64) -> Option<(u64, u64)>;
    /// The entry after a position, and the position there.
    fn next(&self, position: Position) -> Option<(u64, Position)>;
    /// The number of entries, and the sum of `first * 3 + last * 5 + value * 7` over them.
    fn sum(&self) -> (u64, u64);
    /// The sum of the values in a range, ascending.
    fn sum_values(&self, span: Span) -> u64;
    /// The same over everything, descending.
    fn sum_values_rev(&self) -> u64;
    fn bytes(&self) -> usize;
}

/// What the rows need from a tree that knows its gaps.
pub(crate) trait GapSubject: Subject {
    fn lowest_gap(&self, size: u64, limits: Span) -> Option<u64>;
    fn highest_gap(&self, size: u64, limits: Span) -> Option<u64>;
    /// Stores over the highest gap of a size; where that is.
    fn allocate(&mut self, size: u64, limits: Span, word: u64) -> Option<u64>;
}

/// Three sums that do not wait for each other: the row is about the walk, not about the sum.
fn sum(entries: impl Iterator<Item = (Span, Entry)>) -> (u64, u64) {
    let zero = (0, 0_u64, 0_u64, 0_u64);
    let (nr, firsts, lasts, values) = entries.fold(zero, |(nr, firsts, lasts, values), entry| {
        let (span, entry) = entry;
        (
            nr + 1,
            firsts.wrapping_add(span.first),
            lasts.wrapping_add(span.last),
            values.wrapping_add(entry.get() >> 1),
        )
    });
    let ends = firsts.wrapping_mul(3).wrapping_add(lasts.wrapping_mul(5));
    (nr, ends.wrapping_add(values.wrapping_mul(7)))
}

fn sum_values(entries: impl Iterator<Item = (Span, Entry)>) -> u64 {
    entries.fold(0, |sum, (_, entry)| sum.wrapping_add(entry.get() >> 1))
}

impl<C: Config> Subject for MapleTree<Entry, C> {
    fn new() -> Self {
        Self::new()
    }

    fn store(&mut self, span: Span, word: u64) {
        self.store(span, entry(word)).expect("memory");
    }

    fn store_by_cursor(&mut self, all: impl Iterator<Item = (Span, u64)>) {
        let mut cursor = self.cursor_mut(0);
        all.for_each(|(span, word)| cursor.store(span, entry(word)).expect("memory"));
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

    #[expect(clippy::inline_always, reason = "not to be measured itself")]
    #[inline(always)]
    fn walk(&self, index: u64) -> Option<(u64, u64)> {
        let (span, entry) = self.load(index)?;
        Some((entry.get(), span.first))
    }

    fn find(&self, index: u64) -> Option<(u64, u64)> {
        let (span, entry) = self.find(index)?;
        Some((entry.get(), span.last.wrapping_add(1)))
    }

    #[inline]
    fn next(&self, position: Position) -> Option<(u64, Position)> {
        let mut cursor = self.reader().resume(position);
        let (_, entry) = cursor.next()?;
        Some((entry.get(), cursor.pause()))
    }

    fn sum(&self) -> (u64, u64) {
        sum(self.iter())
    }

    fn sum_values(&self, span: Span) -> u64 {
        sum_values(self.range(span))
    }

    fn sum_values_rev(&self) -> u64 {
        sum_values(self.iter_rev())
    }

    fn bytes(&self) -> usize {
        self.census().bytes
    }
}

impl<C: TracksGaps> GapSubject for MapleTree<Entry, C> {
    fn lowest_gap(&self, size: u64, limits: Span) -> Option<u64> {
        self.lowest_gap(size, 1, limits)
    }

    fn highest_gap(&self, size: u64, limits: Span) -> Option<u64> {
        self.highest_gap(size, 1, limits)
    }

    fn allocate(&mut self, size: u64, limits: Span, word: u64) -> Option<u64> {
        let first = self.highest_gap(size, 1, limits)?;
        Subject::store(self, Span::new(first, first + size - 1), word);
        Some(first)
    }
}

impl<C: Config> Subject for SharedMapleTree<Entry, C> {
    fn new() -> Self {
        Self::new()
    }

    fn store(&mut self, span: Span, word: u64) {
        self.write().store(span, entry(word)).expect("memory");
    }

    fn store_by_cursor(&mut self, all: impl Iterator<Item = (Span, u64)>) {
        let mut guard = self.write();
        let mut cursor = guard.cursor_mut(0);
        all.for_each(|(span, word)| cursor.store(span, entry(word)).expect("memory"));
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

    #[expect(clippy::inline_always, reason = "not to be measured itself")]
    #[inline(always)]
    fn walk(&self, index: u64) -> Option<(u64, u64)> {
        let section = self.enter();
        let (span, entry) = self.read(&section).load(index)?;
        Some((entry.get(), span.first))
    }

    fn find(&self, index: u64) -> Option<(u64, u64)> {
        let section = self.enter();
        let (span, entry) = self.read(&section).find(index)?;
        Some((entry.get(), span.last.wrapping_add(1)))
    }

    #[inline]
    fn next(&self, position: Position) -> Option<(u64, Position)> {
        let section = self.enter();
        let mut cursor = self.read(&section).resume(position);
        let (_, entry) = cursor.next()?;
        Some((entry.get(), cursor.pause()))
    }

    fn sum(&self) -> (u64, u64) {
        let section = self.enter();
        sum(self.read(&section).iter())
    }

    fn sum_values(&self, span: Span) -> u64 {
        let section = self.enter();
        sum_values(self.read(&section).range(span))
    }

    fn sum_values_rev(&self) -> u64 {
        let section = self.enter();
        sum_values(self.read(&section).iter_rev())
    }

    fn bytes(&self) -> usize {
        self.write().duplicate().expect("memory").census().bytes
    }
}

impl<C: TracksGaps> GapSubject for SharedMapleTree<Entry, C> {
    fn lowest_gap(&self, size: u64, limits: Span) -> Option<u64> {
        let section = self.enter();
        self.read(&section).lowest_gap(size, 1, limits)
    }

    fn highest_gap(&self, size: u64, limits: Span) -> Option<u64> {
        let section = self.enter();
        self.read(&section).highest_gap(size, 1, limits)
    }

    fn allocate(&mut self, size: u64, limits: Span, word: u64) -> Option<u64> {
        let mut guard = self.write();
        let first = guard.reader().highest_gap(size, 1, limits)?;
        let span = Span::new(first, first + size - 1);
        guard.store(span, entry(word)).expect("memory");
        Some(first)
    }
}
