//! Address ranges.

use core::fmt;

/// A range of addresses in bytes, `start..end` with `end` exclusive.
///
/// Both ends are page aligned where the range names VMAs.
///
/// ```
/// use vmaple::AddrRange;
/// let range = AddrRange::new(0x1000, 0x3000);
/// assert_eq!(range.len(), 0x2000);
/// assert!(range.contains(0x2fff) && !range.contains(0x3000));
/// assert!(range.overlaps(AddrRange::new(0x2000, 0x9000)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AddrRange {
    /// First address.
    pub start: u64,
    /// First address after the range.
    pub end: u64,
}

impl AddrRange {
    /// The range `start..end`.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> AddrRange {
        AddrRange { start, end }
    }

    /// Length in bytes; 0 if the ends are the wrong way round.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether the range holds no address.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// Whether `addr` lies in the range.
    #[must_use]
    pub const fn contains(self, addr: u64) -> bool {
        self.start <= addr && addr < self.end
    }

    /// Whether the two ranges share an address.
    #[must_use]
    pub const fn overlaps(self, other: AddrRange) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The addresses both ranges share; empty if there is none.
    #[must_use]
    pub fn intersection(self, other: AddrRange) -> AddrRange {
        let start = self.start.max(other.start);
        AddrRange::new(start, self.end.min(other.end).max(start))
    }
}

impl fmt::Debug for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}

impl fmt::Display for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.start, self.end)
    }
}
