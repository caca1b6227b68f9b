//! The oracle of the maple tree: a `BTreeMap` from each range's first index.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A range with both ends included, and its value.
pub type Held = (u64, u64, u32);

/// A range map, obviously right and slow.
///
/// # Examples
///
/// ```
/// use vmaple_model::tree::NaiveTree;
///
/// let mut tree = NaiveTree::default();
/// tree.store(0..=9, 1);
/// tree.store(4..=5, 2);
/// assert_eq!(tree.entries(), [(0, 3, 1), (4, 5, 2), (6, 9, 1)]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NaiveTree {
    /// First index to last index and value.
    ranges: BTreeMap<u64, (u64, u32)>,
}

impl NaiveTree {
    /// Cuts everything out of a range.
    pub fn clear(&mut self, range: RangeInclusive<u64>) {
        let (first, last) = range.into_inner();
        let from_above = self.ranges.range(..=last).rev().map(flat);
        let met: Vec<Held> = from_above.take_while(|held| first <= held.1).collect();
        for (f, l, value) in met {
            self.ranges.remove(&f);
            if f < first {
                self.ranges.insert(f, (first - 1, value));
            }
            if last < l {
                self.ranges.insert(last + 1, (l, value));
            }
        }
    }

    /// Stores a value over whatever is there.
    pub fn store(&mut self, range: RangeInclusive<u64>, value: u32) {
        self.clear(range.clone());
        self.ranges.insert(*range.start(), (*range.end(), value));
    }

    /// The first entry that meets a range.
    #[must_use]
    pub fn occupant(&self, range: RangeInclusive<u64>) -> Option<Held> {
        self.find(*range.start())
            .filter(|held| held.0 <= *range.end())
    }

    /// Removes the whole range at an index.
    pub fn erase(&mut self, index: u64) -> Option<Held> {
        let held = self.load(index)?;
        self.ranges.remove(&held.0);
        Some(held)
    }

    /// The entry at an index.
    #[must_use]
    pub fn load(&self, index: u64) -> Option<Held> {
        self.find_rev(index).filter(|held| index <= held.1)
    }

    /// The range at an index, of an entry or of the gap there.
    #[must_use]
    pub fn range_at(&self, index: u64) -> ((u64, u64), Option<u32>) {
        if let Some((first, last, value)) = self.load(index) {
            return ((first, last), Some(value));
        }
        let before = self.find_rev(index).map_or(0, |held| held.1 + 1);
        let after = self.find(index).map_or(u64::MAX, |held| held.0 - 1);
        ((before, after), None)
    }

    /// The entry at an index, or the next.
    #[must_use]
    pub fn find(&self, index: u64) -> Option<Held> {
        self.load(index)
            .or_else(|| self.ranges.range(index..).next().map(flat))
    }

    /// The entry at an index, or the one before.
    #[must_use]
    pub fn find_rev(&self, index: u64) -> Option<Held> {
        self.ranges.range(..=index).next_back().map(flat)
    }

    /// Everything, ascending.
    #[must_use]
    pub fn entries(&self) -> Vec<Held> {
        self.ranges.iter().map(flat).collect()
    }

    /// Every maximal run of empty indices, ascending.
    #[must_use]
    pub fn gaps(&self) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut next = Some(0);
        for (first, last, _) in self.entries() {
            if let Some(next) = next
                && next < first
            {
                gaps.push((next, first - 1));
            }
            next = last.checked_add(1);
        }
        gaps.extend(next.map(|next| (next, u64::MAX)));
        gaps
    }

    /// The lowest aligned place for `size` empty indices within limits, by a linear scan.
    #[must_use]
    pub fn lowest_gap(&self, size: u64, align: u64, limits: RangeInclusive<u64>) -> Option<u64> {
        self.places(size, align, limits).map(|(low, _)| low).min()
    }

    /// The highest one.
    #[must_use]
    pub fn highest_gap(&self, size: u64, align: u64, limits: RangeInclusive<u64>) -> Option<u64> {
        self.places(size, align, limits).map(|(_, high)| high).max()
    }

    /// The lowest and highest place within each gap that has one; in 128 bits, so that nothing
    /// wraps.
    fn places(
        &self,
        size: u64,
        align: u64,
        limits: RangeInclusive<u64>,
    ) -> impl Iterator<Item = (u64, u64)> {
        let (size, align) = (u128::from(size), u128::from(align));
        let (lo, hi) = (u128::from(*limits.start()), u128::from(*limits.end()));
        self.gaps().into_iter().filter_map(move |(first, last)| {
            let first = u128::from(first).max(lo).next_multiple_of(align);
            let end = (u128::from(last) + 1).min(hi + 1);
            (size > 0 && first + size <= end).then(|| {
                let high = (end - size) / align * align;
                (first as u64, high as u64)
            })
        })
    }
}

fn flat((first, (last, value)): (&u64, &(u64, u32))) -> Held {
    (*first, *last, *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_reach_both_ends() {
        let mut tree = NaiveTree::default();
        assert_eq!(tree.gaps(), [(0, u64::MAX)]);
        tree.store(0..=0, 1);
        tree.store(u64::MAX..=u64::MAX, 2);
        assert_eq!(tree.gaps(), [(1, u64::MAX - 1)]);
        assert_eq!(tree.lowest_gap(4, 4, 0..=u64::MAX), Some(4));
        assert_eq!(tree.highest_gap(1, 1, 0..=u64::MAX), Some(u64::MAX - 1));
        assert_eq!(tree.highest_gap(2, 2, 0..=9), Some(8));
        assert_eq!(tree.lowest_gap(u64::MAX, 1, 0..=u64::MAX), None);
    }
}
