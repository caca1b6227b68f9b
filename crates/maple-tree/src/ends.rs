//! The ends of what a node covers, read only when somebody asks.
//!
//! A lookup needs them where it meets the first or last slot of its leaf, which is seldom. So on the
//! way down it keeps where they are, and leaves them unread.
//!
//! # Safety
//!
//! Both pointers of [`Ends<'g>`] come from slices borrowed for `'g`, or from [`OUTERMOST`].
#![expect(unsafe_code, reason = "keeps a place before a slice, never to be read")]

use crate::span::Span;
use core::marker::PhantomData;

/// Stands for the pivot before index 0, and for the last one there is.
static OUTERMOST: u64 = u64::MAX;

/// Where the ends of a node's range are, in the branches above it.
#[derive(Clone, Copy)]
pub(crate) struct Ends<'g> {
    /// # Invariants
    ///
    /// Holds the last index before the node, for all of `'g`.
    before: *const u64,
    /// # Invariants
    ///
    /// Holds the last index of the node, for all of `'g`.
    last: *const u64,
    pivots: PhantomData<&'g u64>,
}

impl<'g> Ends<'g> {
    /// Those of the top node.
    #[inline]
    pub(crate) fn all() -> Self {
        // INVARIANT: Before index 0 comes the last one.
        Self {
            before: &raw const OUTERMOST,
            last: &raw const OUTERMOST,
            pivots: PhantomData,
        }
    }

    /// Those of the child in `slot` of a node with these `pivots`, whose own ends these are.
    #[inline]
    pub(crate) fn of_slot(self, pivots: &'g [u64], slot: usize) -> Self {
        let last = &raw const pivots[slot];
        // Which slot it is cannot be predicted: both are computed.
        let before = core::hint::select_unpredictable(slot == 0, self.before, last.wrapping_sub(1));
        // INVARIANT: Slot 0 begins where the node does, another one behind the pivot before its own,
        // which is in the slice too.
        Self {
            before,
            last,
            pivots: PhantomData,
        }
    }

    /// The first index.
    #[inline]
    pub(crate) fn first(self) -> u64 {
        // SAFETY: By the invariant.
        unsafe { *self.before }.wrapping_add(1)
    }

    /// The last index.
    #[inline]
    pub(crate) fn last(self) -> u64 {
        // SAFETY: By the invariant.
        unsafe { *self.last }
    }

    /// Both ends.
    #[inline]
    pub(crate) fn span(self) -> Span {
        Span::new(self.first(), self.last())
    }
}
