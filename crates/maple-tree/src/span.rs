//! A range of indices, both ends included.

use core::fmt;
use core::ops::RangeInclusive;

/// The indices `first..=last`; at least one, so `first <= last`.
///
/// # Examples
///
/// ```
/// use maple_tree::Span;
///
/// let span = Span::from(3..=7);
/// assert_eq!((span.first, span.last), (3, 7));
/// assert!(span.contains(7) && !span.contains(8));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The lowest index.
    pub first: u64,
    /// The highest index, included.
    pub last: u64,
}

impl Span {
    /// Every index there is.
    pub const ALL: Self = Self {
        first: 0,
        last: u64::MAX,
    };

    /// The indices `first..=last`. An inverted pair is kept as it is and refused where it is used.
    #[must_use]
    pub const fn new(first: u64, last: u64) -> Self {
        Self { first, last }
    }

    /// Whether `index` lies inside.
    #[must_use]
    pub const fn contains(self, index: u64) -> bool {
        self.first <= index && index <= self.last
    }

    /// Whether both ends are in order.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.first <= self.last
    }

    /// Number of indices less one: it fits a `u64` even for [`Span::ALL`].
    #[must_use]
    pub const fn len_less_one(self) -> u64 {
        self.last - self.first
    }
}

impl From<RangeInclusive<u64>> for Span {
    fn from(range: RangeInclusive<u64>) -> Self {
        Self::new(*range.start(), *range.end())
    }
}

impl From<u64> for Span {
    /// The single index.
    fn from(index: u64) -> Self {
        Self::new(index, index)
    }
}

impl From<Span> for RangeInclusive<u64> {
    fn from(span: Span) -> Self {
        span.first..=span.last
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..={:#x}", self.first, self.last)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
