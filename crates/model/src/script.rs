//! Random sequences of tree operations.

use crate::random::SplitMix64;

/// One operation on a range map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Store over `first..=last`.
    Store {
        /// First index.
        first: u64,
        /// Last index, included.
        last: u64,
    },
    /// Store over `first..=last` if it is empty.
    Insert {
        /// First index.
        first: u64,
        /// Last index, included.
        last: u64,
    },
    /// Empty `first..=last`.
    Clear {
        /// First index.
        first: u64,
        /// Last index, included.
        last: u64,
    },
    /// Remove the whole range at an index.
    Erase(u64),
}

/// What a script does and where.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Indices are drawn below this, and mirrored from `u64::MAX` now and then.
    pub domain: u64,
    /// The usual longest range.
    pub longest: u64,
    /// Of 16 operations, how many remove.
    pub removals: u64,
    /// One operation in this many spans up to the whole domain.
    pub wide_every: u64,
}

/// An endless script.
#[derive(Debug, Clone)]
pub struct Script {
    random: SplitMix64,
    shape: Shape,
}

impl Script {
    /// A script of a shape; the same seed gives the same script.
    #[must_use]
    pub fn new(seed: u64, shape: Shape) -> Self {
        Self {
            random: SplitMix64::new(seed),
            shape,
        }
    }

    fn range(&mut self) -> (u64, u64) {
        let first = self.random.bounded(self.shape.domain);
        let longest = if self.random.bounded(self.shape.wide_every) == 0 {
            self.shape.domain
        } else {
            self.shape.longest
        };
        let last = first.saturating_add(self.random.bounded(longest));
        match self.random.bounded(64) {
            0 => (0, last),
            1 => (first, u64::MAX),
            2 => (u64::MAX - last, u64::MAX - first),
            3 => (first, first),
            _ => (first, last),
        }
    }
}

impl Iterator for Script {
    type Item = Op;

    fn next(&mut self) -> Option<Op> {
        let (first, last) = self.range();
        Some(if self.random.bounded(16) < self.shape.removals {
            match self.random.bounded(4) {
                0 => Op::Clear { first, last },
                _ => Op::Erase(first),
            }
        } else {
            match self.random.bounded(8) {
                0 => Op::Insert { first, last },
                _ => Op::Store { first, last },
            }
        })
    }
}
