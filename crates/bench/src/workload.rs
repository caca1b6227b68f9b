//! The data of the tree's rows: layouts, values and queries, all from fixed seeds.

use maple_tree::Span;
use vmaple_model::random::SplitMix64;

/// Bytes per page; indices are bytes.
pub(crate) const PAGE: u64 = 4096;
/// Where every layout begins.
pub(crate) const BASE: u64 = 0x10000;
/// How many queries a lookup row goes through in each pass.
pub(crate) const NR_QUERIES: usize = 1 << 20;

/// Ranges, ascending, and the index after the last.
pub(crate) struct Layout {
    pub(crate) spans: Vec<Span>,
    pub(crate) top: u64,
}

/// The word of value `n`: tagged as an integer.
pub(crate) fn word(n: u64) -> u64 {
    n << 1 | 1
}

impl Layout {
    /// `nr` ranges, each given by how many pages of gap and of range.
    fn build(nr: usize, mut pages: impl FnMut() -> (u64, u64)) -> Self {
        let mut at = BASE;
        let spans = (0..nr)
            .map(|_| {
                let (gap, len) = pages();
                let first = at + gap * PAGE;
                at = first + len * PAGE;
                Span::new(first, at - 1)
            })
            .collect();
        Self { spans, top: at }
    }

    /// Sizes like those of a process's mappings.
    pub(crate) fn mappings(nr: usize) -> Self {
        let mut random = SplitMix64::new(42);
        Self::build(nr, || {
            let x = random.next_u64();
            let gap = match x & 7 {
                0..4 => 0,
                4..7 => 1 + ((x >> 8) & 15),
                _ => 1 + ((x >> 8) & 1023),
            };
            let len = match (x >> 32) & 15 {
                0..8 => 1,
                8..12 => 1 + ((x >> 40) & 15),
                12..15 => 1 + ((x >> 40) & 255),
                _ => 1 + ((x >> 40) & 4095),
            };
            (gap, len)
        })
    }

    /// Gaps of geometrically falling frequency.
    pub(crate) fn gappy(nr: usize) -> Self {
        let mut random = SplitMix64::new(43);
        Self::build(nr, || {
            let x = random.next_u64();
            let zeros = (x & 0xffff | 0x1_0000).trailing_zeros();
            ((1 << zeros) >> 1, 1 + ((x >> 32) & 15))
        })
    }

    /// Random indices inside random ranges.
    pub(crate) fn queries(&self) -> Vec<u64> {
        let mut random = SplitMix64::new(1001);
        (0..NR_QUERIES)
            .map(|_| {
                let span = self.spans[random.bounded(self.spans.len() as u64) as usize];
                span.first + random.bounded(span.len_less_one() + 1)
            })
            .collect()
    }
}

/// The numbers below `nr` in a random order.
pub(crate) fn shuffled(nr: usize) -> Vec<usize> {
    let mut random = SplitMix64::new(7);
    let mut order: Vec<usize> = (0..nr).collect();
    for i in (1..nr).rev() {
        order.swap(i, random.bounded(i as u64 + 1) as usize);
    }
    order
}
