//! What bytes mean: indices low and high, ranges short and long, sizes and alignments.

use maple_tree::Span;

/// The bytes that are left. After the last one come zeros.
pub(super) struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// The lower three quarters of the bytes are the lowest indices, the others the highest.
    pub(super) fn index(&mut self) -> u64 {
        match self.byte() {
            low @ 0..=191 => u64::from(low),
            high => u64::MAX - u64::from(255 - high),
        }
    }

    /// A range of some indices, cut at the top.
    pub(super) fn short_range(&mut self) -> Span {
        let first = self.index();
        Span::new(first, first.saturating_add(u64::from(self.byte() % 12)))
    }

    /// A range between any two indices.
    pub(super) fn long_range(&mut self) -> Span {
        let (one, other) = (self.index(), self.index());
        Span::new(one.min(other), one.max(other))
    }

    /// A size: mostly small, at times near all there is; never 0.
    pub(super) fn size(&mut self) -> u64 {
        match self.byte() {
            huge @ 248..=255 => u64::MAX - u64::from(huge - 248) * 40,
            size => u64::from(size % 40) + 1,
        }
    }

    /// A power of two: mostly 1.
    pub(super) fn align(&mut self) -> u64 {
        match self.byte() % 8 {
            bit @ 5..=7 => 1 << ((bit - 4) * 2),
            _ => 1,
        }
    }
}
