//! A node: pivots, slots, and for branches the gaps below.
//!
//! ```text
//!  slot      0        1        2        3    (4 of 6 slots used)
//!         +--------+--------+--------+--------+------+------+
//!  pivots |   9    |   19   |   40   |  max   | MAX  | MAX  |   last index of each slot
//!         +--------+--------+--------+--------+------+------+
//!  slots  |  e0    |  null  |  e2    |  null  | null | null |   entries, or children
//!         +--------+--------+--------+--------+------+------+
//! ```
//!
//! Slot `i` covers the indices above pivot `i - 1` up to pivot `i`. The last used pivot is the
//! node's own last index; the unused ones are `u64::MAX`, so that counting the pivots below an
//! index finds its slot without a branch and without knowing how many are used. That number is
//! nowhere stored: it is the number of pivots below the node's last index, plus one.
//!
//! This file knows the layout. It does not know what a slot means, nor who may write it.
//!
//! # Invariants
//!
//! 1. Pivots are written by the node's maker, before anyone else can see it, and after that only
//!    by a writer who holds the tree by `&mut`, so that nobody else can look.
//! 2. Beside readers, slots and gaps change only by single atomic stores of the one writer.

use core::fmt;
use core::ptr;
use vmaple_sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use vmaple_sync::cell::Frozen;
use vmaple_sync::names::{Name, named};
use vmaple_sync::slots;

/// One slot: null, an entry, or a child.
pub(crate) type Slot = AtomicPtr<()>;

/// What leaves and branches have in common.
///
/// Named in [`Config`](crate::Config), made only by this crate.
pub trait Node: Sized + fmt::Debug {
    /// Whether its slots hold entries.
    const IS_LEAF: bool;
    /// How many slots it has.
    const SLOTS: usize;
    /// How many a node uses at least, unless it is the last of its level.
    const MIN: usize = if Self::SLOTS / 2 < 2 {
        2
    } else {
        Self::SLOTS / 2
    };

    /// A node with nothing in it.
    fn empty() -> Self;
    /// The same node again, for its one writer, who changes the copy before anyone else sees it.
    fn copy(&self) -> Self;
    /// The last index of each slot, padded with `u64::MAX`.
    fn pivots(&self) -> &[u64];
    /// The same, for the maker.
    fn pivots_mut(&mut self) -> &mut [u64];
    /// Pivots and slots, for the maker, or for a writer whom nobody reads.
    fn parts_mut(&mut self) -> (&mut [u64], &mut [AtomicPtr<()>]);
    /// The slots.
    fn slots(&self) -> &[AtomicPtr<()>];
    /// The longest gap below each slot; empty where none are kept.
    fn gaps(&self) -> &[AtomicU64];
}

/// A bottom node: its slots hold entries.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Leaf<const N: usize> {
    pivots: Frozen<[u64; N]>,
    slots: [Slot; N],
}

/// A node above: its slots hold children.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Branch<const N: usize, G> {
    pivots: Frozen<[u64; N]>,
    slots: [Slot; N],
    gaps: G,
}

/// The gaps of a branch: an array, or nothing.
pub trait GapArray: fmt::Debug {
    /// All zero.
    fn empty() -> Self;
    /// The same gaps again.
    fn copy(&self) -> Self;
    /// One per slot, or none.
    fn as_slice(&self) -> &[AtomicU64];
}

/// The gaps of a branch that keeps none.
#[derive(Debug)]
pub struct NoGap;

impl GapArray for NoGap {
    fn empty() -> Self {
        Self
    }

    fn copy(&self) -> Self {
        Self
    }

    fn as_slice(&self) -> &[AtomicU64] {
        &[]
    }
}

static GAP: Name = Name::new("gap");
static SLOT: Name = Name::new("slot");

impl<const N: usize> GapArray for [AtomicU64; N] {
    fn empty() -> Self {
        core::array::from_fn(|_| named(&GAP, AtomicU64::new(0)))
    }

    #[inline]
    fn copy(&self) -> Self {
        // Relaxed: read by the writer, who wrote them.
        core::array::from_fn(|slot| named(&GAP, AtomicU64::new(self[slot].load(Ordering::Relaxed))))
    }

    fn as_slice(&self) -> &[AtomicU64] {
        self
    }
}

impl<const N: usize> Node for Leaf<N> {
    const IS_LEAF: bool = true;
    const SLOTS: usize = {
        assert!(N >= 3 && N <= 64, "a node has 3 to 64 slots");
        N
    };

    fn empty() -> Self {
        Self {
            pivots: Frozen::new([u64::MAX; N]),
            slots: core::array::from_fn(|_| named(&SLOT, AtomicPtr::new(ptr::null_mut()))),
        }
    }

    #[inline]
    fn copy(&self) -> Self {
        Self {
            pivots: Frozen::new(*self.pivots.get()),
            slots: slots::copy_of(&self.slots),
        }
    }

    #[inline]
    fn pivots(&self) -> &[u64] {
        self.pivots.get()
    }

    #[inline]
    fn pivots_mut(&mut self) -> &mut [u64] {
        self.pivots.get_mut()
    }

    #[inline]
    fn parts_mut(&mut self) -> (&mut [u64], &mut [Slot]) {
        (self.pivots.get_mut(), &mut self.slots)
    }

    #[inline]
    fn slots(&self) -> &[Slot] {
        &self.slots
    }

    #[inline]
    fn gaps(&self) -> &[AtomicU64] {
        &[]
    }
}

impl<const N: usize, G: GapArray> Node for Branch<N, G> {
    const IS_LEAF: bool = false;
    const SLOTS: usize = {
        assert!(N >= 3 && N <= 64, "a node has 3 to 64 slots");
        N
    };

    fn empty() -> Self {
        Self {
            pivots: Frozen::new([u64::MAX; N]),
            slots: core::array::from_fn(|_| named(&SLOT, AtomicPtr::new(ptr::null_mut()))),
            gaps: G::empty(),
        }
    }

    #[inline]
    fn copy(&self) -> Self {
        Self {
            pivots: Frozen::new(*self.pivots.get()),
            slots: slots::copy_of(&self.slots),
            gaps: self.gaps.copy(),
        }
    }

    #[inline]
    fn pivots(&self) -> &[u64] {
        self.pivots.get()
    }

    #[inline]
    fn pivots_mut(&mut self) -> &mut [u64] {
        self.pivots.get_mut()
    }

    #[inline]
    fn parts_mut(&mut self) -> (&mut [u64], &mut [Slot]) {
        (self.pivots.get_mut(), &mut self.slots)
    }

    #[inline]
    fn slots(&self) -> &[Slot] {
        &self.slots
    }

    #[inline]
    fn gaps(&self) -> &[AtomicU64] {
        self.gaps.as_slice()
    }
}

pub(crate) use crate::search::{search, search_wide};

/// A set of slots: bit `i` is slot `i`.
pub(crate) type SlotSet = u64;

/// Every slot from `slot` on; none for one past the last possible slot.
#[inline]
pub(crate) fn slots_from(slot: usize) -> SlotSet {
    u64::MAX.checked_shl(slot as u32).unwrap_or(0)
}

/// Every slot up to `slot`.
#[inline]
pub(crate) fn slots_to(slot: usize) -> SlotSet {
    u64::MAX >> (63 - slot)
}

/// How many slots a node that ends at `max` uses.
#[inline]
pub(crate) fn len(pivots: &[u64], max: u64) -> usize {
    search(pivots, max) + 1
}

/// The first index of `slot`, in a node that begins at `min`.
#[inline]
pub(crate) fn first_of(pivots: &[u64], slot: usize, min: u64) -> u64 {
    // Which slot it is cannot be predicted: both are computed.
    let after = pivots[slot.saturating_sub(1)].wrapping_add(1);
    core::hint::select_unpredictable(slot == 0, min, after)
}

/// The longest gap in the first `len` slots of a branch.
#[inline]
pub(crate) fn longest_gap(gaps: &[AtomicU64], len: usize) -> u64 {
    let (fours, rest) = gaps[..len.min(gaps.len())].as_chunks::<4>();
    // Relaxed: read by the writer, who wrote them.
    let load = |gap: &AtomicU64| gap.load(Ordering::Relaxed);
    // Four at a time do not wait for each other.
    let widest = fours.iter().fold([0; 4], |widest: [u64; 4], four| {
        core::array::from_fn(|lane| widest[lane].max(load(&four[lane])))
    });
    let rest = rest.iter().map(load).max().unwrap_or(0);
    widest.into_iter().fold(rest, u64::max)
}
