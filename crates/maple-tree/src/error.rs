//! What can go wrong: no memory, an inverted range, an occupied one, readers that stay.

use crate::span::Span;
use core::fmt;

/// The allocator refused; the tree is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocError;

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory; the tree is unchanged")
    }
}

impl core::error::Error for AllocError {}

/// Readers that stay inside keep more displaced memory than the writer wants to have around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadersStalled {
    /// How many displaced nodes and entries wait.
    pub nr_waiting: usize,
}

impl fmt::Display for ReadersStalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nr = self.nr_waiting;
        write!(f, "{nr} displaced nodes and entries wait for readers")
    }
}

impl core::error::Error for ReadersStalled {}

/// Why a range was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// The allocator refused.
    Alloc(AllocError),
    /// `first` is above `last`.
    InvertedRange,
    /// An insert met this entry's range.
    Occupied(Span),
    /// There is no entry to be replaced, or carved.
    Vacant,
    /// What is to be carved out does not lie inside this entry's range, with some of it left on
    /// both sides.
    NotInside(Span),
    /// What is to be appended does not lie above this last entry's range.
    NotAbove(Span),
    /// No gap within the limits is long enough.
    NoGap,
    /// Room for no index at all was asked for.
    ZeroSize,
    /// The alignment is not a power of two.
    BadAlignment,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alloc(error) => error.fmt(f),
            Self::InvertedRange => f.write_str("the range ends before it begins"),
            Self::NotAbove(span) => write!(f, "the range is not above the last entry at {span}"),
            Self::Vacant => f.write_str("there is no entry to be replaced"),
            Self::NotInside(span) => {
                write!(f, "the range is not inside that of the entry at {span}")
            }
            Self::NoGap => f.write_str("no gap within the limits is long enough"),
            Self::ZeroSize => f.write_str("a size of 0"),
            Self::BadAlignment => f.write_str("the alignment is not a power of two"),
            Self::Occupied(span) => write!(f, "the range meets an entry at {span}"),
        }
    }
}

impl core::error::Error for WriteError {}

impl From<AllocError> for WriteError {
    fn from(error: AllocError) -> Self {
        Self::Alloc(error)
    }
}

/// A write that did not happen: hands the entry back. The tree is unchanged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoreError<E> {
    /// The entry that was to be stored.
    pub entry: E,
    /// Why it was not.
    pub cause: WriteError,
}

impl<E> fmt::Debug for StoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

impl<E> fmt::Display for StoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl<E> core::error::Error for StoreError<E> {}
