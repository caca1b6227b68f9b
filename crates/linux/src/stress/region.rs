//! The region that a load is about, and the dice.
//!
//! Pages with an even number are always mapped, those with an odd one come and go. A change of
//! an even page's access makes it one with its neighbours, or another, so that mappings split
//! and merge all the time; only odd pages are ever free.

use std::ops::Range;

pub(super) const PAGE: u64 = 4096;

/// What a mapper does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Maps or unmaps an odd page, whichever it is not.
    Toggle(u64),
    /// Takes the right to write from an even page and gives it back.
    Protect(u64),
}

/// Addresses from `base` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub(super) base: u64,
    pub(super) vmas: u64,
}

impl Region {
    pub(super) fn addresses(&self) -> Range<u64> {
        self.base..self.base + 2 * self.vmas * PAGE
    }

    pub(super) fn addr(&self, page: u64) -> u64 {
        self.base + page * PAGE
    }
}

/// One thread's dice.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(limit)) >> 64) as u64
    }

    /// Mapper `me` of `mappers` has every `mappers`-th page for itself, so that each knows what is
    /// mapped.
    pub(super) fn step(&mut self, region: &Region, me: u64, mappers: u64) -> Step {
        let own = region.vmas / mappers;
        let slot = self.below(own.max(1)) * mappers + me;
        if self.below(4) == 0 {
            Step::Protect(2 * slot)
        } else {
            Step::Toggle(2 * slot + 1)
        }
    }
}
